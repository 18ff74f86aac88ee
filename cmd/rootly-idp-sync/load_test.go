//go:build unix

package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
	"time"
)

var (
	loadPeople  = flag.Int("people", 1_200, "how many people the company of TestLoad has")
	loadTeams   = flag.Int("teams", 60, "how many groups of 200 members it has")
	loadLatency = flag.Duration("latency", 0, "what each answer of Rootly takes in TestLoad")
	loadMemory  = flag.Int("memory", 0, "the megabytes that the program may take at its peak in TestLoad; 0 is any")
)

// loadConcurrency is how many requests to Rootly are under way at once.
const loadConcurrency = 16

// TestLoad runs the program as a CronJob does, with its state file, against a company of any size: everything is created,
// nothing has changed, one hundredth has changed, and again nothing has. Each cycle sends the fewest requests that will
// do. `make load` measures the largest company that is promised.
func TestLoad(t *testing.T) {
	t.Parallel()
	s := sizes{people: *loadPeople, teams: *loadTeams, members: 200}
	l := &load{t: t, dir: t.TempDir(), company: startCompany(t, s, *loadLatency)}
	l.configure()
	l.company.traffic()

	listed := least{
		directory: pages(s.people, 500) + pages(s.teams+1, 1000) + s.teams, // with the built-in group Everyone
		read:      listing(s.people) + listing(s.teams),
	}
	first := listed
	first.read = 2 // an empty page each
	first.write = s.people + s.teams*pages(s.members, 100)
	l.cycle("everything is new", first)
	l.cycle("nothing has changed", listed)

	var c churn
	l.company.ask("change", &c)
	changed := listed
	changed.directory += pages(s.people+c.Joined-c.Left, 500) - pages(s.people, 500)
	changed.directory += c.Left + c.Teams // whoever loses something is asked about once more
	changed.write = c.Joined + c.Left + c.Renamed + c.Teams*pages(s.members, 100)
	l.cycle("1 % has changed", changed)

	after := listed
	after.directory += pages(s.people+c.Joined-c.Left, 500) - pages(s.people, 500)
	after.read += listing(s.people+c.Joined) - listing(s.people)
	l.cycle("nothing has changed since", after)
}

func pages(n, size int) int { return max(1, (n+size-1)/size) }

// listing is how many pages Rootly has of so many objects. A full page that says it is all there is gets no trust: some
// servers announce the size of the page.
func listing(n int) int {
	if n == 1000 {
		return 2
	}
	return pages(n, 1000)
}

// least are the fewest requests that a cycle can do with.
type least struct{ directory, read, write int }

type load struct {
	t       *testing.T
	dir     string
	company *company
}

func (l *load) configure() {
	l.t.Helper()
	for name, text := range map[string]string{
		"okta-token": l.company.ends.OktaToken, "scim-token": l.company.ends.SCIMToken,
		"rootly-idp-sync.yaml": fmt.Sprintf(`mode: apply
source: {okta: {org_url: %q, app_id: %s, api_token_file: okta-token}}
scope: {mode: assigned}
groups: {push: [%q]}
target: {url: %q, token_file: scim-token, max_rate: 0, concurrency: %d}
guard:
  deactivations: {count: 100000}
  memberships: {count: 100000}
`, l.company.ends.OktaURL, l.company.ends.AppID, pushedTeams, l.company.ends.SCIMURL, loadConcurrency),
	} {
		if err := os.WriteFile(filepath.Join(l.dir, name), []byte(text), 0o600); err != nil {
			l.t.Fatal(err)
		}
	}
}

// cycle runs one cycle in a process of its own, prints what it took, and holds its requests to the fewest. "servers alone" is
// what the answers took, divided by how many are asked for at a time.
func (l *load) cycle(name string, want least) {
	l.t.Helper()
	log, err := os.Create(filepath.Join(l.dir, "log"))
	if err != nil {
		l.t.Fatal(err)
	}
	defer log.Close()
	cmd := exec.CommandContext(l.t.Context(), "rootly-idp-sync", "run", "--once")
	cmd.Dir, cmd.Stderr = l.dir, log // what goes to standard output, the report, is written and thrown away
	start := time.Now()
	if err := cmd.Run(); err != nil {
		text, readErr := os.ReadFile(log.Name())
		l.t.Fatalf("%s: %v\n%s", name, errors.Join(err, readErr), text[max(0, len(text)-4000):])
	}
	took, seen := time.Since(start), l.company.traffic()
	peak := peakMB(cmd.ProcessState.SysUsage().(*syscall.Rusage))
	ideal := max(seen.AnsweringDirectory/4, seen.AnsweringRead/loadConcurrency) + seen.AnsweringWrite/loadConcurrency
	cpu := cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	l.t.Logf("%-25s  directory %d of %d, read %d of %d, write %d of %d requests; %s, CPU %s, servers alone %s; peak %d MB (%d for each 100,000 people), state %d MB",
		name, seen.Directory, want.directory, seen.Read, want.read, seen.Write, want.write,
		took.Round(time.Second/10), cpu.Round(time.Second/10), ideal.Round(time.Second/10), peak, peak*100_000/l.company.sizes.people, l.stateMB())
	if got := (least{seen.Directory, seen.Read, seen.Write}); got != want {
		l.t.Errorf("%s: requests %+v, want %+v", name, got, want)
	}
	if *loadMemory > 0 && peak > *loadMemory {
		l.t.Errorf("%s: %d MB at its peak, more than %d", name, peak, *loadMemory)
	}
}

// peakMB is the most resident memory that a process ever had. Linux counts it in kilobytes.
func peakMB(u *syscall.Rusage) int {
	if runtime.GOOS == "darwin" {
		return int(u.Maxrss >> 20)
	}
	return int(u.Maxrss >> 10)
}

func (l *load) stateMB() (mb int64) {
	l.t.Helper()
	files, err := filepath.Glob(filepath.Join(l.dir, "*.db*"))
	if err != nil {
		l.t.Fatal(err)
	}
	for _, f := range files {
		info, err := os.Stat(f)
		if err != nil {
			l.t.Fatal(err)
		}
		mb += info.Size()
	}
	return mb >> 20
}
