package ldap

import (
	"strings"
	"testing"
)

// TestAServerThatRepeatsThePasswordDoesNotShowIt: a server's diagnostic message is anything it likes.
func TestAServerThatRepeatsThePasswordDoesNotShowIt(t *testing.T) {
	c := &Connector{opts: Options{Password: func() string { return "hunter2/hunter2" }}}
	for _, said := range []string{"bad hunter2/hunter2", "bad hunter2%2Fhunter2", strings.Repeat("x", 290) + " hunter2/hunter2"} {
		err := c.refusal("signing in", &refused{code: 49, text: said})
		if err == nil || strings.Contains(err.Error(), "hunter2") || !strings.Contains(err.Error(), "[secre") {
			t.Errorf("%q became %v", said, err)
		}
	}
}
