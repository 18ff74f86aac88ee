package sim

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"
)

// send asks one of a simulation's servers over a real connection or the transport in process.
func send(client *http.Client, method, url, token, body string) (status int, text string, err error) {
	req, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		return 0, "", err
	}
	req.Header.Set("Authorization", token)
	req.Header.Set("Content-Type", scimMediaType)
	resp, err := client.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(got), err
}

func TestBothWaysInBehaveAlike(t *testing.T) {
	s := New(Config{People: 5, Groups: 3})
	served, err := s.Start()
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}()
	inProcess, transport := s.InProcess()
	sockets := &http.Transport{DisableKeepAlives: true} // a cut on a kept connection would be repeated unseen
	for way, e := range map[string]Endpoints{"loopback": served, "in process": inProcess} {
		client := &http.Client{Transport: sockets}
		if way == "in process" {
			client.Transport = transport
		}
		s.Faults.Clear()
		if status, text, err := send(client, "GET", e.OktaURL+"/api/v1/apps/"+e.AppID+"/users", "SSWS "+e.OktaToken, ""); status != 200 || !strings.HasPrefix(text, "[{") {
			t.Errorf("%s: okta: %d %s %v", way, status, text, err)
		}
		body := fmt.Sprintf(`{"schemas":[%q],"userName":"%s@d.example"}`, userSchema, e.AppID+way[:2])
		if status, text, err := send(client, "POST", e.SCIMURL+"/Users", "Bearer "+e.SCIMToken, body); status != 201 || !strings.Contains(text, e.SCIMURL) {
			t.Errorf("%s: scim: %d %s %v", way, status, text, err)
		}
		s.Faults.Add(Rule{Side: SideSCIM, Times: 1, Fault: Cut()}, Rule{Side: SideSCIM, Times: 1, Fault: CutInBody()})
		if status, _, err := send(client, "GET", e.SCIMURL+"/Users", "Bearer "+e.SCIMToken, ""); !errors.Is(err, io.EOF) {
			t.Errorf("%s: cut: %d %v, want EOF", way, status, err)
		}
		s.Faults.Clear()
		s.Faults.Add(Rule{Side: SideSCIM, Fault: CutInBody()})
		if status, text, err := send(client, "GET", e.SCIMURL+"/Users", "Bearer "+e.SCIMToken, ""); status != 200 || !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("%s: cut in the body: %d %s %v, want 200 and an unexpected EOF", way, status, text, err)
		}
	}
}

func TestCloseWaitsForTheLastRequest(t *testing.T) {
	entered, ended := make(chan bool), make(chan bool, 1)
	server, err := Serve(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		close(entered)
		<-r.Context().Done()
		ended <- true
	}))
	if err != nil {
		t.Fatal(err)
	}
	answered := make(chan error)
	go func() {
		_, err := http.Get(server.URL)
		answered <- err
	}()
	<-entered
	if err := server.Close(); err != nil {
		t.Error(err)
	}
	select {
	case <-ended:
	default:
		t.Error("Close returned before the request had ended")
	}
	if err := <-answered; err == nil {
		t.Error("a cut request got an answer")
	}
}

func TestLogTellsWhatHappened(t *testing.T) {
	s := New(Config{People: 1, Groups: 1})
	e, transport := s.InProcess()
	client := &http.Client{Transport: transport}
	s.Faults.Add(Rule{Method: "DELETE", Fault: AppliedThenCut()}, Rule{Method: "POST", Fault: Refusal(503)})
	send(client, "GET", e.OktaURL+"/api/v1/users?limit=1", "SSWS "+e.OktaToken, "")
	send(client, "POST", e.SCIMURL+"/Users", "Bearer "+e.SCIMToken, `{"a":1}`)
	send(client, "DELETE", e.SCIMURL+"/Users/a%2Fb", "Bearer "+e.SCIMToken, "")
	want := []Entry{
		{Seq: 1, Side: SideOkta, Method: "GET", Path: "/api/v1/users", Query: "limit=1", Status: 200},
		{Seq: 2, Side: SideSCIM, Method: "POST", Path: "/scim/Users", Body: `{"a":1}`, Status: 503, Faults: []string{"503"}},
		{Seq: 3, Side: SideSCIM, Method: "DELETE", Path: "/scim/Users/a%2Fb", Faults: []string{"applied, then cut"}},
	}
	if diff := cmp.Diff(want, s.Log.Entries(), cmpopts.IgnoreFields(Entry{}, "Start", "End")); diff != "" {
		t.Errorf("log (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(want[1:], s.Log.Writes(), cmpopts.IgnoreFields(Entry{}, "Start", "End")); diff != "" {
		t.Errorf("writes (-want +got):\n%s", diff)
	}
	got := []int{s.Log.Count("", ""), s.Log.Count("GET", "/api"), s.Log.Count("", "/scim/Users/"), s.Log.CountWrites()}
	if !slices.Equal(got, []int{3, 1, 1, 2}) {
		t.Errorf("counts %v", got)
	}
	s.Log.Reset()
	if len(s.Log.Entries()) != 0 || s.Log.Count("", "") != 0 {
		t.Error("Reset left something")
	}
}

func TestBoundedLogForgetsButCounts(t *testing.T) {
	l := NewLog(2)
	c := callSCIM(t, l.Wrap(SideSCIM, NewSCIM(SCIMOptions{})))
	for range 5 {
		c.do("POST", "/scim/Users", `{}`)
	}
	entries := l.Entries()
	if len(entries) != 2 || entries[0].Seq != 4 || entries[0].Body != "" || l.CountWrites() != 5 {
		t.Errorf("entries %v, %d writes; want the last two of five, without bodies", entries, l.CountWrites())
	}
}

func TestLogTellsWhoWasInFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(Config{People: 1, Groups: 1})
		s.Faults.Add(Rule{Fault: Latency(time.Second)})
		e, transport := s.InProcess()
		client := &http.Client{Transport: transport}
		done := make(chan error)
		for range 3 {
			go func() {
				_, _, err := send(client, "GET", e.SCIMURL+"/Users", "Bearer "+e.SCIMToken, "")
				done <- err
			}()
			synctest.Wait()
		}
		for range 3 {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
		if last := s.Log.Entries()[2]; !slices.Equal(last.InFlight, []int{1, 2}) || s.Log.MostInFlight(SideSCIM) != 3 {
			t.Errorf("in flight with the third: %v, at most %d", last.InFlight, s.Log.MostInFlight(SideSCIM))
		}
	})
}

func TestTransportStopsAtACancelledContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	req, err := http.NewRequestWithContext(ctx, "GET", "https://rootly.example/", nil)
	if err != nil {
		t.Fatal(err)
	}
	never := http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("the handler was called") })
	if _, err := Transport(never).RoundTrip(req); !errors.Is(err, context.Canceled) {
		t.Errorf("err = %v", err)
	}
}

// TestEditsWhileServersAnswer is for the race detector: whatever tests do to a company and a server, they do it
// while requests run.
func TestEditsWhileServersAnswer(t *testing.T) {
	s := New(Config{People: 40, Groups: 5})
	e, transport := s.InProcess()
	client := &http.Client{Transport: transport}
	edits := make(chan bool)
	go func() {
		defer close(edits)
		for day := range 5 {
			s.Company.NextDay()
			added, err := s.SCIM.AddUser(SCIMUser{UserName: fmt.Sprintf("hand%d@acme.example", day), Active: true})
			if err != nil {
				t.Error(err)
			}
			if err := s.SCIM.EditUser(added.ID, func(u *SCIMUser) { u.Active = false }); err != nil {
				t.Error(err)
			}
			s.SCIM.SetOptions(func(o *SCIMOptions) { o.VanishInactive = !o.VanishInactive })
			s.Faults.Add(Rule{Times: 1, Fault: Body("null")})
			s.Log.Entries()
		}
	}()
	for n := 0; ; n++ {
		select {
		case <-edits:
			return
		default:
		}
		body := fmt.Sprintf(`{"schemas":[%q],"userName":"u%d@acme.example"}`, userSchema, n)
		_, _, okta := send(client, "GET", e.OktaURL+"/api/v1/apps/"+e.AppID+"/users?expand=user", "SSWS "+e.OktaToken, "")
		_, _, post := send(client, "POST", e.SCIMURL+"/Users", "Bearer "+e.SCIMToken, body)
		_, _, list := send(client, "GET", e.SCIMURL+"/Users", "Bearer "+e.SCIMToken, "")
		if err := errors.Join(okta, post, list); err != nil {
			t.Fatal(err)
		}
	}
}

// TestStateStaysConsistent sends any sequence of requests, sensible or not: userNames stay unique, members exist, who
// is deactivated is in no group where that is the habit, and a refusal changes nothing.
func TestStateStaysConsistent(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := NewSCIM(SCIMOptions{
			DropMemberships:    rapid.Bool().Draw(t, "drop memberships"),
			DropUnknownMembers: rapid.Bool().Draw(t, "drop unknown members"),
			VanishInactive:     rapid.Bool().Draw(t, "vanish"),
		})
		c := &fuzzer{t: t, scim: s}
		for range rapid.IntRange(1, 25).Draw(t, "requests") {
			users, groups := s.Users(), s.Groups()
			status := c.request()
			ignore := cmp.AllowUnexported(SCIMUser{}, SCIMGroup{}, record{})
			if diff := cmp.Diff(users, s.Users(), ignore) + cmp.Diff(groups, s.Groups(), ignore); status >= 400 && diff != "" {
				t.Fatalf("a refusal with %d changed something:\n%s", status, diff)
			}
			c.check()
		}
	})
}

type fuzzer struct {
	t    *rapid.T
	scim *SCIM
}

