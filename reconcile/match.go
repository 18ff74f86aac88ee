package reconcile

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
)

// matchUsers finds everybody's account in Rootly: by the ledger, else by externalId, else by userName, and only an
// account that nobody else is linked to and that carries no foreign externalId. Whoever is in doubt is frozen.
func (d *desk) matchUsers() {
	for i := range d.people {
		p := &d.people[i]
		switch {
		case p.standing == standFailed:
			d.freeze(p, NoteUnmapped, p.text, p.remedy)
		case p.link != nil && p.target != nil && foreign(p.target.ExternalID, p.link, p.want.ExternalID):
			d.freeze(p, NoteConflict,
				fmt.Sprintf("the account we manage now carries the externalId %q of somebody else", p.target.ExternalID),
				"another provisioning writes to Rootly as well; switch it off, then, if it is this person's account: "+adoptCommand(p.ref().Name))
			if p.standing == standIn { // of somebody who leaves it may be another person's by now
				p.candidate = p.target.ID
			}
		case d.ledger.Pinned[p.id]:
			d.freeze(p, NotePinned, "restored by undo, and left as they are until unpinned; the directory says "+string(p.standing), "to sync them again: rootly-idp-sync undo --unpin "+p.ref().Name)
		case p.byHand():
			d.freeze(p, NoteByHand, "deactivated in Rootly by hand; the directory still has them in scope",
				"reactivate them in Rootly, or let this tool do it: "+adoptCommand(p.ref().Name)+"; or take them out of scope")
			p.candidate = p.target.ID
		}
	}
	d.matchNew()
	d.settleTwins()
	d.protect()
	d.settleNames()
}

// byHand tells whether somebody deactivated in Rootly a person whom we had left active. Only a transition in the
// directory reverses that.
func (p *person) byHand() bool {
	return p.standing == standIn && p.link != nil && p.link.User != nil && p.link.User.Active && p.target != nil && !p.target.Active
}

// foreign tells whether an object of ours carries an externalId that is neither what we wrote nor what we want.
func foreign(have string, l *Link, want string) bool {
	if have == "" || have == want || l.User == nil || have == l.User.ExternalID {
		return false
	}
	return want != "" || l.User.ExternalID != ""
}

// matchNew looks for the accounts of people without a link. Disabled people are looked for too: an account of theirs
// that is active in Rootly is an open door.
func (d *desk) matchNew() {
	var loose, doubtful []int32
	for i := range d.people {
		p := &d.people[i]
		switch {
		case p.link != nil:
		case p.standing == standIn || p.standing == standDisabled && p.inScope:
			loose = append(loose, int32(i))
		case p.standing == standStaged || p.standing == standFailed || p.standing == standExcluded:
			doubtful = append(doubtful, int32(i))
		}
	}
	if len(loose)+len(doubtful) == 0 {
		return
	}
	byExternal, byName := map[string][]int32{}, map[string][]int32{}
	for i := range d.users {
		u := &d.users[i]
		if u.ExternalID != "" {
			byExternal[u.ExternalID] = append(byExternal[u.ExternalID], int32(i))
		}
		n := connectors.Fold(u.UserName)
		byName[n] = append(byName[n], int32(i))
	}
	// Whom we must not touch keeps their place in groups, linked or not.
	for _, i := range doubtful {
		p := &d.people[i]
		for _, hits := range [][]int32{byExternal[p.want.ExternalID], byExternal[p.id], byName[connectors.Fold(p.want.UserName)],
			byName[connectors.Fold(p.source.UserName)], byName[connectors.Fold(p.source.Email)]} {
			for _, h := range hits {
				d.stand(d.users[h].ID)
			}
		}
	}
	claims := map[int32][]int32{} // user → people
	for _, i := range loose {
		p := &d.people[i]
		hits, how := byExternal[p.want.ExternalID], "externalId"
		if p.want.ExternalID == "" || len(hits) == 0 {
			hits, how = byName[connectors.Fold(p.want.UserName)], "userName"
		}
		switch {
		case len(hits) == 0:
		case len(hits) > 1:
			d.freeze(p, NoteConflict, fmt.Sprintf("%d accounts in Rootly have the same %s %q", len(hits), how, pick(how, p.want)),
				"remove all but one of them in Rootly")
			for _, h := range hits {
				d.stand(d.users[h].ID)
			}
		default:
			claims[hits[0]] = append(claims[hits[0]], i)
			p.matched = how
		}
	}
	for _, u := range slices.Sorted(maps.Keys(claims)) {
		d.claim(u, claims[u])
	}
}

