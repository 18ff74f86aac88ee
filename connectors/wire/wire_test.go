package wire

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"
)

func TestReadAnswersWhole(t *testing.T) {
	tests := map[string]struct {
		body io.Reader
		want string // of the body
		err  string
	}{
		"up to the limit": {body: strings.NewReader(strings.Repeat("a", 1<<20)), want: strings.Repeat("a", 1<<20)},
		"empty":           {body: strings.NewReader("")},
		"over the limit":  {body: strings.NewReader(strings.Repeat("a", 1<<20+1)), err: "the answer is larger than 1 MB"},
		"cut": {
			body: io.MultiReader(strings.NewReader("[1,"), iotest.ErrReader(io.ErrUnexpectedEOF)),
			err:  "the answer broke off: unexpected EOF",
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			header := http.Header{"Etag": {"1"}}
			a, err := Read(&http.Response{StatusCode: http.StatusAccepted, Header: header, Body: io.NopCloser(tc.body)}, 1<<20)
			if tc.err != "" {
				if a != nil || err == nil || err.Error() != tc.err {
					t.Fatalf("answer %v, error %v, want the error %q alone", a, err, tc.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if a.Status != http.StatusAccepted || a.Header.Get("Etag") != "1" || string(a.Body) != tc.want {
				t.Errorf("status %d, header %v, %d bytes, want those of the response", a.Status, a.Header, len(a.Body))
			}
		})
	}
}

func TestOKIsComplete(t *testing.T) {
	resp := OK(&http.Request{}, http.Header{"Link": {"next"}}, []byte("[]"))
	body, err := io.ReadAll(resp.Body)
	if err != nil || string(body) != "[]" || resp.ContentLength != 2 || resp.StatusCode != http.StatusOK || resp.Header.Get("Link") != "next" {
		t.Errorf("response %+v with body %q, %v", resp, body, err)
	}
}

func TestTroubleNamesTheTimeout(t *testing.T) {
	for want, err := range map[string]error{
		"no answer in time": fmt.Errorf("read: %w", context.DeadlineExceeded),
		"connection reset":  errors.New("connection reset"),
	} {
		if got := Trouble(err); got != want {
			t.Errorf("Trouble(%v) = %q, want %q", err, got, want)
		}
	}
}

func TestBackoffDoubles(t *testing.T) {
	for nth, base := range map[int]time.Duration{1: time.Second, 2: 2 * time.Second, 5: 16 * time.Second} {
		for range 100 {
			if got := Backoff(time.Second, nth); got < base/2 || got >= base*3/2 {
				t.Fatalf("Backoff(1s, %d) = %s, want %s give or take a half", nth, got, base)
			}
		}
	}
}

func TestPausesAddUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var p Pauses
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		for _, step := range []struct {
			wait, total time.Duration
			err         error
		}{
			{0, 0, nil},
			{-time.Second, 0, nil},
			{3 * time.Second, 3 * time.Second, nil},
			{time.Hour, 5 * time.Second, context.DeadlineExceeded},
			{0, 5 * time.Second, context.DeadlineExceeded},
		} {
			if err := p.Wait(ctx, step.wait); !errors.Is(err, step.err) || p.Total() != step.total {
				t.Errorf("Wait(%s) = %v after %s in all, want %v after %s", step.wait, err, p.Total(), step.err, step.total)
			}
		}
	})
}

// TestAPanicShowsNoValue: what a library panics with may be a whole request.
func TestAPanicShowsNoValue(t *testing.T) {
	err := Recovered("okta", "sdk", func() error { panic("Authorization: Bearer hunter2hunter2") })()
	if err == nil || strings.Contains(err.Error(), "hunter2") || !strings.Contains(err.Error(), "a string in ") {
		t.Errorf("the error is %v", err)
	}
}
