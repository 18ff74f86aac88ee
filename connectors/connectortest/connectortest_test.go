package connectortest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
)

// toy is a directory of five people and a team in pages of two, shaped like Graph and Google: the list has a key, and
// so has the token of the next page. Who is in gone has left for good.
type toy struct{ gone map[string]bool }

func (d toy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	kind, id, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	all := []string{"a", "c", "e", "b", "d"}
	switch {
	case kind == "people" && id == "":
	case kind == "people" && slices.Contains(all, id) && !d.gone[id]:
		fmt.Fprintf(w, `{"id":%q}`, id)
		return
	case kind == "teams" && id == "t" && !d.gone["t"]:
		all = []string{"c", "b", "a"}
	default:
		w.WriteHeader(http.StatusNotFound)
		fmt.Fprint(w, `{"code":"no such thing"}`)
		return
	}
	all = slices.DeleteFunc(all, func(id string) bool { return d.gone[id] })
	from, _ := strconv.Atoi(r.FormValue("token"))
	page := map[string]any{"value": []map[string]string{}}
	for _, id := range all[from:min(from+2, len(all))] {
		page["value"] = append(page["value"].([]map[string]string), map[string]string{"id": id})
	}
	if from+2 < len(all) {
		page["next"] = strconv.Itoa(from + 2)
	}
	w.Write(encode(page))
}

// toyConnector reads the toy rightly, but for its defect.
type toyConnector struct {
	client http.Client
	defect string
	last   connectors.Snapshot

	mu   sync.Mutex
	sent int
}

func (*toyConnector) Name() string   { return "toy" }
func (*toyConnector) Tenant() string { return "toy:toy.test" }
func (c *toyConnector) Requests() int {
	if c.defect == "counts nothing" {
		return 0
	}
	return c.sent
}

func (c *toyConnector) Fetch(ctx context.Context) (connectors.Snapshot, error) {
	people, err := c.list(ctx, "people")
	var users []connectors.User
	for _, id := range people {
		users = append(users, active(id))
	}
	if err != nil {
		if c.defect == "returns a part" {
			return connectors.Snapshot{Users: users}, err
		}
		return connectors.Snapshot{}, err
	}
	if c.defect == "does not sort" {
		return connectors.Snapshot{Users: users}, nil
	}
	team, err := c.list(ctx, "teams/t")
	if err != nil {
		return connectors.Snapshot{}, err
	}
	snap, err := connectors.NewSnapshot(users, []connectors.Group{{ID: "t", Name: "team", Scope: true, Members: team}})
	c.last = snap
	return snap, err
}

func active(id connectors.UserID) connectors.User {
	return connectors.User{ID: id, Status: connectors.StatusActive}
}

func (c *toyConnector) Lookup(ctx context.Context, id connectors.UserID) (connectors.Found, error) {
	if i := slices.IndexFunc(c.last.Users, func(u connectors.User) bool { return u.ID == id }); i >= 0 && c.defect == "looks into the snapshot" {
		return connectors.Found{Known: true, User: c.last.Users[i], InScopeGroup: slices.Contains(c.last.Groups[0].Members, id)}, nil
	}
	page, err := c.page(ctx, "people/"+string(id), "")
	switch {
	case errors.Is(err, errNone):
		return connectors.Found{}, nil
	case err != nil:
		return connectors.Found{}, err
	case page.ID != string(id) && c.defect != "believes anybody":
		return connectors.Found{}, errors.New("toy: somebody else")
	}
	team, err := c.list(ctx, "teams/t")
	if err != nil {
		if c.defect == "returns a part found" {
			return connectors.Found{Known: true, User: active(id)}, err
		}
		return connectors.Found{}, err
	}
	return connectors.Found{Known: true, User: active(id), InScopeGroup: slices.Contains(team, id)}, nil
}

func (c *toyConnector) Members(ctx context.Context, id connectors.GroupID) ([]connectors.UserID, bool, error) {
	members, err := c.list(ctx, "teams/"+string(id))
	switch {
	case errors.Is(err, errNone):
		return nil, false, nil
	case err != nil:
		return nil, false, err
	}
	slices.Sort(members)
	return members, true, nil
}

// list reads a listing. Beside an error it returns what it read before.
func (c *toyConnector) list(ctx context.Context, path string) (ids []connectors.UserID, err error) {
	seen := map[string]bool{}
	for token := ""; ; {
		page, err := c.page(ctx, path, token)
		if err != nil {
			return ids, err
		}
		for _, u := range *page.Value {
			if c.defect == "panics" && u == nil {
				panic("nobody")
			}
			if u == nil || u.ID == "" {
				return ids, errors.New("toy: a person without id")
			}
			ids = append(ids, connectors.UserID(u.ID))
		}
		if page.Next == "" {
			return ids, nil
		}
		if seen[page.Next] && c.defect != "loops" {
			return ids, errors.New("toy: page repeated")
		}
		seen[page.Next], token = true, page.Next
	}
}

// errNone is the toy's own word that there is no such thing.
var errNone = errors.New("toy: no such thing")

type toyPage struct {
	ID    string                  `json:"id"`
	Code  string                  `json:"code"`
	Value *[]*struct{ ID string } `json:"value"`
	Next  string                  `json:"next"`
}

