package config

import (
	"cmp"
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// A Problem is one thing wrong with the configuration: where, what, and what to do about it.
type Problem struct {
	Path   string // the key: "source.okta.org_url"
	Text   string // reads on from the path: "is missing"
	Remedy string // what to do: "write …"
	Line   int    // in the file, 0 when it is not known or not there
	Env    string // the environment variable that the value comes from, if it does
}

// Error is the problem on one line.
func (p Problem) Error() string {
	var b strings.Builder
	b.WriteString(p.Path)
	switch {
	case p.Env != "":
		fmt.Fprintf(&b, " (from %s)", p.Env)
	case p.Line > 0:
		fmt.Fprintf(&b, " (line %d)", p.Line)
	}
	fmt.Fprintf(&b, " %s", p.Text)
	if p.Remedy != "" {
		fmt.Fprintf(&b, "; %s", p.Remedy)
	}
	return b.String()
}

// Problems is everything wrong with a configuration, as one error.
type Problems []Problem

// Error lists the problems, one a line.
func (ps Problems) Error() string {
	lines := make([]string, len(ps))
	for i, p := range ps {
		lines[i] = p.Error()
	}
	return strings.Join(lines, "\n")
}

// Sort puts the problems in the order of the file; those without a line follow in the order in which they were found.
func (ps Problems) Sort() {
	slices.SortStableFunc(ps, func(a, b Problem) int {
		if (a.Line == 0) != (b.Line == 0) {
			return cmp.Compare(b.Line, a.Line)
		}
		return cmp.Compare(a.Line, b.Line)
	})
}

// Err is the problems as an error, nil if there are none.
func (ps Problems) Err() error {
	if len(ps) == 0 {
		return nil
	}
	return ps
}

// origin is where a value was given.
type origin struct {
	line int
	env  string
}

// Problem makes a problem of the key at path and says where its value was given. It is for checks that are made
// outside this package.
func (c *Config) Problem(path, text, remedy string) Problem {
	p := Problem{Path: path, Text: text, Remedy: remedy}
	for at := path; ; {
		if o, ok := c.origins[at]; ok {
			p.Line = o.line
			if at == path {
				p.Env = o.env
			}
			return p
		}
		i := strings.LastIndexAny(at, ".[")
		if i < 0 {
			return p
		}
		at = at[:i]
	}
}

// WithoutSecrets leaves out what is wrong with secrets and their files, for runs that ask neither side.
func (ps Problems) WithoutSecrets() Problems {
	secret := map[string]bool{"target.ca_file": true, "notify.ca_file": true, "source.ldap.ca_file": true}
	for f := range leaves(reflect.TypeFor[Config](), "") {
		if f.typ == secretType {
			secret[f.path], secret[f.path+"_file"] = true, true
		}
	}
	return slices.DeleteFunc(slices.Clone(ps), func(p Problem) bool { return secret[p.Path] })
}
