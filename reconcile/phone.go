package reconcile

import (
	"strings"

	"github.com/nyaruka/phonenumbers"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
)

// A phoneBook turns numbers into E.164, each spelling once: parsing costs ten microseconds and the same people come
// back every cycle.
type phoneBook struct {
	region string
	known  map[string]string
}

func newPhoneBook(region string) *phoneBook {
	if region == "" {
		region = "US"
	}
	return &phoneBook{region: region, known: map[string]string{}}
}

// e164 returns the number in E.164, or "" when it is none.
func (b *phoneBook) e164(raw string) string {
	raw = strings.TrimSpace(raw)
	if raw == "" {
		return ""
	}
	if n, ok := b.known[raw]; ok {
		return n
	}
	n := parseE164(raw, b.region)
	if n != raw && parseE164(n, b.region) != n {
		// "+82 000000" loses a zero each time that it is read: whatever was written, the next cycle would write another one.
		n = ""
	}
	b.known[raw] = n
	return n
}

// longestE164 is a plus and the fifteen digits of ITU-T E.164, section 6.1. The library takes longer ones for possible.
const longestE164 = 1 + 15

func parseE164(raw, region string) string {
	p, err := phonenumbers.Parse(raw, region)
	if err != nil || !phonenumbers.IsPossibleNumber(p) {
		return ""
	}
	n := phonenumbers.Format(p, phonenumbers.E164)
	if len(n) > longestE164 {
		return ""
	}
	return n
}

// same tells whether two spellings mean one number. Equal spellings are not parsed.
func (b *phoneBook) same(x, y string) bool {
	x, y = strings.TrimSpace(x), strings.TrimSpace(y)
	if x == y {
		return true
	}
	n := b.e164(x)
	return n != "" && n == b.e164(y)
}

// normalize rewrites numbers to E.164 and drops what is none, which it returns as well. A number that already stands in
// held with its type is taken as it is.
func (b *phoneBook) normalize(ps, held []connectors.Phone) (good []connectors.Phone, bad []string) {
	for _, p := range ps {
		if p.Value == phoneOf(held, p.Type) {
			good = append(good, p)
		} else if n := b.e164(p.Value); n != "" {
			good = append(good, connectors.Phone{Type: p.Type, Value: n})
		} else {
			bad = append(bad, p.Value)
		}
	}
	return good, bad
}
