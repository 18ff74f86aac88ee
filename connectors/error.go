package connectors

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"unicode"
)

// ErrDamaged is in the chain of every error about an answer that came with 200 and is not what the directory sends.
var ErrDamaged = errors.New("the answer was damaged, nothing was concluded from it")

// ErrUnreachable is in the chain of every error about a directory that no connection led to.
var ErrUnreachable = errors.New("no connection")

// ErrRefused is in the chain of an error about a credential that is refused, or may not read enough, without an HTTP status
// that says so.
var ErrRefused = errors.New("refused")

// Unreachable tells whether no connection could be made: the name is unknown, nothing listens, or the certificate is not
// trusted. A connection that did not come about in time is no such statement.
func Unreachable(err error) bool {
	if e, ok := errors.AsType[*net.DNSError](err); ok {
		return e.IsNotFound
	}
	if e, ok := errors.AsType[*net.OpError](err); ok {
		return e.Op == "dial" && !e.Timeout()
	}
	_, untrusted := errors.AsType[*tls.CertificateVerificationError](err)
	_, plain := errors.AsType[tls.RecordHeaderError](err)
	return untrusted || plain
}

// An Error is a request that a directory did not answer as asked. Its text ends with what to do.
type Error struct {
	Directory string // the connector's name: "okta"
	Status    int    // the HTTP status, 0 without an answer
	Code      string // the directory's own code or reason such as "E0000006", or OAuth's such as "invalid_client"
	Step      string // "listing the members of group 00g1"
	Summary   string // what the directory or the network said
	Remedy    string
	Err       error // ErrDamaged, ErrUnreachable, ErrRefused or nil
}

func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.Directory + ": ")
	if e.Status != 0 && e.Status != http.StatusOK {
		fmt.Fprintf(&b, "%d ", e.Status)
	}
	if e.Code != "" {
		b.WriteString(printable(e.Code) + " ")
	}
	b.WriteString(printable(e.Step))
	if e.Err != nil {
		b.WriteString(": " + e.Err.Error())
	}
	if e.Summary != "" {
		b.WriteString(": " + printable(e.Summary))
	}
	if e.Remedy != "" {
		b.WriteString(" (" + e.Remedy + ")")
	}
	return b.String()
}

// printable puts the words of a directory on one line, without what a terminal would obey.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "\uFFFD"))
}

// Unauthorized tells whether the directory refuses the credential, or what it may read: until somebody mends that, nothing
// can be read. A quota that is used up is no such refusal, though some vendors write 403 for it.
func (e *Error) Unauthorized() bool {
	if errors.Is(e.Err, ErrRefused) {
		return true
	}
	code := strings.ToLower(e.Code)
	switch e.Status {
	case http.StatusUnauthorized:
		return true
	case http.StatusForbidden:
		return !strings.Contains(code, "limit") && !strings.Contains(code, "quota")
	case http.StatusBadRequest: // what token endpoints answer
		return strings.HasPrefix(code, "aadsts") || slices.Contains(tokenRefusals, code)
	}
	return false
}

// tokenRefusals are the codes of RFC 6749 section 5.2 by which a token endpoint refuses the client or its grant.
var tokenRefusals = []string{"invalid_client", "invalid_grant", "unauthorized_client", "invalid_scope", "access_denied"}

// Unwrap returns what Err is.
func (e *Error) Unwrap() error { return e.Err }

// Damaged is the error about an answer that came with 200 and is not what the directory sends.
func Damaged(directory, step, format string, args ...any) error {
	return &Error{Directory: directory, Status: http.StatusOK, Step: step, Summary: fmt.Sprintf(format, args...), Err: ErrDamaged}
}

// AtStep takes away what net/http and an SDK wrap round an *Error, and names the directory and the step for all other
// errors: those of the context and of the SDK's decoder.
func AtStep(directory, step string, err error) error {
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	return fmt.Errorf("%s: %s: %w", directory, step, err)
}
