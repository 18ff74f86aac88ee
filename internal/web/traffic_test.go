package web

import (
	"net/http"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

type answers func(*http.Request) *http.Response

func (f answers) RoundTrip(r *http.Request) (*http.Response, error) { return f(r), nil }

// TestWaitingIsMeasured: what counts is the time in which nothing was sent, not what the answer asked for.
func TestWaitingIsMeasured(t *testing.T) {
	for name, tc := range map[string]struct {
		retryAfter string
		pause      time.Duration
		want       string
	}{
		"shorter than asked for": {"7", 5 * time.Second, "5"},
		"as long":                {"7", 7 * time.Second, "7"},
		"until the next cycle":   {"7", 40 * time.Minute, "7"},
		"unasked":                {"", 3 * time.Second, "3"},
		"a date":                 {"Sat, 01 Jan 2000 00:00:20 GMT", time.Hour, "20"}, // which is when the bubble begins
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := newMetrics("")
				full := true
				rt := m.Transport(SideDirectory, answers(func(*http.Request) *http.Response {
					answer := &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: http.NoBody}
					if full {
						full = false
						answer.StatusCode = http.StatusTooManyRequests
						answer.Header.Set("Retry-After", tc.retryAfter)
					}
					return answer
				}))
				for range 3 {
					req, err := http.NewRequest(http.MethodGet, "http://directory.example", nil)
					if err != nil {
						t.Fatal(err)
					}
					if _, err := rt.RoundTrip(req); err != nil {
						t.Fatal(err)
					}
					<-time.After(tc.pause)
				}
				if text := scrape(t, m); !strings.Contains(text, metricPrefix+`throttled_seconds_total{side="directory"} `+tc.want+"\n") {
					t.Errorf("want %s:\n%s", tc.want, text)
				}
			})
		})
	}
}

func TestOperationsOfOtherProtocolsAreCounted(t *testing.T) {
	m := newMetrics("")
	m.Operation(SideDirectory, "search")("0")
	m.Operation(SideDirectory, "bind")("49")
	for _, line := range []string{`requests_total{method="search",side="directory",status="0"} 1`, `requests_total{method="bind",side="directory",status="49"} 1`} {
		if text := scrape(t, m); !strings.Contains(text, metricPrefix+line+"\n") {
			t.Errorf("/metrics lacks %s:\n%s", line, text)
		}
	}
}

func scrape(t *testing.T, m *Metrics) string {
	t.Helper()
	families, err := m.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	for _, f := range families {
		for _, metric := range f.Metric {
			if metric.Counter == nil {
				continue
			}
			var labels []string
			for _, l := range metric.Label {
				labels = append(labels, l.GetName()+`="`+l.GetValue()+`"`)
			}
			out.WriteString(f.GetName() + "{" + strings.Join(labels, ",") + "} " + strconv.FormatFloat(metric.Counter.GetValue(), 'f', -1, 64) + "\n")
		}
	}
	return out.String()
}
