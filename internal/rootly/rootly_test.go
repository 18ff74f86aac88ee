package rootly

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
	"github.com/rootly-idp-sync/rootly-idp-sync/internal/sim"
	"github.com/rootly-idp-sync/rootly-idp-sync/reconcile"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// An office is a simulated Rootly with people and a client for its API.
type office struct {
	t      *testing.T
	sim    *sim.Sim
	client *Client
	now    time.Time
}

func open(t *testing.T, people ...string) *office {
	t.Helper()
	o := &office{t: t, sim: sim.New(sim.Config{Seed: 1, People: -1, Groups: -1, Rootly: sim.RootlyOptions{MaxPage: 2}}), now: time.Now()}
	ends, transport := o.sim.InProcess()
	o.client = newClient(t, Options{BaseURL: ends.RootlyURL, APIKey: func() string { return ends.RootlyAPIKey }, Transport: transport, Now: func() time.Time { return o.now }})
	for _, p := range people {
		if _, err := o.sim.SCIM.AddUser(sim.SCIMUser{UserName: p, Active: true}); err != nil {
			t.Fatal(err)
		}
	}
	return o
}

func newClient(t *testing.T, o Options) *Client {
	t.Helper()
	c, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func (o *office) must(err error) {
	o.t.Helper()
	if err != nil {
		o.t.Fatal(err)
	}
}

func (o *office) duties(people ...string) (map[connectors.UserID]reconcile.Duty, error) {
	var leavers []reconcile.Leaver
	for _, p := range people {
		leavers = append(leavers, reconcile.Leaver{ID: connectors.UserID("id-" + p), Addresses: []string{p}})
	}
	return o.client.Duties(o.t.Context(), leavers, o.now, o.now.AddDate(0, 0, 7))
}

func TestDutiesOfEverybodyWhoLeaves(t *testing.T) {
	o := open(t, "ann@acme.example", "bo@acme.example", "cy@acme.example", "di@acme.example", "ed@acme.example")
	starts, ends := o.now.Add(-time.Hour).Truncate(time.Second), o.now.Add(time.Hour).Truncate(time.Second)
	o.must(o.sim.Rootly.AddSchedule("Payments primary", "bo@acme.example", "cy@acme.example", "di@acme.example"))
	o.must(o.sim.Rootly.AddSchedule("Search", "cy@acme.example"))
	o.must(o.sim.Rootly.AddShift("Payments primary", "ann@acme.example", starts, ends))
	o.must(o.sim.Rootly.AddShift("Search", "bo@acme.example", o.now.AddDate(0, 0, 8), o.now.AddDate(0, 0, 9)))
	o.must(o.sim.Rootly.AddPolicy("Payments", "Search", "di@acme.example"))
	got, err := o.duties("ANN@acme.example", "bo@acme.example", "cy@acme.example", "di@acme.example", "ed@acme.example", "nobody@acme.example")
	if err != nil {
		t.Fatal(err)
	}
	for id, d := range got {
		for i := range d.Shifts {
			d.Shifts[i].Starts, d.Shifts[i].Ends = d.Shifts[i].Starts.UTC(), d.Shifts[i].Ends.UTC()
		}
		got[id] = d
	}
	want := map[connectors.UserID]reconcile.Duty{
		"id-ANN@acme.example": {Shifts: []reconcile.Shift{{Schedule: "Payments primary", Starts: starts.UTC(), Ends: ends.UTC()}}},
		"id-bo@acme.example":  {Rotations: []string{"Payments primary"}},
		"id-cy@acme.example":  {Rotations: []string{"Payments primary", "Search"}},
		"id-di@acme.example":  {Rotations: []string{"Payments primary"}, Escalations: []string{"Payments (level 1)"}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("duties (-want +got):\n%s", diff)
	}
}

func TestThePersonIsFoundByAnyAddressOfTheAccount(t *testing.T) {
	o := open(t, "new@acme.example")
	o.must(o.sim.Rootly.AddSchedule("Search", "new@acme.example"))
	got, err := o.client.Duties(t.Context(), []reconcile.Leaver{{ID: "1", Addresses: []string{"old@acme.example", "new@acme.example"}}}, o.now, o.now)
	if err != nil || !slices.Equal(got["1"].Rotations, []string{"Search"}) {
		t.Errorf("%v, %v", got, err)
	}
}

func TestTwoLeaversWhoShareAnAddressAreBothPaged(t *testing.T) {
	o := open(t, "ops@acme.example")
	o.must(o.sim.Rootly.AddSchedule("Search", "ops@acme.example"))
	o.must(o.sim.Rootly.AddShift("Search", "ops@acme.example", o.now.Add(-time.Hour), o.now.Add(time.Hour)))
	got, err := o.client.Duties(t.Context(), []reconcile.Leaver{{ID: "1", Addresses: []string{"a@acme.example", "ops@acme.example"}}, {ID: "2", Addresses: []string{"ops@acme.example"}}}, o.now, o.now.Add(time.Hour))
	if err != nil || len(got["1"].Shifts) != 1 || len(got["2"].Shifts) != 1 {
		t.Errorf("%v, %v", got, err)
	}
}

func TestAQuestionCostsOneLookUpEachOneCallForFiftyAndOneScan(t *testing.T) {
	var people []string
	for i := range 120 {
		people = append(people, fmt.Sprintf("p%03d@acme.example", i))
	}
	o := open(t, people...)
	o.must(o.sim.Rootly.AddSchedule("Search", people[0]))
	o.must(o.sim.Rootly.AddPolicy("Search", "Search", people[1]))
	count := func() map[string]int {
		out := map[string]int{}
		for _, e := range o.sim.Log.Entries() {
			out[strings.Split(e.Path, "/")[2]]++
		}
		return out
	}
	ask := func() map[string]int {
		o.sim.Log.Reset()
		if _, err := o.duties(people...); err != nil {
			t.Fatal(err)
		}
		return count()
	}
	first := map[string]int{"users": 120, "shifts": 3, "schedules": 2, "schedule_rotations": 1, "escalation_policies": 2, "escalation_paths": 1}
	if diff := cmp.Diff(first, ask()); diff != "" {
		t.Errorf("requests (-want +got):\n%s", diff)
	}
	o.now = o.now.Add(rotaLife - time.Second)
	if diff := cmp.Diff(map[string]int{"users": 120, "shifts": 3}, ask()); diff != "" {
		t.Errorf("requests while the scan is young (-want +got):\n%s", diff)
	}
	o.now = o.now.Add(time.Second)
	if diff := cmp.Diff(first, ask()); diff != "" {
		t.Errorf("requests once it is too old (-want +got):\n%s", diff)
	}
	o.sim.Log.Reset()
	if got, err := o.duties("stranger@acme.example"); err != nil || len(got) > 0 || count()["users"] != 1 || len(count()) != 1 {
		t.Errorf("a stranger: %v, %v, %v", got, err, count())
	}
}

func TestAFilterThatIsIgnoredStillFindsThePerson(t *testing.T) {
	o := open(t, "ann@acme.example", "bo@acme.example", "cy@acme.example", "di@acme.example", "ed@acme.example")
	inner := o.client.http.Transport
	o.client.http.Transport = roundTrip(func(r *http.Request) (*http.Response, error) {
		q := r.URL.Query()
		q.Del("filter[email]")
		r.URL.RawQuery = q.Encode()
		return inner.RoundTrip(r)
	})
	users, err := o.client.Users(t.Context(), "ed@acme.example")
	if err != nil || len(users) != 1 || users[0].Email != "ed@acme.example" {
		t.Errorf("%v, %v", users, err)
	}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// TestFaults plays each fault on the named family of paths once or for good.
func TestFaults(t *testing.T) {
	tests := map[string]struct {
		path  string
		fault sim.Fault
		times int
		want  string // in the error; "" for none
	}{
		"one 503 passes":              {"/v1/users", sim.Refusal(503), 1, ""},
		"one cut passes":              {"/v1/shifts", sim.Cut(), 1, ""},
		"one broken body passes":      {"/v1/shifts", sim.CutInBody(), 1, ""},
		"429 is waited for":           {"/v1/users", sim.TooMany(""), 2, ""},
		"429 in seconds":              {"/v1/users", sim.TooMany("3"), 1, ""},
		"down":                        {"/v1/users", sim.Gateway(502), 0, "rootly api: 502 looking up a user"},
		"429 without end":             {"/v1/users", sim.TooMany("1"), 0, "rootly api: 429 looking up a user: Too Many Requests"},
		"the connection is cut":       {"/v1/shifts", sim.Cut(), 0, "rootly api: listing shifts: no answer: "},
		"the key is revoked":          {"/v1/users", sim.Refusal(401), 0, "(the API key is wrong or revoked: make another in Rootly and set rootly.api_key)"},
		"the key may not":             {"/v1/escalation_policies", sim.Refusal(403), 0, "403 listing escalation policies: Forbidden (the API key may not do this"},
		"shifts are not there":        {"/v1/shifts", sim.Refusal(404), 0, "404 listing shifts: Not Found (check rootly.api_url"},
		"an empty 200":                {"/v1/users", sim.Body(""), 0, "it is no JSON document of a listing"},
		"null":                        {"/v1/shifts", sim.Body("null"), 0, "it has no data"},
		"no list":                     {"/v1/shifts", sim.NoListKey(), 0, "it has no data"},
		"204":                         {"/v1/users", sim.NoContent(), 0, "204 looking up a user"},
		"a web page":                  {"/v1/users", sim.HTMLPage(), 0, "it is no JSON document of a listing"},
		"an error with 200":           {"/v1/shifts", sim.ErrorWith200(), 0, "it has no data"},
		"half a document":             {"/v1/schedules", sim.TruncatedJSON(), 0, "it is no JSON document of a listing"},
		"a null among users":          {"/v1/users", sim.NullElement(), 0, "an object has no id"},
		"a null among shifts":         {"/v1/shifts", sim.NullElement(), 0, "an object has no id"},
		"a null among policies":       {"/v1/escalation_policies", sim.NullElement(), 0, "an object has no id"},
		"an empty page, more to come": {"/v1/schedules", sim.EmptyPage(), 0, "an empty page is followed by another one"},
		"the first page again":        {"/v1/schedules", sim.RepeatPage(), 0, "a page came twice"},
		"no links":                    {"/v1/users", sim.Body(`{"data":[]}`), 0, "it does not say whether there is another page"},
		"a shift of nobody":           {"/v1/shifts", sim.Body(`{"data":[{"id":"1","attributes":{"schedule_id":"s","starts_at":"2026-01-01T00:00:00Z","ends_at":"2026-01-02T00:00:00Z"}}]}`), 0, "a shift lacks its user or its schedule"},
		"a shift without times":       {"/v1/shifts", sim.Body(`{"data":[{"id":"1","attributes":{"schedule_id":"s"},"relationships":{"user":{"data":{"id":"401"}}}}]}`), 0, "a shift does not end after it starts"},
		"a shift at no time":          {"/v1/shifts", sim.Body(`{"data":[{"id":"1","attributes":{"schedule_id":"s","starts_at":"soon","ends_at":"later"}}]}`), 0, "listing shifts: the answer was damaged"},
		"no attributes":               {"/v1/schedules", sim.Body(`{"data":[{"id":"1"}],"links":{"next":null}}`), 0, "an object has no attributes"},
		"more shifts than pages":      {"/v1/shifts", sim.Body(`{"data":[],"links":{"next":"x"}}`), 0, "a listing without pages names another page"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := open(t, "ann@acme.example", "bo@acme.example")
				for _, s := range []string{"A", "B", "C"} {
					o.must(o.sim.Rootly.AddSchedule(s, "bo@acme.example"))
					o.must(o.sim.Rootly.AddPolicy(s, s, "bo@acme.example"))
				}
				o.must(o.sim.Rootly.AddShift("A", "ann@acme.example", o.now.Add(-time.Hour), o.now.Add(time.Hour)))
				o.sim.Faults.Add(sim.Rule{Side: sim.SideRootly, Path: tc.path, Times: tc.times, Fault: tc.fault})
				got, err := o.duties("ann@acme.example")
				switch {
				case tc.want == "" && (err != nil || len(got["id-ann@acme.example"].Shifts) != 1):
					t.Errorf("%v, %v", got, err)
				case tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want) || got != nil):
					t.Errorf("%v, error %v, want %q", got, err, tc.want)
				}
				if refused := strings.Contains(name, "key"); err != nil && refused != unauthorized(err) {
					t.Errorf("unauthorized is %v", !refused)
				}
			})
		})
	}
}

