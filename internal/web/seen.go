package web

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"time"

	"github.com/rootly-idp-sync/rootly-idp-sync/internal/daemon"
	"github.com/rootly-idp-sync/rootly-idp-sync/reconcile"
)

// A Seen is the last plan that a cycle made: what the page shows, since looking at a page never plans.
type Seen struct {
	Cycle int64          `json:"cycle,omitempty"` // 0 while it runs
	At    time.Time      `json:"at"`
	Mode  string         `json:"mode"`
	Ended bool           `json:"ended"` // the cycle has ended: of Plan.Changes it did what its changes on record say
	Plan  reconcile.Plan `json:"plan"`
	// Contested is how many values the plan left to another writer.
	Contested int `json:"contested,omitempty"`
	// Unowned are the accounts and groups of Rootly that nobody here owns.
	Unowned []reconcile.Ref `json:"unowned,omitempty"`
	// Cut is how many changes Plan.Changes lacks because a restart has lost them.
	Cut int `json:"cut,omitempty"`
}

// seenKey is under what the store remembers it.
const seenKey = "page"

// maxRemembered bounds the changes that are remembered. What is held and what needs attention is remembered whole: it is
// what somebody has to act upon.
const maxRemembered = 5000

// latest is the last plan, nil before the first.
func (s *Site) latest() *Seen { return s.seen.Load() }

// Planned takes note of the plan of the running cycle, before its first write.
func (s *Site) Planned(p reconcile.Plan) {
	s.seen.Store(s.sight(p))
}

// sight keeps what is shown of a plan, and lets go of the rest: all that was read of both sides.
func (s *Site) sight(p reconcile.Plan) *Seen {
	return &Seen{At: p.At, Mode: s.daemon.State().Mode, Contested: len(p.Contested()), Unowned: p.Unowned(), Plan: reconcile.Plan{
		Source: p.Source, Target: p.Target, At: p.At, Changes: p.Changes, Held: p.Held, Objections: p.Objections, Sets: p.Sets, Notes: p.Notes,
		OnCall: p.OnCall, Counts: p.Counts, Writes: p.Writes, Cost: p.Cost,
	}}
}

// Ended takes note of a cycle that ended.
func (s *Site) Ended(ctx context.Context, e daemon.Ended) {
	s.Metrics.ended(e)
	s.roster.forget()
	if e.Report.Plan.At.IsZero() {
		return // it ended before there was a plan: the last one stays
	}
	seen := s.sight(e.Report.Plan)
	seen.Cycle, seen.Ended = e.Report.Cycle, true
	s.seen.Store(seen)
	err := s.live.Use(func(p Pipeline) error {
		data, err := pack(*seen)
		if err != nil {
			return err
		}
		return p.Records.Remember(ctx, seenKey, data)
	})
	if err != nil {
		s.log.Warn("the plan for the status page was not recorded", "error", err)
	}
}

func (s *Site) recall(ctx context.Context, r Records) error {
	data, err := r.Recall(ctx, seenKey)
	if err != nil || data == nil {
		return err
	}
	seen, err := unpack(data)
	if err != nil {
		return fmt.Errorf("read the last plan: %w", err)
	}
	s.seen.CompareAndSwap(nil, &seen)
	return nil
}

func pack(s Seen) ([]byte, error) {
	if n := len(s.Plan.Changes); n > maxRemembered {
		s.Plan.Changes, s.Cut = s.Plan.Changes[:maxRemembered], n-maxRemembered
	}
	var b bytes.Buffer
	zip := gzip.NewWriter(&b)
	if err := json.NewEncoder(zip).Encode(s); err != nil {
		return nil, err
	}
	if err := zip.Close(); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

func unpack(data []byte) (Seen, error) {
	var s Seen
	zip, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		return s, err
	}
	const most = 256 << 20
	if err := json.NewDecoder(io.LimitReader(zip, most)).Decode(&s); err != nil {
		return s, err
	}
	return s, nil
}
