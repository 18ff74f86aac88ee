package sim

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// LDAPOptions are the switches of the LDAP side. The zero value is a domain whose reader may read everything.
type LDAPOptions struct {
	BindDN   string // DefaultLDAPReader if empty
	Password string // DefaultLDAPPassword if empty
	// SubCode is what the domain controller adds to its refusal of the right password, such as "532".
	SubCode string
	// Encrypted wants an encrypted connection for signing in, which there is none of.
	Encrypted bool
	// Subgroups are the groups inside groups, all by name.
	Subgroups map[string][]string
	// Expires are the ends of accounts, by login.
	Expires map[string]time.Time
	// Strangers puts somebody of another domain and a foreign security principal into every group.
	Strangers bool
	// HideDeleted keeps deleted objects from the reader.
	HideDeleted bool
	// MaxPage is the most entries of a page, 1000 if 0; MaxValues the most values of an attribute, 1500 if 0.
	MaxPage   int
	MaxValues int
}

// What a domain is like whose options say nothing.
const (
	DefaultLDAPReader   = "CN=idp-sync,OU=Service," + LDAPBase
	DefaultLDAPPassword = "sim~ldap~password"
)

// LDAP serves a Company as an Active Directory domain speaks LDAP: signing in and searching.
//
// Suspended, staged and deactivated people have their accounts disabled. Okta's group Everyone does not exist here.
// Whom Company.Delete removed is among the deleted objects until EmptyBin.
type LDAP struct {
	company *Company
	options LDAPOptions

	mu    sync.Mutex
	rules []*LDAPRule
	asked []LDAPSearch

	kept   []*adEntry // as of the company's clock and bin, for they are costly to make
	byDN   map[string]*adEntry
	keptAt time.Time
	binned int
}

// NewLDAP returns the domain of a company.
func NewLDAP(c *Company, o LDAPOptions) *LDAP {
	o.BindDN = cmp.Or(o.BindDN, DefaultLDAPReader)
	o.Password = cmp.Or(o.Password, DefaultLDAPPassword)
	o.MaxPage = cmp.Or(o.MaxPage, 1000)
	o.MaxValues = cmp.Or(o.MaxValues, 1500)
	return &LDAP{company: c, options: o}
}

// An LDAPSearch is one search request.
type LDAPSearch struct {
	Base       string
	Subtree    bool
	Filter     string
	Attributes []string
	Page       int // 0 is the first
}

// Searches are all that were asked for.
func (s *LDAP) Searches() []LDAPSearch {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.asked)
}

// Dial connects in process, whatever the address.
func (s *LDAP) Dial(ctx context.Context, _, _ string) (net.Conn, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	near, far := net.Pipe()
	go s.serve(far)
	return near, nil
}

// Listen serves on a free port of 127.0.0.1 until the returned function is called, which waits for all connections.
func (s *LDAP) Listen() (url string, stop func() error, err error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	var all sync.WaitGroup
	var mu sync.Mutex
	open := map[net.Conn]bool{}
	all.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			open[conn] = true
			mu.Unlock()
			all.Go(func() { s.serve(conn) })
		}
	})
	return "ldap://" + l.Addr().String(), func() error {
		err := l.Close()
		mu.Lock()
		for conn := range open {
			conn.Close()
		}
		mu.Unlock()
		all.Wait()
		return err
	}, nil
}

// serve answers one connection, its requests one after the other. They are taken off the wire at once, so that a client
// that writes before it reads is not blocked.
func (s *LDAP) serve(conn net.Conn) {
	requests := make(chan tlv, 1024)
	go func() {
		defer close(requests)
		r := bufio.NewReader(conn)
		for {
			message, err := readTLV(r)
			if err != nil || message.at(1).tag == 0x42 { // unbind
				return
			}
			requests <- message
		}
	}()
	w := &ldapWriter{conn: conn}
	bound := false
	for message := range requests {
		w.id = message.at(0).value
		switch op := message.at(1); op.tag {
		case 0x60:
			bound = s.bind(w, op)
		case 0x63:
			if !bound {
				w.done(0x65, 1, "000004DC: LdapErr: DSID-0C090A5E, comment: In order to perform this operation a successful bind must be completed on the connection., data 0, v3839", nil)
				continue
			}
			s.search(w, op, message.at(2))
		case 0x50: // abandon: everything was answered already
		case 0x77:
			w.done(0x78, 2, "unsupported extended operation", nil)
		}
	}
	conn.Close()
}

// An ldapWriter writes the answers to one request. After its connection is cut it writes nothing.
type ldapWriter struct {
	conn net.Conn
	id   []byte
}

func (w *ldapWriter) message(op []byte, controls []byte) []byte {
	parts := [][]byte{element(0x02, w.id), op}
	if controls != nil {
		parts = append(parts, element(0xa0, controls))
	}
	return element(0x30, parts...)
}

func (w *ldapWriter) send(message []byte) { w.conn.Write(message) }

func (w *ldapWriter) done(tag byte, code int, text string, controls []byte) {
	w.send(w.message(element(tag, enumerated(code), octets(""), octets(text)), controls))
}

