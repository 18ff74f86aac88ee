package scim

import (
	"errors"
	"fmt"
	"strings"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
)

// parseQuery checks what is asked for against what SCIM knows.
func parseQuery(o Options) ([]connectors.GroupRef, error) {
	var errs []error
	q := o.Query
	switch q.Mode {
	case connectors.ScopeGroups:
		if len(q.Groups) == 0 {
			errs = append(errs, errors.New("scim: mode groups needs at least one group, by name or as id:…"))
		}
	case connectors.ScopeAll:
	case connectors.ScopeAssigned:
		errs = append(errs, errors.New("scim: mode assigned does not exist here, for SCIM does not know who is assigned to an app (use groups or all)"))
	default:
		errs = append(errs, fmt.Errorf("scim: scope mode %q is not one of groups, all", q.Mode))
	}
	if q.Mode != connectors.ScopeGroups && len(q.Groups) > 0 {
		errs = append(errs, fmt.Errorf("scim: scope groups are listed, but the mode is %q, not groups", q.Mode))
	}
	if o.Nested && len(q.Groups)+len(q.Push) == 0 {
		errs = append(errs, errors.New("scim: nested has no meaning without scope groups and groups to push"))
	}
	for _, name := range q.Attributes {
		if strings.TrimSpace(name) == "" || strings.ContainsAny(name, "[]\"() ") {
			errs = append(errs, fmt.Errorf("scim: attribute %q is no path of names joined by dots, such as title or "+enterprise+":costCenter", name))
		}
	}
	refs, err := connectors.ParseGroupRefs("scim", q.Groups)
	errs = append(errs, err)
	return refs, errors.Join(errs...)
}
