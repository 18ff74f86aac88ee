package sim

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// DefaultSCIMToken is the bearer token of a server whose options name none.
const DefaultSCIMToken = "sim-scim-token"

// SCIMBase is the path below which the SCIM server lives.
const SCIMBase = "/scim"

const scimMediaType = "application/scim+json"

// SCIMOptions are the switches of the SCIM side. The zero value is a strict server that does what RFC 7644 says in
// the plainest way; every switch is a habit of servers in the field.
type SCIMOptions struct {
	Seed  uint64 // of the ids
	Token string // the bearer token; DefaultSCIMToken if empty

	// What is there.
	NotSetUp    bool // single sign-on is not set up: everything is a 404 page
	NoDiscovery bool // 404 for ServiceProviderConfig, ResourceTypes and Schemas
	NoPatch     bool // 501
	NoPut       bool // 501

	// People.
	VanishInactive  bool // deactivated people: GET 404, no filter hit, not listed, POST 409, PATCH works
	DropMemberships bool // a deactivation takes the person out of all groups
	NormalizePhones bool // phone numbers are kept in E.164, with +1 for national ones
	LowerCaseEmails bool // userName and emails are kept in lower case
	HidePhones      bool // phoneNumbers are kept and never shown
	NameDropsPart   bool // a PATCH of name with one part loses the other
	// Forgets are attributes that are accepted and not kept: of people displayName, externalId, name, emails,
	// phoneNumbers and active, of groups externalId and members.
	Forgets []string

	// Groups.
	DuplicateGroups    bool // two groups may share a displayName; otherwise 409
	DropUnknownMembers bool // a member id that nobody has is left out in silence; otherwise 400
	DanglingMembers    bool // deleting a user leaves its id in groups
	HideMembers        bool // listings of groups have no members
	OmitEmptyMembers   bool // a group without members has no such attribute
	OmitMemberTypes    bool // members come without type
	RefuseMixedPatch   bool // attributes and members in one PATCH are 400; otherwise they are marked, see Marks
	MaxMembers         int  // member changes in one PATCH or POST; 0 is 100, negative is no limit. 413 beyond

	// Answers.
	OddIDs         bool // ids hold characters that a URL has to escape
	PatchNoContent bool // PATCH answers 204 without a body
	ETags          bool // meta.version, ETag, and 412 when If-Match names another one
	RequireIfMatch bool // with ETags: 428 for a change without If-Match

	// Listings.
	PageCap         int          // most objects on one page; 0 is no cap
	ItemsPerPage    ItemsPerPage // what itemsPerPage tells
	Cursors         bool         // pages by cursor (RFC 9865) only
	OmitTotal       bool         // with Cursors: no totalResults
	TotalIsPageSize bool         // totalResults tells the size of the page
	TotalOff        int          // added to totalResults
	RandomOrder     bool         // each request sees the objects in another order
	IgnoreFilters   bool         // a filter is accepted and everybody is returned
	ExactFilters    bool         // a filter compares userName and displayName letter by letter
	RowsBeyondEnd   bool         // a startIndex beyond the end starts over
}

// ItemsPerPage says what a server takes itemsPerPage for; there are three readings in the field.
type ItemsPerPage string

// The readings of itemsPerPage.
const (
	ItemsReturned ItemsPerPage = ""      // how many came
	ItemsAsked    ItemsPerPage = "asked" // how many were asked for
	ItemsCap      ItemsPerPage = "cap"   // how many there could be at most
)

// RootlyLike are the habits that Rootly documents or that follow from what its server is built on.
func RootlyLike() SCIMOptions {
	return SCIMOptions{DropMemberships: true, NormalizePhones: true, DropUnknownMembers: true, ItemsPerPage: ItemsAsked}
}

// SCIM is a SCIM 2.0 server with a state of its own. Besides what RFC 7644 demands it refuses the request shapes that
// servers in the field disagree on or take for something else, so that a client which passes here passes widely:
// capitalised operations, booleans as strings, nulls and empty values, lists without a path, removing members by a
// value list or all at once, replacing members, application/json bodies. It is safe for concurrent use.
type SCIM struct {
	options SCIMOptions
	state   *scimState
}

// NewSCIM returns an empty server.
func NewSCIM(o SCIMOptions) *SCIM {
	o.Token = cmp.Or(o.Token, DefaultSCIMToken)
	return &SCIM{options: o, state: newSCIMState(o)}
}

// current are the switches at this moment; tests turn them while requests run.
func (s *SCIM) current() SCIMOptions {
	s.state.mu.Lock()
	defer s.state.mu.Unlock()
	return s.options
}

// A scimError is a refusal (RFC 7644 section 3.12).
type scimError struct {
	status           int
	scimType, detail string
}

func (e *scimError) Error() string { return fmt.Sprintf("%d %s: %s", e.status, e.scimType, e.detail) }

func badRequest(scimType, format string, args ...any) *scimError {
	return &scimError{http.StatusBadRequest, scimType, fmt.Sprintf(format, args...)}
}

func unknownResource(id string) *scimError {
	return &scimError{http.StatusNotFound, "", fmt.Sprintf("Resource %q not found", id)}
}

func scimErrorBody(status int, scimType, detail string) map[string]any {
	body := map[string]any{
		"schemas": []string{"urn:ietf:params:scim:api:messages:2.0:Error"}, "status": fmt.Sprint(status), "detail": detail,
	}
	if scimType != "" {
		body["scimType"] = scimType
	}
	return body
}

