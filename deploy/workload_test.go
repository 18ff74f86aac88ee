package deploy

import (
	"cmp"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
)

// An object is any of Kubernetes' in a file, with what the tests look at.
type object struct {
	Kind     string `yaml:"kind"`
	Metadata struct {
		Name string `yaml:"name"`
	} `yaml:"metadata"`
	Data                         map[string]string `yaml:"data"`
	AutomountServiceAccountToken *bool             `yaml:"automountServiceAccountToken"`
	Rules                        []struct {
		Resources, Verbs []string
		ResourceNames    []string `yaml:"resourceNames"`
	} `yaml:"rules"`
	Spec struct {
		Replicas          int                   `yaml:"replicas"`
		Strategy          struct{ Type string } `yaml:"strategy"`
		ConcurrencyPolicy string                `yaml:"concurrencyPolicy"`
		Template          template              `yaml:"template"`
		JobTemplate       struct {
			Spec struct {
				Template template `yaml:"template"`
			} `yaml:"spec"`
		} `yaml:"jobTemplate"`
	} `yaml:"spec"`
}

type template struct {
	Spec pod `yaml:"spec"`
}

type pod struct {
	AutomountServiceAccountToken  *bool       `yaml:"automountServiceAccountToken"`
	HostNetwork                   bool        `yaml:"hostNetwork"`
	HostPID                       bool        `yaml:"hostPID"`
	HostIPC                       bool        `yaml:"hostIPC"`
	TerminationGracePeriodSeconds int         `yaml:"terminationGracePeriodSeconds"`
	SecurityContext               security    `yaml:"securityContext"`
	Containers                    []container `yaml:"containers"`
	InitContainers                []container `yaml:"initContainers"`
	Volumes                       []struct {
		Name     string         `yaml:"name"`
		HostPath map[string]any `yaml:"hostPath"`
		Secret   *struct {
			DefaultMode int `yaml:"defaultMode"`
		} `yaml:"secret"`
	} `yaml:"volumes"`
}

type container struct {
	Image           string            `yaml:"image"`
	Args            []string          `yaml:"args"`
	Command         []string          `yaml:"command"`
	SecurityContext security          `yaml:"securityContext"`
	VolumeMounts    []map[string]any  `yaml:"volumeMounts"`
	Resources       map[string]limits `yaml:"resources"`
	LivenessProbe   map[string]any    `yaml:"livenessProbe"`
	ReadinessProbe  map[string]any    `yaml:"readinessProbe"`
}

type limits map[string]string

type security struct {
	RunAsNonRoot             bool  `yaml:"runAsNonRoot"`
	RunAsUser                int   `yaml:"runAsUser"`
	FSGroup                  int   `yaml:"fsGroup"`
	Privileged               bool  `yaml:"privileged"`
	AllowPrivilegeEscalation *bool `yaml:"allowPrivilegeEscalation"`
	ReadOnlyRootFilesystem   bool  `yaml:"readOnlyRootFilesystem"`
	Capabilities             struct{ Drop, Add []string }
	SeccompProfile           struct{ Type string } `yaml:"seccompProfile"`
}

