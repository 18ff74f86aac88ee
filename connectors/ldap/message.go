package ldap

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/go-ldap/ldap/v3"
)

// go-ldap decodes an entry into hundreds of small objects, which takes five times as long as the server needs to send
// it, and drops one without a word when its reader is late. So what comes back is decoded here.

// An entry is one object of the directory. Its strings share the memory of the whole message; whatever is kept longer
// is cloned, the dn of a listed one excepted.
type entry struct {
	dn         string
	attributes []attribute
}

type attribute struct {
	name   string
	values []string
}

// values are those of an attribute, whose name's case does not count.
func (e *entry) values(name string) []string {
	for _, a := range e.attributes {
		if strings.EqualFold(a.name, name) {
			return a.values
		}
	}
	return nil
}

// The tags of the messages that servers send.
const (
	tagBindResponse     = 0x61
	tagEntry            = 0x64
	tagDone             = 0x65
	tagReference        = 0x73
	tagExtendedResponse = 0x78

	tagInteger     = 0x02
	tagOctetString = 0x04
	tagEnumerated  = 0x0a
	tagSequence    = 0x30
	tagSet         = 0x31
	tagControls    = 0xa0
	tagReferral    = 0xa3
)

// errMessage is in the chain of an error about bytes that are no LDAP.
var errMessage = errors.New("the server sent what is no LDAP message")

// maxMessage bounds one message; a group of a million members takes less.
const maxMessage = 1 << 28

// A message is one of the server's.
type message struct {
	id       int
	tag      byte
	body     cursor
	controls cursor
}

func readMessage(r *bufio.Reader) (message, error) {
	tag, err := r.ReadByte()
	if err != nil {
		return message{}, err
	}
	if tag != tagSequence {
		return message{}, errMessage
	}
	length, err := readLength(r)
	if err != nil {
		return message{}, err
	}
	text, err := readText(r, length)
	if err != nil {
		return message{}, err
	}
	c := cursor(text)
	var m message
	if m.id, err = c.integer(tagInteger); err != nil {
		return message{}, err
	}
	var op string
	if m.tag, op, err = c.next(); err != nil {
		return message{}, err
	}
	m.body = cursor(op)
	if c != "" {
		controls, err := c.expect(tagControls)
		if err != nil {
			return message{}, err
		}
		m.controls = cursor(controls)
	}
	return m, nil
}

// readText reads so many bytes, which are copied once if the reader's buffer holds them.
func readText(r *bufio.Reader, length int) (string, error) {
	if length > r.Size() {
		text := make([]byte, length)
		_, err := io.ReadFull(r, text)
		return string(text), err
	}
	buffered, err := r.Peek(length)
	if err != nil {
		return "", err
	}
	text := string(buffered)
	_, err = r.Discard(length)
	return text, err
}

func readLength(r io.ByteReader) (int, error) {
	b, err := r.ReadByte()
	if err != nil || b < 0x80 {
		return int(b), err
	}
	n := int(b & 0x7f)
	if n == 0 || n > 4 {
		return 0, errMessage
	}
	length := 0
	for range n {
		if b, err = r.ReadByte(); err != nil {
			return 0, err
		}
		length = length<<8 | int(b)
	}
	if length > maxMessage {
		return 0, fmt.Errorf("%w: %d bytes", errMessage, length)
	}
	return length, nil
}

// A cursor reads the elements of a constructed one, the first of which it begins with.
type cursor string

func (c *cursor) next() (tag byte, value string, err error) {
	s := string(*c)
	if len(s) < 2 {
		return 0, "", errMessage
	}
	length, head := int(s[1]), 2
	if s[1] >= 0x80 {
		n := int(s[1] & 0x7f)
		if n == 0 || n > 4 || len(s) < 2+n {
			return 0, "", errMessage
		}
		length, head = 0, 2+n
		for _, b := range []byte(s[2:head]) {
			length = length<<8 | int(b)
		}
	}
	if length > len(s)-head {
		return 0, "", errMessage
	}
	*c = cursor(s[head+length:])
	return s[0], s[head : head+length], nil
}

func (c *cursor) expect(tag byte) (string, error) {
	got, value, err := c.next()
	if err == nil && got != tag {
		err = errMessage
	}
	return value, err
}

