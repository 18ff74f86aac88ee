//go:build unix

package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/spf13/cobra"

	"github.com/rootly-idp-sync/rootly-idp-sync/internal/app"
	"github.com/rootly-idp-sync/rootly-idp-sync/internal/sim"
)

// runs are the command lines that each command is run with, in this order; {dir} is the world's folder.
var runs = []struct {
	command string
	args    []string
}{
	{"init", []string{"--source", "okta", "--force", "--config", "{dir}/new.yaml"}},
	{"validate", nil},
	{"config show", nil}, {"config schema", nil}, {"config example", nil},
	{"doctor", nil}, {"doctor", []string{"--output", "json"}},
	{"sources inspect", []string{"--save", "{dir}/snapshot.json"}},
	{"plan", []string{"--out", "{dir}/plan.json"}}, {"plan", []string{"--output", "markdown"}}, {"plan", []string{"--snapshot", "{dir}/snapshot.json", "--output", "json"}},
	{"adopt", nil},
	{"apply", []string{"{dir}/plan.json"}},
	{"sync", nil}, {"sync", []string{"--only", "anna@acme.example"}},
	{"run", []string{"--once"}},
	{"explain", []string{"anna@acme.example"}},
	{"approve", []string{"0123456789ab", "--by", "test"}},
	{"escrow list", nil}, {"escrow retry", []string{"anna@acme.example"}}, {"escrow drop", []string{"anna@acme.example"}},
	{"undo", []string{"1", "--dry-run"}},
	{"notify test", nil},
	{"history", []string{"--output", "json"}},
	{"status", nil}, {"status", []string{"--fail-on-drift", "--output", "json"}},
	{"health", nil},
	{"version", nil},
}

// noSecrets are commands that never see the configuration.
var noSecrets = []string{"demo"}

// TestEveryCommandIsSearched: a new command has to be run with the canaries too.
func TestEveryCommandIsSearched(t *testing.T) {
	var walk func(c *cobra.Command, path string)
	known := map[string]bool{}
	for _, r := range runs {
		known[r.command] = true
	}
	walk = func(c *cobra.Command, path string) {
		for _, sub := range c.Commands() {
			name := strings.TrimSpace(path + " " + sub.Name())
			if sub.HasSubCommands() {
				walk(sub, name)
			} else if !known[name] && !slices.Contains(noSecrets, name) {
				t.Errorf("the table of runs has no line for %s", name)
			} else {
				delete(known, name)
			}
		}
	}
	walk(app.Command(), "")
	for name := range known {
		t.Errorf("the table of runs has %s, which is no command", name)
	}
}

// runAll runs every command, and searches what it prints and leaves behind.
func (w *world) runAll() {
	w.t.Helper()
	for _, r := range runs {
		args := strings.Fields(r.command)
		for _, a := range r.args {
			args = append(args, strings.ReplaceAll(a, "{dir}", w.dir))
		}
		w.run(w.t.Context(), args...)
	}
	w.searchFiles()
}

// TestSecretsStayInAWellRun: every command, against servers that are well and take the canaries.
func TestSecretsStayInAWellRun(t *testing.T) {
	t.Parallel()
	for _, name := range names() {
		t.Run(name, func(t *testing.T) {
			s := simulated(t)
			w := newWorld(t, name, s.addresses)
			w.runAll()
			if done := strings.Contains(w.printed.String(), "$ doctor\n") && strings.Contains(w.printed.String(), "created"); !done && s.works(name) {
				t.Errorf("nothing was synced:\n%s", w.printed.String())
			}
			w.heard(s.hook)
		})
	}
}

// A stage is a simulation whose credentials are canaries, and a receiver of notifications.
type stage struct {
	sim       *sim.Sim
	addresses map[string]string
	hook      *listener
}

// works tells whether the simulation knows the credentials of a world: the others are refused.
func (stage) works(name string) bool {
	return !slices.Contains([]string{"okta, service app", "entra", "entra, certificate", "scim, basic"}, name)
}

