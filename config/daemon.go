package config

import (
	"net"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Mode is what the daemon does with a plan. There is no default: whoever starts it says so.
type Mode string

// The modes.
const (
	ModeObserve Mode = "observe" // plans and reports; Rootly is never written
	ModeApply   Mode = "apply"
)

// Health is the listener for probes.
type Health struct {
	Listen string `json:"listen" doc:"The address of /healthz and /readyz, which need no credentials; '' switches them off."`
}

// minGrace leaves a request that is under way the time to end and to be recorded.
const minGrace = time.Second

// daemon checks the keys that only the daemon uses.
func (l *loader) daemon() {
	c := l.cfg
	if _, err := time.LoadLocation(c.TimeZone); err != nil || c.TimeZone == "" || c.TimeZone == "Local" {
		l.problem("time_zone", "is no time zone", "write an IANA name, such as Europe/Berlin or UTC")
	}
	if _, given := l.origins["time_zone"]; given && strings.Contains(c.Schedule, "TZ=") {
		l.problem("schedule", "has a time zone of its own beside time_zone", "keep one of the two")
	}
	if c.Jitter > 0.5 {
		l.problem("jitter", "is more than half of the time between two cycles", "write 50% or less")
	}
	if time.Duration(c.Grace) < minGrace {
		l.problem("grace", "is shorter than a request takes", "write 1s or more; the supervisor must wait longer than that before it kills")
	}
	if c.Health.Listen != "" && !listenAddress(c.Health.Listen) {
		l.problem("health.listen", "is no address to listen on", `write :8081, 127.0.0.1:8081, or "" for none`)
	}
}

// listenAddress tells whether text is a host, possibly empty, and a port.
func listenAddress(text string) bool {
	_, port, err := net.SplitHostPort(text)
	if err != nil {
		return false
	}
	n, err := strconv.ParseUint(port, 10, 16)
	return err == nil && (n > 0 || port == "0")
}

// Files are the files beside the configuration file itself that the configuration was read from: secrets, keys,
// certificates. When one of them changes, the configuration has changed.
func (c *Config) Files() []string {
	var out []string
	filesOf(reflect.ValueOf(c).Elem(), &out)
	slices.Sort(out)
	return slices.Compact(out)
}

func filesOf(section reflect.Value, out *[]string) {
	for _, f := range fieldsOf(section.Type(), "") {
		v := section.Field(f.index)
		if v.Kind() == reflect.Pointer {
			if v.IsNil() {
				continue
			}
			v = v.Elem()
		}
		switch {
		case f.section():
			filesOf(v, out)
		case v.Kind() == reflect.String && strings.HasSuffix(f.name, "_file") && v.Len() > 0:
			*out = append(*out, v.String())
		}
	}
}
