// Package config is the operator's file: its keys, strict loading from YAML, TOML or JSON and the environment,
// validation that reports every problem at once, secrets that cannot be printed, the example and the JSON Schema.
package config

import (
	"bytes"
	"encoding/json"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
)

// Config is the whole configuration. Load fills it; a Config that Load returned without an error is complete: paths
// are resolved, secrets are read, defaults are set, every pattern parses. CEL expressions are the one thing it does
// not check, for only the mapping knows their types.
//
// The struct tags are the single source of the keys (json), the JSON Schema (doc, enum, min, max, required) and the
// strict checks of the loader.
type Config struct {
	Schedule    string   `json:"schedule" doc:"When the daemon runs a cycle: a cron line of five fields or @every 40m."`
	Mode        Mode     `json:"mode,omitzero" enum:"observe,apply" doc:"What the daemon does: observe plans and reports and never writes to Rootly; apply writes. The daemon needs it; there is no default."`
	Jitter      Share    `json:"jitter" doc:"By how much of the time between two cycles, at most five minutes, each of them is put off at random."`
	TimeZone    string   `json:"time_zone" doc:"The IANA time zone in which the schedule is read."`
	RunAtStart  bool     `json:"run_at_start" doc:"Runs a cycle when the daemon starts, without waiting for the schedule."`
	Grace       Duration `json:"grace" doc:"How long the daemon may take to end requests under way and record them when it is told to stop."`
	Source      Source   `json:"source" required:"true" doc:"The directory to read: exactly one."`
	Scope       Scope    `json:"scope" required:"true" doc:"Who belongs in Rootly."`
	Groups      Groups   `json:"groups" doc:"Which groups of the directory become groups in Rootly."`
	Map         Map      `json:"map" doc:"CEL expressions over user, by SCIM attribute. A missing key keeps the directory's default, '' leaves the attribute unmanaged."`
	PhoneRegion string   `json:"phone_region" doc:"ISO 3166 region of phone numbers written without a country code."`
	Target      Target   `json:"target" required:"true" doc:"Rootly's SCIM endpoint."`
	Rootly      Rootly   `json:"rootly" doc:"Rootly's REST API, for what SCIM cannot do."`
	Notify      Notify   `json:"notify" doc:"Who is told what the sync cannot settle by itself. There is one channel of each kind."`
	Guard       Guard    `json:"guard" doc:"How much one cycle may take away before it is held."`
	OnCall      OnCall   `json:"on_call" doc:"What becomes of people who leave while they are on call."`
	Removals    Removals `json:"removals" enum:"apply,never,confirmed" doc:"never makes this sync additive for good: nobody is deactivated and no membership is removed. confirmed is for state: none only."`
	DeleteAfter Duration `json:"delete_after,omitzero" doc:"How long after somebody is gone from the directory for good their deactivated account is deleted, such as 30d. Without it nobody is ever deleted."`
	State       State    `json:"state" word:"none" doc:"Where the ledger is kept; the word none in place of keys keeps nothing, and needs removals: never or confirmed."`
	HTTP        HTTP     `json:"http" doc:"The daemon's status page and API."`
	Health      Health   `json:"health" doc:"Where the daemon answers probes."`
	HA          HA       `json:"ha" doc:"Which of several replicas runs the cycles."`

	// Notes are remarks of Load that are no problems, such as a trailing slash that was removed.
	Notes []string `json:"-"`
	// Pipeline is the name of this configuration in its directory, "" when it stands alone.
	Pipeline string `json:"-"`

	origins map[string]origin
}