func simulated(t *testing.T) stage {
	t.Helper()
	token := func(key string) string { return canaryOf(key) + special }
	cfg := sim.Config{Seed: 1, People: 12, Groups: 3, SCIM: sim.RootlyLike()}
	cfg.Okta.Token, cfg.SCIM.Token, cfg.Rippling.Token = token("source.okta.api_token"), token("target.token"), token("source.rippling.api_token")
	cfg.Directory.Token, cfg.LDAP.Password = token("source.scim.token"), token("source.ldap.password")
	cfg.Keycloak.Secret = url.QueryEscape(token("source.keycloak.client_secret")) // as RFC 6749 has it travel
	cfg.Rootly.APIKey = token("rootly.api_key")
	s := sim.New(cfg)
	ends, err := s.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	hook := listen(t)
	return stage{s, map[string]string{
		"$okta": ends.OktaURL, "$app": ends.AppID, "$google": ends.GoogleURL, "$ldap": ends.LDAPURL, "$rippling": ends.RipplingURL, "$directory": ends.DirectoryURL,
		"$keycloak": ends.KeycloakURL, "$graph": ends.GraphURL, "$authority": ends.AuthorityURL, "$scim": ends.SCIMURL, "$rootly": ends.RootlyURL,
		"$issuer": hook.server.URL, "$hook": hook.server.URL,
	}, hook}
}

// A listener keeps all that it is sent.
type listener struct {
	server *httptest.Server
	mu     sync.Mutex
	got    []string
}

func listen(t *testing.T) *listener {
	l := &listener{}
	l.server = httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		r.Header.Del("Authorization") // what is asked with a token may have it
		l.mu.Lock()
		defer l.mu.Unlock()
		l.got = append(l.got, fmt.Sprintf("%v %s", r.Header, body))
	}))
	t.Cleanup(l.server.Close)
	return l
}

// heard searches what was sent to a listener, its own address aside.
func (w *world) heard(l *listener) {
	w.t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.got) == 0 {
		w.t.Error("nobody was notified of anything")
	}
	for _, text := range l.got {
		w.search("a notification", []byte(text))
	}
}

// echoes are the manners in which a server repeats what it was sent.
var echoes = map[string]func(w http.ResponseWriter, said string){
	"refuses":   func(w http.ResponseWriter, said string) { refuse(w, http.StatusUnauthorized, said) },
	"forbids":   func(w http.ResponseWriter, said string) { refuse(w, http.StatusForbidden, said) },
	"complains": func(w http.ResponseWriter, said string) { http.Error(w, said, http.StatusBadRequest) },
	"answers": func(w http.ResponseWriter, said string) {
		writeDocument(w, http.StatusOK, map[string]any{"echo": said, "id": said, "totalResults": said, "Resources": said, "detail": said, "schemas": []string{said}})
	},
	"redirects": func(w http.ResponseWriter, said string) {
		w.Header().Set("Location", "http://localhost:1/?"+url.Values{"said": {said}}.Encode())
		refuse(w, http.StatusFound, said)
	},
	"breaks": func(w http.ResponseWriter, said string) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			panic(err)
		}
		defer conn.Close()
		fmt.Fprintf(conn, "HTTP/1.1 %s\r\n%s\r\n\r\n", said, said)
	},
}

// refuse is a refusal in the words of all vendors at once, and every one of them repeats what was said.
func refuse(w http.ResponseWriter, status int, said string) {
	w.Header().Set("WWW-Authenticate", "Bearer error=invalid_token, error_description="+said)
	body := map[string]any{
		"schemas": []string{"urn:ietf:params:scim:api:messages:2.0:Error"}, "status": fmt.Sprint(status), "detail": said, "scimType": said, "message": said,
		"errorCode": said, "errorSummary": said, "errorMessage": said, "error_description": said, "code": said,
		"errors": []any{map[string]any{"title": said, "detail": said, "reason": said}},
		"error":  map[string]any{"code": said, "message": said, "status": said, "errors": []any{map[string]any{"reason": said}}},
	}
	if w.Header().Get("X-Oauth") != "" {
		body["error"] = "invalid_client"
	}
	writeDocument(w, status, body)
}

func writeDocument(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // who asked may have gone
}

// derived is an access token that the echoing servers give out for a credential.
const derived = "Cnryderivedaccesstoken"