func unauthorized(err error) bool {
	e, ok := errors.AsType[*Error](err)
	return ok && e.Unauthorized()
}

func TestAQuestionEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := open(t, "ann@acme.example")
		o.sim.Faults.Add(sim.Rule{Side: sim.SideRootly, Fault: sim.Latency(time.Hour)})
		start := time.Now()
		if _, err := o.duties("ann@acme.example"); err == nil || time.Since(start) > dutyTime {
			t.Errorf("%v after %v", err, time.Since(start))
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := o.client.Users(ctx, "ann@acme.example"); err == nil {
			t.Error("a cancelled question has an answer")
		}
	})
}

func TestRateLimitsAreReadInEveryForm(t *testing.T) {
	now := time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)
	c := newClient(t, Options{APIKey: func() string { return "k" }, Now: func() time.Time { return now }})
	for name, tc := range map[string]struct {
		header http.Header
		want   time.Duration
	}{
		"seconds":         {http.Header{"Retry-After": {"7"}}, 7 * time.Second},
		"a date":          {http.Header{"Retry-After": {now.Add(9 * time.Second).Format(http.TimeFormat)}}, 9 * time.Second},
		"Rootly's epoch":  {http.Header{"Ratelimit-Reset": {fmt.Sprint(now.Unix() + 30)}}, 30 * time.Second},
		"neither":         {http.Header{}, 0},
		"not understood":  {http.Header{"Retry-After": {"soon"}, "Ratelimit-Reset": {"later"}}, 0},
		"more than a day": {http.Header{"Retry-After": {"99999999"}}, time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			if got := c.asked(tc.header); got != tc.want {
				t.Errorf("%v, want %v", got, tc.want)
			}
		})
	}
}

