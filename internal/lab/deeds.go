package lab

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/rootly-idp-sync/rootly-idp-sync/internal/sim"
	"github.com/rootly-idp-sync/rootly-idp-sync/internal/store"
	"github.com/rootly-idp-sync/rootly-idp-sync/reconcile"
)

// The steps that are not drawn by weight.
const (
	deedCycle   = "cycle"
	deedApprove = "approve"
	deedFault   = "fault"
)

// A deed is one kind of step. It says what it did; "" is nothing.
type deed struct {
	name   string
	weight int
	do     func(w *world, n [3]uint32) string
}

// directoryDeeds are what happens in the directory; it may happen in mid-cycle too.
var directoryDeeds = []deed{
	{"join", 6, (*world).join},
	{"leave", 8, (*world).leave},
	{"delete", 3, (*world).remove},
	{"return", 5, (*world).comeBack},
	{"suspend", 6, (*world).suspend},
	{"unsuspend", 4, (*world).unsuspend},
	{"status", 2, (*world).otherStatus},
	{"reorganise", 6, (*world).reorganise},
	{"unassign", 6, (*world).unassign},
	{"assign", 4, (*world).assign},
	{"rename", 4, (*world).rename},
	{"move department", 3, (*world).department},
	{"new address", 5, (*world).address},
	{"reuse an address", 4, (*world).reuse},
	{"swap addresses", 2, (*world).swap},
	{"add member", 6, (*world).addMember},
	{"remove member", 8, (*world).removeMember},
	{"nest a group", 2, (*world).nest},
	{"empty a group", 2, (*world).emptyGroup},
	{"rename a group", 3, (*world).renameGroup},
	{"delete a group", 2, (*world).deleteGroup},
	{"recreate a group", 2, (*world).recreateGroup},
}

var deeds = slices.Concat(directoryDeeds, []deed{
	{"edit the rules", 5, (*world).editRules},
	{"hands on an account", 8, (*world).handsOnAccount},
	{"hands on a group", 6, (*world).handsOnGroup},
	{"second writer", 2, (*world).secondWriter},
	{"pin", 2, (*world).pin},
	{"clock jump", 2, (*world).jump},
	{"restart", 2, (*world).restart},
	{"change in mid-cycle", 8, (*world).inMidCycle},
	{"account in the way", 5, (*world).inTheWay},
	{deedApprove, 6, (*world).approve},
})

var deedWeight = func() (n int) {
	for _, d := range deeds {
		n += d.weight
	}
	return n
}()

// step does one step.
func (w *world) step(s Step) {
	switch s.Deed {
	case deedCycle:
		w.wait(s.N[0])
		w.cycle()
		return
	case deedFault:
		w.arm(s)
		return
	}
	for _, d := range deeds {
		if d.name == s.Deed {
			w.perform(d, s.N)
		}
	}
}

// perform does a deed, and notes how things are afterwards on both sides.
func (w *world) perform(d deed, n [3]uint32) {
	before := w.photo()
	if said := d.do(w, n); said != "" {
		w.tell("%s", said)
	}
	w.record()
	w.replay.follow(before, w.photo())
}

// wait lets the time to the next cycle pass.
func (w *world) wait(n uint32) {
	gaps := []time.Duration{40 * time.Minute, 40 * time.Minute, 5 * time.Hour, 25 * time.Hour}
	<-time.After(gaps[int(n)%len(gaps)])
}

func pick[E any](list []E, n uint32) (e E, ok bool) {
	if len(list) == 0 {
		return e, false
	}
	return list[int(n)%len(list)], true
}

func (w *world) someone(n uint32) sim.Person {
	p, _ := pick(w.people(), n)
	return p
}

// onlogin does something with one person; what the company refuses is nothing.
func (w *world) person(n uint32, what string, do func(login string) error) string {
	p := w.someone(n)
	if p.ID == "" || do(p.Login) != nil {
		return ""
	}
	return fmt.Sprintf("%s (%s) %s", p.Login, p.ID, what)
}