// echoing is a server that repeats what it was sent: as it is, decoded, and encoded once more.
func echoing(t *testing.T, answer func(w http.ResponseWriter, said string), tokens bool) *httptest.Server {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(io.LimitReader(r.Body, 1<<16))
		if err != nil {
			return
		}
		token := strings.HasSuffix(r.URL.Path, "token")
		if token {
			w.Header().Set("X-Oauth", "1")
			if tokens {
				writeDocument(w, http.StatusOK, map[string]any{"access_token": derived, "token_type": "Bearer", "expires_in": 3600})
				return
			}
		}
		user, password, _ := r.BasicAuth()
		form, _ := url.ParseQuery(string(body))
		credential := r.Header.Get("Authorization") + " " + user + ":" + password + " " + form.Get("client_secret")
		if r.URL.Path != "/" && strings.Contains(r.URL.Path, "services") {
			credential += " " + r.URL.Path
		}
		credential = strings.TrimSpace(credential + r.URL.RawQuery)
		answer(w, credential+" "+base64.StdEncoding.EncodeToString([]byte(credential))+" "+url.QueryEscape(credential)+" "+fmt.Sprintf("%x", credential))
	}))
	t.Cleanup(server.Close)
	return server
}

// TestSecretsStayWhenAServerRepeatsThem: every directory, the target, Rootly's API and the receivers of notifications repeat what
// they were sent, in errors of every kind.
func TestSecretsStayWhenAServerRepeatsThem(t *testing.T) {
	for _, name := range names() {
		for manner, answer := range echoes {
			for _, tokens := range []bool{false, true} {
				if tokens && !slices.Contains([]string{"okta, service app", "google", "keycloak", "entra"}, name) {
					continue // nothing is asked for with a token of theirs
				}
				t.Run(fmt.Sprintf("%s/%s/%t", name, manner, tokens), func(t *testing.T) {
					t.Parallel()
					w := newWorld(t, name, everywhere(echoing(t, answer, tokens).URL))
					for _, args := range [][]string{{"doctor"}, {"sources", "inspect"}, {"sync"}, {"notify", "test"}, {"run", "--once"}} {
						w.briefly(args...)
					}
					w.searchFiles()
					if strings.Contains(w.printed.String(), derived) {
						t.Error("the access token is in the output")
					}
				})
			}
		}
	}
}

// TestAPasswordInAnAddressIsNotShown: an address is no place for a password, and whoever writes one there is told so without
// seeing it again.
func TestAPasswordInAnAddressIsNotShown(t *testing.T) {
	t.Parallel()
	const key = "http.token" // whose canary is somebody's password here
	for _, name := range names() {
		w := newWorld(t, name, everywhere("http://127.0.0.1:1"))
		for _, at := range addressKeys {
			was, has := w.keys[at]
			if !has {
				continue
			}
			for _, address := range []string{
				"https://user:" + canaryOf(key) + "@host.example", "http://user:" + canaryOf(key) + "@127.0.0.1:1/x", "https://user:" + canaryOf(key) + "@host.example:port/%zz",
				"user:" + canaryOf(key) + "@host.example", "https://host.example/?key=" + canaryOf(key) + "&x=%zz", "ldaps://user:" + canaryOf(key) + "@host.example:x",
			} {
				w.keys[at] = address
				if _, list := was.([]string); list {
					w.keys[at] = []string{address}
				}
				w.configure()
				for _, args := range [][]string{{"validate"}, {"config", "show"}, {"sources", "inspect"}} {
					w.briefly(args...)
				}
			}
			w.keys[at] = was
		}
	}
}

