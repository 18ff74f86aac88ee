package web

import (
	"encoding/csv"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/rootly-idp-sync/rootly-idp-sync/reconcile"
)

func (s *Site) pageNow(w http.ResponseWriter, r *http.Request, c call) error {
	st, err := s.status(r.Context())
	if err != nil {
		return err
	}
	s.render(w, r, c, http.StatusOK, "now", "Now", st)
	return nil
}

// A listPage is a filter's form, what it chose and the way to the other pages.
type listPage struct {
	Query url.Values
	Prev  string
	Next  string
	Data  any
}

func (s *Site) newListPage(r *http.Request, page, pages int, data any) listPage {
	q := r.URL.Query()
	to := func(n int) string {
		if n < 1 || n > pages {
			return ""
		}
		next := url.Values{}
		for k, v := range q {
			next[k] = v
		}
		next.Set("page", strconv.Itoa(n))
		return s.base + r.URL.Path + "?" + next.Encode()
	}
	return listPage{Query: q, Prev: to(page - 1), Next: to(page + 1), Data: data}
}

func (s *Site) pagePlan(w http.ResponseWriter, r *http.Request, c call) error {
	f := planFilter(r.URL.Query())
	v := s.planView(f)
	held, err := s.held(r.Context())
	if err != nil {
		return err
	}
	var open []Held
	for _, h := range held {
		if h.Open() || h.State == "approved" {
			open = append(open, h)
		}
	}
	s.render(w, r, c, http.StatusOK, "plan", "Plan", struct {
		PlanView
		Held    []Held
		Filter  PlanFilter
		Narrow  bool
		Reasons []reconcile.Why
		Verbs   []reconcile.Verb
		List    listPage
	}{v, open, f, f.narrow(), reconcile.Reasons(), []reconcile.Verb{
		reconcile.VerbLink, reconcile.VerbCreate, reconcile.VerbReactivate, reconcile.VerbUpdate, reconcile.VerbAdd, reconcile.VerbRemove, reconcile.VerbDeactivate, reconcile.VerbDelete,
	}, s.newListPage(r, v.Changes.Page, v.Changes.Pages, nil)})
	return nil
}

func (s *Site) pagePeople(w http.ResponseWriter, r *http.Request, c call) error {
	return s.pageList(w, r, c, "people", "People", peopleOf)
}

func (s *Site) pageGroups(w http.ResponseWriter, r *http.Request, c call) error {
	return s.pageList(w, r, c, "groups", "Groups", groupsOf)
}

func (s *Site) pageList(w http.ResponseWriter, r *http.Request, c call, name, title string, of func(*roster) []Row) error {
	list, err := s.list(r, of)
	if err != nil {
		return err
	}
	s.render(w, r, c, http.StatusOK, name, title, s.newListPage(r, list.Page, list.Pages, list))
	return nil
}

func (s *Site) pagePerson(w http.ResponseWriter, r *http.Request, c call) error {
	d, err := s.person(r.Context(), r.PathValue("id"))
	if err != nil {
		return err
	}
	s.render(w, r, c, http.StatusOK, "detail", reconcile.Visible(d.Name), detailPage{d, reconcile.KindUser, listPage{}})
	return nil
}

func (s *Site) pageGroup(w http.ResponseWriter, r *http.Request, c call) error {
	d, err := s.group(r.Context(), r.PathValue("id"), number(r.FormValue("page")))
	if err != nil {
		return err
	}
	p := detailPage{Detail: d, Kind: reconcile.KindGroup}
	if d.Members != nil {
		p.List = s.newListPage(r, d.Members.Page, d.Members.Pages, nil)
	}
	s.render(w, r, c, http.StatusOK, "detail", reconcile.Visible(d.Name), p)
	return nil
}

type detailPage struct {
	Detail
	Kind reconcile.Kind
	List listPage
}

// charted is how many cycles the chart has.
const charted = 60

func (s *Site) pageHistory(w http.ResponseWriter, r *http.Request, c call) error {
	until, err := moment(r.FormValue("until"))
	if err != nil {
		return err
	}
	list, err := s.cycles(r.Context(), until, charted+1)
	if err != nil {
		return err
	}
	older := ""
	if len(list) > charted {
		// The moment is rounded up to a second, so the next page begins where this one ends or one row above.
		last := list[charted-1].Started.Truncate(time.Second).Add(time.Second)
		if list = list[:charted]; until.IsZero() || last.Before(until) {
			older = s.base + "/history?until=" + url.QueryEscape(machine(last))
		}
	}
	s.render(w, r, c, http.StatusOK, "history", "History", struct {
		Cycles []Cycle
		Chart  chart
		Older  string
		Past   bool
	}{list, newChart(list), older, !until.IsZero()})
	return nil
}

func (s *Site) pageCycle(w http.ResponseWriter, r *http.Request, c call) error {
	id, err := strconv.ParseInt(r.PathValue("id"), 10, 64)
	if err != nil {
		return refusal{http.StatusNotFound, errors.New("a cycle has a number (the history lists them)")}
	}
	cycle, changes, err := s.cycle(r.Context(), id)
	if err != nil {
		return err
	}
	list := pageOf(changes, number(r.FormValue("page")))
	s.render(w, r, c, http.StatusOK, "cycle", fmt.Sprintf("Cycle %d", id), struct {
		Cycle
		Changes Page[Past]
		List    listPage
	}{cycle, list, s.newListPage(r, list.Page, list.Pages, nil)})
	return nil
}

