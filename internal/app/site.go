package app

import (
	"context"
	"fmt"
	"strconv"

	"github.com/rootly-idp-sync/rootly-idp-sync/config"
	"github.com/rootly-idp-sync/rootly-idp-sync/internal/daemon"
	"github.com/rootly-idp-sync/rootly-idp-sync/internal/web"
)

// newService is the daemon with the site that shows it.
func (a *app) newService() *daemon.Daemon {
	var d *daemon.Daemon
	b := readBuild()
	late := lateDaemon{&d}
	a.site = web.New(web.Options{Daemon: late, Log: a.log, Now: a.now, Build: web.Build{Version: b.Version, Commit: b.Commit, Go: b.Go}})
	d = daemon.New(daemon.Options{
		Load: a.loadDaemon, Log: a.log, Now: a.now, Serve: a.serveSite, Metrics: a.site.Metrics.Handler(), Ended: a.site.Ended,
	})
	return d
}

// A lateDaemon is the daemon of a site that is there before it.
type lateDaemon struct{ d **daemon.Daemon }

func (l lateDaemon) State() daemon.State { return (*l.d).State() }
func (l lateDaemon) Subscribe() (updates <-chan daemon.State, cancel func()) {
	return (*l.d).Subscribe()
}
func (l lateDaemon) RunNow() { (*l.d).RunNow() }

// serveSite serves the page. That its everyday address is taken stops no sync; one that somebody chose does.
func (a *app) serveSite() (stop func(), err error) {
	stop, err = a.site.Serve()
	return a.pageOrNone(stop, err, a.site.Listen())
}

func (a *app) pageOrNone(stop func(), err error, listen string) (func(), error) {
	if err != nil && listen == config.DefaultHTTPListen {
		a.log.Warn("there is no status page", "error", err)
		return func() {}, nil
	}
	return stop, err
}

// showOn makes a pipeline what the site shows. The one before may be closed then.
func (a *app) showOn(ctx context.Context, p *pipeline) error {
	if a.directory == nil { // otherwise the process decides once who may see its pages
		access, err := accessOf(p.cfg.HTTP)
		if err != nil {
			return err
		}
		if err := a.site.Configure(access); err != nil {
			return err
		}
	}
	text, err := p.cfg.YAML()
	if err != nil {
		return err
	}
	p.shown = &web.Pipeline{Source: p.source.Tenant(), Target: p.cfg.Target.URL, Config: text, Records: p.memory, Rules: p.rules}
	a.site.Use(ctx, p.shown)
	return nil
}

// accessOf says who may see the page.
func accessOf(h config.HTTP) (web.Access, error) {
	access := web.Access{Listen: h.Listen, PublicURL: h.PublicURL, CertFile: h.CertFile, KeyFile: h.KeyFile, TokenRole: web.RoleViewer}
	if !h.Token.IsZero() {
		access.Token = h.Token.Reveal
	}
	if h.TokenRole == config.RoleApprover {
		access.TokenRole = web.RoleApprover
	}
	if o := h.OIDC; o != nil {
		access.OIDC = &web.OIDC{
			Issuer: o.Issuer, ClientID: o.ClientID, Scopes: o.Scopes, GroupsClaim: o.GroupsClaim, AllowedGroups: o.AllowedGroups,
			AllowedEmails: o.AllowedEmails, ApproverGroups: o.ApproverGroups, ApproverEmails: o.ApproverEmails,
		}
		if !o.ClientSecret.IsZero() {
			access.OIDC.ClientSecret = o.ClientSecret.Reveal
		}
		if o.CAFile != "" {
			roots, err := authorities(o.CAFile)
			if err != nil {
				return access, fmt.Errorf("http.oidc.ca_file: %w", err)
			}
			access.OIDC.RootCAs = roots
		}
	}
	return access, nil
}

// fixedOf are the values that only a restart of the daemon changes.
func fixedOf(cfg *config.Config) map[string]string {
	if cfg.Pipeline != "" {
		return map[string]string{"ha": fmt.Sprint(cfg.HA)}
	}
	return map[string]string{"http.listen": cfg.HTTP.Listen, "http.cert_file": strconv.FormatBool(cfg.HTTP.CertFile != ""), "ha": fmt.Sprint(cfg.HA)}
}
