package reconcile

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf16"
)

// JSON is the plan for programs; docs/output.md describes it.
func (p Plan) JSON() ([]byte, error) {
	p.Changes = slices.Concat([]Change{}, p.Changes) // [] rather than null
	return Document(planDocument{planFormat, p.Summary(), p})
}

const planFormat = "rootly-idp-sync/plan/v1"

// A planDocument is a plan in a file.
type planDocument struct {
	Format  string `json:"format"`
	Summary string `json:"summary"`
	Plan
}

// JSON is the report for programs; docs/output.md describes it. Each result is a change and how it ended.
func (r Report) JSON() ([]byte, error) {
	type result struct {
		Change
		Outcome Outcome `json:"outcome"`
		Error   string  `json:"error,omitempty"`
		Remedy  string  `json:"remedy,omitempty"`
		TookMS  int64   `json:"tookMs"`
	}
	results := make([]result, len(r.Results))
	for i, res := range r.Results {
		results[i] = result{res.Change, res.Outcome, res.Error, res.Remedy, res.Took.Milliseconds()}
	}
	return Document(struct {
		Format     string      `json:"format"`
		Summary    string      `json:"summary"`
		Cycle      int64       `json:"cycle"`
		Source     string      `json:"source"`
		Target     string      `json:"target"`
		At         time.Time   `json:"at"`
		TookMS     int64       `json:"tookMs"`
		Stopped    string      `json:"stopped,omitempty"`
		Results    []result    `json:"results"`
		Held       []Change    `json:"held,omitempty"`
		Objections []Objection `json:"objections,omitempty"`
		Sets       []HeldSet   `json:"sets,omitempty"`
		Notes      []Note      `json:"notes,omitempty"`
		OnCall     *OnCall     `json:"onCall,omitempty"`
		Counts     Counts      `json:"counts"`
	}{
		"rootly-idp-sync/report/v1", r.Summary(), r.Cycle, r.Plan.Source, r.Plan.Target, r.Plan.At, r.Took.Milliseconds(), r.Stopped,
		results, r.Plan.Held, r.Plan.Objections, r.Plan.Sets, r.Plan.Notes, r.Plan.OnCall, r.Plan.Counts,
	})
}

// Document writes indented JSON in which characters that a terminal might obey are escaped.
func Document(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(v); err != nil {
		return nil, fmt.Errorf("write JSON: %w", err)
	}
	var out strings.Builder
	for _, r := range b.String() {
		if r == '\n' || !hidden(r) { // inside a string of JSON a line break is escaped already
			out.WriteRune(r)
			continue
		}
		for _, unit := range utf16.Encode([]rune{r}) {
			fmt.Fprintf(&out, `\u%04x`, unit)
		}
	}
	return []byte(out.String()), nil
}
