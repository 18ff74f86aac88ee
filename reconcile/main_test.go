package reconcile_test

import (
	"os"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	// The Okta SDK's cache, switched off as it is, keeps one goroutine until the client is collected.
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("github.com/patrickmn/go-cache.(*janitor).Run"))
}

// mkdir makes a directory for one run of a property; all of them go with the test.
func mkdir(t *testing.T) (string, error) { return os.MkdirTemp(t.TempDir(), "run") }
