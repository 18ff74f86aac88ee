// Package app is the command line: the verbs, what they print, and the wiring of configuration, directory, store and
// target into a cycle. It links no directory's SDK; the openers it is given do.
package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/rootly-idp-sync/rootly-idp-sync/config"
	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
	"github.com/rootly-idp-sync/rootly-idp-sync/internal/store"
	"github.com/rootly-idp-sync/rootly-idp-sync/internal/trace"
	"github.com/rootly-idp-sync/rootly-idp-sync/internal/web"
	"github.com/rootly-idp-sync/rootly-idp-sync/reconcile"
)

// An Opener makes the connector of one kind of directory. It sends nothing.
type Opener func(cfg *config.Config, o OpenOptions) (connectors.Connector, error)

// OpenOptions are what a connector is given beside its configuration.
type OpenOptions struct {
	Query connectors.Query
	Log   *slog.Logger
	// Watch is what Transport puts round a transport, which may be nil; it may be nil itself.
	Watch func(base http.RoundTripper) http.RoundTripper
	// Observe is told of each operation of a protocol other than HTTP, and how it ended; nil if nobody is.
	Observe func(ctx context.Context, operation, host string) (ended func(result string, ok bool))
}

// Transport is base, nil for Go's own, with whatever watches the requests to the directory; base itself if nothing does.
func (o OpenOptions) Transport(base http.RoundTripper) http.RoundTripper {
	if o.Watch == nil {
		return base
	}
	return o.Watch(base)
}

// Stdio are the streams of a run. Results go to Out, everything else to Err.
type Stdio struct {
	In  io.Reader
	Out io.Writer
	Err io.Writer
}

// Exit codes. Every command's help names those it can end with.
const (
	exitDone    exitCode = 0 // done, or nothing to do
	exitFailed  exitCode = 1
	exitPending exitCode = 2 // plan --detailed-exitcode: there are changes
	exitDrift   exitCode = 3 // status --fail-on-drift: somebody edited Rootly by hand
	exitHeld    exitCode = 4 // the guard holds changes
	exitPartial exitCode = 5 // applied in part
)

// An exitCode ends a run that has said everything already.
type exitCode int

func (c exitCode) Error() string { return fmt.Sprintf("exit code %d", int(c)) }

// outcome is the error that makes cobra's run end with the code.
func (c exitCode) outcome() error {
	if c == exitDone {
		return nil
	}
	return c
}

// app is one run of the program.
type app struct {
	Stdio
	openers map[string]Opener
	now     func() time.Time
	flags   flags
	log     *slog.Logger
	palette reconcile.Palette
	// allow is asked before each write to Rootly; nil outside the daemon.
	allow func() error
	// stateless is what state: none remembers: a configuration that is loaded again goes on with it.
	stateless *store.Memory
	site      *web.Site     // of the daemon, nil where no daemon is shown
	tracer    *trace.Tracer // nil unless the environment asks for traces
	traced    bool          // it was asked
	service   atomic.Bool   // nobody watches: what would be told to them goes to the log
	// directory is that of --config-dir, nil without it. The pipelines of one process share it.
	directory *directory
	yield     func(ctx context.Context, retry time.Duration) error // before a lease is taken, nil without --config-dir
}

type flags struct {
	config   string
	dir      string
	pipeline string
	output   format
	logLevel string
	noColor  bool
	quiet    bool
}

// Main runs the command line and returns its exit code. The first interrupt or SIGTERM ends the run in good order, a second
// one ends the process at once. openers are named as in the configuration's source section.
func Main(ctx context.Context, args []string, std Stdio, openers map[string]Opener) int {
	a := &app{Stdio: std, openers: openers, now: time.Now}
	ctx, stop := a.interruptible(ctx)
	defer stop()
	root := a.root()
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	a.endTracing()
	if code, ok := errors.AsType[exitCode](err); ok {
		return int(code)
	}
	if err != nil {
		a.complain(err)
		return int(exitFailed)
	}
	return int(exitDone)
}

// Command is the command line without a directory, for what describes it.
func Command() *cobra.Command { return (&app{}).root() }

// interruptible ends the context with the first interrupt or SIGTERM, and the process with the second. The signals do not
// get their usual effect back in between: for process 1 of a container they have none.
func (a *app) interruptible(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	signals, done := make(chan os.Signal, 2), make(chan struct{})
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		for told := false; ; told = true {
			select {
			case s := <-signals:
				if told {
					os.Exit(exitCodeOf(s))
				}
				a.sayStopping(s)
				cancel()
			case <-done:
				return
			}
		}
	}()
	return ctx, func() {
		signal.Stop(signals)
		close(done)
		cancel()
	}
}

