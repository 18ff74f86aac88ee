package main

import (
	"sync"
	"testing"

	"github.com/rootly-idp-sync/rootly-idp-sync/internal/store/pgtest"
)

// server is the PostgreSQL of all tests that do not stop it. Founding one takes longer than most tests.
var server struct {
	once sync.Once
	*pgtest.Server
	err error
}

func sharedPostgres(t *testing.T) *pgtest.Server {
	t.Helper()
	server.once.Do(func() { server.Server, server.err = pgtest.Start() })
	if server.err != nil {
		t.Fatal(server.err)
	}
	return server.Server
}

// stopPostgres stops the shared server, if a test has started it.
func stopPostgres() error {
	if server.Server == nil {
		return nil
	}
	return server.Stop()
}
