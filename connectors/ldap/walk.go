package ldap

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/go-ldap/ldap/v3"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
)

// A node is what a DN leads to: a group with its own members, a person, or neither.
type node struct {
	group  bool
	person connectors.UserID
	people []connectors.UserID // members who were listed before
	inner  []name              // all other members
}

// A walker reads groups and the groups in them, each once.
type walker struct {
	c      *Connector
	l      *link
	p      profile
	ids    []connectors.UserID // of the listed people
	byDN   *index              // places in ids
	byUID  map[string][]connectors.UserID
	listed bool // ids are everybody; without it people are asked for one by one
	nodes  map[string]node
	holder map[string]name // of those that were walked to, a group that holds them

	outside int // members who are elsewhere or neither people nor groups
}

// newWalker walks among the listed people; nil means that none were listed.
func newWalker(c *Connector, l *link, p profile, people []person) (*walker, error) {
	w := &walker{c: c, l: l, p: p, byDN: newIndex(len(people)), byUID: map[string][]connectors.UserID{}, nodes: map[string]node{},
		holder: map[string]name{}, listed: people != nil}
	for _, u := range people {
		if !w.byDN.add(u.dn) {
			return nil, connectors.Damaged(vendor, "listing the people", "%s was listed twice", u.dn)
		}
		w.ids = append(w.ids, u.ID)
		if u.uid != "" {
			key := connectors.Fold(u.uid)
			w.byUID[key] = append(w.byUID[key], u.ID)
		}
	}
	return w, nil
}

// walk reads what the names lead to, level by level.
func (w *walker) walk(ctx context.Context, start []name) error {
	attributes := slices.Concat([]string{"objectClass", w.p.names.ID, memberUID}, w.p.members)
	for next := start; len(next) > 0; {
		dns := make([]string, len(next))
		for i, n := range next {
			dns[i] = n.text
		}
		entries, err := w.l.readAll(ctx, dns, attributes)
		if err != nil {
			return err
		}
		read := make([]node, len(next))
		for i, e := range entries {
			if read[i], err = w.read(ctx, next[i], e); err != nil {
				return err
			}
		}
		if err := w.checkAbsent(ctx, next, entries); err != nil {
			return err
		}
		var found []name
		for i := range read {
			w.sortOut(&read[i])
			w.nodes[next[i].key] = read[i]
			for _, m := range read[i].inner {
				w.holder[m.key] = next[i]
			}
			found = append(found, read[i].inner...)
		}
		slices.SortFunc(found, func(a, b name) int { return strings.Compare(a.key, b.key) })
		found = slices.CompactFunc(found, func(a, b name) bool { return a.key == b.key })
		next = slices.DeleteFunc(found, func(n name) bool {
			_, ok := w.nodes[n.key]
			return ok
		})
	}
	return nil
}

// checkAbsent reads the groups again that hold somebody who is not there. A group that names them still names nobody, or
// somebody the reader may not see. One that does not has changed in the meantime: what it held was renamed or moved, and the
// people in that would be missed.
func (w *walker) checkAbsent(ctx context.Context, asked []name, entries []*entry) error {
	absent := map[string][]name{} // by the DN of a group that holds them
	for i, e := range entries {
		if holder, ok := w.holder[asked[i].key]; ok && e == nil {
			absent[holder.text] = append(absent[holder.text], asked[i])
		}
	}
	holders := slices.Sorted(maps.Keys(absent))
	again, err := w.l.readAll(ctx, holders, w.p.members)
	if err != nil {
		return err
	}
	for i, e := range again {
		step := "reading the members of " + holders[i]
		named := map[string]bool{}
		if e != nil {
			texts, err := w.members(ctx, step, e)
			if err != nil {
				return err
			}
			for _, text := range texts {
				if m, err := memberName(text); err == nil {
					named[m.key] = true
				}
			}
		}
		for _, m := range absent[holders[i]] {
			if !named[m.key] {
				return fmt.Errorf("ldap: %s: %s: %w (run again)", step, m.text, errChanged)
			}
		}
	}
	return nil
}

