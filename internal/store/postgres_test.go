package store

import (
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

func TestPostgreSQLKeepsTheContract(t *testing.T) {
	pg := startPostgres(t)
	suite(t, func(t testing.TB) place {
		dsn := pg.Database(t)
		return func(t testing.TB, now func() time.Time) contract { return openAt(t, onServer(dsn, now)) }
	})
}
