package reconcile

import (
	"errors"
	"slices"

	"github.com/rootly-idp-sync/rootly-idp-sync/scimclient"
)

// showsNoPhones tells whether a server shows nobody's telephone numbers: either there are none, or it keeps them to itself.
func showsNoPhones(users []scimclient.User) bool {
	return !slices.ContainsFunc(users, func(u scimclient.User) bool { return len(u.Phones) > 0 })
}

// valuesOf is what Rootly holds of a person. Where it shows no numbers, what was written last counts as what is there.
func (d *desk) valuesOf(p *person) UserValues {
	have := valuesOf(p.target)
	if d.unseen && p.link != nil && p.link.User != nil {
		have.Phones = slices.Clone(p.link.User.Phones)
	}
	return have
}

// unseen drops the complaint that an account does not show its numbers, when no account does.
func (p Plan) unseen(u scimclient.User, err error) error {
	lost, ok := errors.AsType[*scimclient.NotKeptError](err)
	if ok && p.phoneless && len(u.Phones) == 0 && slices.Equal(lost.Attributes, []string{"phoneNumbers"}) {
		return nil
	}
	return err
}

// unseenPhones says once, for everybody, that numbers cannot be compared.
func (d *desk) unseenPhones() []Note {
	n := 0
	for i := range d.people {
		if p := &d.people[i]; p.target != nil && p.link != nil && p.link.User != nil && len(p.link.User.Phones) > 0 {
			n++
		}
	}
	if !d.unseen || n == 0 || !d.managesPhone("mobile") && !d.managesPhone("work") {
		return nil
	}
	return []Note{{Kind: NoteLeft, Object: Ref{Kind: KindUser, Name: "phoneNumbers"},
		Text: "Rootly shows nobody's telephone numbers: of " + count(n, "person", "people") + " what was written last counts as what is there"}}
}
