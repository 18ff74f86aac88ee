package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/rootly-idp-sync/rootly-idp-sync/internal/sim"
)

type simulationKey struct{}

// A simulation is the company of one script.
type simulation struct {
	env  *testscript.Env
	sim  *sim.Sim
	ends sim.Endpoints

	healed chan struct{} // closed, and replaced, by heal
}

func (s *simulation) close() error {
	if s.sim == nil {
		return nil
	}
	return s.sim.Close()
}

// runSim is the script command sim. Its words are in simWords.
func runSim(ts *testscript.TestScript, neg bool, args []string) {
	s := ts.Value(simulationKey{}).(*simulation)
	if neg || len(args) == 0 {
		ts.Fatalf("usage: sim word [args]")
	}
	if s.sim == nil && args[0] != "start" {
		ts.Fatalf("sim start comes first")
	}
	word, ok := simWords[args[0]]
	if !ok {
		ts.Fatalf("sim has no word %q", args[0])
	}
	ts.Check(word(s, ts, args[1:]))
}

var simWords = map[string]func(s *simulation, ts *testscript.TestScript, args []string) error{
	// start [people=n] [groups=n] [page=n] [latency=d]: a company, empty unless people are asked for, and a
	// configuration for it in rootly-idp-sync.yaml unless the script has one.
	// With api, Rootly's REST API is configured by the environment.
	"start": (*simulation).start,
	// native okta|nickname: Rootly as Okta's own provisioning leaves it, or with the nicknames that Entra's sends as
	// externalIds.
	"native": (*simulation).native,
	// schedule name [login...], shift schedule login from to (durations from now), cover schedule from by, policy name login...
	"schedule": func(s *simulation, _ *testscript.TestScript, args []string) error {
		return s.sim.Rootly.AddSchedule(args[0], args[1:]...)
	},
	"shift": func(s *simulation, _ *testscript.TestScript, args []string) error {
		from, fromErr := time.ParseDuration(args[2])
		to, toErr := time.ParseDuration(args[3])
		if err := errors.Join(fromErr, toErr); err != nil {
			return err
		}
		return s.sim.Rootly.AddShift(args[0], args[1], time.Now().Add(from), time.Now().Add(to))
	},
	"cover": func(s *simulation, _ *testscript.TestScript, args []string) error {
		return s.sim.Rootly.Cover(args[0], args[1], args[2])
	},
	"policy": func(s *simulation, _ *testscript.TestScript, args []string) error {
		return s.sim.Rootly.AddPolicy(args[0], "", args[1:]...)
	},
	// join login [group...]: somebody is hired; the name is made of the login.
	"join": func(s *simulation, _ *testscript.TestScript, args []string) error {
		first, last, _ := strings.Cut(strings.Split(args[0], "@")[0], ".")
		_, err := s.sim.Company.Join(sim.Person{
			Login: args[0], Email: args[0], FirstName: title(first), LastName: title(last), DisplayName: strings.TrimSpace(title(first) + " " + title(last)),
			Direct: true, Status: sim.StatusActive,
		}, args[1:]...)
		return err
	},
	"group": func(s *simulation, _ *testscript.TestScript, args []string) error {
		_, err := s.sim.Company.CreateGroup(sim.Group{Name: args[0], Type: "OKTA_GROUP"})
		return err
	},
	"delete": func(s *simulation, _ *testscript.TestScript, args []string) error {
		return s.sim.Company.Delete(args[0])
	},
	"leave": func(s *simulation, _ *testscript.TestScript, args []string) error {
		return s.sim.Company.Leave(args[0])
	},
	"return": func(s *simulation, _ *testscript.TestScript, args []string) error {
		return s.sim.Company.Return(args[0])
	},
	"suspend": func(s *simulation, _ *testscript.TestScript, args []string) error {
		return s.sim.Company.Suspend(args[0])
	},
	"email": func(s *simulation, _ *testscript.TestScript, args []string) error {
		return s.sim.Company.ChangeEmail(args[0], args[1])
	},
	"unassign": func(s *simulation, _ *testscript.TestScript, args []string) error {
		return s.sim.Company.Unassign(args[0])
	},
	// enter|exit group login
	"enter": func(s *simulation, _ *testscript.TestScript, args []string) error {
		return s.sim.Company.AddMember(args[0], args[1])
	},
	"exit": func(s *simulation, _ *testscript.TestScript, args []string) error {
		return s.sim.Company.RemoveMember(args[0], args[1])
	},
	// department login name
	"department": func(s *simulation, _ *testscript.TestScript, args []string) error {
		return s.sim.Company.EditPerson(args[0], func(p *sim.Person) { p.Department = args[1] })
	},
	"unsuspend": func(s *simulation, _ *testscript.TestScript, args []string) error {
		return s.sim.Company.Unsuspend(args[0])
	},
	// reset: forget the requests so far.
	"reset": func(s *simulation, _ *testscript.TestScript, _ []string) error { s.sim.Log.Reset(); return nil },
	// nick login nickname
	"nick": func(s *simulation, _ *testscript.TestScript, args []string) error {
		return s.sim.Company.EditPerson(args[0], func(p *sim.Person) { p.NickName = args[1] })
	},
	"day": func(s *simulation, _ *testscript.TestScript, _ []string) error { s.sim.Company.NextDay(); return nil },
	// hand name|deactivate user [value], hand add|inactive|foreign user name, hand group name [users...]: what somebody does in
	// Rootly's own pages.
	"hand": (*simulation).hand,
	// fault side method path kind[=value] [times=n] [after=n]: user:NAME in place of path is that user.
	"fault": (*simulation).fault,
	// shorten login: the listing of the app's people leaves somebody out, and is well-formed all the same.
	"shorten": (*simulation).shorten,
	// heal: the servers are well, and answer what a fault "stall" has kept waiting.
	"heal": func(s *simulation, _ *testscript.TestScript, _ []string) error {
		s.sim.Faults.Clear()
		close(s.healed)
		s.healed = make(chan struct{})
		return nil
	},
	"notsetup": func(s *simulation, _ *testscript.TestScript, _ []string) error {
		s.sim.SCIM.SetOptions(func(o *sim.SCIMOptions) { o.NotSetUp = true })
		return nil
	},
	// writes n: how many requests asked Rootly for a change since the start or the last such question.
	"writes": func(s *simulation, _ *testscript.TestScript, args []string) error {
		got := s.sim.Log.CountWrites()
		s.sim.Log.Reset()
		if fmt.Sprint(got) != args[0] {
			return fmt.Errorf("%d writes, want %s", got, args[0])
		}
		return nil
	},
	// await n: until so many changes were asked for.
	"await": (*simulation).await,
	// user name active|inactive|absent [displayName]
	"user": (*simulation).user,
	// members group [names...]
	"members": func(s *simulation, _ *testscript.TestScript, args []string) error {
		if got, want := strings.Join(s.sim.SCIM.MembersOf(args[0]), " "), strings.Join(args[1:], " "); got != want {
			return fmt.Errorf("members of %s are %q, want %q", args[0], got, want)
		}
		return nil
	},
}

