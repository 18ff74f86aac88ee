package entra

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/url"
	"strings"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors/wire"
)

// An endpoint is what a path means to people.
type endpoint struct {
	step  string // what a request there does, for messages
	list  bool   // answers a page of a listing
	right string // the application permission that it needs
	app   bool   // looks for the enterprise application
}

// The application permissions that the reads need.
const (
	rightUsers  = "User.Read.All"
	rightGroups = "GroupMember.Read.All"
	rightApps   = "Application.Read.All"
	rightHidden = "Member.Read.Hidden"
)

// keys writes groups('g1'), as Graph may in its links, like groups/g1.
var keys = strings.NewReplacer("('", "/", "')", "")

// endpointOf reads the path of one of the calls this package makes, or of a link to a later page of one.
func endpointOf(graph, u *url.URL) endpoint {
	parts := strings.Split(strings.TrimPrefix(keys.Replace(strings.TrimPrefix(u.Path, graph.Path)), "/"), "/")
	kind, last := parts[0], parts[len(parts)-1]
	switch {
	case kind == "users" && len(parts) == 1:
		return endpoint{step: "listing the users", list: true, right: rightUsers}
	case kind == "users" && len(parts) == 2:
		return endpoint{step: "reading user " + last, right: rightUsers}
	case kind == "users":
		return endpoint{step: "listing the groups of user " + parts[1], list: true, right: rightGroups + " and " + rightUsers}
	case kind == "groups" && len(parts) == 1:
		return endpoint{step: "listing the groups", list: true, right: rightGroups}
	case kind == "groups" && len(parts) == 2:
		return endpoint{step: "reading group " + last, right: rightGroups}
	case kind == "groups":
		return endpoint{step: "listing the members of group " + parts[1], list: true, right: rightGroups}
	case last == "appRoleAssignedTo":
		return endpoint{step: "listing who is assigned to the enterprise application", list: true, right: rightApps}
	case strings.HasPrefix(kind, "servicePrincipals"):
		return endpoint{step: "reading the enterprise application", right: rightApps, app: true}
	case kind == "directory" && strings.HasSuffix(last, "graph.user"):
		return endpoint{step: "listing the recycle bin", list: true, right: rightUsers}
	case kind == "directory":
		return endpoint{step: "looking for user " + last + " in the recycle bin", right: rightUsers}
	}
	return endpoint{step: "asking for " + u.Path}
}

// checkBody refuses what the SDK would read as nobody: a page must hold its list, of objects only, and lead nowhere but
// to a page of the same Graph, whose answer is then held to the same; anything else must be one object. This file is built
// without the SDK too, so that it can be fuzzed.
func checkBody(a *wire.Answer, list bool, graph, request *url.URL) error {
	if kind, _, _ := mime.ParseMediaType(a.Header.Get("Content-Type")); kind != "application/json" {
		return fmt.Errorf("it is %q, not JSON", kind)
	}
	if len(bytes.TrimSpace(a.Body)) == 0 {
		return errors.New("it is empty")
	}
	var object wire.Object
	if err := json.Unmarshal(a.Body, &object); err != nil {
		return fmt.Errorf("it is not one complete JSON object: %w", err)
	}
	if object == nil {
		return errors.New("it is not one complete JSON object")
	}
	if refusal, ok := object["error"]; ok {
		return fmt.Errorf("it is an error with 200: %.200s", refusal)
	}
	if !list {
		return nil
	}
	if err := checkValue(object["value"]); err != nil {
		return err
	}
	return checkNext(object["@odata.nextLink"], graph, request)
}

func checkValue(value json.RawMessage) error {
	if len(value) == 0 || value[0] != '[' {
		return errors.New("it holds no list")
	}
	var elements []json.RawMessage
	if err := json.Unmarshal(value, &elements); err != nil {
		return errors.New("its list cannot be read")
	}
	for i, element := range elements {
		if element[0] != '{' {
			return fmt.Errorf("element %d is not an object", i+1)
		}
	}
	return nil
}

// checkNext checks the link to the next page, which goes with our token.
func checkNext(link json.RawMessage, graph, request *url.URL) error {
	if link == nil {
		return nil
	}
	var text string
	if err := json.Unmarshal(link, &text); err != nil || text == "" {
		return errors.New("the link to the next page cannot be read")
	}
	u, err := url.Parse(text)
	switch {
	case err != nil:
		return errors.New("the link to the next page cannot be read")
	case u.Scheme != graph.Scheme || !strings.EqualFold(u.Host, graph.Host) || u.User != nil:
		return fmt.Errorf("the link to the next page leads to another host, %s", u.Host)
	case !strings.HasPrefix(u.Path, graph.Path+"/") || !endpointOf(graph, u).list:
		return fmt.Errorf("the link to the next page leads elsewhere, to %s", u.Path)
	case u.String() == request.String():
		return errors.New("page repeated: the link to the next page leads to this one")
	}
	return nil
}
