package file

import (
	"bytes"
	"encoding/csv"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"unicode/utf16"

	"github.com/google/go-cmp/cmp"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
)

// readBytes fetches a directory of a users file and, unless it is nil, a groups file.
func readBytes(t testing.TB, users, groups []byte) (connectors.Snapshot, error) {
	t.Helper()
	o := Options{UsersPath: "u", Name: "staff", Query: connectors.Query{Mode: connectors.ScopeAll, Push: everything}}
	files := fstest.MapFS{"u": {Data: users}}
	if groups != nil {
		o.GroupsPath, files["g"] = "g", &fstest.MapFile{Data: groups}
	}
	c, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	c.dir = func(string) fs.FS { return files }
	return c.Fetch(t.Context())
}

// checkEncodings holds that what a file says does not hang on how its text is encoded or its lines end.
func checkEncodings(t *testing.T, text []byte, want connectors.Snapshot, read func([]byte) (connectors.Snapshot, error)) {
	plain, err := toUTF8(text)
	if err != nil {
		t.Fatal(err)
	}
	wide := []byte{0xff, 0xfe}
	for _, unit := range utf16.Encode([]rune(string(plain))) {
		wide = append(wide, byte(unit), byte(unit>>8))
	}
	others := map[string][]byte{"UTF-8 with a mark": append([]byte("\xef\xbb\xbf"), plain...), "UTF-16": wide}
	if !bytes.ContainsAny(plain, "\r\"") {
		others["Windows"] = bytes.ReplaceAll(plain, []byte("\n"), []byte("\r\n"))
	}
	for name, other := range others {
		got, err := read(other)
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%q as %s: %v (-want +got):\n%s", plain, name, err, diff)
		}
	}
}

// FuzzUsers holds that reading ends in everybody who is in the file or in an error that says something, and never in a part.
func FuzzUsers(f *testing.F) {
	addFiles(f, "testdata/*-users*.csv", "testdata/own.json")
	f.Add([]byte("\xff\xfei\x00d\x00"))
	f.Add([]byte("sep=;\nuserName\n\"a\nb\"\n"))
	f.Add([]byte("userName,groups,status\n\na@acme.com,x;X,suspended\n"))
	f.Add([]byte(`{"users":[{"userName":"a"},{"userName":"A"}],"groups":[{"name":"g","members":["a"]}]}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		s, err := readBytes(t, raw, nil)
		if err != nil {
			if strings.TrimSpace(err.Error()) == "" || len(s.Users) > 0 {
				t.Errorf("error %q beside %d people", err, len(s.Users))
			}
			return
		}
		for _, u := range s.Users {
			if u.ID == "" || u.UserName == "" || u.Status == "" {
				t.Errorf("half a person: %+v", u)
			}
		}
		if n := records(t, raw); len(s.Users) == 0 || n >= 0 && len(s.Users) != n {
			t.Errorf("%d people of %d rows in %q", len(s.Users), n, raw)
		}
		checkEncodings(t, raw, s, func(b []byte) (connectors.Snapshot, error) { return readBytes(t, b, nil) })
	})
}

// FuzzGroups holds the same of a groups file: every member is a person of the users file.
func FuzzGroups(f *testing.F) {
	users := []byte("id,userName,email\n1,ann@acme.com,a.smith@acme.com\n2,bob@acme.com,\n3,eve@acme.com,EVE@acme.com\n")
	addFiles(f, "testdata/*-groups*.csv")
	for _, s := range []string{
		"name,member\noncall,ann@acme.com\noncall,2\n", "id,name,member\ng,oncall,EVE@acme.com\n", "name;member\nx;1\nx;1\n", `{"groups":[{"name":"g","members":["1","2"]},{"name":"h","members":[]}]}`,
		"Group name,Username\nops,ann@acme.com\n", "Group Email [Required],Member Email,Member Type\na@acme.com,b@acme.com,GROUP\nb@acme.com,a@acme.com,GROUP\nb@acme.com,bob@acme.com,USER\n",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		s, err := readBytes(t, users, raw)
		if err != nil {
			if strings.TrimSpace(err.Error()) == "" || len(s.Users)+len(s.Groups) > 0 {
				t.Errorf("error %q beside %d people", err, len(s.Users))
			}
			return
		}
		if len(s.Users) != 3 || len(s.Groups) == 0 {
			t.Errorf("%d people and %d groups in %q", len(s.Users), len(s.Groups), raw)
		}
		for _, g := range s.Groups {
			if g.ID == "" || g.Name == "" || slices.ContainsFunc(g.Members, func(id connectors.UserID) bool { return id != "1" && id != "2" && id != "3" }) {
				t.Errorf("half a group: %+v", g)
			}
		}
		checkEncodings(t, raw, s, func(b []byte) (connectors.Snapshot, error) { return readBytes(t, users, b) })
	})
}

func addFiles(f *testing.F, patterns ...string) {
	for _, pattern := range patterns {
		paths, err := filepath.Glob(pattern)
		if err != nil || len(paths) == 0 {
			f.Fatalf("%s: %v", pattern, err)
		}
		for _, path := range paths {
			raw, err := os.ReadFile(path)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(raw)
		}
	}
}

// records counts the rows below a table's header, by Go's own reader alone; -1 for JSON.
func records(t *testing.T, raw []byte) int {
	text, err := toUTF8(raw)
	if err != nil {
		t.Fatal(err)
	}
	if isJSON(text) {
		return -1
	}
	text, comma, _ := separator(text)
	r := csv.NewReader(bytes.NewReader(text))
	r.Comma = comma
	all, err := r.ReadAll()
	if err != nil {
		t.Fatalf("%q was read, and is no table: %v", raw, err)
	}
	return len(all) - 1
}
