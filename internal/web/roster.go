package web

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
	"github.com/rootly-idp-sync/rootly-idp-sync/reconcile"
)

// The states of people in lists: what the last cycle left.
const (
	StateActive      = "active"
	StateDeactivated = "deactivated"
	StateAbsent      = "not managed" // in the directory, and nobody of ours in Rootly
	StatePushed      = "pushed"      // of groups
	StateUnowned     = "unowned"     // in Rootly, and nobody's here: never touched
)

// What may be asked for beside a state: words that several states have in common, and those of notes.
const (
	onlyManaged = "managed" // of ours, whatever their state
	onlyFrozen  = "frozen"  // left exactly as they are
	onlyHeld    = "held"
	onlyEscrow  = "escrow"
	onlyPinned  = "pinned"
)

// peopleStates and groupStates are what lists can be narrowed to.
var (
	peopleStates = []string{onlyManaged, StateActive, StateDeactivated, StateUnowned, StateAbsent, onlyFrozen, onlyHeld, onlyEscrow, onlyPinned}
	groupStates  = []string{StatePushed, StateUnowned, StateAbsent, onlyFrozen, onlyHeld, onlyEscrow, onlyPinned}
)

// A Row is one person or group of a list.
type Row struct {
	ID     string `json:"id" doc:"The directory's id; empty for what is unowned."`
	Target string `json:"target,omitempty" doc:"The SCIM id in Rootly."`
	Name   string `json:"name" doc:"The userName or the group's name."`
	Full   string `json:"fullName,omitempty"`
	Email  string `json:"email,omitempty"`
	State  string `json:"state" doc:"What the last cycle left in Rootly: active, deactivated, unowned or not managed of people, pushed, unowned or not managed of groups."`
	Status string `json:"status,omitempty" doc:"The account in the directory: active, staged, disabled; empty when it is not listed."`
	Count  int    `json:"members,omitempty" doc:"Members in the directory, of a group."`
	Note   string `json:"note,omitempty" doc:"What waits: frozen, held, escrow, pinned."`

	key string // what is searched
}

// A roster is everybody the last good cycle knew of, with what is searched ready.
type roster struct {
	people, groups []Row // sorted by name
	personAt       map[string]int
	groupAt        map[string]int
	snapshot       connectors.Snapshot
	taken          time.Time // the snapshot, zero when there is none
	ledger         reconcile.Ledger
}

// rosterLife is how long a roster nobody asks for stays in memory.
const rosterLife = 10 * time.Minute

// A rosterCache keeps the last roster. It is made when somebody asks and forgotten when a cycle ends; a cycle of another
// process shows by its number.
type rosterCache struct {
	mu    sync.Mutex
	r     *roster
	cycle int64 // the newest on record when it was made
	idle  *time.Timer
}

func (c *rosterCache) forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.r = nil
}

// drop forgets it for good.
func (c *rosterCache) drop() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.r = nil
	if c.idle != nil {
		c.idle.Stop()
	}
}

// of returns the roster of the pipeline's records.
func (c *rosterCache) of(ctx context.Context, records Records, newest int64, seen *Seen) (*roster, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.idle == nil {
		c.idle = time.AfterFunc(rosterLife, c.forget)
	} else {
		c.idle.Reset(rosterLife)
	}
	if c.r != nil && c.cycle == newest {
		return c.r, nil
	}
	r, err := newRoster(ctx, records, seen)
	if err != nil {
		return nil, err
	}
	c.r, c.cycle = r, newest
	return r, nil
}

