// Package file reads the directory from CSV or JSON files: our own format, and what the consoles of Okta, Microsoft
// Entra and Google Workspace export.
//
// A users file is recognised by its header: login or Username beside First name and Last name is an Okta export,
// userPrincipalName beside displayName an Entra one, "Email Address [Required]" beside First and Last Name a Google one,
// and userName without those our own. A groups file has one row per membership and is recognised by its group and member
// columns: name and member (our own), Group name and Username (Okta), Group Email and Member Email (Google). In place of a groups
// file a directory may be given that holds one members file per group, as Entra downloads them; the file's name is the
// group's. JSON is recognised by its first character. docs/connectors/file.md has the tables.
package file

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
)

// Options say which files make up the directory.
type Options struct {
	UsersPath  string
	GroupsPath string // "" when there are no groups or they stand in the users file; a directory holds one file per group
	Format     string // of the users file, one of Formats; "" is "auto", which recognises it
	Name       string // tells this directory from others in the store; it must stay when the files move
	Query      connectors.Query
	Log        *slog.Logger
}

// Formats are the values of Options.Format.
var Formats = []string{"auto", "csv", "json", "okta", "entra", "google"}

// A Connector reads a directory from files.
type Connector struct {
	opts  Options
	scope connectors.Patterns
	log   *slog.Logger
	dir   func(path string) fs.FS // os.DirFS; tests put files that change in its place
}

var (
	_ connectors.Connector = (*Connector)(nil)
	_ connectors.Checker   = (*Connector)(nil)
)

