package store

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/rootly-idp-sync/rootly-idp-sync/internal/store/pgtest"
)

// server is the one PostgreSQL of this test process, which TestMain stops.
var server struct {
	once sync.Once
	*pgtest.Server
	err error
}

func startPostgres(t testing.TB) *pgtest.Server {
	t.Helper()
	server.once.Do(func() { server.Server, server.err = pgtest.Start() })
	if server.err != nil {
		t.Fatal(server.err)
	}
	return server.Server
}

func onServer(dsn string, now func() time.Time) Options {
	o := options("")
	o.DSN, o.Now = func() string { return dsn }, now
	return o
}

// TestPostgreSQLKeepsTheContract has each part of the suite in a pipeline of its own: none may see what another has written.
func TestPostgreSQLKeepsTheContract(t *testing.T) {
	dsn := startPostgres(t).Database(t)
	pipelines := 0
	suite(t, func(testing.TB) place {
		pipelines++
		name := fmt.Sprint("pipeline", pipelines)
		return func(t testing.TB, now func() time.Time) contract {
			o := onServer(dsn, now)
			o.Pipeline, o.Source = name, "okta:"+name
			return openAt(t, o)
		}
	})
}
