package app

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/rootly-idp-sync/rootly-idp-sync/config"
	"github.com/rootly-idp-sync/rootly-idp-sync/internal/daemon"
	"github.com/rootly-idp-sync/rootly-idp-sync/internal/web"
	"github.com/rootly-idp-sync/rootly-idp-sync/reconcile"
)

// of is the app of one pipeline of the directory. All of them trace to the same place.
func (a *app) of(pipeline string) *app {
	one := &app{
		Stdio: a.Stdio, openers: a.openers, now: a.now, flags: a.flags, palette: a.palette, directory: a.directory, log: a.log.With("pipeline", pipeline),
		tracer: a.tracer, traced: true,
	}
	one.flags.pipeline = pipeline
	one.service.Store(a.service.Load())
	return one
}

// runAll is run for all pipelines of the directory.
func (a *app) runAll(ctx context.Context) error {
	a.beginTracing(ctx)
	process, err := a.directory.reload()
	if err != nil {
		return err
	}
	for _, n := range process.Notes {
		a.note("note: %s", n)
	}
	if _, err := a.pipelines(); err != nil {
		return err
	}
	b := readBuild()
	var fleet *daemon.Fleet
	front := web.NewFront(web.Options{Log: a.log, Now: a.now, Build: web.Build{Version: b.Version, Commit: b.Commit, Go: b.Go}},
		func() []*daemon.Member { return fleet.Members() })
	access, err := accessOf(process.HTTP)
	if err == nil {
		err = front.Configure(access)
	}
	if err != nil {
		return err
	}
	o := daemon.FleetOptions{
		List: a.list, Log: a.log, Listen: process.Health.Listen, Files: a.processFiles(process),
		New: func(m *daemon.Member) *daemon.Daemon {
			site := front.Site(m.Name())
			one := a.of(m.Name())
			if site == nil {
				site = front.Add(m.Name(), m, web.Options{Log: one.log})
			}
			one.site, one.yield = site, fleet.Yield
			d := daemon.New(daemon.Options{Load: one.loadDaemon, Log: one.log, Now: a.now, Env: func(string) string { return "" }, Ended: site.Ended})
			one.allow = d.Allow
			return d
		},
		Removed: front.Remove,
		Reload: func(context.Context) ([]string, error) {
			before := process
			next, err := a.directory.reload()
			if err != nil {
				return nil, err
			}
			access, err := accessOf(next.HTTP)
			if err == nil {
				err = front.Configure(access)
			}
			if keys := restarts(before, next); len(keys) > 0 {
				a.log.Warn("what was changed takes effect with a restart", "keys", keys)
			}
			return a.processFiles(next), err
		},
		Serve: func() (stop func(), err error) {
			stop, err = front.Serve()
			return a.pageOrNone(stop, err, front.Listen())
		},
	}
	if process.Health.Metrics {
		o.Metrics = front.Metrics()
	}
	fleet = daemon.NewFleet(o)
	a.directory.atWork = func(name string) bool {
		return slices.ContainsFunc(fleet.Members(), func(m *daemon.Member) bool { return m.Name() == name })
	}
	defer heed(fleet)()
	err = fleet.Run(ctx)
	if lost, ok := errors.AsType[*daemon.LostError](err); ok {
		a.log.Error("this replica no longer leads", "error", lost.Cause)
		return exitFailed
	}
	return err
}

// pipelines are those of the directory, at least one.
func (a *app) pipelines() ([]string, error) {
	names, err := config.Pipelines(a.directory.path)
	if err == nil && len(names) == 0 {
		err = fmt.Errorf("%s holds no pipeline (write a configuration NAME.yaml for each)", a.directory.path)
	}
	return names, err
}

// list are the pipelines of the directory and their files.
func (a *app) list() (map[string]string, error) {
	names, err := config.Pipelines(a.directory.path)
	if err != nil {
		return nil, err
	}
	files := map[string]string{}
	for _, name := range names {
		files[name] = config.PipelinePath(a.directory.path, name)
	}
	return files, nil
}

