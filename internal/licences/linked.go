package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
)

// A module is one that the program links, with the licences that hold for the packages of it that are linked.
type module struct {
	path, version string
	dir           string
	packages      map[string]bool // folders of the packages
	texts         []text
}

// standard is the name under which Go's own library is listed. Its version is the toolchain's, which go.mod does not fix.
const standard = "Go's standard library"

// linked are the modules of a program on all systems, by name.
func linked(program string, systems []string) ([]module, error) {
	found := map[string]*module{}
	for _, system := range systems {
		if err := list(program, system, found); err != nil {
			return nil, err
		}
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("%s links no module", program)
	}
	root, err := output(exec.Command("go", "env", "GOROOT"))
	if err != nil {
		return nil, err
	}
	dir := strings.TrimSpace(string(root))
	out := []module{{path: standard, dir: dir, packages: map[string]bool{dir: true}}}
	for _, m := range found {
		out = append(out, *m)
	}
	slices.SortFunc(out, func(a, b module) int { return cmp.Compare(strings.ToLower(a.path), strings.ToLower(b.path)) })
	return out, nil
}

// list adds what the program links on one system. It asks for packages alone, so nothing is compiled.
func list(program, system string, found map[string]*module) error {
	cmd := exec.Command("go", "list", "-deps", "-json=Dir,Module", program)
	cmd.Env = append(os.Environ(), "GOOS="+system, "GOARCH="+runtime.GOARCH, "CGO_ENABLED=0")
	data, err := output(cmd)
	if err != nil {
		return err
	}
	for dec := json.NewDecoder(bytes.NewReader(data)); ; {
		var p struct {
			Dir    string
			Module *struct {
				Path, Version, Dir string
				Main               bool
			}
		}
		switch err := dec.Decode(&p); {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return fmt.Errorf("go list: %w", err)
		case p.Module == nil || p.Module.Main:
			continue
		}
		m := found[p.Module.Path]
		if m == nil {
			m = &module{path: p.Module.Path, version: p.Module.Version, dir: p.Module.Dir, packages: map[string]bool{}}
			found[p.Module.Path] = m
		}
		m.packages[p.Dir] = true
	}
}

// output runs a command and returns what it prints.
func output(cmd *exec.Cmd) ([]byte, error) {
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("%s: %w\n%s", strings.Join(cmd.Args, " "), err, &stderr)
	}
	return out, nil
}

// legal is how files with licences and notices are called.
var legal = regexp.MustCompile(`(?i)^(un)?(licen[cs]e|copying|copyright|notice|patents)([-._].*)?$`)

// code is what looks like such a file and is Go.
var code = regexp.MustCompile(`\.(go|tmpl)$`)

// read collects the texts in the folders of the linked packages and in those above them, up to the module's root.
func (m *module) read() error {
	folders := map[string]bool{}
	for dir := range m.packages {
		for ; !folders[dir]; dir = filepath.Dir(dir) {
			if rel, err := filepath.Rel(m.dir, dir); err != nil || strings.HasPrefix(rel, "..") {
				break
			}
			folders[dir] = true
		}
	}
	for _, dir := range slices.Sorted(maps.Keys(folders)) {
		entries, err := os.ReadDir(dir)
		if err != nil {
			return err
		}
		for _, e := range entries {
			if e.IsDir() || !legal.MatchString(e.Name()) || code.MatchString(e.Name()) {
				continue
			}
			data, err := os.ReadFile(filepath.Join(dir, e.Name()))
			if err != nil {
				return err
			}
			t, err := classify(e.Name(), data)
			if err != nil {
				return fmt.Errorf("%s: %w", m.path, err)
			}
			m.texts = append(m.texts, t)
		}
	}
	if !slices.ContainsFunc(m.texts, func(t text) bool { return len(t.licences) > 0 }) {
		return fmt.Errorf("%s %s has no licence in %s: find out what holds, or do without it", m.path, m.version, m.dir)
	}
	return nil
}
