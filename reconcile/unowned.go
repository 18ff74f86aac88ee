package reconcile

// Unowned are the active accounts and the groups of Rootly that nobody here owns, as the plan saw them. It never touches
// them.
func (p Plan) Unowned() []Ref { return p.unowned }

func (d *desk) unowned() []Ref {
	var out []Ref
	for i := range d.users {
		u := &d.users[i]
		if _, owned := d.ownerOf[u.ID]; !owned && u.Active {
			out = append(out, Ref{Kind: KindUser, Target: u.ID, Name: u.UserName})
		}
	}
	ours := make(map[string]bool, len(d.groups))
	for i := range d.groups {
		if g := d.groups[i].target; g != nil {
			ours[g.ID] = true
		}
	}
	for i := range d.reading.groups {
		if g := &d.reading.groups[i]; !ours[g.ID] {
			out = append(out, Ref{Kind: KindGroup, Target: g.ID, Name: g.DisplayName})
		}
	}
	return out
}
