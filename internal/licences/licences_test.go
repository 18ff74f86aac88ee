package main

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const isc = `Copyright (c) 2020 Ann
Permission to use, copy, modify, and/or distribute this software for any purpose with or without fee is hereby granted,
provided that the above copyright notice and this permission notice appear in all copies.

THE SOFTWARE IS PROVIDED "AS IS" AND THE AUTHOR DISCLAIMS ALL WARRANTIES WITH REGARD TO THIS SOFTWARE INCLUDING ALL IMPLIED
WARRANTIES OF MERCHANTABILITY AND FITNESS. IN NO EVENT SHALL THE AUTHOR BE LIABLE FOR ANY SPECIAL, DIRECT, INDIRECT, OR
CONSEQUENTIAL DAMAGES OR ANY DAMAGES WHATSOEVER RESULTING FROM LOSS OF USE, DATA OR PROFITS, WHETHER IN AN ACTION OF CONTRACT,
NEGLIGENCE OR OTHER TORTIOUS ACTION, ARISING OUT OF OR IN CONNECTION WITH THE USE OR PERFORMANCE OF THIS SOFTWARE.`

const gpl = `This program is free software: you can redistribute it and/or modify it under the terms of the GNU General Public License as
published by the Free Software Foundation, either version 3 of the License, or (at your option) any later version.`

func TestOnlyAgreedLicencesPass(t *testing.T) {
	tests := map[string]struct {
		name, body string
		want       []string
		err        string
	}{
		"one of the list":                    {"LICENSE", isc, []string{"ISC"}, ""},
		"with the line ends of Windows":      {"LICENSE.txt", strings.ReplaceAll(isc, "\n", "\r\n"), []string{"ISC"}, ""},
		"one that nobody agreed to":          {"COPYING", gpl, nil, "not among those agreed"},
		"one beside another":                 {"LICENSE", isc + "\n\n" + gpl, nil, "not among those agreed"},
		"one with conditions of its own":     {"LICENSE", isc + strings.Repeat("\nNobody may use this on a Friday.", 20), nil, "the rest is not known"},
		"words":                              {"LICENSE", "Do as you like.", nil, "no licence that is known"},
		"a notice, which goes with the rest": {"NOTICE", "Ann's things\nCopyright 2020 Ann", nil, ""},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := classify(tc.name, []byte(tc.body))
			switch {
			case tc.err == "" && (err != nil || !slices.Equal(got.licences, tc.want)):
				t.Errorf("got %q, %v, want %q", got.licences, err, tc.want)
			case tc.err != "" && (err == nil || !strings.Contains(err.Error(), tc.err)):
				t.Errorf("got %v, want %q", err, tc.err)
			}
		})
	}
}

func TestLicencesAreFoundAboveAPackage(t *testing.T) {
	root := t.TempDir()
	inner := filepath.Join(root, "third_party", "inner")
	if err := os.MkdirAll(inner, 0o755); err != nil {
		t.Fatal(err)
	}
	m := module{path: "example.com/m", dir: root, packages: map[string]bool{inner: true}}
	if err := m.read(); err == nil || !strings.Contains(err.Error(), "has no licence") {
		t.Errorf("a module without licence: %v", err)
	}
	for path, body := range map[string]string{
		filepath.Join(root, "LICENSE"): isc, filepath.Join(inner, "NOTICE"): "Ann", filepath.Join(inner, "license.go"): "package inner",
		filepath.Join(root, "third_party", "Copying.md"): strings.Replace(isc, "Ann", "Bob", 1),
	} {
		if err := os.WriteFile(path, []byte(body), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := m.read(); err != nil || len(m.texts) != 3 {
		t.Fatalf("%d texts, %v", len(m.texts), err)
	}
	page, err := render([]module{m, {path: "example.com/n", version: "v1.0.0", texts: m.texts[:1]}})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"| example.com/m |  | ISC | [1](#1) [2](#2) [3](#3) |", "| example.com/n | v1.0.0 | ISC | [1](#1) |"} {
		if !strings.Contains(string(page), want) {
			t.Errorf("%q is missing in:\n%s", want, page)
		}
	}
	if n := strings.Count(string(page), "Copyright (c) 2020 Ann"); n != 1 {
		t.Errorf("a text of two modules stands there %d times", n)
	}
}

// TestListHasTheVersionsOfGoMod is what of make licences can be known without the modules at hand.
func TestListHasTheVersionsOfGoMod(t *testing.T) {
	list, err := os.ReadFile("../../" + file)
	if err != nil {
		t.Fatal(err)
	}
	gomod, err := os.ReadFile("../../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	rows := regexp.MustCompile(`(?m)^\| (\S+) \| (v\S+) \|`).FindAllStringSubmatch(string(list), -1)
	if len(rows) < 100 {
		t.Fatalf("%s has %d modules", file, len(rows))
	}
	for _, row := range rows {
		if !regexp.MustCompile(`(?m)^\s` + regexp.QuoteMeta(row[1]) + ` ` + regexp.QuoteMeta(row[2]) + `( |$)`).Match(gomod) {
			t.Errorf("go.mod has no %s %s: run make licences UPDATE=1", row[1], row[2])
		}
	}
}
