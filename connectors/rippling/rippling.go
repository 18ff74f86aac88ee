// Package rippling reads people and groups from Rippling's REST API by plain HTTP: users for who may sign in, workers for
// who is employed and in which teams and department. A read is complete or it is an error.
package rippling

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
	"github.com/rootly-idp-sync/rootly-idp-sync/connectors/wire"
)

// vendor is the connector's name, with which its messages begin.
const vendor = "rippling"

var (
	_ connectors.Connector = (*Connector)(nil)
	_ connectors.Checker   = (*Connector)(nil)
	_ connectors.Finder    = (*Connector)(nil)
)

// A GroupKind says which of Rippling's objects are groups.
type GroupKind string

// The kinds of groups.
const (
	GroupTeams       GroupKind = "teams"
	GroupDepartments GroupKind = "departments"
	GroupBoth        GroupKind = "both"
)

// Options say which company is read, as whom, and what of it.
type Options struct {
	// APIToken is asked for on every request.
	APIToken func() string
	// Company is a lasting name of the company. Nothing in a token says whose it is, so this is what Tenant is made of.
	Company string
	// BaseURL is another address than https://rest.ripplingapis.com. Plain http is for loopback.
	BaseURL string
	// APIVersion is the dated version of the API that is asked for. "" is DefaultAPIVersion.
	APIVersion string

	Query connectors.Query
	// Groups says what counts as a group; "" is GroupTeams. With Nested the people of a team or department within
	// another one are members of that one too.
	Groups GroupKind
	Nested bool

	// Timeout bounds one request with its answer. 0 means 60 seconds.
	Timeout time.Duration
	// Transport carries the requests; nil means Go's own with the proxy of the environment.
	Transport http.RoundTripper
	// Log may be nil.
	Log *slog.Logger
}

// DefaultAPIVersion is the version whose answers this package reads.
const DefaultAPIVersion = "2024-08-01"

// A Connector reads one company.
//
// A person is a user of Rippling; workers say whether they are employed. A worker without a user, as before the first
// day, is nobody yet.
type Connector struct {
	client *client
	opts   Options
	scope  []connectors.GroupRef
	log    *slog.Logger

	resolved atomic.Pointer[[]connectors.GroupID] // the scope's groups, once they were found
	again    wire.Shared[staff]                   // for lookups
	known    wire.Shared[map[string]bool]         // ids of users, for lookups of one who is not found
}

// New checks the options and says everything that is missing or wrong at once. It sends nothing.
func New(o Options) (*Connector, error) {
	o.BaseURL = cmp.Or(o.BaseURL, "https://rest.ripplingapis.com")
	o.APIVersion = cmp.Or(o.APIVersion, DefaultAPIVersion)
	o.Groups = cmp.Or(o.Groups, GroupTeams)
	o.Timeout = cmp.Or(o.Timeout, time.Minute)
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	base, baseErr := parseBaseURL(o.BaseURL)
	scope, queryErr := parseQuery(o)
	if err := errors.Join(baseErr, queryErr, checkIdentity(o)); err != nil {
		return nil, err
	}
	return &Connector{client: newClient(o, base), opts: o, scope: scope, log: o.Log}, nil
}

// Name is "rippling".
func (c *Connector) Name() string { return vendor }

// Tenant is "rippling:" and the company's name.
func (c *Connector) Tenant() string { return "rippling:" + c.opts.Company }

// Stats count what a Connector did so far.
type Stats struct {
	Requests int           // sent, retries included
	Waited   time.Duration // for rate limits and between retries, summed over parallel requests
}

// Stats returns the counts since New.
func (c *Connector) Stats() Stats {
	return Stats{Requests: int(c.client.requests.Load()), Waited: c.client.pauses.Total()}
}

// Requests is how many requests were sent since New, retries included.
func (c *Connector) Requests() int { return c.Stats().Requests }

// Fetch reads everything the Query asks for. Where the listings contradict each other, as when somebody is hired between
// them, it reads again.
func (c *Connector) Fetch(ctx context.Context) (connectors.Snapshot, error) {
	c.again.Forget()
	c.known.Forget()
	r, err := settled(ctx, c.log, c.read)
	if err != nil {
		return connectors.Snapshot{}, err
	}
	users := make([]connectors.User, 0, len(r.users))
	for _, u := range r.users {
		person, err := c.neutralUser(u, r.staff)
		if err != nil {
			return connectors.Snapshot{}, err
		}
		users = append(users, person)
	}
	groups, err := c.wanted(r.staff)
	if err != nil {
		return connectors.Snapshot{}, err
	}
	if c.opts.Query.Mode == connectors.ScopeGroups {
		users = connectors.InScope(users, groups)
	}
	snap, err := connectors.NewSnapshot(users, groups)
	if err != nil {
		return connectors.Snapshot{}, fmt.Errorf("rippling: %w", err)
	}
	return snap, nil
}