// members are all values of the attributes that name members by DN.
func (w *walker) members(ctx context.Context, step string, e *entry) (all []string, err error) {
	for _, attribute := range w.p.members {
		values, err := w.values(ctx, step, e, attribute)
		if err != nil {
			return nil, err
		}
		all = append(all, values...)
	}
	return all, nil
}

// sortOut tells the listed people among a group's members from the rest.
func (w *walker) sortOut(n *node) {
	members := n.inner
	n.inner = nil
	for _, m := range members {
		place, ok, err := w.byDN.find(m.text)
		switch {
		case ok:
			n.people = append(n.people, w.ids[place])
			continue
		case err == nil:
			m, err = memberName(m.text)
		}
		if err != nil || !m.within(w.c.places.base) {
			w.outside++
			continue
		}
		n.inner = append(n.inner, m)
	}
}

// read tells what an entry is. Its members are not parsed yet.
func (w *walker) read(ctx context.Context, n name, e *entry) (node, error) {
	if e == nil {
		return node{}, nil
	}
	step := "reading the members of " + n.text
	var out node
	members, err := w.members(ctx, step, e)
	if err != nil {
		return node{}, err
	}
	uids, err := w.values(ctx, step, e, memberUID)
	if err != nil {
		return node{}, err
	}
	switch classes := classesOf(e); {
	case len(members)+len(uids) > 0 || slices.ContainsFunc(classes, func(c string) bool { return slices.Contains(groupClasses, c) }):
		out.group = true
		for _, m := range members {
			if m != "" { // RFC 4519 wants one member at least, and the empty DN stands for nobody
				out.inner = append(out.inner, name{text: strings.Clone(m)})
			}
		}
		for _, uid := range uids {
			id, err := w.person(ctx, n, uid)
			if err != nil {
				return node{}, err
			}
			if id != "" {
				out.people = append(out.people, id)
			}
		}
	case isPerson(classes):
		if id, err := w.p.id(step, e); err == nil { // whoever hides their id is not one of ours
			out.person = connectors.UserID(id)
		}
	}
	return out, nil
}

var groupClasses = []string{"group", "groupofnames", "groupofuniquenames", "groupofmembers", "posixgroup", "ipausergroup"}

func classesOf(e *entry) []string {
	var classes []string
	for _, c := range e.values("objectClass") {
		classes = append(classes, strings.ToLower(c))
	}
	return classes
}

// isPerson tells people from what else may be a member. It names the others, for a server may send no more than the class
// that the entry was made with, which can be the company's own.
func isPerson(classes []string) bool {
	other := []string{"computer", "device", "foreignsecurityprincipal", "organizationalrole", "organizationalunit"}
	return !slices.ContainsFunc(classes, func(c string) bool { return slices.Contains(other, c) })
}

// person finds who has a uid. Nobody is left out without a word in the log: a POSIX group may name people of before.
func (w *walker) person(ctx context.Context, group name, uid string) (connectors.UserID, error) {
	found := w.byUID[connectors.Fold(uid)]
	if !w.listed {
		for _, base := range w.c.places.users {
			s := search{step: "looking for uid " + uid, base: base.text, filter: "(&" + w.p.userFilter + "(" + uidAttribute + "=" + ldap.EscapeFilter(uid) + "))",
				attributes: []string{w.p.names.ID}}
			err := w.c.list(ctx, w.l, s, func(e *entry) error {
				id, err := w.p.id(s.step, e)
				found = append(found, connectors.UserID(id))
				return err
			})
			if err != nil {
				return "", err
			}
		}
	}
	switch len(found) {
	case 0:
		return "", nil
	case 1:
		return found[0], nil
	}
	return "", fmt.Errorf("ldap: group %s has the member %q, and that is the uid of %s (make it one person's, or narrow user_bases)", group.text, uid, idList(found))
}

