// Package redact takes secrets out of what others wrote. A server may repeat what it was sent, in one notation or another,
// and its words go on into errors, logs, the store, messages and pages.
package redact

import (
	"cmp"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"html"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// Mark stands where a secret was.
const Mark = "[secret]"

// shortest is the length of the shortest secret that is looked for: to look for less would take ordinary words apart.
const shortest = 6

// Text is s without the secrets, in any of their notations. Empty secrets, and those of less than six bytes, are not
// looked for. A text is shortened afterwards, never before: half a secret is not recognised.
func Text(s string, secrets ...string) string { return without(s, notations(secrets)) }

func without(s string, forms []string) string {
	for _, f := range forms {
		s = strings.ReplaceAll(s, f, Mark)
	}
	return s
}

// Error is err with a text without the secrets, and err itself when there was none in it. Its chain stays.
func Error(err error, secrets ...string) error {
	if err == nil {
		return nil
	}
	text := err.Error()
	clean := Text(text, secrets...)
	if clean == text {
		return err
	}
	return &cleanError{clean, err}
}

type cleanError struct {
	text string
	err  error
}

func (e *cleanError) Error() string { return e.text }
func (e *cleanError) Unwrap() error { return e.err }

// notations are all ways to write the secrets, the longest first: one may be part of another.
func notations(secrets []string) []string {
	var out []string
	add := func(forms ...string) {
		for _, f := range forms {
			if len(f) >= shortest {
				out = append(out, f)
			}
		}
	}
	for _, s := range secrets {
		if len(s) < shortest {
			continue
		}
		add(s, hex.EncodeToString([]byte(s)), strings.ToUpper(hex.EncodeToString([]byte(s))))
		add(inBase64(s)...)
		for _, f := range []string{url.QueryEscape(s), url.PathEscape(s), strings.TrimPrefix(url.UserPassword("", s).String(), ":")} {
			add(f, lowerEscapes(f))
		}
		add(html.EscapeString(s))
		for _, f := range []string{quoted(strconv.Quote(s)), unicodeEscapes(s, `\u%04X`), unicodeEscapes(s, `\u%04x`), inJSON(s)} {
			add(f, strings.ReplaceAll(f, "/", `\/`))
		}
		// Of a key in PEM a line alone is too much, too.
		for line := range strings.Lines(s) {
			if line = strings.TrimSpace(line); len(line) >= 32 && !strings.HasPrefix(line, "-----") {
				add(line)
			}
		}
	}
	slices.SortFunc(out, func(a, b string) int { return cmp.Or(len(b)-len(a), strings.Compare(a, b)) })
	return slices.Compact(out)
}

// inBase64 is what every base64 has in it that encodes s, whatever stands before and after: such as HTTP Basic's, where it is
// the user name.
func inBase64(s string) []string {
	var out []string
	for before := range 3 {
		padded := append(make([]byte, before), s...)
		for _, enc := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
			text := enc.EncodeToString(padded)
			text = text[(before*8+5)/6:] // the digits that what stands before has a part in
			if len(padded)%3 != 0 {
				text = text[:len(text)-1] // and the one of what follows
			}
			out = append(out, text)
		}
	}
	return out
}

// lowerEscapes writes %2F as %2f.
func lowerEscapes(s string) string {
	b := []byte(s)
	for i := 0; i+2 < len(b); i++ {
		if b[i] == '%' {
			copy(b[i+1:], strings.ToLower(string(b[i+1:i+3])))
		}
	}
	return string(b)
}

// unicodeEscapes writes what some JSON encoders escape though they need not.
func unicodeEscapes(s, format string) string {
	var b strings.Builder
	for _, r := range s {
		if strings.ContainsRune("\"&'+<>`\\", r) {
			fmt.Fprintf(&b, format, r)
		} else {
			b.WriteRune(r)
		}
	}
	return b.String()
}

// inJSON is s as Go itself writes it.
func inJSON(s string) string {
	text, err := json.Marshal(s)
	if err != nil {
		panic(err) // a string always marshals
	}
	return quoted(string(text))
}

func quoted(s string) string { return s[1 : len(s)-1] }
