package ldap

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/go-ldap/ldap/v3"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
)

// maxEmptyPages bounds how many pages without anything may follow each other. Active Directory sends some when it
// looks through many entries that do not match.
const maxEmptyPages = 100

// A search is one listing of a subtree.
type search struct {
	step       string // how messages call it
	base       string
	filter     string
	attributes []string
	controls   []ldap.Control
}

// list reads a listing to its explicit end, a page whose control has no cookie, and hands every entry to keep. An entry
// that comes twice means that a page was repeated. Cookies are not compared: 389 Directory Server gives the same one
// with every page.
func (c *Connector) list(ctx context.Context, l *link, s search, keep func(*ldap.Entry) error) error {
	seen := map[string]bool{}
	paging := ldap.NewControlPaging(uint32(c.opts.PageSize))
	for empty := 0; ; {
		result, err := c.page(ctx, l, s, paging)
		if err != nil {
			step := s.step
			if len(seen) > 0 {
				step = fmt.Sprintf("%s, after %d", step, len(seen))
			}
			return c.refusal(step, err)
		}
		if err := c.checkReferrals(s, l.flavor(), result.Referrals); err != nil {
			return err
		}
		answer, ok := ldap.FindControl(result.Controls, ldap.ControlTypePaging).(*ldap.ControlPaging)
		if !ok {
			return connectors.Damaged(vendor, s.step, "the server ignores paging, so the end of the listing cannot be seen (it must support control %s)", ldap.ControlTypePaging)
		}
		for _, e := range result.Entries {
			if seen[e.DN] {
				return connectors.Damaged(vendor, s.step, "page repeated: %s was listed before", e.DN)
			}
			seen[e.DN] = true
			if err := keep(e); err != nil {
				return err
			}
		}
		if len(answer.Cookie) == 0 {
			return nil
		}
		if empty++; len(result.Entries) > 0 {
			empty = 0
		}
		if empty > maxEmptyPages {
			return connectors.Damaged(vendor, s.step, "the listing does not end: %d pages without anything followed each other", empty)
		}
		paging.SetCookie(answer.Cookie)
	}
}

func (c *Connector) page(ctx context.Context, l *link, s search, paging ldap.Control) (result *ldap.SearchResult, err error) {
	request := ldap.NewSearchRequest(s.base, ldap.ScopeWholeSubtree, ldap.NeverDerefAliases, 0, 0, false,
		s.filter, s.attributes, append([]ldap.Control{paging}, s.controls...))
	err = l.do(ctx, s.step, func() error {
		// Search returns the entries that came beside a refusal too; they are not looked at.
		result, err = l.conn.Search(request)
		return err
	})
	return result, err
}

// partitions are what every domain controller refers to at the root of its domain and holds no people.
var partitions = []string{"dc=domaindnszones", "dc=forestdnszones", "cn=configuration"}

// checkReferrals reports that a part of the base lies on other servers. Active Directory names its other domains this
// way at the root of each; anywhere else it means that the listing is not whole.
func (c *Connector) checkReferrals(s search, f Flavor, referrals []string) error {
	elsewhere := slices.DeleteFunc(slices.Clone(referrals), func(text string) bool {
		u, err := url.Parse(text)
		return err == nil && f == FlavorAD && slices.ContainsFunc(partitions, func(p string) bool {
			return strings.HasPrefix(strings.ToLower(strings.TrimPrefix(u.Path, "/")), p)
		})
	})
	switch {
	case len(elsewhere) == 0:
		return nil
	case f == FlavorAD:
		c.log.Warn("parts of the base lie in other domains, which are not read", "step", s.step, "referrals", elsewhere)
		return nil
	}
	return &connectors.Error{Directory: vendor, Step: s.step, Err: errPartial,
		Summary: "for a part of the base the server refers to " + strings.Join(elsewhere, ", "),
		Remedy:  "referrals are not followed; read from a server that holds everything, or leave that part out by user_bases and group_bases"}
}

// read reads one entry by its DN; nil means that there is none or that the reader may not know of it.
func (l *link) read(ctx context.Context, step, dn string, attributes []string) (entry *ldap.Entry, err error) {
	request := ldap.NewSearchRequest(dn, ldap.ScopeBaseObject, ldap.NeverDerefAliases, 0, 0, false, "(objectClass=*)", attributes, nil)
	return l.one(ctx, step, request)
}

// matches tells whether the entry at dn, which was read before, satisfies a filter.
func (l *link) matches(ctx context.Context, step, dn, filter string) (bool, error) {
	for _, f := range []string{filter, "(objectClass=*)"} {
		request := ldap.NewSearchRequest(dn, ldap.ScopeBaseObject, ldap.NeverDerefAliases, 0, 0, false, f, []string{"1.1"}, nil)
		switch e, err := l.one(ctx, step, request); {
		case err != nil:
			return false, err
		case e != nil:
			return f == filter, nil
		}
	}
	return false, fmt.Errorf("ldap: %s: %w (run again)", step, errChanged)
}

func (l *link) one(ctx context.Context, step string, request *ldap.SearchRequest) (*ldap.Entry, error) {
	var result *ldap.SearchResult
	err := l.do(ctx, step, func() (err error) {
		result, err = l.conn.Search(request)
		return err
	})
	switch e, answered := errors.AsType[*ldap.Error](err); {
	case answered && e.ResultCode == ldap.LDAPResultNoSuchObject:
		return nil, nil
	case err != nil:
		return nil, refusal(step, err, l.flavor())
	case len(result.Entries) > 1:
		return nil, connectors.Damaged(vendor, step, "%d entries came for one", len(result.Entries))
	case len(result.Referrals) > 0:
		return nil, connectors.Damaged(vendor, step, "the server refers to %s", strings.Join(result.Referrals, ", "))
	case len(result.Entries) == 0:
		return nil, nil
	}
	return result.Entries[0], nil
}
