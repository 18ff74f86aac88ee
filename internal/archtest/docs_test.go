package archtest

import (
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/rootly-idp-sync/rootly-idp-sync/config"
)

// gap stands for what a message fills in, in the documentation and in the texts of the code alike.
const gap = "…"

// A code is what the documentation speaks of.
type code struct {
	texts    []string            // what it can print, with a gap for each value
	tests    string              // the sources of its tests
	commands map[string]bool     // first words of Use
	words    map[string][]string // type → values of its exported constants
}

func readCode(t *testing.T) code {
	t.Helper()
	c := code{commands: map[string]bool{"completion": true, "help": true}, words: map[string][]string{}}
	var tests strings.Builder
	walk(t, func(path string, data []byte) {
		switch {
		case strings.HasSuffix(path, "_test.go"):
			tests.Write(data)
		case filepath.Ext(path) == ".go":
			file, err := parser.ParseFile(token.NewFileSet(), path, data, parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			c.add(filepath.ToSlash(filepath.Dir(path)), file)
		}
	})
	c.tests = tests.String()
	return c
}

// walk calls visit with every file of the module, by its path below the module's root.
func walk(t *testing.T, visit func(path string, data []byte)) {
	t.Helper()
	root := os.DirFS("../..")
	err := fs.WalkDir(root, ".", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && path != "." && (strings.HasPrefix(d.Name(), ".") || d.Name() == "bin"):
			return fs.SkipDir
		case d.IsDir() || !slices.Contains([]string{".go", ".md"}, filepath.Ext(path)):
			return nil
		}
		data, err := fs.ReadFile(root, path)
		if err != nil {
			return err
		}
		visit(path, data)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func (c *code) add(pkg string, file *ast.File) {
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.BinaryExpr:
			c.texts = append(c.texts, textOf(n)) // and its parts, below
		case *ast.BasicLit:
			c.texts = append(c.texts, textOf(n))
		case *ast.KeyValueExpr:
			if key, ok := n.Key.(*ast.Ident); ok && key.Name == "Use" && pkg == "internal/app" {
				word, _, _ := strings.Cut(textOf(n.Value), " ")
				c.commands[word] = true
			}
		case *ast.ValueSpec:
			typ, ok := n.Type.(*ast.Ident)
			if ok && len(n.Values) == 1 && n.Names[0].IsExported() {
				c.words[typ.Name] = append(c.words[typ.Name], textOf(n.Values[0]))
			}
		}
		return true
	})
}

var verb = regexp.MustCompile(`%[-+# 0]*[0-9]*(\.[0-9]+)?[a-zA-Z]`)

// textOf is what a string expression yields, with a gap for all that is not written out.
func textOf(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.BinaryExpr:
		if e.Op == token.ADD {
			return textOf(e.X) + textOf(e.Y)
		}
	case *ast.BasicLit:
		if s, err := strconv.Unquote(e.Value); err == nil && e.Kind == token.STRING {
			return verb.ReplaceAllString(s, gap)
		}
	}
	return gap
}

// prints tells whether a message can be printed: one text has all of it in its order, or each of the parts that are
// joined with a colon is such a message.
func (c *code) prints(message string) bool {
	parts := strings.FieldsFunc(message, func(r rune) bool { return string(r) == gap })
	if slices.ContainsFunc(c.texts, func(text string) bool { return inOrder(text, parts) }) {
		return true
	}
	head, tail, joined := strings.Cut(message, ": ")
	return joined && (head == "" || c.prints(head) || status(head)) && (c.prints(tail) || status(tail))
}

func inOrder(text string, parts []string) bool {
	for _, p := range parts {
		_, rest, ok := strings.Cut(text, strings.TrimSpace(p))
		if !ok {
			return false
		}
		text = rest
	}
	return true
}

// status tells whether s is an HTTP status as errors write it: "404 Not Found".
func status(s string) bool {
	for n := 300; n < 600; n++ {
		if s == strings.TrimSpace(fmt.Sprintf("%d %s", n, http.StatusText(n))) {
			return true
		}
	}
	return false
}

