package app

import (
	"testing"

	"go.uber.org/goleak"
)

// okta-sdk-golang starts a cache's janitor even with the cache off; the garbage collector ends it.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("github.com/patrickmn/go-cache.(*janitor).Run"))
}
