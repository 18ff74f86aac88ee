//go:build helm

package deploy

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// helm runs the one that HELM names, for a cluster of today.
func helm(t *testing.T, args ...string) (string, error) {
	t.Helper()
	path := os.Getenv("HELM")
	if path == "" {
		t.Fatal("HELM names no binary; make test-helm does")
	}
	cmd := exec.Command(path, args...)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	return string(out) + stderr.String(), err
}

func render(t *testing.T, args ...string) (string, error) {
	t.Helper()
	return helm(t, append([]string{"template", "sync", "helm/rootly-idp-sync", "--namespace", "identity", "--kube-version", "1.36.0"}, args...)...)
}

func TestRenderings(t *testing.T) {
	files, err := filepath.Glob("testdata/helm/*.values.yaml")
	if err != nil || len(files) != 7 {
		t.Fatalf("%v %v", files, err)
	}
	for _, values := range files {
		t.Run(filepath.Base(values), func(t *testing.T) {
			if out, err := helm(t, "lint", "--strict", "--quiet", "helm/rootly-idp-sync", "--values", values); err != nil {
				t.Errorf("lint: %v\n%s", err, out)
			}
			got, err := render(t, "--values", values)
			if err != nil {
				t.Fatalf("%v\n%s", err, got)
			}
			made(t, strings.TrimSuffix(values, ".values.yaml")+".golden", []byte(got))
		})
	}
}

func TestChartRefuses(t *testing.T) {
	tests := map[string]struct {
		values, set, want string
	}{
		"no source":                             {set: "config.mode=observe", want: "missing propert"},
		"a key that the program does not know":  {"deployment", "config.target.tokn=x", "tokn"},
		"a value of the chart that nobody has":  {"deployment", "replica=2", "replica"},
		"no mode":                               {set: "config.source.okta.org_url=https://acme.okta.com,config.scope.mode=all", want: "config.mode is missing"},
		"an election elsewhere":                 {"ha-kubernetes", "config.ha.namespace=other", "config.ha.namespace: the Lease is where the release is"},
		"a mode that is none":                   {"deployment", "mode=daemonset", "mode"},
		"replicas that share a file":            {"deployment", "replicas=2", "replicas: 2 needs"},
		"replicas without an election":          {"ha-postgres", "config.ha.mode=none", "replicas: 2 needs"},
		"replicas of a CronJob":                 {"cronjob-postgres", "replicas=2", "replicas: 2 needs"},
		"an election over a file":               {"deployment", "config.ha.mode=postgres", "needs the state in PostgreSQL"},
		"an election of CronJobs":               {"cronjob-postgres", "config.ha.mode=kubernetes", "is for mode: deployment"},
		"a budget that blocks every drain":      {"deployment", "podDisruptionBudget.enabled=true", "could ever be drained"},
		"a service before nothing":              {"cronjob", "service.enabled=true", "needs mode: deployment"},
		"a service before no listener":          {"deployment", "service.enabled=true,config.health.listen=", "nothing listens"},
		"scraping what answers without metrics": {"deployment", "serviceMonitor.enabled=true", "config.health.metrics: true"},
		"being killed before the grace is over": {"deployment", "terminationGracePeriodSeconds=60", "longer than config.grace"},
		"a grace that cannot be compared":       {"deployment", "config.grace=1m30s", "whole seconds or minutes"},
		"pipelines beside a configuration":      {"pipelines", "config.mode=apply", "mode"},
		"a pipeline without a mode":             {"pipelines", "pipelines.gamma.source.okta.org_url=https://acme.okta.com,pipelines.gamma.scope.mode=all,pipelines.gamma.target.url=https://rootly.com/scim,pipelines.gamma.ha.mode=kubernetes,pipelines.gamma.state.dsn_file=/secrets/state/dsn", "pipelines.gamma.mode is missing"},
		"a pipeline with a page of its own":     {"pipelines", "pipelines.beta.http.listen=", "http and health belong to the process"},
		"a pipeline with an unknown key":        {"pipelines", "pipelines.beta.target.tokn=x", "tokn"},
		"a pipeline that is the process":        {"pipelines", "pipelines.process.mode=apply", "process"},
		"a pipeline without a name":             {"pipelines", "pipelines.Beta_1.mode=apply", "Beta_1"},
		"pipelines with several elections":      {"pipelines", "pipelines.beta.ha.mode=postgres", "ha.mode has to be the same in all of them, and is kubernetes, postgres"},
		"too long a lease":                      {"pipelines", "pipelines.beta.ha.lease=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "longer than 63 characters"},
		"a process of one configuration":        {"deployment", "process.health.metrics=true", "process: is for several pipelines"},
		"probes that kubelet cannot reach":      {"deployment", "config.health.listen=127.0.0.1:8081", "no probe reaches it"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			args := []string{"--set", tc.set}
			if tc.values != "" {
				args = append(args, "--values", "testdata/helm/"+tc.values+".values.yaml")
			}
			if out, err := render(t, args...); err == nil || !strings.Contains(out, tc.want) {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}
