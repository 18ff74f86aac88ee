package app

import (
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"

	"github.com/charmbracelet/lipgloss"
	"golang.org/x/term"

	"github.com/rootly-idp-sync/rootly-idp-sync/reconcile"
)

// A format is how results are written.
type format string

const (
	formatText     format = "text"
	formatJSON     format = "json"
	formatMarkdown format = "markdown"
)

// String is the format, text unless set.
func (f *format) String() string {
	if *f == "" {
		return string(formatText)
	}
	return string(*f)
}

// Set takes one of the formats.
func (f *format) Set(s string) error {
	switch format(s) {
	case formatText, formatJSON, formatMarkdown:
		*f = format(s)
		return nil
	}
	return fmt.Errorf("it is none of text, json, markdown")
}

// Type names the flag's value in help texts.
func (f *format) Type() string { return "format" }

// A result can be written in every format.
type result interface {
	Text(o reconcile.TextOptions) string
	Markdown() string
	JSON() ([]byte, error)
}

// show writes a result in the format that was asked for.
func (a *app) show(r result, o reconcile.TextOptions) error {
	o.Palette = a.palette
	var out []byte
	var err error
	switch a.flags.output {
	case formatJSON:
		out, err = r.JSON()
	case formatMarkdown:
		out = []byte(r.Markdown())
	default:
		out = []byte(r.Text(o))
	}
	if err != nil {
		return err
	}
	if _, err := a.Out.Write(out); err != nil {
		return fmt.Errorf("write the result: %w", err)
	}
	return nil
}

// A page is a small result: tables and lines for people, data for programs.
type page struct {
	title    string
	sections []pageSection
	data     any
}

type pageSection struct {
	title  string
	header []string // none for rows that speak for themselves
	rows   [][]string
	lines  []string // below the rows
}

// Text lays the tables out in columns. Lines that begin with a check mark or a cross are coloured.
func (p page) Text(o reconcile.TextOptions) string {
	var b strings.Builder
	paint := func(colour func(string) string, s string) {
		if colour != nil {
			s = colour(s)
		}
		b.WriteString(s + "\n")
	}
	paint(o.Palette.Strong, reconcile.Visible(p.title))
	for _, s := range p.sections {
		if s.title != "" {
			b.WriteByte('\n')
			paint(o.Palette.Strong, reconcile.Visible(s.title))
		}
		for _, line := range columns(s.header, s.rows) {
			switch {
			case strings.HasPrefix(line, "  ✓"):
				paint(o.Palette.Add, line)
			case strings.HasPrefix(line, "  ✗"):
				paint(o.Palette.Remove, line)
			default:
				paint(nil, line)
			}
		}
		for _, line := range s.lines {
			paint(nil, "  "+reconcile.Visible(line))
		}
	}
	return b.String()
}

func columns(header []string, rows [][]string) []string {
	if len(rows) == 0 {
		return nil
	}
	if len(header) > 0 {
		rows = append([][]string{header}, rows...)
	}
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	for _, row := range rows {
		for i, cell := range row {
			if i > 0 {
				fmt.Fprint(w, "\t")
			}
			fmt.Fprint(w, reconcile.Visible(cell))
		}
		fmt.Fprintln(w)
	}
	w.Flush() // a strings.Builder takes everything
	lines := strings.Split(strings.TrimSuffix(b.String(), "\n"), "\n")
	for i := range lines {
		lines[i] = "  " + strings.TrimRight(lines[i], " ")
	}
	return lines
}

// Markdown writes the tables as such.
func (p page) Markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "## %s\n", reconcile.EscapeMarkdown(p.title))
	for _, s := range p.sections {
		if s.title != "" {
			fmt.Fprintf(&b, "\n### %s\n", reconcile.EscapeMarkdown(s.title))
		}
		if len(s.rows) > 0 {
			header := s.header
			if len(header) == 0 {
				header = make([]string, len(s.rows[0]))
			}
			b.WriteByte('\n')
			row := func(cells []string) {
				b.WriteString("|")
				for _, c := range cells {
					b.WriteString(" " + reconcile.EscapeMarkdown(c) + " |")
				}
				b.WriteByte('\n')
			}
			row(header)
			b.WriteString("|" + strings.Repeat(" --- |", len(header)) + "\n")
			for _, r := range s.rows {
				row(r)
			}
		}
		if len(s.lines) > 0 {
			b.WriteByte('\n')
		}
		for _, l := range s.lines {
			fmt.Fprintf(&b, "- %s\n", reconcile.EscapeMarkdown(l))
		}
	}
	return b.String()
}

// JSON is the page's data.
func (p page) JSON() ([]byte, error) { return reconcile.Document(p.data) }

// terminal tells whether w is one.
func terminal(w any) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

func colours(w io.Writer) reconcile.Palette {
	r := lipgloss.NewRenderer(w)
	colour := func(code string) func(string) string {
		s := r.NewStyle().Foreground(lipgloss.Color(code))
		return func(text string) string { return s.Render(text) }
	}
	strong, faint := r.NewStyle().Bold(true), r.NewStyle().Faint(true)
	return reconcile.Palette{
		Add: colour("2"), Change: colour("3"), Remove: colour("1"), Warn: colour("5"),
		Strong: func(s string) string { return strong.Render(s) },
		Faint:  func(s string) string { return faint.Render(s) },
	}
}
