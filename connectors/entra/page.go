//go:build !noentra

package entra

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/url"
	"strings"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors/wire"
)

// checkBody refuses what the SDK would read as nobody: a page must hold its list, of objects only, and lead nowhere but
// to a later page of the same Graph; anything else must be one object.
func checkBody(a *wire.Answer, list bool, graph, request *url.URL) error {
	if kind, _, _ := mime.ParseMediaType(a.Header.Get("Content-Type")); kind != "application/json" {
		return fmt.Errorf("it is %q, not JSON", kind)
	}
	if len(bytes.TrimSpace(a.Body)) == 0 {
		return errors.New("it is empty")
	}
	var object map[string]json.RawMessage
	if err := json.Unmarshal(a.Body, &object); err != nil || object == nil {
		return errors.New("it is not one complete JSON object")
	}
	if refusal, ok := object["error"]; ok {
		return fmt.Errorf("it is an error with 200: %.200s", refusal)
	}
	if !list {
		return nil
	}
	if err := checkValue(object["value"]); err != nil {
		return err
	}
	return checkNext(object["@odata.nextLink"], graph, request)
}

func checkValue(value json.RawMessage) error {
	if len(value) == 0 || value[0] != '[' {
		return errors.New("it holds no list")
	}
	var elements []json.RawMessage
	if err := json.Unmarshal(value, &elements); err != nil {
		return errors.New("its list cannot be read")
	}
	for i, element := range elements {
		if element[0] != '{' {
			return fmt.Errorf("element %d is not an object", i+1)
		}
	}
	return nil
}

// checkNext checks the link to the next page, which goes with our token.
func checkNext(link json.RawMessage, graph, request *url.URL) error {
	if link == nil {
		return nil
	}
	var text string
	if err := json.Unmarshal(link, &text); err != nil || text == "" {
		return errors.New("the link to the next page cannot be read")
	}
	u, err := url.Parse(text)
	switch {
	case err != nil:
		return errors.New("the link to the next page cannot be read")
	case u.Scheme != graph.Scheme || !strings.EqualFold(u.Host, graph.Host) || u.User != nil:
		return fmt.Errorf("the link to the next page leads to another host, %s", u.Host)
	case !strings.HasPrefix(u.Path, graph.Path+"/"):
		return fmt.Errorf("the link to the next page leads elsewhere, to %s", u.Path)
	case u.String() == request.String():
		return errors.New("page repeated: the link to the next page leads to this one")
	}
	return nil
}
