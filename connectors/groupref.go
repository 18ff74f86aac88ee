package connectors

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// A GroupRef is one entry of Query.Groups: an id, or what the directory takes for an exact name.
type GroupRef struct {
	ID   string
	Name string // "" when there is an ID
}

// String is the entry as an operator writes it, a name in quotes.
func (r GroupRef) String() string {
	if r.ID != "" {
		return "id:" + r.ID
	}
	return fmt.Sprintf("%q", r.Name)
}

// Means tells whether the entry stands for the group with this id and name.
func (r GroupRef) Means(id, name string) bool {
	if r.ID != "" {
		return r.ID == id
	}
	return r.Name == name
}

// ParseGroupRefs reads the entries of Query.Groups. Its error, in the directory's name, holds every entry that names nothing.
func ParseGroupRefs(directory string, entries []string) ([]GroupRef, error) {
	var refs []GroupRef
	var errs []error
	for _, s := range entries {
		ref := GroupRef{Name: strings.TrimSpace(s)}
		if id, ok := strings.CutPrefix(ref.Name, "id:"); ok {
			ref = GroupRef{ID: id}
		}
		if ref == (GroupRef{}) {
			errs = append(errs, fmt.Errorf("%s: scope group %q names nothing", directory, s))
			continue
		}
		refs = append(refs, ref)
	}
	return refs, errors.Join(errs...)
}

// InScope keeps the people who are in one of the scope's groups.
func InScope(users []User, groups []Group) []User {
	in := map[UserID]bool{}
	for _, g := range groups {
		for _, id := range g.Members {
			in[id] = in[id] || g.Scope
		}
	}
	return slices.DeleteFunc(users, func(u User) bool { return !in[u.ID] })
}
