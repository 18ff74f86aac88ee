//go:build !noentra

package entra

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
)

// A groupRef is one entry of Query.Groups: an id or an exact name.
type groupRef struct {
	id   string
	name string
}

func (r groupRef) String() string {
	if r.id != "" {
		return "id:" + r.id
	}
	return fmt.Sprintf("%q", r.name)
}

// parseQuery checks what is asked for against what Entra knows.
func parseQuery(o Options) ([]groupRef, error) {
	var errs []error
	q := o.Query
	switch q.Mode {
	case connectors.ScopeAssigned:
		if _, err := uuid.Parse(o.AppID); err != nil {
			errs = append(errs, fmt.Errorf("entra: mode assigned needs the client id of the enterprise application, and %q is not one (%s)", o.AppID, whereApp))
		}
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
	var refs []groupRef
	for _, s := range q.Groups {
		ref := groupRef{name: strings.TrimSpace(s)}
		if id, ok := strings.CutPrefix(ref.name, "id:"); ok {
			ref = groupRef{id: id}
		}
		if ref == (groupRef{}) {
			errs = append(errs, fmt.Errorf("entra: scope group %q names nothing", s))
			continue
		}
		refs = append(refs, ref)
	}
	return refs, errors.Join(errs...)
}

// byIDOnly tells whether all wanted groups are named by id, so that the tenant's groups need not be listed.
func (c *Connector) byIDOnly() bool {
	return !slices.ContainsFunc(c.scope, func(r groupRef) bool { return r.id == "" }) &&
		!slices.ContainsFunc(c.query.Push, func(p connectors.Pattern) bool { return p.ID() == "" })
}