func idList(ids []connectors.UserID) string {
	texts := make([]string, len(ids))
	for i, id := range ids {
		texts[i] = string(id)
	}
	return strings.Join(texts, " and ")
}

// values are all values of an attribute. Active Directory sends the first 1,500 and says so in the attribute's name;
// the others have to be asked for. Each part begins with the last value of the one before: somebody who leaves the group in
// the meantime moves somebody else over the border, where nobody would see them.
func (w *walker) values(ctx context.Context, step string, e *entry, attribute string) ([]string, error) {
	var out []string
	for from := 0; ; {
		part, end, err := rangeOf(e, attribute, from)
		if err != nil {
			return nil, connectors.Damaged(vendor, step, "%v", err)
		}
		if from > 0 {
			switch {
			case part[0] != out[from]:
				return nil, fmt.Errorf("ldap: %s: %w (run again)", step, errChanged)
			case len(part) == 1 && !end:
				return nil, connectors.Damaged(vendor, step, "the values of %s do not end", attribute)
			}
			part = part[1:]
		}
		out = append(out, part...)
		if end {
			return out, nil
		}
		from = len(out) - 1
		if e, err = w.l.read(ctx, e.dn, fmt.Sprintf("%s;range=%d-*", attribute, from)); err != nil {
			return nil, err
		}
		if e == nil {
			return nil, fmt.Errorf("ldap: %s: %w (run again)", step, errChanged)
		}
	}
}

// rangeOf reads the part of an attribute's values that begins at from, and whether it is the last.
func rangeOf(e *entry, attribute string, from int) (values []string, end bool, err error) {
	for _, a := range e.attributes {
		bare, option, ranged := strings.Cut(a.name, ";")
		if !strings.EqualFold(bare, attribute) {
			continue
		}
		if !ranged {
			if len(a.values) == 0 {
				continue // beside a range the whole attribute may come too, empty
			}
			return a.values, true, nil
		}
		bounds, ok := strings.CutPrefix(strings.ToLower(option), "range=")
		low, high, cut := strings.Cut(bounds, "-")
		if first, err := strconv.Atoi(low); !ok || !cut || err != nil || first != from {
			return nil, false, fmt.Errorf("values from %d on were asked for, and %s came", from, a.name)
		}
		if high == "*" && (len(a.values) > 0 || from == 0) {
			return a.values, true, nil
		}
		if last, err := strconv.Atoi(high); err != nil || len(a.values) == 0 || last-from+1 != len(a.values) {
			return nil, false, fmt.Errorf("%s came with %d values", a.name, len(a.values))
		}
		return a.values, false, nil
	}
	if from > 0 {
		return nil, false, fmt.Errorf("values from %d on were asked for, and none came", from)
	}
	return nil, true, nil
}

// expand collects the people of a group and of the groups in it. Groups that hold each other are each taken once.
func (w *walker) expand(start name) []connectors.UserID {
	var people []connectors.UserID
	seen := map[string]bool{start.key: true}
	for todo := []string{start.key}; len(todo) > 0; {
		n := w.nodes[todo[0]]
		todo = todo[1:]
		people = append(people, n.people...)
		if n.person != "" {
			people = append(people, n.person)
		}
		for _, m := range n.inner {
			if !seen[m.key] {
				seen[m.key] = true
				todo = append(todo, m.key)
			}
		}
	}
	slices.Sort(people)
	return slices.Compact(people)
}

// report says what was left out.
func (w *walker) report() {
	hidden := 0
	for _, n := range w.nodes {
		if !n.group && n.person == "" {
			hidden++
		}
	}
	if w.outside+hidden > 0 {
		w.c.log.Warn("groups have members that are left out: they are not below the base DN, do not exist, or are neither people nor groups",
			"elsewhere", w.outside, "unknown", hidden)
	}
}
