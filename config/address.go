package config

import (
	"fmt"
	"net/url"
	"reflect"
	"slices"
	"strings"
)

// address tells whether the key holds an address, or several, that anybody may see.
func (f field) address() bool {
	return f.typ != secretType && slices.ContainsFunc([]string{"url", "urls", "uri", "issuer", "endpoint"}, func(word string) bool {
		return f.name == word || strings.HasSuffix(f.name, "_"+word)
	})
}

// addresses refuses an address that holds more than one does. Addresses are shown in errors and on the page, and so would
// be a password in them. Whoever checks a key by itself says more, and comes first.
func (l *loader) addresses() {
	values(reflect.ValueOf(l.cfg).Elem(), "", func(f field, v reflect.Value) {
		switch {
		case !f.address():
		case f.list():
			for i := range v.Len() {
				l.plainAddress(fmt.Sprintf("%s[%d]", f.path, i), v.Index(i).String())
			}
		default:
			l.plainAddress(f.path, v.String())
		}
	})
}

func (l *loader) plainAddress(path, text string) {
	switch u, err := url.Parse(text); {
	case err != nil:
		l.problem(path, "is no address", "write scheme, host and path, such as https://host.example/path")
	case u.User != nil || u.RawQuery != "" || u.Fragment != "" || u.Host == "" && strings.Contains(text, "@"):
		l.problem(path, "holds more than an address", "write scheme, host and path alone: a user name, a password or a query has no place in it")
	}
}
