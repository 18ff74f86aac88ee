package kubetest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// paths are where the API server takes objects of a kind, below the namespace. A kind that is not here fails the test.
var paths = map[string]string{
	"v1/ConfigMap":                             "/api/v1/namespaces/%s/configmaps",
	"v1/Secret":                                "/api/v1/namespaces/%s/secrets",
	"v1/Service":                               "/api/v1/namespaces/%s/services",
	"v1/ServiceAccount":                        "/api/v1/namespaces/%s/serviceaccounts",
	"v1/PersistentVolumeClaim":                 "/api/v1/namespaces/%s/persistentvolumeclaims",
	"apps/v1/Deployment":                       "/apis/apps/v1/namespaces/%s/deployments",
	"batch/v1/CronJob":                         "/apis/batch/v1/namespaces/%s/cronjobs",
	"policy/v1/PodDisruptionBudget":            "/apis/policy/v1/namespaces/%s/poddisruptionbudgets",
	"networking.k8s.io/v1/NetworkPolicy":       "/apis/networking.k8s.io/v1/namespaces/%s/networkpolicies",
	"rbac.authorization.k8s.io/v1/Role":        "/apis/rbac.authorization.k8s.io/v1/namespaces/%s/roles",
	"rbac.authorization.k8s.io/v1/RoleBinding": "/apis/rbac.authorization.k8s.io/v1/namespaces/%s/rolebindings",
	"monitoring.coreos.com/v1/ServiceMonitor":  "/apis/monitoring.coreos.com/v1/namespaces/%s/servicemonitors",
	"monitoring.coreos.com/v1/PrometheusRule":  "/apis/monitoring.coreos.com/v1/namespaces/%s/prometheusrules",
}

// dryRun has the API server read an object strictly and keep nothing of it.
const dryRun = "?dryRun=All&fieldValidation=Strict"

// TestManifestsAreTakenWithoutAWarning sends every manifest and every rendering of the chart to the API server, which reads them
// strictly, in a namespace of restricted pods, and keeps nothing.
func TestManifestsAreTakenWithoutAWarning(t *testing.T) {
	cluster := Start(t)
	cluster.Namespace(t, "manifests")
	defineOperatorKinds(t, cluster)
	refusesTypos(t, cluster)
	var files []string
	for root, extension := range map[string]string{"../kubernetes": ".yaml", "../testdata/helm": ".golden"} {
		err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if err == nil && filepath.Ext(path) == extension {
				files = append(files, path)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	objects := 0
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		docs := yaml.NewDecoder(bytes.NewReader(data))
		for {
			var object map[string]any
			err := docs.Decode(&object)
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatalf("%s: %v", file, err)
			}
			kind, _ := object["kind"].(string)
			version, _ := object["apiVersion"].(string)
			// Beside objects the folders hold the program's own configuration, kustomizations and the namespace itself.
			if kind == "" || kind == "Kustomization" || kind == "Namespace" {
				continue
			}
			objects++
			t.Run(filepath.Base(filepath.Dir(file))+"/"+filepath.Base(file)+"/"+kind, func(t *testing.T) {
				taken(t, cluster, version+"/"+kind, object)
			})
		}
	}
	if objects < 50 {
		t.Errorf("only %d objects were found in %d files", objects, len(files))
	}
}

func taken(t *testing.T, cluster *Cluster, kind string, object map[string]any) {
	path, ok := paths[kind]
	if !ok {
		t.Fatalf("the kind %s is not known here: add it to paths", kind)
	}
	if meta, ok := object["metadata"].(map[string]any); ok {
		meta["namespace"] = "manifests"
	}
	status, header, body, err := cluster.request(http.MethodPost, fmt.Sprintf(path, "manifests")+dryRun, object)
	if err != nil || status/100 != 2 {
		t.Errorf("refused: %d %v %s", status, err, body)
	}
	if warnings := header.Values("Warning"); len(warnings) > 0 {
		t.Errorf("warned: %s", strings.Join(warnings, "\n"))
	}
}
