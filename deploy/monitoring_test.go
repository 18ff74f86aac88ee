package deploy

import (
	"encoding/json"
	"os"
	"regexp"
	"strings"
	"testing"
)

// TestMetricsExist holds every metric that an alert or a panel asks for against the page that lists them.
func TestMetricsExist(t *testing.T) {
	page, err := os.ReadFile("../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]bool{}
	for _, m := range regexp.MustCompile("(?m)^\\| `(rootly_idp_sync_[a-z_]+)` \\| ([a-z]+)").FindAllStringSubmatch(string(page), -1) {
		known[m[1]] = true
		if m[2] == "histogram" {
			known[m[1]+"_bucket"] = true
		}
	}
	for _, name := range []string{"monitoring/alerts.yaml", "monitoring/alerts_test.yaml", "monitoring/dashboard.json"} {
		asked := regexp.MustCompile(`\brootly_idp_sync_[a-z_]+`).FindAllString(string(read(t, name)), -1)
		if len(asked) < 5 {
			t.Errorf("%s asks for %d metrics", name, len(asked))
		}
		for _, metric := range asked {
			if !known[metric] {
				t.Errorf("%s asks for %s, which there is not", name, metric)
			}
		}
	}
}

// TestAlertsAreTested: each alert is seen to fire, and is explained.
func TestAlertsAreTested(t *testing.T) {
	rules := decode[struct {
		Groups []struct {
			Rules []struct {
				Alert       string            `yaml:"alert"`
				Labels      map[string]string `yaml:"labels"`
				Annotations map[string]string `yaml:"annotations"`
			} `yaml:"rules"`
		} `yaml:"groups"`
	}](t, "alerts.yaml", read(t, "monitoring/alerts.yaml"), false)[0]
	tests := string(read(t, "monitoring/alerts_test.yaml"))
	for _, r := range rules.Groups[0].Rules {
		if !strings.Contains(tests, "alertname: "+r.Alert+"\n        exp_alerts:") {
			t.Errorf("no test sees %s fire", r.Alert)
		}
		if r.Labels["severity"] == "" || r.Annotations["summary"] == "" || r.Annotations["description"] == "" {
			t.Errorf("%s says too little", r.Alert)
		}
	}
}

func TestDashboardIsWhole(t *testing.T) {
	var d struct {
		Panels []struct {
			ID         int
			Title      string
			Datasource struct{ UID string }
			Targets    []struct{ Expr string }
		}
	}
	if err := json.Unmarshal(read(t, "monitoring/dashboard.json"), &d); err != nil {
		t.Fatal(err)
	}
	seen := map[int]bool{}
	for _, p := range d.Panels {
		if p.Title == "" || seen[p.ID] || p.Datasource.UID != "${datasource}" || len(p.Targets) == 0 {
			t.Errorf("panel %d %q", p.ID, p.Title)
		}
		seen[p.ID] = true
	}
	if len(d.Panels) < 10 {
		t.Errorf("%d panels", len(d.Panels))
	}
}
