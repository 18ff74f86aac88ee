package app

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"time"

	"github.com/rootly-idp-sync/rootly-idp-sync/config"
	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
	"github.com/rootly-idp-sync/rootly-idp-sync/internal/daemon"
	"github.com/rootly-idp-sync/rootly-idp-sync/internal/store"
	"github.com/rootly-idp-sync/rootly-idp-sync/internal/trace"
	"github.com/rootly-idp-sync/rootly-idp-sync/internal/web"
	"github.com/rootly-idp-sync/rootly-idp-sync/reconcile"
	"github.com/rootly-idp-sync/rootly-idp-sync/scimclient"
)

// load reads the configuration and compiles its rules. Its error holds every problem of both.
func (a *app) load() (*config.Config, *reconcile.Rules, error) {
	return a.loadLess(func(ps config.Problems) config.Problems { return ps })
}

// loadOffline is load for runs that ask neither side: they need no secrets.
func (a *app) loadOffline() (*config.Config, *reconcile.Rules, error) {
	cfg, rules, err := a.loadLess(config.Problems.WithoutSecrets)
	if err != nil {
		return nil, nil, err
	}
	// A connector that is opened for its tenant's name wants credentials. These are never sent.
	if o := cfg.Source.Okta; o != nil && o.APIToken.IsZero() && o.PrivateKey.IsZero() {
		o.ClientID, o.APIToken = "", config.NewSecret("offline")
	}
	if r := cfg.Source.Rippling; r != nil && r.APIToken.IsZero() {
		r.APIToken = config.NewSecret("offline")
	}
	if s := cfg.Source.SCIM; s != nil && s.Token.IsZero() && s.Password.IsZero() {
		s.Token = config.NewSecret("offline")
	}
	return cfg, rules, nil
}

func (a *app) loadLess(relevant func(config.Problems) config.Problems) (*config.Config, *reconcile.Rules, error) {
	cfg, path, err := a.readConfig()
	problems, wrong := errors.AsType[config.Problems](err)
	if err != nil && !wrong {
		return nil, nil, err
	}
	rules, err := reconcile.Compile(ruleOptions(cfg))
	if bad, ok := errors.AsType[reconcile.RuleErrors](err); ok {
		problems = addRules(problems, cfg, bad)
	} else if err != nil {
		return nil, nil, err
	}
	if problems = relevant(problems); len(problems) > 0 {
		return nil, nil, fmt.Errorf("configuration %s: %w", path, problems)
	}
	if err := a.clashes(cfg); err != nil {
		return nil, nil, err
	}
	for _, n := range cfg.Notes {
		a.note("note: %s", n)
	}
	return cfg, rules, nil
}

// addRules adds what the rules' compiler found to what the loader found, one problem a key.
func addRules(problems config.Problems, cfg *config.Config, bad reconcile.RuleErrors) config.Problems {
	known := map[string]bool{}
	for _, p := range problems {
		known[p.Path] = true
	}
	for _, e := range bad {
		if !known[e.Path] {
			problems = append(problems, cfg.Problem(e.Path, e.Text, e.Remedy))
		}
	}
	problems.Sort()
	return problems
}

// sourceName is the name of the directory that the configuration chose.
func sourceName(s config.Source) string {
	switch {
	case s.Okta != nil:
		return "okta"
	case s.Entra != nil:
		return "entra"
	case s.Google != nil:
		return "google"
	case s.LDAP != nil:
		return "ldap"
	case s.Rippling != nil:
		return "rippling"
	case s.SCIM != nil:
		return "scim"
	case s.Keycloak != nil:
		return "keycloak"
	case s.File != nil:
		return "file"
	}
	return ""
}

// narrowed is what, beside the scope, decides who is read from the directory: a change of it is one of the rules, and
// nobody's leaving.
func narrowed(s config.Source) string {
	if g := s.Google; g != nil && len(g.OrgUnits)+len(g.Query) > 0 {
		return fmt.Sprintf("org_units=%q sub_units=%t query=%q", g.OrgUnits, g.SubUnits, g.Query)
	}
	if d := s.LDAP; d != nil {
		return fmt.Sprintf("user_bases=%q group_bases=%q user_filter=%q group_filter=%q disabled_filter=%q attributes=%q flavor=%q",
			d.UserBases, d.GroupBases, d.UserFilter, d.GroupFilter, d.DisabledFilter, d.Attributes, d.Flavor)
	}
	if e := s.Entra; e != nil {
		return fmt.Sprintf("app_id=%s nested=%t", e.AppID, e.Nested)
	}
	if k := s.Keycloak; k != nil {
		return fmt.Sprintf("client=%s roles=%q nested=%t", k.Client, k.Roles, k.Nested)
	}
	if o := s.Okta; o != nil {
		return "app_id=" + o.AppID
	}
	if r := s.Rippling; r != nil && (r.Nested || r.Groups != "") {
		return fmt.Sprintf("groups=%s nested=%t", r.Groups, r.Nested)
	}
	if c := s.SCIM; c != nil && (c.Nested || c.Filter != "") {
		return fmt.Sprintf("filter=%q nested=%t", c.Filter, c.Nested)
	}
	return ""
}