// Source names one directory. Exactly one field is set.
type Source struct {
	Okta     *Okta     `json:"okta,omitzero" doc:"An Okta org."`
	Entra    *Entra    `json:"entra,omitzero" doc:"A Microsoft Entra tenant."`
	Google   *Google   `json:"google,omitzero" doc:"A Google Workspace account."`
	LDAP     *LDAP     `json:"ldap,omitzero" doc:"An LDAP directory: Active Directory, OpenLDAP, 389 Directory Server, FreeIPA or another."`
	Rippling *Rippling `json:"rippling,omitzero" doc:"A company at Rippling."`
	SCIM     *SCIM     `json:"scim,omitzero" doc:"A directory that is a SCIM 2.0 server."`
	Keycloak *Keycloak `json:"keycloak,omitzero" doc:"A realm of a Keycloak server."`
	File     *File     `json:"file,omitzero" doc:"CSV or JSON files."`
}

// Okta is an Okta org and the credentials to read it: an API token, or client_id with a private key.
type Okta struct {
	OrgURL         string   `json:"org_url" required:"true" doc:"The org's address, such as https://acme.okta.com, without -admin."`
	APIToken       Secret   `json:"api_token,omitzero" doc:"An API token of a read-only administrator. OKTA_API_TOKEN is used when no credentials are given."`
	APITokenFile   string   `json:"api_token_file,omitzero" doc:"A file with the API token."`
	ClientID       string   `json:"client_id,omitzero" doc:"The client id of an OAuth service app."`
	PrivateKey     Secret   `json:"private_key,omitzero" doc:"The service app's private key, PEM."`
	PrivateKeyFile string   `json:"private_key_file,omitzero" doc:"A file with the service app's private key, PEM."`
	PrivateKeyID   string   `json:"private_key_id,omitzero" doc:"The key's id (kid), needed when the app has several keys."`
	Scopes         []string `json:"scopes,omitzero" doc:"OAuth scopes to ask for. The default reads users, groups and apps."`
	AppID          string   `json:"app_id,omitzero" doc:"The application whose assignments are the scope, for scope.mode assigned."`
}

// Google is a Google Workspace account and the way to sign in: a service account's key file, a service account that is
// impersonated without one, or the application default credentials.
type Google struct {
	Credentials     Secret   `json:"credentials,omitzero" doc:"The service account's key file, its JSON text."`
	CredentialsFile string   `json:"credentials_file,omitzero" doc:"The service account's key file."`
	Impersonate     string   `json:"impersonate,omitzero" doc:"A service account, by e-mail, that signs through IAM in place of a key file; the application default credentials may sign for it."`
	Subject         string   `json:"subject,omitzero" doc:"The administrator in whose name the service account reads, by domain-wide delegation. Without it the service account needs an administrator role."`
	Customer        string   `json:"customer,omitzero" doc:"The account's customer id, such as C01abc2de; my_customer, the default, needs a subject."`
	OrgUnits        []string `json:"org_units,omitzero" doc:"For scope.mode org_units: the paths of the organizational units, such as /Engineering."`
	SubUnits        bool     `json:"sub_units,omitzero" doc:"Takes in the organizational units below org_units too."`
	Query           string   `json:"query,omitzero" doc:"A search of Google's that narrows the people in every mode, such as isSuspended=false."`
	Endpoint        string   `json:"endpoint,omitzero" doc:"Another address than https://admin.googleapis.com; https, or http on loopback."`
	TokenURI        string   `json:"token_uri,omitzero" doc:"Another token endpoint than the key file's; https, or http on loopback."`
}

// File is a directory kept in files.
type File struct {
	Path       string     `json:"path" required:"true" doc:"The file of users."`
	GroupsPath string     `json:"groups_path,omitzero" doc:"The file of groups and their members."`
	Format     FileFormat `json:"format" enum:"auto,csv,json,okta,entra,google" doc:"How the files are written; auto recognises them by their content."`
	Name       string     `json:"name" doc:"A lasting name of this directory; the ledger is bound to it. The default is the base name of path."`
}

// FileFormat says how the files of a File are written.
type FileFormat string

// The file formats. The vendors' names stand for the exports of their admin consoles.
const (
	FormatAuto   FileFormat = "auto"
	FormatCSV    FileFormat = "csv"
	FormatJSON   FileFormat = "json"
	FormatOkta   FileFormat = "okta"
	FormatEntra  FileFormat = "entra"
	FormatGoogle FileFormat = "google"
)