func adoptCommand(who string) string { return "rootly-idp-sync adopt " + who }

func pick(how string, v UserValues) string {
	if how == "externalId" {
		return v.ExternalID
	}
	return v.UserName
}

// claim gives the account to its one claimant, if it may be taken.
func (d *desk) claim(user int32, claimants []int32) {
	u := &d.users[user]
	// A disabled person yields to an active one of the same name: that one is their successor or their new account.
	active := slices.DeleteFunc(slices.Clone(claimants), func(i int32) bool { return d.people[i].standing != standIn })
	if len(active) > 0 {
		claimants = active
	}
	p := &d.people[claimants[0]]
	owner, owned := d.ownerOf[u.ID]
	switch {
	case len(claimants) > 1:
		for _, i := range claimants {
			d.freeze(&d.people[i], NoteConflict, fmt.Sprintf("%d people of the directory claim the account %s", len(claimants), u.UserName),
				"give each a userName and an externalId of their own, in the directory or in map")
		}
		d.stand(u.ID)
	case owned && p.standing == standIn && p.matched == "userName":
		// Whether the owner is about to give the name up is for settleNames to say.
	case owned:
		if p.standing == standIn {
			o := &d.people[owner]
			text := fmt.Sprintf("externalId %q belongs to both %s and %s", p.want.ExternalID, p.ref().Name, o.ref().Name)
			d.freeze(p, NoteConflict, text, "map.externalId must yield another value for each person")
			d.freeze(o, NoteConflict, text, "map.externalId must yield another value for each person")
		}
	case u.ExternalID != "" && u.ExternalID != p.want.ExternalID:
		if p.standing == standIn {
			d.freeze(p, NoteConflict,
				fmt.Sprintf("address reused: the account %s in Rootly carries the externalId %q of somebody else", u.UserName, u.ExternalID),
				"if it is this person's account: "+adoptCommand(u.UserName)+"; if not, give one of them another address")
			p.candidate = u.ID
			d.stand(u.ID)
		}
	case !u.Active && p.standing == standIn:
		d.freeze(p, NoteConflict,
			fmt.Sprintf("the account %s exists in Rootly and is deactivated, by whom we do not know", u.UserName),
			"to bring it back for this person: "+adoptCommand(u.UserName))
		p.candidate = u.ID
		d.stand(u.ID)
	default:
		p.target = u
		d.ownerOf[u.ID] = claimants[0]
	}
}

// stand makes an unowned account a bystander of a conflict.
func (d *desk) stand(id string) { d.bystanders[id] = true }

// settleTwins freezes people who are wanted under one userName.
func (d *desk) settleTwins() {
	seen := make(map[string]int32, len(d.people))
	for i := range d.people {
		p := &d.people[i]
		if p.standing != standIn {
			continue
		}
		n := connectors.Fold(p.want.UserName)
		first, twice := seen[n]
		if !twice {
			seen[n] = int32(i)
			continue
		}
		text := fmt.Sprintf("%s and %s are both mapped to the userName %s", d.people[first].id, p.id, p.want.UserName)
		for _, q := range []*person{&d.people[first], p} {
			d.freeze(q, NoteConflict, text, "give one of them another address, or map.userName a rule that tells them apart")
		}
	}
}

// protect freezes whom guard.protect names, and says only what it kept from happening.
func (d *desk) protect() {
	if len(d.rules.protect) == 0 {
		return
	}
	for i := range d.people {
		p := &d.people[i]
		name := ""
		if p.target != nil {
			name = p.target.UserName
		}
		pat, ok := d.rules.protect.Match(p.id, p.want.UserName, name, p.ref().Name)
		if !ok {
			continue
		}
		text := fmt.Sprintf("protected by guard.protect %q", pat)
		if cs := d.diffUser(p); len(cs) > 0 && p.frozen == nil {
			text = fmt.Sprintf("would be %s (%s), but is protected by guard.protect %q", past[cs[len(cs)-1].Verb], cs[len(cs)-1].Why, pat)
		}
		d.freeze(p, NoteProtected, text, "take the entry out of guard.protect to let it happen")
	}
}

