package reconcile

import (
	"testing"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
)

// TestAValueIsNeverAnExpression: what a directory has in a field is text, also where an expression makes a value of it.
func TestAValueIsNeverAnExpression(t *testing.T) {
	for _, name := range []string{`user.userName`, `" + user.userName + "`, `${HOME}`, `{{.Token}}`, `true || user.groups.exists(g, true)`, "a\\u0022b"} {
		rules, err := Compile(RuleOptions{
			Directory: "file", Mode: connectors.ScopeAll, Where: `user.department != "out"`,
			Map: map[string]string{AttrDisplayName: `user.displayName + " (" + user.department + ")"`},
		})
		if err != nil {
			t.Fatal(err)
		}
		u := connectors.User{ID: "1", UserName: "ada@acme.example", Email: "ada@acme.example", DisplayName: name, Department: name, Status: connectors.StatusActive}
		snap, err := connectors.NewSnapshot([]connectors.User{u}, nil)
		if err != nil {
			t.Fatal(err)
		}
		got := rules.Preview(u, snap)
		if want := name + " (" + name + ")"; got.Err != nil || got.Values.DisplayName != want || !got.InScope {
			t.Errorf("%q became %q, in scope: %t, %v", name, got.Values.DisplayName, got.InScope, got.Err)
		}
	}
}
