package main

import (
	"github.com/rootly-idp-sync/rootly-idp-sync/config"
	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
	"github.com/rootly-idp-sync/rootly-idp-sync/connectors/file"
	"github.com/rootly-idp-sync/rootly-idp-sync/internal/app"
)

func openFile(cfg *config.Config, with app.OpenOptions) (connectors.Connector, error) {
	c := cfg.Source.File
	return file.New(file.Options{UsersPath: c.Path, GroupsPath: c.GroupsPath, Format: string(c.Format), Name: c.Name, Query: with.Query, Log: with.Log})
}
