package main

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net/http"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/rootly-idp-sync/rootly-idp-sync/internal/app"
)

func TestDemoTellsTwoDaysToTheEnd(t *testing.T) {
	for _, source := range []string{"okta", "google", "keycloak"} {
		t.Run(source, func(t *testing.T) { tellTwoDays(t, source, "disabled (") })
	}
}

func TestDemoOfADirectoryThatIsNotThere(t *testing.T) {
	var out, errs bytes.Buffer
	if code := app.Main(t.Context(), []string{"demo", "--source", "ldap"}, app.Stdio{Out: &out, Err: &errs}, openers()); code != 1 || !strings.Contains(errs.String(), "choose okta, entra, google or keycloak") {
		t.Errorf("exit code %d: %s", code, &errs)
	}
}

// tellTwoDays plays the demo and looks for its story; disabled is how the directory says that somebody is.
func tellTwoDays(t *testing.T, source, disabled string) {
	// okta-sdk-golang/v2 starts a cache's janitor even with the cache off; the garbage collector ends it.
	defer goleak.VerifyNone(t, goleak.IgnoreTopFunction("github.com/patrickmn/go-cache.(*janitor).Run"))
	t.Setenv("TMPDIR", t.TempDir())
	var out, errs bytes.Buffer
	code := app.Main(t.Context(), []string{"demo", "--source", source}, app.Stdio{Out: &out, Err: &errs}, openers())
	if code != 0 {
		t.Fatalf("exit code %d\n%s\n%s", code, &out, &errs)
	}
	rest := out.String()
	for _, want := range []string{
		"Plan: create 2", "more to create", // the long first plan is shortened
		"Done: created 2", "Nothing to change: Rootly matches the directory.",
		"A day passes", "joins the company", "leaves the company", "is in the middle of a shift in Rootly: Payments primary until", "edits the name of",
		"Plan: ", "1 person gains role group incident-admins", "edited in Rootly", "- deactivate user", disabled,
		"Held back, not applied (1 change)", "on call now: Payments primary until ", "ends by itself when the shift is somebody else's", "--include-on-call",
		"Done: ", "Nothing to apply now. Held back: deactivate 1 person.",
		"takes over the shift of", "No longer on call", "Done: deactivated 1 person", "Nothing to change: Rootly matches the directory.", "rootly-idp-sync init",
	} {
		_, after, found := strings.Cut(rest, want)
		if !found {
			t.Fatalf("the story lacks %q at its place:\n%s", want, &out)
		}
		rest = after
	}
	if strings.Contains(errs.String(), "\x1b") || strings.Contains(out.String(), "\x1b") {
		t.Error("colour without a terminal")
	}
}

func TestServedDemoAnswersTheVerbsUntilItIsStopped(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	r, w := io.Pipe()
	ended := make(chan int, 1)
	go func() {
		code := app.Main(ctx, []string{"demo", "--serve"}, app.Stdio{Out: w, Err: io.Discard}, openers())
		w.Close()
		ended <- code
	}()
	var config, control string
	lines := bufio.NewScanner(r)
	for lines.Scan() && control == "" {
		if _, path, ok := strings.Cut(lines.Text(), "ROOTLY_IDP_SYNC_CONFIG="); ok {
			config = path
		}
		if _, rest, ok := strings.Cut(lines.Text(), "curl -X POST "); ok {
			control, _, _ = strings.Cut(rest, " ")
		}
	}
	go io.Copy(io.Discard, r) // until the demo closes its end

	verb := func(want int, args ...string) string {
		t.Helper()
		var out, errs bytes.Buffer
		if code := app.Main(t.Context(), append(args, "--config", config), app.Stdio{Out: &out, Err: &errs}, openers()); code != want {
			t.Fatalf("%v: exit code %d, want %d\n%s\n%s", args, code, want, &out, &errs)
		}
		return out.String()
	}
	verb(0, "doctor")
	verb(0, "sync")
	verb(0, "plan", "--detailed-exitcode")
	answer, err := http.Post(control, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	verb(2, "plan", "--detailed-exitcode")
	if out := verb(0, "status"); !strings.Contains(out, "in order") {
		t.Errorf("status:\n%s", out)
	}

	stop()
	if code := <-ended; code != 0 {
		t.Errorf("the demo ended with %d", code)
	}
	verb(1, "plan")
}