// Scope says who belongs. Mode has no default.
type Scope struct {
	Mode    connectors.ScopeMode `json:"mode" required:"true" enum:"assigned,groups,org_units,all" doc:"assigned: assigned to the application; groups: members of the listed groups; org_units: the people of source.google.org_units; all: everybody."`
	Groups  []string             `json:"groups" doc:"For mode groups: exact names, or id: and the group's id."`
	Where   string               `json:"where" doc:"A CEL condition over user that narrows the scope, such as user.department == \"SRE\"."`
	Exclude []string             `json:"exclude" doc:"People to leave alone: user names (* matches anything) or id: and the person's id."`
}

// Groups says which groups are pushed, independently of who is in scope.
type Groups struct {
	Push       []string  `json:"push" doc:"Groups that become Rootly groups: names (* matches anything) or id: and the group's id."`
	Privileged []string  `json:"privileged" doc:"Pushed groups that carry roles in Rootly: names (* matches anything) or id: and the group's id. Who enters or leaves one is weighed apart."`
	OnRemoved  OnRemoved `json:"on_removed" enum:"leave,empty,delete" doc:"What becomes of a managed group that the directory no longer has: leave it and say so, take its managed members out, or delete it."`
}

// OnRemoved says what becomes of a managed group that the directory no longer has.
type OnRemoved string

// What may become of such a group.
const (
	OnRemovedLeave  OnRemoved = "leave"
	OnRemovedEmpty  OnRemoved = "empty"
	OnRemovedDelete OnRemoved = "delete"
)

// Map holds one CEL expression per SCIM attribute. Nil keeps the directory's default; a pointer to "" leaves the
// attribute unmanaged.
type Map struct {
	UserName    *string `json:"userName,omitzero" doc:"The Rootly user name; must give an e-mail address."`
	ExternalID  *string `json:"externalId,omitzero" doc:"The directory's lasting id of the person."`
	GivenName   *string `json:"givenName,omitzero" doc:"First name."`
	FamilyName  *string `json:"familyName,omitzero" doc:"Last name."`
	DisplayName *string `json:"displayName,omitzero" doc:"Full name as shown."`
	Email       *string `json:"email,omitzero" doc:"E-mail address."`
	MobilePhone *string `json:"mobilePhone,omitzero" doc:"Mobile phone number."`
	WorkPhone   *string `json:"workPhone,omitzero" doc:"Work phone number."`
}

// Target is the SCIM endpoint that is written.
type Target struct {
	URL         string  `json:"url" required:"true" doc:"The SCIM base URL; Rootly's is https://rootly.com/scim."`
	Token       Secret  `json:"token,omitzero" doc:"The SCIM token. ROOTLY_SCIM_TOKEN is used when neither token nor token_file is given."`
	TokenFile   string  `json:"token_file,omitzero" doc:"A file with the SCIM token."`
	MaxRate     float64 `json:"max_rate" min:"0" doc:"The most requests a second; 0 lifts the limit."`
	Concurrency int     `json:"concurrency" min:"1" max:"64" doc:"How many requests may be under way at once."`
	CAFile      string  `json:"ca_file,omitzero" doc:"PEM certificates of a private authority to trust beside the system's."`
	AllowHTTP   bool    `json:"allow_http" doc:"Allow plain http:// to another host than loopback: the token travels unencrypted."`
}

// Guard limits what one cycle may take away.
type Guard struct {
	Deactivations Limit    `json:"deactivations" doc:"People deactivated."`
	Deletions     Limit    `json:"deletions" doc:"Accounts deleted, which delete_after asks for."`
	Memberships   Limit    `json:"memberships" doc:"Memberships removed, those that a deactivation implies not counted."`
	Groups        Limit    `json:"groups" doc:"Groups emptied or removed."`
	Privileged    Limit    `json:"privileged" doc:"Memberships of groups.privileged granted or removed; those are not counted as memberships."`
	Renames       Limit    `json:"renames" doc:"User names changed."`
	Protect       []string `json:"protect" doc:"People who are never taken anything: user names (* matches anything) or id: and the person's id."`
}

