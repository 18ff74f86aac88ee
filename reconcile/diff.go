package reconcile

import (
	"slices"
	"strings"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
	"github.com/rootly-idp-sync/rootly-idp-sync/scimclient"
)

// diffUsers says what must change about people, and refreshes in links what the ledger had not heard of.
func (d *desk) diffUsers() (changes []Change, refresh []Link) {
	for i := range d.people {
		p := &d.people[i]
		if p.frozen != nil {
			if l, ok := d.returned(p); ok {
				refresh = append(refresh, l)
			}
			continue
		}
		cs := d.diffUser(p)
		changes = append(changes, cs...)
		if l, ok := d.kept(p); ok && len(cs) == 0 {
			refresh = append(refresh, l)
		}
	}
	d.nameGroups(changes)
	return changes, refresh
}

// diffUser compares one person on both sides, and with what we wrote last for the reason.
func (d *desk) diffUser(p *person) []Change {
	switch p.standing {
	case standIn:
		return d.bringIn(p)
	case standOut, standGone, standDisabled:
		if c, ok := d.takeOut(p); ok {
			return []Change{c}
		}
		if c, ok := d.depart(p); ok {
			return []Change{c}
		}
	}
	return nil
}

func (d *desk) bringIn(p *person) []Change {
	c := Change{Object: p.ref(), After: afterOf(p.after)}
	have := UserValues{}
	switch {
	case p.target != nil:
		have, c.emails = d.valuesOf(p), p.target.Emails
	case p.asleep(): // it is there, and comes back by its id
		have = *p.link.User
	}
	want, dropped := d.settle(p, have)
	if dropped != "" {
		d.note(p.ref(), NoteStuck, "telephone "+dropped+" is no number in region "+d.rules.phones.region+" and is left out",
			"write it with its country code in the directory")
	}
	c.user, c.record = &want, written(p.want, want)
	p.record = c.record

	switch {
	case p.target == nil && have.UserName != "":
		c.Verb, c.Why = VerbReactivate, WhyReturned
	case p.target == nil:
		c.Verb, c.Why = VerbCreate, WhyJoined
		if p.link != nil {
			c.Why, c.Detail = WhyDrift, "the account was deleted in Rootly"
		}
	case !have.Active:
		c.Verb, c.Why = VerbReactivate, WhyReturned
	case p.link == nil:
		c.Verb, c.Why, c.Detail = VerbUpdate, WhyFirstMatch, "by "+p.matched
	default:
		c.Verb = VerbUpdate
	}
	c.Fields = d.fields(p, have, want)
	if c.Verb != VerbUpdate {
		for i := range c.Fields {
			c.Fields[i].Why = c.Why
		}
		return []Change{c}
	}
	if len(c.Fields) == 0 {
		if p.link == nil {
			c.Verb = VerbLink
			return []Change{c}
		}
		return nil
	}
	if p.link != nil {
		c.Why = c.Fields[0].Why
	}
	return []Change{c}
}

// asleep tells whether the account is one that we deactivated, on a server that hides such accounts.
func (p *person) asleep() bool {
	return p.target == nil && p.link != nil && p.link.User != nil && !p.link.User.Active
}

// takeOut deactivates an account that is ours, or that a disabled person matched.
func (d *desk) takeOut(p *person) (Change, bool) {
	if p.target == nil || !p.target.Active || p.link == nil && p.matched == "" {
		return Change{}, false
	}
	c := Change{
		Verb: VerbDeactivate, Object: p.ref(), Detail: p.text,
		Fields: []Field{{Name: "active", From: "true", To: "false"}},
		Why:    map[standing]Why{standOut: WhyLeftScope, standGone: WhyGone, standDisabled: WhyDisabled}[p.standing],
	}
	if p.link != nil && p.link.User != nil && !p.link.User.Active {
		c.Why, c.Detail = WhyDrift, "reactivated by hand; "+string(p.standing)+" in the directory"
	}
	c.Fields[0].Why = c.Why
	left := valuesOf(p.target)
	left.Active = false
	c.user = &left
	c.record = &UserValues{UserName: left.UserName, ExternalID: left.ExternalID}
	if p.link != nil && p.link.User != nil {
		last := *p.link.User
		last.Active = false
		c.record = &last
	}
	return c, true
}

