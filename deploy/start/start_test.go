//go:build start && linux

// Package start measures how long the real program takes until it is ready, and what memory a replica costs that stands by.
// `make start` runs it; it is no part of the tests, since its figures are those of the machine.
package start

import (
	"bytes"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rootly-idp-sync/rootly-idp-sync/internal/sim"
	"github.com/rootly-idp-sync/rootly-idp-sync/internal/store/pgtest"
)

const (
	runs        = 10
	patience    = 2 * time.Minute
	mostReady   = 300 * time.Millisecond
	mostStandby = 20 << 20
)

// A figure is what one start cost.
type figure struct {
	ready time.Duration // from exec to the first 200 of /readyz
	cpu   time.Duration // of all threads until then
	anon  int           // RssAnon then, in bytes
}

// A daemon is the program that BINARY names, at work.
type daemon struct {
	cmd    *exec.Cmd
	health string
	stderr *bytes.Buffer
}

func TestStart(t *testing.T) {
	if os.Getenv("BINARY") == "" {
		t.Fatal("BINARY names no program; make start does")
	}
	company := sim.New(sim.Config{Seed: 1, People: 240, Groups: 20, SCIM: sim.RootlyLike()})
	ends, err := company.Start()
	if err != nil {
		t.Fatal(err)
	}
	defer company.Close()
	pg := pgtest.For(t)

	var alone []figure
	for range runs {
		d := launch(t, ends, "state: {path: state.db}")
		alone = append(alone, d.measure(t, `"role":"leader"`))
		d.stop(t)
	}
	report(t, "a new SQLite state", alone)

	shared := fmt.Sprintf("state: {dsn: %q}\nha: {mode: postgres}", pg.Database(t))
	leader := launch(t, ends, shared)
	leader.measure(t, `"role":"leader"`)
	var standby []figure
	for range runs {
		d := launch(t, ends, shared)
		standby = append(standby, d.measure(t, `"role":"standby"`))
		d.stop(t)
	}
	leader.stop(t)
	report(t, "a replica that stands by, PostgreSQL", standby)

	// On a busy machine most of the wall's time is that of others, so the limit is for what the program itself needs.
	if got := median(alone, func(f figure) time.Duration { return f.cpu }); got > mostReady {
		t.Errorf("%s of processor time until it is ready, want at most %s", got, mostReady)
	}
	if got := median(standby, func(f figure) int { return f.anon }); got > mostStandby {
		t.Errorf("a replica that stands by has %.1f MB, want at most %d", float64(got)/1e6, mostStandby/1_000_000)
	}
}

// launch starts the program in a folder of its own. Its first cycle is a day away.
func launch(t *testing.T, ends sim.Endpoints, more string) *daemon {
	t.Helper()
	dir := t.TempDir()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	l.Close()
	config := fmt.Sprintf(`mode: observe
schedule: "@every 24h"
health: {listen: %q}
http: {listen: "127.0.0.1:0"}
source: {okta: {org_url: %q, app_id: %s, api_token: %s}}
scope: {mode: assigned, where: user.department != "Sales"}
groups: {push: ["oncall-*"]}
target: {url: %q, token: %s}
%s
`, address, ends.OktaURL, ends.AppID, ends.OktaToken, ends.SCIMURL, ends.SCIMToken, more)
	if err := os.WriteFile(filepath.Join(dir, "rootly-idp-sync.yaml"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	d := &daemon{cmd: exec.Command(os.Getenv("BINARY"), "run"), health: "http://" + address + "/readyz", stderr: new(bytes.Buffer)}
	d.cmd.Dir, d.cmd.Stderr = dir, d.stderr
	return d
}

// measure starts the program and waits until it is ready in the role.
func (d *daemon) measure(t *testing.T, role string) figure {
	t.Helper()
	began := time.Now()
	if err := d.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for time.Since(began) < patience {
		if d.ready(role) {
			return figure{ready: time.Since(began), cpu: d.cpu(t), anon: d.anon(t)}
		}
		<-tick.C
	}
	_ = d.cmd.Process.Kill()
	_ = d.cmd.Wait()
	t.Fatalf("not ready as %s after %s:\n%s", role, patience, d.stderr)
	return figure{}
}

func (d *daemon) ready(role string) bool {
	answer, err := http.Get(d.health)
	if err != nil {
		return false
	}
	defer answer.Body.Close()
	var body bytes.Buffer
	_, err = body.ReadFrom(answer.Body)
	return err == nil && answer.StatusCode == http.StatusOK && strings.Contains(body.String(), role)
}

// cpu is what the process has used so far, in the kernel's ticks of 10 ms.
func (d *daemon) cpu(t *testing.T) time.Duration {
	t.Helper()
	_, rest, _ := strings.Cut(d.proc(t, "stat"), ") ")
	fields := strings.Fields(rest)
	return time.Duration(number(t, fields[11])+number(t, fields[12])) * 10 * time.Millisecond // utime, stime
}

func (d *daemon) anon(t *testing.T) int {
	t.Helper()
	_, rest, _ := strings.Cut(d.proc(t, "status"), "RssAnon:")
	return number(t, strings.Fields(rest)[0]) << 10
}

func (d *daemon) proc(t *testing.T, file string) string {
	t.Helper()
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", d.cmd.Process.Pid, file))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func number(t *testing.T, text string) int {
	t.Helper()
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func (d *daemon) stop(t *testing.T) {
	t.Helper()
	if err := d.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := d.cmd.Wait(); err != nil {
		t.Fatalf("%v\n%s", err, d.stderr)
	}
}

func median[T time.Duration | int](figures []figure, of func(figure) T) T {
	var all []T
	for _, f := range figures {
		all = append(all, of(f))
	}
	slices.Sort(all)
	return all[len(all)/2]
}

func report(t *testing.T, what string, figures []figure) {
	t.Helper()
	best := slices.MinFunc(figures, func(a, b figure) int { return int(a.ready - b.ready) })
	t.Logf("%s, %d starts: ready after %s in the middle, %s at best; processor time %s; RssAnon %.1f MB", what, len(figures),
		median(figures, func(f figure) time.Duration { return f.ready }).Round(time.Millisecond), best.ready.Round(time.Millisecond),
		median(figures, func(f figure) time.Duration { return f.cpu }), float64(median(figures, func(f figure) int { return f.anon }))/1e6)
}