func (c *cursor) integer(tag byte) (int, error) {
	value, err := c.expect(tag)
	if err != nil || len(value) == 0 || len(value) > 8 {
		return 0, errors.Join(err, errMessage)
	}
	n := int64(int8(value[0]))
	for _, b := range []byte(value[1:]) {
		n = n<<8 | int64(b)
	}
	return int(n), nil
}

// A shelf holds the lists of many entries in a few large ones: a directory of 50,000 people has half a million.
type shelf struct {
	attributes []attribute
	values     []string
}

// A list of a shelf has room for another entry as long as roomy are left; the next one is twice as long, up to shelfSize.
const roomy, shelfSize = 64, 4096

func (s *shelf) next() {
	s.attributes, s.values = withRoom(s.attributes), withRoom(s.values)
}

func withRoom[T any](list []T) []T {
	if cap(list)-len(list) >= roomy {
		return list
	}
	return make([]T, 0, min(max(2*cap(list), roomy), shelfSize))
}

// entry decodes a search result entry, whose lists are put on the shelf.
func (m message) entry(on *shelf) (*entry, error) {
	c := m.body
	dn, err := c.expect(tagOctetString)
	if err != nil {
		return nil, err
	}
	list, err := c.expect(tagSequence)
	if err != nil {
		return nil, err
	}
	on.next()
	first := len(on.attributes)
	for attributes := cursor(list); attributes != ""; {
		one, err := attributes.expect(tagSequence)
		if err != nil {
			return nil, err
		}
		pair := cursor(one)
		name, err := pair.expect(tagOctetString)
		if err != nil {
			return nil, err
		}
		set, err := pair.expect(tagSet)
		if err != nil {
			return nil, err
		}
		from := len(on.values)
		for values := cursor(set); values != ""; {
			value, err := values.expect(tagOctetString)
			if err != nil {
				return nil, err
			}
			on.values = append(on.values, value)
		}
		on.attributes = append(on.attributes, attribute{name, slices.Clip(on.values[from:])})
	}
	return &entry{dn, slices.Clip(on.attributes[first:])}, nil
}

// A refused is an answer other than success.
type refused struct {
	code int
	text string
}

func (r *refused) Error() string { return fmt.Sprintf("%d %s: %s", r.code, resultName(r.code), r.text) }

func resultName(code int) string {
	if name, ok := ldap.LDAPResultCodeMap[uint16(code)]; ok && code < ldap.ErrorNetwork {
		return name
	}
	return "result"
}

// result is nil for success and a *refused else.
func (m message) result() error {
	c := m.body
	code, err := c.integer(tagEnumerated)
	if err != nil {
		return err
	}
	if _, err := c.expect(tagOctetString); err != nil {
		return err
	}
	text, err := c.expect(tagOctetString)
	if err != nil {
		return err
	}
	if code == ldap.LDAPResultSuccess {
		return nil
	}
	for c != "" {
		tag, value, err := c.next()
		if err != nil {
			return err
		}
		if tag != tagReferral {
			continue
		}
		urls, err := stringList(value)
		if err != nil {
			return err
		}
		text += " " + strings.Join(urls, ", ")
	}
	return &refused{code, text}
}

// stringList reads a list of strings.
func stringList(list string) ([]string, error) {
	var out []string
	for c := cursor(list); c != ""; {
		s, err := c.expect(tagOctetString)
		if err != nil {
			return nil, err
		}
		out = append(out, s)
	}
	return out, nil
}

// cookie reads the paging control; ok is false if there is none.
func (m message) cookie() (cookie string, ok bool, err error) {
	for controls := m.controls; controls != ""; {
		one, err := controls.expect(tagSequence)
		if err != nil {
			return "", false, err
		}
		control := cursor(one)
		oid, err := control.expect(tagOctetString)
		if err != nil {
			return "", false, err
		}
		if oid != ldap.ControlTypePaging {
			continue
		}
		for control != "" {
			tag, value, err := control.next()
			if err != nil {
				return "", false, err
			}
			if tag != tagOctetString {
				continue // criticality
			}
			outer := cursor(value)
			pair, err := outer.expect(tagSequence)
			if err != nil {
				return "", false, err
			}
			inner := cursor(pair)
			if _, err := inner.integer(tagInteger); err != nil {
				return "", false, err
			}
			cookie, err := inner.expect(tagOctetString)
			return strings.Clone(cookie), err == nil, err
		}
	}
	return "", false, nil
}
