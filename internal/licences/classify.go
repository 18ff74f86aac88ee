package main

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/google/licensecheck"
)

// agreed are the licences under which code may be linked: each lets it be shipped in a binary under the Apache License when
// its text comes with it. MPL-2.0 wants its files' source to be had, which a module that is linked as it is published fulfils.
var agreed = []string{"Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "CC0-1.0", "ISC", "MIT", "MPL-2.0", "Unlicense", "Zlib"}

// looked are files that people have read because no program can, by the SHA-256 of their texts, with the licences in them.
var looked = map[string][]string{
	// LICENSE-3RD-PARTY.md of modernc.org/libc: Go's, musl's, and what musl was made of.
	"f597097efe3d97021f89170746bd3a0fb9a8b6fb26b82043ed68a4e0283bee6c": {"BSD-2-Clause", "BSD-3-Clause", "MIT"},
	// LICENSE-LOGO of modernc.org/memory: of a picture, which is not linked.
	"5ae5bee3072a841376451b48d8cfcec7188e10543926d5870828d36c8a750dc5": {},
}

// A text is one file that has to go with a binary.
type text struct {
	name     string
	body     string   // with line ends of Unix, without blank lines around it
	licences []string // sorted; none for a notice
}

// notice is how a file is called that goes with a licence: names, or what is granted besides.
var notice = regexp.MustCompile(`(?i)^(notice|patents|copyright)`)

// least is how much of a file its licence has to account for, in percent. The rest are names, years and addresses.
const least = 75

// classify finds the licences that a file holds, all of which must be agreed.
func classify(name string, data []byte) (text, error) {
	licences, known := looked[fmt.Sprintf("%x", sha256.Sum256(data))]
	data = bytes.TrimSpace(bytes.ReplaceAll(data, []byte("\r\n"), []byte("\n")))
	t := text{name: name, body: string(data), licences: licences}
	if known || notice.MatchString(name) {
		return t, nil
	}
	found := licensecheck.Scan(data)
	for _, m := range found.Match {
		if !m.IsURL && !slices.Contains(t.licences, m.ID) {
			t.licences = append(t.licences, m.ID)
		}
	}
	slices.Sort(t.licences)
	for _, l := range t.licences {
		if !slices.Contains(agreed, l) {
			return t, fmt.Errorf("%s holds the licence %s, which is not among those agreed: %s", name, l, strings.Join(agreed, ", "))
		}
	}
	switch {
	case len(t.licences) == 0:
		return t, fmt.Errorf("%s holds no licence that is known", name)
	case found.Percent < least:
		return t, fmt.Errorf("%s is %s by %.0f %% only, and the rest is not known", name, strings.Join(t.licences, ", "), found.Percent)
	}
	return t, nil
}