func (s *simulation) start(ts *testscript.TestScript, args []string) error {
	o := options(args)
	cfg := sim.Config{Seed: 1, People: -1, Groups: -1, SCIM: sim.RootlyLike()}
	if n := o.number("people"); n > 0 {
		cfg.People = n
	}
	if n := o.number("groups"); n > 0 {
		cfg.Groups = n
	}
	cfg.Okta.ExpandLimit = o.number("page")
	cfg.Okta.Token, cfg.SCIM.Token = "canary-okta-token", "canary-scim-token"
	cfg.Rippling.Token, cfg.Directory.Token = "canary-rippling-token", "canary-directory-token"
	s.sim, s.healed = sim.New(cfg), make(chan struct{})
	if text, ok := o["latency"]; ok {
		d, err := time.ParseDuration(text)
		if err != nil {
			return err
		}
		s.sim.Faults.Add(sim.Rule{Side: sim.SideSCIM, Fault: sim.Latency(d)})
	}
	ends, err := s.sim.Start()
	if err != nil {
		return err
	}
	s.ends = ends
	for k, v := range map[string]string{
		"OKTA_URL": ends.OktaURL, "OKTA_ALIAS": strings.Replace(ends.OktaURL, "127.0.0.1", "localhost", 1), "OKTA_API_TOKEN": ends.OktaToken, "APP_ID": ends.AppID, "SCIM_URL": ends.SCIMURL, "ROOTLY_SCIM_TOKEN": ends.SCIMToken,
	} {
		ts.Setenv(k, v)
	}
	ts.Setenv("SCIM_ALIAS", strings.Replace(ends.SCIMURL, "127.0.0.1", "localhost", 1))
	ts.Setenv("GOOGLE_URL", ends.GoogleURL)
	if _, ok := o["api"]; ok {
		ts.Setenv("ROOTLY_API_URL", ends.RootlyURL)
		ts.Setenv("ROOTLY_API_KEY", ends.RootlyAPIKey)
	}
	ts.Setenv("LDAP_URL", ends.LDAPURL)
	ts.Setenv("LDAP_PASSWORD", sim.DefaultLDAPPassword)
	ts.Setenv("RIPPLING_URL", ends.RipplingURL)
	ts.Setenv("RIPPLING_API_TOKEN", ends.RipplingToken)
	ts.Setenv("DIRECTORY_URL", ends.DirectoryURL)
	ts.Setenv("SCIM_SOURCE_TOKEN", ends.DirectoryToken)
	if err := os.WriteFile(ts.MkAbs("google-key.json"), []byte(sim.GoogleKeyFile(ends.GoogleURL)), 0o600); err != nil {
		return err
	}
	path := ts.MkAbs("rootly-idp-sync.yaml")
	if _, err := os.Stat(path); err == nil {
		return nil
	}
	return os.WriteFile(path, []byte(standard), 0o600)
}

