package reconcile

import (
	"fmt"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
)

// A standing is what the directory and the rules make of one person.
type standing string

const (
	standIn       standing = "in scope" // wanted active
	standOut      standing = "out of scope"
	standDisabled standing = "disabled" // in scope but for the directory's account state
	standStaged   standing = "staged"   // not activated yet: left as is
	standExcluded standing = "excluded" // scope.exclude: none of our business
	standFailed   standing = "failed"   // a rule could not be evaluated or the result cannot be written
	standGone     standing = "gone"     // linked, and no longer read from the directory
)

// A verdict is a standing with what decided it.
type verdict struct {
	standing standing
	inScope  bool   // the scope rules hold, whatever the account state says
	text     string // the clause, in the operator's or the vendor's words
	remedy   string // for standFailed
	want     UserValues
}

// A judge decides on people with one snapshot's scope groups at hand. One evaluator serves every verb.
type judge struct {
	rules   *Rules
	members map[connectors.UserID]struct{} // of the scope's groups, in mode groups
}

func newJudge(r *Rules, s connectors.Snapshot) *judge {
	j := &judge{rules: r}
	if r.mode == connectors.ScopeGroups {
		j.members = map[connectors.UserID]struct{}{}
		for _, g := range s.Groups {
			if !g.Scope {
				continue
			}
			for _, m := range g.Members {
				j.members[m] = struct{}{}
			}
		}
	}
	return j
}

// judge maps and scopes one person. An expression that fails is never "out of scope": it makes the standing standFailed.
func (j *judge) judge(u *connectors.User) verdict {
	r := j.rules
	var p *Person
	if r.where != nil || len(r.mapping) > 0 {
		p = personOf(u)
	}
	want, mapErr := r.mapUser(u, p)
	v := verdict{want: want}

	if pat, ok := r.exclude.Match(string(u.ID), want.UserName, u.UserName); ok {
		v.standing, v.text = standExcluded, fmt.Sprintf("scope.exclude has %q", pat)
		return v
	}
	var err error
	if v.inScope, v.text, err = j.inScope(u, p); err != nil {
		v.standing, v.text, v.remedy = standFailed, err.Error(), "mend the expression; until then this person stays as they are"
		return v
	}
	switch {
	case u.Status == connectors.StatusDisabled:
		v.standing, v.text = standDisabled, u.StatusDetail
	case !v.inScope:
		v.standing = standOut
	case u.Status == connectors.StatusStaged:
		v.standing, v.text = standStaged, u.StatusDetail
	case mapErr != nil:
		v.standing, v.text = standFailed, mapErr.Error()
		v.remedy = "mend the attribute in the directory, or set map." + AttrUserName + "; until then this person stays as they are"
	default:
		v.standing = standIn
		v.want.Active = true
	}
	return v
}

// inScope applies the scope mode and then scope.where, and names the clause that decided.
func (j *judge) inScope(u *connectors.User, p *Person) (bool, string, error) {
	switch j.rules.mode {
	case connectors.ScopeAssigned:
		if !u.Assigned {
			return false, "not assigned to the application", nil
		}
	case connectors.ScopeGroups:
		if _, ok := j.members[u.ID]; !ok {
			return false, "in none of the scope's groups", nil
		}
	}
	if j.rules.where == nil {
		return true, "scope.mode " + string(j.rules.mode), nil
	}
	ok, err := j.rules.where.bool(p)
	switch {
	case err != nil:
		return false, "", fmt.Errorf("scope.where cannot be evaluated: %w", err)
	case !ok:
		return false, "scope.where is false", nil
	}
	return true, "scope.where is true", nil
}

// A Preview is what the rules make of one person, without looking at Rootly.
type Preview struct {
	InScope bool   // would be active in Rootly
	Text    string // what decided
	Values  UserValues
	Err     error // a rule that failed, or a value Rootly would refuse
}

// Preview judges one person of a snapshot.
func (r *Rules) Preview(u connectors.User, s connectors.Snapshot) Preview {
	v := newJudge(r, s).judge(&u)
	p := Preview{InScope: v.standing == standIn, Text: string(v.standing) + ": " + v.text, Values: v.want}
	if v.standing == standFailed {
		p.Err = fmt.Errorf("%s", v.text)
	}
	var bad []string
	if p.Values.Phones, bad = r.phones.normalize(v.want.Phones, nil); len(bad) > 0 && p.Err == nil {
		p.Err = fmt.Errorf("%q is no telephone number in region %s", bad[0], r.phones.region)
	}
	return p
}
