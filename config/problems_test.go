package config

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func reflectConfig() reflect.Type { return reflect.TypeFor[Config]() }

// at is the value of the key at path.
func at(c *Config, path string) any {
	v := reflect.ValueOf(c).Elem()
	for name := range strings.SplitSeq(path, ".") {
		if v.Kind() == reflect.Pointer {
			v = v.Elem()
		}
		for _, f := range fieldsOf(v.Type(), "") {
			if f.name == name {
				v = v.Field(f.index)
				break
			}
		}
	}
	return reflect.Indirect(v).Interface()
}

// asText shows any value of a key; paths lose what resolving them adds.
func asText(v any) string {
	if s, ok := v.(Secret); ok {
		return s.Reveal()
	}
	return fmt.Sprint(v)
}

const (
	goodSource = "source: {file: {path: users.csv}}\n"
	goodScope  = "scope: {mode: all}\n"
	goodTarget = "target: {url: https://rootly.com/scim}\n"
	goodOkta   = "source: {okta: {org_url: https://acme.okta.com, app_id: 0oa1}}\n"
)

func TestEachMistakeIsNamedWithItsRemedy(t *testing.T) {
	tests := map[string]struct {
		file string
		env  []string // beside the tokens
		want string
	}{
		"role groups and no group pushed": {
			file: goodSource + goodScope + goodTarget + "groups: {privileged: [admins]}\n",
			want: "groups.privileged (line 4) names groups, and groups.push names none: no membership is ever changed; add them to groups.push, or remove the entries",
		},
		"groups taken away without a ledger": {
			file: goodSource + goodScope + goodTarget + "groups: {push: [a], on_removed: delete}\nremovals: never\nstate: none\n",
			want: "groups.on_removed (line 4) is delete, which needs a ledger: without one nobody knows which groups this sync brought, and state is none; write leave, or give state a path",
		},
		"no such fate of groups": {
			file: goodSource + goodScope + goodTarget + "groups: {push: [a], on_removed: purge}\n",
			want: "groups.on_removed (line 4) is none of the words it may be; write leave, empty or delete",
		},
		"unknown key with a near one": {
			file: goodSource + goodScope + "target: {url: https://rootly.com/scim, maxrate: 3}\n",
			want: "target.maxrate (line 3) is not a key; did you mean max_rate?",
		},
		"the directory is the target": {
			file: "source: {scim: {url: 'HTTPS://Rootly.com:443/scim/', token: t}}\n" + goodScope + goodTarget,
			want: "source.scim.url (line 1) is target.url, so this sync would write onto the directory it reads; give the directory's own SCIM address",
		},
		"the directory is the target, by another name of loopback": {
			file: "source: {scim: {url: 'http://localhost:8080/scim', token: t}}\n" + goodScope + "target: {url: 'http://127.0.0.1:8080/scim'}\n",
			want: "source.scim.url (line 1) is target.url, so this sync would write onto the directory it reads; give the directory's own SCIM address",
		},
		"two ways to sign in over SCIM": {
			file: "source: {scim: {url: 'https://idp.acme.com', token: t, username: u, password: p}}\n" + goodScope + goodTarget,
			want: "source.scim (line 1) has both a token and a user name or password; keep token, or username and password",
		},
		"a password of nobody": {
			file: "source: {scim: {url: 'https://idp.acme.com', password: p}}\n" + goodScope + goodTarget,
			want: "source.scim.username (line 1) is missing beside the password; write the user name",
		},
		"no way to sign in over SCIM": {
			file: "source: {scim: {url: 'https://idp.acme.com'}}\n" + goodScope + goodTarget,
			want: "source.scim.token (line 1) is missing; set SCIM_SOURCE_TOKEN, give token or token_file, or username and password",
		},
		"a directory over plain http": {
			file: "source: {scim: {url: 'http://idp.acme.com', token: t}}\n" + goodScope + goodTarget,
			want: "source.scim.url (line 1) is not https; write https://",
		},
		"nothing to nest over SCIM": {
			file: "source: {scim: {url: 'https://idp.acme.com', token: t, nested: true}}\n" + goodScope + goodTarget,
			want: "source.scim.nested (line 1) has no meaning without groups; remove it, or list groups in scope.groups or groups.push",
		},
		"an unnamed company": {
			file: "source: {rippling: {api_token: t, api_version: v2}}\n" + goodScope + goodTarget,
			want: "source.rippling.company (line 1) is missing; write a name of the company that is going to stay, such as acme\n" +
				"source.rippling.api_version (line 1) is no date; write it as 2024-08-01, or remove the line",
		},
		"no token for Rippling": {
			file: "source: {rippling: {company: acme, base_url: 'ftp://x'}}\n" + goodScope + goodTarget,
			want: "source.rippling.api_token (line 1) is missing; set RIPPLING_API_TOKEN, or give api_token or api_token_file\n" +
				"source.rippling.base_url (line 1) is no plain web address; write it as https://host/path",
		},
		"an application at Rippling": {
			file: "source: {rippling: {company: acme, api_token: t}}\nscope: {mode: assigned}\n" + goodTarget,
			want: "scope.mode (line 2) is assigned, which this directory does not know; write groups or all",
		},
		"a REST API over plain http": {
			file: goodSource + goodScope + goodTarget + "rootly: {api_url: 'http://api.rootly.com'}\n",
			want: "rootly.api_url (line 4) is not https; write https://",
		},
		"a REST API from the environment that is none": {
			file: goodSource + goodScope + goodTarget, env: []string{"ROOTLY_API_URL=api.rootly.com"},
			want: "rootly.api_url (from ROOTLY_API_URL) is no web address; write the address of the REST API; Rootly's is https://api.rootly.com",
		},
		"an API key with its scheme": {
			file: goodSource + goodScope + goodTarget, env: []string{"ROOTLY_API_KEY=Bearer x"},
			want: "rootly.api_key (from ROOTLY_API_KEY) holds a character that no token has, such as a space; leave the word Bearer out",
		},
		"unknown key of another section": {
			file: goodSource + goodScope + goodTarget + "concurrency: 3\n",
			want: "concurrency (line 4) is not a key; did you mean target.concurrency?",
		},
		"unknown key, nothing near": {
			file: goodSource + goodScope + goodTarget + "state: {flavour: x}\n",
			want: "state.flavour (line 4) is not a key; the keys here are path, dsn, dsn_file, keep",
		},
		"letter case counts in keys": {
			file: goodSource + goodScope + goodTarget + "map: {displayname: user.displayName}\n",
			want: "map.displayname (line 4) is not a key; did you mean displayName?",
		},
		"a dotted key is no path": {
			file: goodSource + goodScope + goodTarget + "guard.protect: [a]\n",
			want: `"guard.protect" (line 4) is not a key; the keys here are schedule, mode, jitter, time_zone, run_at_start, grace, source, scope, groups, map, phone_region, target, rootly, notify, guard, on_call, removals, delete_after, state, http, health, ha`,
		},
		"a key with a line break stays on one line": {
			file: goodSource + goodScope + goodTarget + "\"a\\nb\": 1\n",
			want: `"a\nb" (line 4) is not a key; the keys here are schedule, mode, jitter, time_zone, run_at_start, grace, source, scope, groups, map, phone_region, target, rootly, notify, guard, on_call, removals, delete_after, state, http, health, ha`,
		},
		"duplicate key": {
			file: goodSource + goodScope + goodTarget + "scope: {mode: groups}\n",
			want: "scope (line 4) stands twice, first on line 2; keep one of the two",
		},
		"an id with a leading zero": {
			file: "source: {okta: {org_url: https://acme.okta.com, app_id: 0123}}\nscope: {mode: assigned}\n" + goodTarget,
			want: `source.okta.app_id (line 1) is 0123, which without quotes is read as the number 83, and must be text; quote it: "0123"`,
		},
		"an id of digits": {
			file: "source: {okta: {org_url: https://acme.okta.com, app_id: 4711}}\nscope: {mode: assigned}\n" + goodTarget,
			want: `source.okta.app_id (line 1) is the number 4711 and must be text; quote it: "4711"`,
		},
		"a truth value in a list of names": {
			file: goodSource + goodScope + goodTarget + "groups: {push: [ops, true]}\n",
			want: `groups.push[1] (line 4) is the truth value true and must be text; quote it: "true"`,
		},
		"a secret of digits is not repeated": {
			file: goodSource + goodScope + "target: {url: https://rootly.com/scim, token: 012345}\n",
			want: "target.token (line 3) is read as a number and must be text; put it in quotes",
		},
		"a count in octal": {
			file: goodSource + goodScope + goodTarget + "guard: {groups: {count: 010}}\n",
			want: "guard.groups.count (line 4) is not a whole number; write digits only, without leading zeros",
		},
		"a quoted number": {
			file: goodSource + goodScope + goodTarget + "guard: {groups: {count: \"10\"}}\n",
			want: "guard.groups.count (line 4) holds text where a number belongs; write it without quotes",
		},
		"a bare share": {
			file: goodSource + goodScope + goodTarget + "guard: {groups: {share: 20}}\n",
			want: "guard.groups.share (line 4) is a bare number; write 20%",
		},
		"a bare fraction": {
			file: goodSource + goodScope + goodTarget + "guard: {groups: {share: 0.07}}\n",
			want: "guard.groups.share (line 4) is a bare number; write 7%",
		},
		"more than everything": {
			file: goodSource + goodScope + goodTarget + "guard: {groups: {share: 120%}}\n",
			want: "guard.groups.share (line 4) is outside 0% to 100%; write a share between them, such as 20%",
		},
		"a negative rate": {
			file: goodSource + goodScope + "target: {url: https://rootly.com/scim, max_rate: -1}\n",
			want: "target.max_rate (line 3) is too small; write 0 or more",
		},
		"too much at once": {
			file: goodSource + goodScope + "target: {url: https://rootly.com/scim, concurrency: 65}\n",
			want: "target.concurrency (line 3) is out of range; write a number from 1 to 64",
		},
		"one value where a list belongs": {
			file: goodSource + goodScope + goodTarget + "groups: {push: oncall-*}\n",
			want: `groups.push (line 4) holds one value where a list belongs; put it in brackets: ["oncall-*"]`,
		},
		"one value where keys belong": {
			file: goodSource + goodScope + goodTarget + "state: x.db\n",
			want: "state (line 4) holds a single value where keys belong; write the word none, or keys below it: path, dsn, dsn_file, keep",
		},
		"one value where only keys belong": {
			file: goodSource + goodScope + goodTarget + "groups: none\n",
			want: "groups (line 4) holds a single value where keys belong; write keys below it: push, privileged, on_removed",
		},
		"deleting at once": {
			file: goodSource + goodScope + goodTarget + "delete_after: 12h\n",
			want: "delete_after (line 4) is shorter than a day; write a time in which a mistake is noticed, such as 30d; to delete nobody, remove the line",
		},
		"deleting in half days": {
			file: goodSource + goodScope + goodTarget + "delete_after: 1.5d\n",
			want: "delete_after (line 4) is not a length of time; write it with units, such as 25s, 10m, 36h or 30d",
		},
		"deleting without a memory": {
			file: goodSource + goodScope + goodTarget + "delete_after: 30d\nstate: none\nremovals: confirmed\n",
			want: "delete_after (line 4) needs a ledger that remembers who left when, and state is none; remove the line, or give state a path",
		},
		"deleting whom nothing is taken from": {
			file: goodSource + goodScope + goodTarget + "delete_after: 30d\nremovals: never\n",
			want: "delete_after (line 4) has no effect beside removals: never; remove the line, or write removals: apply",
		},
		"no ledger, and removals left at their default": {
			file: goodSource + goodScope + goodTarget + "state: none\n",
			want: "removals is apply, which needs a ledger: without one nobody knows whom this sync brought, and state is none; write never, or confirmed (only leavers that the directory confirms, and no more at once than the floors of guard); or give state a path",
		},
		"confirmed beside a ledger": {
			file: goodSource + goodScope + goodTarget + "removals: confirmed\n",
			want: "removals (line 4) is confirmed, which is for state: none only; write apply: with a ledger every leaver is confirmed as well",
		},
		"a ledger and none": {
			file: goodSource + goodScope + goodTarget + "state: none\nremovals: never\n",
			env:  []string{"ROOTLY_IDP_SYNC_STATE_PATH=x.db"},
			want: "state.path (from ROOTLY_IDP_SYNC_STATE_PATH) is given beside state: none; keep one of the two",
		},
		"a list where one value belongs": {
			file: goodSource + "scope: {mode: [all]}\n" + goodTarget,
			want: "scope.mode (line 2) holds a list where one value belongs; write a single value",
		},
		"a key without a value": {
			file: goodSource + goodScope + goodTarget + "map:\n  email:\n",
			want: "map.email (line 5) has no value; give it one, or remove the line",
		},
		"a variable that is not set": {
			file: goodSource + goodScope + "target:\n  url: https://rootly.com/scim\n  token: ${NOT_SET}\n",
			want: "target.token (line 5) needs the environment variable NOT_SET, which is not set; set it, or write the value",
		},
		"a variable that is empty": {
			file: goodSource + goodScope + "target:\n  url: https://rootly.com/scim\n  token: ${EMPTY}\n",
			env:  []string{"EMPTY="},
			want: "target.token (line 5) needs the environment variable EMPTY, which is empty; give it a value",
		},
		"a variable inside a value": {
			file: goodSource + goodScope + "target: {url: \"https://${HOST}/scim\"}\n",
			want: "target.url (line 3) has ${…} inside a longer value; only a whole value is replaced: write the value out, or put all of it into the variable",
		},
		"a wrong override": {
			file: goodSource + goodScope + goodTarget,
			env:  []string{"ROOTLY_IDP_SYNC_TARGET_CONCURRENCY=many"},
			want: "target.concurrency (from ROOTLY_IDP_SYNC_TARGET_CONCURRENCY) is not a whole number; write digits only, without leading zeros",
		},
		"no directory": {
			file: goodScope + goodTarget,
			want: "source names no directory; give exactly one of okta, entra, google, ldap, rippling, scim, keycloak, file",
		},
		"two directories": {
			file: "source: {file: {path: users.csv}, okta: {org_url: https://acme.okta.com}}\n" + goodScope + goodTarget,
			want: "source (line 1) names several directories: okta, file; keep one; run one sync for each directory",
		},
		"an empty directory": {
			file: "source: {file: {}}\n" + goodScope + goodTarget,
			want: "source.file.path (line 1) is missing; name the file of users",
		},
		"no mode": {
			file: goodOkta + goodTarget,
			want: "scope.mode is missing, and there is no default; write assigned, groups or all",
		},
		"a mode that files do not know": {
			file: goodSource + "scope: {mode: assigned}\n" + goodTarget,
			want: "scope.mode (line 2) is assigned, which this directory does not know; write groups or all",
		},
		"an unknown mode": {
			file: goodSource + "scope: {mode: everyone}\n" + goodTarget,
			want: "scope.mode (line 2) is none of the words it may be; write assigned, groups, org_units or all",
		},
		"assigned without the application": {
			file: "source: {okta: {org_url: https://acme.okta.com}}\nscope: {mode: assigned}\n" + goodTarget,
			want: "source.okta.app_id (line 1) is missing, and scope.mode assigned needs it; write the id of the application, such as 0oa1b2c3; it stands in the app's address in the admin console",
		},
		"groups without groups": {
			file: goodSource + "scope: {mode: groups}\n" + goodTarget,
			want: `scope.groups (line 2) is missing, and scope.mode groups needs it; list the groups by name, or by id as "id:…"`,
		},
		"groups that mean nothing": {
			file: goodSource + "scope: {mode: all, groups: [a]}\n" + goodTarget,
			want: "scope.groups (line 2) has no meaning for scope.mode all; remove it, or write scope.mode: groups",
		},
		"a star in the scope's groups": {
			file: goodSource + "scope: {mode: groups, groups: [a, 'b*']}\n" + goodTarget,
			want: `scope.groups[1] (line 2) has a *, and the scope's groups must be named exactly; write the whole name, or the id as "id:…"`,
		},
		"an empty pattern": {
			file: goodSource + goodScope + goodTarget + "guard: {protect: ['']}\n",
			want: "guard.protect[0] (line 4) is no pattern: an empty pattern matches nothing; write a name, a name with *, or id:…",
		},
		"the admin console's address": {
			file: "source: {okta: {org_url: https://acme-admin.okta.com}}\n" + goodScope + goodTarget,
			want: "source.okta.org_url (line 1) is the address of the admin console; leave -admin out of it",
		},
		"an org without a scheme": {
			file: "source: {okta: {org_url: acme.okta.com}}\n" + goodScope + goodTarget,
			want: "source.okta.org_url (line 1) is no address of an Okta org; write the org's address, such as https://acme.okta.com",
		},
		"an org over http": {
			file: "source: {okta: {org_url: http://acme.okta.com}}\n" + goodScope + goodTarget,
			want: "source.okta.org_url (line 1) is not https; write the org's address, such as https://acme.okta.com",
		},
		"an org with a path": {
			file: "source: {okta: {org_url: https://acme.okta.com/api/v1}}\n" + goodScope + goodTarget,
			want: "source.okta.org_url (line 1) has more than the host; write the org's address, such as https://acme.okta.com",
		},
		"token and OAuth": {
			file: "source: {okta: {org_url: https://acme.okta.com, api_token: x, client_id: y}}\n" + goodScope + goodTarget,
			want: "source.okta (line 1) has both an API token and OAuth credentials; keep api_token, or client_id and private_key",
		},
		"client without a key": {
			file: "source: {okta: {org_url: https://acme.okta.com, client_id: y}}\n" + goodScope + goodTarget,
			want: "source.okta.private_key (line 1) is missing beside client_id; give private_key or private_key_file",
		},
		"key without a client": {
			file: "source: {okta: {org_url: https://acme.okta.com, private_key: y}}\n" + goodScope + goodTarget,
			want: "source.okta.client_id (line 1) is missing beside private_key; write the client id of the service app",
		},
		"scopes without OAuth": {
			file: "source: {okta: {org_url: https://acme.okta.com, scopes: [a]}}\n" + goodScope + goodTarget,
			want: "source.okta.scopes (line 1) is for OAuth credentials only; remove it, or use client_id and private_key",
		},
		"an Entra tenant by its domain": {
			file: "source: {entra: {tenant_id: acme.com, client_id: 8b4c6d1e-0000-4000-8000-000000000002, client_secret: x}}\n" + goodScope + goodTarget,
			want: `source.entra.tenant_id (line 1) is "acme.com", which is no GUID; write the Directory (tenant) ID; it stands on the app registration's Overview page`,
		},
		"no way to sign in to Entra": {
			file: "source: {entra: {tenant_id: 8b4c6d1e-0000-4000-8000-000000000001, client_id: 8b4c6d1e-0000-4000-8000-000000000002}}\n" + goodScope + goodTarget,
			want: "source.entra.client_secret (line 1) is missing; set AZURE_CLIENT_SECRET, give client_secret or client_secret_file, or use certificate_file or identity",
		},
		"two ways to sign in to Entra": {
			file: "source: {entra: {tenant_id: 8b4c6d1e-0000-4000-8000-000000000001, client_id: 8b4c6d1e-0000-4000-8000-000000000002, client_secret: x, identity: workload}}\n" + goodScope + goodTarget,
			want: "source.entra (line 1) has both client_secret and identity; keep one of them",
		},
		"a Keycloak source with nothing in it": {
			file: "source: {keycloak: {}}\n" + "scope: {mode: assigned}\n" + goodTarget,
			want: "source.keycloak.url (line 1) is missing; write the server's address, such as https://sso.acme.com; the realm is a key of its own\n" +
				"source.keycloak.realm (line 1) is missing; write its name; it stands in the address of its admin console: /admin/acme/console\n" +
				"source.keycloak.client_id (line 1) is missing; write the Client ID of the client whose service account reads\n" +
				"source.keycloak.client_secret (line 1) is missing; set KEYCLOAK_CLIENT_SECRET, or give client_secret or client_secret_file\n" +
				"source.keycloak.client (line 1) is missing, and scope.mode assigned needs it; write the Client ID of the client whose roles people are given",
		},
		"a Keycloak realm by its address, and keys of other modes": {
			file: "source: {keycloak: {url: https://sso.acme.com/realms/acme, realm: a/b, client_id: x, client_secret: x, client: rootly, roles: [' '], nested: true}}\n" +
				"scope: {mode: all}\n" + goodTarget,
			want: "source.keycloak.url (line 1) leads into the server; write the server's address, such as https://sso.acme.com; the realm is a key of its own\n" +
				"source.keycloak.realm (line 1) is no realm's name; write its name; it stands in the address of its admin console: /admin/acme/console\n" +
				"source.keycloak.client (line 1) has no meaning for scope.mode all; remove it, or write scope.mode: assigned\n" +
				"source.keycloak.roles (line 1) has no meaning for scope.mode all; remove it, or write scope.mode: assigned\n" +
				"source.keycloak.roles[0] (line 1) is empty; write a role's name, or remove it\n" +
				"source.keycloak.nested (line 1) has no meaning for scope.mode all without groups to push; remove it, or list groups in groups.push",
		},
		"a group of Keycloak with its slash": {
			file: "source: {keycloak: {url: http://sso.acme.com, realm: acme, client_id: x, client_secret: x}}\n" +
				"scope: {mode: groups, groups: [/eng/sre]}\n" + goodTarget,
			want: "source.keycloak.url (line 1) is not https; write https://\n" +
				"scope.groups[0] (line 2) begins with a slash; write the group's path without it: eng/sre",
		},
		"an Entra client without an id": {
			file: "source: {entra: {tenant_id: 8b4c6d1e-0000-4000-8000-000000000001, client_secret: x}}\n" + goodScope + goodTarget,
			want: "source.entra.client_id (line 1) is missing; write the Application (client) ID; it stands on the app registration's Overview page",
		},
		"assignments of no enterprise application": {
			file: "source: {entra: {tenant_id: 8b4c6d1e-0000-4000-8000-000000000001, identity: managed}}\nscope: {mode: assigned}\n" + goodTarget,
			want: "source.entra.app_id (line 1) is missing; write the Application ID of the enterprise application (not its Object ID), which scope.mode assigned needs",
		},
		"a Graph in the clear": {
			file: "source: {entra: {tenant_id: 8b4c6d1e-0000-4000-8000-000000000001, identity: managed, graph_url: http://graph.acme.com}}\n" + goodScope + goodTarget,
			want: "source.entra.graph_url (line 1) is not https; write https://",
		},
		"a Google key beside impersonation": {
			file: "source: {google: {credentials: x, impersonate: y, subject: a@b.c}}\n" + goodScope + goodTarget,
			want: "source.google (line 1) has both a key file and a service account to impersonate; keep credentials_file or impersonate",
		},
		"a Google subject and nobody who acts for it": {
			file: "source: {google: {subject: a@b.c}}\n" + goodScope + goodTarget,
			want: "source.google.subject (line 1) needs a service account that acts for it; give credentials_file, or impersonate",
		},
		"neither a Google subject nor a customer": {
			file: "source: {google: {credentials: x, customer: my_customer}}\n" + goodScope + goodTarget,
			want: "source.google.subject (line 1) is missing; write the e-mail address of an administrator; or, if the service account has an administrator role itself, write customer with the account's id",
		},
		"an LDAP server without encryption": {
			file: "source: {ldap: {urls: ['ldap://ldap.acme.com'], bind_dn: 'cn=r', password: x, base_dn: dc=acme}}\n" + goodScope + goodTarget,
			want: "source.ldap.urls[0] (line 1) is not encrypted, so the password would travel readable; write ldaps://, set start_tls: true, or set allow_plain: true if the network between is trusted",
		},
		"an LDAP server by https": {
			file: "source: {ldap: {urls: ['https://ldap.acme.com'], bind_dn: 'cn=r', password: x, base_dn: dc=acme}}\n" + goodScope + goodTarget,
			want: "source.ldap.urls[0] (line 1) is no server's address; write ldaps://host or ldap://host, with :port if it is not the usual one",
		},
		"nobody who reads LDAP": {
			file: "source: {ldap: {urls: ['ldaps://ldap.acme.com'], password: x, base_dn: dc=acme}}\n" + goodScope + goodTarget,
			want: "source.ldap.bind_dn (line 1) is missing; write the DN of a reader; anonymous reading is refused, for a directory shows it less than there is",
		},
		"no LDAP password": {
			file: "source: {ldap: {urls: ['ldaps://ldap.acme.com'], bind_dn: 'cn=r', base_dn: dc=acme}}\n" + goodScope + goodTarget,
			want: "source.ldap.password (line 1) is missing; give password or password_file",
		},
		"a custom LDAP server without an id": {
			file: "source: {ldap: {urls: ['ldaps://ldap.acme.com'], bind_dn: 'cn=r', password: x, base_dn: dc=acme, flavor: custom}}\n" + goodScope + goodTarget,
			want: "source.ldap.attributes.id (line 1) is missing, and flavor custom needs it; name the attribute that holds an immutable id",
		},
		"an authority for an LDAP server without encryption": {
			file: "source: {ldap: {urls: ['ldap://127.0.0.1'], bind_dn: 'cn=r', password: x, base_dn: dc=acme, ca_file: none.pem}}\n" + goodScope + goodTarget,
			want: "source.ldap.ca_file (line 1) has no meaning without encryption; write ldaps://, or set start_tls: true",
		},
		"assignments of a Google app": {
			file: "source: {google: {credentials: x, subject: a@b.c}}\nscope: {mode: assigned}\n" + goodTarget,
			want: "scope.mode (line 2) is assigned, which this directory does not know; write groups, org_units or all",
		},
		"no organizational units": {
			file: "source: {google: {credentials: x, subject: a@b.c}}\nscope: {mode: org_units}\n" + goodTarget,
			want: "source.google.org_units (line 1) is missing, and scope.mode org_units needs it; list the units by their paths, such as /Engineering",
		},
		"organizational units of another mode": {
			file: "source: {google: {credentials: x, subject: a@b.c, org_units: [/A]}}\nscope: {mode: all}\n" + goodTarget,
			want: "source.google.org_units (line 1) has no meaning for scope.mode all; remove it, or write scope.mode: org_units",
		},
		"sub-units of another mode": {
			file: "source: {google: {credentials: x, subject: a@b.c, org_units: [/A], sub_units: true}}\nscope: {mode: all}\n" + goodTarget,
			want: "source.google.org_units (line 1) has no meaning for scope.mode all; remove it, or write scope.mode: org_units\n" +
				"source.google.sub_units (line 1) has no meaning for scope.mode all; remove it, or write scope.mode: org_units",
		},
		"an Okta app of another mode": {
			file: "source: {okta: {org_url: https://acme.okta.com, api_token: x, app_id: 0oa1}}\nscope: {mode: groups, groups: [a]}\n" + goodTarget,
			want: "source.okta.app_id (line 1) has no meaning for scope.mode groups; remove it, or write scope.mode: assigned",
		},
		"an enterprise application of another mode, and nothing that nests": {
			file: "source: {entra: {tenant_id: 8b4c6d1e-0000-4000-8000-000000000001, identity: managed, app_id: 8b4c6d1e-0000-4000-8000-000000000003, nested: true}}\nscope: {mode: all, groups: [a]}\n" + goodTarget,
			want: "source.entra.app_id (line 1) has no meaning for scope.mode all; remove it, or write scope.mode: assigned\n" +
				"source.entra.nested (line 1) has no meaning for scope.mode all without groups to push; remove it, or list groups in groups.push\n" +
				"scope.groups (line 2) has no meaning for scope.mode all; remove it, or write scope.mode: groups",
		},
		"nested groups to push": {
			file: "source: {entra: {tenant_id: 8b4c6d1e-0000-4000-8000-000000000001, identity: managed, nested: true}}\nscope: {mode: all}\ngroups: {push: [a]}\n" + goodTarget,
		},
		"an organizational unit that is no path": {
			file: "source: {google: {credentials: x, subject: a@b.c, org_units: [A]}}\nscope: {mode: org_units}\n" + goodTarget,
			want: "source.google.org_units[0] (line 1) is no path; begin it with /, as in /Engineering/SRE",
		},
		"http beyond loopback": {
			file: goodSource + goodScope + "target: {url: http://rootly.example/scim}\n",
			want: "target.url (line 3) is not https, so the token would travel unencrypted; write https://, or set target.allow_http: true if the network between is trusted",
		},
		"a password in the address": {
			file: goodSource + goodScope + "target: {url: https://a:b@rootly.com/scim}\n",
			want: "target.url (line 3) holds a user name or password; remove it; the token goes into target.token",
		},
		"a query in the address": {
			file: goodSource + goodScope + "target: {url: \"https://rootly.com/scim?x=1\"}\n",
			want: "target.url (line 3) has something after the path; write the SCIM base URL; Rootly's is https://rootly.com/scim",
		},
		"no address": {
			file: goodSource + goodScope + "target: {url: rootly}\n",
			want: "target.url (line 3) is no web address; write the SCIM base URL; Rootly's is https://rootly.com/scim",
		},
		"the word Bearer": {
			file: goodSource + goodScope + "target: {url: https://rootly.com/scim, token: Bearer abc}\n",
			want: "target.token (line 3) holds a character that no token has, such as a space; leave the word Bearer out",
		},
		"a schedule": {
			file: goodSource + goodScope + goodTarget + "schedule: every day\n",
			want: `schedule (line 4) cannot be read: expected exactly 5 fields, found 2: [every day]; write a cron line of five fields such as "*/40 * * * *", or @every 40m`,
		},
		"a schedule of a time zone only": {
			file: goodSource + goodScope + goodTarget + "schedule: \"CRON_TZ=UTC\t@daily\"\n",
			want: `schedule (line 4) has a time zone and no schedule; write a cron line of five fields such as "*/40 * * * *", or @every 40m`,
		},
		"a schedule of a day that never comes": {
			file: goodSource + goodScope + goodTarget + "schedule: 0 0 30 2 *\n",
			want: `schedule (line 4) names a day that never comes; write a cron line of five fields such as "*/40 * * * *", or @every 40m`,
		},
		"two time zones": {
			file: goodSource + goodScope + goodTarget + "schedule: CRON_TZ=UTC 0 * * * *\ntime_zone: Europe/Berlin\n",
			want: "schedule (line 4) has a time zone of its own beside time_zone; keep one of the two",
		},
		"no time zone": {
			file: goodSource + goodScope + goodTarget + "time_zone: Berlin\n",
			want: "time_zone (line 4) is no time zone; write an IANA name, such as Europe/Berlin or UTC",
		},
		"a wide jitter": {
			file: goodSource + goodScope + goodTarget + "jitter: 60%\n",
			want: "jitter (line 4) is more than half of the time between two cycles; write 50% or less",
		},
		"a hold without a memory": {
			file: goodSource + goodScope + goodTarget + "state: none\nremovals: never\nrootly: {api_key: k}\non_call: {policy: hold}\n",
			want: "on_call.policy (line 7) is hold, which needs a ledger: without one nobody knows since when somebody is held, and state is none; write warn or ignore, or give state a path",
		},
		"a hold without an end": {
			file: goodSource + goodScope + goodTarget + "on_call: {hold_max: {disabled: 0s}}\n",
			want: "on_call.hold_max.disabled (line 4) is no time at all; write a length of time, such as 48h or 7d; on_call.policy: warn holds nobody",
		},
		"weeks are no unit": {
			file: goodSource + goodScope + goodTarget + "on_call: {horizon: 1w}\n",
			want: "on_call.horizon (line 4) is not a length of time; write it with units, such as 25s, 10m, 36h or 30d",
		},
		"a grace without a unit": {
			file: goodSource + goodScope + goodTarget + "grace: 25\n",
			want: "grace (line 4) is not a length of time; write it with units, such as 25s, 10m, 36h or 30d",
		},
		"a grace below zero": {
			file: goodSource + goodScope + goodTarget + "grace: -25s\n",
			want: "grace (line 4) is below zero; write it with units, such as 25s, 10m, 36h or 30d",
		},
		"no grace": {
			file: goodSource + goodScope + goodTarget + "grace: 10ms\n",
			want: "grace (line 4) is shorter than a request takes; write 1s or more; the supervisor must wait longer than that before it kills",
		},
		"a page that others reach without a login": {
			file: goodSource + goodScope + goodTarget + "http: {listen: ':8080'}\n",
			want: `http.listen (line 4) can be reached by others, and nobody has to say who they are; write 127.0.0.1:8080, or give http.token_file or http.oidc`,
		},
		"a page at no address": {
			file: goodSource + goodScope + goodTarget + "http: {listen: here}\n",
			want: `http.listen (line 4) is no address to listen on; write 127.0.0.1:8080, :8443, or "" for no page`,
		},
		"a short token": {
			file: goodSource + goodScope + goodTarget + "http: {token: abc}\n",
			want: `http.token (line 4) is shorter than 24 characters; make one with openssl rand -hex 32`,
		},
		"a role without a token": {
			file: goodSource + goodScope + goodTarget + "http: {token_role: approver}\n",
			want: `http.token_role (line 4) has no meaning without a token; give http.token_file, or remove it`,
		},
		"a page that is off and a login": {
			file: goodSource + goodScope + goodTarget + "http: {listen: '', oidc: {issuer: https://a.example, client_id: x}}\n",
			want: `http.oidc (line 4) has no meaning while http.listen is ""; give http.listen an address, or remove it`,
		},
		"a public address with a path": {
			file: goodSource + goodScope + goodTarget + "http: {public_url: https://a.example/sync}\n",
			want: `http.public_url (line 4) has a path: the page is at the root of its host; write the host alone, such as https://sync.acme.com`,
		},
		"metrics without probes": {
			file: goodSource + goodScope + goodTarget + "health: {listen: '', metrics: true}\n",
			want: `health.metrics (line 4) has no meaning while health.listen is ""; give health.listen an address, or remove it`,
		},
		"a port that is none": {
			file: goodSource + goodScope + goodTarget + "health: {listen: ':http'}\n",
			want: `health.listen (line 4) is no address to listen on; write :8081, 127.0.0.1:8081, or "" for none`,
		},
		"a mode that is none": {
			file: goodSource + goodScope + goodTarget + "mode: dry-run\n",
			want: "mode (line 4) is none of the words it may be; write observe or apply",
		},
		"a schedule without rest": {
			file: goodSource + goodScope + goodTarget + "schedule: '@every 5s'\n",
			want: `schedule (line 4) is more often than once a minute; write a cron line of five fields such as "*/40 * * * *", or @every 40m`,
		},
		"a region": {
			file: goodSource + goodScope + goodTarget + "phone_region: UK\n",
			want: "phone_region (line 4) is no ISO 3166 region; write two capital letters, such as US or DE",
		},
		"a policy": {
			file: goodSource + goodScope + goodTarget + "removals: sometimes\n",
			want: "removals (line 4) is none of the words it may be; write apply, never or confirmed",
		},
		"no state": {
			file: goodSource + goodScope + goodTarget + "state: {path: ''}\n",
			want: "state.path (line 4) is empty; name a file, such as rootly-idp-sync.db, or remove the line",
		},
		"a file and a database for the state": {
			file: goodSource + goodScope + goodTarget + "state: {path: x.db, dsn: 'postgres://h/d'}\n",
			want: "state.path (line 4) is given beside state.dsn; keep one of the two: a file, or a PostgreSQL database",
		},
		"a database and none": {
			file: goodSource + goodScope + goodTarget + "state: none\nremovals: never\n",
			env:  []string{"ROOTLY_IDP_SYNC_STATE_DSN=postgres://h/d"},
			want: "state.dsn (from ROOTLY_IDP_SYNC_STATE_DSN) is given beside state: none; keep one of the two",
		},
		"a history without a unit": {
			file: goodSource + goodScope + goodTarget + "state: {keep: '90'}\n",
			want: "state.keep (line 4) is not a number of days; write it as 90d",
		},
		"a history of hours": {
			file: goodSource + goodScope + goodTarget + "state: {keep: 6d}\n",
			want: "state.keep (line 4) is too short: undo and the search for what went wrong need the last days; write 7d or more",
		},
		"several at once, in the order of the file": {
			file: "target:\n  url: ftp://x\n  token: ''\n  tokn: x\nscope:\n  mode: groups\n",
			env:  []string{"ROOTLY_IDP_SYNC_GUARD_GROUPS_SHARE=5"},
			want: `target.url (line 2) is no web address; write the SCIM base URL; Rootly's is https://rootly.com/scim
target.tokn (line 4) is not a key; did you mean token?
scope.groups (line 5) is missing, and scope.mode groups needs it; list the groups by name, or by id as "id:…"
guard.groups.share (from ROOTLY_IDP_SYNC_GUARD_GROUPS_SHARE) is a bare number; write 5%
source names no directory; give exactly one of okta, entra, google, ldap, rippling, scim, keycloak, file`,
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			cfg, err := load("c.yaml", []byte(tc.file), environment(append(tc.env, tokens...)...))
			if diff := cmp.Diff(tc.want, errText(err)); diff != "" {
				t.Errorf("problems (-want +got):\n%s", diff)
			}
			if cfg == nil {
				t.Error("the configuration is nil, so nobody else can add problems")
			}
		})
	}
}