// problems are what makes a pod more privileged than it need be, or keeps it from running. elects says that it takes part
// in an election through the API server.
func (p pod) problems(elects bool) []string {
	var out []string
	must := func(ok bool, format string, args ...any) {
		if !ok {
			out = append(out, fmt.Sprintf(format, args...))
		}
	}
	s := p.SecurityContext
	must(s.RunAsNonRoot && s.RunAsUser == 65532, "runs as %d", s.RunAsUser)
	must(s.FSGroup == 65532, "cannot read its secrets")
	must(s.SeccompProfile.Type == "RuntimeDefault", "has no seccomp profile")
	must(!p.HostNetwork && !p.HostPID && !p.HostIPC, "shares namespaces with the node")
	must(p.AutomountServiceAccountToken != nil && *p.AutomountServiceAccountToken == elects, "has a token of the API server, or lacks one")
	must(p.TerminationGracePeriodSeconds > 25, "is killed after %d s", p.TerminationGracePeriodSeconds)
	must(len(p.Containers) == 1 && len(p.InitContainers) == 0, "has %d containers", len(p.Containers)+len(p.InitContainers))
	for _, v := range p.Volumes {
		must(v.HostPath == nil, "mounts %s of the node", v.Name)
		must(v.Secret == nil || v.Secret.DefaultMode == 0o440, "secret %s has the wrong mode", v.Name)
	}
	for _, c := range p.Containers {
		s := c.SecurityContext
		must(strings.Contains(c.Image, "/rootly-idp-sync"), "runs %s", c.Image)
		must(s.ReadOnlyRootFilesystem, "can write to its root")
		must(!s.Privileged && s.AllowPrivilegeEscalation != nil && !*s.AllowPrivilegeEscalation, "may gain privileges")
		must(slices.Equal(s.Capabilities.Drop, []string{"ALL"}) && s.Capabilities.Add == nil, "has capabilities")
		must(c.Resources["limits"]["memory"] != "", "has no memory limit")
		must(c.Command == nil, "replaces the entry point")
		for _, m := range c.VolumeMounts {
			must(m["subPath"] == nil, "mounts %v by subPath, which is never updated", m["name"])
		}
	}
	return out
}

func TestAnUnsafePodIsNoticed(t *testing.T) {
	yes := true
	got := pod{HostNetwork: true, AutomountServiceAccountToken: &yes, Containers: []container{{
		Image: "docker.io/x/rootly-idp-sync", SecurityContext: security{Privileged: true},
		VolumeMounts: []map[string]any{{"name": "config", "subPath": "a"}},
	}}}.problems(false)
	want := []string{
		"runs as 0", "cannot read its secrets", "has no seccomp profile", "shares namespaces with the node",
		"has a token of the API server, or lacks one", "is killed after 0 s", "can write to its root", "may gain privileges", "has capabilities",
		"has no memory limit", "mounts config by subPath, which is never updated",
	}
	if diff := gocmp.Diff(want, got); diff != "" {
		t.Errorf("problems (-want +got):\n%s", diff)
	}
}

// sets are all that can be applied to a cluster: the objects of each overlay and of each rendering of the chart.
func sets(t *testing.T) map[string][]object {
	t.Helper()
	out := map[string][]object{}
	for pattern, objects := range map[string]func(*testing.T, string) []object{
		"kubernetes/overlays/*":  kustomized,
		"testdata/helm/*.golden": func(t *testing.T, file string) []object { return decode[object](t, file, read(t, file), false) },
	} {
		found, err := filepath.Glob(pattern)
		if err != nil || len(found) < 4 {
			t.Fatalf("%s: %v %v", pattern, found, err)
		}
		for _, name := range found {
			out[name] = objects(t, name)
		}
	}
	return out
}

