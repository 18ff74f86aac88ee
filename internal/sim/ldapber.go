package sim

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strconv"
)

// A tlv is one element of BER: its tag, its contents, and for a constructed one the elements within.
type tlv struct {
	tag   byte
	value []byte
	inner []tlv
}

var errBER = errors.New("ldap: a request is no BER")

// readTLV reads one element off a connection.
func readTLV(r *bufio.Reader) (tlv, error) {
	tag, err := r.ReadByte()
	if err != nil {
		return tlv{}, err
	}
	length, err := readLength(r)
	if err != nil {
		return tlv{}, err
	}
	value := make([]byte, length)
	if _, err := io.ReadFull(r, value); err != nil {
		return tlv{}, err
	}
	return parseTLV(tag, value)
}

func readLength(r io.ByteReader) (int, error) {
	b, err := r.ReadByte()
	if err != nil || b < 0x80 {
		return int(b), err
	}
	length := 0
	for range b & 0x7f {
		next, err := r.ReadByte()
		if err != nil {
			return 0, err
		}
		if length = length<<8 | int(next); length > 1<<24 {
			return 0, errBER
		}
	}
	return length, nil
}

func parseTLV(tag byte, value []byte) (tlv, error) {
	e := tlv{tag: tag, value: value}
	if tag&0x20 == 0 {
		return e, nil
	}
	for rest := value; len(rest) > 0; {
		r := &byteReader{rest[1:]}
		length, err := readLength(r)
		if err != nil || length > len(r.rest) {
			return tlv{}, errBER
		}
		inner, err := parseTLV(rest[0], r.rest[:length])
		if err != nil {
			return tlv{}, err
		}
		e.inner = append(e.inner, inner)
		rest = r.rest[length:]
	}
	return e, nil
}

type byteReader struct{ rest []byte }

func (r *byteReader) ReadByte() (byte, error) {
	if len(r.rest) == 0 {
		return 0, io.ErrUnexpectedEOF
	}
	b := r.rest[0]
	r.rest = r.rest[1:]
	return b, nil
}

// at is the i-th element within, or an empty one.
func (e tlv) at(i int) tlv {
	if i < len(e.inner) {
		return e.inner[i]
	}
	return tlv{}
}

func (e tlv) text() string { return string(e.value) }

func (e tlv) number() int {
	n := 0
	for _, b := range e.value {
		n = n<<8 | int(b)
	}
	return n
}

// element writes one element of BER.
func element(tag byte, parts ...[]byte) []byte {
	length := 0
	for _, p := range parts {
		length += len(p)
	}
	out := []byte{tag}
	switch {
	case length < 0x80:
		out = append(out, byte(length))
	case length < 0x10000:
		out = append(out, 0x82, byte(length>>8), byte(length))
	default:
		out = append(out, 0x84, byte(length>>24), byte(length>>16), byte(length>>8), byte(length))
	}
	for _, p := range parts {
		out = append(out, p...)
	}
	return out
}

func octets(s string) []byte { return element(0x04, []byte(s)) }

func integer(n int) []byte {
	return element(0x02, []byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)})
}

func enumerated(n int) []byte { return element(0x0a, []byte{byte(n)}) }

// filterText writes a filter as people do (RFC 4515), values as they are.
func filterText(f tlv) string {
	list := func(op string) string {
		s := "(" + op
		for _, inner := range f.inner {
			s += filterText(inner)
		}
		return s + ")"
	}
	switch f.tag {
	case 0xa0:
		return list("&")
	case 0xa1:
		return list("|")
	case 0xa2:
		return list("!")
	case 0xa3:
		return "(" + f.at(0).text() + "=" + f.at(1).text() + ")"
	case 0x87:
		return "(" + f.text() + "=*)"
	}
	return fmt.Sprintf("(tag %s)", strconv.Itoa(int(f.tag)))
}
