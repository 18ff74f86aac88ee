package ldap

import (
	"context"
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
func (c *Connector) list(ctx context.Context, l *link, s search, keep func(*entry) error) error {
	seen := map[string]bool{}
	paging := ldap.NewControlPaging(uint32(c.opts.PageSize))
	q := query{base: s.base, scope: ldap.ScopeWholeSubtree, filter: s.filter, attributes: s.attributes, controls: append([]ldap.Control{paging}, s.controls...)}
	asked := 0
	for empty := 0; ; {
		var p page
		err := l.do(ctx, s.step, func() (err error) {
			if asked == 0 {
				if asked, err = l.ask(q); err != nil {
					return err
				}
			}
			pages, err := l.answers([]int{asked})
			if err != nil {
				return err
			}
			p = pages[0]
			if p.err != nil || p.cookie == "" {
				return p.err
			}
			// The server makes the next page while this one is looked at.
			paging.SetCookie([]byte(p.cookie))
			asked, err = l.ask(q)
			return err
		})
		if err != nil {
			step := s.step
			if len(seen) > 0 {
				step = fmt.Sprintf("%s, after %d", step, len(seen))
			}
			return c.refusal(step, err)
		}
		if err := c.checkReferrals(s, l.flavor(), p.references); err != nil {
			return err
		}
		if !p.paged {
			return connectors.Damaged(vendor, s.step, "the server ignores paging, so the end of the listing cannot be seen (it must support control %s)", ldap.ControlTypePaging)
		}
		for _, e := range p.entries {
			e.dn = strings.Clone(e.dn)
			if seen[e.dn] {
				return connectors.Damaged(vendor, s.step, "page repeated: %s was listed before", e.dn)
			}
			seen[e.dn] = true
			if err := keep(e); err != nil {
				return err
			}
		}
		if p.cookie == "" {
			return nil
		}
		if empty++; len(p.entries) > 0 {
			empty = 0
		}
		if empty > maxEmptyPages {
			return connectors.Damaged(vendor, s.step, "the listing does not end: %d pages without anything followed each other", empty)
		}
	}
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
		c.domains.Do(func() {
			c.log.Warn("parts of the base lie in other domains, which are not read", "step", s.step, "referrals", elsewhere)
		})
		return nil
	}
	return &connectors.Error{Directory: vendor, Step: s.step, Err: errPartial,
		Summary: "for a part of the base the server refers to " + strings.Join(elsewhere, ", "),
		Remedy:  "referrals are not followed; read from a server that holds everything, or leave that part out by user_bases and group_bases"}
}
