package store

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/rootly-idp-sync/rootly-idp-sync/reconcile"
)

// TestApproveBesideARun approves while another process holds the writer's lock and writes without a pause.
func TestApproveBesideARun(t *testing.T) {
	path := statePath(t)
	hold(t, openAt(t, options(path)), layoff)
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), victim+"="+path)
	cmd.Stderr = t.Output()
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	lines := bufio.NewScanner(out)
	if !lines.Scan() { // it has the lock and writes
		t.Fatal("the child wrote nothing")
	}
	var drained sync.WaitGroup
	drained.Go(func() {
		for lines.Scan() { // a full pipe would stop it
		}
	})
	s := openAt(t, options(path))
	if _, err := s.Lock(t.Context()); err == nil {
		t.Error("the other run has no lock")
	}
	_, err = s.Approve(t.Context(), layoff.Fingerprint, "alice")
	must(t, err)
	if got := states(t, s); got != "a1b2c3d4e5 approved" {
		t.Errorf("sets: %s", got)
	}
	must(t, cmd.Process.Kill())
	drained.Wait()
	if err := cmd.Wait(); err == nil {
		t.Error("the child ended by itself")
	}
	wantHeld(t, s, approved(layoff, "alice", t0))
}

func TestApproveWaitsForAWriteUnderWay(t *testing.T) {
	path := statePath(t)
	s, other := openAt(t, options(path)), openAt(t, options(path))
	hold(t, s, layoff)
	pragma(t, other, "BEGIN IMMEDIATE") // as another process in the middle of a transaction
	started, done := make(chan struct{}), make(chan error)
	go func() {
		close(started)
		_, err := s.Approve(t.Context(), layoff.Fingerprint, "alice")
		done <- err
	}()
	<-started
	pragma(t, other, "COMMIT")
	must(t, <-done)
}

// TestStoreAndMemoryAgree: whatever happens to held sets, both remember the same.
func TestStoreAndMemoryAgree(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		at := t0
		now := func() time.Time { return at }
		o := options(statePath(t))
		o.Now = now
		stores := []contract{openAt(t, o), NewMemory(now)}
		pool := []reconcile.HeldSet{layoff, cleanup, heldSet("0123456789", "00u7")}
		fingerprints := []string{layoff.Fingerprint, cleanup.Fingerprint, "0123456789", "a1b2c3", "012345"}
		rt.Repeat(map[string]func(*rapid.T){
			"hold": func(rt *rapid.T) {
				sets := rapid.SliceOfNDistinct(rapid.SampledFrom(pool), 0, 3, func(s reconcile.HeldSet) string { return s.Fingerprint }).Draw(rt, "sets")
				for _, s := range stores {
					hold(rt, s, sets...)
				}
			},
			"approve": func(rt *rapid.T) {
				prefix := rapid.SampledFrom(fingerprints).Draw(rt, "prefix")
				set1, err1 := stores[0].Approve(t.Context(), prefix, "alice")
				set2, err2 := stores[1].Approve(t.Context(), prefix, "alice")
				if fmt.Sprint(err1) != fmt.Sprint(err2) || !cmp.Equal(set1, set2, entries) {
					rt.Fatalf("approved %+v (%v) and %+v (%v)", set1, err1, set2, err2)
				}
			},
			"use": func(rt *rapid.T) {
				used := rapid.SliceOf(rapid.SampledFrom(fingerprints[:3])).Draw(rt, "used")
				for _, s := range stores {
					must(rt, s.Finish(t.Context(), begin(rt, s), reconcile.CycleSummary{Used: used}))
				}
			},
			"time": func(rt *rapid.T) { at = at.Add(time.Duration(rapid.IntRange(1, 30).Draw(rt, "hours")) * time.Hour) },
			"prune": func(rt *rapid.T) {
				for _, s := range stores {
					must(rt, s.Prune(t.Context(), 48*time.Hour))
				}
			},
			"": func(rt *rapid.T) {
				sets1, err1 := stores[0].HeldSets(t.Context())
				sets2, err2 := stores[1].HeldSets(t.Context())
				must(rt, err1)
				must(rt, err2)
				if diff := cmp.Diff(sets1, sets2, entries); diff != "" {
					rt.Fatalf("held sets (-store +memory):\n%s", diff)
				}
				if diff := cmp.Diff(ledger(rt, stores[0]), ledger(rt, stores[1]), entries); diff != "" {
					rt.Fatalf("ledger (-store +memory):\n%s", diff)
				}
			},
		})
	})
}
