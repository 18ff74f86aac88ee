package connectors

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"testing"
)

func TestErrorSaysWhatIsKnown(t *testing.T) {
	tests := map[string]struct {
		err  error
		want string
	}{
		"refused": {
			&Error{Directory: "okta", Status: 403, Code: "E0000006", Step: "listing the users", Summary: "no permission", Remedy: "grant it"},
			"okta: 403 E0000006 listing the users: no permission (grant it)",
		},
		"no answer": {
			&Error{Directory: "google", Step: "listing the users", Summary: "no answer in time"},
			"google: listing the users: no answer in time",
		},
		"damaged": {
			Damaged("entra", "listing the users", "page %d is null", 2),
			"entra: listing the users: the answer was damaged, nothing was concluded from it: page 2 is null",
		},
		"of the context": {
			AtStep("okta", "listing the users", context.Canceled),
			"okta: listing the users: context canceled",
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			if got := tc.err.Error(); got != tc.want {
				t.Errorf("text %q, want %q", got, tc.want)
			}
		})
	}
}

func TestErrorKeepsItsKind(t *testing.T) {
	damaged := Damaged("okta", "reading user 00u1", "it is about %q", "00u2")
	wrapped := &url.Error{Op: "Get", URL: "https://acme.okta.com/api/v1/users/00u1", Err: fmt.Errorf("sdk: %w", damaged)}
	if got := AtStep("okta", "listing the users", wrapped); got != damaged {
		t.Errorf("AtStep returns %v, want %v alone", got, damaged)
	}
	if !errors.Is(damaged, ErrDamaged) {
		t.Errorf("%v has no ErrDamaged in its chain", damaged)
	}
	if err := AtStep("okta", "listing the users", context.Canceled); !errors.Is(err, context.Canceled) {
		t.Errorf("%v has lost context.Canceled", err)
	}
	if refused := (&Error{Directory: "okta", Status: 403}); errors.Is(refused, ErrDamaged) {
		t.Errorf("%v is a refusal and counts as damaged", refused)
	}
}

func TestErrorTellsARefusedCredentialFromOtherRefusals(t *testing.T) {
	tests := map[string]struct {
		status int
		code   string
		want   bool
	}{
		"wrong token":             {401, "E0000011", true},
		"no permission":           {403, "E0000006", true},
		"expired secret at Okta":  {400, "invalid_client", true},
		"expired secret at Entra": {400, "AADSTS7000222", true},
		"quota at Google":         {403, "userRateLimitExceeded", false},
		"the day's quota":         {403, "quotaExceeded", false},
		"a query refused":         {400, "E0000031", false},
		"too many requests":       {429, "E0000047", false},
		"no answer":               {0, "", false},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			if got := (&Error{Directory: "okta", Status: tc.status, Code: tc.code}).Unauthorized(); got != tc.want {
				t.Errorf("%d %s: %t, want %t", tc.status, tc.code, got, tc.want)
			}
		})
	}
	if e := (&Error{Directory: "ldap", Code: "49 Invalid Credentials", Err: ErrRefused}); !e.Unauthorized() {
		t.Errorf("%v is no refused credential", e)
	}
}

func TestTheWordsOfADirectoryDoNotMoveTheCursor(t *testing.T) {
	e := &Error{Directory: "okta", Status: 403, Code: "E\x1b[2J", Step: "reading user 00u1\r", Summary: "gone\nokta: \xff\u009bdone"}
	if got, want := e.Error(), "okta: 403 E [2J reading user 00u1 : gone okta: \ufffd done"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