// New checks the options without touching the files.
func New(o Options) (*Connector, error) {
	var errs []error
	if o.UsersPath == "" {
		errs = append(errs, errors.New("no users file is set"))
	}
	if o.Name == "" {
		errs = append(errs, errors.New("no name is set: the state is bound to it, so choose one that stays"))
	}
	if o.Format == "auto" {
		o.Format = ""
	}
	if o.Format != "" && userFormat(o.Format) == nil && o.Format != "json" {
		errs = append(errs, fmt.Errorf("format %q is none of %q", o.Format, Formats))
	}
	switch o.Query.Mode {
	case connectors.ScopeAll:
	case connectors.ScopeGroups:
		if len(o.Query.Groups) == 0 {
			errs = append(errs, errors.New("scope mode groups needs at least one group"))
		}
	case connectors.ScopeAssigned:
		errs = append(errs, errors.New("scope mode assigned: a file has no application to be assigned to (use groups or all)"))
	default:
		errs = append(errs, fmt.Errorf("scope mode %q is neither groups nor all", o.Query.Mode))
	}
	scope, err := connectors.ParsePatterns(o.Query.Groups)
	errs = append(errs, err)
	for _, p := range scope {
		if !p.Exact() {
			errs = append(errs, fmt.Errorf("scope group %q: write the exact name, or id:…", p))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, fmt.Errorf("file: %w", err)
	}
	o.UsersPath = filepath.Clean(o.UsersPath)
	if o.GroupsPath != "" {
		o.GroupsPath = filepath.Clean(o.GroupsPath)
	}
	c := &Connector{opts: o, scope: scope, log: o.Log, dir: os.DirFS}
	if c.log == nil {
		c.log = slog.New(slog.DiscardHandler)
	}
	return c, nil
}

// Name is "file".
func (c *Connector) Name() string { return "file" }

// Tenant is "file:" and the configured name.
func (c *Connector) Tenant() string { return "file:" + c.opts.Name }

// Fetch reads the files whole. Everybody in them is in the snapshot, whatever the scope; of the groups those that the
// scope or the push patterns name.
func (c *Connector) Fetch(ctx context.Context) (connectors.Snapshot, error) {
	d, err := c.read(ctx)
	if err != nil {
		return connectors.Snapshot{}, fmt.Errorf("file: %w", err)
	}
	groups, err := c.choose(d.groups)
	if err != nil {
		return connectors.Snapshot{}, fmt.Errorf("file: %w", err)
	}
	users := make([]connectors.User, len(d.people))
	for i, p := range d.people {
		users[i] = p.user
	}
	s, err := connectors.NewSnapshot(users, groups)
	if err != nil {
		return connectors.Snapshot{}, fmt.Errorf("file: %w", err)
	}
	c.log.Debug("files read", "format", d.title, "people", len(s.Users), "groups", len(d.groups))
	return s, nil
}

// Check reads the files as Fetch does and says what they were taken for.
func (c *Connector) Check(ctx context.Context) []connectors.Check {
	read := connectors.Check{Name: "read " + c.opts.UsersPath}
	if c.opts.GroupsPath != "" {
		read.Name += " and " + c.opts.GroupsPath
	}
	d, err := c.read(ctx)
	if err != nil {
		read.Err = fmt.Errorf("file: %w", err)
		return []connectors.Check{read}
	}
	read.Detail = fmt.Sprintf("%s, %d people, %d groups", d.title, len(d.people), len(d.groups))
	if c.opts.Query.Mode != connectors.ScopeGroups {
		return []connectors.Check{read}
	}
	scope := connectors.Check{Name: "find the groups of the scope", Detail: fmt.Sprintf("%d of %d groups", len(c.scope), len(d.groups))}
	if _, err := c.choose(d.groups); err != nil {
		scope.Err = fmt.Errorf("file: %w", err)
	}
	return []connectors.Check{read, scope}
}

// choose marks the scope's groups and leaves out those that nobody asked for.
func (c *Connector) choose(all []connectors.Group) ([]connectors.Group, error) {
	var errs []error
	scope := map[connectors.GroupID]bool{}
	if c.opts.Query.Mode == connectors.ScopeGroups {
		for _, p := range c.scope {
			var found []connectors.GroupID
			for _, g := range all {
				if p.Match(string(g.ID), g.Name) {
					found = append(found, g.ID)
					scope[g.ID] = true
				}
			}
			switch {
			case len(found) == 0:
				errs = append(errs, fmt.Errorf("scope group %q is in no file (check its spelling; the files have %d groups)", p, len(all)))
			case len(found) > 1:
				errs = append(errs, fmt.Errorf("scope group %q is the name of %d groups (write one of them as id:…): %q", p, len(found), found))
			}
		}
	}
	var chosen []connectors.Group
	for _, g := range all {
		g.Scope = scope[g.ID]
		if _, push := c.opts.Query.Push.Match(string(g.ID), g.Name); g.Scope || push {
			chosen = append(chosen, g)
		}
	}
	return chosen, errors.Join(errs...)
}

// A directory is everything that the files say, before the query chooses.
type directory struct {
	title  string // what the users file was taken for
	people []person
	groups []connectors.Group
}

// A person is a user with the place in the file.
type person struct {
	user   connectors.User
	groups []string // of our own CSV's column
	line   int
}

func (c *Connector) read(ctx context.Context) (directory, error) {
	if err := ctx.Err(); err != nil {
		return directory{}, err
	}
	raw, err := c.readFile(c.opts.UsersPath)
	if err != nil {
		return directory{}, err
	}
	log := &problems{path: c.opts.UsersPath}
	var d directory
	var rows []membership
	if c.opts.Format == "json" || c.opts.Format == "" && isJSON(raw) {
		d.title = "our JSON"
		d.people, rows = parseJSON(raw, c.opts.Query.Attributes, log)
	} else {
		d.title, d.people = parseUsers(raw, c.opts.Format, c.opts.Query.Attributes, log)
		rows = groupsColumn(d.people, log)
	}
	checkPeople(d.people, log)
	if err := log.err(); err != nil {
		return directory{}, err
	}
	if c.opts.GroupsPath == "" {
		d.groups = assemble(d.people, rows, log)
		return d, log.err()
	}
	if len(rows) > 0 {
		return directory{}, fmt.Errorf("%s has groups of its own, and %s is set as well: use one of them", c.opts.UsersPath, c.opts.GroupsPath)
	}
	d.groups, err = c.readGroups(ctx, d.people)
	return d, err
}

// readGroups reads the groups file, or each file of a directory.
func (c *Connector) readGroups(ctx context.Context, people []person) ([]connectors.Group, error) {
	path := c.opts.GroupsPath
	base := filepath.Base(path)
	parent := c.dir(filepath.Dir(path))
	info, err := fs.Stat(parent, base)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	if !info.IsDir() {
		raw, err := c.readFile(path)
		if err != nil {
			return nil, err
		}
		log := &problems{path: path}
		var rows []membership
		if isJSON(raw) {
			rows = parseGroupsJSON(raw, log)
		} else {
			rows = parseGroups(raw, log)
		}
		if err := log.err(); err != nil {
			return nil, err
		}
		return assemble(people, rows, log), log.err()
	}
	entries, err := fs.ReadDir(parent, base)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	var groups []connectors.Group
	var errs []error
	for _, e := range entries {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if e.Name()[0] == '.' {
			continue
		}
		group, err := c.readMembers(filepath.Join(path, e.Name()), people)
		groups = append(groups, group...)
		errs = append(errs, err)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	if len(groups) == 0 {
		return nil, fmt.Errorf("%s holds no members file", path)
	}
	return groups, nil
}

// readMembers reads one group's members; the file's name is the group's.
func (c *Connector) readMembers(path string, people []person) ([]connectors.Group, error) {
	name, ok := cutSuffixFold(filepath.Base(path), ".csv")
	if !ok || name == "" {
		return nil, fmt.Errorf("%s is no CSV file: a directory of groups holds nothing else", path)
	}
	raw, err := c.readFile(path)
	if err != nil {
		return nil, err
	}
	log := &problems{path: path}
	rows := parseMembers(raw, name, log)
	if err := log.err(); err != nil {
		return nil, err
	}
	return assemble(people, rows, log), log.err()
}