// processFiles are what the process reads once for all pipelines.
func (a *app) processFiles(process *config.Config) []string {
	return append(process.Files(), filepath.Join(a.directory.path, config.ProcessFile))
}

// restarts are the keys that differ and that only a restart of the process changes.
func restarts(before, next *config.Config) []string {
	var keys []string
	for key, differs := range map[string]bool{
		"health.listen": before.Health.Listen != next.Health.Listen, "health.metrics": before.Health.Metrics != next.Health.Metrics,
		"http.listen": before.HTTP.Listen != next.HTTP.Listen, "http.cert_file": (before.HTTP.CertFile == "") != (next.HTTP.CertFile == ""),
	} {
		if differs {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	return keys
}

// atOnce is how many pipelines run --once runs side by side.
const atOnce = 4

// A share is what run --once came to for one pipeline.
type share struct {
	Pipeline string          `json:"pipeline"`
	Code     exitCode        `json:"exitCode"`
	Error    string          `json:"error,omitempty"`
	Report   json.RawMessage `json:"report,omitempty"`
	text     []byte
}

// runAllOnce runs one cycle of each pipeline, a few at a time, and ends with the worst code.
func (a *app) runAllOnce(ctx context.Context) error {
	a.beginTracing(ctx)
	names, err := a.pipelines()
	if err != nil {
		return err
	}
	shares := make([]share, len(names))
	var g errgroup.Group
	g.SetLimit(atOnce)
	for i, name := range names {
		g.Go(func() error {
			shares[i] = a.of(name).once(ctx)
			return nil
		})
	}
	_ = g.Wait() // each share has its own error
	worst := exitDone
	for _, s := range shares {
		if severity(s.Code) > severity(worst) {
			worst = s.Code
		}
	}
	if err := a.showShares(shares); err != nil {
		return err
	}
	return worst.outcome()
}

// once is run --once of one pipeline, its result kept for later.
func (a *app) once(ctx context.Context) share {
	var out bytes.Buffer
	a.Out, a.palette = &out, reconcile.Palette{}
	d := daemon.New(daemon.Options{Load: a.loadDaemon, Log: a.log, Now: a.now, Env: func(string) string { return "" }})
	a.allow = d.Allow
	s := share{Pipeline: a.flags.pipeline}
	err := a.runOnce(ctx, d)
	s.text = out.Bytes()
	switch code, coded := errors.AsType[exitCode](err); {
	case err == nil:
	case coded:
		s.Code = code
	default:
		s.Code, s.Error = exitFailed, err.Error()
		a.log.Error("no cycle was run", "error", err)
	}
	return s
}

// severity orders exit codes: what failed is worse than what was done in part, and that worse than what is held.
func severity(c exitCode) int {
	return slices.Index([]exitCode{exitDone, exitPending, exitDrift, exitHeld, exitPartial, exitFailed}, c)
}

// showShares writes what came of each pipeline under its name.
func (a *app) showShares(shares []share) error {
	if a.flags.output == formatJSON {
		for i := range shares {
			if json.Valid(shares[i].text) {
				shares[i].Report = shares[i].text
			}
		}
		return a.print(reconcile.Document(struct {
			Pipelines []share `json:"pipelines"`
		}{shares}))
	}
	heading := "== %s\n"
	if a.flags.output == formatMarkdown {
		heading = "# %s\n\n"
	}
	for _, s := range shares {
		fmt.Fprintf(a.Out, heading, s.Pipeline)
		if s.Error != "" {
			fmt.Fprintf(a.Out, "no cycle was run: %s\n", s.Error)
		}
		if _, err := io.Copy(a.Out, bytes.NewReader(s.text)); err != nil {
			return fmt.Errorf("write the result: %w", err)
		}
		fmt.Fprintln(a.Out)
	}
	return nil
}