// exitCodeOf is the exit code that shells give to a process that a signal ended.
func exitCodeOf(s os.Signal) int {
	if n, ok := s.(syscall.Signal); ok {
		return 128 + int(n)
	}
	return int(exitFailed)
}

func (a *app) sayStopping(s os.Signal) {
	if a.service.Load() {
		a.log.Info("stopping: requests under way are finished, the rest is recorded for the next run", "signal", s.String())
		return
	}
	fmt.Fprintln(a.Err, "\nStopping: requests under way are finished, the rest is recorded for the next run. Interrupt again to stop at once.")
}

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "rootly-idp-sync",
		Short: "Bring the people and groups of a directory into Rootly",
		Long: `rootly-idp-sync reads the people and groups of your directory, compares them with what Rootly
holds, shows the difference with a reason for every change, and applies it over SCIM.

The way in:
  rootly-idp-sync demo        a simulated company, nothing to set up
  rootly-idp-sync init        write a configuration
  rootly-idp-sync doctor      prove that both sides can be read
  rootly-idp-sync plan        what a sync would change, and why
  rootly-idp-sync sync        change it

And then:
  rootly-idp-sync run         sync on a schedule, unattended
  rootly-idp-sync explain     one person or group: what happens, and why
  rootly-idp-sync adopt       how a Rootly that already has people fits the directory
  rootly-idp-sync approve     say yes to changes that the guard holds
  rootly-idp-sync undo        take back what an earlier sync did

Results go to standard output, everything else to standard error.`,
		Example: `  rootly-idp-sync plan --config acme.yaml
  rootly-idp-sync sync --dry-run --output markdown`,
		Args:              cobra.NoArgs,
		RunE:              func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
		PersistentPreRunE: func(*cobra.Command, []string) error { return a.prepare() },
		SilenceErrors:     true,
		SilenceUsage:      true,
	}
	root.SetIn(a.In)
	root.SetOut(a.Out)
	root.SetErr(a.Err)
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return fmt.Errorf("%w (%s --help lists the flags)", err, cmd.CommandPath())
	})

	pf := root.PersistentFlags()
	pf.StringVarP(&a.flags.config, "config", "c", "", "configuration file (default rootly-idp-sync.yaml, .yml, .toml or .json here)")
	pf.StringVar(&a.flags.dir, "config-dir", "", "directory with a configuration NAME.yaml for each of several pipelines, in place of --config")
	pf.StringVar(&a.flags.pipeline, "pipeline", "", "which pipeline of --config-dir")
	pf.VarP(&a.flags.output, "output", "o", "how results are written: text, json or markdown")
	pf.StringVar(&a.flags.logLevel, "log-level", "warn", "debug, info, warn or error")
	pf.BoolVar(&a.flags.noColor, "no-color", false, "no colour on a terminal either (also NO_COLOR)")
	pf.BoolVarP(&a.flags.quiet, "quiet", "q", false, "no notes and no progress")

	root.AddCommand(
		a.newInit(), a.newValidate(), a.newDoctor(), a.newSources(), a.newPlan(), a.newApply(), a.newSync(), a.newRun(), a.newStatus(), a.newHealth(),
		a.newExplain(), a.newAdopt(), a.newApprove(), a.newHistory(), a.newEscrow(), a.newUndo(), a.newNotify(), a.newConfig(), a.newDemo(), a.newVersion(),
	)
	return root
}

// prepare turns the global flags into what commands use.
func (a *app) prepare() error {
	var level slog.Level
	if err := level.UnmarshalText([]byte(a.flags.logLevel)); err != nil {
		return fmt.Errorf("--log-level %q is none of debug, info, warn, error", a.flags.logLevel)
	}
	a.log = slog.New(slog.NewTextHandler(a.Err, &slog.HandlerOptions{Level: level}))
	if err := a.chooseConfig(); err != nil {
		return err
	}
	a.palette = reconcile.Palette{}
	if _, off := os.LookupEnv("NO_COLOR"); !off && !a.flags.noColor && terminal(a.Out) {
		a.palette = colours(a.Out)
	}
	return nil
}

// note tells something that is neither a result nor an error.
func (a *app) note(format string, args ...any) {
	switch {
	case a.service.Load():
		a.log.Info(reconcile.Visible(fmt.Sprintf(format, args...)))
	case !a.flags.quiet:
		fmt.Fprintln(a.Err, reconcile.Visible(fmt.Sprintf(format, args...)))
	}
}

const exitHelp = `
Exit codes: `
