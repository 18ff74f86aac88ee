package web

import (
	"net/http"
	"testing"

	"github.com/rootly-idp-sync/rootly-idp-sync/internal/daemon"
)

func TestAStandbyShowsAndDecidesNothing(t *testing.T) {
	w := newWorld(t, 1)
	w.board.set(func(s *daemon.State) { s.Phase, s.Leader = daemon.PhaseStandby, "pod-b_1" })
	contains(t, w.page("/"), "pod-b_1")
	answer, body := w.ask(http.MethodPost, "/api/v1/cycles", "")
	if answer.StatusCode != http.StatusConflict {
		t.Errorf("a standby asked for a cycle answers %d", answer.StatusCode)
	}
	contains(t, body, "ask the one that leads, pod-b_1")
}
