package main

import (
	"fmt"
	"os"

	"github.com/rootly-idp-sync/rootly-idp-sync/config"
	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
	"github.com/rootly-idp-sync/rootly-idp-sync/connectors/ldap"
	"github.com/rootly-idp-sync/rootly-idp-sync/internal/app"
)

func openLDAP(cfg *config.Config, with app.OpenOptions) (connectors.Connector, error) {
	c := cfg.Source.LDAP
	o := ldap.Options{
		URLs: c.URLs, StartTLS: c.StartTLS, AllowPlain: c.AllowPlain, BindDN: c.BindDN, Password: c.Password.Reveal,
		Flavor: ldap.Flavor(c.Flavor), Base: c.BaseDN, UserBases: c.UserBases, GroupBases: c.GroupBases,
		UserFilter: c.UserFilter, GroupFilter: c.GroupFilter, DisabledFilter: c.DisabledFilter,
		Attributes: ldap.Attributes(c.Attributes), PageSize: c.PageSize, Query: with.Query, Observe: with.Observe, Log: with.Log,
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
