//go:build !noentra

package entra

import (
	"errors"
	"fmt"
	"slices"

	"github.com/google/uuid"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
)

// canonical is a GUID in the form that Graph answers, lower case with hyphens, in which ids are compared.
func canonical(id string) (string, error) {
	parsed, err := uuid.Parse(id)
	return parsed.String(), err
}

// parseQuery checks what is asked for against what Entra knows, and turns the ids of the app and the scope into the canonical
// form. A pattern keeps what was written, for it is matched outside of here too: its id has to be canonical already.
func parseQuery(o *Options) ([]connectors.GroupRef, error) {
	var errs []error
	q := o.Query
	switch q.Mode {
	case connectors.ScopeAssigned:
		id, err := canonical(o.AppID)
		if err != nil {
			errs = append(errs, fmt.Errorf("entra: mode assigned needs the client id of the enterprise application, and %q is not one (%s)", o.AppID, whereApp))
		}
		o.AppID = id
	case connectors.ScopeGroups:
		if len(q.Groups) == 0 {
			errs = append(errs, errors.New("entra: mode groups needs at least one group, by name or as id:…"))
		}
	case connectors.ScopeAll:
	default:
		errs = append(errs, fmt.Errorf("entra: scope mode %q is not one of assigned, groups, all", q.Mode))
	}
	if q.Mode != connectors.ScopeGroups && len(q.Groups) > 0 {
		errs = append(errs, fmt.Errorf("entra: scope groups are listed, but the mode is %q, not groups", q.Mode))
	}
	refs, err := connectors.ParseGroupRefs("entra", q.Groups)
	errs = append(errs, err)
	for i, ref := range refs {
		if ref.ID == "" {
			continue
		}
		if refs[i].ID, err = canonical(ref.ID); err != nil {
			errs = append(errs, fmt.Errorf("entra: scope group %q is not an id (%s)", ref, whereGroup))
		}
	}
	for _, p := range q.Push {
		if id := p.ID(); id != "" {
			if same, err := canonical(id); err != nil || same != id {
				errs = append(errs, fmt.Errorf("entra: group to push %q is not an id in lower case (%s)", p, whereGroup))
			}
		}
	}
	return refs, errors.Join(errs...)
}

// byIDOnly tells whether all wanted groups are named by id, so that the tenant's groups need not be listed.
func (c *Connector) byIDOnly() bool {
	return !slices.ContainsFunc(c.scope, func(r connectors.GroupRef) bool { return r.ID == "" }) &&
		!slices.ContainsFunc(c.query.Push, func(p connectors.Pattern) bool { return p.ID() == "" })
}
