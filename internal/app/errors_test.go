package app

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"

	"github.com/rootly-idp-sync/rootly-idp-sync/config"
	"github.com/rootly-idp-sync/rootly-idp-sync/scimclient"
)

func TestEveryKindOfErrorSaysWhatToDo(t *testing.T) {
	list := func(status int) error {
		return fmt.Errorf("read Rootly: %w", &scimclient.Error{Op: "list users", Status: status})
	}
	tests := map[string]struct {
		err  error
		want string
	}{
		"wrong token":          {list(401), "Integrations > SSO > SCIM Token"},
		"token without rights": {list(403), "Integrations > SSO > SCIM Logs"},
		"no such address":      {list(404), "without /v2"},
		"server in trouble":    {list(502), "run again later"},
		"anything else":        {list(418), "target.url"},
		"short listing":        {&scimclient.IncompleteError{Op: "list users"}, "run again"},
		"lost answer":          {&scimclient.UnknownError{Op: "create user", Err: errors.New("EOF")}, "the next cycle reads what became of it"},
		"interrupted":          {fmt.Errorf("apply: %w", context.Canceled), "run again when you are ready"},
		"unknown host":         {&net.DNSError{Name: "rotly.com"}, "rotly.com"},
		"refused connection":   {&net.OpError{Op: "dial", Err: errors.New("refused")}, "HTTPS_PROXY"},
		"says it itself":       {errors.New("state is locked: wait"), ""},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			got := remedy(tc.err)
			if tc.want == "" && got != "" || !strings.Contains(got, tc.want) {
				t.Errorf("remedy is %q, want it to hold %q", got, tc.want)
			}
		})
	}
}

func TestComplaintsAreHarmlessOnATerminal(t *testing.T) {
	for name, err := range map[string]error{
		"text":          errors.New("group \x1b[2J\u202e: refused\nand more"),
		"configuration": config.Problems{{Path: "scope.where", Text: "names \x1b[2J"}},
	} {
		var out bytes.Buffer
		(&app{Stdio: Stdio{Err: &out}}).complain(err)
		if strings.ContainsAny(out.String(), "\x1b\u202e") {
			t.Errorf("%s: %q", name, out.String())
		}
	}
}
