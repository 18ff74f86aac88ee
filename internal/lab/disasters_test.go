package lab

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/rootly-idp-sync/rootly-idp-sync/internal/sim"
	"github.com/rootly-idp-sync/rootly-idp-sync/reconcile"
)

var update = flag.Bool("update", false, "write docs/disasters.md anew")

// A disaster is what users of a tool of this kind went through.
type disaster struct {
	name      string // of the test
	source    string // repository#number on GitHub
	elsewhere string
	here      string
	happens   func(d *drill)
}

var disasters = []disaster{
	{"a short read", "awslabs/ssosync#278", "A listing that came back empty or short without an error was taken for a mass departure; accounts and groups were deleted.",
		"Nobody leaves on one read: each leaver is asked about by id, and one who is still there means that the read was short and nothing at all is taken away.",
		func(d *drill) {
			n := d.active()
			for _, lie := range []string{"empty page", "lacking row", "repeated row", "empty page"} {
				d.fault(PhaseFetch, lie, 100)
				d.cycle()
				d.want("nothing is written", len(d.writes("")) == 0 && d.active() == n)
			}
			d.quiet()
		}},
	{"delete and recreate", "awslabs/ssosync#194", "Accounts and groups were deleted and made anew; what hung on them was lost for good.",
		"A leaver is deactivated. Who returns gets the same account back, with their groups.",
		func(d *drill) {
			p := d.employee(0)
			before, _ := d.account(p)
			groups := d.w.scim.MembersOf("oncall-a")
			d.change(func() error { return d.w.company.Suspend(p.Login) })
			d.cycle()
			off, _ := d.account(p)
			d.want("deactivated, not deleted", off.ID == before.ID && !off.Active)
			d.change(func() error { return d.w.company.Unsuspend(p.Login) })
			d.cycle()
			on, _ := d.account(p)
			d.want("the same account, in its groups", on.ID == before.ID && on.Active && slices.Equal(groups, d.w.scim.MembersOf("oncall-a")))
		}},
	{"what the tool never made", "awslabs/ssosync#88", "Administrators and vendor-made groups that the directory did not know were removed.",
		"Only what the ledger links is written. Break-glass accounts and hand-made groups are counted and left.",
		func(d *drill) {
			before := d.w.photo()
			d.change(func() error { return d.w.company.Suspend(d.employee(0).Login) })
			d.cycle()
			after := d.w.photo()
			for id, u := range before.users {
				if u.ExternalID == "" || u.ExternalID == "native-1" {
					d.want(u.UserName+" is untouched", after.users[id].Active && after.users[id].DisplayName == u.DisplayName)
				}
			}
			_, there := d.w.scim.Group("hand-made")
			d.want("the hand-made group is there, and unmanaged people are counted", there && d.w.last.Plan.Counts.Unmanaged == 2)
		}},
	{"a breaker to live with", "octodns/octodns#785", "There was no limit on deletions, or one that could only be overridden for everything, so it was raised until it meant little.",
		"More than the limit waits as a named set. One yes releases exactly that set, once; a later leaver does not wait for it, and additions go on.",
		func(d *drill) {
			for _, p := range []sim.Person{d.employee(0), d.employee(1), d.employee(2)} {
				d.change(func() error { return d.w.company.Suspend(p.Login) })
			}
			d.change(func() error { _, err := d.w.company.Join(sim.Person{Direct: true}); return err })
			n := d.active()
			d.cycle()
			d.want("held, and the newcomer is made", d.held(reconcile.AxisDeactivations) && d.active() == n+1)
			late := d.employee(0)
			d.change(func() error { return d.w.company.Suspend(late.Login) })
			d.cycle()
			u, _ := d.account(late)
			d.want("the later leaver goes", !u.Active && d.held(reconcile.AxisDeactivations))
			d.w.perform(deed{do: (*world).approve}, [3]uint32{^uint32(0)})
			d.cycle()
			d.want("the set goes", d.active() == n+1-4)
		}},
	{"memberships count too", "kubernetes/org#4365", "A limit on members of the organisation let a change through that stripped everybody from the teams.",
		"Memberships are an axis of their own, and a group that would be left empty is another.",
		func(d *drill) {
			members := d.w.scim.MembersOf("oncall-a")
			d.change(func() error {
				for _, login := range members {
					if err := d.w.company.RemoveMember("oncall-a", login); err != nil {
						return err
					}
				}
				return nil
			})
			d.cycle()
			d.want("everybody is still in", d.held(reconcile.AxisMemberships) && slices.Equal(members, d.w.scim.MembersOf("oncall-a")))
		}},
	{"another address", "awslabs/ssosync#353", "A changed primary address ended every run for two and a half days.",
		"People are known by the directory's id. Another address is one PATCH of the same account.",
		func(d *drill) {
			p := d.employee(0)
			before, _ := d.account(p)
			d.change(func() error { return d.w.company.ChangeEmail(p.Login, "new."+p.Login) })
			d.cycle()
			after, _ := d.account(p)
			d.want("renamed", after.ID == before.ID && after.UserName == "new."+p.Login && len(d.writes("POST")) == 0)
			d.quiet()
		}},
	{"upper and lower case", "kubernetes/test-infra#9476", "Logins that differed only in letter case were removed and invited again, on every run.",
		"Names are compared with their letter case folded. The account is taken over, and the next plan is empty.",
		func(d *drill) { // the first employee's account was there in upper case
			u, ok := d.account(d.w.company.People()[0])
			d.want("taken over as it was", ok && u.UserName == strings.ToUpper(u.UserName))
			d.quiet()
		}},
	{"a group is renamed", "awslabs/ssosync#166", "A renamed group was deleted and made anew, without what had been assigned to it.",
		"A group is known by the directory's id. A rename is a rename.",
		func(d *drill) {
			before, _ := d.w.scim.Group("oncall-a")
			d.change(func() error { return d.w.company.RenameGroup("oncall-a", "oncall-z") })
			d.cycle()
			after, ok := d.w.scim.Group("oncall-z")
			d.want("the same group", ok && after.ID == before.ID && len(after.Members) == len(before.Members))
		}},
	{"two groups of one name", "microsoftgraph/microsoft-graph-docs#14868", "Names of groups are not unique in the directory; the first was kept and the others were dropped.",
		"Both are a conflict with a remedy. Neither is touched, in whatever order they come.",
		func(d *drill) {
			d.change(func() error {
				_, err := d.w.company.CreateGroup(sim.Group{Name: "oncall-a", Type: "APP_GROUP"})
				return err
			})
			before := d.w.scim.MembersOf("oncall-a")
			d.cycle()
			d.want("a conflict, and nothing written", d.noted(reconcile.NoteConflict, "two pushed groups") && len(d.writes("")) == 0)
			d.want("members stay", slices.Equal(before, d.w.scim.MembersOf("oncall-a")))
		}},
	{"nested groups", "fleetdm/fleet#46374", "Groups inside groups raised errors, or became people who do not exist.",
		"Members are people, expanded by the directory. A group that is a member in Rootly is left where it is.",
		func(d *drill) {
			inner, _ := d.w.scim.Group("hand-made")
			d.change(func() error {
				return d.w.scim.EditGroup("oncall-a", func(g *sim.SCIMGroup) {
					g.Members = append(g.Members, sim.SCIMMember{Value: inner.ID, Type: "Group"})
				})
			})
			n := len(d.w.scim.Users())
			d.quiet()
			g, _ := d.w.scim.Group("oncall-a")
			d.want("the group inside stays, nobody is made", n == len(d.w.scim.Users()) && slices.ContainsFunc(g.Members, func(m sim.SCIMMember) bool { return m.Value == inner.ID }))
		}},
	{"members from elsewhere", "firezone/firezone#12772", "A group with members of another kind, or one that may not be read, blocked the sync of all.",
		"Members who are not in scope are left out and make nobody an account. Who is in scope goes on.",
		func(d *drill) {
			var stranger sim.Person
			d.change(func() (err error) { stranger, err = d.w.company.Join(sim.Person{}, "oncall-a"); return err })
			p := d.employee(0)
			d.change(func() error { return d.w.company.Rename(p.Login, "Ada", "Byron") })
			d.cycle()
			_, made := d.account(stranger)
			u, _ := d.account(p)
			d.want("no account for who is not assigned, and the rest goes on", !made && u.GivenName == "Ada")
			d.quiet()
		}},
	{"one bad record", "awslabs/ssosync#104", "One account that the target refused ended the run for everybody after it.",
		"The refused object waits in escrow and is reported. All others are written.",
		func(d *drill) {
			d.change(func() error { _, err := d.w.company.Join(sim.Person{Direct: true}); return err })
			p := d.employee(0)
			d.change(func() error { return d.w.company.Rename(p.Login, "Ada", "Byron") })
			u, _ := d.account(p)
			d.w.armed = []armed{refusal("POST /scim/Users", "PATCH /scim/Users/"+u.ID)}
			d.cycle()
			u, _ = d.account(p)
			d.want("one failed, the other is done", d.ended(reconcile.OutcomeFailed) == 1 && u.GivenName == "Ada")
		}},
	{"silence for days", "firezone/firezone#7757", "A refused credential switched the sync off, and nobody was told for days.",
		"The run fails, says which credential and where to renew it, and the sync slows down visibly instead of stopping.",
		func(d *drill) {
			d.fault(PhaseFetch, "401", 100)
			d.cycle()
			ledger, err := d.w.memory.Ledger(d.Context())
			d.want("an error and a quarantine", d.w.lastErr != nil && err == nil && ledger.Quarantine != nil && ledger.Quarantine.Cause == reconcile.CauseCredentials)
			d.cycle()
			d.quiet()
		}},
	{"too many requests", "awslabs/ssosync#13", "Requests that were answered with 429 were dropped, and showed later as conflicts.",
		"A 429 pauses everybody and the request is sent again. Nothing is lost, in the same run.",
		func(d *drill) {
			d.change(func() error { _, err := d.w.company.Join(sim.Person{Direct: true}, "oncall-b"); return err })
			for _, phase := range []Phase{PhaseFetch, PhaseRead, PhaseBefore} {
				d.fault(phase, "429 storm", 2)
			}
			d.cycle()
			d.want("created and put into the group", len(d.writes("POST create user")) == 1 && len(d.writes("PATCH join")) == 1 && d.ended(reconcile.OutcomeFailed) == 0)
			d.quiet()
		}},
	{"the account is there already", "awslabs/ssosync#111", "A 409 to a creation ended the run; the state was never written.",
		"The account in the way is looked at: taken over if it can only be this person's, else reported as an address that is used again.",
		func(d *drill) {
			var mine, theirs sim.Person
			d.change(func() (err error) {
				if mine, err = d.w.company.Join(sim.Person{Direct: true}); err != nil {
					return err
				}
				if theirs, err = d.w.company.Join(sim.Person{Direct: true}); err != nil {
					return err
				}
				_, err = d.w.scim.AddUser(sim.SCIMUser{UserName: mine.Login, Active: true})
				_, err2 := d.w.scim.AddUser(sim.SCIMUser{UserName: theirs.Login, ExternalID: "native-7", Active: true})
				return errors.Join(err, err2)
			})
			d.cycle()
			_, taken := d.account(mine)
			_, stolen := d.account(theirs)
			d.want("one is taken over, the other is a conflict", taken && !stolen && d.noted(reconcile.NoteConflict, "address reused"))
		}},
	{"pages", "awslabs/ssosync#45", "Only the first page was read, or the announced total was believed; the rest of the people were taken for absent.",
		"A listing is complete or it is an error: distinct ids, as many as announced on every page. Small pages cost requests, never people.",
		func(d *drill) {
			d.w.scim.SetOptions(func(o *sim.SCIMOptions) { o.PageCap = 2 })
			d.quiet()
			d.w.scim.SetOptions(func(o *sim.SCIMOptions) { o.TotalOff = 5 })
			d.cycle()
			d.want("an error and no write", d.w.lastErr != nil && len(d.writes("")) == 0)
		}},
	{"suspended is not deleted", "slashdevops/idp-scim-sync#40", "Suspended people stayed active, or accounts with a locked sign-in were treated as leavers.",
		"Each directory has a table of its statuses: suspended and deactivated people leave, a locked or expired sign-in is nobody's leaving.",
		func(d *drill) {
			locked, expired, gone := d.employee(0), d.employee(1), d.employee(2)
			d.change(func() error {
				return errors.Join(d.w.company.SetStatus(locked.Login, sim.StatusLockedOut), d.w.company.SetStatus(expired.Login, sim.StatusPasswordExpired), d.w.company.Suspend(gone.Login))
			})
			d.cycle()
			a, _ := d.account(locked)
			b, _ := d.account(expired)
			c, _ := d.account(gone)
			d.want("only the suspended one is out", a.Active && b.Active && !c.Active)
		}},
	{"who returns", "better-auth/better-auth#11111", "Somebody who had been deactivated could not be provisioned again: a hidden account stood in the way.",
		"The id of everybody ever managed is kept. Who returns is reactivated by it, also where deactivated accounts can no longer be found.",
		func(d *drill) {
			d.w.scim.SetOptions(func(o *sim.SCIMOptions) { o.VanishInactive = true })
			p := d.employee(0)
			before, _ := d.account(p)
			d.change(func() error { return d.w.company.Suspend(p.Login) })
			d.cycle()
			d.quiet()
			d.change(func() error { return d.w.company.Unsuspend(p.Login) })
			d.cycle()
			after, _ := d.account(p)
			d.want("the same account is active", after.Active && after.ID == before.ID && len(d.writes("POST")) == 0)
		}},
	{"a stale view of the target", "slashdevops/idp-scim-sync#104", "What was changed at the target was not seen, as the tool trusted its own memory of it.",
		"The target is read whole in every run, and what hands changed is put right.",
		func(d *drill) {
			p := d.employee(0)
			u, _ := d.account(p)
			d.change(func() error { return d.w.scim.EditUser(u.ID, func(u *sim.SCIMUser) { u.FamilyName = "By Hand" }) })
			d.change(func() error { return d.w.scim.EditGroup("oncall-a", func(g *sim.SCIMGroup) { g.Members = nil }) })
			d.cycle()
			u, _ = d.account(p)
			d.want("both are put right", u.FamilyName == p.LastName && len(d.w.scim.MembersOf("oncall-a")) > 0)
			d.quiet()
		}},
	{"a removal that is not done", "goauthentik/authentik#25686", "The target answered 200 to the removal of a member and kept them, or removed everybody.",
		"Every removal is read back. What is not kept is said, tried in one other form, and never recorded as done; nobody else is removed.",
		func(d *drill) {
			members := d.w.scim.MembersOf("oncall-a")
			d.w.scim.SetOptions(func(o *sim.SCIMOptions) { o.Forgets = []string{"members"} })
			d.change(func() error { return d.w.company.RemoveMember("oncall-a", members[0]) })
			d.cycle()
			d.want("it is told that it was not kept", d.ended(reconcile.OutcomeDone) == 0 && d.ended(reconcile.OutcomeNotKept) == 1)
			d.want("nobody else is removed", slices.Equal(members, d.w.scim.MembersOf("oncall-a")))
		}},
	{"updates without end", "awslabs/ssosync#329", "A field that was written and never came back was written again on every run.",
		"A value that does not stick is tried twice, then noted and left until it changes. Equal is compared as people do: case, spaces, telephone numbers.",
		func(d *drill) {
			d.w.scim.SetOptions(func(o *sim.SCIMOptions) { o.Forgets = []string{"displayName"} })
			p := d.employee(0)
			d.change(func() error { return d.w.company.Rename(p.Login, "Ada", "Byron") })
			for range 4 {
				d.cycle()
			}
			d.want("it is at rest, with a note", len(d.w.last.Plan.Changes) == 0 && d.noted(reconcile.NoteStuck, "displayName"))
		}},
	{"a dry run that dies", "awslabs/ssosync#281", "The dry run ended at the first person who was new, since there was no account to put into groups.",
		"A plan is values and needs no write: people and groups to be made are in it, with their memberships.",
		func(d *drill) {
			d.change(func() error {
				p, err := d.w.company.Join(sim.Person{Direct: true})
				if err != nil {
					return err
				}
				_, err = d.w.company.CreateGroup(sim.Group{Name: "oncall-new", Members: []string{p.Login}})
				return err
			})
			n := len(d.w.out.Writes)
			plan, err := d.w.plan()
			verbs := map[reconcile.Verb]int{}
			for _, c := range plan.Changes {
				verbs[c.Verb]++
			}
			d.want("the plan is whole and nothing is written", err == nil && verbs[reconcile.VerbCreate] == 2 && verbs[reconcile.VerbAdd] == 1 && len(d.w.out.Writes) == n)
			d.cycle()
			d.quiet()
		}},
	{"what scope means", "awslabs/ssosync#244", "A list of people to ignore protected one side only; narrowing the scope removed people as if they had left.",
		"Whom the configuration excludes is left exactly as is. What a narrower scope would take away is one set named after the key, apart from leavers.",
		func(d *drill) {
			p, other := d.employee(0), d.employee(1)
			d.change(func() error { d.w.rules.exclude = p.ID; return nil })
			d.cycle()
			u, _ := d.account(p)
			d.want("excluded and untouched", u.Active && len(d.writes("")) == 0)
			d.change(func() error {
				d.w.rules.where = true
				return d.w.company.EditPerson(other.Login, func(p *sim.Person) { p.Department = "Sales" })
			})
			d.cycle()
			v, _ := d.account(other)
			d.want("held as the configuration's doing", v.Active && d.held(reconcile.AxisConfiguration))
		}},
	{"changes made while the target was down", "mitodl/keycloak-scim#159", "What happened while the target was down was never sent.",
		"Each run compares both sides as they are. Nothing has to be remembered to be sent.",
		func(d *drill) {
			p := d.employee(0)
			d.change(func() error { return d.w.company.Rename(p.Login, "Ada", "Byron") })
			d.fault(PhaseRead, "503", 100)
			d.cycle()
			d.want("the run fails", d.w.lastErr != nil && len(d.writes("")) == 0)
			d.cycle()
			u, _ := d.account(p)
			d.want("the next one sends it", u.GivenName == "Ada")
		}},
	{"attributes that cannot be cleared", "FusionAuth/fusionauth-issues#3273", "A value could not be cleared, or an update replaced the whole object and with it what others had set.",
		"Only managed attributes that differ are sent. What we wrote is cleared when the directory clears it; what others set stays.",
		func(d *drill) {
			p := d.employee(0)
			phone := func(n string) {
				d.change(func() error { return d.w.company.EditPerson(p.Login, func(p *sim.Person) { p.MobilePhone = n }) })
				d.cycle()
			}
			phone("+14155550111")
			u, _ := d.account(p)
			d.change(func() error {
				return d.w.scim.EditUser(u.ID, func(u *sim.SCIMUser) {
					u.Emails = append(u.Emails, sim.SCIMValue{Value: "home@example.org", Type: "home"})
				})
			})
			phone("")
			u, _ = d.account(p)
			mobile := slices.ContainsFunc(u.Phones, func(v sim.SCIMValue) bool { return v.Type == "mobile" && v.Value != "" })
			d.want("cleared, and the other address stays", !mobile && len(u.Emails) == 2)
		}},
}

