package entra

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors/wire"
)

// FuzzPage holds that whatever passes as a page is one list of objects, and leads to a page that is checked as one, with
// our token on the same server, or nowhere. It is built without the SDK, which reads the page after that.
func FuzzPage(f *testing.F) {
	const link = `{"value":[{"id":"u1"}],"@odata.nextLink":"https://graph.example/v1.0/`
	for _, s := range []string{
		`{"value":[{"id":"u1","accountEnabled":true},{"id":"u2"}]}`, link + `users?$skiptoken=2"}`, link + `groups/g1/members/microsoft.graph.user?$skiptoken=2"}`,
		link + `groups('g1')/members?$skiptoken=2"}`, link + `groups/g1"}`, link + `me"}`, link + `users?$top=999"}`, link + `../users"}`, link + `users/../groups/g1"}`, `{"value":[{}],"value":[]}`,
		`{"value":[{"id":"u1"},null]}`, `{"value":null}`, `{"value":[],"error":{"code":"x"}}`, `{"value":[{"id":"u1"}],"@odata.nextLink":"https://evil.example/v1.0/users"}`,
		`{"value":[],"@odata.nextLink":null}`, `{"value":[],"@odata.nextLink":""}`, `{"Value":[]}`, "null", "[]", "{}", "", `{"value":[]} {}`,
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, body string) {
		graph, request := &url.URL{Scheme: "https", Host: "graph.example", Path: "/v1.0"}, &url.URL{Scheme: "https", Host: "graph.example", Path: "/v1.0/users", RawQuery: "$top=999"}
		answer := &wire.Answer{Status: http.StatusOK, Header: http.Header{"Content-Type": {"application/json"}}, Body: []byte(body)}
		if err := checkBody(answer, true, graph, request); err != nil {
			return
		}
		var plain map[string]any
		if err := json.Unmarshal([]byte(body), &plain); err != nil {
			t.Fatalf("%q is a page and no JSON object: %v", body, err)
		}
		value, ok := plain["value"].([]any)
		if !ok {
			t.Fatalf("%q is a page without a list", body)
		}
		for _, element := range value {
			if _, ok := element.(map[string]any); !ok {
				t.Errorf("%q lists %v", body, element)
			}
		}
		next, there := plain["@odata.nextLink"]
		if !there {
			return
		}
		u, err := url.Parse(next.(string))
		if err != nil || u.Scheme != "https" || u.User != nil || !strings.EqualFold(u.Host, "graph.example") || u.String() == request.String() {
			t.Errorf("%q leads to %v, %v", body, u, err)
		}
		if at := endpointOf(graph, u); !at.list {
			t.Errorf("%q leads to %v, whose answer needs no list: %s", body, u, at.step)
		}
	})
}