func page(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile("../../" + name)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// TestTroubleshootingQuotesRealMessages holds every heading of the page, and the first column of its tables, against the
// texts in the code: a message that was reworded must be reworded here too.
func TestTroubleshootingQuotesRealMessages(t *testing.T) {
	c := readCode(t)
	quoted := regexp.MustCompile("(?m)^(?:### `(.+)`|\\| `([^`]+)` \\|.*)$").FindAllStringSubmatch(page(t, "docs/troubleshooting.md"), -1)
	if len(quoted) < 60 {
		t.Fatalf("only %d messages were found", len(quoted))
	}
	for _, m := range quoted {
		for message := range strings.SplitSeq(m[1]+m[2], "`, `") {
			if !c.prints(message) {
				t.Errorf("docs/troubleshooting.md explains %q, which nothing prints", message)
			}
		}
	}
}

// TestTroubleshootingKnowsEveryKind: what a plan can say has its place on the page.
func TestTroubleshootingKnowsEveryKind(t *testing.T) {
	c, text := readCode(t), page(t, "docs/troubleshooting.md")
	for _, typ := range []string{"NoteKind", "Axis", "Outcome"} {
		if len(c.words[typ]) < 3 {
			t.Fatalf("%s has the values %q", typ, c.words[typ])
		}
		for _, w := range c.words[typ] {
			if !strings.Contains(text, "`"+w+"`") {
				t.Errorf("docs/troubleshooting.md says nothing about the %s %q", typ, w)
			}
		}
	}
}

// TestDocumentedTestsExist: a rule that is said to be held by a test is held by it.
func TestDocumentedTestsExist(t *testing.T) {
	c := readCode(t)
	cited := regexp.MustCompile("`((?:Test|Fuzz|Benchmark)[A-Za-z0-9]+)(?:: ([^`]+))?`")
	script := regexp.MustCompile("`([a-z-]+\\.txtar)`")
	n := 0
	walk(t, func(path string, data []byte) {
		if filepath.Ext(path) != ".md" {
			return
		}
		for _, m := range cited.FindAllStringSubmatch(string(data), -1) {
			n++
			if !strings.Contains(c.tests, "func "+m[1]+"(") {
				t.Errorf("%s: there is no %s", path, m[1])
			}
			if m[2] != "" && !strings.Contains(c.tests, strconv.Quote(m[2])) {
				t.Errorf("%s: %s has no case %q", path, m[1], m[2])
			}
		}
		for _, m := range script.FindAllStringSubmatch(string(data), -1) {
			if _, err := os.Stat("../../cmd/rootly-idp-sync/testdata/script/" + m[1]); err != nil {
				t.Errorf("%s: there is no script %s", path, m[1])
			}
		}
	})
	if n < 40 {
		t.Errorf("only %d citations were found", n)
	}
}

// TestDocumentedCommandsExist: nothing is recommended that cannot be typed, and the README knows every command.
func TestDocumentedCommandsExist(t *testing.T) {
	c := readCode(t)
	typed := regexp.MustCompile("(?m)(?:^|[`\"$ ])rootly-idp-sync ([a-z]+)")
	walk(t, func(path string, data []byte) {
		if filepath.Ext(path) != ".md" || strings.Contains(path, "testdata/") {
			return
		}
		for _, m := range typed.FindAllStringSubmatch(string(data), -1) {
			if !c.commands[m[1]] {
				t.Errorf("%s: there is no command %s", path, m[1])
			}
		}
	})
	readme := page(t, "README.md")
	for name := range c.commands {
		if name != "rootly-idp-sync" && name != "help" && !regexp.MustCompile("[` ]"+name+"[` ]").MatchString(readme) {
			t.Errorf("README.md does not name the command %s", name)
		}
	}
}

// TestConfigurationPageIsComplete: each key has its row, with its default and its environment variable.
func TestConfigurationPageIsComplete(t *testing.T) {
	data, err := config.Schema()
	if err != nil {
		t.Fatal(err)
	}
	var schema section
	if err := json.Unmarshal(data, &schema); err != nil {
		t.Fatal(err)
	}
	rows := strings.Split(page(t, "docs/configuration.md"), "\n")
	keys := map[string]bool{}
	schema.leaves("", func(key string, def json.RawMessage) {
		keys[key] = true
		i := slices.IndexFunc(rows, func(row string) bool { return strings.HasPrefix(row, "| `"+key+"` |") })
		if i < 0 {
			t.Errorf("docs/configuration.md has no row for %s", key)
			return
		}
		env := config.EnvPrefix + strings.ToUpper(strings.ReplaceAll(key, ".", "_"))
		for _, want := range []string{env, strings.Trim(string(def), `"`)} {
			if want != "" && !strings.Contains(rows[i], "`"+want+"`") {
				t.Errorf("docs/configuration.md: the row of %s lacks `%s`", key, want)
			}
		}
	})
	for _, row := range rows {
		if m := regexp.MustCompile("^\\| `([a-zA-Z_.]+)` \\|").FindStringSubmatch(row); m != nil && !keys[m[1]] {
			t.Errorf("docs/configuration.md has a row for %s, which is no key", m[1])
		}
	}
}

// A section is one object of the JSON Schema.
type section struct {
	Default    json.RawMessage    `json:"default"`
	AnyOf      []section          `json:"anyOf"`
	Properties map[string]section `json:"properties"`
}

func (s section) leaves(path string, visit func(key string, def json.RawMessage)) {
	for name, p := range s.Properties {
		key := strings.TrimPrefix(path+"."+name, ".")
		if i := slices.IndexFunc(p.AnyOf, func(a section) bool { return len(a.Properties) > 0 }); i >= 0 {
			p = p.AnyOf[i] // keys, or a word in their place
		}
		if len(p.Properties) > 0 {
			p.leaves(key, visit)
		} else {
			visit(key, p.Default)
		}
	}
}

// TestLinksLeadSomewhere follows every relative link of the documentation, to the heading if it names one.
func TestLinksLeadSomewhere(t *testing.T) {
	link := regexp.MustCompile(`\]\(([^)#:]*)(#[^)]*)?\)`)
	fence := regexp.MustCompile("(?s)```.*?```")
	known := map[string][]string{} // anchors by page
	walk(t, func(path string, data []byte) {
		if filepath.Ext(path) != ".md" || strings.Contains(path, "testdata/") {
			return
		}
		for _, m := range link.FindAllStringSubmatch(fence.ReplaceAllString(string(data), ""), -1) {
			to := path
			if m[1] != "" {
				to = filepath.ToSlash(filepath.Join(filepath.Dir(path), m[1]))
			}
			if info, err := os.Stat("../../" + to); err != nil {
				t.Errorf("%s: the link %s%s leads nowhere", path, m[1], m[2])
				continue
			} else if info.IsDir() || m[2] == "" {
				continue
			}
			if known[to] == nil {
				text, err := os.ReadFile("../../" + to)
				if err != nil {
					t.Fatal(err)
				}
				known[to] = anchors(string(text))
			}
			if !slices.Contains(known[to], m[2]) {
				t.Errorf("%s: the link %s%s leads to no heading", path, m[1], m[2])
			}
		}
	})
}

var heading, notInAnchor = regexp.MustCompile(`(?m)^#+ (.+)$`), regexp.MustCompile(`[^\p{L}\p{N} _-]`)

// anchors are what a forge makes of a page's headings.
func anchors(text string) []string {
	var out []string
	for _, m := range heading.FindAllStringSubmatch(text, -1) {
		out = append(out, "#"+strings.ReplaceAll(notInAnchor.ReplaceAllString(strings.ToLower(m[1]), ""), " ", "-"))
	}
	return out
}