// standard is the configuration of scripts that need no other one. One write at a time keeps the order of ids.
const standard = `source:
  okta:
    org_url: ${OKTA_URL}
    api_token: ${OKTA_API_TOKEN}
    app_id: ${APP_ID}
scope:
  mode: assigned
groups:
  push: ["oncall-*"]
target:
  url: ${SCIM_URL}
  token: ${ROOTLY_SCIM_TOKEN}
  max_rate: 0
  concurrency: 1
`

type keyValues map[string]string

func options(args []string) keyValues {
	out := keyValues{}
	for _, a := range args {
		k, v, _ := strings.Cut(a, "=")
		out[k] = v
	}
	return out
}

func (o keyValues) number(key string) int {
	n, err := strconv.Atoi(o[key])
	if err != nil {
		return 0
	}
	return n
}

func (s *simulation) hand(_ *testscript.TestScript, args []string) error {
	switch args[0] {
	case "name":
		return s.sim.SCIM.EditUser(args[1], func(u *sim.SCIMUser) { u.DisplayName = args[2] })
	case "deactivate":
		return s.sim.SCIM.EditUser(args[1], func(u *sim.SCIMUser) { u.Active = false })
	case "add", "inactive", "foreign":
		u := sim.SCIMUser{UserName: args[1], DisplayName: args[2], Active: args[0] != "inactive"}
		if args[0] == "foreign" {
			u.ExternalID = "of-another-provisioning"
		}
		_, err := s.sim.SCIM.AddUser(u)
		return err
	case "group":
		g := sim.SCIMGroup{DisplayName: args[1]}
		for _, name := range args[2:] {
			u, found := s.sim.SCIM.User(name)
			if !found {
				return fmt.Errorf("Rootly has no user %s", name)
			}
			g.Members = append(g.Members, sim.SCIMMember{Value: u.ID, Type: "User"})
		}
		_, err := s.sim.SCIM.AddGroup(g)
		return err
	}
	return fmt.Errorf("sim hand: what is %q?", args[0])
}

