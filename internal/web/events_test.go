package web

import (
	"bufio"
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/rootly-idp-sync/rootly-idp-sync/internal/daemon"
)

// TestProgressIsStreamed follows a cycle over the network, until the site stops.
func TestProgressIsStreamed(t *testing.T) {
	w := newWorld(t, 1)
	w.allow(Access{Listen: "127.0.0.1:0"})
	stop, err := w.site.Serve()
	if err != nil {
		t.Fatal(err)
	}
	stopped := false
	defer func() {
		if !stopped {
			stop()
		}
	}()
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	answer, err := client.Get("http://" + w.site.Address() + "/events")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if got := answer.Header.Get("Content-Type"); got != "text/event-stream" {
		t.Fatalf("Content-Type %s, %s", got, answer.Status)
	}
	lines := bufio.NewScanner(answer.Body)
	next := func() (p Progress) {
		for lines.Scan() {
			if data, ok := strings.CutPrefix(lines.Text(), "data: "); ok {
				if err := json.Unmarshal([]byte(data), &p); err != nil {
					t.Fatal(err)
				}
				return p
			}
		}
		t.Fatalf("the stream ended: %v", lines.Err())
		return p
	}
	if p := next(); p.Phase != daemon.PhaseWaiting || p.Text != "Waiting for the next cycle, in 40 min" {
		t.Errorf("at first: %+v", p)
	}
	w.board.set(func(s *daemon.State) { s.Phase, s.Done, s.Total = daemon.PhaseApplying, 3, 12 })
	if p := next(); p.Text != "Applying: 3 of 12 changes" || p.Done != 3 || p.Total != 12 {
		t.Errorf("then: %+v", p)
	}
	stop()
	stopped = true
	if lines.Scan() && strings.HasPrefix(lines.Text(), "data:") {
		t.Errorf("after the stop: %s", lines.Text())
	}
	if n := len(w.board.subs); n != 0 {
		t.Errorf("%d streams are left", n)
	}
}
