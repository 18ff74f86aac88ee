package connectors

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
)

// ErrDamaged is in the chain of every error about an answer that came with 200 and is not what the directory sends.
var ErrDamaged = errors.New("the answer was damaged, nothing was concluded from it")

// An Error is a request that a directory did not answer as asked. Its text ends with what to do.
type Error struct {
	Directory string // the connector's name: "okta"
	Status    int    // the HTTP status, 0 without an answer
	Code      string // the directory's own code or reason such as "E0000006", or OAuth's such as "invalid_client"
	Step      string // "listing the members of group 00g1"
	Summary   string // what the directory or the network said
	Remedy    string
	Err       error // ErrDamaged or nil
}

func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.Directory + ": ")
	if e.Status != 0 && e.Status != http.StatusOK {
		fmt.Fprintf(&b, "%d ", e.Status)
	}
	if e.Code != "" {
		b.WriteString(e.Code + " ")
	}
	b.WriteString(e.Step)
	if e.Err != nil {
		b.WriteString(": " + e.Err.Error())
	}
	if e.Summary != "" {
		b.WriteString(": " + e.Summary)
	}
	if e.Remedy != "" {
		b.WriteString(" (" + e.Remedy + ")")
	}
	return b.String()
}

// Unwrap returns ErrDamaged for a damaged answer, else nil.
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