// TestAMistakeBesideASecretDoesNotShowIt breaks the configuration at each line that has a secret, in the ways in which people do.
func TestAMistakeBesideASecretDoesNotShowIt(t *testing.T) {
	t.Parallel()
	mistakes := map[string]func(line string) string{
		"a quote too few":   func(l string) string { return strings.Replace(l, "'", "", 1) + `"` },
		"a tab":             func(l string) string { return "\t" + l },
		"said twice":        func(l string) string { return l + "\n" + l },
		"another name":      func(l string) string { return strings.Replace(l, ":", "x:", 1) },
		"a list":            func(l string) string { return strings.Replace(l, ": ", ": [", 1) },
		"keys in its place": func(l string) string { return strings.Replace(l, ": ", ": {value: ", 1) + "}" },
		"no colon":          func(l string) string { return strings.Replace(l, ": ", " ", 1) },
		"a list's entry":    func(l string) string { return strings.Replace(l, ": ", ": - ", 1) },
		"an alias":          func(l string) string { return strings.Replace(l, ": ", ": *", 1) },
		"a tag":             func(l string) string { return strings.Replace(l, ": ", ": !!int ", 1) },
		"a variable":        func(l string) string { return strings.Replace(l, ": ", ": ${", 1) + "}" },
		"at the left":       strings.TrimSpace,
	}
	for n, name := range names() {
		w := newWorld(t, name, everywhere("http://127.0.0.1:1"))
		text, err := os.ReadFile(filepath.Join(w.dir, configName))
		if err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(string(text), "\n")
		for i, line := range lines {
			if !strings.Contains(line, "Cnry") || n > 0 && !strings.Contains(line, sourceCanary(name)) {
				continue // what all have in common is tried once
			}
			for _, wrong := range mistakes {
				broken := slices.Clone(lines)
				broken[i] = wrong(line)
				w.file(configName, strings.Join(broken, "\n"))
				for _, args := range [][]string{{"validate"}, {"config", "show"}} {
					w.run(t.Context(), args...)
				}
			}
		}
	}
}

// sourceCanary is the canary of a directory's own secret.
func sourceCanary(name string) string {
	if keys := directories[name].secrets; len(keys) > 0 {
		return canaryOf(keys[0])
	}
	return "none"
}

// briefly is run for a time in which errors come, and what is tried again is given up.
func (w *world) briefly(args ...string) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), 700*time.Millisecond)
	defer cancel()
	w.run(ctx, args...)
}

// TestSecretsStayOutOfPostgreSQL searches every table after a whole run, and what is said when the server is not there.
func TestSecretsStayOutOfPostgreSQL(t *testing.T) {
	t.Parallel()
	at, err := url.Parse(sharedPostgres(t).Database(t))
	if err != nil {
		t.Fatal(err)
	}
	s := simulated(t)
	w := newWorld(t, "okta, token", s.addresses)
	use := func(database string) {
		w.database = database
		w.keys["state.dsn"] = w.secret("state.dsn")
		w.configure()
	}
	use(at.Host + at.Path)
	w.runAll()
	for _, database := range []string{"127.0.0.1:1/sync", at.Host + "/nosuchdatabase"} {
		use(database)
		w.briefly("status")
		w.briefly("doctor")
		w.briefly("sync")
	}
	for _, dsn := range []string{"postgres://app:%zz" + canaryOf("state.dsn") + "@h/d", "host=h password=" + canaryOf("state.dsn") + " port=x", canaryOf("state.dsn")} {
		w.keys["state.dsn"] = dsn
		w.configure()
		w.briefly("status")
		w.briefly("doctor")
	}
	w.search("the database", []byte(dump(t, at.String())))
}

// dump is every row of every table of a database.
func dump(t *testing.T, dsn string) string {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(t.Context()))
	all := func(query string) []string {
		rows, err := conn.Query(t.Context(), query)
		if err != nil {
			t.Fatal(err)
		}
		texts, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			t.Fatal(err)
		}
		return texts
	}
	var out strings.Builder
	tables := all(`SELECT quote_ident(schemaname) || '.' || quote_ident(tablename) FROM pg_tables WHERE schemaname NOT IN ('pg_catalog', 'information_schema')`)
	if len(tables) < 5 {
		t.Fatalf("the database has only the tables %q", tables)
	}
	for _, table := range tables {
		for _, row := range all(`SELECT coalesce(t::text, '') FROM ` + table + ` t`) {
			fmt.Fprintln(&out, table, row)
		}
	}
	return out.String()
}

// A console is what a daemon prints, with the addresses that it says it listens on.
type console struct {
	mu    sync.Mutex
	text  bytes.Buffer
	lines chan map[string]any
}

