package file

import (
	"slices"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
)

// A membership is one row of a groups file. Member "" says that the group exists.
type membership struct {
	id     connectors.GroupID
	name   string
	member string // an id, a user name or an e-mail address; for a nested group its id
	nested bool
	line   int
}

// A groupFormat is one way to write memberships as a table, with columns as in a format.
type groupFormat struct {
	id     []string
	name   []string
	member []string
	kind   []string // says whether the member is a person
	fold   bool     // ids are e-mail addresses
}

// groupFormats are Google's members export, Okta's group membership report and our own CSV.
var groupFormats = []groupFormat{
	{id: []string{"Group Email"}, name: []string{"Group name", "Group Email"}, member: []string{"Member Email"}, kind: []string{"Member Type"}, fold: true},
	{id: []string{"Group ID", "Group name"}, name: []string{"Group name"}, member: []string{"User Id", "userName", "login", "Okta username", "email", "Primary email"}},
	{id: []string{"id", "name"}, name: []string{"name"}, member: []string{"member"}},
}

// membersFormat is that of a file with one group's people and without its name.
var membersFormat = groupFormat{
	member: []string{"id", "objectId", "User Id", "userPrincipalName", "userName", "login", "Member Email", "member", "email", "mail"},
	kind:   []string{"Member Type", "objectType"},
}

// parseGroups reads memberships of many groups.
func parseGroups(text []byte, log *problems) []membership {
	t := parseTable(text, log)
	if t == nil {
		return nil
	}
	for _, f := range groupFormats {
		if t.column(f.name...) >= 0 && t.column(f.member...) >= 0 {
			return f.rows(t, log)
		}
	}
	log.add(t.line, "columns \"name\" and \"member\" are missing (or, of an export, \"Group name\" and Username, or \"Group Email\" and \"Member Email\"); found %s. "+
		"One group's members without its name, as Entra downloads them, go into a directory: one file per group, named after it", quoted(t.header))
	return nil
}

// parseMembers reads the people of the group with this name.
func parseMembers(text []byte, name string, log *problems) []membership {
	t := parseTable(text, log)
	if t == nil {
		return nil
	}
	if t.column(membersFormat.member...) < 0 {
		log.add(t.line, "column \"id\" or \"userPrincipalName\" is missing; found %s", quoted(t.header))
		return nil
	}
	rows := membersFormat.rows(t, log)
	for i := range rows {
		rows[i].id, rows[i].name = connectors.GroupID(name), name
		if rows[i].member == "" {
			log.add(rows[i].line, "no member")
		}
	}
	return rows
}

func (f groupFormat) rows(t *table, log *problems) []membership {
	id, name, member, kind := t.column(f.id...), t.column(f.name...), t.column(f.member...), t.column(f.kind...)
	list := make([]membership, 0, len(t.rows))
	for _, r := range t.rows {
		m := membership{id: connectors.GroupID(r.cell(id)), name: r.cell(name), member: r.cell(member), line: r.line}
		if f.fold {
			m.id, m.member = connectors.GroupID(connectors.Fold(string(m.id))), connectors.Fold(m.member)
			if name == id {
				m.name = string(m.id)
			}
		}
		if name >= 0 && (m.name == "" || m.id == "") {
			log.add(r.line, "no group name or id")
		}
		switch k := key(r.cell(kind)); k {
		case "", "user", "member", "guest":
		case "group":
			m.nested = true
		default:
			log.add(r.line, "member %q is a %s, not a person (remove the row)", m.member, r.cell(kind))
		}
		list = append(list, m)
	}
	return list
}

// groupsColumn makes memberships of the groups column of our own CSV; the name is the id.
func groupsColumn(people []person, log *problems) []membership {
	var rows []membership
	spelling := map[string]string{}
	for _, p := range people {
		for _, name := range p.groups {
			folded := connectors.Fold(name)
			if first, ok := spelling[folded]; ok && first != name {
				log.add(p.line, "group %q is written %q elsewhere", name, first)
				continue
			}
			spelling[folded] = name
			rows = append(rows, membership{id: connectors.GroupID(name), name: name, member: string(p.user.ID), line: p.line})
		}
	}
	return rows
}

// assemble makes groups of memberships. Nested groups are expanded by walking their members; a cycle ends there.
func assemble(people []person, rows []membership, log *problems) []connectors.Group {
	who := newIndex(people)
	groups := map[connectors.GroupID]*connectors.Group{}
	first := map[connectors.GroupID]int{}
	var order []connectors.GroupID
	for _, r := range rows {
		g, ok := groups[r.id]
		if !ok {
			g = &connectors.Group{ID: r.id, Name: r.name}
			groups[r.id], first[r.id] = g, r.line
			order = append(order, r.id)
		}
		if g.Name != r.name {
			log.add(r.line, "group %q is called %q here and %q at line %d", r.id, r.name, g.Name, first[r.id])
		}
		if r.member == "" || r.nested {
			continue
		}
		if id, ok := who.find(r, log); ok {
			g.Members = append(g.Members, id)
		}
	}
	nested := map[connectors.GroupID][]connectors.GroupID{}
	for _, r := range rows {
		if !r.nested {
			continue
		}
		child := connectors.GroupID(r.member)
		if groups[child] == nil {
			log.add(r.line, "member %q is a group whose members are not in the files (export it too, or remove the row)", r.member)
			continue
		}
		nested[r.id] = append(nested[r.id], child)
	}
	expanded := make([]connectors.Group, 0, len(order))
	for _, id := range order {
		g := *groups[id]
		g.Members = slices.Clone(g.Members)
		seen := map[connectors.GroupID]bool{id: true}
		for queue := slices.Clone(nested[id]); len(queue) > 0; {
			next := queue[0]
			queue = queue[1:]
			if seen[next] {
				continue
			}
			seen[next] = true
			g.Members = append(g.Members, groups[next].Members...)
			queue = append(queue, nested[next]...)
		}
		slices.Sort(g.Members)
		g.Members = slices.Compact(g.Members)
		expanded = append(expanded, g)
	}
	return expanded
}

// An index finds people by what a membership calls them.
type index struct {
	people []person
	byID   map[connectors.UserID]int
	byName map[string][]int // folded user names and e-mail addresses
}

func newIndex(people []person) index {
	x := index{people: people, byID: make(map[connectors.UserID]int, len(people)), byName: make(map[string][]int, len(people))}
	for i, p := range people {
		x.byID[p.user.ID] = i
		name, mail := connectors.Fold(p.user.UserName), connectors.Fold(p.user.Email)
		x.byName[name] = append(x.byName[name], i)
		if mail != "" && mail != name {
			x.byName[mail] = append(x.byName[mail], i)
		}
	}
	return x
}

// find notes a member that is nobody, or more than one person.
func (x index) find(r membership, log *problems) (connectors.UserID, bool) {
	found := x.byName[connectors.Fold(r.member)]
	if i, ok := x.byID[connectors.UserID(r.member)]; ok && !slices.Contains(found, i) {
		found = append(slices.Clone(found), i)
	}
	switch len(found) {
	case 0:
		log.add(r.line, "member %q of group %q is nobody in the users file (neither id, user name nor e-mail address)", r.member, r.name)
		return "", false
	case 1:
		return x.people[found[0]].user.ID, true
	}
	a, b := x.people[found[0]], x.people[found[1]]
	log.add(r.line, "member %q of group %q may be the people of lines %d and %d (write the id)", r.member, r.name, a.line, b.line)
	return "", false
}