func (w *world) team(n uint32) string {
	var names []string
	for _, g := range w.company.Groups() {
		if g.Name != scopeGroup {
			names = append(names, g.Name)
		}
	}
	name, _ := pick(names, n)
	return name
}

func (w *world) join(n [3]uint32) string {
	groups := []string{scopeGroup}
	if g := w.team(n[0]); g != "" && n[1]%2 == 0 {
		groups = append(groups, g)
	}
	return w.hire(sim.Person{Direct: n[2]%4 > 0}, groups...)
}

// hire lets somebody join, who may have the name of somebody who was here before.
func (w *world) hire(p sim.Person, groups ...string) string {
	p, err := w.employ(p, groups...)
	if err != nil {
		return ""
	}
	if len(w.everCalled(p.Login)) > 0 {
		w.tangle(p.ID, p.Login)
	}
	return p.Login + " joins"
}

func (w *world) leave(n [3]uint32) string { return w.person(n[0], "leaves", w.company.Leave) }

func (w *world) remove(n [3]uint32) string {
	return w.person(n[0], "is deleted", func(login string) error {
		_ = w.company.Leave(login)
		return w.company.Delete(login)
	})
}

func (w *world) comeBack(n [3]uint32) string {
	var gone []string
	for _, p := range w.people() {
		if p.Status == sim.StatusDeprovisioned {
			gone = append(gone, p.Login)
		}
	}
	login, ok := pick(gone, n[0])
	if !ok || w.company.Return(login) != nil || w.company.Assign(login) != nil || w.company.AddMember(scopeGroup, login) != nil {
		return ""
	}
	return login + " returns"
}

func (w *world) suspend(n [3]uint32) string {
	return w.person(n[0], "is suspended", w.company.Suspend)
}

func (w *world) unsuspend(n [3]uint32) string {
	return w.person(n[0], "is active again", w.company.Unsuspend)
}

// reorganise suspends a third of the people at once, always the same ones, or brings them back.
func (w *world) reorganise([3]uint32) string {
	people := w.people()
	cohort := people[:min(len(people), 2+len(people)/4)]
	do, what := w.company.Suspend, "are suspended"
	if len(cohort) > 0 && cohort[0].Status == sim.StatusSuspended {
		do, what = w.company.Unsuspend, "are active again"
	}
	for _, p := range cohort {
		_ = do(p.Login) // who has left stays so
	}
	return fmt.Sprintf("the first %d %s", len(cohort), what)
}

func (w *world) otherStatus(n [3]uint32) string {
	s, _ := pick([]sim.Status{sim.StatusLockedOut, sim.StatusPasswordExpired, sim.StatusRecovery, sim.StatusStaged}, n[1])
	return w.person(n[0], "becomes "+string(s), func(login string) error { return w.company.SetStatus(login, s) })
}

func (w *world) unassign(n [3]uint32) string {
	return w.person(n[0], "is put out of scope", func(login string) error {
		if err := w.company.RemoveMember(scopeGroup, login); err != nil {
			return err
		}
		return w.company.Unassign(login)
	})
}

func (w *world) assign(n [3]uint32) string {
	return w.person(n[0], "is put in scope", func(login string) error {
		if err := w.company.Assign(login); err != nil {
			return err
		}
		return w.company.AddMember(scopeGroup, login)
	})
}

func (w *world) rename(n [3]uint32) string {
	family := fmt.Sprintf("O'Brien-%d", n[1]%5)
	return w.person(n[0], "is now called Zoë "+family, func(login string) error { return w.company.Rename(login, "Zoë", family) })
}

func (w *world) department(n [3]uint32) string {
	dept, _ := pick([]string{"Sales", "SRE"}, n[1])
	return w.person(n[0], "moves to "+dept, func(login string) error {
		return w.company.EditPerson(login, func(p *sim.Person) { p.Department = dept })
	})
}

func (w *world) address(n [3]uint32) string {
	return w.person(n[0], "gets another address", func(login string) error {
		w.tangle(login)
		return w.company.ChangeEmail(login, fmt.Sprintf("n%d.%s", n[1]%100, login))
	})
}

