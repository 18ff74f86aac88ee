package daemon

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rootly-idp-sync/rootly-idp-sync/reconcile"
)

// ask asks the handler without a network.
func ask(t *testing.T, d *Daemon, path string) (int, Readiness) {
	t.Helper()
	w := httptest.NewRecorder()
	d.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
	var r Readiness
	if err := json.Unmarshal(w.Body.Bytes(), &r); err != nil || w.Header().Get("Content-Type") != "application/json" {
		t.Errorf("%s: %v, %q", path, err, w.Header())
	}
	return w.Code, r
}

func TestReadiness(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "@every 40m")
		w.noStart = true
		w.begin()
		if code, r := ask(t, w.d, "/readyz"); code != http.StatusOK || r.Reason != "ready" || r.Role != "leader" || !r.Store || r.Phase != PhaseWaiting {
			t.Errorf("before the first cycle: %d %+v", code, r)
		}
		w.setCycle(failing(errors.New("read Rootly: 503 for anna@acme.example")))
		pass(2 * time.Hour)
		if code, r := ask(t, w.d, "/readyz"); code != http.StatusOK {
			t.Errorf("two hours later: %d %+v", code, r)
		}
		pass(2 * time.Hour)
		code, r := ask(t, w.d, "/readyz")
		if code != http.StatusServiceUnavailable || !strings.HasPrefix(r.Reason, "no good cycle for 4h") || strings.Contains(r.Reason, "acme") {
			t.Errorf("four hours later: %d %+v", code, r)
		}
		if code, _ := ask(t, w.d, "/healthz"); code != http.StatusOK {
			t.Errorf("healthz: %d", code)
		}
		w.setCycle(nil)
		w.d.RunNow()
		synctest.Wait()
		if code, r := ask(t, w.d, "/readyz"); code != http.StatusOK || r.LastGood.IsZero() {
			t.Errorf("after a good cycle: %d %+v", code, r)
		}
		w.end()
		if code, r := ask(t, w.d, "/readyz"); code != http.StatusServiceUnavailable || r.Reason != "stopped" {
			t.Errorf("after the end: %d %+v", code, r)
		}
	})
}

func TestNotReadyBeforeItStarts(t *testing.T) {
	if code, r := ask(t, New(Options{}), "/readyz"); code != http.StatusServiceUnavailable || r.Reason != "starting" {
		t.Errorf("%d %+v", code, r)
	}
}

// A deaf memory does not answer.
type deaf struct{ Memory }

func (deaf) LastGood(ctx context.Context) (time.Time, error) {
	<-ctx.Done()
	return time.Time{}, ctx.Err()
}

func TestStoreThatDoesNotAnswerIsNotReady(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "@every 40m")
		w.begin()
		setup := *w.d.current()
		setup.Memory = deaf{setup.Memory}
		w.d.replace(&setup)
		pass(minute)
		before := time.Now()
		if code, r := ask(t, w.d, "/readyz"); code != http.StatusServiceUnavailable || r.Reason != "the store does not answer" {
			t.Errorf("%d %+v", code, r)
		}
		if took := time.Since(before); took > probeTime {
			t.Errorf("the answer took %s", took)
		}
		w.end()
	})
}

func TestLongCycleIsNoStandstill(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "@every 40m")
		w.setCycle(func(ctx context.Context, _ Watch) (reconcile.Report, error) {
			time.Sleep(3 * time.Hour)
			return w.good(ctx)
		})
		w.begin()
		pass(2 * time.Hour)
		if code, _ := ask(t, w.d, "/healthz"); code != http.StatusOK {
			t.Errorf("healthz in a long cycle: %d", code)
		}
		w.setCycle(nil)
		pass(2 * time.Hour)
		w.end()
		pass(2 * minute)
		if code, _ := ask(t, w.d, "/healthz"); code != http.StatusServiceUnavailable {
			t.Errorf("healthz of a loop that ended: %d", code)
		}
	})
}

func TestAddressInUseIsSaid(t *testing.T) {
	srv := httptest.NewServer(http.NotFoundHandler())
	defer srv.Close()
	w := newWorld(t, "@every 40m")
	w.listen = srv.Listener.Addr().String()
	err := New(Options{Load: w.load}).Run(t.Context())
	if err == nil || !strings.HasPrefix(err.Error(), "health.listen: ") || !strings.Contains(err.Error(), "choose another address") {
		t.Errorf("%v", err)
	}
	if w.closed != 1 {
		t.Errorf("closed %d times", w.closed)
	}
}
