package sim

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"
)

// A SCIMUser is a user as the SCIM server holds it.
type SCIMUser struct {
	ID          string
	ExternalID  string
	UserName    string
	GivenName   string
	FamilyName  string
	DisplayName string
	Active      bool
	Emails      []SCIMValue
	Phones      []SCIMValue

	record
}

// A SCIMValue is one value of emails or phoneNumbers.
type SCIMValue struct {
	Value   string `json:"value"`
	Type    string `json:"type,omitempty"`
	Primary bool   `json:"primary,omitempty"`
}

// A SCIMGroup is a group as the SCIM server holds it.
type SCIMGroup struct {
	ID          string
	ExternalID  string
	DisplayName string
	Members     []SCIMMember

	record
}

// A SCIMMember is one member of a group: Type is "User" or "Group".
type SCIMMember struct {
	Value string
	Type  string
}

// record is what the server keeps about any resource.
type record struct {
	created, modified time.Time
	version           int
}

// A resource is a user or a group to the parts of the server that treat them alike. T is the pointer type itself.
// Its methods are called with the state locked.
type resource[T any] interface {
	clone() T
	name() string // what must be unique, letter case aside: the userName or the group's name
	key() string  // name, folded
	meta() *record
	identity() *string
	visible(o SCIMOptions) bool
	holds(c comparison) (hit, known bool)
	render(o SCIMOptions, base string, listed bool) any
	assign(body map[string]json.RawMessage, creating bool) *scimError // from a POST or PUT body
	patch(s *SCIM, ops []patchOp) *scimError
	settle(s *SCIM, before T) *scimError // checks the edited copy and applies the server's habits
	wrote(s *SCIM, before T)             // carries what follows over to other resources
}

// A collection is all resources of one kind.
type collection[T resource[T]] struct {
	kind   string // "Users", "Groups"
	schema string
	fresh  func() T
	byID   map[string]T
	byKey  map[string]map[string]bool // folded name → ids
	sorted []string                   // ids, ascending; nil after a change until somebody lists
}

type scimState struct {
	mu     sync.Mutex
	rng    *rand.Rand
	odd    bool
	users  *collection[*SCIMUser]
	groups *collection[*SCIMGroup]
	marks  []string
}

const (
	userSchema  = "urn:ietf:params:scim:schemas:core:2.0:User"
	groupSchema = "urn:ietf:params:scim:schemas:core:2.0:Group"
)

func newSCIMState(o SCIMOptions) *scimState {
	return &scimState{
		rng: rand.New(rand.NewPCG(o.Seed, 0x7363696d)),
		odd: o.OddIDs,
		users: &collection[*SCIMUser]{
			kind: "Users", schema: userSchema, fresh: func() *SCIMUser { return &SCIMUser{} },
			byID: map[string]*SCIMUser{}, byKey: map[string]map[string]bool{},
		},
		groups: &collection[*SCIMGroup]{
			kind: "Groups", schema: groupSchema, fresh: func() *SCIMGroup { return &SCIMGroup{} },
			byID: map[string]*SCIMGroup{}, byKey: map[string]map[string]bool{},
		},
	}
}

// newID makes an id that nothing has, like a random UUID, so that creation order and listing order have nothing to do with
// each other.
func (st *scimState) newID() string {
	for {
		id := st.drawID()
		if st.users.byID[id] == nil && st.groups.byID[id] == nil {
			return id
		}
	}
}

func (st *scimState) drawID() string {
	a, b := st.rng.Uint64(), st.rng.Uint64()
	id := fmt.Sprintf("%08x-%04x-4%03x-%04x-%012x", a>>32, a>>16&0xffff, a&0xfff, b>>48&0x3fff|0x8000, b&0xffffffffffff)
	if st.odd {
		return "ä/" + id[:8] + "?x=50%&y#@acme " + id[9:13]
	}
	return id
}

// put stores an edited or new resource in place of the one with its id.
func (c *collection[T]) put(r T) {
	id := *r.identity()
	c.unname(id)
	if _, ok := c.byID[id]; !ok {
		c.sorted = nil
	}
	c.byID[id] = r
	if c.byKey[r.key()] == nil {
		c.byKey[r.key()] = map[string]bool{}
	}
	c.byKey[r.key()][id] = true
}

func (c *collection[T]) remove(id string) {
	c.unname(id)
	delete(c.byID, id)
	c.sorted = nil
}

// unname takes a resource out of the index of names.
func (c *collection[T]) unname(id string) {
	old, ok := c.byID[id]
	if !ok {
		return
	}
	delete(c.byKey[old.key()], id)
	if len(c.byKey[old.key()]) == 0 {
		delete(c.byKey, old.key())
	}
}

// ids returns all ids, ascending. The slice is shared.
func (c *collection[T]) ids() []string {
	if c.sorted == nil {
		c.sorted = slices.Sorted(maps.Keys(c.byID))
	}
	return c.sorted
}

// taken reports whether another resource than id carries this key.
func (c *collection[T]) taken(key, id string) bool {
	for other := range c.byKey[key] {
		if other != id {
			return true
		}
	}
	return false
}

func (u *SCIMUser) clone() *SCIMUser {
	c := *u
	c.Emails, c.Phones = slices.Clone(u.Emails), slices.Clone(u.Phones)
	return &c
}

func (u *SCIMUser) name() string      { return u.UserName }
func (u *SCIMUser) key() string       { return strings.ToLower(u.UserName) }
func (u *SCIMUser) meta() *record     { return &u.record }
func (u *SCIMUser) identity() *string { return &u.ID }

func (u *SCIMUser) visible(o SCIMOptions) bool { return u.Active || !o.VanishInactive }

func (u *SCIMUser) holds(c comparison) (hit, known bool) {
	switch c.attribute {
	case "username":
		return strings.EqualFold(u.UserName, c.value), true
	case "displayname":
		return strings.EqualFold(u.DisplayName, c.value), true
	case "externalid":
		return u.ExternalID == c.value, true
	}
	return false, false
}

func (g *SCIMGroup) clone() *SCIMGroup {
	c := *g
	c.Members = slices.Clone(g.Members)
	return &c
}

func (g *SCIMGroup) key() string              { return strings.ToLower(g.DisplayName) }
func (g *SCIMGroup) name() string             { return g.DisplayName }
func (g *SCIMGroup) meta() *record            { return &g.record }
func (g *SCIMGroup) identity() *string        { return &g.ID }
func (g *SCIMGroup) visible(SCIMOptions) bool { return true }

func (g *SCIMGroup) holds(c comparison) (hit, known bool) {
	switch c.attribute {
	case "displayname":
		return strings.EqualFold(g.DisplayName, c.value), true
	case "externalid":
		return g.ExternalID == c.value, true
	}
	return false, false
}

// leaveGroups takes a member out of every group.
func (st *scimState) leaveGroups(id string) {
	for _, g := range st.groups.byID {
		isMember := func(m SCIMMember) bool { return m.Value == id }
		if slices.ContainsFunc(g.Members, isMember) {
			g.Members = slices.DeleteFunc(slices.Clone(g.Members), isMember)
			g.touch()
		}
	}
}

func (r *record) touch() {
	r.modified = time.Now().UTC()
	r.version++
}
