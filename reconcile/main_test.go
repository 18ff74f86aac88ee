package reconcile_test

import (
	"os"
	"runtime/debug"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	debug.SetGCPercent(400) // the worlds are small and many: the garbage of few megabytes would be collected all the time
	// The Okta SDK's cache, switched off as it is, keeps one goroutine until the client is collected.
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("github.com/patrickmn/go-cache.(*janitor).Run"))
}

// mkdir makes a directory for one run of a property; all of them go with the test.
func mkdir(t *testing.T) (string, error) { return os.MkdirTemp(t.TempDir(), "run") }
