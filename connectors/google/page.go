package google

import (
	"bytes"
	"encoding/json"
	"fmt"
	"mime"
	"net/url"
	"slices"
	"strings"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
	"github.com/rootly-idp-sync/rootly-idp-sync/connectors/wire"
)

// An endpoint is what a request of this package asks for and what its answer must hold.
type endpoint struct {
	step  string // what it does, for messages: without the query, which may hold an address
	kind  string // the answer's own word for itself, "" where it has none
	list  bool
	key   string   // where a list stands
	must  []string // what each object of a list, or the one object, must say
	id    string   // the group or person in the path
	later bool     // asks for a page after the first
}

const basePath = "/admin/directory/v1/"

// endpointOf reads the address of one of the calls this package makes.
func endpointOf(u *url.URL) endpoint {
	_, rest, _ := strings.Cut(u.EscapedPath(), basePath)
	parts := strings.Split(rest, "/")
	for i := range parts {
		if text, err := url.PathUnescape(parts[i]); err == nil {
			parts[i] = text
		}
	}
	q := u.Query()
	e := endpoint{later: q.Get("pageToken") != "", id: strings.Join(parts[1:min(2, len(parts))], "")}
	switch {
	case parts[0] == "users" && len(parts) == 1 && q.Get("showDeleted") == "true":
		e.step, e.kind, e.list, e.key, e.must = "listing the deleted users", "admin#directory#users", true, "users", []string{"id"}
	case parts[0] == "users" && len(parts) == 1:
		e.step, e.kind, e.list, e.key, e.must = "listing the users", "admin#directory#users", true, "users", mustUser
	case parts[0] == "users":
		e.step, e.kind, e.must = "reading user "+e.id, "admin#directory#user", mustUser
	case len(parts) == 1:
		e.step, e.kind, e.list, e.key, e.must = "listing the groups", "admin#directory#groups", true, "groups", []string{"id", "email"}
	case len(parts) == 2:
		e.step, e.kind, e.must = "reading group "+e.id, "admin#directory#group", []string{"id", "directMembersCount"}
	case len(parts) == 4:
		e.step, e.must = "asking whether user "+parts[3]+" is in group "+e.id, []string{"isMember"}
	default:
		e.step, e.kind, e.list, e.key, e.must = "listing the members of group "+e.id, "admin#directory#members", true, "members", []string{"type"}
	}
	return e
}

// mustUser is what every person must say. The SDK reads a missing status as active.
var mustUser = []string{"id", "primaryEmail", "suspended", "archived"}

// check refuses what the SDK would read as nobody, or as somebody active.
func (e endpoint) check(a *wire.Answer) error {
	if kind, _, _ := mime.ParseMediaType(a.Header.Get("Content-Type")); kind != "application/json" {
		return connectors.Damaged(vendor, e.step, "it is %q, not JSON", kind)
	}
	body := bytes.TrimSpace(a.Body)
	if len(body) == 0 || body[0] != '{' {
		return connectors.Damaged(vendor, e.step, "it is not a JSON object")
	}
	var object wire.Object
	if err := json.Unmarshal(body, &object); err != nil {
		return connectors.Damaged(vendor, e.step, "it cannot be read: %v", err)
	}
	var kind string
	if e.kind != "" && (json.Unmarshal(object["kind"], &kind) != nil || kind != e.kind) {
		return connectors.Damaged(vendor, e.step, "its kind is %q, not %q", kind, e.kind)
	}
	if !e.list {
		return e.checkObject(object, 1)
	}
	return e.checkList(object)
}

// checkList wants the list to be there. Google leaves an empty one out, which is believed of a listing's only page.
func (e endpoint) checkList(object wire.Object) error {
	text, there := object[e.key]
	_, more := object["nextPageToken"]
	if !there && !e.later && !more {
		return nil
	}
	if !there || string(text) == "null" {
		return connectors.Damaged(vendor, e.step, "it has no list of %s", e.key)
	}
	var elements []wire.Object
	if err := json.Unmarshal(text, &elements); err != nil {
		return connectors.Damaged(vendor, e.step, "its list of %s cannot be read: %v", e.key, err)
	}
	for i, element := range elements {
		if element == nil {
			return connectors.Damaged(vendor, e.step, "element %d is null", i+1)
		}
		if err := e.checkObject(element, i+1); err != nil {
			return err
		}
	}
	return nil
}

// checkObject wants each of the keys there, with a value of its type. place is where the object stands in the answer.
func (e endpoint) checkObject(object wire.Object, place int) error {
	for _, key := range e.must {
		value := object[key]
		sound := len(value) > 2 && value[0] == '"'
		if slices.Contains([]string{"suspended", "archived", "isMember"}, key) {
			sound = string(value) == "true" || string(value) == "false"
		}
		if !sound {
			return connectors.Damaged(vendor, e.step, "%s has no %s", describe(object, place), key)
		}
	}
	return nil
}

// describe names an object whose answer is damaged, by its id or its place: addresses are in no message.
func describe(object wire.Object, place int) string {
	var id string
	if json.Unmarshal(object["id"], &id) == nil && id != "" {
		return fmt.Sprintf("%q", id)
	}
	return fmt.Sprintf("element %d", place)
}