// Limit is one axis of the guard: n removals pass if n ≤ Floor, or if n is within both Share and Count.
type Limit struct {
	Share Share `json:"share" doc:"The share of what is managed that may go, such as 20%."`
	Count int   `json:"count" min:"0" doc:"The number that may go."`
	Floor int   `json:"floor" min:"0" doc:"A number that always may go, however large its share."`
}

// Removals is the policy on taking away.
type Removals string

// The policies.
const (
	RemovalsApply Removals = "apply"
	RemovalsNever Removals = "never"
	// RemovalsConfirmed takes away without a memory of earlier runs: only what the directory confirms when it is asked
	// again, and no more at once than the floors of the guard.
	RemovalsConfirmed Removals = "confirmed"
)

// State says where the ledger is, or that there is none.
type State struct {
	None    bool   `json:"-"` // the word none stands in place of the keys
	Path    string `json:"path,omitzero" doc:"The SQLite file of the ledger, beside the configuration by default."`
	DSN     Secret `json:"dsn,omitzero" doc:"The PostgreSQL database of the ledger in place of a file: postgres://user@host:5432/database."`
	DSNFile string `json:"dsn_file,omitzero" doc:"A file with the connection string."`
	Keep    string `json:"keep" doc:"How long cycles and their changes stay in the history, in days: 90d. At least 7d."`
}

// MarshalJSON is the state as the file has it: the word none, or its keys.
func (s State) MarshalJSON() ([]byte, error) {
	if s.None {
		return json.Marshal(wordNone)
	}
	type keys State
	return json.Marshal(keys(s))
}

const wordNone = "none"

// Default is the configuration before any file is read.
func Default() *Config {
	limit := func(floor int) Limit { return Limit{Share: 0.2, Count: 100, Floor: floor} }
	return &Config{
		Schedule:    "@every 40m",
		Jitter:      0.05,
		TimeZone:    "UTC",
		RunAtStart:  true,
		Grace:       Duration(25 * time.Second),
		PhoneRegion: "US",
		Groups:      Groups{OnRemoved: OnRemovedLeave},
		Target:      Target{MaxRate: 25, Concurrency: 8},
		Rootly:      Rootly{APIURL: rootlyAPI},
		Guard: Guard{
			Deactivations: limit(3),
			Deletions:     limit(1),
			Memberships:   limit(10),
			Groups:        limit(1),
			Privileged:    limit(3),
			Renames:       limit(3),
		},
		OnCall:   OnCall{Policy: OnCallHold, Horizon: Duration(7 * oneDay), HoldMax: HoldMax{Disabled: Duration(2 * oneDay), Other: Duration(7 * oneDay)}},
		Removals: RemovalsApply,
		State:    State{Path: "rootly-idp-sync.db", Keep: "90d"},
		HTTP:     HTTP{Listen: DefaultHTTPListen},
		Health:   Health{Listen: ":8081"},
		HA:       HA{Mode: HANone},
	}
}

// YAML prints the effective configuration, defaults included, in the order of the documentation. Secrets are masked.
func (c *Config) YAML() ([]byte, error) {
	// JSON is YAML, and encoding/json already keeps the order, the names and the masks.
	data, err := json.Marshal(c)
	if err != nil {
		return nil, err
	}
	var doc yaml.Node
	if err := yaml.Unmarshal(data, &doc); err != nil {
		return nil, err
	}
	plain(&doc)
	var out bytes.Buffer
	enc := yaml.NewEncoder(&out)
	enc.SetIndent(2)
	if err := enc.Encode(&doc); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// plain turns JSON's style of a document into the one people write.
func plain(n *yaml.Node) {
	n.Style = 0
	for _, child := range n.Content {
		plain(child)
	}
}