// TestDisasters replays what users of other tools went through.
func TestDisasters(t *testing.T) {
	for i, x := range disasters {
		t.Run(fmt.Sprintf("%d %s", i+1, x.name), func(t *testing.T) { rehearse(t, x.happens) })
	}
}

const disasterPage = "../../docs/disasters.md"

func TestTheTableOfDisastersIsUpToDate(t *testing.T) {
	var b strings.Builder
	b.WriteString("# Disasters, replayed\n\nWhat users of tools of this kind went through, in public, and what happens here. Each row is a test of `TestDisasters` " +
		"(`internal/lab`), which replays it with whole cycles; this page is made from that table (`go test ./internal/lab -run TheTable -update`).\n\n" +
		"| | elsewhere | here | test |\n|---|---|---|---|\n")
	for i, x := range disasters {
		repository, number, _ := strings.Cut(x.source, "#")
		fmt.Fprintf(&b, "| %d | %s ([%s](https://github.com/%s/issues/%s)) | %s | `%d %s` |\n", i+1, x.elsewhere, x.source, repository, number, x.here, i+1, x.name)
	}
	if *update {
		if err := os.WriteFile(disasterPage, []byte(b.String()), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	have, err := os.ReadFile(disasterPage)
	if err != nil || string(have) != b.String() {
		t.Errorf("docs/disasters.md is not what the table of disasters says (error %v): run go test ./internal/lab -run TheTable -update", err)
	}
}

// refusal is a 400 for one write that spares another.
func refusal(hit, spare string) armed {
	a := armed{Cell: Cell{PhaseBefore, "400"}, often: 1}
	for !a.strikes(PhaseBefore, "apply before "+hit, 0) || a.strikes(PhaseBefore, "apply before "+spare, 0) {
		a.salt++
	}
	return a
}
