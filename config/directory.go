package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
)

// ProcessFile is the file in a directory of pipelines that says what their process has once: http and health. It may be
// missing.
const ProcessFile = "process.yaml"

// processSections are the keys of ProcessFile.
var processSections = []string{"http", "health"}

// pipelineName is short enough for the name of a lease and for a path, and needs no escaping anywhere.
var pipelineName = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]{0,38}[a-z0-9])?$`)

// Pipelines lists the pipelines of a directory by their names: its *.yaml files without that ending, ProcessFile aside.
// Links are followed. Hidden files are left out, and with them what Kubernetes keeps beside a mounted ConfigMap. A name
// that LoadPipeline refuses, such as that of a *.yml file, is listed too: somebody meant it to run.
func Pipelines(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("read the directory of pipelines: %w (--config-dir names a directory with a file NAME.yaml for each pipeline)", err)
	}
	var out []string
	for _, e := range entries {
		ext := filepath.Ext(e.Name())
		if strings.HasPrefix(e.Name(), ".") || ext != ".yaml" && ext != ".yml" || e.Name() == ProcessFile {
			continue
		}
		// A link that leads nowhere is listed: what it was to lead to is missing.
		if at, err := os.Stat(filepath.Join(dir, e.Name())); err == nil && at.IsDir() {
			continue
		}
		out = append(out, strings.TrimSuffix(e.Name(), ".yaml"))
	}
	slices.Sort(out)
	return out, nil
}

// PipelinePath is the file of a pipeline.
func PipelinePath(dir, name string) string {
	if filepath.Ext(name) == ".yml" {
		return filepath.Join(dir, name)
	}
	return filepath.Join(dir, name+".yaml")
}

// LoadProcess reads ProcessFile and the environment as Load does. Only HTTP, Health, Notes and Files of the result mean
// anything.
func LoadProcess(dir string, env func(string) (string, bool)) (*Config, error) {
	path := filepath.Join(dir, ProcessFile)
	data, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("read configuration: %w", err)
	}
	root, err := parse(path, data)
	if err != nil {
		return nil, fmt.Errorf("read configuration %s: %w", path, err)
	}
	l := newLoader(env)
	file := l.section(root, reflect.TypeFor[Config](), "")
	var misplaced Problems
	for _, f := range fieldsOf(reflect.TypeFor[Config](), "") {
		o, given := l.origins[f.path]
		if slices.Contains(processSections, f.name) {
			continue
		}
		if delete(file, f.name); given {
			misplaced = append(misplaced, Problem{Path: f.path, Line: o.line, Text: "belongs to a pipeline", Remedy: "write it into the pipelines' files; " + ProcessFile + " has http and health only"})
		}
	}
	if err := l.merge(file); err != nil {
		return nil, fmt.Errorf("read configuration %s: %w", path, err)
	}
	l.resolve(dir)
	l.http()
	l.health()
	// What is wrong with the rest, by the environment, is each pipeline's problem.
	l.problems = slices.DeleteFunc(l.problems, func(p Problem) bool {
		top, _, _ := strings.Cut(p.Path, ".")
		return !slices.Contains(processSections, top) && slices.ContainsFunc(fieldsOf(reflect.TypeFor[Config](), ""), func(f field) bool { return f.name == top })
	})
	l.problems = append(l.problems, misplaced...)
	l.problems.Sort()
	if err := l.problems.Err(); err != nil {
		return nil, fmt.Errorf("configuration %s: %w", path, err)
	}
	return l.cfg, nil
}

// LoadPipeline is Load for a pipeline of a directory, whose HTTP and Health are those of the process. The name of its lease
// ends with its own.
func LoadPipeline(dir, name string, process *Config, env func(string) (string, bool)) (*Config, error) {
	path := PipelinePath(dir, name)
	switch {
	case filepath.Ext(name) == ".yml":
		return nil, fmt.Errorf("%s is no pipeline (name the file %s.yaml)", path, strings.TrimSuffix(name, ".yml"))
	case !pipelineName.MatchString(name):
		return nil, fmt.Errorf("%q is no name of a pipeline (name its file with lower-case letters, digits and -, at most 40 of them, such as acme.yaml)", name)
	case name+".yaml" == ProcessFile:
		return nil, fmt.Errorf("%s is no pipeline: it says what the process has once (name the pipeline's file differently)", path)
	}
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("no pipeline %s: there is no %s (rootly-idp-sync status --config-dir %s lists those there are)", name, path, dir)
	}
	if err != nil {
		return nil, fmt.Errorf("read configuration: %w", err)
	}
	root, err := parse(path, data)
	if err != nil {
		return nil, fmt.Errorf("read configuration %s: %w", path, err)
	}
	l := newLoader(env)
	file := l.section(root, reflect.TypeFor[Config](), "")
	for _, section := range processSections {
		o, given := l.origins[section]
		if delete(file, section); given {
			l.report(Problem{Path: section, Line: o.line, Text: "belongs to the process, which has it once for all pipelines", Remedy: "write it into " + filepath.Join(dir, ProcessFile)})
		}
	}
	if err := l.merge(file); err != nil {
		return nil, fmt.Errorf("read configuration %s: %w", path, err)
	}
	l.cfg.Pipeline = name
	l.resolve(dir)
	l.cfg.HTTP, l.cfg.Health = process.HTTP, process.Health
	l.validate()
	l.problems.Sort()
	return l.cfg, l.problems.Err()
}
