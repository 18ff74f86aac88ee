package config

import (
	"crypto/x509"
	"fmt"
	"net/netip"
	"net/url"
	"os"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/robfig/cron/v3"
	"golang.org/x/text/language"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
)

// rootlyURL is the base of Rootly's SCIM endpoint.
const rootlyURL = "https://rootly.com/scim"

// validate checks what depends on the meaning of a key or on several keys; types, words and ranges are checked
// while reading.
func (l *loader) validate() {
	l.schedule()
	l.daemon()
	l.source()
	l.scope()
	l.groups()
	l.patterns("guard.protect", l.cfg.Guard.Protect)
	l.phoneRegion()
	l.target()
	l.rootly()
	l.notify()
	l.state()
	l.onCall()
	l.deleteAfter()
	l.ha()
	l.addresses()
}

// deleteAfter checks the last step of leaving, which cannot be taken back.
func (l *loader) deleteAfter() {
	const path = "delete_after"
	if _, given := l.origins[path]; !given {
		return
	}
	switch {
	case time.Duration(l.cfg.DeleteAfter) < oneDay:
		l.problem(path, "is shorter than a day", "write a time in which a mistake is noticed, such as 30d; to delete nobody, remove the line")
	case l.cfg.State.None:
		l.problem(path, "needs a ledger that remembers who left when, and state is none", "remove the line, or give state a path")
	case l.cfg.Removals == RemovalsNever:
		l.problem(path, "has no effect beside removals: never", "remove the line, or write removals: apply")
	}
}

// state checks the place of the ledger with what may be taken away without one.
func (l *loader) state() {
	state, removals := l.cfg.State, l.cfg.Removals
	l.keep(state)
	switch {
	case !state.None && !state.Shared() && state.Path == "":
		l.problem("state.path", "is empty", "name a file, such as rootly-idp-sync.db, or remove the line")
	case state.None && removals == RemovalsApply:
		l.problem("removals", "is apply, which needs a ledger: without one nobody knows whom this sync brought, and state is none",
			"write never, or confirmed (only leavers that the directory confirms, and no more at once than the floors of guard); or give state a path")
	case !state.None && removals == RemovalsConfirmed:
		l.problem("removals", "is confirmed, which is for state: none only", "write apply: with a ledger every leaver is confirmed as well")
	}
}

func (l *loader) schedule() {
	const remedy = `write a cron line of five fields such as "*/40 * * * *", or @every 40m`
	spec := l.cfg.Schedule
	// The cron package panics on a time zone that no space follows.
	if strings.Contains(spec, "TZ=") && !strings.Contains(spec, " ") {
		l.problem("schedule", "has a time zone and no schedule", remedy)
		return
	}
	schedule, err := cron.ParseStandard(spec)
	if err != nil {
		l.problem("schedule", "cannot be read: "+oneLine(err), remedy)
		return
	}
	if every, ok := schedule.(cron.ConstantDelaySchedule); ok && every.Delay < time.Minute {
		l.problem("schedule", "is more often than once a minute", remedy)
		return
	}
	// Any day of the calendar does: the next five years are looked through.
	if schedule.Next(time.Date(2026, time.January, 1, 0, 0, 0, 0, time.UTC)).IsZero() {
		l.problem("schedule", "names a day that never comes", remedy)
	}
}

func (l *loader) source() {
	var given []string
	for _, f := range fieldsOf(reflect.TypeFor[Source](), "source") {
		if !reflect.ValueOf(l.cfg.Source).Field(f.index).IsNil() {
			given = append(given, f.name)
		}
	}
	switch known := names(fieldsOf(reflect.TypeFor[Source](), "")); len(given) {
	case 0:
		l.problem("source", "names no directory", "give exactly one of "+known)
	case 1:
	default:
		l.problem("source", "names several directories: "+strings.Join(given, ", "), "keep one; run one sync for each directory")
	}
	if okta := l.cfg.Source.Okta; okta != nil {
		l.okta(okta)
	}
	if entra := l.cfg.Source.Entra; entra != nil {
		l.entra(entra)
	}
	if google := l.cfg.Source.Google; google != nil {
		l.google(google)
	}
	if ldap := l.cfg.Source.LDAP; ldap != nil {
		l.ldap(ldap)
	}
	if rippling := l.cfg.Source.Rippling; rippling != nil {
		l.rippling(rippling)
	}
	if scim := l.cfg.Source.SCIM; scim != nil {
		l.scim(scim)
	}
	if keycloak := l.cfg.Source.Keycloak; keycloak != nil {
		l.keycloak(keycloak)
	}
	if file := l.cfg.Source.File; file != nil && file.Path == "" {
		l.problem("source.file.path", "is missing", "name the file of users")
	}
}

