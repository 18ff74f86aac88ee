package deploy

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rootly-idp-sync/rootly-idp-sync/config"
)

var update = flag.Bool("update", false, "write the files anew that are made from others: the chart's schema and alerts, the renderings")

// made holds a file against what it is made of, or makes it anew.
func made(t *testing.T, name string, want []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(name, want, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(string(want), string(read(t, name))); diff != "" {
		t.Errorf("%s is out of date, go test -tags noentra ./deploy -update makes it anew (-want +got):\n%s", name, diff)
	}
}

// TestChartKnowsTheConfiguration: values.schema.json is by hand, but for a configuration and what it refers to.
func TestChartKnowsTheConfiguration(t *testing.T) {
	const name = "helm/rootly-idp-sync/values.schema.json"
	var chart map[string]any
	if err := json.Unmarshal(read(t, name), &chart); err != nil {
		t.Fatal(err)
	}
	data, err := config.Schema()
	if err != nil {
		t.Fatal(err)
	}
	var ours map[string]any
	if err := json.Unmarshal(data, &ours); err != nil {
		t.Fatal(err)
	}
	defs := ours["$defs"].(map[string]any) // references begin at the root
	for _, key := range []string{"$defs", "$schema", "title"} {
		delete(ours, key)
	}
	defs["config"] = ours
	chart["$defs"] = defs
	var want bytes.Buffer
	e := json.NewEncoder(&want)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(chart); err != nil {
		t.Fatal(err)
	}
	made(t, name, want.Bytes())
}

func TestChartHasTheAlerts(t *testing.T) {
	made(t, "helm/rootly-idp-sync/files/alerts.yaml", read(t, "monitoring/alerts.yaml"))
}
