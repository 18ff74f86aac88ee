package app

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/spf13/cobra"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
	"github.com/rootly-idp-sync/rootly-idp-sync/reconcile"
)

func (a *app) newSources() *cobra.Command {
	var saveTo string
	cmd := &cobra.Command{
		Use:   "sources",
		Short: "Look at what the directory holds",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	inspect := &cobra.Command{
		Use:   "inspect [who]",
		Short: "Count people by status and scope, or show one as read and as mapped",
		Long: `Reads the directory only. Without an argument it counts the people by status and by what the scope
makes of them, and lists the groups that would be pushed. With a userName, e-mail or directory id it
shows that person as the directory gave them, what the scope says, and the values for Rootly.

--save records the answer for plan --snapshot, readable by you only: it holds what the directory says of
everybody. A name that ends in .gz is compressed.
` + exitHelp + `0 shown; 1 failed, or there is nobody of that name.`,
		Example: `  rootly-idp-sync sources inspect
  rootly-idp-sync sources inspect anna@acme.com
  rootly-idp-sync sources inspect --save people.json.gz`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			p, err := a.inspect(cmd.Context(), args, saveTo)
			if err != nil {
				return err
			}
			return a.show(p, reconcile.TextOptions{})
		},
	}
	inspect.Flags().StringVar(&saveTo, "save", "", "record the directory's answer in this file")
	cmd.AddCommand(inspect)
	return cmd
}

func (a *app) inspect(ctx context.Context, who []string, saveTo string) (page, error) {
	cfg, rules, err := a.load()
	if err != nil {
		return page{}, err
	}
	source, err := a.openSource(cfg, rules)
	if err != nil {
		return page{}, err
	}
	snap, err := source.Fetch(ctx)
	if err != nil {
		return page{}, fmt.Errorf("read %s: %w", source.Tenant(), err)
	}
	if saveTo != "" {
		r := reconcile.Recorded{Name: source.Name(), Tenant: source.Tenant(), At: a.now(), Query: rules.Query(), Snapshot: snap}
		if err := save(saveTo, func(w io.Writer) error { return reconcile.SaveSnapshot(w, r) }); err != nil {
			return page{}, err
		}
		a.note("The directory's answer is in %s. Next: rootly-idp-sync plan --snapshot %s", saveTo, saveTo)
	}
	if len(who) == 0 {
		return overview(source.Tenant(), rules, snap)
	}
	return portrait(source.Tenant(), rules, snap, who[0])
}

// A survey is sources inspect of everybody.
type survey struct {
	Source string         `json:"source"`
	People int            `json:"people"`
	Status map[string]int `json:"status"`
	Scope  map[string]int `json:"scope"`
	Push   []pushed       `json:"push"`
}

type pushed struct {
	ID      connectors.GroupID `json:"id"`
	Name    string             `json:"name"`
	Members int                `json:"members"`
}

func overview(tenant string, rules *reconcile.Rules, snap connectors.Snapshot) (page, error) {
	s := survey{Source: tenant, People: len(snap.Users), Status: map[string]int{}, Scope: map[string]int{}, Push: []pushed{}}
	for _, u := range snap.Users {
		status := string(u.Status)
		if u.StatusDetail != "" {
			status += " (" + u.StatusDetail + ")"
		}
		s.Status[status]++
		s.Scope[verdict(rules.Preview(u, snap))]++
	}
	push := rules.Query().Push
	groups := pageSection{title: "Groups that would be pushed", header: []string{"name", "members", "id"}}
	for _, g := range snap.Groups {
		if _, ok := push.Match(string(g.ID), g.Name, g.Email); ok {
			s.Push = append(s.Push, pushed{g.ID, g.Name, len(g.Members)})
		}
	}
	slices.SortFunc(s.Push, func(x, y pushed) int { return cmp.Compare(x.Name, y.Name) })
	for _, g := range s.Push {
		groups.rows = append(groups.rows, []string{g.Name, fmt.Sprint(g.Members), string(g.ID)})
	}
	if len(s.Push) == 0 {
		groups.lines = []string{"none (groups.push chooses them)"}
	}
	return page{
		title: fmt.Sprintf("%s: %s", tenant, plural(s.People, "person", "people")),
		sections: []pageSection{
			{title: "By status in the directory", rows: counted(s.Status)},
			{title: "By what the scope makes of them", rows: counted(s.Scope)},
			groups,
		},
		data: s,
	}, nil
}

func verdict(p reconcile.Preview) string {
	switch {
	case p.Err != nil:
		return "cannot be mapped"
	case p.InScope:
		return "active in Rootly: " + p.Text
	}
	return "not active in Rootly: " + p.Text
}

