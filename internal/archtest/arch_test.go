// Package archtest holds the shape of the code: which package may import which, and one doc comment for each.
package archtest

import (
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/rootly-idp-sync/rootly-idp-sync/"

// allowed is what each package may import of ours, besides what stands below it. A package that is not here may import
// nothing of ours. Tests may import more.
var allowed = map[string][]string{
	"cmd/rootly-idp-sync": {"internal/app", "config", "connectors", "connectors/..."},
	"internal/app":        {"config", "connectors", "reconcile", "scimclient", "internal/daemon", "internal/leader", "internal/store", "internal/notify", "internal/rootly", "internal/sim", "internal/trace", "internal/web"},
	"internal/docgen":     {"internal/app"},
	"internal/web":        {"connectors", "reconcile", "internal/daemon", "internal/redact", "internal/store"},
	"internal/daemon":     {"config", "connectors", "reconcile", "internal/store", "internal/notify", "internal/rootly"},
	"internal/leader":     {"internal/daemon", "internal/store"},
	"internal/store":      {"connectors", "reconcile", "internal/redact"},
	"internal/rootly":     {"connectors", "connectors/wire", "reconcile", "internal/redact"},
	"internal/notify":     {"reconcile", "internal/redact"},
	"reconcile":           {"connectors", "scimclient"},
	// Test support: the table of leaving, which each connector walks.
	"reconcile/reconciletest": {"connectors", "reconcile", "scimclient", "internal/sim", "internal/store"},
	// Test support: random histories, judged by an oracle.
	"internal/lab":   {"connectors", "connectors/google", "connectors/keycloak", "connectors/okta", "connectors/rippling", "connectors/scim", "reconcile", "scimclient", "internal/sim", "internal/store"},
	"config":         {"connectors"},
	"connectors/...": {"connectors", "connectors/wire", "internal/redact"},
	// A directory that is a SCIM server is read by the client that proves its listings complete.
	"connectors/scim": {"connectors", "connectors/wire", "scimclient"},
	// Whoever quotes a server takes the secrets out.
	"scimclient": {"internal/redact"},
	// Test support: the conformance suite, with the company that the directories of the simulator speak of.
	"connectors/connectortest": {"connectors", "internal/sim"},
}

// homes are the only packages that may import a library: nothing else sees a vendor's types or pays for compiling them.
var homes = map[string]string{
	"github.com/okta/okta-sdk-golang":   "connectors/okta",
	"github.com/microsoftgraph/":        "connectors/entra",
	"google.golang.org/api/":            "connectors/google",
	"github.com/go-ldap/":               "connectors/ldap",
	"github.com/go-asn1-ber/":           "connectors/ldap",
	"github.com/jackc/pgx":              "internal/store",
	"k8s.io/":                           "internal/leader",
	"github.com/go-logr/":               "internal/leader",
	"modernc.org/sqlite":                "internal/store",
	"github.com/pressly/goose":          "internal/store",
	"github.com/spf13/viper":            "config",
	"github.com/wneessen/go-mail":       "internal/notify",
	"github.com/prometheus/":            "internal/web",
	"go.opentelemetry.io/":              "internal/trace",
	"google.golang.org/protobuf":        "internal/trace",
	"github.com/coreos/go-oidc":         "internal/web",
	"github.com/chromedp/":              "no package outside tests",
	"cel.dev/cel-go":                    "reconcile",
	"github.com/spf13/cobra":            "internal/app",
	"github.com/spf13/cobra/doc":        "internal/docgen", // man pages, which the binary does not write itself
	"github.com/charmbracelet/lipgloss": "internal/app",
	"github.com/vbauerster/mpb":         "internal/app",
	"github.com/nyaruka/phonenumbers":   "reconcile",
	"github.com/google/licensecheck":    "internal/licences",
	"github.com/rogpeppe/go-internal":   "no package outside tests",
	"pgregory.net/rapid":                "no package outside tests",
	"github.com/google/go-cmp":          "no package outside tests",
	"go.uber.org/goleak":                "no package outside tests",
}

// A source is one Go file of the module.
type source struct {
	pkg     string // its folder below the module's root
	name    string
	doc     bool // the package clause has a comment
	imports []string
}

func (s source) test() bool { return strings.HasSuffix(s.name, "_test.go") }

func sources(t *testing.T) []source {
	t.Helper()
	const root = "../.."
	var out []source
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && path != root && (d.Name() == "testdata" || strings.HasPrefix(d.Name(), ".")) {
			return filepath.SkipDir
		}
		if filepath.Ext(path) != ".go" {
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly|parser.ParseComments)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, filepath.Dir(path))
		if err != nil {
			return err
		}
		s := source{pkg: filepath.ToSlash(rel), name: d.Name(), doc: file.Doc != nil}
		for _, i := range file.Imports {
			p, err := strconv.Unquote(i.Path.Value)
			if err != nil {
				return err
			}
			s.imports = append(s.imports, p)
		}
		out = append(out, s)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(out) < 50 {
		t.Fatalf("only %d Go files were found below %s", len(out), root)
	}
	return out
}

func TestImportsGoOneWay(t *testing.T) {
	for _, s := range sources(t) {
		if s.test() {
			continue
		}
		for _, i := range s.imports {
			if ours, ok := strings.CutPrefix(i, module); ok && !mayImport(s.pkg, ours) {
				t.Errorf("%s/%s imports %s", s.pkg, s.name, ours)
			}
		}
	}
}

func mayImport(pkg, ours string) bool {
	list, ok := allowed[pkg]
	if !ok && strings.HasPrefix(pkg, "connectors/") {
		list = allowed["connectors/..."]
	}
	return slices.ContainsFunc(list, func(pattern string) bool {
		below, any := strings.CutSuffix(pattern, "...")
		return ours == pattern || any && strings.HasPrefix(ours, below)
	})
}

func TestLibrariesStayWhereTheyBelong(t *testing.T) {
	for _, s := range sources(t) {
		if s.test() || s.pkg == "connectors/connectortest" {
			continue
		}
		for _, i := range s.imports {
			if home, ok := homeOf(i); ok && s.pkg != home {
				t.Errorf("%s/%s imports %s, which belongs to %s", s.pkg, s.name, i, home)
			}
		}
	}
}

// homeOf is the home of an import, by the longest name of the table that it begins with.
func homeOf(path string) (home string, ok bool) {
	longest := ""
	for library, h := range homes {
		if strings.HasPrefix(path, library) && len(library) > len(longest) {
			longest, home = library, h
		}
	}
	return home, longest != ""
}

func TestEveryPackageHasOneDocComment(t *testing.T) {
	documented, seen := map[string][]string{}, map[string]bool{}
	for _, s := range sources(t) {
		seen[s.pkg] = true
		if s.doc {
			documented[s.pkg] = append(documented[s.pkg], s.name)
		}
	}
	for pkg := range seen {
		if files := documented[pkg]; len(files) != 1 {
			t.Errorf("%s has %d package comments, want 1: %v", pkg, len(files), files)
		}
	}
}
