package ldap

import (
	"context"
	"fmt"
	"strings"

	ber "github.com/go-asn1-ber/asn1-ber"
	"github.com/go-ldap/ldap/v3"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
)

// A query is one search request.
type query struct {
	base       string
	scope      int
	filter     string
	attributes []string
	controls   []ldap.Control
}

// packet encodes the request; aliases are not followed, and no limit but the server's own is set.
func (q query) packet() (*ber.Packet, error) {
	filter, err := ldap.CompileFilter(q.filter)
	if err != nil {
		return nil, err
	}
	p := ber.Encode(ber.ClassApplication, ber.TypeConstructed, ldap.ApplicationSearchRequest, nil, "")
	p.AppendChild(octetString(q.base))
	p.AppendChild(ber.NewInteger(ber.ClassUniversal, ber.TypePrimitive, ber.TagEnumerated, q.scope, ""))
	p.AppendChild(ber.NewInteger(ber.ClassUniversal, ber.TypePrimitive, ber.TagEnumerated, ldap.NeverDerefAliases, ""))
	p.AppendChild(ber.NewInteger(ber.ClassUniversal, ber.TypePrimitive, ber.TagInteger, 0, ""))
	p.AppendChild(ber.NewInteger(ber.ClassUniversal, ber.TypePrimitive, ber.TagInteger, 0, ""))
	p.AppendChild(ber.NewBoolean(ber.ClassUniversal, ber.TypePrimitive, ber.TagBoolean, false, ""))
	p.AppendChild(filter)
	attributes := ber.NewSequence("")
	for _, a := range q.attributes {
		attributes.AppendChild(octetString(a))
	}
	p.AppendChild(attributes)
	return p, nil
}

func octetString(s string) *ber.Packet {
	return ber.NewString(ber.ClassUniversal, ber.TypePrimitive, ber.TagOctetString, s, "")
}

// send writes one request and returns its number.
func (l *link) send(op *ber.Packet, controls ...ldap.Control) (int, error) {
	l.sent++
	l.sending(l.sent, op)
	envelope := ber.NewSequence("")
	envelope.AppendChild(ber.NewInteger(ber.ClassUniversal, ber.TypePrimitive, ber.TagInteger, l.sent, ""))
	envelope.AppendChild(op)
	if len(controls) > 0 {
		list := ber.Encode(ber.ClassContext, ber.TypeConstructed, 0, nil, "")
		for _, c := range controls {
			list.AppendChild(c.Encode())
		}
		envelope.AppendChild(list)
	}
	_, err := l.raw.Write(envelope.Bytes())
	return l.sent, err
}

// receive reads the next message. What comes without having been asked for is the server's notice that it hangs up.
func (l *link) receive() (message, error) {
	m, err := readMessage(l.in)
	if err != nil {
		return message{}, err
	}
	if m.id == 0 {
		if err := m.result(); err != nil {
			return message{}, err
		}
		return message{}, fmt.Errorf("%w: it belongs to no request", errMessage)
	}
	l.received(m)
	return m, nil
}

// single sends a request that is answered by one message.
func (l *link) single(op *ber.Packet, tag byte) error {
	id, err := l.send(op)
	if err != nil {
		return err
	}
	m, err := l.receive()
	switch {
	case err != nil:
		return err
	case m.id != id || m.tag != tag:
		return errMessage
	}
	return m.result()
}

func (l *link) bind(dn, password string) error {
	p := ber.Encode(ber.ClassApplication, ber.TypeConstructed, ldap.ApplicationBindRequest, nil, "")
	p.AppendChild(ber.NewInteger(ber.ClassUniversal, ber.TypePrimitive, ber.TagInteger, 3, ""))
	p.AppendChild(octetString(dn))
	p.AppendChild(ber.NewString(ber.ClassContext, ber.TypePrimitive, 0, password, ""))
	return l.single(p, tagBindResponse)
}

const startTLS = "1.3.6.1.4.1.1466.20037"

func (l *link) askStartTLS() error {
	p := ber.Encode(ber.ClassApplication, ber.TypeConstructed, ldap.ApplicationExtendedRequest, nil, "")
	p.AppendChild(ber.NewString(ber.ClassContext, ber.TypePrimitive, 0, startTLS, ""))
	return l.single(p, tagExtendedResponse)
}

// A page is the answer to one search.
type page struct {
	entries    []*entry
	shelf      shelf // of entries
	references []string
	cookie     string
	paged      bool
	err        error // a *refused; the entries that came before it are not to be looked at
}

