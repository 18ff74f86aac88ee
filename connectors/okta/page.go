package okta

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"strings"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors/wire"
)

// checkBody refuses what the SDK would read as nobody: a list must be a JSON array of objects, anything else one object.
func checkBody(a *wire.Answer, list bool) error {
	if kind, _, _ := mime.ParseMediaType(a.Header.Get("Content-Type")); kind != "application/json" {
		return fmt.Errorf("it is %q, not JSON", kind)
	}
	body := bytes.TrimSpace(a.Body)
	if len(body) == 0 {
		return errors.New("it is empty")
	}
	if !list {
		return checkObject(body)
	}
	if body[0] != '[' {
		return errors.New("it is not a JSON array")
	}
	var elements []json.RawMessage
	if err := json.Unmarshal(body, &elements); err != nil {
		return errors.New("it is not complete JSON")
	}
	for i, element := range elements {
		if element[0] != '{' {
			return fmt.Errorf("element %d is not an object", i+1)
		}
	}
	return nil
}

func checkObject(body []byte) error {
	if body[0] != '{' {
		return errors.New("it is not a JSON object")
	}
	if !json.Valid(body) {
		return errors.New("it is not complete JSON")
	}
	return nil
}

// cleanLinks rewrites the Link headers to one for the next page, if there is one, in the only form that the SDK reads
// rightly. A next page anywhere but on the same listing is refused.
func cleanLinks(request *url.URL, h http.Header) error {
	links, err := parseLinks(h.Values("Link"))
	if err != nil {
		return err
	}
	h.Del("Link")
	for _, link := range links {
		if !link.next {
			continue
		}
		u, err := request.Parse(link.target)
		switch {
		case err != nil:
			return errors.New("the link to the next page cannot be read")
		case !strings.EqualFold(u.Host, request.Host) || u.User != nil:
			return fmt.Errorf("the link to the next page leads to another host, %s", u.Host)
		case u.Path != request.Path:
			return fmt.Errorf("the link to the next page leads to another listing, %s", u.Path)
		case u.RawQuery == "" || u.RawQuery == request.RawQuery:
			return errors.New("page repeated: the link to the next page leads to this one")
		case h.Get("Link") != "":
			return errors.New("two links to the next page")
		}
		if _, err := url.ParseQuery(u.RawQuery); err != nil {
			return errors.New("the link to the next page cannot be read")
		}
		h.Set("Link", "<"+u.String()+`>; rel="next"`)
	}
	return nil
}

type link struct {
	target string
	next   bool
}

// parseLinks reads Link headers as RFC 8288 writes them: several, or several joined by commas, with parameters.
func parseLinks(headers []string) ([]link, error) {
	var links []link
	for _, header := range headers {
		for rest := strings.TrimLeft(header, " ,\t"); rest != ""; rest = strings.TrimLeft(rest, " ,\t") {
			target, after, ok := strings.Cut(rest, ">")
			params, tail, closed := cutUnquoted(after, ',')
			if !ok || !closed || !strings.HasPrefix(target, "<") {
				return nil, fmt.Errorf("a Link header cannot be read: %.80q", rest)
			}
			links = append(links, link{target: target[1:], next: relNext(params)})
			rest = tail
		}
	}
	return links, nil
}

// cutUnquoted splits at the first separator that is not within quotes, where a backslash takes the next character for
// what it is. A quote that does not close would swallow the links behind it: then closed is false.
func cutUnquoted(s string, separator byte) (before, after string, closed bool) {
	quoted := false
	for i := 0; i < len(s); i++ {
		switch {
		case quoted && s[i] == '\\':
			i++
		case s[i] == '"':
			quoted = !quoted
		case s[i] == separator && !quoted:
			return s[:i], s[i+1:], true
		}
	}
	return s, "", !quoted
}

func relNext(params string) bool {
	for param := ""; params != ""; {
		param, params, _ = cutUnquoted(params, ';')
		name, value, _ := strings.Cut(param, "=")
		if !strings.EqualFold(strings.TrimSpace(name), "rel") {
			continue
		}
		for rel := range strings.FieldsSeq(strings.Trim(strings.TrimSpace(value), `"`)) {
			if strings.EqualFold(rel, "next") {
				return true
			}
		}
	}
	return false
}
