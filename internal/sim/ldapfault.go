package sim

import "slices"

// An LDAPFault damages the answer to one search.
type LDAPFault struct {
	Name string
	play func(*ldapAnswer)
}

// An LDAPRule plays a fault on the searches that Match selects, at most Times times unless that is 0.
type LDAPRule struct {
	Match func(LDAPSearch) bool
	Fault LDAPFault
	Times int

	played int
}

// Break adds a rule. The first that selects a search is played.
func (s *LDAP) Break(r LDAPRule) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rules = append(s.rules, &r)
}

// Mend removes all rules.
func (s *LDAP) Mend() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rules = nil
}

// note remembers a search and chooses its fault.
func (s *LDAP) note(request LDAPSearch) LDAPFault {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked = append(s.asked, request)
	for _, r := range s.rules {
		if (r.Times == 0 || r.played < r.Times) && r.Match(request) {
			r.played++
			return r.Fault
		}
	}
	return LDAPFault{}
}

// An ldapAnswer is what is sent for a search, before it is damaged.
type ldapAnswer struct {
	entries   []*adEntry
	cookie    string
	paged     bool
	code      int
	text      string
	reference string
	cut       bool // the connection, in the middle of the last entry
	garbage   bool // in place of the end
	silent    bool // nothing is sent at all
}

func (s *LDAP) answer(w *ldapWriter, request LDAPSearch, a *ldapAnswer) {
	if a.silent {
		return
	}
	for i, e := range a.entries {
		message := w.message(s.sent(e, request.Attributes), nil)
		if a.cut && i == len(a.entries)-1 {
			w.send(message[:len(message)/2])
			break
		}
		w.send(message)
	}
	switch {
	case a.cut:
		w.conn.Close()
		return
	case a.garbage:
		w.send([]byte{0x30, 0x05, 0x02, 0x01, 0xff, 0x65, 0x7f})
		w.conn.Close()
		return
	case a.reference != "":
		w.send(w.message(element(0x73, octets(a.reference)), nil))
	}
	var controls []byte
	if a.paged {
		value := element(0x30, integer(0), octets(a.cookie))
		controls = element(0x30, octets(pagingControl), octets(string(value)))
	}
	w.done(0x65, a.code, a.text, controls)
}

// LDAPFaults are the ways in which a listing turns out to be none, each of which leaves entries in the answer.
func LDAPFaults() []LDAPFault {
	refused := func(code int, text string) func(*ldapAnswer) {
		return func(a *ldapAnswer) { a.code, a.text, a.cookie = code, text, "" }
	}
	hidden := func(attribute string) func(*ldapAnswer) {
		return func(a *ldapAnswer) {
			for i, e := range a.entries[:1] {
				blind := *e
				blind.names = slices.DeleteFunc(slices.Clone(e.names), func(n string) bool { return n == attribute })
				a.entries = slices.Clone(a.entries)
				a.entries[i] = &blind
			}
		}
	}
	return []LDAPFault{
		LDAPCut(),
		LDAPNothing(),
		{"garbage", func(a *ldapAnswer) { a.garbage = true }},
		{"paging ignored", func(a *ldapAnswer) { a.paged = false }},
		{"size limit", refused(4, "Size limit exceeded")},
		{"time limit", refused(3, "Time limit exceeded")},
		{"administrative limit", refused(11, "Admin limit exceeded")},
		{"partial results", refused(9, "")},
		{"referral", refused(10, "0000202B: RefErr: DSID-0310082F, data 0, 1 access points")},
		{"busy", refused(51, "busy")},
		{"insufficient access", refused(50, "00002098: SecErr: DSID-03150F93, problem 4003 (INSUFF_ACCESS_RIGHTS), data 0")},
		{"an entry twice", func(a *ldapAnswer) { a.entries = append(slices.Clone(a.entries), a.entries[0]) }},
		{"id hidden", hidden("objectGUID")},
		{"cookie without end", func(a *ldapAnswer) { a.entries, a.cookie = nil, "again" }},
	}
}

// LDAPCut breaks the connection in the middle of an entry.
func LDAPCut() LDAPFault { return LDAPFault{"cut", func(a *ldapAnswer) { a.cut = true }} }

// LDAPNothing answers with success, no entry, and no word about paging.
func LDAPNothing() LDAPFault {
	return LDAPFault{"nothing", func(a *ldapAnswer) { *a = ldapAnswer{} }}
}

// LDAPSilence does not answer.
func LDAPSilence() LDAPFault {
	return LDAPFault{"silence", func(a *ldapAnswer) { a.silent = true }}
}

// LDAPStateHidden keeps userAccountControl from the reader.
func LDAPStateHidden() LDAPFault {
	return LDAPFault{"state hidden", func(a *ldapAnswer) {
		a.entries = slices.Clone(a.entries)
		for i, e := range a.entries {
			blind := *e
			blind.names = slices.DeleteFunc(slices.Clone(e.names), func(n string) bool { return n == "userAccountControl" })
			a.entries[i] = &blind
		}
	}}
}

// LDAPReference sends a reference to another server beside the entries.
func LDAPReference(url string) LDAPFault {
	return LDAPFault{"reference", func(a *ldapAnswer) { a.reference = url }}
}

// LDAPFirstPage answers every page with the first one, and with the same cookie.
func LDAPFirstPage() LDAPFault {
	var first []*adEntry
	return LDAPFault{"first page again", func(a *ldapAnswer) {
		if first == nil {
			first = a.entries
		}
		a.entries, a.cookie = first, "1"
	}}
}