func (c *toyConnector) page(ctx context.Context, path, token string) (page toyPage, err error) {
	if strings.HasSuffix(path, "/") {
		return page, errors.New("toy: no id")
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://toy.test/"+path+"?token="+token, nil)
	if err != nil {
		return page, err
	}
	c.mu.Lock()
	c.sent++
	c.mu.Unlock()
	resp, err := c.client.Do(req)
	switch {
	case err != nil && (c.defect == "never gets there" || connectors.Unreachable(err) && c.defect != "never knows"):
		return page, &connectors.Error{Directory: "toy", Err: connectors.ErrUnreachable, Summary: err.Error()}
	case err != nil:
		return page, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	switch {
	case err != nil && c.defect != "reads what is there":
		return page, err
	case resp.StatusCode == http.StatusTooManyRequests && c.defect == "sleeps on":
		time.Sleep(time.Minute)
		return c.page(ctx, path, token)
	case resp.StatusCode == http.StatusNotFound && (c.defect == "believes any 404" || json.Unmarshal(body, &page) == nil && page.Code == "no such thing"):
		return page, errNone
	case resp.StatusCode != http.StatusOK && (c.defect != "takes any status" || resp.StatusCode >= 400):
		e := &connectors.Error{Directory: "toy", Status: resp.StatusCode}
		switch c.defect {
		case "repeats what it hears":
			e.Summary = string(body)
		case "hides refusals":
			e.Status = http.StatusBadRequest
		}
		return page, e
	}
	err = json.Unmarshal(body, &page)
	switch {
	case c.defect == "reads what is there" || c.defect == "takes any status":
		err = nil
	case err == nil && page.Value == nil && page.ID == "" && c.defect != "needs no list":
		err = errors.New("toy: no list")
	}
	if page.Value == nil {
		page.Value = new([]*struct{ ID string })
	}
	return page, err
}

func toyHarness(defect string) Harness {
	return Harness{
		New: func(_ testing.TB, transport http.RoundTripper) connectors.Connector {
			return &toyConnector{client: http.Client{Transport: transport}, defect: defect}
		},
		Server: func(testing.TB) http.Handler { return toy{} },
		Want: connectors.Snapshot{
			Users:  []connectors.User{active("a"), active("b"), active("c"), active("d"), active("e")},
			Groups: []connectors.Group{{ID: "t", Name: "team", Scope: true, Members: []connectors.UserID{"a", "b", "c"}}},
		},
		Lists: []List{listOf("people", "/people"), listOf("team", "/teams/t")},
		Finder: &Finder{
			Lists:       []List{listOf("team", "/teams/t")},
			Objects:     []Object{{Name: "person", Match: func(r *http.Request) bool { return strings.HasPrefix(r.URL.Path, "/people/") }, Key: "id"}},
			UnknownUser: "x", UnknownGroup: "x",
			Live: func(testing.TB) Live {
				d := toy{gone: map[string]bool{}}
				return Live{
					Server:      d,
					Delete:      func(id connectors.UserID) { d.gone[string(id)] = true },
					Remove:      func(_ connectors.GroupID, id connectors.UserID) { d.gone[string(id)] = true },
					DeleteGroup: func(id connectors.GroupID) { d.gone[string(id)] = true },
				}
			},
		},
	}
}

func listOf(name, path string) List {
	return List{Name: name, Match: func(r *http.Request) bool { return r.URL.Path == path }, Key: "value"}
}

// defectVariable tells the copy of this test binary which defect to run with.
const defectVariable = "CONNECTORTEST_DEFECT"

// TestRun holds the toy to the contract, with the defect that the environment names, if any.
func TestRun(t *testing.T) {
	h := toyHarness(os.Getenv(defectVariable))
	Run(t, h)
	t.Run("trouble", func(t *testing.T) {
		RunTrouble(t, h.New, map[string]func(testing.TB) connectors.Connector{"a wrong token": func(tb testing.TB) connectors.Connector {
			return h.New(tb, Transport(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(http.StatusUnauthorized)
				io.WriteString(w, Canary)
			})))
		}})
	})
}

func TestRunCatchesDefects(t *testing.T) {
	tests := map[string]string{ // the defect and a case that fails for it
		"needs no list":       "people/first_page/list_missing",
		"takes any status":    "people/last_page/204",
		"reads what is there": "people/last_page/cut_inside_the_body",
		"loops":               "people/first_page_again",
		"panics":              "people/first_page/null_element",
		"returns a part":      "people/last_page/HTML_200",
		"does not sort":       "reads_everything",
		"counts nothing":      "reads_everything",
		"sleeps on":           "cancellation/while_waiting_after_a_429",

		"believes anybody":        "finder/Lookup/person/about_somebody_else",
		"believes any 404":        "finder/Lookup/person/404_not_of_the_directory,_HTML",
		"looks into the snapshot": "finder/changes/deleted",
		"returns a part found":    "finder/Lookup/team/204",

		"never gets there":      "trouble/cut_off",
		"never knows":           "trouble/nobody_listens",
		"hides refusals":        "trouble/a_wrong_token",
		"repeats what it hears": "trouble/a_wrong_token",
	}
	for defect, failing := range tests {
		t.Run(defect, func(t *testing.T) {
			t.Parallel()
			cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestRun$")
			cmd.Env = append(slices.Clone(os.Environ()), defectVariable+"="+defect)
			out, err := cmd.CombinedOutput()
			if _, failed := errors.AsType[*exec.ExitError](err); !failed || !strings.Contains(string(out), "--- FAIL: TestRun/"+failing) {
				t.Errorf("the defect passes as %s: %v\n%.2000s", failing, err, out)
			}
		})
	}
}
