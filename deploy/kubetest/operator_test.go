package kubetest

import (
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"
)

// defineOperatorKinds makes the API server know the kinds of the Prometheus operator that the chart has objects of, by the
// definitions in the operator's own module, which operator/go.mod pins.
func defineOperatorKinds(t *testing.T, cluster *Cluster) {
	t.Helper()
	download := exec.Command("go", "mod", "download", "-json", "github.com/prometheus-operator/prometheus-operator")
	download.Dir, download.Stderr = "operator", os.Stderr
	out, err := download.Output()
	if err != nil {
		t.Fatalf("download the Prometheus operator: %v", err)
	}
	var module struct{ Dir string }
	if err := json.Unmarshal(out, &module); err != nil {
		t.Fatal(err)
	}
	for _, kind := range []string{"servicemonitors", "prometheusrules"} {
		data, err := os.ReadFile(filepath.Join(module.Dir, "example/prometheus-operator-crd/monitoring.coreos.com_"+kind+".yaml"))
		if err != nil {
			t.Fatal(err)
		}
		var definition map[string]any
		if err := yaml.Unmarshal(data, &definition); err != nil {
			t.Fatal(err)
		}
		cluster.create(t, "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", definition)
		eventually(t, time.Minute, kind+" are served", func() bool {
			status, _, err := cluster.send(http.MethodGet, "/apis/monitoring.coreos.com/v1/"+kind, nil)
			return err == nil && status == http.StatusOK
		})
	}
}

// refusesTypos proves that an object of a defined kind is read strictly: one with a misspelt field has to be refused.
func refusesTypos(t *testing.T, cluster *Cluster) {
	t.Helper()
	status, body, err := cluster.send(http.MethodPost, "/apis/monitoring.coreos.com/v1/namespaces/manifests/servicemonitors"+dryRun, map[string]any{
		"apiVersion": "monitoring.coreos.com/v1", "kind": "ServiceMonitor", "metadata": map[string]any{"name": "misspelt"},
		"spec": map[string]any{"selector": map[string]any{}, "endpoints": []any{map[string]any{"port": "health", "intervall": "30s"}}}})
	if err != nil || status != http.StatusBadRequest {
		t.Errorf("a misspelt field: %d %v %s", status, err, body)
	}
}