// A reading is all listings of one read.
type reading struct {
	users []*user
	staff
}

// staff is who is employed where.
type staff struct {
	workers     map[string][]*worker // by user id, the deciding one first
	departments map[string]*unit
	teams       map[string]*unit // nil unless they are groups
	units       map[string]*unit // teams and departments that count as groups
	members     map[string][]connectors.UserID
}

// errChanged is in the chain of an error about listings that contradict each other.
var errChanged = errors.New("the listings contradict each other")

// maxReadings is how often a company that changes in mid-read is read from the start.
const maxReadings = 3

// settled reads until the listings fit together.
func settled[T any](ctx context.Context, log *slog.Logger, read func(context.Context) (T, error)) (T, error) {
	for nth := 1; ; nth++ {
		r, err := read(ctx)
		if !errors.Is(err, errChanged) || nth == maxReadings {
			return r, err
		}
		log.Info("the directory changed while it was read, reading again", "reading", nth, "because", err)
	}
}

// read lists the people and, beside them, the staff.
func (c *Connector) read(ctx context.Context) (r *reading, err error) {
	r = &reading{}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() (err error) {
		r.users, err = list(ctx, c.client, userListing, (*user).common)
		return err
	})
	g.Go(func() (err error) {
		r.staff, err = c.readStaff(ctx)
		return err
	})
	if err := g.Wait(); err != nil {
		return nil, err
	}
	return r, r.checkEmployed()
}

// readStaff lists workers, departments and, where teams are groups, teams side by side.
func (c *Connector) readStaff(ctx context.Context) (staff, error) {
	var (
		s       staff
		workers []*worker
	)
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() (err error) {
		workers, err = list(ctx, c.client, workerListing, (*worker).common)
		return err
	})
	g.Go(func() (err error) {
		s.departments, err = c.units(ctx, departmentListing)
		return err
	})
	if c.opts.Groups != GroupDepartments && c.wantsGroups() {
		g.Go(func() (err error) {
			s.teams, err = c.units(ctx, teamListing)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return staff{}, err
	}
	if err := s.employ(workers); err != nil {
		return staff{}, err
	}
	if err := s.checkTeams(workers); err != nil {
		return staff{}, err
	}
	s.units = c.groupUnits(s)
	s.members = c.members(s)
	return s, nil
}

// wantsGroups tells whether any group has to be read.
func (c *Connector) wantsGroups() bool { return len(c.scope)+len(c.opts.Query.Push) > 0 }

// employ gives the workers to their users.
func (s *staff) employ(workers []*worker) error {
	s.workers = make(map[string][]*worker, len(workers))
	for _, w := range workers {
		if _, ok := ranks[w.Status]; !ok {
			return fmt.Errorf("rippling: worker %s has the unknown status %q, so nothing was concluded", w.ID, w.Status)
		}
		if w.DepartmentID != "" && s.departments[w.DepartmentID] == nil && w.Status != terminated {
			return fmt.Errorf("rippling: worker %s is in department %s, which is not listed (run again; if it stays, let the token see every department): %w",
				w.ID, w.DepartmentID, errChanged)
		}
		if w.UserID != "" { // nobody yet, before the first day
			s.workers[w.UserID] = append(s.workers[w.UserID], w)
		}
	}
	for _, ws := range s.workers {
		slices.SortFunc(ws, (*worker).compare)
	}
	return nil
}

// checkTeams does not believe a listing of teams that lacks one with people in it, nor workers of whom none says in which
// teams they are: either would empty teams.
func (s *staff) checkTeams(workers []*worker) error {
	if s.teams == nil {
		return nil
	}
	told := len(s.teams) == 0 || len(workers) == 0
	for _, w := range workers {
		told = told || w.TeamIDs != nil
		for _, id := range w.TeamIDs {
			if s.teams[id] == nil && w.Status != terminated {
				return fmt.Errorf("rippling: worker %s is in team %s, which is not listed (run again; if it stays, let the token see every team): %w",
					w.ID, id, errChanged)
			}
		}
	}
	if !told {
		return &connectors.Error{Directory: vendor, Status: http.StatusOK, Step: workerListing.step, Err: connectors.ErrDamaged,
			Summary: "no worker says in which teams they are",
			Remedy:  "let the API token see teams_id of workers, put somebody into a team, or set groups: departments"}
	}
	return nil
}

// checkEmployed does not believe a listing of people that lacks somebody employed.
func (r *reading) checkEmployed() error {
	known := make(map[string]bool, len(r.users))
	for _, u := range r.users {
		known[u.ID] = true
	}
	for _, id := range slices.Sorted(maps.Keys(r.workers)) {
		if w := r.workers[id][0]; !known[id] && w.Status != terminated {
			return fmt.Errorf("rippling: worker %s is %s and their user %s is not listed (run again; if it stays, let the token see every user): %w",
				w.ID, w.Status, id, errChanged)
		}
	}
	return nil
}