// TestTheKeyStaysHere sends the client to a server that redirects, repeats the key and breaks the connection.
func TestTheKeyStaysHere(t *testing.T) {
	const key = "rootly-canary-key"
	elsewhere := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		t.Errorf("a redirect was followed: %s %v", r.URL, r.Header)
	}))
	defer elsewhere.Close()
	for name, answer := range map[string]http.HandlerFunc{
		"redirect": func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, elsewhere.URL, http.StatusFound) },
		"echo": func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(422)
			io.WriteString(w, `{"errors":[{"title":"bad `+r.Header.Get("Authorization")+`"}]}`)
		},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(answer)
			defer server.Close()
			c := newClient(t, Options{BaseURL: server.URL, APIKey: func() string { return key }, Transport: server.Client().Transport})
			err := c.Check(t.Context())
			if err == nil || strings.Contains(err.Error(), key) {
				t.Errorf("error %v", err)
			}
		})
	}
}

func TestCheckIsOneSmallRequest(t *testing.T) {
	o := open(t)
	if err := o.client.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	if e := o.sim.Log.Entries(); len(e) != 1 || !strings.Contains(e[0].Query, "page%5Bsize%5D=1") {
		t.Errorf("requests: %v", e)
	}
	o.client.opts.APIKey = func() string { return "" }
	if err := o.client.Check(t.Context()); err == nil || !strings.Contains(err.Error(), "set rootly.api_key") {
		t.Errorf("error %v", err)
	}
}

func TestNewSaysWhatIsMissing(t *testing.T) {
	key := func() string { return "k" }
	for want, o := range map[string]Options{
		"no API key":     {},
		"no web address": {APIKey: key, BaseURL: "api.rootly.com"},
	} {
		if _, err := New(o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
}