func newRoster(ctx context.Context, records Records, seen *Seen) (*roster, error) {
	ledger, err := records.Ledger(ctx)
	if err != nil {
		return nil, err
	}
	snap, taken, err := records.Previous(ctx)
	if err != nil {
		return nil, err
	}
	r := &roster{ledger: ledger, taken: taken}
	if snap != nil {
		r.snapshot = *snap
	}
	waiting := map[string]bool{}
	for _, w := range ledger.Waiting {
		waiting[string(w.Kind)+w.Source] = true
	}
	held := map[string]bool{}
	if seen != nil {
		for _, c := range seen.Plan.Held {
			held[string(c.Object.Kind)+c.Object.Source] = true
		}
	}
	frozen := frozenBy(seen)
	note := func(kind reconcile.Kind, id string) string {
		var out []string
		if frozen[string(kind)+id] {
			out = append(out, onlyFrozen)
		}
		if held[string(kind)+id] {
			out = append(out, onlyHeld)
		}
		if waiting[string(kind)+id] {
			out = append(out, onlyEscrow)
		}
		if ledger.Pinned[id] {
			out = append(out, onlyPinned)
		}
		return strings.Join(out, ", ")
	}
	r.readPeople(note)
	r.readGroups(note)
	if seen != nil {
		r.readUnowned(seen.Unowned)
	}
	r.personAt, r.groupAt = index(r.people), index(r.groups)
	return r, nil
}

// frozenBy are those whom a plan leaves as they are because of what a note says of them.
func frozenBy(seen *Seen) map[string]bool {
	out := map[string]bool{}
	if seen == nil {
		return out
	}
	for _, n := range seen.Plan.Notes {
		switch n.Kind {
		case reconcile.NoteConflict, reconcile.NoteUnmapped, reconcile.NoteProtected, reconcile.NotePinned:
			out[string(n.Object.Kind)+n.Object.Source] = true
		}
	}
	return out
}

// readUnowned adds what is in Rootly and nobody's here.
func (r *roster) readUnowned(refs []reconcile.Ref) {
	for _, o := range refs {
		row := Row{Target: o.Target, Name: o.Name, State: StateUnowned}
		if o.Kind == reconcile.KindGroup {
			r.groups = append(r.groups, row)
		} else {
			r.people = append(r.people, row)
		}
	}
}

func (r *roster) readPeople(note func(reconcile.Kind, string) string) {
	listed := make(map[connectors.UserID]bool, len(r.snapshot.Users))
	r.people = make([]Row, 0, max(len(r.snapshot.Users), len(r.ledger.Users)))
	for i := range r.snapshot.Users {
		u := &r.snapshot.Users[i]
		listed[u.ID] = true
		full := u.DisplayName
		if full == "" {
			full = strings.TrimSpace(u.GivenName + " " + u.FamilyName)
		}
		row := Row{ID: string(u.ID), Name: u.UserName, Full: full, Email: u.Email, Status: string(u.Status), State: StateAbsent}
		if link, ok := r.ledger.Users[u.ID]; ok {
			row.link(link)
		}
		row.Note = note(reconcile.KindUser, row.ID)
		r.people = append(r.people, row)
	}
	for id, link := range r.ledger.Users {
		if !listed[id] {
			row := Row{ID: string(id), Note: note(reconcile.KindUser, string(id))}
			row.link(link)
			r.people = append(r.people, row)
		}
	}
}

// link is what the ledger knows of a person: the account in Rootly as it was last seen to.
func (row *Row) link(l reconcile.Link) {
	row.Target, row.State = l.Target, StateDeactivated
	if u := l.User; u != nil {
		if u.Active {
			row.State = StateActive
		}
		row.Name, row.Full, row.Email = cmp.Or(u.UserName, row.Name), cmp.Or(u.DisplayName, row.Full), cmp.Or(u.Email, row.Email)
	}
}

func (r *roster) readGroups(note func(reconcile.Kind, string) string) {
	listed := map[connectors.GroupID]bool{}
	for i := range r.snapshot.Groups {
		g := &r.snapshot.Groups[i]
		listed[g.ID] = true
		row := Row{ID: string(g.ID), Name: g.Name, Email: g.Email, Status: "listed", Count: len(g.Members), State: StateAbsent, Note: note(reconcile.KindGroup, string(g.ID))}
		if link, ok := r.ledger.Groups[g.ID]; ok {
			row.Target, row.State = link.Target, StatePushed
		}
		r.groups = append(r.groups, row)
	}
	for id, link := range r.ledger.Groups {
		if !listed[id] {
			row := Row{ID: string(id), Target: link.Target, State: StatePushed, Note: note(reconcile.KindGroup, string(id))}
			if link.Group != nil {
				row.Name = link.Group.DisplayName
			}
			r.groups = append(r.groups, row)
		}
	}
}