func TestMissingCredentials(t *testing.T) {
	_, err := load("c.yaml", []byte(goodOkta+"scope: {mode: assigned}\n"+goodTarget), environment())
	want := `source.okta.api_token (line 1) is missing; set OKTA_API_TOKEN, give api_token or api_token_file, or use client_id and private_key
target.token (line 3) is missing; set ROOTLY_SCIM_TOKEN, or give token or token_file; Rootly shows it under Integrations, SSO`
	if diff := cmp.Diff(want, errText(err)); diff != "" {
		t.Errorf("problems (-want +got):\n%s", diff)
	}
}

func TestSecretFiles(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "empty", "\n", 0o400)
	write(t, dir, "open", canary, 0o644)
	write(t, dir, "group", canary, 0o440)
	write(t, dir, "good", canary, 0o400)
	write(t, dir, "ca.pem", "no certificate", 0o644)
	tests := map[string]struct{ target, want string }{
		"missing": {"token_file: nowhere", "target.token_file (line 5) names DIR/nowhere, which does not exist; create it, or correct the path (it is relative to the configuration file)"},
		"empty":   {"token_file: empty", "target.token_file (line 5) names DIR/empty, which is empty; write the secret into it"},
		"open":    {"token_file: open", "target.token_file (line 5) names DIR/open, which others may read or change (mode 0644); chmod 0400 it; for a Kubernetes secret volume set defaultMode: 0440 and an fsGroup"},
		"folder":  {"token_file: .", "target.token_file (line 5) names DIR, which is no regular file; name the file itself"},
		"twice":   {"token_file: good\n  token: x", "target.token (line 6) is given twice, as a value and by target.token_file; keep one of the two"},
		"group":   {"token_file: group", ""},
		"no CA":   {"ca_file: none.pem", "target.ca_file (line 5) cannot be read: open DIR/none.pem: no such file or directory; name a file of PEM certificates; the path is relative to the configuration file"},
		"not CA":  {"ca_file: ca.pem", "target.ca_file (line 5) holds no certificate; name a file of PEM certificates"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			file := goodSource + goodScope + "target:\n  url: https://rootly.com/scim\n  " + tc.target + "\n"
			_, err := load(dir+"/c.yaml", []byte(file), environment(tokens...))
			if diff := cmp.Diff(strings.ReplaceAll(tc.want, "DIR", dir), errText(err)); diff != "" {
				t.Errorf("problems (-want +got):\n%s", diff)
			}
		})
	}
}

