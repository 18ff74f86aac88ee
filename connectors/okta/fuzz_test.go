package okta

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// FuzzLinks holds that any Link headers end in one next page of the same listing in the form that the SDK reads rightly,
// in none, or in an error.
func FuzzLinks(f *testing.F) {
	const next = `<https://acme.okta.com/api/v1/users?after=x&limit=2>; rel="next"`
	for _, s := range [][2]string{
		{next, ""}, {`<https://acme.okta.com/api/v1/users?limit=2>; rel="self", ` + next, ""}, {next, next}, {"<", ">"}, {"<>;rel=next", ""},
		{`<https://evil.example/api/v1/users?after=x>; rel=next`, ""}, {`<?after=a,b>; title="x, y"; rel="prev next"`, ""},
		{`<?after=x>; title="; rel=next"`, ""}, {`<?after=x>; title="\", <?after=y>; rel=next; \""`, ""},
		{`<?after=x>; title="x, <?after=y>; rel=next`, ""},
		{"<?after=%zz>; rel=next", ""}, {"<?after=a;b>; rel=next", ""}, {"<//acme.okta.com/api/v1/users?%41fter=\n>; REL = NEXT ", ""},
	} {
		f.Add(s[0], s[1])
	}
	f.Fuzz(func(t *testing.T, one, two string) {
		request, err := url.Parse("https://acme.okta.com/api/v1/users?limit=2")
		if err != nil {
			t.Fatal(err)
		}
		h := http.Header{"Link": {one, two}}
		if err := cleanLinks(request, h); err != nil {
			if strings.ContainsAny(err.Error(), "\r\n") {
				t.Errorf("an error of several lines: %q", err)
			}
			return
		}
		links := h.Values("Link")
		if len(links) == 0 {
			return
		}
		// This is how the SDK takes it apart, without looking at what it could not read.
		target, rel, _ := strings.Cut(links[0], ";")
		u, err := url.Parse(strings.Trim(target, "<>"))
		switch {
		case len(links) > 1 || rel != ` rel="next"` || err != nil:
			t.Errorf("%q, %q end as %q", one, two, links)
		case u.Host != request.Host && !strings.EqualFold(u.Host, request.Host) || u.Path != request.Path || u.RawQuery == request.RawQuery:
			t.Errorf("%q, %q lead to %s", one, two, u)
		case len(u.Query()) == 0:
			t.Errorf("%q, %q lead to %s, which is this page to the SDK", one, two, u)
		}
	})
}

// FuzzLinkWritten holds that a link that was written as RFC 8288 says is read as what was written, whatever stands in its
// quoted parameters.
func FuzzLinkWritten(f *testing.F) {
	f.Add("x", "a title", true)
	f.Add("x", `; rel="next"`, false)
	f.Add("x", `", <?after=y>; rel="next"; t="`, false)
	f.Add("a,b", `\`, true)
	f.Fuzz(func(t *testing.T, after, title string, next bool) {
		rel := "self"
		if next {
			rel = "next"
		}
		target := "?after=" + url.QueryEscape(after)
		quoted := `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(title) + `"`
		header := "<" + target + ">; title=" + quoted + `; rel="` + rel + `", <?limit=2>; title=` + quoted + `;rel=first`
		links, err := parseLinks([]string{header})
		if err != nil || len(links) != 2 || links[0] != (link{target, next}) || links[1] != (link{"?limit=2", false}) {
			t.Errorf("%s is read as %+v, %v", header, links, err)
		}
	})
}
