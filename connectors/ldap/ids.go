package ldap

import (
	"encoding/hex"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/go-ldap/ldap/v3"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
)

// id reads an entry's immutable id. Without one nothing can be said about the entry, and a reader without the right to
// see ids would take everybody away.
func (p profile) id(step string, e *entry) (string, error) {
	values := e.values(p.names.ID)
	if len(values) != 1 || len(values[0]) == 0 {
		return "", &connectors.Error{Directory: vendor, Step: step, Err: connectors.ErrDamaged,
			Summary: fmt.Sprintf("%s has %d values of %s, which is its id", e.dn, len(values), p.names.ID),
			Remedy:  "give the reader the right to read the attribute " + p.names.ID + ", or name another one as attributes.id"}
	}
	if p.binaryID() {
		id, err := formatGUID([]byte(values[0]))
		if err != nil {
			return "", connectors.Damaged(vendor, step, "%s: %s: %v", e.dn, p.names.ID, err)
		}
		return id, nil
	}
	if !utf8.ValidString(values[0]) {
		return hex.EncodeToString([]byte(values[0])), nil
	}
	return strings.Clone(values[0]), nil
}

// idFilter is the filter that means one id.
func (p profile) idFilter(id string) (string, error) {
	if !p.binaryID() {
		return "(" + p.names.ID + "=" + ldap.EscapeFilter(id) + ")", nil
	}
	raw, err := parseGUID(id)
	if err != nil {
		return "", fmt.Errorf("ldap: %w", err)
	}
	var b strings.Builder
	for _, octet := range raw {
		fmt.Fprintf(&b, `\%02x`, octet)
	}
	return "(" + p.names.ID + "=" + b.String() + ")", nil
}

// formatGUID writes the 16 bytes of an objectGUID as Microsoft's tools do: the first three parts are little-endian.
func formatGUID(b []byte) (string, error) {
	if len(b) != 16 {
		return "", fmt.Errorf("%d bytes are no GUID", len(b))
	}
	return fmt.Sprintf("%02x%02x%02x%02x-%02x%02x-%02x%02x-%x-%x",
		b[3], b[2], b[1], b[0], b[5], b[4], b[7], b[6], b[8:10], b[10:]), nil
}

// parseGUID is the reverse of formatGUID.
func parseGUID(s string) ([]byte, error) {
	b, err := hex.DecodeString(strings.ReplaceAll(s, "-", ""))
	if err != nil || len(b) != 16 || len(s) != 36 {
		return nil, fmt.Errorf("%q is no objectGUID", s)
	}
	b[0], b[1], b[2], b[3] = b[3], b[2], b[1], b[0]
	b[4], b[5], b[6], b[7] = b[5], b[4], b[7], b[6]
	return b, nil
}
