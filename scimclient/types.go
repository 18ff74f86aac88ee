package scimclient

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// A User is a SCIM user (RFC 7643 section 4.1) cut down to what Rootly documents. Absent attributes are "" or nil.
type User struct {
	ID          string
	ExternalID  string
	UserName    string
	GivenName   string
	FamilyName  string
	DisplayName string
	Emails      []Email
	Phones      []Phone
	Active      bool   // a server that leaves it out means true
	Version     string // meta.version, "" when the server has none
	// Attributes are those that Options.Attributes names, by the names there; absent ones are "". Nil without any.
	Attributes map[string]string
}

// An Email is one value of the emails attribute.
type Email struct {
	Value   string
	Type    string
	Primary bool
}

// A Phone is one value of the phoneNumbers attribute.
type Phone struct {
	Value   string
	Type    string
	Primary bool
}

// A Group is a SCIM group (RFC 7643 section 4.2) with all its members, each once.
type Group struct {
	ID          string
	ExternalID  string
	DisplayName string
	Members     []Member
	Version     string
}

// A Member is one value of a group's members. Type is "User", "Group" or, on servers that leave it out, "".
type Member struct {
	Value string
	Type  string
}

// A UserEdit says which attributes of a user to change: nil leaves one as it is, a pointer to the zero value clears it.
// Name parts are sent together, so both are set or neither. Emails and Phones replace the whole list.
type UserEdit struct {
	UserName    *string
	ExternalID  *string
	GivenName   *string
	FamilyName  *string
	DisplayName *string
	Emails      *[]Email
	Phones      *[]Phone
	Active      *bool
}

// A GroupEdit says which attributes of a group to change; members have a call of their own.
type GroupEdit struct {
	DisplayName *string
	ExternalID  *string
}

// An Error is the server's refusal of one request, classified by its status (RFC 7644 section 3.12). With a success
// status it means that the answer is not what was asked for: a web page, half a listing, another resource.
type Error struct {
	Op       string // what was being done: "create user", "list groups"
	Method   string
	Path     string // below the base URL, without query
	Status   int
	ScimType string // "uniqueness", "invalidValue", …, "" when the body was not a SCIM error
	Detail   string // the server's own words, shortened
	SCIM     bool   // the body was a SCIM error, so the answer came from the SCIM server and not from a gateway

	hint      string        // what a person can do about it
	after     time.Duration // what Retry-After asks for
	misrouted bool          // a 404 to a method on an object that GET shows
	cause     error
}

func (e *Error) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %d %s", e.Op, e.Status, http.StatusText(e.Status))
	if e.ScimType != "" {
		fmt.Fprintf(&b, " (%s)", e.ScimType)
	}
	if e.Detail != "" {
		fmt.Fprintf(&b, ": %s", e.Detail)
	}
	if e.hint != "" {
		fmt.Fprintf(&b, " (%s)", e.hint)
	}
	return b.String()
}

func (e *Error) Unwrap() error { return e.cause }

// Gone tells whether err is the SCIM server's own word that it knows no such id. A 404 without a SCIM error in it may
// come from a gateway, or from a server that lacks the method, and proves nothing.
func Gone(err error) bool {
	e, ok := errors.AsType[*Error](err)
	return ok && e.Status == http.StatusNotFound && e.SCIM
}

// An IncompleteError means that a listing could not be read in full, also when read again: rows were missing, came
// twice or changed meanwhile. Nothing may be concluded from it, least of all that somebody is absent.
type IncompleteError struct {
	Op        string
	Distinct  int // different objects that were received
	Announced int // totalResults, -1 when the server gave none
	Reason    string
}

func (e *IncompleteError) Error() string {
	return fmt.Sprintf("%s: could not be read completely: %s (%d objects received, %d announced); nothing was concluded from it",
		e.Op, e.Reason, e.Distinct, e.Announced)
}

// An UnknownError means that a write may or may not have been done: the connection broke, the server answered 5xx or
// too late, and reading afterwards did not settle it. The next cycle reads again before anything is repeated.
type UnknownError struct {
	Op  string
	Err error
}

func (e *UnknownError) Error() string { return fmt.Sprintf("%s: outcome unknown: %v", e.Op, e.Err) }
func (e *UnknownError) Unwrap() error { return e.Err }

// A NotKeptError means that the server said yes and kept something else: a success status proves nothing. The call
// returns the resource as it is now beside the error.
type NotKeptError struct {
	Op         string
	Attributes []string // SCIM names: "displayName", "phoneNumbers", "active", "members"
	Members    []string // for members: the ids that are still there or still missing
}

func (e *NotKeptError) Error() string {
	return fmt.Sprintf("%s: the server accepted the change but did not keep %s", e.Op, strings.Join(e.Attributes, ", "))
}