func ruleOptions(cfg *config.Config) reconcile.RuleOptions {
	limit := func(l config.Limit) reconcile.Limit {
		return reconcile.Limit{Share: float64(l.Share), Count: l.Count, Floor: l.Floor}
	}
	o := reconcile.RuleOptions{
		Directory: sourceName(cfg.Source), Narrowed: narrowed(cfg.Source),
		Mode: cfg.Scope.Mode, Groups: cfg.Scope.Groups, Where: cfg.Scope.Where, Exclude: cfg.Scope.Exclude,
		Push: cfg.Groups.Push, Privileged: cfg.Groups.Privileged, OnRemoved: reconcile.OnRemoved(cfg.Groups.OnRemoved), Protect: cfg.Guard.Protect,
		Map: map[string]string{}, PhoneRegion: cfg.PhoneRegion,
		RemovalsNever: cfg.Removals == config.RemovalsNever, FloorsOnly: cfg.State.None,
		DeleteAfter: time.Duration(cfg.DeleteAfter),
		Guard: reconcile.Limits{
			reconcile.AxisDeactivations: limit(cfg.Guard.Deactivations),
			reconcile.AxisDeletions:     limit(cfg.Guard.Deletions),
			reconcile.AxisMemberships:   limit(cfg.Guard.Memberships),
			reconcile.AxisGroups:        limit(cfg.Guard.Groups),
			reconcile.AxisPrivileged:    limit(cfg.Guard.Privileged),
			reconcile.AxisRenames:       limit(cfg.Guard.Renames),
		},
		OnCall: onCallRules(cfg.OnCall),
	}
	for attr, expr := range map[string]*string{
		reconcile.AttrUserName: cfg.Map.UserName, reconcile.AttrExternalID: cfg.Map.ExternalID,
		reconcile.AttrGivenName: cfg.Map.GivenName, reconcile.AttrFamilyName: cfg.Map.FamilyName,
		reconcile.AttrDisplayName: cfg.Map.DisplayName, reconcile.AttrEmail: cfg.Map.Email,
		reconcile.AttrMobilePhone: cfg.Map.MobilePhone, reconcile.AttrWorkPhone: cfg.Map.WorkPhone,
	} {
		if expr != nil {
			o.Map[attr] = *expr
		}
	}
	return o
}

func (a *app) openSource(cfg *config.Config, rules *reconcile.Rules) (connectors.Connector, error) {
	name := sourceName(cfg.Source)
	open, ok := a.openers[name]
	if !ok {
		return nil, fmt.Errorf("this build has no connector for source.%s (use the released binary)", name)
	}
	src, err := open(cfg, OpenOptions{
		Query: rules.Query(), Log: a.log.With("connector", name), Observe: a.observed(web.SideDirectory),
		Watch: func(base http.RoundTripper) http.RoundTripper { return a.watched(web.SideDirectory, base) },
	})
	if err != nil {
		return nil, fmt.Errorf("source.%s: %w", name, err)
	}
	return src, nil
}

// openTarget makes the client that writes, if the daemon allows it.
func (a *app) openTarget(cfg *config.Config, log *slog.Logger) (*scimclient.Client, error) {
	o := scimclient.Options{
		BaseURL: cfg.Target.URL, AllowHTTP: cfg.Target.AllowHTTP, Token: cfg.Target.Token.Reveal,
		MaxRate: cfg.Target.MaxRate, Concurrency: cfg.Target.Concurrency,
		Allow: a.allow, Log: log.With("side", "target"), UserAgent: "rootly-idp-sync/" + readBuild().Version,
	}
	if cfg.Target.CAFile != "" {
		t, err := trusting(cfg.Target.CAFile)
		if err != nil {
			return nil, fmt.Errorf("target.ca_file: %w", err)
		}
		o.Transport = t
	}
	o.Transport = a.watched(web.SideTarget, o.Transport)
	c, err := scimclient.New(o)
	if err != nil {
		return nil, fmt.Errorf("target: %w", err)
	}
	return c, nil
}

