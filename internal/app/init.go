package app

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/rootly-idp-sync/rootly-idp-sync/config"
	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
)

func (a *app) newInit() *cobra.Command {
	var source string
	var force bool
	cmd := &cobra.Command{
		Use:   "init",
		Short: "Write a commented configuration",
		Long: `Asks which directory to read and who belongs, and writes rootly-idp-sync.yaml (or the file of --config).
With --source it asks nothing and leaves placeholders. Tokens are never written: the file refers to
the environment for them.
` + exitHelp + `0 written; 1 not.`,
		Example: `  rootly-idp-sync init
  rootly-idp-sync init --source okta --config acme.yaml`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			answers := config.Answers{Source: source}
			if source == "" {
				if !terminal(a.In) {
					return errors.New("nobody can be asked here: say which directory with --source okta or --source file")
				}
				var err error
				if answers, err = ask(a.In, a.Err); err != nil {
					return err
				}
			}
			return a.writeStarter(answers, force)
		},
	}
	cmd.Flags().StringVar(&source, "source", "", "okta, entra, google, ldap, rippling, scim, keycloak or file: ask nothing")
	cmd.Flags().BoolVar(&force, "force", false, "replace a file that is there")
	return cmd
}

func (a *app) writeStarter(answers config.Answers, force bool) error {
	text, err := config.Starter(answers)
	if err != nil {
		return err
	}
	path, flag := "rootly-idp-sync.yaml", ""
	switch {
	case a.manyPipelines():
		return errors.New("which pipeline? Name it with --pipeline")
	case a.directory != nil:
		path = config.PipelinePath(a.directory.path, a.flags.pipeline)
		flag = " --config-dir " + a.directory.path + " --pipeline " + a.flags.pipeline
	case a.flags.config != "":
		path, flag = a.flags.config, " --config "+a.flags.config
	}
	mode := os.O_WRONLY | os.O_CREATE | os.O_EXCL
	if force {
		mode = os.O_WRONLY | os.O_CREATE | os.O_TRUNC
	}
	f, err := os.OpenFile(path, mode, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s is there already; --force replaces it, --config names another", path)
	}
	if err != nil {
		return fmt.Errorf("write configuration: %w", err)
	}
	_, err = f.Write(text)
	if err := errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("write configuration: %w", err)
	}
	fmt.Fprintf(a.Out, "Wrote %s. Next:\n", path)
	steps := []string{"export ROOTLY_SCIM_TOKEN=…   # Rootly: Integrations > SSO > SCIM Token"}
	if answers.Source == "okta" {
		steps = append(steps, "export OKTA_API_TOKEN=…      # Okta: Security > API > Tokens, by a read-only administrator")
	}
	if answers.Source == "entra" {
		steps = append(steps, "export AZURE_CLIENT_SECRET=… # Entra: App registrations > the app > Certificates & secrets, the Value")
	}
	if answers.Source == "rippling" {
		steps = append(steps, "export RIPPLING_API_TOKEN=…  # Rippling: Settings > Company Settings > API Access")
	}
	if answers.Source == "scim" {
		steps = append(steps, "export SCIM_SOURCE_TOKEN=…   # a token of the directory that reads users and groups")
	}
	if answers.Source == "keycloak" {
		steps = append(steps, "export KEYCLOAK_CLIENT_SECRET=… # Keycloak: Clients > the client > Credentials")
	}
	for _, verb := range []string{"validate", "doctor", "plan"} {
		steps = append(steps, "rootly-idp-sync "+verb+flag)
	}
	for _, s := range steps {
		fmt.Fprintf(a.Out, "  %s\n", s)
	}
	return nil
}

