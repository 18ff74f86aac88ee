package daemon

import (
	"context"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// systemd listens as the service manager does and hands on what arrives.
func systemd(t *testing.T, name string) <-chan string {
	t.Helper()
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: name, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	out, done := make(chan string, 100), make(chan struct{})
	go func() {
		defer close(done)
		buf := make([]byte, 4096)
		for {
			n, err := conn.Read(buf)
			if err != nil {
				return
			}
			out <- string(buf[:n])
		}
	}()
	t.Cleanup(func() { conn.Close(); <-done })
	return out
}

// await reads messages until one matches; the test's deadline ends it otherwise.
func await(t *testing.T, messages <-chan string, pattern string) {
	t.Helper()
	re := regexp.MustCompile(pattern)
	for {
		select {
		case m := <-messages:
			if re.MatchString(m) {
				return
			}
		case <-time.After(30 * time.Second):
			t.Fatalf("no message matches %s", pattern)
		}
	}
}

func TestSystemdIsTold(t *testing.T) {
	for _, abstract := range []bool{false, true} {
		t.Run("abstract "+strconv.FormatBool(abstract), func(t *testing.T) {
			socket := filepath.Join(t.TempDir(), "notify")
			if abstract {
				socket = "@rootly-idp-sync-test-" + strconv.Itoa(os.Getpid())
			}
			messages := systemd(t, strings.Replace(socket, "@", "\x00", 1))
			env := map[string]string{"NOTIFY_SOCKET": socket, "WATCHDOG_USEC": "20000", "WATCHDOG_PID": strconv.Itoa(os.Getpid())}
			w := newWorld(t, "@hourly")
			d := New(Options{Load: w.load, Log: slog.New(slog.DiscardHandler), Env: func(k string) string { return env[k] }})
			ctx, stop := context.WithCancel(t.Context())
			ended := make(chan error, 1)
			go func() { ended <- d.Run(ctx) }()
			await(t, messages, `^READY=1$`)
			await(t, messages, `^STATUS=next cycle \d{4}-.* UTC; last cycle good$`)
			await(t, messages, `^WATCHDOG=1$`)
			await(t, messages, `^WATCHDOG=1$`)
			d.Reload()
			await(t, messages, `^RELOADING=1\nMONOTONIC_USEC=[1-9][0-9]*$`)
			await(t, messages, `^READY=1$`)
			stop()
			await(t, messages, `^STOPPING=1$`)
			if err := <-ended; err != nil {
				t.Error(err)
			}
		})
	}
}

func TestWatchdogIsNotFedByALoopThatStandsStill(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "notify")
	messages := systemd(t, socket)
	env := map[string]string{"NOTIFY_SOCKET": socket, "WATCHDOG_USEC": "2000"}
	s := newSupervisor(func(k string) string { return env[k] }, slog.New(slog.DiscardHandler))
	asked := make(chan bool)
	stop := s.watch(func() bool { asked <- true; return false })
	for range 3 {
		<-asked
	}
	go func() {
		for range asked { // until it stops
		}
	}()
	stop()
	close(asked)
	select {
	case m := <-messages:
		t.Errorf("told %q", m)
	default:
	}
}

func TestWatchdogOfAnotherProcessIsNotOurs(t *testing.T) {
	env := map[string]string{"NOTIFY_SOCKET": "/nowhere", "WATCHDOG_USEC": "2000", "WATCHDOG_PID": "1"}
	if s := newSupervisor(func(k string) string { return env[k] }, nil); s.watchdog != 0 {
		t.Errorf("watchdog every %s", s.watchdog)
	}
}