// index sorts rows by name and finds them by either id.
func index(rows []Row) map[string]int {
	for i := range rows {
		row := &rows[i]
		row.key = connectors.Fold(strings.Join([]string{row.Name, row.Full, row.Email, row.ID, row.Target}, "\n"))
	}
	slices.SortFunc(rows, func(a, b Row) int {
		return cmp.Or(strings.Compare(a.key, b.key), strings.Compare(a.ID, b.ID), strings.Compare(a.Target, b.Target))
	})
	at := make(map[string]int, 2*len(rows))
	for i, row := range rows {
		if row.Target != "" {
			at[row.Target] = i
		}
	}
	for i, row := range rows {
		if row.ID != "" {
			at[row.ID] = i // which goes before a SCIM id that is spelled alike
		}
	}
	return at
}

// search returns the rows in which each word of the query occurs, and that are in the state if one is given.
func search(rows []Row, query, state string) []Row {
	words := strings.Fields(connectors.Fold(query))
	if len(words) == 0 && state == "" {
		return rows
	}
	var out []Row
rows:
	for _, row := range rows {
		if state != "" && !row.is(state) {
			continue
		}
		for _, w := range words {
			if !strings.Contains(row.key, w) {
				continue rows
			}
		}
		out = append(out, row)
	}
	return out
}

// is tells whether a row is what a list is narrowed to.
func (row *Row) is(state string) bool {
	return row.State == state || strings.Contains(row.Note, state) || state == onlyManaged && row.Target != "" && row.State != StateUnowned
}

// Path is the id that leads to the row's own page.
func (row Row) Path() string { return cmp.Or(row.ID, row.Target) }

// person finds somebody by directory id or SCIM id.
func (r *roster) person(id string) (Row, bool) { return lookup(r.people, r.personAt, id) }

func (r *roster) group(id string) (Row, bool) { return lookup(r.groups, r.groupAt, id) }

func lookup(rows []Row, at map[string]int, id string) (Row, bool) {
	i, ok := at[id]
	if !ok {
		return Row{}, false
	}
	return rows[i], true
}

// user is the person in the directory's answer, nil when it does not list them.
func (r *roster) user(id string) *connectors.User {
	i, ok := slices.BinarySearchFunc(r.snapshot.Users, connectors.UserID(id), func(u connectors.User, id connectors.UserID) int { return cmp.Compare(u.ID, id) })
	if !ok {
		return nil
	}
	return &r.snapshot.Users[i]
}

func (r *roster) sourceGroup(id string) *connectors.Group {
	i := slices.IndexFunc(r.snapshot.Groups, func(g connectors.Group) bool { return string(g.ID) == id })
	if i < 0 {
		return nil
	}
	return &r.snapshot.Groups[i]
}

// groupsOf are the groups that have somebody among their members.
func (r *roster) groupsOf(id string) []Row {
	var out []Row
	for i := range r.snapshot.Groups {
		g := &r.snapshot.Groups[i]
		if _, in := slices.BinarySearch(g.Members, connectors.UserID(id)); in {
			if row, ok := r.group(string(g.ID)); ok {
				out = append(out, row)
			}
		}
	}
	slices.SortFunc(out, func(a, b Row) int { return strings.Compare(a.key, b.key) })
	return out
}

// members are the people whom a page of ids means.
func (r *roster) members(ids Page[connectors.UserID]) *Page[Row] {
	out := Page[Row]{Items: []Row{}, Total: ids.Total, Page: ids.Page, Pages: ids.Pages}
	for _, id := range ids.Items {
		row, ok := r.person(string(id))
		if !ok {
			row = Row{ID: string(id), Name: string(id), State: StateAbsent}
		}
		out.Items = append(out.Items, row)
	}
	return &out
}
