package okta

import (
	"errors"
	"fmt"
	"slices"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
)

// parseQuery checks what is asked for against what Okta knows.
func parseQuery(o Options) ([]connectors.GroupRef, error) {
	var errs []error
	q := o.Query
	switch q.Mode {
	case connectors.ScopeAssigned:
		if o.AppID == "" {
			errs = append(errs, errors.New("okta: mode assigned needs the app id ("+whereAppID+")"))
		}
	case connectors.ScopeGroups:
		if len(q.Groups) == 0 {
			errs = append(errs, errors.New("okta: mode groups needs at least one group, by name or as id:00g…"))
		}
	case connectors.ScopeAll:
	default:
		errs = append(errs, fmt.Errorf("okta: scope mode %q is not one of assigned, groups, all", q.Mode))
	}
	if q.Mode != connectors.ScopeGroups && len(q.Groups) > 0 {
		errs = append(errs, fmt.Errorf("okta: scope groups are listed, but the mode is %q, not groups", q.Mode))
	}
	if q.Mode != connectors.ScopeAssigned && slices.Contains(q.Attributes, AppUserName) {
		errs = append(errs, fmt.Errorf("okta: attribute %s exists in mode assigned only", AppUserName))
	}
	refs, err := connectors.ParseGroupRefs("okta", q.Groups)
	errs = append(errs, err)
	return refs, errors.Join(errs...)
}

// byIDOnly tells whether all wanted groups are named by id, so that the org's groups need not be listed.
func (c *Connector) byIDOnly() bool {
	return !slices.ContainsFunc(c.scope, func(r connectors.GroupRef) bool { return r.ID == "" }) &&
		!slices.ContainsFunc(c.query.Push, func(p connectors.Pattern) bool { return p.ID() == "" })
}

// pushed tells whether a group is to be pushed. The built-in group Everyone has to be named exactly: a star over it
// would make one group of the whole company.
func (c *Connector) pushed(id, name, kind string) bool {
	return slices.ContainsFunc(c.query.Push, func(p connectors.Pattern) bool {
		return (kind != "BUILT_IN" || p.Exact()) && p.Match(id, name)
	})
}
