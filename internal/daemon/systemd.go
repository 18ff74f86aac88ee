package daemon

import (
	"fmt"
	"log/slog"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"
)

// A supervisor is the systemd that started us, told over the datagram socket that it named in NOTIFY_SOCKET. Without one
// nothing is sent.
type supervisor struct {
	socket   string
	watchdog time.Duration // 0 when systemd does not want to hear from us
	log      *slog.Logger
}

func newSupervisor(env func(string) string, log *slog.Logger) *supervisor {
	s := &supervisor{socket: env("NOTIFY_SOCKET"), log: log}
	usec, err := strconv.ParseInt(env("WATCHDOG_USEC"), 10, 64)
	if pid := env("WATCHDOG_PID"); err == nil && usec > 0 && (pid == "" || pid == strconv.Itoa(os.Getpid())) {
		s.watchdog = time.Duration(usec) * time.Microsecond
	}
	return s
}

func (s *supervisor) ready()    { s.send("READY=1") }
func (s *supervisor) stopping() { s.send("STOPPING=1") }

// reloading begins a reload; ready ends it. systemd tells by the clock which of several signals is answered.
func (s *supervisor) reloading() {
	s.send("RELOADING=1\nMONOTONIC_USEC=" + strconv.FormatInt(monotonic().Microseconds(), 10))
}

// status is the line that systemctl status shows.
func (s *supervisor) status(st State) {
	text := string(st.Phase)
	if st.Phase == PhaseWaiting {
		text = "next cycle " + st.Next.UTC().Format("2006-01-02 15:04:05 UTC")
	}
	if st.Last != nil {
		text += fmt.Sprintf("; last cycle %s", st.Last.Result)
	}
	if st.Quarantine != nil {
		text += "; in quarantine"
	}
	if st.ReloadError != "" {
		text += "; the changed configuration cannot be used"
	}
	s.send("STATUS=" + text)
}

// send is best effort: a supervisor that is not there must not stop a sync.
func (s *supervisor) send(message string) {
	if s.socket == "" {
		return
	}
	name := s.socket
	if rest, abstract := strings.CutPrefix(name, "@"); abstract {
		name = "\x00" + rest
	}
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: name, Net: "unixgram"})
	if err == nil {
		defer conn.Close()
		_, err = conn.Write([]byte(message))
	}
	if err != nil {
		s.log.Debug("systemd was not told", "error", err)
	}
}

// watch tells systemd's watchdog, twice in its time, that the daemon is alive, until stop is called.
func (s *supervisor) watch(alive func() bool) (stop func()) {
	if s.socket == "" || s.watchdog == 0 {
		return func() {}
	}
	done := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		tick := time.NewTicker(s.watchdog / 2)
		defer tick.Stop()
		for {
			if alive() {
				s.send("WATCHDOG=1")
			}
			select {
			case <-tick.C:
			case <-done:
				return
			}
		}
	})
	return func() { close(done); wg.Wait() }
}
