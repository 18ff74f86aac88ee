package okta

import (
	"bytes"
	"io"
	"os"
	"reflect"
	"strings"
	"testing"

	sdk "github.com/okta/okta-sdk-golang/v2/okta"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
)

// variablesOf are the environment variables that the SDK puts into fields which not every text fits.
func variablesOf(t reflect.Type) []string {
	var names []string
	for f := range t.Fields() {
		switch f.Type.Kind() {
		case reflect.Struct:
			names = append(names, variablesOf(f.Type)...)
		case reflect.Bool, reflect.Int32, reflect.Int64:
			names = append(names, f.Tag.Get("envconfig"))
		}
	}
	return names
}

func TestEnvironmentThatTheSDKCannotRead(t *testing.T) {
	names := append(variablesOf(reflect.TypeOf((*sdk.Client).GetConfig).Out(0).Elem()), "OKTA_HTTPCLIENT_TIMEOUT")
	if len(names) != len(parsedVariables) {
		t.Errorf("the SDK parses %d variables, %d are known here: %v", len(names), len(parsedVariables), names)
	}
	for _, name := range names {
		for _, value := range []string{"maybe", ""} {
			t.Run(name+"="+value, func(t *testing.T) {
				t.Setenv(name, value)
				if _, err := New(Options{OrgURL: "https://acme.okta.com", APIToken: token, Query: everybody}); err == nil ||
					!strings.Contains(err.Error(), name+" is") || !strings.Contains(err.Error(), "unset it") {
					t.Errorf("error %v", err)
				}
			})
		}
	}
}

// Whatever the environment holds, New writes nothing to standard output.
func TestNewIsSilent(t *testing.T) {
	values := map[string]string{"OKTA_CLIENT_TOKEN": "x", "OKTA_CLIENT_SCOPES": ",", "OKTA_CACHEMANAGER": "x", "OKTA_CLIENT": "x", "OKTA_USERAGENTEXTRA": "x"}
	for name := range parsedVariables {
		values[name] = "1"
	}
	values["OKTA_HTTPCLIENT_TIMEOUT"] = "1s"
	for _, bad := range []string{"", "OKTA_CLIENT_CACHE_ENABLED"} {
		for name, value := range values {
			t.Setenv(name, value)
		}
		if bad != "" {
			t.Setenv(bad, "maybe")
		}
		out := stdoutOf(t, func() {
			_, err := New(Options{OrgURL: "https://acme.okta.com", APIToken: token, Query: connectors.Query{Mode: connectors.ScopeAll}})
			if (err != nil) != (bad != "") {
				t.Errorf("error %v", err)
			}
		})
		if out != "" {
			t.Errorf("New wrote %q", out)
		}
	}
}

func stdoutOf(t *testing.T, f func()) string {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	stdout := os.Stdout
	os.Stdout = w
	defer func() { os.Stdout = stdout }()
	f()
	w.Close()
	var out bytes.Buffer
	if _, err := io.Copy(&out, r); err != nil {
		t.Fatal(err)
	}
	return out.String()
}