// nameGroups says of everybody who is deactivated which groups of Rootly they are in.
func (d *desk) nameGroups(changes []Change) {
	leaving := map[string]*Change{}
	for i := range changes {
		if changes[i].Verb == VerbDeactivate {
			leaving[changes[i].Object.Target] = &changes[i]
		}
	}
	if len(leaving) == 0 {
		return
	}
	for i := range d.reading.groups {
		g := &d.reading.groups[i]
		for _, m := range g.Members {
			if c := leaving[m.Value]; c != nil {
				c.Groups = append(c.Groups, Ref{Kind: KindGroup, Target: g.ID, Name: g.DisplayName, Role: d.roleInRootly(g)})
			}
		}
	}
	for _, c := range leaving {
		slices.SortFunc(c.Groups, func(a, b Ref) int { return strings.Compare(a.Name, b.Name) })
	}
}

// written is what the ledger remembers as ours: the values the directory gave, and nothing for those it left empty,
// which stay other people's to set.
func written(given, settled UserValues) *UserValues {
	v := settled
	blank := func(v *string, given string) {
		if given == "" {
			*v = ""
		}
	}
	blank(&v.GivenName, given.GivenName)
	blank(&v.FamilyName, given.FamilyName)
	blank(&v.DisplayName, given.DisplayName)
	blank(&v.Email, given.Email)
	blank(&v.ExternalID, given.ExternalID)
	v.Phones = slices.DeleteFunc(slices.Clone(settled.Phones), func(p connectors.Phone) bool { return phoneOf(given.Phones, p.Type) == "" })
	return &v
}

// settle completes what is wanted with what only a look at the other side can decide: phones are compared as numbers,
// and an attribute that the directory leaves empty is cleared only if it was we who had set it.
func (d *desk) settle(p *person, have UserValues) (want UserValues, droppedPhone string) {
	want = p.want
	var last UserValues
	if p.link != nil && p.link.User != nil {
		last = *p.link.User
	}
	keep := func(want *string, have, last string) {
		if *want == "" && last == "" {
			*want = have
		}
	}
	keep(&want.GivenName, have.GivenName, last.GivenName)
	keep(&want.FamilyName, have.FamilyName, last.FamilyName)
	keep(&want.DisplayName, have.DisplayName, last.DisplayName)
	keep(&want.Email, have.Email, last.Email)
	keep(&want.ExternalID, have.ExternalID, last.ExternalID)

	phones, bad := d.rules.phones.normalize(p.want.Phones, have.Phones)
	ours := map[string]bool{}
	for _, h := range have.Phones {
		first := !ours[h.Type]
		ours[h.Type] = true
		// The first number of a type is ours if the directory has one or we wrote it; all others are other people's.
		if !first || phoneOf(phones, h.Type) == "" && (phoneOf(last.Phones, h.Type) == "" || !d.managesPhone(h.Type)) {
			phones = append(phones, h)
		}
	}
	want.Phones = phones
	return want, strings.Join(bad, ", ")
}

func (d *desk) managesPhone(typ string) bool {
	switch typ {
	case "mobile":
		return d.rules.managed(AttrMobilePhone)
	case "work":
		return d.rules.managed(AttrWorkPhone)
	}
	return false
}

// fields lists the attributes in which have differs from want, each with its reason. A value that the server did not
// keep twice is noted and left.
func (d *desk) fields(p *person, have, want UserValues) []Field {
	var last UserValues
	known := p.link != nil && p.link.User != nil
	if known {
		last = *p.link.User
	}
	p.contests = map[string]Contest{}
	var out []Field
	add := func(name, have, want, last string, same func(a, b string) bool) {
		if same(have, want) {
			return
		}
		f := Field{Name: name, From: have, To: want, Why: d.why(known, same(last, want))}
		if p.link != nil {
			if s, ok := p.link.Stuck[name]; ok && s.Value == want {
				if s.Tries >= 2 {
					d.note(p.ref(), NoteStuck, "Rootly accepts "+name+" "+quoted(want)+" and does not keep it",
						"look at the SCIM log in Rootly; it is not tried again until the value changes")
					return
				}
				f.Why = WhyDirectory
			}
		}
		if f.Why == WhyDrift && d.yields(p.ref(), p.link, p.contests, name, have) {
			return
		}
		out = append(out, f)
	}
	add("userName", have.UserName, want.UserName, last.UserName, sameFolded)
	add("externalId", have.ExternalID, want.ExternalID, last.ExternalID, sameText)
	add("name.givenName", have.GivenName, want.GivenName, last.GivenName, sameText)
	add("name.familyName", have.FamilyName, want.FamilyName, last.FamilyName, sameText)
	add("displayName", have.DisplayName, want.DisplayName, last.DisplayName, sameText)
	add("emails", have.Email, want.Email, last.Email, sameFolded)
	for _, typ := range phoneTypes(have.Phones, want.Phones) {
		add("phoneNumbers."+typ, phoneOf(have.Phones, typ), phoneOf(want.Phones, typ), phoneOf(last.Phones, typ), d.rules.phones.same)
	}
	if have.Active != want.Active {
		out = append(out, Field{Name: "active", From: boolText(have.Active), To: boolText(want.Active)})
	}
	return out
}

