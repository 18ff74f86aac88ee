package web

import (
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
)

func userID(id string) connectors.UserID   { return connectors.UserID(id) }
func groupID(id string) connectors.GroupID { return connectors.GroupID(id) }

//go:embed openapi.json
var openAPI []byte

// apiRoutes are the same as the pages, for programs. openapi.json describes them, and a test holds it to them.
func (s *Site) apiRoutes() []route {
	get := func(path string, f func(r *http.Request) (any, error)) route {
		return route{"GET", apiPrefix + path, RoleViewer, func(w http.ResponseWriter, r *http.Request, _ call) error {
			v, err := f(r)
			if err != nil {
				return err
			}
			return writeJSON(w, http.StatusOK, v)
		}}
	}
	return []route{
		get("status", func(r *http.Request) (any, error) { return s.status(r.Context()) }),
		get("plan", func(r *http.Request) (any, error) { return s.planView(planFilter(r.URL.Query())), nil }),
		get("people", func(r *http.Request) (any, error) { return s.list(r, peopleOf) }),
		get("people/{id}", func(r *http.Request) (any, error) { return s.person(r.Context(), r.PathValue("id")) }),
		get("groups", func(r *http.Request) (any, error) { return s.list(r, groupsOf) }),
		get("groups/{id}", func(r *http.Request) (any, error) {
			return s.group(r.Context(), r.PathValue("id"), number(r.FormValue("page")))
		}),
		get("cycles", s.apiCycles),
		get("cycles/{id}", s.apiCycle),
		get("held", func(r *http.Request) (any, error) {
			held, err := s.held(r.Context())
			return heldList{held}, err
		}),
		get("escrow", func(r *http.Request) (any, error) {
			waiting, err := s.escrow(r.Context())
			return escrowList{waiting}, err
		}),
		get("config", s.apiConfig),
		{"GET", apiPrefix + "openapi.json", RoleNobody, func(w http.ResponseWriter, _ *http.Request, _ call) error {
			w.Header().Set("Content-Type", "application/json")
			_, _ = w.Write(openAPI) // who asked may have gone
			return nil
		}},
		{"POST", apiPrefix + "cycles", RoleApprover, s.apiRun},
		{"POST", apiPrefix + "held/{fingerprint}/approve", RoleApprover, s.apiApprove},
		{"", apiPrefix, RoleViewer, func(http.ResponseWriter, *http.Request, call) error {
			return refusal{http.StatusNotFound, errors.New("there is no such thing here (/api/v1/openapi.json lists what there is)")}
		}},
	}
}

type heldList struct {
	Items []Held `json:"items"`
}

type escrowList struct {
	Items []Wait `json:"items"`
}

type cycleList struct {
	Items []Cycle `json:"items" doc:"The newest first."`
}

// A Begun is the answer to an order to run.
type Begun struct {
	Accepted bool     `json:"accepted"`
	Progress Progress `json:"progress" doc:"As it was when the order was taken; /events has what follows."`
}

// An ApprovalRequest is the body of an approval.
type ApprovalRequest struct {
	By            string `json:"by,omitempty" doc:"Who decides, for the record; ignored for somebody who has signed in."`
	IncludeOnCall bool   `json:"includeOnCall,omitempty" doc:"Releases somebody whom Rootly pages. Such a set needs it, no other takes it."`
}

func writeJSON(w http.ResponseWriter, status int, v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(append(data, '\n')) // who asked may have gone
	return nil
}

// number is a page's or a cycle's number, 0 for none.
func number(text string) int {
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 {
		return 0
	}
	return n
}

func peopleOf(r *roster) []Row { return r.people }
func groupsOf(r *roster) []Row { return r.groups }

// list is the page of people or groups that a request asks for.
func (s *Site) list(r *http.Request, of func(*roster) []Row) (Page[Row], error) {
	var out Page[Row]
	q := r.URL.Query()
	err := s.onRoster(r.Context(), func(_ Pipeline, all *roster) error {
		out = pageOf(search(of(all), q.Get("q"), q.Get("state")), number(q.Get("page")))
		return nil
	})
	return out, err
}

// maxCycles bounds what one request may ask for.
const maxCycles = 1000

func (s *Site) apiCycles(r *http.Request) (any, error) {
	until, err := moment(r.FormValue("until"))
	if err != nil {
		return nil, err
	}
	limit := number(r.FormValue("limit"))
	if limit == 0 {
		limit = perPage
	}
	list, err := s.cycles(r.Context(), until, min(limit, maxCycles))
	return cycleList{list}, err
}

func moment(text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return t, refusal{http.StatusBadRequest, fmt.Errorf("%q is no moment (write one such as 2026-05-04T09:00:00Z)", text)}
	}
	return t, nil
}

func (s *Site) apiCycle(r *http.Request) (any, error) {
	id, err := strconv.ParseInt(r.PathValue("id"), 10, 64)
	if err != nil {
		return nil, refusal{http.StatusNotFound, errors.New("a cycle has a number (the history lists them)")}
	}
	c, changes, err := s.cycle(r.Context(), id)
	return CycleDetail{c, pageOf(changes, number(r.FormValue("page")))}, err
}

// apiConfig is the effective configuration, which is masked YAML, as JSON.
func (s *Site) apiConfig(*http.Request) (any, error) {
	out := map[string]any{}
	err := s.live.Use(func(p Pipeline) error { return yaml.Unmarshal(p.Config, &out) })
	return out, err
}

func (s *Site) apiRun(w http.ResponseWriter, _ *http.Request, c call) error {
	s.runNow(c)
	return writeJSON(w, http.StatusAccepted, Begun{true, progressOf(s.daemon.State(), s.now())})
}

func (s *Site) runNow(c call) {
	s.log.Info("cycle asked for over HTTP", "by", c.who.Name, "how", c.who.How)
	s.daemon.RunNow()
}

func (s *Site) apiApprove(w http.ResponseWriter, r *http.Request, c call) error {
	var in ApprovalRequest
	dec := json.NewDecoder(r.Body)
	dec.DisallowUnknownFields()
	if err := dec.Decode(&in); err != nil {
		return refusal{http.StatusBadRequest, fmt.Errorf("the body is not what an approval needs: %w (send {\"by\": \"your name\"})", err)}
	}
	by, err := c.who.recorded(in.By)
	if err != nil {
		return refusal{http.StatusBadRequest, err}
	}
	h, err := s.approve(r.Context(), r.PathValue("fingerprint"), by, in.IncludeOnCall)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, h)
}
