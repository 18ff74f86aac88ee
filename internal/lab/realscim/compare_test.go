package realscim

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the table of differences into docs/scim-servers.md")

const page = "../../../docs/scim-servers.md"

// The table stands between these lines of the page.
const (
	tableBegins = "<!-- table: make test-scim UPDATE=-update -->\n"
	tableEnds   = "<!-- end of table -->"
)

// TestSideBySide asks every server the same. What all real servers refuse, the simulator must not accept: a client that
// passes there would fail here. The answers are the table of docs/scim-servers.md.
func TestSideBySide(t *testing.T) {
	all := servers()
	var table strings.Builder
	row := func(cells []string) { fmt.Fprintf(&table, "| %s |\n", strings.Join(cells, " | ")) }
	head, line := []string{"asked"}, []string{"---"}
	for _, s := range all {
		head, line = append(head, s.name), append(line, "---")
	}
	row(head)
	row(line)
	differences := 0
	for _, o := range observations {
		cells := []string{strings.ReplaceAll(o.about, "|", `\|`)}
		refused, accepted := 0, false
		for i, srv := range all {
			a, seen := o.ask(session{t, srv.open()})
			switch {
			case i == 0:
				accepted = a.accepted()
			case !a.accepted():
				refused++
			}
			cell := a.String()
			if seen != "" {
				cell += "; " + seen
			}
			cells = append(cells, cell)
		}
		if accepted && refused > 0 && refused == len(all)-1 {
			t.Errorf("%s: the simulator accepts what every real server refuses: %v", o.about, cells[1:])
		}
		for _, cell := range cells[2:] {
			if cell != cells[1] {
				differences++
				row(cells)
				break
			}
		}
	}
	if len(all) == 1 {
		return // the page needs the others
	}
	t.Logf("%d questions, %d answered differently\n%s", len(observations), differences, &table)
	keep(t, fmt.Sprintf("%d questions were asked; these %d were not answered alike.\n\n%s", len(observations), differences, &table))
}

// keep compares the table with the page's, or writes it there.
func keep(t *testing.T, table string) {
	t.Helper()
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, begins := strings.Cut(string(text), tableBegins)
	old, after, ends := strings.Cut(rest, tableEnds)
	if !begins || !ends {
		t.Fatalf("%s has no place for the table", page)
	}
	if table = "\n" + table + "\n"; *update {
		if err := os.WriteFile(page, []byte(before+tableBegins+table+tableEnds+after), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if old != table {
		t.Errorf("%s does not show what the servers answer now (make test-scim UPDATE=-update)", page)
	}
}