// creation lists all that a new account is given.
func creation(v UserValues, why Why) []Field {
	names := []string{"userName", "externalId", "name.givenName", "name.familyName", "displayName", "emails"}
	for _, typ := range phoneTypes(nil, v.Phones) {
		names = append(names, "phoneNumbers."+typ)
	}
	var out []Field
	for _, name := range append(names, "active") {
		if to := fieldOf(v, name); to != "" {
			out = append(out, Field{Name: name, To: to, Why: why})
		}
	}
	return out
}

// why tells a change of ours from a change of theirs: if what is wanted is what we wrote last, somebody edited Rootly.
func (d *desk) why(known, asWritten bool) Why {
	switch {
	case !known:
		return WhyFirstMatch
	case asWritten:
		return WhyDrift
	case d.rulesChanged():
		return WhyConfig
	}
	return WhyDirectory
}

func (d *desk) rulesChanged() bool { return d.ledger.Rules != "" && d.ledger.Rules != d.rules.hash }

// refreshed returns the link as it should read when Rootly already holds what is wanted without a write of ours.
func (p *person) refreshed() (Link, bool) {
	if p.link == nil || p.link.User == nil {
		return Link{}, false
	}
	var now UserValues
	switch p.standing {
	case standIn:
		if p.record == nil || sameValues(*p.record, *p.link.User) {
			return Link{}, false
		}
		now = *p.record
	case standDisabled:
		// The directory says so itself. Being absent or out of scope in one read is no such statement: whoever was
		// deactivated by hand before would be reactivated when the next read has them again.
		if !p.link.User.Active {
			return Link{}, false
		}
		now = *p.link.User
		now.Active = false
	default:
		return Link{}, false
	}
	l := *p.link
	l.User = &now
	return l, true
}

func (d *desk) note(o Ref, k NoteKind, text, remedy string) {
	d.notes = append(d.notes, Note{Kind: k, Object: o, Text: text, Remedy: remedy})
}

// valuesOf is the neutral form of what Rootly holds.
func valuesOf(u *scimclient.User) UserValues {
	v := UserValues{
		UserName: u.UserName, ExternalID: u.ExternalID, GivenName: u.GivenName, FamilyName: u.FamilyName,
		DisplayName: u.DisplayName, Email: workEmail(u.Emails), Active: u.Active,
	}
	for _, p := range u.Phones {
		v.Phones = append(v.Phones, connectors.Phone{Type: p.Type, Value: p.Value})
	}
	return v
}

// workEmail is the address we manage.
func workEmail(es []scimclient.Email) string {
	if i := workEmailAt(es); i >= 0 {
		return es[i].Value
	}
	return ""
}

// workEmailAt finds the address we manage: the one of type work, else the primary one, else the only one.
func workEmailAt(es []scimclient.Email) int {
	if i := slices.IndexFunc(es, func(e scimclient.Email) bool { return strings.EqualFold(e.Type, "work") }); i >= 0 {
		return i
	}
	if i := slices.IndexFunc(es, func(e scimclient.Email) bool { return e.Primary }); i >= 0 {
		return i
	}
	if len(es) == 1 {
		return 0
	}
	return -1
}

func phoneTypes(a, b []connectors.Phone) []string {
	var out []string
	for _, ps := range [][]connectors.Phone{a, b} {
		for _, p := range ps {
			if !slices.Contains(out, p.Type) {
				out = append(out, p.Type)
			}
		}
	}
	slices.Sort(out)
	return out
}

func sameFolded(a, b string) bool { return a == b || connectors.Fold(a) == connectors.Fold(b) }
func sameText(a, b string) bool   { return a == b || clean(a) == clean(b) }

func sameValues(a, b UserValues) bool {
	return a.UserName == b.UserName && a.ExternalID == b.ExternalID && a.GivenName == b.GivenName &&
		a.FamilyName == b.FamilyName && a.DisplayName == b.DisplayName && a.Email == b.Email &&
		slices.Equal(a.Phones, b.Phones) && a.Active == b.Active
}

func boolText(b bool) string {
	if b {
		return "true"
	}
	return "false"
}

func quoted(s string) string { return "\"" + s + "\"" }

func afterOf(key string) []string {
	if key == "" {
		return nil
	}
	return []string{key}
}
