package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"time"

	"github.com/spf13/cobra"

	"github.com/rootly-idp-sync/rootly-idp-sync/config"
	"github.com/rootly-idp-sync/rootly-idp-sync/internal/daemon"
	"github.com/rootly-idp-sync/rootly-idp-sync/reconcile"
)

func (a *app) newRun() *cobra.Command {
	var once bool
	logs := logFormat("auto")
	cmd := &cobra.Command{
		Use:   "run",
		Short: "Sync on a schedule until it is stopped (the daemon)",
		Long: `Runs a cycle whenever the configuration's schedule says so, unattended. mode in the configuration says
what a cycle does: observe plans and reports and never writes to Rootly, apply writes. There is no
default.

SIGTERM and an interrupt end it: nothing new is sent, what is under way ends and is recorded; a second
one ends it at once. SIGHUP loads the configuration again, and so does a change of its files; both
between two cycles. SIGUSR1 begins a cycle now. Logs go to standard error: text on a terminal, JSON
elsewhere. --log-level is info unless given.

With --once it runs one cycle and ends, as a CronJob wants it; a quarantine is heeded.

With ha.mode several replicas choose one that runs the cycles; the others stand by. One that loses the lead
sends nothing more and ends with code 1, for its supervisor to start it again.

With --config-dir each file NAME.yaml of the directory is a pipeline of its own: one process runs all of them
side by side, each with its schedule, state and lease. What the process has once, http and health, is in
process.yaml there. With --once each runs one cycle; the exit code is the worst.
` + exitHelp + `0 stopped in good order; 1 failed; with --once those of sync.`,
		Example: `  rootly-idp-sync run
  rootly-idp-sync run --once --log-format json
  rootly-idp-sync run --config-dir /etc/rootly-idp-sync`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := a.logAsService(logs, cmd.Flags().Changed("log-level")); err != nil {
				return err
			}
			switch {
			case a.manyPipelines() && once:
				return a.runAllOnce(cmd.Context())
			case a.manyPipelines():
				return a.runAll(cmd.Context())
			case a.directory != nil && !once:
				return errors.New("run takes all pipelines of --config-dir (leave --pipeline out; with --once it may be one of them)")
			}
			d := a.newService()
			a.allow = d.Allow
			if once {
				return a.runOnce(cmd.Context(), d)
			}
			defer heed(d)()
			err := d.Run(cmd.Context())
			if lost, ok := errors.AsType[*daemon.LostError](err); ok {
				a.log.Error("this replica no longer leads", "error", lost.Cause)
				return exitFailed
			}
			return err
		},
	}
	cmd.Flags().BoolVar(&once, "once", false, "run one cycle and end")
	cmd.Flags().Var(&logs, "log-format", "how logs are written: auto, text or json")
	return cmd
}

// signalled is a daemon, or several.
type signalled interface {
	RunNow()
	Reload()
}

// heed passes the signals that ask the daemon for something on to it, until stop is called.
func heed(d signalled) (stop func()) {
	signals, done := make(chan os.Signal, 4), make(chan struct{})
	for _, s := range [][]os.Signal{reloadSignals, runSignals} {
		if len(s) > 0 { // without any, Notify would take them all
			signal.Notify(signals, s...)
		}
	}
	go func() {
		defer close(done)
		for s := range signals {
			if len(runSignals) > 0 && s == runSignals[0] {
				d.RunNow()
			} else {
				d.Reload()
			}
		}
	}()
	return func() {
		signal.Stop(signals)
		close(signals)
		<-done
	}
}

func (a *app) runOnce(ctx context.Context, d *daemon.Daemon) error {
	report, err := d.Once(ctx)
	if report.Cycle == 0 {
		return err
	}
	if err != nil { // stopped on the way: what was done is told all the same
		a.complain(err)
	}
	code := codeOf(report)
	var shown result = report
	if d.State().Mode == string(config.ModeObserve) {
		shown = report.Plan
	}
	if err := a.show(shown, reconcile.TextOptions{}); err != nil {
		return err
	}
	return code.outcome()
}

