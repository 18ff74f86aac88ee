package reconcile

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
	"github.com/rootly-idp-sync/rootly-idp-sync/scimclient"
)

// A Recorded is one answer of a directory, with what it was asked for. In a file it is as confidential as the directory.
type Recorded struct {
	Name     string // the connector's
	Tenant   string
	At       time.Time
	Query    connectors.Query
	Snapshot connectors.Snapshot
}

const snapshotFormat = "rootly-idp-sync/snapshot/v1"

// A recordedFile is the document that a Recorded is saved as.
type recordedFile struct {
	Format     string               `json:"format"`
	Name       string               `json:"name"`
	Tenant     string               `json:"tenant"`
	At         time.Time            `json:"at"`
	Mode       connectors.ScopeMode `json:"mode"`
	Scope      []string             `json:"scopeGroups,omitempty"`
	Push       []string             `json:"push,omitempty"`
	Attributes []string             `json:"attributes,omitempty"`
	Users      []recordedUser       `json:"users"`
	Groups     []recordedGroup      `json:"groups,omitempty"`
}

// recordedUser and recordedGroup have the fields of connectors.User and Group, with names for a file.
type (
	recordedUser struct {
		ID             connectors.UserID  `json:"id"`
		UserName       string             `json:"userName,omitempty"`
		Email          string             `json:"email,omitempty"`
		GivenName      string             `json:"givenName,omitempty"`
		FamilyName     string             `json:"familyName,omitempty"`
		DisplayName    string             `json:"displayName,omitempty"`
		Nickname       string             `json:"nickname,omitempty"`
		Department     string             `json:"department,omitempty"`
		Title          string             `json:"title,omitempty"`
		Company        string             `json:"company,omitempty"`
		EmployeeNumber string             `json:"employeeNumber,omitempty"`
		EmployeeType   string             `json:"employeeType,omitempty"`
		Phones         []connectors.Phone `json:"phones,omitempty"`
		Status         connectors.Status  `json:"status"`
		StatusDetail   string             `json:"statusDetail,omitempty"`
		Assigned       bool               `json:"assigned,omitempty"`
		Attrs          map[string]string  `json:"attrs,omitempty"`
	}
	recordedGroup struct {
		ID      connectors.GroupID  `json:"id"`
		Name    string              `json:"name"`
		Email   string              `json:"email,omitempty"`
		Scope   bool                `json:"scope,omitempty"`
		Members []connectors.UserID `json:"members,omitempty"`
	}
)

// SaveSnapshot writes a recording for LoadSnapshot, as JSON.
func SaveSnapshot(w io.Writer, r Recorded) error {
	if err := r.check(); err != nil {
		return fmt.Errorf("save snapshot: %w", err)
	}
	doc := recordedFile{
		Format: snapshotFormat, Name: r.Name, Tenant: r.Tenant, At: r.At,
		Mode: r.Query.Mode, Scope: r.Query.Groups, Attributes: r.Query.Attributes,
		Users: make([]recordedUser, 0, len(r.Snapshot.Users)),
	}
	for _, p := range r.Query.Push {
		doc.Push = append(doc.Push, p.String())
	}
	for _, u := range r.Snapshot.Users {
		doc.Users = append(doc.Users, recordedUser(u))
	}
	for _, g := range r.Snapshot.Groups {
		doc.Groups = append(doc.Groups, recordedGroup(g))
	}
	b, err := Document(doc)
	if err != nil {
		return fmt.Errorf("save snapshot: %w", err)
	}
	if _, err := w.Write(b); err != nil {
		return fmt.Errorf("save snapshot: %w", err)
	}
	return nil
}

// LoadSnapshot reads a recording whole or not at all.
func LoadSnapshot(r io.Reader) (Recorded, error) {
	const remedy = "record it anew with sources inspect --save"
	var doc recordedFile
	if err := loadDocument(r, snapshotFormat, &doc); err != nil {
		return Recorded{}, fmt.Errorf("recorded snapshot: %w; %s", err, remedy)
	}
	push, err := connectors.ParsePatterns(doc.Push)
	if err != nil {
		return Recorded{}, fmt.Errorf("recorded snapshot: %w; %s", err, remedy)
	}
	out := Recorded{
		Name: doc.Name, Tenant: doc.Tenant, At: doc.At,
		Query: connectors.Query{Mode: doc.Mode, Groups: doc.Scope, Push: push, Attributes: doc.Attributes},
	}
	users := make([]connectors.User, len(doc.Users))
	for i, u := range doc.Users {
		users[i] = connectors.User(u)
	}
	var groups []connectors.Group
	for _, g := range doc.Groups {
		groups = append(groups, connectors.Group(g))
	}
	if out.Snapshot, err = connectors.NewSnapshot(users, groups); err == nil {
		err = out.check()
	}
	if err == nil && doc.Users == nil {
		err = fmt.Errorf("it has no list of users")
	}
	if err != nil {
		return Recorded{}, fmt.Errorf("recorded snapshot: %w; %s", err, remedy)
	}
	return out, nil
}

