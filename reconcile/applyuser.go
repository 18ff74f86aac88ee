package reconcile

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
	"github.com/rootly-idp-sync/rootly-idp-sync/scimclient"
)

// user sends one change of a person and records what came of it.
func (r *run) user(ctx context.Context, c Change) {
	intent, ok := r.intend(ctx, c)
	if !ok {
		return
	}
	start := r.now()
	u, err := r.sendUser(ctx, c)
	if c.Verb == VerbReactivate && scimclient.Gone(err) {
		r.recreate(ctx, c, Settled{Intent: intent, Outcome: OutcomeSkipped, Error: err.Error(), Took: r.now().Sub(start)})
		return
	}
	if c.Verb == VerbUpdate && r.plan.woken[c.Object.Source] && !u.Active {
		asleep := *c.record // the listing lagged: the account is as we left it
		asleep.Active = false
		c.record = &asleep
	}
	err = r.plan.unseen(u, err)
	s := Settled{Intent: intent, Outcome: r.classify(ctx, err), Took: r.now().Sub(start)}
	switch {
	case c.Verb == VerbDelete && s.Outcome == OutcomeDone:
		s.Unlink = &c.Object
	case s.Outcome == OutcomeDone, s.Outcome == OutcomeNotKept && u.ID != "":
		l := r.linkOf(c, u.ID, nil)
		if s.Outcome == OutcomeNotKept {
			l.Stuck = stuckOf(l.Stuck, c.Fields, err, r.plan.stuck[c.Object.key()])
		}
		s.Link = &l
		r.mu.Lock()
		r.targets[c.Object.Source] = u.ID
		r.mu.Unlock()
	}
	if nk, ok := errors.AsType[*scimclient.NotKeptError](err); ok && slices.Contains(nk.Attributes, "active") {
		// Still active, or still not: the ledger must not believe otherwise, and a later run tries again.
		s.Outcome, s.Link = OutcomeFailed, nil
	}
	r.settle(ctx, c, s, err)
}

func (r *run) sendUser(ctx context.Context, c Change) (scimclient.User, error) {
	switch c.Verb {
	case VerbCreate:
		if err := r.stillGone(ctx, c.Object); err != nil {
			return scimclient.User{}, err
		}
		u, err := r.Target.CreateUser(ctx, newUser(*c.user))
		if e, ok := errors.AsType[*scimclient.Error](err); ok && e.Status == http.StatusConflict {
			return r.adopt(ctx, c, err)
		}
		return u, err
	case VerbDelete:
		return scimclient.User{}, r.delete(ctx, c.Object)
	}
	return r.Target.UpdateUser(ctx, c.Object.Target, editOf(c))
}

// recreate makes an account anew that was to come back and turned out to be gone for good, which cannot be told before: some
// servers hide deactivated accounts. The creation is a change of its own in the record, and its result is that of the
// change that was planned. reactivation is the end of that one.
func (r *run) recreate(ctx context.Context, c Change, reactivation Settled) {
	planned := c.Key()
	c.planned = c.Verb
	if err := r.Journal.Settle(ctx, reactivation); err != nil {
		r.halt(fmt.Errorf("record an outcome: %w", err))
		return
	}
	c.Verb, c.Detail, c.Object.Target = VerbCreate, "the account that we had deactivated was deleted in Rootly", ""
	c.Fields = creation(*c.user, c.Why)
	r.mu.Lock()
	r.targets[c.Object.Source] = "" // nobody can be put into a group by the old id
	r.mu.Unlock()
	r.user(ctx, c)
	r.mu.Lock()
	defer r.mu.Unlock()
	if res, ok := r.results[c.Key()]; ok {
		r.results[planned] = res
	}
}

// stillGone refuses to make an object anew that a listing lacked and that is there all the same: the server that listed
// was behind.
func (r *run) stillGone(ctx context.Context, o Ref) (err error) {
	switch {
	case o.Target == "":
		return nil
	case o.Kind == KindUser:
		_, err = r.Target.User(ctx, o.Target)
	default:
		_, err = r.Target.Group(ctx, o.Target)
	}
	switch {
	case scimclient.Gone(err):
		return nil
	case err != nil:
		return err
	}
	return &overtakenError{"not created: " + o.Name + " was missing when Rootly was read, and is there now; the next run decides"}
}

