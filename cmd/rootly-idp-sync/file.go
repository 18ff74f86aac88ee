package main

import (
	"log/slog"

	"github.com/rootly-idp-sync/rootly-idp-sync/config"
	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
	"github.com/rootly-idp-sync/rootly-idp-sync/connectors/file"
)

func openFile(cfg *config.Config, q connectors.Query, log *slog.Logger) (connectors.Connector, error) {
	c := cfg.Source.File
	return file.New(file.Options{UsersPath: c.Path, GroupsPath: c.GroupsPath, Format: string(c.Format), Name: c.Name, Query: q, Log: log})
}