// loadDaemon is the daemon's way to a pipeline: the configuration as it is now, opened, and the files that it is made of.
func (a *app) loadDaemon(ctx context.Context) (*daemon.Setup, []string, error) {
	// Also a configuration with problems names files, and one of them may be what mends it.
	cfg, path, err := a.readConfig()
	if path == "" {
		return nil, nil, err
	}
	files := []string{path}
	if cfg != nil {
		files = append(files, cfg.Files()...)
	}
	p, err := a.open(ctx)
	if clash, ok := errors.AsType[*clashError](err); ok {
		files = append(files, clash.path)
	}
	if err != nil {
		return nil, files, err
	}
	s, err := a.setup(p, path)
	if err == nil && a.site != nil {
		err = a.showOn(ctx, p)
	}
	if err != nil {
		return nil, files, errors.Join(err, p.close())
	}
	return s, files, nil
}

func (a *app) setup(p *pipeline, path string) (*daemon.Setup, error) {
	cfg := p.cfg
	if cfg.Mode == "" {
		return nil, fmt.Errorf("configuration %s: %w", path, config.Problems{cfg.Problem("mode", "is missing, and the daemon has no default",
			"write mode: observe (plans and reports, and never writes to Rootly) or mode: apply (writes what the guard lets through)")})
	}
	schedule, err := daemon.NewSchedule(cfg.Schedule, cfg.TimeZone, float64(cfg.Jitter))
	if err != nil {
		return nil, err
	}
	tell, err := a.teller(p)
	if err != nil {
		return nil, err
	}
	grace, health := time.Duration(cfg.Grace), cfg.Health
	if cfg.Pipeline != "" {
		health = config.Health{} // the process answers for all of its pipelines
	}
	return &daemon.Setup{
		Settings: daemon.Settings{
			Mode: string(cfg.Mode), Schedule: schedule, RunAtStart: cfg.RunAtStart, Grace: grace, HealthListen: health.Listen,
			Metrics: health.Metrics, Fixed: fixedOf(cfg), Fingerprint: cfg.Fingerprint(),
			ElectionTime: 2 * cfg.HA.LeaseDuration.Std(),
		},
		Memory: p.memory,
		Notify: tell,
		Elect:  a.elector(cfg),
		Close: func() error {
			if a.site != nil && p.shown != nil {
				a.site.Drop(p.shown)
			}
			return p.close()
		},
		Cycle: func(ctx context.Context, w daemon.Watch) (reconcile.Report, error) {
			return p.cycle(ctx, a.now, cycleOptions{
				observe: cfg.Mode == config.ModeObserve,
				settle:  grace * 4 / 5, // the rest is for the records
				planned: func(plan reconcile.Plan) error {
					a.noteUnasked(cfg, plan)
					w.Planned(len(plan.Changes))
					if a.site != nil {
						a.site.Planned(plan)
					}
					return nil
				},
				progress: func(done, total int, _ reconcile.Change) { w.Progress(done, total) },
			})
		},
	}, nil
}

// A logFormat is how logs are written.
type logFormat string

// String is the format.
func (f *logFormat) String() string { return string(*f) }

// Set takes one of the formats.
func (f *logFormat) Set(s string) error {
	switch s {
	case "auto", "text", "json":
		*f = logFormat(s)
		return nil
	}
	return errors.New("it is none of auto, text, json")
}

// Type names the flag's value in help texts.
func (f *logFormat) Type() string { return "format" }

// logAsService makes everything that is told beside results a line of the log.
func (a *app) logAsService(f logFormat, levelGiven bool) error {
	level := slog.LevelInfo
	if levelGiven {
		if err := level.UnmarshalText([]byte(a.flags.logLevel)); err != nil {
			return err
		}
	}
	if f == "json" || f == "auto" && !terminal(a.Err) {
		a.log = slog.New(slog.NewJSONHandler(a.Err, &slog.HandlerOptions{Level: level, ReplaceAttr: seconds}))
	} else {
		a.log = slog.New(slog.NewTextHandler(a.Err, &slog.HandlerOptions{Level: level}))
	}
	a.service.Store(true)
	return nil
}

// seconds writes durations of JSON logs as the number of seconds, where slog writes nanoseconds.
func seconds(_ []string, attr slog.Attr) slog.Attr {
	if attr.Value.Kind() == slog.KindDuration {
		attr.Value = slog.Float64Value(attr.Value.Duration().Seconds())
	}
	return attr
}
