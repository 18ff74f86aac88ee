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
	"strings"
	"testing"
	"time"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
)

// toy is a directory of five people in pages of two, shaped like Graph and Google: the list has a key, and so has the
// token of the next page.
func toy(w http.ResponseWriter, r *http.Request) {
	pages := map[string]string{
		"":  `{"value":[{"id":"a"},{"id":"c"}],"next":"p2"}`,
		"2": `{"value":[{"id":"e"},{"id":"b"}],"next":"p3"}`,
		"3": `{"value":[{"id":"d"}]}`,
	}
	w.Header().Set("Content-Type", "application/json")
	fmt.Fprint(w, pages[strings.TrimPrefix(r.FormValue("token"), "p")])
}

// toyConnector reads the toy rightly, but for its defect.
type toyConnector struct {
	client http.Client
	defect string
}

func (*toyConnector) Name() string   { return "toy" }
func (*toyConnector) Tenant() string { return "toy:toy.test" }

func (c *toyConnector) Fetch(ctx context.Context) (connectors.Snapshot, error) {
	var users []connectors.User
	seen := map[string]bool{}
	for token := ""; ; {
		page, err := c.page(ctx, token)
		if err != nil {
			if c.defect == "returns a part" {
				return connectors.Snapshot{Users: users}, err
			}
			return connectors.Snapshot{}, err
		}
		for _, u := range *page.Value {
			if c.defect == "panics" && u == nil {
				panic("nobody")
			}
			if u == nil || u.ID == "" {
				return connectors.Snapshot{}, errors.New("toy: a person without id")
			}
			users = append(users, connectors.User{ID: connectors.UserID(u.ID)})
		}
		if page.Next == "" {
			break
		}
		if seen[page.Next] && c.defect != "loops" {
			return connectors.Snapshot{}, errors.New("toy: page repeated")
		}
		seen[page.Next], token = true, page.Next
	}
	if c.defect == "does not sort" {
		return connectors.Snapshot{Users: users}, nil
	}
	return connectors.NewSnapshot(users, nil)
}

type toyPage struct {
	Value *[]*struct{ ID string } `json:"value"`
	Next  string                  `json:"next"`
}

func (c *toyConnector) page(ctx context.Context, token string) (page toyPage, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://toy.test/people?token="+token, nil)
	if err != nil {
		return page, err
	}
	resp, err := c.client.Do(req)
	if err != nil {
		return page, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	switch {
	case err != nil && c.defect != "reads what is there":
		return page, err
	case resp.StatusCode == http.StatusTooManyRequests && c.defect == "sleeps on":
		time.Sleep(time.Minute)
		return c.page(ctx, token)
	case resp.StatusCode != http.StatusOK && (c.defect != "takes any status" || resp.StatusCode >= 400):
		return page, fmt.Errorf("toy: %d", resp.StatusCode)
	}
	err = json.Unmarshal(body, &page)
	switch {
	case c.defect == "reads what is there" || c.defect == "takes any status":
		err = nil
	case err == nil && page.Value == nil && c.defect != "needs no list":
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
		Server: func(testing.TB) http.Handler { return http.HandlerFunc(toy) },
		Want:   connectors.Snapshot{Users: []connectors.User{{ID: "a"}, {ID: "b"}, {ID: "c"}, {ID: "d"}, {ID: "e"}}},
		Lists:  []List{{Name: "people", Match: func(r *http.Request) bool { return r.URL.Path == "/people" }, Key: "value"}},
	}
}

// defectVariable tells the copy of this test binary which defect to run with.
const defectVariable = "CONNECTORTEST_DEFECT"

// TestRun holds the toy to the contract, with the defect that the environment names, if any.
func TestRun(t *testing.T) { Run(t, toyHarness(os.Getenv(defectVariable))) }

func TestRunCatchesDefects(t *testing.T) {
	tests := map[string]string{ // the defect and a case that fails for it
		"needs no list":       "people/first_page/list_missing",
		"takes any status":    "people/last_page/204",
		"reads what is there": "people/last_page/cut_inside_the_body",
		"loops":               "people/first_page_again",
		"panics":              "people/first_page/null_element",
		"returns a part":      "people/last_page/HTML_200",
		"does not sort":       "reads_everything",
		"sleeps on":           "cancellation/while_waiting_after_a_429",
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
