package sim

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestFaults plays each fault on a PATCH that deactivates somebody and on the second page of a listing of five.
func TestFaults(t *testing.T) {
	isErr := func(want error) func(g got) bool { return func(g got) bool { return errors.Is(g.err, want) } }
	status := func(n int) func(g got) bool { return func(g got) bool { return g.status == n && g.err == nil } }
	body := func(text string) func(g got) bool {
		return func(g got) bool { return g.status == 200 && g.text == text }
	}
	tests := map[string]struct {
		fault   Fault
		patched func(g got) bool // the answer to the PATCH; nil if the fault is one of listings
		applied bool
		listed  func(g got) bool // the answer to the page
	}{
		"refusal":           {Refusal(503), status(503), false, status(503)},
		"forbidden":         {Refusal(403), status(403), false, status(403)},
		"gateway":           {Gateway(502), status(502), false, func(g got) bool { return strings.HasPrefix(g.text, "<html>") }},
		"429":               {TooMany("7"), func(g got) bool { return g.status == 429 && g.header.Get("Retry-After") == "7" }, false, status(429)},
		"applied, then 500": {AppliedThenRefused(500), status(500), true, status(500)},
		"cut":               {Cut(), isErr(io.EOF), false, isErr(io.EOF)},
		"applied, then cut": {AppliedThenCut(), isErr(io.EOF), true, isErr(io.EOF)},
		"cut in the body":   {CutInBody(), isErr(io.ErrUnexpectedEOF), true, isErr(io.ErrUnexpectedEOF)},
		"empty 200":         {Body(""), body(""), true, body("")},
		"null":              {Body("null"), body("null"), true, body("null")},
		"204":               {NoContent(), status(204), true, status(204)},
		"a web page":        {HTMLPage(), func(g got) bool { return g.status == 200 && g.header.Get("Content-Type") == "text/html" }, false, status(200)},
		"an error with 200": {ErrorWith200(), func(g got) bool { return g.status == 200 && g.object["status"] == "500" }, false, status(200)},
		"truncated": {TruncatedJSON(), func(g got) bool {
			return g.status == 200 && g.err == nil && g.text != "" && !json.Valid([]byte(g.text))
		}, true, status(200)},
		"a null element": {NullElement(), nil, true, func(g got) bool { return len(g.resources()) == 2 && g.resources()[1] == nil }},
		"an empty page": {EmptyPage(), nil, true, func(g got) bool {
			return g.object["Resources"] != nil && len(g.resources()) == 0 && g.object["totalResults"] == 5.0
		}},
		"no list key":   {NoListKey(), nil, true, func(g got) bool { return g.object["Resources"] == nil && g.object["totalResults"] == 5.0 }},
		"repeated page": {RepeatPage(), nil, true, func(g got) bool { return g.object["startIndex"] == 3.0 && idsOf(g.resources())[0] == "a" }},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			s := NewSCIM(SCIMOptions{})
			for _, id := range []string{"a", "b", "c", "d", "e"} {
				must[SCIMUser](t)(s.AddUser(SCIMUser{ID: id, UserName: id + "@acme.example", Active: true}))
			}
			faults := NewFaults(1)
			faults.Add(Rule{Side: SideSCIM, Path: "/scim/Users", Fault: tc.fault})
			c := callSCIM(t, faults.Wrap(SideSCIM, s))
			g := c.do("PATCH", "/scim/Users/a", patchBody(`{"op":"replace","path":"active","value":false}`))
			if tc.patched != nil && !tc.patched(g) {
				t.Errorf("PATCH: %d %s %v", g.status, g.text, g.err)
			}
			if u, _ := s.User("a"); u.Active == tc.applied {
				t.Errorf("applied is %v, want %v", !u.Active, tc.applied)
			}
			if g := c.get("/scim/Users?startIndex=3&count=2"); !tc.listed(g) {
				t.Errorf("page: %d %s %v", g.status, g.text, g.err)
			}
			if faults.Played()[tc.fault.Name] != 2 {
				t.Errorf("played: %v", faults.Played())
			}
			faults.Clear()
			if g := c.get("/scim/Users/b"); g.status != 200 {
				t.Errorf("after Clear: %d", g.status)
			}
		})
	}
}