// search sends the queries together and reads all answers. The error is of the connection.
func (l *link) search(queries ...query) ([]page, error) {
	ids := make([]int, len(queries))
	for i, q := range queries {
		var err error
		if ids[i], err = l.ask(q); err != nil {
			return nil, err
		}
	}
	return l.answers(ids)
}

// ask sends a query and returns its number.
func (l *link) ask(q query) (int, error) {
	p, err := q.packet()
	if err != nil {
		return 0, err
	}
	return l.send(p, q.controls...)
}

// answers reads the answers to all queries that were sent, in the order of their numbers.
func (l *link) answers(ids []int) ([]page, error) {
	place := make(map[int]int, len(ids))
	for i, id := range ids {
		place[id] = i
	}
	pages := make([]page, len(ids))
	for len(place) > 0 {
		m, err := l.receive()
		if err != nil {
			return nil, err
		}
		i, ok := place[m.id]
		if !ok {
			return nil, fmt.Errorf("%w: it belongs to no request", errMessage)
		}
		done, err := pages[i].add(m)
		if err != nil {
			return nil, err
		}
		if done {
			delete(place, m.id)
		}
	}
	return pages, nil
}

func (p *page) add(m message) (done bool, err error) {
	switch m.tag {
	case tagEntry:
		e, err := m.entry(&p.shelf)
		p.entries = append(p.entries, e)
		return false, err
	case tagReference:
		urls, err := stringList(string(m.body))
		p.references = append(p.references, urls...)
		return false, err
	case tagDone:
		err := m.result()
		if _, ok := err.(*refused); ok {
			p.err = err
			return true, nil
		}
		if err == nil {
			p.cookie, p.paged, err = m.cookie()
		}
		return true, err
	}
	return false, fmt.Errorf("%w: tag %#x", errMessage, m.tag)
}

// together is how many entries are asked for at a time.
const together = 64

// readAll reads entries by their DNs; nil stands for one that does not exist or that the reader may not know of.
func (l *link) readAll(ctx context.Context, dns []string, attributes []string) ([]*entry, error) {
	out := make([]*entry, 0, len(dns))
	for len(dns) > 0 {
		chunk := dns[:min(together, len(dns))]
		dns = dns[len(chunk):]
		queries := make([]query, len(chunk))
		for i, dn := range chunk {
			queries[i] = query{base: dn, scope: ldap.ScopeBaseObject, filter: "(objectClass=*)", attributes: attributes}
		}
		entries, err := l.base(ctx, "reading "+chunk[0], queries)
		if err != nil {
			return nil, err
		}
		out = append(out, entries...)
	}
	return out, nil
}

// base runs searches for one entry each.
func (l *link) base(ctx context.Context, step string, queries []query) ([]*entry, error) {
	var pages []page
	err := l.do(ctx, step, func() (err error) {
		pages, err = l.search(queries...)
		return err
	})
	if err != nil {
		return nil, refusal(step, err, l.flavor())
	}
	out := make([]*entry, len(queries))
	for i, p := range pages {
		step := "reading " + queries[i].base
		if queries[i].base == "" {
			step = "reading the server's root entry"
		}
		switch {
		case isResult(p.err, ldap.LDAPResultNoSuchObject):
		case p.err != nil:
			return nil, refusal(step, p.err, l.flavor())
		case len(p.entries) > 1:
			return nil, connectors.Damaged(vendor, step, "%d entries came for one", len(p.entries))
		case len(p.references) > 0:
			return nil, connectors.Damaged(vendor, step, "the server refers to %s", strings.Join(p.references, ", "))
		case len(p.entries) == 1:
			out[i] = p.entries[0]
		}
	}
	return out, nil
}

// read reads one entry by its DN, as readAll does.
func (l *link) read(ctx context.Context, dn string, attributes ...string) (*entry, error) {
	entries, err := l.readAll(ctx, []string{dn}, attributes)
	if err != nil {
		return nil, err
	}
	return entries[0], nil
}

// matches tells whether the entry at dn, which was read before, satisfies a filter.
func (l *link) matches(ctx context.Context, step, dn, filter string) (bool, error) {
	attributes := []string{"1.1"}
	got, err := l.base(ctx, step, []query{
		{base: dn, scope: ldap.ScopeBaseObject, filter: filter, attributes: attributes},
		{base: dn, scope: ldap.ScopeBaseObject, filter: "(objectClass=*)", attributes: attributes},
	})
	if err != nil {
		return false, err
	}
	if got[1] == nil {
		return false, fmt.Errorf("ldap: %s: %w (run again)", step, errChanged)
	}
	return got[0] != nil, nil
}