func (c *console) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for line := range bytes.Lines(p) {
		var fields map[string]any
		if json.Unmarshal(line, &fields) == nil {
			c.lines <- fields
		}
	}
	return c.text.Write(p)
}

// TestSecretsStayOutOfThePages runs the daemon and asks for everything that its page leads to, that its API describes, and the
// metrics, with a directory that is well and with one that repeats what it is sent.
func TestSecretsStayOutOfThePages(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"okta, token", "ldap"} {
		for _, well := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s/%t", name, well), func(t *testing.T) {
				s := simulated(t)
				addresses := everywhere(echoing(t, echoes["refuses"], false).URL)
				if addresses["$hook"] = s.hook.server.URL; well {
					addresses = s.addresses
				}
				w := newWorld(t, name, addresses)
				ctx, stop := context.WithCancel(t.Context())
				out := &console{lines: make(chan map[string]any, 10_000)}
				ended := make(chan int, 1)
				go func() {
					ended <- app.Main(ctx, []string{"run", "--log-level", "debug", "--log-format", "json", "--config", filepath.Join(w.dir, configName)},
						app.Stdio{In: strings.NewReader(""), Out: out, Err: out}, openers())
				}()
				said := func(message, field string) string {
					for {
						select {
						case line := <-out.lines:
							if line["msg"] == message {
								text, _ := line[field].(string)
								return text
							}
						case code := <-ended:
							t.Fatalf("the daemon ended with %d:\n%s", code, out.text.String())
						}
					}
				}
				health := "http://" + said("health is served", "address")
				page := said("the status page is served", "url")
				said("cycle ended", "result")
				w.crawl(page, w.secret("http.token"))
				for _, path := range []string{"/healthz", "/readyz", "/metrics"} {
					w.ask(health+path, "")
				}
				w.searchFiles() // beside a store that is open: its WAL too
				stop()
				<-ended
				out.mu.Lock()
				defer out.mu.Unlock()
				w.search("the log", out.text.Bytes())
				w.searchFiles()
				if !well && strings.Contains(name, "okta") {
					w.heard(s.hook)
				}
			})
		}
	}
}

var link = regexp.MustCompile(`(?:href|action)="(/[^"#]*)"`)

// crawl asks for every page that another one leads to, and for what the API describes.
func (w *world) crawl(page, token string) {
	w.t.Helper()
	waiting, seen := []string{"/", "/metrics", "/api/v1/openapi.json", "/nowhere", "/people/nobody", "/cycles/99", "/cycles/1/changes.csv", "/history.csv", "/login", "/held/0123456789ab"}, map[string]bool{}
	var api struct {
		Paths map[string]any `json:"paths"`
	}
	if err := json.Unmarshal([]byte(w.ask(page+"/api/v1/openapi.json", token)), &api); err != nil || len(api.Paths) < 8 {
		w.t.Fatalf("the API is not described: %d paths, %v", len(api.Paths), err)
	}
	for path := range api.Paths {
		waiting = append(waiting, strings.NewReplacer("{id}", "1", "{fingerprint}", "0123456789ab").Replace(path))
	}
	for len(waiting) > 0 {
		path := html.UnescapeString(waiting[0])
		if waiting = waiting[1:]; seen[path] || strings.HasPrefix(path, "/static/") || len(seen) > 300 {
			continue
		}
		seen[path] = true
		for _, m := range link.FindAllStringSubmatch(w.ask(page+path, token), -1) {
			waiting = append(waiting, m[1])
		}
		w.ask(page+path, canaryOf("http.token")) // refused
	}
	if !seen["/config"] || !seen["/plan"] || len(seen) < 20 {
		w.t.Errorf("only these pages were found: %q", slices.Sorted(maps.Keys(seen)))
	}
}

// ask asks for a page and searches the answer.
func (w *world) ask(address, token string) string {
	w.t.Helper()
	r, err := http.NewRequestWithContext(w.t.Context(), http.MethodGet, address, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	client := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }, Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(r)
	if err != nil {
		w.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	w.search(address, fmt.Appendf(body, "%v", resp.Header))
	return string(body)
}
