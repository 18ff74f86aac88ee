package file

import (
	"bytes"
	"encoding/csv"
	"errors"
	"io"
	"strings"
	"unicode"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
)

// A table is a CSV file with a header.
type table struct {
	header []string       // as written, trimmed
	line   int            // of the header
	keys   map[string]int // column by key of its header
	rows   []row
}

type row struct {
	line  int
	cells []string // trimmed, as many as the header has
}

// key is how column names and status words are compared: letters and digits in lower case, without Google's "[Required]".
func key(s string) string {
	s, _, _ = strings.Cut(s, "[")
	return strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			return unicode.ToLower(r)
		}
		return -1
	}, s)
}

// parseTable reads the whole file or notes why it cannot be trusted. Rows that are fine are returned even when others
// are not, so that every problem is found at once; the caller must not use them once log has errors.
func parseTable(text []byte, log *problems) *table {
	text, comma, skipped := separator(text)
	r := csv.NewReader(bytes.NewReader(text))
	r.Comma = comma
	r.FieldsPerRecord = -1
	header, err := r.Read()
	if err != nil {
		syntax(err, skipped, log)
		return nil
	}
	t := &table{header: trimAll(header), keys: map[string]int{}}
	headerLine, _ := r.FieldPos(0)
	t.line = headerLine + skipped
	seen := map[string]bool{}
	for i, h := range t.header {
		folded := connectors.Fold(h)
		switch {
		case h == "":
			log.add(t.line, "column %d has no name", i+1)
		case seen[folded]:
			log.add(t.line, "column %q is there twice", h)
		}
		seen[folded] = true
		if k := key(h); k != "" {
			if _, ok := t.keys[k]; !ok {
				t.keys[k] = i
			}
		}
	}
	for {
		cells, err := r.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			// What follows a broken quote cannot be told apart from text inside it.
			syntax(err, skipped, log)
			return t
		}
		line, _ := r.FieldPos(0)
		line += skipped
		if len(cells) != len(t.header) {
			log.add(line, "%d fields where the header has %d (a cut line, an unquoted separator, or a bare quote)", len(cells), len(t.header))
			continue
		}
		t.rows = append(t.rows, row{line: line, cells: trimAll(cells)})
	}
	if len(t.rows) == 0 && len(log.errs) == 0 {
		log.add(0, "a header and no rows: a directory of nobody is never right")
	}
	return t
}

func syntax(err error, skipped int, log *problems) {
	if e, ok := errors.AsType[*csv.ParseError](err); ok {
		line := e.Line
		if e.StartLine != e.Line {
			log.add(line+skipped, "%w in the record that begins at line %d", e.Err, e.StartLine+skipped)
			return
		}
		log.add(line+skipped, "%w", e.Err)
		return
	}
	if errors.Is(err, io.EOF) {
		log.add(0, "no header: a directory of nobody is never right")
		return
	}
	log.add(0, "%w", err)
}

// separator finds what parts the header's columns: comma, semicolon (Excel where the comma is the decimal sign) or tab.
// Excel's own first line "sep=;" says it and is skipped.
func separator(text []byte) (rest []byte, comma rune, skipped int) {
	first, after, _ := bytes.Cut(text, []byte("\n"))
	first = bytes.TrimRight(first, "\r")
	if s, ok := bytes.CutPrefix(first, []byte("sep=")); ok && len(s) == 1 && strings.ContainsRune(",;\t|", rune(s[0])) {
		return after, rune(s[0]), 1
	}
	counts := map[rune]int{}
	quoted := false
	for _, c := range string(first) {
		switch {
		case c == '"':
			quoted = !quoted
		case !quoted:
			counts[c]++
		}
	}
	comma = ','
	for _, c := range ";\t" {
		if counts[c] > counts[comma] {
			comma = c
		}
	}
	return text, comma, 0
}

// column returns the first of the named columns that the table has, or -1. Names are compared by key.
func (t *table) column(names ...string) int {
	for _, n := range names {
		if i, ok := t.keys[key(n)]; ok {
			return i
		}
	}
	return -1
}

// named finds a column by its full name, letter case aside.
func (t *table) named(name string) int {
	for i, h := range t.header {
		if connectors.Fold(h) == connectors.Fold(name) {
			return i
		}
	}
	return -1
}

// cell is the text of a column, "" for a column that the table has not.
func (r row) cell(column int) string {
	if column < 0 {
		return ""
	}
	return r.cells[column]
}

func trimAll(cells []string) []string {
	for i, c := range cells {
		cells[i] = strings.TrimSpace(c)
	}
	return cells
}
