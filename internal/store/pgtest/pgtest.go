// Package pgtest runs a throw-away PostgreSQL server for tests, from the machine's own binaries, on a free port of the
// loopback interface.
package pgtest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"
)

// A Server is a cluster of its own with one superuser, app, who needs no password. Its methods end the test on an error.
type Server struct {
	dir  string // of the data and the socket
	bin  string
	port string
	attr *sysProcAttr

	watcher *exec.Cmd
	alive   io.Closer // closes with this process, whatever ends it

	databases atomic.Int64
}

// Start makes a cluster below the temporary directory and starts it. The error says what to install when the server's
// binaries are missing. Stop must be called; a process that ends without it, killed or timed out, leaves nothing behind either.
func Start() (s *Server, err error) {
	s = &Server{}
	if s.bin, err = binaries(); err != nil {
		return nil, err
	}
	if s.port, err = freePort(); err != nil {
		return nil, err
	}
	if s.dir, err = os.MkdirTemp("", "rootly-idp-sync-pg"); err != nil {
		return nil, err
	}
	if s.attr, err = ordinaryUser(s.dir); err != nil {
		return nil, errors.Join(err, os.RemoveAll(s.dir))
	}
	if err = s.watch(); err != nil {
		return nil, errors.Join(err, os.RemoveAll(s.dir))
	}
	if err = s.run("initdb", "-D", s.data(), "-U", "app", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync"); err == nil {
		err = s.Up()
	}
	if err != nil {
		return nil, errors.Join(err, s.forget())
	}
	return s, nil
}

// For is Start for one test, whose server stops with it.
func For(tb testing.TB) *Server {
	tb.Helper()
	s, err := Start()
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := s.Stop(); err != nil {
			tb.Error(err)
		}
	})
	return s
}

// watch starts a shell that waits for the end of this process, which closes a pipe, and then stops the server and removes
// the cluster.
func (s *Server) watch() error {
	s.watcher = exec.Command("sh", "-c", `read -r _; "$0" -D "$1/data" -m immediate stop; rm -rf "$1"`, filepath.Join(s.bin, "pg_ctl"), s.dir)
	s.watcher.Dir, s.watcher.SysProcAttr = os.TempDir(), s.attr
	pipe, err := s.watcher.StdinPipe()
	if err != nil {
		return err
	}
	s.alive = pipe
	if err := s.watcher.Start(); err != nil {
		return fmt.Errorf("watch over the server: %w", err)
	}
	return nil
}

// forget ends the watch, and with it the cluster.
func (s *Server) forget() error {
	err := s.alive.Close()
	_ = s.watcher.Wait() // the server may be stopped already
	return errors.Join(err, os.RemoveAll(s.dir))
}

// Up starts the server, which was stopped, on the port that it had. It does not wait for the disk: what a server has written
// outlives the server, and only that of the machine ends with more.
func (s *Server) Up() error {
	return s.run("pg_ctl", "-D", s.data(), "-w", "-t", "60", "-l", filepath.Join(s.dir, "log"), "-o",
		fmt.Sprintf("-p %s -c listen_addresses=127.0.0.1 -c unix_socket_directories=%s -c max_connections=200 -c fsync=off", s.port, s.dir), "start")
}

// Down stops the server as a power failure does: connections break, and nothing is written any more.
func (s *Server) Down() error { return s.stop("immediate") }

// Shutdown stops the server as its administrator does: what is committed is written out, connections are told.
func (s *Server) Shutdown() error { return s.stop("fast") }

func (s *Server) stop(mode string) error {
	return s.run("pg_ctl", "-D", s.data(), "-w", "-m", mode, "stop")
}

// Stop stops the server and removes the cluster.
func (s *Server) Stop() error { return errors.Join(s.Down(), s.forget()) }

// URL is the connection string of a database.
func (s *Server) URL(database string) string {
	return fmt.Sprintf("postgres://app@127.0.0.1:%s/%s?sslmode=disable", s.port, database)
}

// Database makes an empty database that no other test has, and returns its connection string.
func (s *Server) Database(t testing.TB) string {
	t.Helper()
	name := fmt.Sprintf("test%d", s.databases.Add(1))
	if err := s.run("createdb", "-h", "127.0.0.1", "-p", s.port, "-U", "app", name); err != nil {
		t.Fatal(err)
	}
	return s.URL(name)
}

func (s *Server) data() string { return filepath.Join(s.dir, "data") }

// run gives a command a minute. Its output goes to a file: a server that it starts would keep a pipe open.
func (s *Server) run(command string, args ...string) error {
	out, err := os.CreateTemp("", "rootly-idp-sync-pg")
	if err != nil {
		return err
	}
	defer os.Remove(out.Name())
	defer out.Close()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(s.bin, command), args...)
	cmd.Dir, cmd.Env, cmd.SysProcAttr = s.dir, append(os.Environ(), "HOME="+s.dir, "LC_ALL=C"), s.attr
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Run(); err != nil {
		said, _ := os.ReadFile(out.Name())
		return fmt.Errorf("%s: %w\n%s", command, err, said)
	}
	return nil
}

// binaries finds the server's programs in PATH, or where Debian keeps them out of it.
func binaries() (dir string, err error) {
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if err != nil {
		return "", err
	}
	if path, err := exec.LookPath("initdb"); err == nil {
		if path, err = filepath.EvalSymlinks(path); err == nil {
			found = append(found, path)
		}
	}
	if len(found) == 0 {
		return "", errors.New("initdb is not found: these tests need a PostgreSQL server (on Debian: apt-get install postgresql)")
	}
	return filepath.Dir(found[len(found)-1]), nil
}

func freePort() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	_, port, err := net.SplitHostPort(l.Addr().String())
	return port, errors.Join(err, l.Close())
}
