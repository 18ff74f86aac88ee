package app

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/rootly-idp-sync/rootly-idp-sync/config"
	"github.com/rootly-idp-sync/rootly-idp-sync/reconcile"
)

func (a *app) newConfig() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "config",
		Short: "Show the configuration and its schema",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(&cobra.Command{
		Use:   "schema",
		Short: "Print the JSON Schema of the configuration, for editors",
		Example: `  rootly-idp-sync config schema > rootly-idp-sync.schema.json
  # then, as the first line of the configuration:
  # yaml-language-server: $schema=rootly-idp-sync.schema.json`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error { return a.print(config.Schema()) },
	}, &cobra.Command{
		Use:   "show",
		Short: "Print the effective configuration: file, environment and defaults, secrets masked",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			cfg, _, err := a.load()
			if err != nil {
				return err
			}
			return a.print(cfg.YAML())
		},
	}, &cobra.Command{
		Use:   "example",
		Short: "Print a commented configuration with every key",
		Args:  cobra.NoArgs,
		RunE:  func(*cobra.Command, []string) error { return a.print(config.Example(), nil) },
	})
	return cmd
}

func (a *app) print(text []byte, err error) error {
	if err != nil {
		return err
	}
	if _, err := a.Out.Write(text); err != nil {
		return fmt.Errorf("write the result: %w", err)
	}
	return nil
}

func (a *app) newValidate() *cobra.Command {
	return &cobra.Command{
		Use:   "validate",
		Short: "Check the configuration, its patterns and expressions, without the network",
		Long: `Reads the configuration and the environment and reports everything that is wrong at once, each with
its key and what to do. Nothing is sent. With --config-dir and no --pipeline it checks all pipelines and process.yaml.
` + exitHelp + `0 valid; 1 not.`,
		Example: `  rootly-idp-sync validate --config acme.yaml`,
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			if a.manyPipelines() {
				return a.validateAll()
			}
			cfg, err := a.validate()
			if err != nil {
				return err
			}
			valid := struct {
				Valid  bool   `json:"valid"`
				OnCall string `json:"onCall"`
			}{true, onCallState(cfg)}
			return a.show(page{title: "The configuration is valid.", sections: []pageSection{
				{title: "On call", lines: []string{valid.OnCall}},
			}, data: valid}, reconcile.TextOptions{})
		},
	}
}

// validate reads the configuration and makes of it, without the network, what a cycle needs.
func (a *app) validate() (*config.Config, error) {
	cfg, rules, err := a.load()
	if err != nil {
		return nil, err
	}
	if _, err := a.openSource(cfg, rules); err != nil {
		return nil, err
	}
	target, err := a.openTarget(cfg, a.log)
	if err != nil {
		return nil, err
	}
	target.Close()
	_, err = a.openRootly(cfg, a.log)
	return cfg, err
}