var past = map[Verb]string{
	VerbLink: "taken over", VerbCreate: "created", VerbReactivate: "reactivated", VerbUpdate: "updated",
	VerbDeactivate: "deactivated", VerbDelete: "deleted", VerbAdd: "given members", VerbRemove: "stripped of members",
}

// settleNames sees to it that nobody gets a userName that another account still has: either its owner is given another
// one first, which person.after then says, or everybody in it is frozen.
func (d *desk) settleNames() {
	holder := d.holders()
	if holder == nil {
		return
	}
	seats := make([]seat, len(d.people))
	for i := range d.people {
		p := &d.people[i]
		s := &seats[i]
		s.blocked = -1
		s.frozen = p.frozen != nil
		if p.standing != standIn || s.frozen {
			continue
		}
		want := connectors.Fold(p.want.UserName)
		have := ""
		if p.target != nil {
			have = connectors.Fold(p.target.UserName)
		}
		s.renames = p.target != nil && have != want
		if have == want {
			continue
		}
		u, taken := holder[want]
		if !taken {
			continue
		}
		if owner, owned := d.ownerOf[d.users[u].ID]; owned && int(owner) != i {
			s.blocked = int(owner)
		} else if !owned {
			d.freeze(p, NoteConflict, fmt.Sprintf("address reused: %s belongs to another account in Rootly that nobody here manages", p.want.UserName),
				"rename or remove that account in Rootly")
			d.stand(d.users[u].ID)
			s.frozen = true
		}
	}
	for _, i := range deadlocked(seats) {
		p := &d.people[i]
		o := p
		if seats[i].blocked >= 0 {
			o = &d.people[seats[i].blocked]
		}
		text := fmt.Sprintf("address reused: %s is wanted for %s and still held by %s", p.want.UserName, p.id, o.id)
		remedy := "give one of them another address; the account is freed when its owner has a new one"
		if p.standing != standIn || o == p {
			text = fmt.Sprintf("address reused: the userName %s is wanted for somebody else of the directory", p.ref().Name)
		} else if o.standing != standIn && p.target == nil && o.target != nil {
			p.candidate = o.target.ID
			remedy = "if both are one person with a new directory id: " + adoptCommand(p.want.UserName) + "; if not, give one of them another address"
		}
		d.freeze(p, NoteConflict, text, remedy)
	}
	for i := range seats {
		if seats[i].blocked >= 0 && !seats[i].frozen {
			d.people[i].after = d.people[seats[i].blocked].key()
		}
	}
}

// key is the key of the change that brings a wanted person with an account in line.
func (p *person) key() string {
	verb := VerbUpdate
	if p.target != nil && !p.target.Active {
		verb = VerbReactivate
	}
	return Change{Verb: verb, Object: p.ref()}.Key()
}

// holders maps the folded userName of every account to its index, or nil when nobody is about to get a new one.
func (d *desk) holders() map[string]int32 {
	moving := slices.ContainsFunc(d.people, func(p person) bool {
		return p.wanted() && (p.target == nil || connectors.Fold(p.target.UserName) != connectors.Fold(p.want.UserName))
	})
	if !moving {
		return nil
	}
	m := make(map[string]int32, len(d.users))
	for i := range d.users {
		m[connectors.Fold(d.users[i].UserName)] = int32(i)
	}
	return m
}

// A seat is one object in the game of names: who holds the name it wants, and whether it moves at all.
type seat struct {
	blocked int // index of the holder, -1 for none
	renames bool
	frozen  bool
}

// deadlocked returns, sorted, the seats that can never get their name, and the holders who keep it from them: the
// holder stays, is frozen, or waits in a circle. Chains that end in a free name are fine.
func deadlocked(seats []seat) []int {
	out := map[int]bool{}
	for again := true; again; {
		again = false
		for i := range seats {
			s := &seats[i]
			if s.blocked < 0 || s.frozen {
				continue
			}
			if h := &seats[s.blocked]; h.frozen || !h.renames || circles(seats, i) {
				for _, j := range []int{i, s.blocked} {
					if !out[j] {
						out[j], seats[j].frozen, again = true, true, true
					}
				}
			}
		}
	}
	return slices.SortedFunc(maps.Keys(out), cmp.Compare[int])
}

func circles(seats []seat, start int) bool {
	for i, steps := seats[start].blocked, 0; i >= 0 && steps <= len(seats); i, steps = seats[i].blocked, steps+1 {
		if i == start {
			return true
		}
	}
	return false
}
