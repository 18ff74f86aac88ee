// Package connectors is the border to the directories: the contract each of them fulfils and the neutral people and
// groups that cross it. Nothing of a vendor's SDK comes further than this.
package connectors

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
)

// UserID is a person's immutable id in the directory, compared byte for byte.
type UserID string

// GroupID is a group's immutable id in the directory, compared byte for byte.
type GroupID string

// A Connector reads one directory. Fetch returns everything the Query asks for or an error, never a part: a missing
// page would read as leavers. Implementations recover from panics of their SDK, honour ctx in every wait and may be
// called again after an error. They are not used by two goroutines at once.
type Connector interface {
	// Name is the directory's word in configuration and messages: "okta", "file".
	Name() string
	// Tenant tells this directory from every other one, without asking it: "okta:acme.okta.com".
	// The store is bound to it, so it must not change between runs.
	Tenant() string
	Fetch(ctx context.Context) (Snapshot, error)
}

// A Checker can prove, permission by permission, that Fetch is going to work. It is what doctor asks.
type Checker interface {
	Check(ctx context.Context) []Check
}

// A Check is one proven or refuted expectation of a Checker. Err carries the remedy in its text.
type Check struct {
	Name   string // what was tried, in a few words: "read the users of app 0oa1b2c3"
	Detail string // what was seen when it went well: "at least 200 people"
	Err    error
}

// ScopeMode says how a directory decides who belongs: there is no default.
type ScopeMode string

// The scope modes. Not every directory knows each of them.
const (
	ScopeAssigned ScopeMode = "assigned" // assigned to the application, directly or by a group
	ScopeGroups   ScopeMode = "groups"   // members of the listed groups
	ScopeAll      ScopeMode = "all"      // everybody in the directory
	// ScopeOrgUnits means the people of organizational units, which the connector's own options name.
	ScopeOrgUnits ScopeMode = "org_units"
)

// A Query says what a Snapshot has to hold.
type Query struct {
	Mode ScopeMode
	// Groups are the scope's groups in mode ScopeGroups, each by exact name or "id:…". One that does not exist, or
	// a name that two groups carry, is an error of Fetch.
	Groups []string
	// Push are patterns over groups whose members must be read as well.
	Push Patterns
	// Attributes are the directory's own attribute names that expressions read with user.attr("…").
	Attributes []string
}

// Status is what the directory's own account state means for us.
type Status string

// The statuses. What a vendor calls them stands in User.StatusDetail.
const (
	StatusActive   Status = "active"   // employed; a locked or expired sign-in counts as active
	StatusStaged   Status = "staged"   // not activated yet: neither created nor taken away
	StatusDisabled Status = "disabled" // suspended, deactivated, archived
)

// A User is one person as the directory has them. Absent attributes are "".
type User struct {
	ID             UserID
	UserName       string // the sign-in name, as the directory spells it
	Email          string
	GivenName      string
	FamilyName     string
	DisplayName    string
	Nickname       string
	Department     string
	Title          string
	Company        string
	EmployeeNumber string
	EmployeeType   string // Okta userType, Entra userType ("Guest"), Google has none
	Phones         []Phone
	Status         Status
	StatusDetail   string // the directory's own word: "SUSPENDED", "accountEnabled=false"
	Assigned       bool   // assigned to the application; only meaningful in mode ScopeAssigned
	Attrs          map[string]string
}

// A Phone is one number as the directory spells it. Type is "mobile" or "work".
type Phone struct {
	Type  string
	Value string
}

// A Group is one group with its complete membership.
type Group struct {
	ID   GroupID
	Name string
	// Email is the group's address, which patterns match as they match its name; "" where groups have none.
	Email string
	// Scope is set on the groups that Query.Groups names.
	Scope bool
	// Members are people only, nested groups already expanded as the connector documents; sorted and distinct.
	// They may name people who are not in the Snapshot (out of scope).
	Members []UserID
}

// A Snapshot is what the directory held at one reading: complete, sorted by id, ids distinct. A group is in it only
// with all its members.
type Snapshot struct {
	Users  []User
	Groups []Group
}

// NewSnapshot sorts users, groups and members and refuses what no directory may say: an empty or repeated id. The
// slices are taken over.
func NewSnapshot(users []User, groups []Group) (Snapshot, error) {
	slices.SortFunc(users, func(a, b User) int { return cmp.Compare(a.ID, b.ID) })
	slices.SortFunc(groups, func(a, b Group) int { return cmp.Compare(a.ID, b.ID) })
	var errs []error
	for i, u := range users {
		switch {
		case u.ID == "":
			errs = append(errs, fmt.Errorf("a user without id (user name %q)", u.UserName))
		case i > 0 && users[i-1].ID == u.ID:
			errs = append(errs, fmt.Errorf("user id %q appears twice", u.ID))
		}
	}
	for i := range groups {
		g := &groups[i]
		switch {
		case g.ID == "":
			errs = append(errs, fmt.Errorf("a group without id (name %q)", g.Name))
		case i > 0 && groups[i-1].ID == g.ID:
			errs = append(errs, fmt.Errorf("group id %q appears twice", g.ID))
		}
		slices.Sort(g.Members)
		g.Members = slices.Compact(g.Members)
	}
	if len(errs) > 0 {
		return Snapshot{}, errors.Join(errs...)
	}
	return Snapshot{Users: users, Groups: groups}, nil
}