func (s *simulation) fault(_ *testscript.TestScript, args []string) error {
	if len(args) < 4 {
		return fmt.Errorf("usage: sim fault side method path kind[=value] [times=n] [after=n]")
	}
	path := args[2]
	if name, ok := strings.CutPrefix(path, "user:"); ok {
		u, found := s.sim.SCIM.User(name)
		if !found {
			return fmt.Errorf("Rootly has no user %s", name)
		}
		path = sim.SCIMBase + "/Users/" + u.ID
	}
	kind, value, _ := strings.Cut(args[3], "=")
	status, _ := strconv.Atoi(value) // 0 for kinds that have none
	var f sim.Fault
	switch kind {
	case "refuse":
		f = sim.Refusal(status)
	case "half":
		f = sim.TruncatedJSON()
	case "cut":
		f = sim.CutInBody()
	case "empty":
		f = sim.EmptyPage()
	case "nothing":
		f = sim.Body("")
	case "null":
		f = sim.Body("null")
	case "nocontent":
		f = sim.NoContent()
	case "repeat":
		f = sim.RepeatPage()
	case "loop":
		f = sim.RepeatLink()
	case "latency":
		d, err := time.ParseDuration(value)
		if err != nil {
			return err
		}
		f = sim.Latency(d)
	case "done-then":
		f = sim.AppliedThenRefused(status)
	case "done-then-cut":
		f = sim.AppliedThenCut()
	case "stall":
		f = sim.Until(s.healed)
	case "login-page":
		f = sim.HTMLPage()
	default:
		return fmt.Errorf("sim fault: what is %q?", kind)
	}
	o := options(args[4:])
	s.sim.Faults.Add(sim.Rule{Side: sim.Side(args[0]), Method: args[1], Path: path, Fault: f, Times: o.number("times"), After: o.number("after")})
	return nil
}

func (s *simulation) shorten(_ *testscript.TestScript, args []string) error {
	path := "/api/v1/apps/" + s.ends.AppID + "/users"
	r, err := http.NewRequestWithContext(context.Background(), http.MethodGet, s.ends.OktaURL+path+"?limit=500&expand=user", nil)
	if err != nil {
		return err
	}
	r.Header.Set("Authorization", "SSWS "+s.ends.OktaToken)
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	var people []json.RawMessage
	if err := json.NewDecoder(answer.Body).Decode(&people); err != nil {
		return fmt.Errorf("list the app's people: %s: %w", answer.Status, err)
	}
	short := slices.DeleteFunc(people, func(p json.RawMessage) bool { return strings.Contains(string(p), args[0]) })
	text, err := json.Marshal(short)
	if err != nil {
		return err
	}
	s.sim.Faults.Add(sim.Rule{Side: sim.SideOkta, Match: regexp.MustCompile(path + `\?`), Fault: sim.Body(string(text))})
	return nil
}

func (s *simulation) await(_ *testscript.TestScript, args []string) error {
	want, err := strconv.Atoi(args[0])
	if err != nil {
		return err
	}
	deadline := time.After(30 * time.Second)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for s.sim.Log.CountWrites() < want {
		select {
		case <-tick.C:
		case <-deadline:
			return fmt.Errorf("%d writes after 30 seconds, want %d", s.sim.Log.CountWrites(), want)
		}
	}
	return nil
}

func (s *simulation) user(_ *testscript.TestScript, args []string) error {
	u, found := s.sim.SCIM.User(args[0])
	got := "absent"
	switch {
	case found && u.Active:
		got = "active"
	case found:
		got = "inactive"
	}
	if got != args[1] {
		return fmt.Errorf("%s is %s, want %s", args[0], got, args[1])
	}
	if len(args) > 2 && u.DisplayName != args[2] {
		return fmt.Errorf("%s is called %q, want %q", args[0], u.DisplayName, args[2])
	}
	return nil
}

func (s *simulation) native(_ *testscript.TestScript, args []string) error {
	ids := map[string]string{} // login → SCIM id
	for _, p := range s.sim.Company.People() {
		u := sim.SCIMUser{
			ExternalID: p.ID, UserName: p.Login, GivenName: p.FirstName, FamilyName: p.LastName, DisplayName: p.DisplayName,
			Emails: []sim.SCIMValue{{Value: p.Email, Type: "work", Primary: true}}, Active: true,
		}
		if p.MobilePhone != "" {
			u.Phones = []sim.SCIMValue{{Value: p.MobilePhone, Type: "mobile"}}
		}
		if args[0] == "nickname" {
			u.ExternalID, _, _ = strings.Cut(p.Login, "@")
		}
		made, err := s.sim.SCIM.AddUser(u)
		if err != nil {
			return err
		}
		ids[p.Login] = made.ID
	}
	for _, g := range s.sim.Company.Groups() {
		made := sim.SCIMGroup{DisplayName: g.Name}
		if args[0] == "nickname" {
			made.ExternalID = g.ID
		}
		for _, login := range g.Members {
			made.Members = append(made.Members, sim.SCIMMember{Value: ids[login], Type: "User"})
		}
		if _, err := s.sim.SCIM.AddGroup(made); err != nil {
			return err
		}
	}
	return nil
}