// ask leads through the choices that have no default. Questions go to out, which is not the result.
func ask(in io.Reader, out io.Writer) (config.Answers, error) {
	q := questions{in: bufio.NewReader(in), out: out}
	var a config.Answers
	a.Source = q.choose("Which directory holds the people?", "okta", "entra", "google", "ldap", "rippling", "scim", "keycloak", "file")
	switch a.Source {
	case "okta":
		a.OrgURL = q.text("Address of the Okta org, such as https://acme.okta.com")
		a.Mode = connectors.ScopeMode(q.choose("Who belongs in Rootly: those assigned to an app in Okta, the members of groups, or all?",
			string(connectors.ScopeAssigned), string(connectors.ScopeGroups), string(connectors.ScopeAll)))
		if a.Mode == connectors.ScopeAssigned {
			a.AppID = q.text("Id of the app (0oa… in its address in the Admin Console)")
		}
	case "entra":
		a.TenantID = q.text("Directory (tenant) ID of the Entra tenant")
		a.ClientID = q.text("Application (client) ID of the app registration that reads it")
		a.Mode = connectors.ScopeMode(q.choose("Who belongs in Rootly: those assigned to an enterprise application, the members of groups, or all?",
			string(connectors.ScopeAssigned), string(connectors.ScopeGroups), string(connectors.ScopeAll)))
		if a.Mode == connectors.ScopeAssigned {
			a.AppID = q.text("Application ID of the enterprise application")
		}
	case "google":
		a.KeyFile = q.text("File with the service account's key, JSON")
		a.Subject = q.text("E-mail address of the administrator in whose name it reads")
		a.Mode = connectors.ScopeMode(q.choose("Who belongs in Rootly: the members of groups, or all?",
			string(connectors.ScopeGroups), string(connectors.ScopeAll)))
	case "ldap":
		a.URL = q.text("Address of the server, such as ldaps://dc1.acme.com")
		a.BaseDN = q.text("DN below which everything lies, such as dc=acme,dc=com")
		a.BindDN = q.text("DN of the reader; for Active Directory its user principal name will do")
		a.Mode = connectors.ScopeMode(q.choose("Who belongs in Rootly: the members of groups, or all?",
			string(connectors.ScopeGroups), string(connectors.ScopeAll)))
	case "rippling":
		a.Company = q.text("A name of the company that is going to stay, such as acme")
		a.Mode = connectors.ScopeMode(q.choose("Who belongs in Rootly: the members of teams, or all?",
			string(connectors.ScopeGroups), string(connectors.ScopeAll)))
	case "scim":
		a.SCIMURL = q.text("SCIM base URL of the directory, the address above /Users")
		a.Mode = connectors.ScopeMode(q.choose("Who belongs in Rootly: the members of groups, or all?",
			string(connectors.ScopeGroups), string(connectors.ScopeAll)))
	case "keycloak":
		a.URL = q.text("Address of the Keycloak server, such as https://sso.acme.com")
		a.Realm = q.text("Name of the realm")
		a.ClientID = q.text("Client ID of the client whose service account reads it")
		a.Mode = connectors.ScopeMode(q.choose("Who belongs in Rootly: those with a role of a client, the members of groups, or all?",
			string(connectors.ScopeAssigned), string(connectors.ScopeGroups), string(connectors.ScopeAll)))
		if a.Mode == connectors.ScopeAssigned {
			a.Client = q.text("Client ID of the client whose roles count")
		}
	case "file":
		a.Path = q.text("File of people, CSV or JSON")
		a.GroupsPath = q.optional("File of groups and members (empty for none)")
		a.Mode = connectors.ScopeMode(q.choose("Who belongs in Rootly: the members of groups, or all?",
			string(connectors.ScopeGroups), string(connectors.ScopeAll)))
	}
	if a.Mode == connectors.ScopeGroups {
		a.ScopeGroups = list(q.text("Names of those groups, separated by commas"))
	}
	a.Push = list(q.optional("Groups that become Rootly groups, separated by commas; * matches anything (empty for none)"))
	return a, q.err
}

// questions asks until an answer will do; after the first error it asks no more.
type questions struct {
	in  *bufio.Reader
	out io.Writer
	err error
}

func (q *questions) line(prompt string) string {
	if q.err != nil {
		return ""
	}
	fmt.Fprintf(q.out, "%s\n> ", prompt)
	text, err := q.in.ReadString('\n')
	text = strings.TrimSpace(text)
	if err != nil && text == "" {
		q.err = errors.New("the questions were not answered; nothing was written")
	}
	return text
}

func (q *questions) optional(prompt string) string { return q.line(prompt) }

func (q *questions) text(prompt string) string {
	for q.err == nil {
		if s := q.line(prompt); s != "" {
			return s
		}
	}
	return ""
}

func (q *questions) choose(prompt string, choices ...string) string {
	prompt += " [" + strings.Join(choices, ", ") + "]"
	for q.err == nil {
		answer := q.line(prompt)
		for _, c := range choices {
			if strings.EqualFold(answer, c) {
				return c
			}
		}
	}
	return ""
}

func list(s string) []string {
	var out []string
	for item := range strings.SplitSeq(s, ",") {
		if item = strings.TrimSpace(item); item != "" {
			out = append(out, item)
		}
	}
	return out
}