// tangle notes that a conflict may be about this address or account by now.
func (w *world) tangle(who ...string) {
	for _, s := range who {
		w.tangled[strings.ToLower(s)] = true
	}
}

func (w *world) reuse(n [3]uint32) string {
	a, b := w.someone(n[0]), w.someone(n[1])
	if a.ID == b.ID {
		return ""
	}
	w.tangle(a.Login, b.Login, a.ID, b.ID)
	if w.company.ChangeEmail(a.Login, "old."+a.Login) != nil {
		return ""
	}
	if n[2]%2 == 0 {
		joined, err := w.employ(sim.Person{Login: a.Login, Direct: true}, scopeGroup)
		if err != nil {
			return ""
		}
		w.tangle(joined.ID)
		return fmt.Sprintf("%s gets another address, and a newcomer (%s) gets theirs", a.Login, joined.ID)
	}
	if w.company.ChangeEmail(b.Login, a.Login) != nil {
		return ""
	}
	return fmt.Sprintf("%s gets another address, and %s gets theirs", a.Login, b.Login)
}

func (w *world) swap(n [3]uint32) string {
	a, b := w.someone(n[0]), w.someone(n[1])
	if a.ID == b.ID || w.company.ChangeEmail(a.Login, "swap."+a.Login) != nil {
		return ""
	}
	w.tangle(a.Login, b.Login, a.ID, b.ID)
	must(w.company.ChangeEmail(b.Login, a.Login))
	must(w.company.ChangeEmail("swap."+a.Login, b.Login))
	return fmt.Sprintf("%s and %s swap addresses", a.Login, b.Login)
}

func (w *world) addMember(n [3]uint32) string {
	g := w.team(n[1])
	return w.person(n[0], "enters "+g, func(login string) error { return w.company.AddMember(g, login) })
}

func (w *world) removeMember(n [3]uint32) string {
	g, ok := w.company.GroupByName(w.team(n[1]))
	login, some := pick(g.Members, n[0])
	if !ok || !some || w.company.RemoveMember(g.Name, login) != nil {
		return ""
	}
	return login + " is taken out of " + g.Name
}

// nest puts everybody of one group into another, as an expanded nesting shows.
func (w *world) nest(n [3]uint32) string {
	inner, _ := w.company.GroupByName(w.team(n[0]))
	outer := w.team(n[1])
	if inner.Name == outer || outer == "" {
		return ""
	}
	for _, login := range inner.Members {
		must(w.company.AddMember(outer, login))
	}
	return inner.Name + " is nested in " + outer
}

func (w *world) emptyGroup(n [3]uint32) string {
	g, ok := w.company.GroupByName(w.team(n[0]))
	if !ok {
		return ""
	}
	for _, login := range g.Members {
		must(w.company.RemoveMember(g.Name, login))
	}
	return g.Name + " is emptied"
}

func (w *world) renameGroup(n [3]uint32) string {
	from, to := w.team(n[0]), fmt.Sprintf("oncall-%c", 'a'+n[1]%6)
	if n[2]%5 == 0 {
		to = "former-" + from
	}
	if from == "" || w.company.RenameGroup(from, to) != nil {
		return ""
	}
	w.tangle(from, to)
	return from + " is renamed to " + to
}

func (w *world) deleteGroup(n [3]uint32) string {
	g := w.team(n[0])
	if g == "" || w.company.DeleteGroup(g) != nil {
		return ""
	}
	return g + " is deleted"
}

func (w *world) recreateGroup(n [3]uint32) string {
	g, ok := w.company.GroupByName(w.team(n[0]))
	if !ok || w.company.DeleteGroup(g.Name) != nil {
		return ""
	}
	_, err := w.company.CreateGroup(sim.Group{Name: g.Name, Members: g.Members})
	must(err)
	w.tangle(g.Name)
	return g.Name + " is deleted and founded anew"
}

