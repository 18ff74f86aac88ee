package web

import (
	"net/url"
	"testing"
)

// forget lets everybody try again.
func (l *limits) forget() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.by, l.all = nil, nil
}

func mustURL(t testing.TB, text string) *url.URL {
	t.Helper()
	u, err := url.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return u
}