func (l *loader) okta(o *Okta) {
	l.orgURL(o)
	token := !o.APIToken.IsZero() || o.APITokenFile != ""
	key := !o.PrivateKey.IsZero() || o.PrivateKeyFile != ""
	switch {
	case token && o.oauth():
		l.problem("source.okta", "has both an API token and OAuth credentials", "keep api_token, or client_id and private_key")
	case o.oauth() && o.ClientID == "":
		l.problem("source.okta.client_id", "is missing beside private_key", "write the client id of the service app")
	case o.oauth() && !key:
		l.problem("source.okta.private_key", "is missing beside client_id", "give private_key or private_key_file")
	case !token && !o.oauth():
		l.problem("source.okta.api_token", "is missing", "set OKTA_API_TOKEN, give api_token or api_token_file, or use client_id and private_key")
	}
	l.onlyFor(connectors.ScopeAssigned, "source.okta.app_id", o.AppID != "")
	if !o.oauth() && len(o.Scopes) > 0 {
		l.problem("source.okta.scopes", "is for OAuth credentials only", "remove it, or use client_id and private_key")
	}
	if !o.oauth() && o.PrivateKeyID != "" {
		l.problem("source.okta.private_key_id", "is for OAuth credentials only", "remove it, or use client_id and private_key")
	}
}

func (l *loader) orgURL(o *Okta) {
	const path, remedy = "source.okta.org_url", "write the org's address, such as https://acme.okta.com"
	if o.OrgURL == "" {
		l.problem(path, "is missing", remedy)
		return
	}
	u, err := url.Parse(o.OrgURL)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		l.problem(path, "is no address of an Okta org", remedy)
		return
	}
	label, _, _ := strings.Cut(u.Hostname(), ".")
	switch {
	case u.Scheme == "http" && !loopback(u.Hostname()):
		l.problem(path, "is not https", remedy)
	case strings.HasSuffix(label, "-admin"):
		l.problem(path, "is the address of the admin console", "leave -admin out of it")
	case u.User != nil || u.RawQuery != "" || u.Fragment != "" || strings.Trim(u.Path, "/") != "":
		l.problem(path, "has more than the host", remedy)
	}
	o.OrgURL = strings.TrimRight(o.OrgURL, "/")
}

func (l *loader) google(g *Google) {
	key := !g.Credentials.IsZero() || g.CredentialsFile != ""
	switch {
	case key && g.Impersonate != "":
		l.problem("source.google", "has both a key file and a service account to impersonate", "keep credentials_file or impersonate")
	case g.Subject != "" && !key && g.Impersonate == "":
		l.problem("source.google.subject", "needs a service account that acts for it", "give credentials_file, or impersonate")
	case g.Subject == "" && (g.Customer == "" || g.Customer == "my_customer"):
		l.problem("source.google.subject", "is missing", "write the e-mail address of an administrator; or, if the service account has an administrator role itself, write customer with the account's id")
	}
	if l.cfg.Scope.Mode == connectors.ScopeOrgUnits && len(g.OrgUnits) == 0 {
		l.problem("source.google.org_units", "is missing, and scope.mode org_units needs it", "list the units by their paths, such as /Engineering")
	}
	l.onlyFor(connectors.ScopeOrgUnits, "source.google.org_units", len(g.OrgUnits) > 0)
	l.onlyFor(connectors.ScopeOrgUnits, "source.google.sub_units", g.SubUnits)
	for i, path := range g.OrgUnits {
		if !strings.HasPrefix(path, "/") {
			l.problem(fmt.Sprintf("source.google.org_units[%d]", i), "is no path", "begin it with /, as in /Engineering/SRE")
		}
	}
}

func (l *loader) scope() {
	scope, modes := l.cfg.Scope, l.cfg.Source.modes()
	var words []string
	for _, m := range modes {
		words = append(words, string(m))
	}
	switch {
	case scope.Mode == "":
		l.problem("scope.mode", "is missing, and there is no default", "write "+orList(words))
	case !slices.Contains(modes, scope.Mode):
		l.problem("scope.mode", "is "+string(scope.Mode)+", which this directory does not know", "write "+orList(words))
	}
	if okta := l.cfg.Source.Okta; okta != nil && scope.Mode == connectors.ScopeAssigned && okta.AppID == "" {
		l.problem("source.okta.app_id", "is missing, and scope.mode assigned needs it", "write the id of the application, such as 0oa1b2c3; it stands in the app's address in the admin console")
	}
	if scope.Mode == connectors.ScopeGroups && len(scope.Groups) == 0 {
		l.problem("scope.groups", "is missing, and scope.mode groups needs it", `list the groups by name, or by id as "id:…"`)
	}
	l.onlyFor(connectors.ScopeGroups, "scope.groups", len(scope.Groups) > 0)
	for i, p := range l.patterns("scope.groups", scope.Groups) {
		if !p.Exact() {
			l.problem(fmt.Sprintf("scope.groups[%d]", i), "has a *, and the scope's groups must be named exactly", `write the whole name, or the id as "id:…"`)
		}
	}
	l.patterns("scope.exclude", scope.Exclude)
}