// counted sorts the largest first.
func counted(m map[string]int) [][]string {
	keys := slices.SortedFunc(maps.Keys(m), func(x, y string) int { return cmp.Or(cmp.Compare(m[y], m[x]), cmp.Compare(x, y)) })
	rows := make([][]string, len(keys))
	for i, k := range keys {
		rows[i] = []string{fmt.Sprint(m[k]), k}
	}
	return rows
}

// A profile is sources inspect of one person.
type profile struct {
	Source  string                `json:"source"`
	Read    map[string]string     `json:"read"`
	Groups  []string              `json:"groups"`
	InScope bool                  `json:"inScope"`
	Because string                `json:"because"`
	Mapped  *reconcile.UserValues `json:"mapped,omitempty"`
	Error   string                `json:"error,omitempty"`
}

func portrait(tenant string, rules *reconcile.Rules, snap connectors.Snapshot, who string) (page, error) {
	u, err := find(snap, who)
	if err != nil {
		return page{}, fmt.Errorf("%s: %w", tenant, err)
	}
	preview := rules.Preview(u, snap)
	s := profile{Source: tenant, Read: map[string]string{}, Groups: []string{}, InScope: preview.InScope, Because: preview.Text}
	read := pageSection{title: "As the directory has them"}
	for _, f := range attributes(u) {
		if f[1] != "" {
			s.Read[f[0]] = f[1]
			read.rows = append(read.rows, []string{f[0], f[1]})
		}
	}
	for _, g := range snap.Groups {
		if slices.Contains(g.Members, u.ID) {
			s.Groups = append(s.Groups, g.Name)
			read.lines = append(read.lines, "member of "+g.Name)
		}
	}
	scope := pageSection{title: "Scope", lines: []string{verdict(preview)}}
	mapped := pageSection{title: "As Rootly would have them"}
	if preview.Err != nil {
		s.Error = preview.Err.Error()
		mapped.lines = []string{s.Error}
	} else {
		s.Mapped = &preview.Values
		for _, f := range values(preview.Values) {
			if f[1] != "" {
				mapped.rows = append(mapped.rows, []string{f[0], f[1]})
			}
		}
	}
	return page{title: u.UserName + " (" + string(u.ID) + ")", sections: []pageSection{read, scope, mapped}, data: s}, nil
}

// find looks for one person by id, then by name and address. Two of one name are told by their ids.
func find(snap connectors.Snapshot, who string) (connectors.User, error) {
	var found []connectors.User
	for _, u := range snap.Users {
		if string(u.ID) == who {
			return u, nil
		}
		if name := connectors.Fold(who); connectors.Fold(u.UserName) == name || connectors.Fold(u.Email) == name {
			found = append(found, u)
		}
	}
	switch len(found) {
	case 0:
		return connectors.User{}, fmt.Errorf("nobody with the userName, e-mail or id %q was read (the scope mode decides who is read at all)", who)
	case 1:
		return found[0], nil
	}
	return connectors.User{}, fmt.Errorf("%d people have the userName or e-mail %q: give an id, such as %s or %s", len(found), who, found[0].ID, found[1].ID)
}

func attributes(u connectors.User) [][2]string {
	out := [][2]string{
		{"id", string(u.ID)}, {"userName", u.UserName}, {"email", u.Email}, {"givenName", u.GivenName}, {"familyName", u.FamilyName},
		{"displayName", u.DisplayName}, {"nickname", u.Nickname}, {"department", u.Department}, {"title", u.Title}, {"company", u.Company},
		{"employeeNumber", u.EmployeeNumber}, {"employeeType", u.EmployeeType}, {"status", string(u.Status)}, {"statusDetail", u.StatusDetail},
	}
	for _, p := range u.Phones {
		out = append(out, [2]string{"phone." + p.Type, p.Value})
	}
	for _, k := range slices.Sorted(maps.Keys(u.Attrs)) {
		out = append(out, [2]string{`attr("` + k + `")`, u.Attrs[k]})
	}
	return out
}

func values(v reconcile.UserValues) [][2]string {
	out := [][2]string{
		{"userName", v.UserName}, {"externalId", v.ExternalID}, {"givenName", v.GivenName}, {"familyName", v.FamilyName},
		{"displayName", v.DisplayName}, {"email", v.Email}, {"active", fmt.Sprint(v.Active)},
	}
	for _, p := range v.Phones {
		out = append(out, [2]string{"phone." + p.Type, p.Value})
	}
	return out
}
