package okta

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"time"
)

// parsedVariables are the environment variables that the SDK parses before it takes any option. What they say does not
// matter here, but over a value that it cannot parse the SDK writes to standard output, where results go.
var parsedVariables = map[string]func(string) error{
	"OKTA_CLIENT_CACHE_ENABLED":          isBool,
	"OKTA_CLIENT_CACHE_DEFAULT_TTL":      isInt(32),
	"OKTA_CLIENT_CACHE_DEFAULT_TTI":      isInt(32),
	"OKTA_CLIENT_PROXY_PORT":             isInt(32),
	"OKTA_CLIENT_CONNECTION_TIMEOUT":     isInt(64),
	"OKTA_CLIENT_REQUEST_TIMEOUT":        isInt(64),
	"OKTA_CLIENT_RATE_LIMIT_MAX_RETRIES": isInt(32),
	"OKTA_CLIENT_RATE_LIMIT_MAX_BACKOFF": isInt(64),
	"OKTA_TESTING_DISABLE_HTTPS_CHECK":   isBool,
	"OKTA_HTTPCLIENT_TIMEOUT":            isDuration,
}

// checkEnvironment refuses what the SDK would complain about. To clear a variable instead would be felt by the whole
// process.
func checkEnvironment() error {
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(parsedVariables)) {
		if value, set := os.LookupEnv(name); set && parsedVariables[name](value) != nil {
			errs = append(errs, fmt.Errorf("okta: the environment variable %s is %q, which okta-sdk-golang/v2 cannot read "+
				"(unset it; nothing here uses it)", name, value))
		}
	}
	return errors.Join(errs...)
}

func isBool(s string) error {
	_, err := strconv.ParseBool(s)
	return err
}

func isInt(bits int) func(string) error {
	return func(s string) error {
		_, err := strconv.ParseInt(s, 0, bits)
		return err
	}
}

func isDuration(s string) error {
	_, err := time.ParseDuration(s)
	return err
}
