package connectors

import "context"

// A Finder is a Connector that answers about one person or one group afresh, by requests of their own and, where
// the directory has them, not from a listing. Nobody loses anything on one read: what a Snapshot says of a leaver is asked again here. Its methods may be
// called by several goroutines at once, between Fetches.
type Finder interface {
	// Lookup asks for one person by id. An answer that cannot be trusted is an error, never "not there".
	Lookup(ctx context.Context, id UserID) (Found, error)
	// Members lists a group's members again, expanded as in a Snapshot. known is false when the directory answers that
	// there is no such group.
	Members(ctx context.Context, id GroupID) (members []UserID, known bool, err error)
}

// Found is the fresh answer about one person.
type Found struct {
	// Known is false when the directory answers that it has no such id. That alone proves nothing: a wrong tenant, a
	// lagging replica and a missing right look the same.
	Known bool
	// Deleted is set on an explicit tombstone, such as an entry in the recycle bin.
	Deleted bool
	// User has Status and, in mode ScopeAssigned, Assigned as they are this moment.
	User User
	// InScopeGroup is set in mode ScopeGroups when the person is in one of the scope's groups this moment.
	InScopeGroup bool
	// Outside says, where the connector's own options narrow who is read, why they leave this person out this moment:
	// "in organizational unit /Sales". "" means that they do not.
	Outside string
	// Listed says that this person is out (not Assigned, not InScopeGroup, or Outside) by the word of a listing or a search
	// index, and not by an answer about this person alone. The same lagging copy may have given that listing and the
	// Snapshot, so it confirms a loss only together with an earlier Snapshot without the person.
	Listed bool
}