// kustomized are the objects of a folder: its resources, those of the folders among them, and the ConfigMaps that it
// makes. Each file has to be used.
func kustomized(t *testing.T, dir string) []object {
	t.Helper()
	file := filepath.Join(dir, "kustomization.yaml")
	k := decode[struct {
		Resources          []string
		ConfigMapGenerator []struct{ Files []string } `yaml:"configMapGenerator"`
	}](t, file, read(t, file), false)[0]
	used := map[string]bool{file: true}
	var out []object
	for _, resource := range k.Resources {
		path := filepath.Join(dir, resource)
		used[path] = true
		if filepath.Ext(path) == "" {
			out = append(out, kustomized(t, path)...)
			continue
		}
		out = append(out, decode[object](t, path, read(t, path), false)...)
	}
	for _, made := range k.ConfigMapGenerator {
		o := object{Kind: "ConfigMap", Data: map[string]string{}}
		for _, name := range made.Files {
			path := filepath.Join(dir, name)
			used[path] = true
			o.Data[filepath.Base(path)] = string(read(t, path))
		}
		out = append(out, o)
	}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && !used[path] {
			t.Errorf("%s is in no resource of its kustomization", path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// leaseOf is what a configuration says that its Lease is called.
func leaseOf(t *testing.T, config string) string {
	t.Helper()
	c := decode[struct{ HA struct{ Lease string } }](t, "its configuration", []byte(config), false)[0]
	return cmp.Or(c.HA.Lease, "rootly-idp-sync")
}

func TestWorkloads(t *testing.T) {
	for name, objects := range sets(t) {
		t.Run(name, func(t *testing.T) {
			config := ""
			var leases []string
			for _, o := range objects {
				if o.Kind != "ConfigMap" {
					continue
				}
				if config = o.Data["rootly-idp-sync.yaml"]; config != "" {
					validate(t, config, fromEnvironment...)
					leases = []string{leaseOf(t, config)}
					continue
				}
				validateAll(t, o.Data, fromEnvironment...)
				for file, text := range o.Data {
					config += text // what is said below of one is so of all
					if name := strings.TrimSuffix(file, ".yaml"); name != "process" {
						leases = append(leases, leaseOf(t, text)+"-"+name)
					}
				}
			}
			if len(leases) == 0 {
				t.Fatal("it has no configuration")
			}
			elects := strings.Contains(config, "mode: kubernetes")
			shared := strings.Contains(config, "dsn")
			workloads := 0
			for _, o := range objects {
				switch o.Kind {
				case "Deployment":
					workloads++
					checkPod(t, o.Spec.Template.Spec, elects)
					if o.Spec.Replicas > 1 && !(shared && strings.Contains("\n"+config, "\nha:")) {
						t.Errorf("%d replicas share nothing", o.Spec.Replicas)
					}
					if o.Spec.Replicas == 1 && o.Spec.Strategy.Type != "Recreate" {
						t.Error("two pods would meet at one state file")
					}
					if c := o.Spec.Template.Spec.Containers[0]; c.LivenessProbe == nil || c.ReadinessProbe == nil {
						t.Error("there are no probes")
					}
				case "CronJob":
					workloads++
					checkPod(t, o.Spec.JobTemplate.Spec.Template.Spec, false)
					if o.Spec.ConcurrencyPolicy != "Forbid" || !slices.Contains(o.Spec.JobTemplate.Spec.Template.Spec.Containers[0].Args, "--once") {
						t.Error("jobs pile up")
					}
				case "ServiceAccount":
					if o.AutomountServiceAccountToken == nil || *o.AutomountServiceAccountToken {
						t.Error("every pod of the service account gets a token")
					}
				case "Role":
					checkRole(t, o, elects, leases)
				case "ClusterRole", "ClusterRoleBinding", "Secret":
					t.Errorf("there is a %s", o.Kind)
				}
			}
			if workloads != 1 {
				t.Errorf("%d workloads", workloads)
			}
		})
	}
}

func checkPod(t *testing.T, p pod, elects bool) {
	t.Helper()
	if problems := p.problems(elects); len(problems) > 0 {
		t.Errorf("the pod %s", strings.Join(problems, ", it "))
	}
	accepts(t, p.Containers[0].Args)
}

// checkRole allows the Lease of each pipeline by its name, and what has no name: the creation.
func checkRole(t *testing.T, o object, elects bool, leases []string) {
	t.Helper()
	if !elects {
		t.Error("there is a role without an election")
	}
	for _, r := range o.Rules {
		slices.Sort(leases)
		named := slices.Equal(slices.Sorted(slices.Values(r.ResourceNames)), leases) && slices.Equal(r.Verbs, []string{"get", "update"})
		unnamed := len(r.ResourceNames) == 0 && slices.Equal(r.Verbs, []string{"create"})
		if !slices.Equal(r.Resources, []string{"leases"}) || !named && !unnamed {
			t.Errorf("the role allows %v of %v %v, the leases are %v", r.Verbs, r.Resources, r.ResourceNames, leases)
		}
	}
}