// trusting is a transport that trusts the authorities of a PEM file beside the system's.
func trusting(path string) (http.RoundTripper, error) {
	pool, err := authorities(path)
	if err != nil {
		return nil, err
	}
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.TLSClientConfig = &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
	t.MaxIdleConnsPerHost = 64 // as many as requests may be under way
	return t, nil
}

// authorities are the system's and those of a PEM file.
func authorities(path string) (*x509.CertPool, error) {
	pem, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		return nil, fmt.Errorf("read the system's certificates: %w", err)
	}
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s holds no PEM certificate", path)
	}
	return pool, nil
}

// A memory is what a cycle needs of the store: a state file, or with state: none what the process remembers.
type memory interface {
	reconcile.Journal
	Lock(ctx context.Context) (unlock func(), err error)
	Previous(ctx context.Context) (*connectors.Snapshot, time.Time, error)
	Prune(ctx context.Context, keep time.Duration) error
	daemon.Memory
	web.Records
	Close() error
}

var (
	_ memory = (*store.Store)(nil)
	_ memory = (*store.Memory)(nil)
)

// A pipeline is one directory, one target, the rules between them and the memory: all that a cycle needs.
type pipeline struct {
	cfg    *config.Config
	rules  *reconcile.Rules
	source connectors.Connector
	target *scimclient.Client
	pager  reconcile.Pager // nil when nobody is to be asked about
	memory memory
	tracer *trace.Tracer
	log    *slog.Logger
	shown  *web.Pipeline // on the site, nil when there is none
}

// open makes the pipeline of the configuration. It sends nothing; close must be called.
func (a *app) open(ctx context.Context) (*pipeline, error) { return a.openWith(ctx, false) }

// openWith is open, also with a state file that belongs to another directory or target, for relinking.
func (a *app) openWith(ctx context.Context, allowOther bool) (*pipeline, error) {
	cfg, rules, err := a.load()
	if err != nil {
		return nil, err
	}
	a.beginTracing(ctx)
	p := &pipeline{cfg: cfg, rules: rules, tracer: a.tracer, log: a.log}
	if p.source, err = a.openSource(cfg, rules); err != nil {
		return nil, err
	}
	if p.target, err = a.openTarget(cfg, a.log); err != nil {
		return nil, err
	}
	if p.pager, err = a.openPager(cfg, a.log); err != nil {
		return nil, err
	}
	if cfg.State.None {
		if a.stateless == nil {
			a.stateless = store.NewMemory(a.now)
		}
		p.memory = a.stateless
		return p, nil
	}
	st, err := a.openStore(ctx, cfg, p.source, allowOther)
	if err != nil {
		p.target.Close()
		return nil, err
	}
	p.memory = st
	return p, nil
}

func (a *app) openStore(ctx context.Context, cfg *config.Config, source connectors.Connector, allowOther bool) (*store.Store, error) {
	o := a.storeOptions(cfg, source.Tenant())
	o.AllowOther = allowOther
	return store.Open(ctx, o)
}

func (a *app) storeOptions(cfg *config.Config, tenant string) store.Options {
	o := store.Options{Path: cfg.State.Path, DSN: cfg.State.DSN.Reveal, Source: tenant, Target: cfg.Target.URL, LockTTL: cfg.HA.LeaseDuration.Std(), Log: a.log, Now: a.now, AtWork: a.atWork}
	if cfg.State.Shared() { // a file has one pipeline, whichever way it is named
		o.Pipeline = cfg.Pipeline
	}
	return o
}

// kept is the pipeline's state file, for verbs about what earlier runs left.
func (p *pipeline) kept() (*store.Store, error) {
	st, ok := p.memory.(*store.Store)
	if !ok {
		return nil, errStateless
	}
	return st, nil
}

// errStateless refuses what needs a memory of earlier runs.
var errStateless = errors.New("nothing is kept from run to run with state: none (give state a path in the configuration to have approvals, adoption, history and undo)")

// withStore runs f with the pipeline and its state file.
func (a *app) withStore(ctx context.Context, f func(p *pipeline, st *store.Store) error) (err error) {
	p, err := a.open(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.close()) }()
	st, err := p.kept()
	if err != nil {
		return err
	}
	return f(p, st)
}

// close lets go of the store and of idle connections: whoever loads a configuration again opens others.
func (p *pipeline) close() error {
	p.target.Close()
	for _, side := range []any{p.source, p.pager} {
		if c, ok := side.(interface{ Close() }); ok {
			c.Close()
		}
	}
	return p.memory.Close()
}