// adopt takes over the account that stood in the way of a create, under the rules of Match: nobody else is linked to it,
// it carries no foreign externalId, and it is active.
func (r *run) adopt(ctx context.Context, c Change, refusal error) (scimclient.User, error) {
	found, err := r.Target.FindUsers(ctx, c.user.UserName)
	if err != nil {
		return scimclient.User{}, fmt.Errorf("%w; looking for the account in the way: %w", refusal, err)
	}
	if len(found) == 0 && c.Object.Target != "" {
		return scimclient.User{}, fmt.Errorf("%w; the account we manage still exists and is hidden, as deactivated ones are on some servers: "+
			"it was deactivated by hand, and is left so until somebody reactivates it in Rootly", refusal)
	}
	if former, ok := r.plan.former[connectors.Fold(c.user.UserName)]; ok && len(found) == 0 && former.Source != c.Object.Source {
		return scimclient.User{}, fmt.Errorf("%w; the account %s, which this tool deactivated when %s of the directory left, has that userName and is hidden, "+
			"as deactivated ones are on some servers: give it another userName in Rootly, or this person another address in the directory", refusal, former.Target, former.Source)
	}
	if len(found) != 1 {
		return scimclient.User{}, fmt.Errorf("%w; %d accounts of that userName can be seen", refusal, len(found))
	}
	u := found[0]
	owner, owned := r.plan.owned[u.ID]
	switch {
	case owned && owner != c.Object.Source:
		return scimclient.User{}, fmt.Errorf("%w; the account in the way belongs to %s of the directory", refusal, owner)
	case u.ExternalID != "" && u.ExternalID != c.user.ExternalID:
		return scimclient.User{}, fmt.Errorf("%w; the account in the way carries the externalId %q of somebody else", refusal, u.ExternalID)
	case !u.Active:
		return scimclient.User{}, fmt.Errorf("%w; the account in the way is deactivated, by whom we do not know", refusal)
	}
	have := valuesOf(&u)
	for _, p := range have.Phones { // numbers that nobody here manages stay
		if phoneOf(c.user.Phones, p.Type) == "" {
			c.user.Phones = append(c.user.Phones, p)
		}
	}
	edit := scimclient.UserEdit{}
	for _, f := range c.Fields {
		setField(&edit, f.Name, have, *c.user, u.Emails)
	}
	return r.Target.UpdateUser(ctx, u.ID, edit)
}

// newUser is the resource that creates a person: nothing that is empty.
func newUser(v UserValues) scimclient.User {
	u := scimclient.User{
		UserName: v.UserName, ExternalID: v.ExternalID, GivenName: v.GivenName, FamilyName: v.FamilyName,
		DisplayName: v.DisplayName, Phones: scimPhones(v.Phones), Active: true,
	}
	if v.Email != "" {
		u.Emails = []scimclient.Email{{Value: v.Email, Type: "work", Primary: true}}
	}
	return u
}

// editOf is what an update of an account has to say: the fields that differ, name parts and lists whole.
func editOf(c Change) scimclient.UserEdit {
	var e scimclient.UserEdit
	for _, f := range c.Fields {
		setField(&e, f.Name, UserValues{}, *c.user, c.emails)
	}
	return e
}

// setField puts one attribute of want into an edit. have spares those that are right already; emails is the list that
// the account has, of which one entry is ours.
func setField(e *scimclient.UserEdit, name string, have, want UserValues, emails []scimclient.Email) {
	switch name {
	case "userName":
		if !sameFolded(have.UserName, want.UserName) {
			e.UserName = &want.UserName
		}
	case "externalId":
		if have.ExternalID != want.ExternalID {
			e.ExternalID = &want.ExternalID
		}
	case "name.givenName", "name.familyName":
		e.GivenName, e.FamilyName = &want.GivenName, &want.FamilyName
	case "displayName":
		if have.DisplayName != want.DisplayName {
			e.DisplayName = &want.DisplayName
		}
	case "emails":
		es := replaceWorkEmail(emails, want.Email)
		e.Emails = &es
	case "active":
		e.Active = &want.Active
	default: // phoneNumbers.<type>: the list is replaced as a whole
		ps := scimPhones(want.Phones)
		e.Phones = &ps
	}
}

// replaceWorkEmail gives the entry that we manage another address, or takes it out for "". The others stay.
func replaceWorkEmail(es []scimclient.Email, address string) []scimclient.Email {
	out := slices.Clone(es)
	i := workEmailAt(out)
	switch {
	case i >= 0 && address == "":
		return slices.Delete(out, i, i+1)
	case i >= 0:
		out[i].Value = address
	case address != "":
		primary := !slices.ContainsFunc(out, func(e scimclient.Email) bool { return e.Primary })
		out = append(out, scimclient.Email{Value: address, Type: "work", Primary: primary})
	}
	return out
}

func scimPhones(ps []connectors.Phone) []scimclient.Phone {
	var out []scimclient.Phone
	for _, p := range ps {
		out = append(out, scimclient.Phone{Value: p.Value, Type: p.Type})
	}
	return out
}

// stuckOf adds one more try to out for every field that the server did not keep.
func stuckOf(out map[string]Stuck, fields []Field, err error, before map[string]Stuck) map[string]Stuck {
	nk, ok := errors.AsType[*scimclient.NotKeptError](err)
	if !ok {
		return out
	}
	if out == nil {
		out = map[string]Stuck{}
	}
	for _, f := range fields {
		if !slices.ContainsFunc(nk.Attributes, func(a string) bool { return sameAttribute(a, f.Name) }) {
			continue
		}
		s := Stuck{Value: f.To, Tries: 1}
		if b := before[f.Name]; b.Value == f.To {
			s.Tries = b.Tries + 1
		}
		out[f.Name] = s
	}
	return out
}

// sameAttribute matches a SCIM attribute name with a field of ours: "name" is both name parts, "phoneNumbers" each type.
func sameAttribute(scim, field string) bool {
	if scim == field {
		return true
	}
	return len(field) > len(scim) && field[:len(scim)] == scim && field[len(scim)] == '.'
}
