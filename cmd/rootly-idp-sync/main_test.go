package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/testscript"
)

var update = flag.Bool("update", false, "write the golden files of the scripts anew")

func TestMain(m *testing.M) {
	testscript.Main(unhurried{m}, map[string]func(){"rootly-idp-sync": main, companyCommand: serveCompany})
}

// gcPercent is the GOGC of what lives for moments with a heap of few megabytes: starting a program would be a quarter
// garbage collection.
const gcPercent = 400

// unhurried runs tests that wait half of the time, for leases, for files to be looked at, for servers that come back: twice
// as many at once as there are processors, unless -parallel, which is read later, says otherwise.
type unhurried struct{ *testing.M }

func (u unhurried) Run() int {
	debug.SetGCPercent(gcPercent)
	if err := flag.Set("test.parallel", strconv.Itoa(2*runtime.GOMAXPROCS(0))); err != nil {
		panic(err)
	}
	code := u.M.Run()
	if err := stopPostgres(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
}

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		UpdateScripts:       *update,
		Setup: func(env *testscript.Env) error {
			env.Setenv("HOME", env.WorkDir)
			env.Setenv("TMPDIR", env.WorkDir)
			env.Setenv("NO_COLOR", "1")
			env.Setenv("GOGC", strconv.Itoa(gcPercent))
			env.Setenv("GORACE", "atexit_sleep_ms=0") // otherwise each command sleeps for a second when built with -race
			s := &simulation{env: env}
			env.Values[simulationKey{}] = s
			env.Defer(func() {
				if err := s.close(); err != nil {
					t.Errorf("close the simulation: %v", err)
				}
			})
			return nil
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"sim":    runSim,
			"exits":  exits,
			"golden": golden,
			"take":   take,
		},
	})
}

// exits runs a command and wants it to end with the given exit code: "exits 4 rootly-idp-sync sync".
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits code command [args]")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	code := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		exit, ok := errors.AsType[*exec.ExitError](err)
		if !ok {
			ts.Fatalf("%v", err)
		}
		code = exit.ExitCode()
	}
	if code != want {
		ts.Fatalf("exit code %d, want %d", code, want)
	}
}

// take sets a variable to the first group of a pattern in the last standard output: "take SET 'approve ([0-9a-f]+)'".
func take(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: take NAME pattern")
	}
	m := regexp.MustCompile(args[1]).FindStringSubmatch(ts.ReadFile("stdout"))
	if len(m) != 2 {
		ts.Fatalf("no match for %q in stdout", args[1])
	}
	ts.Setenv(args[0], m[1])
}

// volatile is what differs from run to run in an output.
var volatile = []struct {
	pattern *regexp.Regexp
	stable  string
}{
	{regexp.MustCompile(`http://127\.0\.0\.1:\d+`), "http://loopback"},
	{regexp.MustCompile(`127\.0\.0\.1:\d+`), "loopback"},
	{regexp.MustCompile(`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)`), "TIME"},
	{regexp.MustCompile(`\d{4}-\d\d-\d\d \d\d:\d\d(:\d\d)? UTC`), "TIME"},
	{regexp.MustCompile(`"expectedMs": \d+`), `"expectedMs": 0`},
	{regexp.MustCompile(`( to write), about \d+ s`), "$1"},
	{regexp.MustCompile(`waiting for less than a minute`), "waiting"},
	{regexp.MustCompile(`"tookMs": \d+`), `"tookMs": 0`},
	{regexp.MustCompile(`\(cycle (\d+), [0-9.]+m?s\)`), "(cycle $1, TOOK)"},
}

// golden compares the last output with a file beside the scripts, less what differs from run to run.
func golden(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: golden stdout|stderr file")
	}
	got := ts.ReadFile(args[0])
	for _, v := range volatile {
		got = v.pattern.ReplaceAllString(got, v.stable)
	}
	path := filepath.Join(scriptsDir, "..", "golden", args[1])
	if *update {
		ts.Check(os.WriteFile(path, []byte(got), 0o644))
	}
	want, err := os.ReadFile(path)
	ts.Check(err)
	if diff := cmp.Diff(string(want), got); diff != "" {
		ts.Fatalf("%s (-want +got; -update writes it):\n%s", args[1], diff)
	}
}

// scriptsDir is absolute, for a script's own commands may change directory.
var scriptsDir = func() string {
	dir, err := filepath.Abs("testdata/script")
	if err != nil {
		panic(fmt.Sprintf("working directory: %v", err))
	}
	return dir
}()

func title(s string) string {
	if s == "" {
		return ""
	}
	return strings.ToUpper(s[:1]) + s[1:]
}
