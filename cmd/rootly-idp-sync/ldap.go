package main

import (
	"fmt"
	"log/slog"
	"os"

	"github.com/rootly-idp-sync/rootly-idp-sync/config"
	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
	"github.com/rootly-idp-sync/rootly-idp-sync/connectors/ldap"
)

func openLDAP(cfg *config.Config, q connectors.Query, log *slog.Logger) (connectors.Connector, error) {
	c := cfg.Source.LDAP
	o := ldap.Options{
		URLs: c.URLs, StartTLS: c.StartTLS, AllowPlain: c.AllowPlain, BindDN: c.BindDN, Password: c.Password.Reveal,
		Flavor: ldap.Flavor(c.Flavor), Base: c.BaseDN, UserBases: c.UserBases, GroupBases: c.GroupBases,
		UserFilter: c.UserFilter, GroupFilter: c.GroupFilter, DisabledFilter: c.DisabledFilter,
		Attributes: ldap.Attributes(c.Attributes), PageSize: c.PageSize, Query: q, Log: log,
	}
	if c.CAFile != "" {
		pem, err := os.ReadFile(c.CAFile)
		if err != nil {
			return nil, fmt.Errorf("ldap: %w", err)
		}
		o.CA = pem
	}
	return ldap.New(o)
}
