package ldap

import (
	"errors"
	"strconv"

	ber "github.com/go-asn1-ber/asn1-ber"
	"github.com/go-ldap/ldap/v3"
)

// operations are the names by which Options.Observe is told of what is sent.
var operations = map[ber.Tag]string{
	ldap.ApplicationBindRequest: "bind", ldap.ApplicationExtendedRequest: "extended", ldap.ApplicationSearchRequest: "search",
}

// sending tells of an operation that is about to be sent.
func (l *link) sending(number int, op *ber.Packet) {
	l.count()
	if l.begin == nil {
		return
	}
	if l.open == nil {
		l.open = map[int]func(string, bool){}
	}
	l.open[number] = l.begin(operations[op.Tag])
}

// received tells of the end of the operation that a message ends.
func (l *link) received(m message) {
	ended, ok := l.open[m.id]
	if !ok || m.tag == tagEntry || m.tag == tagReference {
		return
	}
	delete(l.open, m.id)
	err := m.result()
	refused, isRefused := errors.AsType[*refused](err)
	switch {
	case isRefused && resultName(refused.code) == "result": // a number of the server's own
		ended("other", false)
	case isRefused:
		ended(strconv.Itoa(refused.code), false)
	case err != nil:
		ended("error", false)
	default:
		ended("0", true)
	}
}

// abandon tells of the operations that are not going to be answered any more.
func (l *link) abandon() {
	for number, ended := range l.open {
		delete(l.open, number)
		ended("error", false)
	}
}