func (s *Site) pageConfig(w http.ResponseWriter, r *http.Request, c call) error {
	text := ""
	err := s.live.Use(func(p Pipeline) error { text = string(p.Config); return nil })
	if err != nil {
		return err
	}
	state := s.daemon.State()
	s.render(w, r, c, http.StatusOK, "config", "Configuration", struct {
		Text, Reload string
		Restart      []string
	}{text, state.ReloadError, state.RestartNeeded})
	return nil
}

func (s *Site) pageHeld(w http.ResponseWriter, r *http.Request, c call) error {
	h, err := s.heldSet(r.Context(), r.PathValue("fingerprint"))
	if err != nil {
		return err
	}
	s.render(w, r, c, http.StatusOK, "held", "Held changes", heldPage{Held: h})
	return nil
}

type heldPage struct {
	Held
	Problem string // what was missing in the form
	Said    string // as whose decision it was to be recorded
}

func (s *Site) postApprove(w http.ResponseWriter, r *http.Request, c call) error {
	fingerprint := r.PathValue("fingerprint")
	by, err := c.who.recorded(r.FormValue("by"))
	if err != nil {
		h, missing := s.heldSet(r.Context(), fingerprint)
		if missing != nil {
			return missing
		}
		s.render(w, r, c, http.StatusBadRequest, "held", "Held changes", heldPage{h, title(err.Error()), r.FormValue("by")})
		return nil
	}
	if _, err := s.approve(r.Context(), fingerprint, by, r.FormValue("include_on_call") == "yes"); err != nil {
		return err
	}
	http.Redirect(w, r, s.base+"/held/"+url.PathEscape(fingerprint), http.StatusSeeOther)
	return nil
}

func (s *Site) postCycle(w http.ResponseWriter, r *http.Request, c call) error {
	s.runNow(c)
	http.Redirect(w, r, s.base+"/", http.StatusSeeOther)
	return nil
}

func (s *Site) pageLogin(w http.ResponseWriter, r *http.Request, c call) error {
	s.render(w, r, c, http.StatusOK, "login", "Sign in", "/login/begin?back="+url.QueryEscape(local(r.FormValue("back"))))
	return nil
}

func (s *Site) metrics(w http.ResponseWriter, r *http.Request, _ call) error {
	s.scraped.ServeHTTP(w, r)
	return nil
}

func (s *Site) exportCycles(w http.ResponseWriter, r *http.Request, _ call) error {
	until, err := moment(r.FormValue("until"))
	if err != nil {
		return err
	}
	list, err := s.cycles(r.Context(), until, maxCycles)
	if err != nil {
		return err
	}
	rows := [][]string{{"cycle", "started", "finished", "seconds", "result", "planned", "done", "failed", "held", "skipped", "error", "note"}}
	for _, c := range list {
		finished := ""
		if !c.Finished.IsZero() {
			finished = machine(c.Finished)
		}
		rows = append(rows, []string{
			fmt.Sprint(c.ID), machine(c.Started), finished, fmt.Sprint(c.Seconds), c.Result, fmt.Sprint(c.Planned), fmt.Sprint(c.Done), fmt.Sprint(c.Failed),
			fmt.Sprint(c.Held), fmt.Sprint(c.Skipped), c.Error, c.Note,
		})
	}
	return writeCSV(w, "cycles.csv", rows)
}

func (s *Site) exportChanges(w http.ResponseWriter, r *http.Request, _ call) error {
	id, err := strconv.ParseInt(r.PathValue("id"), 10, 64)
	if err != nil {
		return refusal{http.StatusNotFound, errors.New("a cycle has a number (the history lists them)")}
	}
	_, changes, err := s.cycle(r.Context(), id)
	if err != nil {
		return err
	}
	rows := [][]string{{"cycle", "at", "verb", "kind", "id", "target", "name", "why", "detail", "fields", "members", "outcome", "error"}}
	for _, c := range changes {
		var fields, members []string
		for _, f := range c.Fields {
			fields = append(fields, fmt.Sprintf("%s: %q → %q", f.Name, f.From, f.To))
		}
		for _, m := range c.Members {
			members = append(members, m.User.Name)
		}
		o := c.Object
		rows = append(rows, []string{
			fmt.Sprint(c.Cycle), machine(c.At), string(c.Verb), string(o.Kind), o.Source, o.Target, o.Name, string(c.Why), c.Detail, strings.Join(fields, "; "),
			strings.Join(members, "; "), string(c.Outcome), c.Error,
		})
	}
	return writeCSV(w, fmt.Sprintf("cycle-%d.csv", id), rows)
}

// writeCSV makes a download. A cell that a spreadsheet would take for a formula gets a quote before it.
func writeCSV(w http.ResponseWriter, name string, rows [][]string) error {
	w.Header().Set("Content-Type", "text/csv; charset=utf-8")
	w.Header().Set("Content-Disposition", `attachment; filename="`+name+`"`)
	out := csv.NewWriter(w)
	for _, row := range rows {
		for i, cell := range row {
			if cell != "" && strings.ContainsRune("=+-@\t\r", rune(cell[0])) {
				row[i] = "'" + cell
			}
		}
		if err := out.Write(row); err != nil {
			return nil // who asked has gone
		}
	}
	out.Flush()
	return nil
}