// request sends one drawn request.
func (f *fuzzer) request() int {
	name := rapid.SampledFrom([]string{"a@b.example", "A@b.example", "c@b.example", "nobody"}).Draw(f.t, "name")
	user, group := f.id("user", idsOfUsers(f.scim.Users())), f.id("group", idsOfGroups(f.scim.Groups()))
	switch rapid.IntRange(0, 8).Draw(f.t, "kind") {
	case 0, 1:
		return f.send("POST", "Users", fmt.Sprintf(`{"schemas":[%q],"userName":%q}`, userSchema, name))
	case 2:
		return f.send("POST", "Groups", fmt.Sprintf(`{"schemas":[%q],"displayName":%q,"members":[{"value":%q}]}`, groupSchema, name, user))
	case 3:
		return f.send("PATCH", "Users/"+user, patchBody(fmt.Sprintf(`{"op":"replace","path":"userName","value":%q}`, name)))
	case 4:
		active := rapid.Bool().Draw(f.t, "active")
		return f.send("PATCH", "Users/"+user, patchBody(fmt.Sprintf(`{"op":"replace","path":"active","value":%v}`, active)))
	case 5:
		return f.send("PATCH", "Groups/"+group, patchBody(fmt.Sprintf(`{"op":"add","path":"members","value":[{"value":%q}]}`, user)))
	case 6:
		return f.send("PATCH", "Groups/"+group, patchBody(fmt.Sprintf(
			`{"op":"remove","path":"members[value eq \"%s\"]"},{"op":"replace","path":"displayName","value":%q}`, user, name)))
	case 7:
		return f.send("DELETE", "Users/"+user, "")
	default:
		return f.send("PUT", "Users/"+user, fmt.Sprintf(`{"schemas":[%q],"userName":%q,"active":true}`, userSchema, name))
	}
}

func idsOfUsers(users []SCIMUser) (ids []string) {
	for _, u := range users {
		ids = append(ids, u.ID)
	}
	return ids
}

func idsOfGroups(groups []SCIMGroup) (ids []string) {
	for _, g := range groups {
		ids = append(ids, g.ID)
	}
	return ids
}

func (f *fuzzer) id(kind string, ids []string) string {
	return rapid.SampledFrom(append(ids, "unknown")).Draw(f.t, kind)
}

func (f *fuzzer) send(method, path, body string) int {
	status, text, err := send(&http.Client{Transport: Transport(f.scim)}, method, "https://rootly.example/scim/"+path, "Bearer "+DefaultSCIMToken, body)
	if err != nil || status >= 500 {
		f.t.Fatalf("%s %s %s: %d %s %v", method, path, body, status, text, err)
	}
	return status
}

func (f *fuzzer) check() {
	names, active := map[string]bool{}, map[string]bool{}
	for _, u := range f.scim.Users() {
		folded := strings.ToLower(u.UserName)
		if names[folded] {
			f.t.Fatalf("the userName %s is there twice", folded)
		}
		names[folded], active[u.ID] = true, u.Active
	}
	titles := map[string]bool{}
	for _, g := range f.scim.Groups() {
		if titles[strings.ToLower(g.DisplayName)] {
			f.t.Fatalf("the group %s is there twice", g.DisplayName)
		}
		titles[strings.ToLower(g.DisplayName)] = true
		in := map[string]bool{}
		for _, m := range g.Members {
			if _, there := active[m.Value]; !there || in[m.Value] {
				f.t.Fatalf("group %s has a member %s who does not exist or is in twice", g.DisplayName, m.Value)
			}
			in[m.Value] = true
		}
	}
}

func BenchmarkNewTinySim(b *testing.B) {
	for b.Loop() {
		New(Config{People: 5, Groups: 3})
	}
}

func BenchmarkNewLargeCompany(b *testing.B) {
	for b.Loop() {
		NewCompany(Config{People: 100_000, Groups: 5000})
	}
}

func BenchmarkListLarge(b *testing.B) {
	const people = 100_000
	s := New(Config{People: people, Groups: 10, LogLimit: 100})
	for i, p := range s.Company.People() {
		must[SCIMUser](b)(s.SCIM.AddUser(SCIMUser{UserName: fmt.Sprintf("u%d@acme.example", i), ExternalID: p.ID, Active: true}))
	}
	e, _ := s.InProcess()
	b.Run("scim", func(b *testing.B) {
		c := callSCIM(b, s.scim)
		for b.Loop() {
			for start := 1; start <= people; start += 1000 {
				c.get(fmt.Sprintf("/scim/Users?startIndex=%d&count=1000", start))
			}
		}
	})
	b.Run("okta", func(b *testing.B) {
		c := callOkta(b, s.okta)
		for b.Loop() {
			for path := "/api/v1/apps/" + e.AppID + "/users?limit=500&expand=user"; path != ""; {
				path = nextOf(c.get(path))
			}
		}
	})
}