func TestUnreadableSyntaxSaysWhere(t *testing.T) {
	tests := map[string]struct{ name, file, want string }{
		"yaml":          {"c.yaml", "a: b: c", "read configuration c.yaml: yaml: mapping values are not allowed in this context"},
		"two documents": {"c.yaml", "a: 1\n---\nb: 2\n", "read configuration c.yaml: there is more than one YAML document; keep one and remove the --- lines"},
		"alias":         {"c.yaml", "token: *" + canary, "read configuration c.yaml: a value that starts with * is an alias in YAML; put it in quotes"},
		"json":          {"c.json", "{\n\"a\": 1,\n}", "read configuration c.json: line 3: invalid character '}' looking for beginning of object key string"},
		"toml":          {"c.toml", "a = 1\na = 2\n", "read configuration c.toml: toml: key a is already defined"},
		"toml line":     {"c.toml", "a = 1\nb 2\n", "read configuration c.toml: line 2: toml: expected character ="},
		"no format":     {"c.conf", "", `read configuration c.conf: the ending ".conf" says no format; name the file .yaml, .toml or .json`},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := load(tc.name, []byte(tc.file), environment())
			if diff := cmp.Diff(tc.want, errText(err)); diff != "" {
				t.Errorf("error (-want +got):\n%s", diff)
			}
		})
	}
}

func TestDuplicateKeyInJSON(t *testing.T) {
	_, err := load("c.json", []byte("{\"removals\": \"apply\",\n\"removals\": \"never\"}"), environment())
	problems, _ := errors.AsType[Problems](err)
	want := Problem{Path: "removals", Text: "stands twice, first on line 1", Remedy: "keep one of the two", Line: 2}
	if len(problems) == 0 || problems[0] != want {
		// Problems with a line come first, and this is the only one.
		t.Errorf("got %v, want first %v", problems, want)
	}
}