// check refuses a recording that says less than a directory does.
func (r Recorded) check() error {
	switch {
	case r.Name == "" || r.Tenant == "":
		return fmt.Errorf("it does not say of which directory it is")
	case r.At.IsZero():
		return fmt.Errorf("it does not say when it was read")
	case !slices.Contains([]connectors.ScopeMode{connectors.ScopeAssigned, connectors.ScopeGroups, connectors.ScopeAll, connectors.ScopeOrgUnits}, r.Query.Mode):
		return fmt.Errorf("scope mode %q is none", r.Query.Mode)
	}
	for _, u := range r.Snapshot.Users {
		if !slices.Contains([]connectors.Status{connectors.StatusActive, connectors.StatusStaged, connectors.StatusDisabled}, u.Status) {
			return fmt.Errorf("user %q has the status %q, which is none", u.ID, u.Status)
		}
	}
	return nil
}

// QueryOf is the Query of the rules that a ledger remembers (Ledger.RuleTexts): what the last good snapshot was read for.
func QueryOf(ruleTexts map[string]string) (connectors.Query, error) {
	list := func(key string) []string {
		if ruleTexts[key] == "" {
			return nil
		}
		return strings.Split(ruleTexts[key], "\n")
	}
	o := RuleOptions{
		Mode: connectors.ScopeMode(ruleTexts["scope.mode"]), Groups: list("scope.groups"),
		Where: ruleTexts["scope.where"], Push: list("groups.push"), Map: map[string]string{},
	}
	for k, text := range ruleTexts {
		if attr, ok := strings.CutPrefix(k, "map."); ok {
			o.Map[attr] = text
		}
	}
	r, err := Compile(o)
	if err != nil {
		return connectors.Query{}, fmt.Errorf("rules of the last run: %w", err)
	}
	return r.Query(), nil
}

// A Replay is a Connector and Finder over a recording: every question is answered by it, the second one about a leaver
// included. That is right for a plan to read and wrong for one to apply, since the directory may have moved on.
type Replay struct {
	recorded Recorded
	members  map[connectors.UserID]struct{} // of the scope's groups
}

var (
	_ connectors.Connector = (*Replay)(nil)
	_ connectors.Finder    = (*Replay)(nil)
)

// NewReplay makes a recording answer q. It refuses what was not read when it was recorded: another scope mode, other
// scope groups, other attributes, members of other groups.
func NewReplay(r Recorded, q connectors.Query) (*Replay, error) {
	var lacks []string
	if q.Mode != r.Query.Mode {
		lacks = append(lacks, fmt.Sprintf("scope.mode %s (it has %s)", q.Mode, r.Query.Mode))
	}
	s := r.Snapshot
	s.Groups = slices.Clone(s.Groups)
	for i := range s.Groups {
		s.Groups[i].Scope = false
	}
	if q.Mode == connectors.ScopeGroups {
		for _, name := range q.Groups {
			i := slices.IndexFunc(r.Snapshot.Groups, func(g connectors.Group) bool {
				return g.Scope && (g.Name == name || "id:"+string(g.ID) == name || g.Email != "" && connectors.Fold(g.Email) == connectors.Fold(name))
			})
			if i < 0 {
				lacks = append(lacks, fmt.Sprintf("the scope group %q", name))
				continue
			}
			s.Groups[i].Scope = true
		}
	}
	for _, a := range q.Attributes {
		if !slices.Contains(r.Query.Attributes, a) {
			lacks = append(lacks, fmt.Sprintf("the attribute %q", a))
		}
	}
	for _, p := range q.Push {
		if !covers(r, p) {
			lacks = append(lacks, fmt.Sprintf("the members of groups.push %q", p))
		}
	}
	if len(lacks) > 0 {
		return nil, fmt.Errorf("the recorded snapshot lacks %s: record it anew with these rules, with sources inspect --save", strings.Join(lacks, ", "))
	}
	r.Snapshot = s
	return &Replay{recorded: r, members: newJudge(&Rules{mode: q.Mode}, s).members}, nil
}

// covers tells whether every group that p can mean was read with its members. A recorded pattern that matches the text
// of p, stars taken as letters, matches all that p does: only its own stars can have taken them.
func covers(r Recorded, p connectors.Pattern) bool {
	return slices.ContainsFunc(r.Query.Push, func(had connectors.Pattern) bool {
		return had.String() == "*" || had.ID() == "" && p.ID() == "" && had.Match("", p.String()) || had.ID() != "" && had.ID() == p.ID()
	}) || p.Exact() && slices.ContainsFunc(r.Snapshot.Groups, func(g connectors.Group) bool { return p.Match(string(g.ID), g.Name, g.Email) })
}

