package config

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
	_ "time/tzdata" // for images without a time zone database
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
	Listen  string `json:"listen" doc:"The address of /healthz and /readyz, which need no credentials; '' switches them off."`
	Metrics bool   `json:"metrics" doc:"Serves /metrics there too, without credentials."`
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
	l.health()
}

// health checks where probes are answered.
func (l *loader) health() {
	c := l.cfg
	if c.Health.Listen != "" && !listenAddress(c.Health.Listen) {
		l.problem("health.listen", "is no address to listen on", `write :8081, 127.0.0.1:8081, or "" for none`)
	}
	if c.Health.Metrics && c.Health.Listen == "" {
		l.problem("health.metrics", `has no meaning while health.listen is ""`, "give health.listen an address, or remove it")
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
	values(reflect.ValueOf(c).Elem(), "", func(f field, v reflect.Value) {
		if strings.HasSuffix(f.name, "_file") && v.Kind() == reflect.String && v.Len() > 0 {
			out = append(out, v.String())
		}
	})
	slices.Sort(out)
	return slices.Compact(out)
}

// Fingerprint is short, and differs whenever anything of the configuration does: a value, a secret, or what is in a file
// that it names.
func (c *Config) Fingerprint() string {
	h := sha256.New()
	values(reflect.ValueOf(c).Elem(), "", func(f field, v reflect.Value) {
		value := v.Interface()
		if secret, ok := value.(Secret); ok {
			value = secret.Reveal()
		}
		fmt.Fprintf(h, "%s %q\n", f.path, fmt.Sprint(value))
	})
	for _, path := range c.Files() {
		data, _ := os.ReadFile(path) // one that is gone is a change too
		fmt.Fprintf(h, "%s %x\n", path, sha256.Sum256(data))
	}
	return hex.EncodeToString(h.Sum(nil)[:8])
}

// values visits all values of a section and those below it.
func values(section reflect.Value, path string, visit func(f field, v reflect.Value)) {
	for _, f := range fieldsOf(section.Type(), path) {
		v := section.Field(f.index)
		if v.Kind() == reflect.Pointer {
			if v.IsNil() {
				continue
			}
			v = v.Elem()
		}
		if f.section() {
			values(v, f.path, visit)
		} else {
			visit(f, v)
		}
	}
}