// A reply is what a request comes to when it is not refused.
type reply struct {
	status   int
	body     any // nil for none
	location string
	version  string
}

// A call is one request, read.
type call struct {
	base    string // the absolute URL of the endpoint
	method  string
	kind    string // "Users", "Groups" or a discovery endpoint
	id      string // "" for the collection
	query   url.Values
	ifMatch string
	body    map[string]json.RawMessage
}

// ServeHTTP answers one request.
func (s *SCIM) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	segments, inside := route(r)
	if !inside || s.current().NotSetUp {
		w.Header().Set("Content-Type", "text/html")
		w.WriteHeader(http.StatusNotFound)
		io.WriteString(w, "<!DOCTYPE html><html><body><h1>The page you were looking for doesn't exist.</h1></body></html>")
		return
	}
	out, err := s.answer(r, segments)
	if err != nil {
		if err.status == http.StatusUnauthorized {
			w.Header().Set("WWW-Authenticate", "Bearer")
		}
		writeJSON(w, err.status, scimMediaType, scimErrorBody(err.status, err.scimType, err.detail))
		return
	}
	if out.location != "" {
		w.Header().Set("Location", out.location)
	}
	if out.version != "" {
		w.Header().Set("ETag", out.version)
	}
	if out.body == nil {
		w.WriteHeader(out.status)
		return
	}
	writeJSON(w, out.status, scimMediaType+"; charset=utf-8", out.body)
}

// route splits the path below the base into unescaped segments; an id may hold an escaped slash.
func route(r *http.Request) (segments []string, inside bool) {
	rest, inside := strings.CutPrefix(r.URL.EscapedPath(), SCIMBase+"/")
	if !inside {
		return nil, false
	}
	for part := range strings.SplitSeq(rest, "/") {
		segment, err := url.PathUnescape(part)
		if err != nil {
			return nil, false
		}
		segments = append(segments, segment)
	}
	return segments, true
}

func (s *SCIM) answer(r *http.Request, segments []string) (reply, *scimError) {
	if r.Header.Get("Authorization") != "Bearer "+s.current().Token {
		return reply{}, &scimError{http.StatusUnauthorized, "", "Requires authentication"}
	}
	if accept := r.Header.Get("Accept"); accept != "" && !accepts(accept) {
		return reply{}, &scimError{http.StatusNotAcceptable, "", "Only application/scim+json is served"}
	}
	c := call{
		base: baseURL(r) + SCIMBase, method: r.Method, kind: segments[0], query: r.URL.Query(), ifMatch: r.Header.Get("If-Match"),
	}
	if len(segments) > 1 {
		c.id = segments[1]
	}
	if len(segments) > 2 || len(segments) == 2 && c.id == "" {
		return reply{}, unknownResource(r.URL.Path)
	}
	if r.Method == http.MethodPost || r.Method == http.MethodPut || r.Method == http.MethodPatch {
		var err *scimError
		if c.body, err = readBody(r); err != nil {
			return reply{}, err
		}
	}
	return s.dispatch(c)
}

func (s *SCIM) dispatch(c call) (reply, *scimError) {
	switch c.kind {
	case "Users":
		return serve(s, c, s.state.users)
	case "Groups":
		return serve(s, c, s.state.groups)
	}
	if c.method != http.MethodGet {
		return reply{}, &scimError{http.StatusMethodNotAllowed, "", c.method + " is not supported here"}
	}
	return s.discover(c)
}

// accepts reports whether an Accept header admits our media type. Plain application/json does not.
func accepts(header string) bool {
	for part := range strings.SplitSeq(header, ",") {
		mediaType, _, err := mime.ParseMediaType(part)
		if err == nil && slices.Contains([]string{scimMediaType, "*/*", "application/*"}, mediaType) {
			return true
		}
	}
	return false
}

// readBody reads a JSON object. A body typed application/json is 406 unless Accept names our media type, as one
// widely used library has it; any other foreign type is 415.
func readBody(r *http.Request) (map[string]json.RawMessage, *scimError) {
	mediaType, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	switch {
	case mediaType == scimMediaType:
	case mediaType == "application/json" && strings.Contains(r.Header.Get("Accept"), scimMediaType):
	case mediaType == "application/json":
		return nil, &scimError{http.StatusNotAcceptable, "", "Only application/scim+json type is accepted."}
	default:
		return nil, &scimError{http.StatusUnsupportedMediaType, "", fmt.Sprintf("Content-Type %q is not supported", mediaType)}
	}
	text, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, badRequest("invalidSyntax", "the body could not be read: %v", err)
	}
	var body map[string]json.RawMessage
	if err := json.Unmarshal(bytes.TrimSpace(text), &body); err != nil || body == nil {
		return nil, badRequest("invalidSyntax", "the body is not a JSON object")
	}
	return body, nil
}

// takeSchemas removes the schemas attribute and checks that it is exactly want.
func takeSchemas(body map[string]json.RawMessage, want string) (map[string]json.RawMessage, *scimError) {
	var schemas []string
	if json.Unmarshal(body["schemas"], &schemas) != nil || !slices.Equal(schemas, []string{want}) {
		return nil, badRequest("invalidSyntax", "schemas must be [%q]", want)
	}
	rest := maps.Clone(body)
	delete(rest, "schemas")
	return rest, nil
}