// Name is the recorded connector's.
func (r *Replay) Name() string { return r.recorded.Name }

// Tenant is the recorded connector's.
func (r *Replay) Tenant() string { return r.recorded.Tenant }

// Fetch returns the recording.
func (r *Replay) Fetch(ctx context.Context) (connectors.Snapshot, error) {
	return r.recorded.Snapshot, ctx.Err()
}

// Previous returns the recording as well, for Planner.Previous: whom it lacks is gone, there being no later reading.
func (r *Replay) Previous(ctx context.Context) (*connectors.Snapshot, error) {
	return &r.recorded.Snapshot, ctx.Err()
}

// Lookup answers from the recording.
func (r *Replay) Lookup(ctx context.Context, id connectors.UserID) (connectors.Found, error) {
	u, ok := (&earlierRead{snapshot: &r.recorded.Snapshot}).user(string(id))
	if !ok {
		return connectors.Found{}, ctx.Err()
	}
	_, in := r.members[id]
	return connectors.Found{Known: true, User: *u, InScopeGroup: in}, ctx.Err()
}

// Members answers from the recording.
func (r *Replay) Members(ctx context.Context, id connectors.GroupID) ([]connectors.UserID, bool, error) {
	members, known := (&earlierRead{snapshot: &r.recorded.Snapshot}).members(string(id))
	return members, known, ctx.Err()
}

// Remembered shows what the ledger says Rootly holds of ours: what was written last, and nothing that was changed there
// since or that we do not manage. With an empty ledger Rootly is empty.
func Remembered(ledger Ledger) Reader {
	m := memory{users: map[string]scimclient.User{}, groups: map[string]scimclient.Group{}}
	for _, l := range ledger.Users {
		u := scimclient.User{ID: l.Target, Active: true}
		if v := l.User; v != nil {
			u = scimclient.User{
				ID: l.Target, ExternalID: v.ExternalID, UserName: v.UserName, GivenName: v.GivenName, FamilyName: v.FamilyName,
				DisplayName: v.DisplayName, Active: v.Active,
			}
			if v.Email != "" {
				u.Emails = []scimclient.Email{{Value: v.Email, Type: "work", Primary: true}}
			}
			for _, p := range v.Phones {
				u.Phones = append(u.Phones, scimclient.Phone{Value: p.Value, Type: p.Type})
			}
		}
		m.users[u.ID] = u
	}
	for _, l := range ledger.Groups {
		g := scimclient.Group{ID: l.Target}
		if v := l.Group; v != nil {
			g = scimclient.Group{ID: l.Target, ExternalID: v.ExternalID, DisplayName: v.DisplayName, Members: members(v.Members)}
		}
		m.groups[g.ID] = g
	}
	return m
}

// A memory is a Reader over the ledger's links, by SCIM id.
type memory struct {
	users  map[string]scimclient.User
	groups map[string]scimclient.Group
}

func (m memory) Users(ctx context.Context) ([]scimclient.User, error) {
	return valuesByKey(m.users), ctx.Err()
}

func (m memory) Groups(ctx context.Context) ([]scimclient.Group, error) {
	return valuesByKey(m.groups), ctx.Err()
}

func (m memory) User(ctx context.Context, id string) (scimclient.User, error) {
	u, ok := m.users[id]
	if !ok {
		return u, notRemembered("read user", "/Users/"+id)
	}
	return u, ctx.Err()
}

func (m memory) Group(ctx context.Context, id string) (scimclient.Group, error) {
	g, ok := m.groups[id]
	if !ok {
		return g, notRemembered("read group", "/Groups/"+id)
	}
	return g, ctx.Err()
}

func (m memory) FindUsers(ctx context.Context, name string) ([]scimclient.User, error) {
	return slices.DeleteFunc(valuesByKey(m.users), func(u scimclient.User) bool { return !sameFolded(u.UserName, name) }), ctx.Err()
}

func (m memory) FindGroups(ctx context.Context, name string) ([]scimclient.Group, error) {
	return slices.DeleteFunc(valuesByKey(m.groups), func(g scimclient.Group) bool { return !sameFolded(g.DisplayName, name) }), ctx.Err()
}

func valuesByKey[V any](m map[string]V) []V {
	out := make([]V, 0, len(m))
	for _, k := range sortedKeys(m) {
		out = append(out, m[k])
	}
	return out
}

func notRemembered(op, path string) error {
	return &scimclient.Error{Op: op, Method: http.MethodGet, Path: path, Status: http.StatusNotFound, SCIM: true, Detail: "not in the ledger"}
}
