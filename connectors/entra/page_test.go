package entra

import (
	"fmt"
	"net/http"
	"net/url"
	"testing"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors/wire"
)

// A link leads on only to what is a listing, in either of the ways in which Graph writes its keys. What is no listing is
// not looked at for its list, so that the reading would end there without an error.
func TestALinkLeadsToAListing(t *testing.T) {
	graph := &url.URL{Scheme: "https", Host: "graph.example", Path: "/v1.0"}
	for path, list := range map[string]bool{
		"users":                                       true,
		"groups":                                      true,
		"groups/g1/members":                           true,
		"groups/g1/members/microsoft.graph.user":      true,
		"groups('g1')/members":                        true,
		"users/u1/transitiveMemberOf":                 true,
		"users('u1')/memberOf/graph.group":            true,
		"servicePrincipals/s1/appRoleAssignedTo":      true,
		"servicePrincipals('s1')/appRoleAssignedTo":   true,
		"directory/deletedItems/graph.user":           true,
		"directory/deletedItems/microsoft.graph.user": true,
		"users/u1":                      false,
		"users('u1')":                   false,
		"groups/g1":                     false,
		"servicePrincipals(appId='a1')": false,
		"directory/deletedItems/u1":     false,
		"me":                            false,
	} {
		answer := &wire.Answer{Status: http.StatusOK, Header: http.Header{"Content-Type": {"application/json"}},
			Body: fmt.Appendf(nil, `{"value":[],"@odata.nextLink":"https://graph.example/v1.0/%s?$skiptoken=2"}`, path)}
		if err := checkBody(answer, true, graph, graph.JoinPath("users")); (err == nil) != list {
			t.Errorf("a link to %s: %v", path, err)
		}
	}
}