func (w *world) editRules(n [3]uint32) string {
	p := w.someone(n[1])
	before := w.rules
	switch n[0] % 6 {
	case 0:
		w.rules.where = !w.rules.where
	case 1:
		w.rules.mapped = !w.rules.mapped
	case 2:
		w.rules.narrow = !w.rules.narrow
	case 3:
		w.rules.exclude = p.ID
	case 4, 5:
		w.rules.protect = p.ID
	}
	if before == w.rules {
		return ""
	}
	return fmt.Sprintf("the rules become %+v", w.rules)
}

func (w *world) handsOnAccount(n [3]uint32) string {
	u, ok := pick(w.scim.Users(), n[0])
	if !ok {
		return ""
	}
	edit := func(f func(u *sim.SCIMUser)) error { return w.scim.EditUser(u.ID, f) }
	hidden := slices.Contains(w.Setup.Habits, "vanish") // deactivated by hand looks like deleted there, every day anew
	var what string
	var err error
	switch n[1] % 8 {
	case 0, 1:
		what, err = "renames", edit(func(u *sim.SCIMUser) { u.DisplayName, u.FamilyName = "By Hand", "Hand" })
	case 2:
		if hidden {
			return ""
		}
		w.tangle(u.ID, u.UserName, u.ExternalID)
		delete(w.byHand, u.ID)
		if u.Active && w.ours[u.ID] != "" {
			w.byHand[u.ID] = max(0, len(w.truth)-1)
		}
		what, err = "turns active round for", edit(func(u *sim.SCIMUser) { u.Active = !u.Active })
	case 3:
		w.tangle(u.ID, u.UserName, u.ExternalID)
		what, err = "removes", w.scim.RemoveUser(u.ID)
	case 4:
		w.tangle(u.ID, u.UserName, u.ExternalID)
		what, err = "gives a foreign externalId to", edit(func(u *sim.SCIMUser) { u.ExternalID = "native-" + u.ID[:4] })
	case 5:
		what, err = "clears the externalId of", edit(func(u *sim.SCIMUser) { u.ExternalID = "" })
	case 6:
		w.tangle(u.ID, u.UserName, u.ExternalID)
		what, err = "gives another userName to", edit(func(u *sim.SCIMUser) { u.UserName = "hand." + u.UserName })
	case 7:
		p := w.someone(n[2])
		w.tangle(p.ID, p.Login)
		_, err = w.scim.AddUser(sim.SCIMUser{UserName: p.Login, ExternalID: []string{"", "native-" + p.ID}[n[2]/7%2], Active: hidden || n[2]/14%3 > 0})
		what, u.UserName = "adds an account for", p.Login
	}
	if err != nil {
		return ""
	}
	return fmt.Sprintf("a hand %s %s (%s)", what, u.UserName, u.ID)
}

func (w *world) handsOnGroup(n [3]uint32) string {
	g, ok := pick(w.scim.Groups(), n[0])
	u, some := pick(w.scim.Users(), n[2])
	if !ok || !some {
		return ""
	}
	edit := func(f func(g *sim.SCIMGroup)) error { return w.scim.EditGroup(g.ID, f) }
	isUser := func(m sim.SCIMMember) bool { return m.Value == u.ID }
	var what string
	var err error
	switch n[1] % 7 {
	case 0, 1:
		what = "turns round whether " + u.UserName + " is in"
		err = edit(func(g *sim.SCIMGroup) {
			if slices.ContainsFunc(g.Members, isUser) {
				g.Members = slices.DeleteFunc(g.Members, isUser)
			} else {
				g.Members = append(g.Members, sim.SCIMMember{Value: u.ID, Type: "User"})
			}
		})
	case 2:
		what, err = "empties", edit(func(g *sim.SCIMGroup) { g.Members = nil })
	case 3:
		w.tangle(g.ID, g.DisplayName, g.ExternalID)
		what, err = "removes", w.scim.RemoveGroup(g.ID)
	case 4:
		w.tangle(g.ID, g.DisplayName, g.ExternalID)
		what, err = "renames", edit(func(g *sim.SCIMGroup) { g.DisplayName = "hand " + g.DisplayName })
	case 5:
		inner, _ := w.scim.Group("hand-made")
		if inner.ID == "" || inner.ID == g.ID {
			return ""
		}
		what = "nests hand-made in"
		err = edit(func(g *sim.SCIMGroup) {
			if !slices.ContainsFunc(g.Members, func(m sim.SCIMMember) bool { return m.Value == inner.ID }) {
				g.Members = append(g.Members, sim.SCIMMember{Value: inner.ID, Type: "Group"})
			}
		})
	case 6:
		w.tangle(g.ID, g.DisplayName, g.ExternalID)
		what, err = "gives a foreign externalId to", edit(func(g *sim.SCIMGroup) { g.ExternalID = "native-" + g.ID[:4] })
	}
	if err != nil {
		return ""
	}
	return fmt.Sprintf("a hand %s %s", what, g.DisplayName)
}

