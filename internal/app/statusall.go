package app

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/rootly-idp-sync/rootly-idp-sync/internal/daemon"
	"github.com/rootly-idp-sync/rootly-idp-sync/internal/store"
	"github.com/rootly-idp-sync/rootly-idp-sync/reconcile"
)

// A pipelineStatus is a pipeline on one line.
type pipelineStatus struct {
	Pipeline   string `json:"pipeline"`
	Mode       string `json:"mode,omitempty"`
	Users      int    `json:"managedUsers"`
	Groups     int    `json:"managedGroups"`
	Last       string `json:"last,omitempty"` // how the last cycle on record ended
	Held       int    `json:"heldSets"`
	Quarantine bool   `json:"quarantine"`
	Drift      int    `json:"drift,omitempty"`
	Leader     string `json:"leader,omitempty"`
	Error      string `json:"error,omitempty"` // why it cannot be told, or does not run with the configuration on disk
}

// runStatusAll shows each pipeline of the directory on a line. One that cannot be shown fails the command after the others.
func (a *app) runStatusAll(ctx context.Context, drift bool) (code exitCode, err error) {
	names, err := a.pipelines()
	if err != nil {
		return exitFailed, err
	}
	var all []pipelineStatus
	section := pageSection{header: []string{"pipeline", "mode", "people", "groups", "last cycle", "held", "led by", "remarks"}}
	for _, name := range names {
		s, err := a.of(name).statusLine(ctx, drift)
		row := []string{name, s.Mode, fmt.Sprint(s.Users), fmt.Sprint(s.Groups), s.Last, fmt.Sprint(s.Held), s.Leader}
		if err != nil {
			code, s.Error, row = exitFailed, strings.ReplaceAll(err.Error(), "\n", "; "), []string{name, "", "", "", "", "", ""}
		}
		if s.Drift > 0 && code == exitDone {
			code = exitDrift
		}
		var remarks []string
		if s.Quarantine {
			remarks = append(remarks, "in quarantine")
		}
		if s.Drift > 0 {
			remarks = append(remarks, plural(s.Drift, "change sets back", "changes set back")+" what was edited by hand")
		}
		if s.Error != "" {
			remarks = append(remarks, s.Error)
		}
		all = append(all, s)
		section.rows = append(section.rows, append(row, strings.Join(remarks, "; ")))
	}
	p := page{title: plural(len(all), "pipeline", "pipelines") + " in " + a.directory.path, sections: []pageSection{section}, data: struct {
		Pipelines []pipelineStatus `json:"pipelines"`
	}{all}}
	return code, a.show(p, reconcile.TextOptions{})
}

// statusLine is the status of this pipeline. The error says why it cannot be told.
func (a *app) statusLine(ctx context.Context, drift bool) (pipelineStatus, error) {
	line := pipelineStatus{Pipeline: a.flags.pipeline}
	err := a.withStore(ctx, func(p *pipeline, st *store.Store) error {
		s, err := a.readStatus(ctx, p, st)
		if err != nil {
			return err
		}
		line.Mode, line.Users, line.Groups, line.Held, line.Quarantine = string(p.cfg.Mode), s.Users, s.Groups, openSets(s.Held), s.Quarantine != nil
		if len(s.Cycles) > 0 {
			line.Last = cyclesSection(s.Cycles[:1]).rows[0][8]
		}
		if d := s.Daemon; d != nil {
			if line.Error = d.ReloadError; d.Phase != daemon.PhaseStopped {
				line.Leader = d.Leader
			}
			if d.Last != nil {
				line.Last = fmt.Sprintf("%s %s", d.Last.Result, stamp(d.Last.Ended))
			}
		}
		if drift {
			plan, err := p.plan(ctx, a.now())
			line.Drift = len(drifted(plan))
			return err
		}
		return nil
	})
	if errors.Is(err, errStateless) {
		line.Error, err = "nothing is kept with state: none", nil
	}
	return line, err
}

func openSets(sets []heldStatus) (n int) {
	for _, h := range sets {
		if h.State == store.HeldWaiting || h.State == store.HeldLapsed {
			n++
		}
	}
	return n
}

// A validity is what validate says of a pipeline.
type validity struct {
	Pipeline string `json:"pipeline"`
	Valid    bool   `json:"valid"`
	Error    string `json:"error,omitempty"`
}

// validateAll checks every pipeline of the directory and what their process has once.
func (a *app) validateAll() error {
	if _, err := a.directory.loaded(); err != nil {
		return err
	}
	names, err := a.pipelines()
	if err != nil {
		return err
	}
	var all []validity
	var section pageSection
	wrong := 0
	for _, name := range names {
		v, mark, text := validity{Pipeline: name, Valid: true}, "✓", ""
		if _, err := a.of(name).validate(); err != nil {
			wrong++
			v.Valid, v.Error = false, err.Error()
			mark, text = "✗", strings.ReplaceAll(err.Error(), "\n", "; ")
		}
		all = append(all, v)
		section.rows = append(section.rows, []string{mark, name, text})
	}
	p := page{title: fmt.Sprintf("%d of %s valid.", len(names)-wrong, plural(len(names), "pipeline is", "pipelines are")), sections: []pageSection{section}, data: struct {
		Pipelines []validity `json:"pipelines"`
	}{all}}
	if err := a.show(p, reconcile.TextOptions{}); err != nil {
		return err
	}
	if wrong > 0 {
		return exitFailed
	}
	return nil
}
