package web

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/rootly-idp-sync/rootly-idp-sync/internal/daemon"
)

const (
	maxStreams    = 64
	streamLife    = 15 * time.Minute // browsers come back by themselves, and have to say again who they are
	heartbeat     = 20 * time.Second
	writePatience = 10 * time.Second
)

// A Progress is one event of the stream: how far the daemon is.
type Progress struct {
	Phase daemon.Phase `json:"phase"`
	Done  int          `json:"done"`
	Total int          `json:"total"`
	Next  time.Time    `json:"next,omitzero"`
	Cycle int64        `json:"cycle,omitempty"` // the last that ended
	Text  string       `json:"text"`            // all of it in words
}

func progressOf(s daemon.State, now time.Time) Progress {
	p := Progress{Phase: s.Phase, Done: s.Done, Total: s.Total, Next: s.Next, Text: phaseText(s, now)}
	if s.Last != nil {
		p.Cycle = s.Last.Cycle
	}
	return p
}

// events streams the progress to a page that is open, as server-sent events.
func (s *Site) events(w http.ResponseWriter, r *http.Request, _ call) error {
	if s.streams.Add(1) > maxStreams {
		s.streams.Add(-1)
		return refusal{http.StatusServiceUnavailable, errors.New("too many pages are open (this one is as of its loading)")}
	}
	defer s.streams.Add(-1)
	updates, cancel := s.daemon.Subscribe()
	defer cancel()
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("X-Accel-Buffering", "no")
	control := http.NewResponseController(w)
	send := func(format string, args ...any) bool {
		_ = control.SetWriteDeadline(time.Now().Add(writePatience)) // only a test's recorder has none
		_, err := fmt.Fprintf(w, format, args...)
		return err == nil && control.Flush() == nil
	}
	if !send("retry: 3000\n\n") {
		return nil
	}
	beat, end := time.NewTicker(heartbeat), time.NewTimer(streamLife)
	defer beat.Stop()
	defer end.Stop()
	for {
		select {
		case state := <-updates:
			data, err := json.Marshal(progressOf(state, s.now()))
			if err != nil || !send("event: progress\ndata: %s\n\n", data) {
				return nil
			}
		case <-beat.C:
			if !send(": still here\n\n") {
				return nil
			}
		case <-r.Context().Done():
			return nil
		case <-end.C:
			return nil
		case <-s.stop:
			return nil
		}
	}
}
