package reconcile

import (
	"fmt"
	"math/rand/v2"
	"os"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
	"github.com/rootly-idp-sync/rootly-idp-sync/scimclient"
)

// bigWorld is a company in line with Rootly but for one leaver in a thousand, with numbers spelled differently there.
func bigWorld(people, groups, memberships int) *world {
	w := newWorld().rules(func(o *RuleOptions) {
		o.Where = `user.department != "Contractors" && !user.userName.startsWith("svc-")`
		o.Map = map[string]string{"displayName": `user.nickname != "" ? user.nickname : user.displayName`}
		o.Push = []string{"oncall-*"}
		o.Exclude = []string{"svc-*@acme.com"}
	})
	rnd := rand.New(rand.NewPCG(1, 1))
	for i := range people {
		n := fmt.Sprintf("person%06d", i)
		u, a := staff(n), account(n)
		u.DisplayName = a.DisplayName
		u.Phones = []connectors.Phone{{Type: "mobile", Value: fmt.Sprintf("+1415555%04d", i%10000)}}
		a.Phones = []scimclient.Phone{{Type: "mobile", Value: u.Phones[0].Value}}
		v := valuesOf(&a)
		if i%1000 == 7 {
			u.Status = connectors.StatusDisabled
		}
		w.directory(u).rootly(a)
		w.in.ledger.Users[u.ID] = Link{Kind: KindUser, Source: string(u.ID), Target: a.ID, User: &v}
	}
	for i := range groups {
		var ms []string
		for range memberships / groups {
			ms = append(ms, fmt.Sprintf("person%06d", rnd.IntN(people)))
		}
		slices.Sort(ms)
		w.syncedGroup(fmt.Sprintf("oncall-%04d", i), slices.Compact(ms)...)
	}
	return w
}

// BenchmarkPure times everything between reading and writing: scope, map, match, diff and guard at 100,000 people, 5,000
// groups and a million memberships, and prints what the process holds in memory while it does so.
func BenchmarkPure(b *testing.B) {
	w := bigWorld(100_000, 5_000, 1_000_000)
	if _, err := w.plan(b); err != nil { // sorts the snapshot
		b.Fatal(err)
	}
	rules, err := Compile(w.opts)
	if err != nil {
		b.Fatal(err)
	}
	debug.FreeOSMemory()
	_ = os.WriteFile("/proc/self/clear_refs", []byte("5"), 0) // the peak counts from here, where the system allows it
	b.ReportAllocs()
	for b.Loop() {
		p, err := assemble(rules, w.in)
		if err != nil {
			b.Fatal(err)
		}
		if len(p.Changes) != 100 {
			b.Fatalf("%d changes, want the 100 leavers: %+v", len(p.Changes), p.Objections)
		}
	}
	b.ReportMetric(float64(residentMB()), "MB-resident-peak")
}

// residentMB is the process's peak resident memory, 0 where the system does not tell.
func residentMB() int {
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kb, _ := strconv.Atoi(strings.Fields(rest)[0])
			return kb / 1024
		}
	}
	return 0
}