// onlyFor refuses a key that is given and that the scope mode does not look at. Of a missing mode nothing is known yet.
func (l *loader) onlyFor(mode connectors.ScopeMode, path string, given bool) {
	if chosen := l.cfg.Scope.Mode; given && chosen != "" && chosen != mode {
		l.problem(path, "has no meaning for scope.mode "+string(chosen), "remove it, or write scope.mode: "+string(mode))
	}
}

// modes are the scope modes that the chosen directory knows; all of them as long as none is chosen.
func (s Source) modes() []connectors.ScopeMode {
	if s.Google != nil {
		return []connectors.ScopeMode{connectors.ScopeGroups, connectors.ScopeOrgUnits, connectors.ScopeAll}
	}
	if (s.File != nil || s.LDAP != nil || s.Rippling != nil || s.SCIM != nil) && s.Okta == nil && s.Entra == nil && s.Keycloak == nil {
		return []connectors.ScopeMode{connectors.ScopeGroups, connectors.ScopeAll}
	}
	return []connectors.ScopeMode{connectors.ScopeAssigned, connectors.ScopeGroups, connectors.ScopeAll}
}

// patterns parses a list of patterns and reports each bad one. The result has an item for each item of the list.
func (l *loader) patterns(path string, list []string) connectors.Patterns {
	out := make(connectors.Patterns, 0, len(list))
	for i, text := range list {
		p, err := connectors.ParsePattern(text)
		if err != nil {
			l.problem(fmt.Sprintf("%s[%d]", path, i), "is no pattern: "+oneLine(err), "")
			p, _ = connectors.ParsePattern("-")
		}
		out = append(out, p)
	}
	return out
}

func (l *loader) phoneRegion() {
	region, err := language.ParseRegion(l.cfg.PhoneRegion)
	if err != nil || !region.IsCountry() || region.Canonicalize().String() != l.cfg.PhoneRegion {
		l.problem("phone_region", "is no ISO 3166 region", "write two capital letters, such as US or DE")
	}
}

func (l *loader) target() {
	t := &l.cfg.Target
	if t.Token.IsZero() && t.TokenFile == "" {
		l.problem("target.token", "is missing", "set ROOTLY_SCIM_TOKEN, or give token or token_file; Rootly shows it under Integrations, SSO")
	}
	l.targetURL(t)
	if t.CAFile != "" {
		l.authorities("target.ca_file", t.CAFile)
	}
}

// authorities checks a file of certificates to trust.
func (l *loader) authorities(path, file string) {
	pem, err := os.ReadFile(file)
	switch {
	case err != nil:
		l.problem(path, "cannot be read: "+oneLine(err), "name a file of PEM certificates; the path is relative to the configuration file")
	case !x509.NewCertPool().AppendCertsFromPEM(pem):
		l.problem(path, "holds no certificate", "name a file of PEM certificates")
	}
}

func (l *loader) targetURL(t *Target) {
	const path, remedy = "target.url", "write the SCIM base URL; Rootly's is " + rootlyURL
	if t.URL == "" {
		l.problem(path, "is missing", remedy)
		return
	}
	u, err := url.Parse(t.URL)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		l.problem(path, "is no web address", remedy)
		return
	}
	switch {
	case u.User != nil:
		l.problem(path, "holds a user name or password", "remove it; the token goes into target.token")
	case u.RawQuery != "" || u.Fragment != "" || u.ForceQuery:
		l.problem(path, "has something after the path", remedy)
	case u.Scheme == "http" && !t.AllowHTTP && !loopback(u.Hostname()):
		l.problem(path, "is not https, so the token would travel unencrypted", "write https://, or set target.allow_http: true if the network between is trusted")
	}
	if trimmed := strings.TrimRight(t.URL, "/"); trimmed != t.URL {
		t.URL = trimmed
		l.note("the trailing slash of target.url was removed")
	}
	host := strings.ToLower(u.Hostname())
	if (host == "rootly.com" || strings.HasSuffix(host, ".rootly.com")) && t.URL != rootlyURL {
		l.note("target.url is not %s, which is Rootly's SCIM endpoint (its path is /scim, without /v2)", rootlyURL)
	}
}

// loopback tells whether a host is this machine itself.
func loopback(host string) bool {
	if addr, err := netip.ParseAddr(host); err == nil {
		return addr.IsLoopback()
	}
	return strings.EqualFold(host, "localhost")
}

// oneLine is an error's text on one line.
func oneLine(err error) string { return strings.Join(strings.Fields(err.Error()), " ") }
