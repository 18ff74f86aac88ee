package archtest

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// unwatched are the packages that start goroutines and whose tests do not look for any that stay, with the reason.
var unwatched = map[string]string{}

// TestWhoStartsGoroutinesLooksForLeaks: a package that starts goroutines outside its tests counts them at the end of its
// tests, in its TestMain, with goleak.
func TestWhoStartsGoroutinesLooksForLeaks(t *testing.T) {
	starts, looks := map[string]string{}, map[string]bool{}
	walk(t, func(path string, data []byte) {
		if filepath.Ext(path) != ".go" {
			return
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, data, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		pkg := filepath.ToSlash(filepath.Dir(path))
		switch {
		case !strings.HasSuffix(path, "_test.go"):
			if what := startsGoroutine(file); what != "" {
				starts[pkg] = filepath.Base(path) + ": " + what
			}
		case looksForLeaks(file):
			looks[pkg] = true
		}
	})
	if len(starts) < 10 {
		t.Fatalf("only %d packages that start goroutines were found", len(starts))
	}
	for pkg, where := range starts {
		if _, excused := unwatched[pkg]; excused == looks[pkg] {
			t.Errorf("%s starts goroutines (%s): its tests look for leaks is %t, and the table of exceptions has it is %t", pkg, where, looks[pkg], excused)
		}
	}
	for pkg, why := range unwatched {
		if starts[pkg] == "" || why == "" {
			t.Errorf("the exception of %s has no reason, or is needed no more", pkg)
		}
	}
}

// startsGoroutine names what starts one: a go statement, the Go of a group, an AfterFunc.
func startsGoroutine(file *ast.File) (what string) {
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.GoStmt:
			what = "go"
		case *ast.CallExpr:
			if f, ok := n.Fun.(*ast.SelectorExpr); ok && (f.Sel.Name == "Go" || f.Sel.Name == "AfterFunc") {
				what = f.Sel.Name
			}
		}
		return true
	})
	return what
}

// looksForLeaks tells whether a file has a TestMain that goleak has the last word in.
func looksForLeaks(file *ast.File) (looks bool) {
	for _, d := range file.Decls {
		f, ok := d.(*ast.FuncDecl)
		if !ok || f.Name.Name != "TestMain" {
			continue
		}
		ast.Inspect(f, func(n ast.Node) bool {
			if s, ok := n.(*ast.SelectorExpr); ok {
				x, ok := s.X.(*ast.Ident)
				looks = looks || ok && x.Name == "goleak" && strings.HasPrefix(s.Sel.Name, "VerifyTestMain")
			}
			return true
		})
	}
	return looks
}

// withoutRace are the packages that do less under the race detector, with the target of the Makefile that does it all.
var withoutRace = map[string]string{}

// TestTheRaceDetectorHidesNoCheck: what is built without it alone is run without it too.
func TestTheRaceDetectorHidesNoCheck(t *testing.T) {
	makefile := page(t, "Makefile")
	constraint := regexp.MustCompile(`(?m)^//go:build .*\brace\b`)
	found := map[string]bool{}
	walk(t, func(path string, data []byte) {
		if filepath.Ext(path) != ".go" || !constraint.Match(data) {
			return
		}
		pkg := filepath.ToSlash(filepath.Dir(path))
		target, known := withoutRace[pkg]
		found[pkg] = true
		if !known || !regexp.MustCompile(`\(MAKE\).*\b`+target+`\b`).MatchString(makefile) || !strings.Contains(makefile, "\n"+target+":") {
			t.Errorf("%s is built with or without the race detector, and make test runs no target for it", path)
		}
	})
	if len(found) != len(withoutRace) {
		t.Errorf("the packages are %v, and the table has %v", found, withoutRace)
	}
}
