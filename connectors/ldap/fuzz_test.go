package ldap

import (
	"bufio"
	"bytes"
	"slices"
	"strings"
	"testing"

	ber "github.com/go-asn1-ber/asn1-ber"
	"github.com/go-ldap/ldap/v3"
)

// FuzzMessage holds that whatever a server sends is a message or an error, and that an entry that is read is the one that
// was sent: written again by another encoder it reads the same.
func FuzzMessage(f *testing.F) {
	f.Add([]byte("\x30\x0c\x02\x01\x01\x65\x07\x0a\x01\x00\x04\x00\x04\x00"))
	f.Add([]byte("\x30\x11\x02\x01\x02\x64\x0c\x04\x04cn=a\x30\x04\x30\x02\x04\x00"))
	f.Add([]byte("\x30\x84\xff\xff\xff\xff"))
	f.Add(entryMessage(&entry{dn: "uid=ann,dc=acme", attributes: []attribute{{"mail", []string{"a@acme", "\x00\xff"}}, {"empty", nil}}}))
	f.Add([]byte("\x30\x24\x02\x01\x02\x65\x07\x0a\x01\x00\x04\x00\x04\x00\xa0\x16\x30\x14\x04\x161.2.840.113556.1.4.319\x04\x05\x30\x03\x02\x01\x00"))
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := readMessage(bufio.NewReader(bytes.NewReader(data)))
		if err != nil {
			return
		}
		_ = m.result() // any message may be asked for any part
		if _, _, err := m.cookie(); err != nil && strings.ContainsAny(err.Error(), "\n") {
			t.Errorf("several errors of one: %q", err)
		}
		var p page
		if _, err := p.add(m); err != nil {
			return
		}
		for _, e := range p.entries {
			again, err := readMessage(bufio.NewReader(bytes.NewReader(entryMessage(e))))
			if err != nil {
				t.Fatalf("%+v cannot be read again: %v", e, err)
			}
			back, err := again.entry(new(shelf))
			if err != nil || back.dn != e.dn || !slices.EqualFunc(back.attributes, e.attributes, sameAttribute) {
				t.Errorf("%+v reads again as %+v, %v", e, back, err)
			}
		}
	})
}

func sameAttribute(a, b attribute) bool { return a.name == b.name && slices.Equal(a.values, b.values) }

// entryMessage writes an entry with the library that the decoder stands in for.
func entryMessage(e *entry) []byte {
	op := ber.Encode(ber.ClassApplication, ber.TypeConstructed, ldap.ApplicationSearchResultEntry, nil, "")
	op.AppendChild(octetString(e.dn))
	list := ber.NewSequence("")
	for _, a := range e.attributes {
		set := ber.Encode(ber.ClassUniversal, ber.TypeConstructed, ber.TagSet, nil, "")
		for _, v := range a.values {
			set.AppendChild(octetString(v))
		}
		pair := ber.NewSequence("")
		pair.AppendChild(octetString(a.name))
		pair.AppendChild(set)
		list.AppendChild(pair)
	}
	op.AppendChild(list)
	envelope := ber.NewSequence("")
	envelope.AppendChild(ber.NewInteger(ber.ClassUniversal, ber.TypePrimitive, ber.TagInteger, 2, ""))
	envelope.AppendChild(op)
	return envelope.Bytes()
}

// FuzzName holds that the form in which names are compared is one: a name means itself, however it is spelt again, and two
// names of one key are found for each other.
func FuzzName(f *testing.F) {
	for _, s := range []string{"uid=ann,ou=People,dc=acme", `cn=Smith\, Ann+uid=a,dc=acme`, `CN=\20x\20,DC=acme`, "cn=#04024869", "cn=a#'0101'B", `cn=\c3\a9`, "", "=", `cn=a\`, "1.2.3=x ; dc=y", "cn=ſ"} {
		f.Add(s, "dc=acme")
	}
	f.Fuzz(func(t *testing.T, text, other string) {
		n, err := parseName(text)
		if err != nil {
			return
		}
		if !n.within(n) {
			t.Errorf("%q does not lie within itself", text)
		}
		if again, err := parseName(n.key); err != nil || again.key != n.key {
			t.Errorf("%q has the key %q, which has the key %q, %v", text, n.key, again.key, err)
		}
		x := newIndex(1)
		x.add(text)
		if i, ok, err := x.find(n.key); err != nil || !ok || i != 0 {
			t.Errorf("%q is not found as %q: %v", text, n.key, err)
		}
		o, err := parseName(other)
		if err != nil {
			return
		}
		if n.within(o) && o.within(n) && n.key != o.key {
			t.Errorf("%q and %q lie within each other", text, other)
		}
		if i, ok, err := x.find(other); err == nil && ok != (o.key == n.key) && !optionalUID.MatchString(other) {
			t.Errorf("%q is found as %q: %v, %d", text, other, ok, i)
		}
	})
}

// FuzzIDFilter holds that a filter for an id asks for exactly this value, whatever stands in it.
func FuzzIDFilter(f *testing.F) {
	for _, s := range []string{"ann", "*", "a)(uid=*", `\2a`, "\x00\xff", "é", "(&)"} {
		f.Add(s)
	}
	p := profile{names: Attributes{ID: "entryUUID"}}
	f.Fuzz(func(t *testing.T, id string) {
		text, err := p.idFilter(id)
		if err != nil {
			t.Fatal(err)
		}
		q, err := ldap.CompileFilter(text)
		if err != nil {
			t.Fatalf("%q asks by %q: %v", id, text, err)
		}
		if q.Tag != ldap.FilterEqualityMatch || len(q.Children) != 2 || q.Children[0].Data.String() != "entryUUID" || q.Children[1].Data.String() != id {
			t.Errorf("%q asks by %q, which is another question", id, text)
		}
	})
}
