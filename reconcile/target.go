package reconcile

import (
	"context"

	"github.com/rootly-idp-sync/rootly-idp-sync/scimclient"
)

// A Reader reads the target. Planning gets no more than this, so a dry run cannot write.
type Reader interface {
	Users(ctx context.Context) ([]scimclient.User, error)
	Groups(ctx context.Context) ([]scimclient.Group, error)
	// User reads one user by id; an *scimclient.Error with status 404 means that the SCIM server itself knows no such id.
	User(ctx context.Context, id string) (scimclient.User, error)
	Group(ctx context.Context, id string) (scimclient.Group, error)
	// FindUsers returns the users whose userName equals name, letter case aside, verified against the answer.
	FindUsers(ctx context.Context, name string) ([]scimclient.User, error)
	FindGroups(ctx context.Context, name string) ([]scimclient.Group, error)
}

// A Target reads and writes. Each write is verified by its answer or by a reading; the result is the object as it is
// now. Errors are *scimclient.Error (refused), *scimclient.UnknownError (may have happened), *scimclient.NotKeptError
// (accepted and not kept; the object is returned beside it) or the context's.
type Target interface {
	Reader
	CreateUser(ctx context.Context, u scimclient.User) (scimclient.User, error)
	UpdateUser(ctx context.Context, id string, e scimclient.UserEdit) (scimclient.User, error)
	DeleteUser(ctx context.Context, id string) error
	CreateGroup(ctx context.Context, g scimclient.Group) (scimclient.Group, error)
	UpdateGroup(ctx context.Context, id string, e scimclient.GroupEdit) (scimclient.Group, error)
	// ChangeMembers adds and removes user ids in chunks of at most 100 changes a request. Ids that are already as
	// wanted must not be passed. After an error the returned group is what is known to hold, if anything is.
	ChangeMembers(ctx context.Context, id string, add, remove []string) (scimclient.Group, error)
	DeleteGroup(ctx context.Context, id string) error
	// Probe sends one cheap read. It tells a refusal of one object from a refusal of the token.
	Probe(ctx context.Context) error
}

var _ Target = (*scimclient.Client)(nil)