func TestFaultsOfOktaLists(t *testing.T) {
	tests := map[string]struct {
		fault Fault
		holds func(second got, first got) bool
	}{
		"repeated page": {RepeatPage(), func(g, first got) bool { return idsOf(g.list)[0] == idsOf(first.list)[0] && nextOf(g) != nextOf(first) }},
		"empty page":    {EmptyPage(), func(g, _ got) bool { return g.list != nil && len(g.list) == 0 && nextOf(g) != "" }},
		"null element":  {NullElement(), func(g, _ got) bool { return len(g.list) == 2 && g.list[1] == nil }},
		"repeated link": {RepeatLink(), func(g, first got) bool { return nextOf(g) == nextOf(first) && len(g.list) == 2 }},
		"joined link": {JoinedLink(), func(g, _ got) bool {
			return len(g.header["Link"]) == 1 && strings.Count(g.header.Get("Link"), "rel=") == 2
		}},
		"unparsable link": {BadLink(), func(g, _ got) bool { return strings.HasPrefix(g.header["Link"][1], "<://") }},
		"no list":         {NoListKey(), func(g, _ got) bool { return g.list == nil && g.object != nil }},
		"error with 200":  {ErrorWith200(), func(g, _ got) bool { return g.status == 200 && g.object["errorCode"] == "E0000009" }},
		"429": {TooMany(""), func(g, _ got) bool {
			return g.object["errorCode"] == "E0000047" && g.header.Get("X-Rate-Limit-Remaining") == "0"
		}},
		"401": {Refusal(401), func(g, _ got) bool { return g.status == 401 && g.object["errorCode"] == "E0000011" }},
		"403": {Refusal(403), func(g, _ got) bool { return g.status == 403 && g.object["errorCode"] == "E0000006" }},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			company := NewCompany(Config{People: 7})
			okta := NewOkta(company, OktaOptions{})
			faults := NewFaults(1)
			c := callOkta(t, faults.Wrap(SideOkta, okta))
			first := c.get("/api/v1/users?limit=2")
			faults.Add(Rule{Side: SideOkta, Method: "GET", Path: "/api/v1/users", Fault: tc.fault})
			if g := c.get(nextOf(first)); !tc.holds(g, first) {
				t.Errorf("%d %v %s", g.status, g.header["Link"], g.text)
			}
		})
	}
}

func TestRulesSelect(t *testing.T) {
	ok := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "{}") })
	tests := map[string]struct {
		rule Rule
		want string // of six requests GET /scim/Users/1: "." answered, "x" refused
	}{
		"everything":        {Rule{}, "xxxxxx"},
		"another side":      {Rule{Side: SideOkta}, "......"},
		"another method":    {Rule{Method: "POST"}, "......"},
		"another path":      {Rule{Path: "/scim/Groups"}, "......"},
		"by expression":     {Rule{Match: regexp.MustCompile(`/1\?x=2$`)}, "xxxxxx"},
		"after two":         {Rule{After: 2}, "..xxxx"},
		"twice":             {Rule{Times: 2}, "xx...."},
		"after two, once":   {Rule{After: 2, Times: 1}, "..x..."},
		"surely":            {Rule{Chance: 1}, "xxxxxx"},
		"hardly ever":       {Rule{Chance: 1e-12}, "......"},
		"a matter of luck":  {Rule{Chance: 0.5}, ""},
		"luck, but limited": {Rule{Chance: 0.999999, Times: 1}, "x....."},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			play := func() string {
				faults := NewFaults(5)
				tc.rule.Fault = Refusal(500)
				faults.Add(tc.rule)
				c := callSCIM(t, faults.Wrap(SideSCIM, ok))
				var b strings.Builder
				for range 6 {
					b.WriteString(map[int]string{200: ".", 500: "x"}[c.get("/scim/Users/1?x=2").status])
				}
				return b.String()
			}
			if got := play(); tc.want != "" && got != tc.want || play() != got {
				t.Errorf("got %s and then %s, want %s", got, play(), tc.want)
			}
		})
	}
	t.Run("chances are about as often as said", func(t *testing.T) {
		faults := NewFaults(5)
		faults.Add(Rule{Chance: 0.2, Fault: Refusal(500)})
		c := callSCIM(t, faults.Wrap(SideSCIM, ok))
		for range 1000 {
			c.get("/scim/Users")
		}
		if n := faults.Played()["500"]; n < 150 || n > 250 {
			t.Errorf("played %d times in 1000, want about 200", n)
		}
	})
	t.Run("rules nest in their order", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			faults := NewFaults(5)
			faults.Add(Rule{Fault: Latency(time.Second)}, Rule{Fault: Refusal(500)})
			start := time.Now()
			if g := callSCIM(t, faults.Wrap(SideSCIM, ok)).get("/"); g.status != 500 || time.Since(start) != time.Second {
				t.Errorf("%d after %v, want 500 after a second", g.status, time.Since(start))
			}
		})
	})
}

func TestLatencyGivesWayToCancellation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, id, _, _ := staffed(t, SCIMOptions{})
		faults := NewFaults(1)
		faults.Add(Rule{Fault: Latency(time.Hour)})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		req, err := http.NewRequestWithContext(ctx, "DELETE", "https://rootly.example/scim/Users/"+id, nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err = Transport(faults.Wrap(SideSCIM, s)).RoundTrip(req); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("err = %v, want the deadline", err)
		}
		synctest.Wait()
		if _, there := s.User(id); !there {
			t.Error("a request that was given up took effect")
		}
	})
}