// A rival is a second writer: before each cycle it sets one account to what it believes.
type rival struct {
	user   string
	family string
}

func (w *world) secondWriter(n [3]uint32) string {
	u, ok := pick(w.scim.Users(), n[0])
	if !ok {
		return ""
	}
	w.rival = &rival{u.ID, "Rival"}
	return "a second writer keeps renaming " + u.UserName
}

func (w *world) pin(n [3]uint32) string {
	p := w.someone(n[0])
	ref := reconcile.Ref{Kind: reconcile.KindUser, Source: p.ID, Name: p.Login}
	if p.ID == "" || w.memory.Pin(context.Background(), []reconcile.Ref{ref}, 1) != nil {
		return ""
	}
	w.pinned[p.ID] = true
	return p.Login + " is pinned"
}

var jumps = []time.Duration{time.Hour, -time.Hour, 30 * time.Hour, -30 * time.Hour, 100 * 24 * time.Hour}

func (w *world) jump(n [3]uint32) string {
	d, _ := pick(jumps, n[0])
	w.skew += d
	return fmt.Sprintf("the clock jumps by %s", d)
}

func (w *world) restart([3]uint32) string {
	w.start()
	return "the process is restarted"
}

// inMidCycle puts a change of the directory off into the next cycle.
func (w *world) inMidCycle(n [3]uint32) string {
	d, _ := pick(directoryDeeds, n[0])
	w.process.pending = append(w.process.pending, pending{d, n, int(n[2] % 6)})
	return "in the next cycle: " + d.name
}

// inTheWay lets somebody join, and a hand add an account of their name after the next cycle has read and before it writes.
func (w *world) inTheWay(n [3]uint32) string {
	p, err := w.employ(sim.Person{Direct: true}, scopeGroup)
	if err != nil {
		return ""
	}
	w.tangle(p.ID, p.Login)
	add := func(w *world, _ [3]uint32) string {
		u := sim.SCIMUser{UserName: p.Login, ExternalID: []string{"", "native-" + p.ID}[n[0]%2], Active: n[1]%4 > 0 || slices.Contains(w.Setup.Habits, "vanish")}
		if _, err := w.scim.AddUser(u); err != nil {
			return ""
		}
		return "a hand adds an account for " + p.Login
	}
	w.process.pending = append(w.process.pending, pending{deed{name: "account", do: add}, n, 1})
	return p.Login + " joins"
}

// approve says yes to the sets that wait, or to some of them.
func (w *world) approve(n [3]uint32) string {
	sets, err := w.memory.HeldSets(context.Background())
	must(err)
	said := 0
	for i, s := range sets {
		if s.State != store.HeldUsed && s.State != store.HeldApproved && n[0]>>(i%32)&3 != 0 {
			if _, err := w.memory.Approve(context.Background(), s.Fingerprint, "the lab"); err != nil {
				continue
			}
			said++
			for _, item := range s.Items {
				w.yes[item.Key] = w.now()
			}
			w.tell("approved %s: %s", s.Axis, strings.Join(keysOf(s.HeldSet), ", "))
		}
	}
	if said == 0 {
		return ""
	}
	return fmt.Sprintf("%d sets are approved", said)
}

func keysOf(s reconcile.HeldSet) (keys []string) {
	for _, item := range s.Items {
		keys = append(keys, item.Key)
	}
	return keys
}