func (s *LDAP) bind(w *ldapWriter, op tlv) bool {
	refuse := func(code int, text string) bool {
		w.done(0x61, code, text, nil)
		return false
	}
	const invalid = "80090308: LdapErr: DSID-0C09044E, comment: AcceptSecurityContext error, data "
	switch {
	case s.options.Encrypted:
		return refuse(8, "00002028: LdapErr: DSID-0C09023C, comment: The server requires binds to turn on integrity checking if SSL\\TLS are not already active on the connection, data 0, v3839")
	case !strings.EqualFold(op.at(1).text(), s.options.BindDN):
		return refuse(49, invalid+"525, v3839\x00")
	case op.at(2).text() != s.options.Password:
		return refuse(49, invalid+"52e, v3839\x00")
	case s.options.SubCode != "":
		return refuse(49, invalid+s.options.SubCode+", v3839\x00")
	}
	w.done(0x61, 0, "", nil)
	return true
}

const (
	pagingControl      = "1.2.840.113556.1.4.319"
	showDeletedControl = "1.2.840.113556.1.4.417"
)

// search answers one search: everything in its base, that its filter means, a page of it.
func (s *LDAP) search(w *ldapWriter, op, controls tlv) {
	request := LDAPSearch{Base: op.at(0).text(), Subtree: op.at(1).number() == 2, Filter: filterText(op.at(6))}
	for _, a := range op.at(7).inner {
		request.Attributes = append(request.Attributes, a.text())
	}
	paged, size, from, deleted := false, s.options.MaxPage, 0, false
	for _, c := range controls.inner {
		switch c.at(0).text() {
		case pagingControl:
			paged = true
			value, err := parseTLV(0x30, c.inner[len(c.inner)-1].value)
			if err != nil {
				w.done(0x65, 2, err.Error(), nil)
				return
			}
			size = min(size, value.at(0).at(0).number())
			from, _ = strconv.Atoi(value.at(0).at(1).text())
		case showDeletedControl:
			deleted = true
		}
	}
	if size > 0 {
		request.Page = from / size
	}
	fault := s.note(request)
	hits, err := s.matching(request, op.at(6), deleted && !s.options.HideDeleted)
	if err != nil {
		w.done(0x65, 32, "0000208D: NameErr: DSID-0310028B, problem 2001 (NO_OBJECT), data 0, best match of: '"+LDAPBase+"'", nil)
		return
	}
	page := hits[min(from, len(hits)):min(from+size, len(hits))]
	cookie := ""
	if from+size < len(hits) {
		cookie = strconv.Itoa(from + size)
	}
	a := &ldapAnswer{entries: page, cookie: cookie, paged: paged}
	if !paged && cookie != "" {
		a.code = 4
	}
	if fault.play != nil {
		fault.play(a)
	}
	s.answer(w, request, a)
}

var errNoBase = errors.New("no such object")

func (s *LDAP) matching(request LDAPSearch, filter tlv, deleted bool) ([]*adEntry, error) {
	if request.Base == "" && !request.Subtree {
		return []*adEntry{rootEntry()}, nil
	}
	all, byDN := s.all()
	base := strings.ToLower(request.Base)
	if e := byDN[base]; e == nil && base != strings.ToLower(ldapDeleted) || e != nil && e.deleted && !deleted {
		return nil, errNoBase
	} else if !request.Subtree {
		all = []*adEntry{e}
	}
	var hits []*adEntry
	for _, e := range all {
		if e.deleted && !deleted || request.Subtree && e.at != base && !strings.HasSuffix(e.at, ","+base) {
			continue
		}
		if e.matches(filter) {
			hits = append(hits, e)
		}
	}
	return hits, nil
}

// all is the domain as it is, which nobody may change.
func (s *LDAP) all() ([]*adEntry, map[string]*adEntry) {
	s.company.mu.RLock()
	defer s.company.mu.RUnlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.kept == nil || !s.keptAt.Equal(s.company.now) || s.binned != len(s.company.bin) {
		s.kept, s.keptAt, s.binned = s.entries(), s.company.now, len(s.company.bin)
		s.byDN = map[string]*adEntry{}
		for _, e := range s.kept {
			e.at = strings.ToLower(e.dn)
			s.byDN[e.at] = e
		}
	}
	return s.kept, s.byDN
}

func rootEntry() *adEntry {
	e := newEntry("")
	e.set("defaultNamingContext", LDAPBase)
	e.set("supportedCapabilities", "1.2.840.113556.1.4.800", "1.2.840.113556.1.4.1670")
	e.set("supportedControl", pagingControl, showDeletedControl)
	return e
}

// matches evaluates the filters that are needed. An unknown one is undefined, which is no match.
func (e *adEntry) matches(f tlv) bool {
	switch f.tag {
	case 0xa0:
		return !slices.ContainsFunc(f.inner, func(inner tlv) bool { return !e.matches(inner) })
	case 0xa1:
		return slices.ContainsFunc(f.inner, e.matches)
	case 0xa2:
		return !e.matches(f.at(0))
	case 0xa3:
		return slices.ContainsFunc(e.values[strings.ToLower(f.at(0).text())], func(v string) bool { return strings.EqualFold(v, f.at(1).text()) })
	case 0x87:
		return len(e.values[strings.ToLower(f.text())]) > 0
	}
	return false
}
