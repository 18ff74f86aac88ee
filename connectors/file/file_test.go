package file

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"
	"unicode/utf16"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
)

var update = flag.Bool("update", false, "rewrite the golden files")

var everything = func() connectors.Patterns {
	ps, err := connectors.ParsePatterns([]string{"*"})
	if err != nil {
		panic(err)
	}
	return ps
}()

func fetch(t testing.TB, o Options) (connectors.Snapshot, error) {
	t.Helper()
	o.Name = "staff"
	if o.Query.Mode == "" {
		o.Query.Mode, o.Query.Push = connectors.ScopeAll, everything
	}
	c, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return c.Fetch(t.Context())
}

// write puts texts into files of one directory and returns it.
func write(t testing.TB, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestSamplesReadAsTheyAreDocumented(t *testing.T) {
	tests := map[string]struct {
		users, groups string
		attributes    []string
		format        string // that is recognised
	}{
		"own":         {users: "own-users.csv", attributes: []string{"pager team"}, format: "our CSV"},
		"own-two":     {users: "own-users-nogroups.csv", groups: "own-groups.csv", format: "our CSV"},
		"own-json":    {users: "own.json", attributes: []string{"Pager Team"}, format: "our JSON"},
		"okta":        {users: "okta-users.csv", groups: "okta-groups.csv", attributes: []string{"lastLogin"}, format: "Okta people export"},
		"okta-report": {users: "okta-report.csv", format: "Okta people export"},
		"entra":       {users: "entra-users.csv", groups: "entra-groups/", attributes: []string{"usageLocation"}, format: "Entra users export"},
		"google":      {users: "google-users.csv", groups: "google-groups.csv", attributes: []string{"Org Unit Path [Required]"}, format: "Google Admin console export"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			o := Options{UsersPath: filepath.Join("testdata", tc.users), Format: "auto", Query: connectors.Query{Mode: connectors.ScopeAll, Push: everything, Attributes: tc.attributes}}
			if tc.groups != "" {
				o.GroupsPath = "testdata/" + tc.groups
			}
			s, err := fetch(t, o)
			if err != nil {
				t.Fatal(err)
			}
			got, err := json.MarshalIndent(s, "", "  ")
			if err != nil {
				t.Fatal(err)
			}
			golden := filepath.Join("testdata", name+".golden")
			if *update {
				if err := os.WriteFile(golden, append(got, '\n'), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), string(got)+"\n"); diff != "" {
				t.Errorf("snapshot (-want +got):\n%s", diff)
			}
			o.Name = "staff"
			c, err := New(o)
			if err != nil {
				t.Fatal(err)
			}
			if checks := c.Check(t.Context()); len(checks) != 1 || checks[0].Err != nil || !strings.HasPrefix(checks[0].Detail, tc.format+", ") {
				t.Errorf("check = %+v", checks)
			}
		})
	}
}

// The same two people, however the file was saved.
func TestEncodingsAndSeparators(t *testing.T) {
	const text = "id,userName,givenName\n1,ada@acme.example,Ada\n2,oe@acme.example,Ōe 😀\n"
	crlf := strings.ReplaceAll(text, "\n", "\r\n")
	wide := func(order func([]byte, uint16) []byte, bom ...byte) string {
		b := bom
		for _, u := range utf16.Encode([]rune(crlf)) {
			b = order(b, u)
		}
		return string(b)
	}
	want, err := fetch(t, Options{UsersPath: filepath.Join(write(t, map[string]string{"u.csv": text}), "u.csv")})
	if err != nil {
		t.Fatal(err)
	}
	for name, same := range map[string]string{
		"BOM":               "\ufeff" + text,
		"CRLF":              crlf,
		"BOM and CRLF":      "\ufeff" + crlf,
		"no last newline":   strings.TrimSuffix(text, "\n"),
		"blank lines":       strings.ReplaceAll(text, "\n", "\n\n"),
		"semicolons":        strings.ReplaceAll(text, ",", ";"),
		"tabs":              strings.ReplaceAll(text, ",", "\t"),
		"sep line":          "sep=;\r\n" + strings.ReplaceAll(crlf, ",", ";"),
		"spaces":            strings.ReplaceAll(text, ",", " , "),
		"header case":       strings.Replace(text, "userName", "USER NAME", 1),
		"UTF-16LE":          wide(func(b []byte, u uint16) []byte { return append(b, byte(u), byte(u>>8)) }, 0xff, 0xfe),
		"UTF-16BE":          wide(func(b []byte, u uint16) []byte { return append(b, byte(u>>8), byte(u)) }, 0xfe, 0xff),
		"quotes everywhere": `"id","userName","givenName"` + "\n" + `"1","ada@acme.example","Ada"` + "\n" + `"2","oe@acme.example","Ōe 😀"`,
	} {
		got, err := fetch(t, Options{UsersPath: filepath.Join(write(t, map[string]string{"u.csv": same}), "u.csv")})
		if err != nil {
			t.Errorf("%s: %v", name, err)
		} else if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestBadUsersAreRefusedWithTheirLine(t *testing.T) {
	const header = "id,userName,status\n"
	tests := map[string]struct {
		text string
		want []string
	}{
		"empty":                     {"", []string{"is empty"}},
		"only a BOM":                {"\ufeff\r\n", []string{"is empty"}},
		"only a header":             {header, []string{"a header and no rows"}},
		"missing column":            {"id,name\n1,ada\n", []string{`u:1:`, `"userName" is missing`, `found "id", "name"`}},
		"Okta without status":       {"login,firstName,lastName\na@x.example,A,B\n", []string{`u:1:`, `"status" is missing`}},
		"Entra without status":      {"userPrincipalName,displayName\na@x.example,A\n", []string{`u:1:`, `"accountEnabled" is missing`}},
		"Google without status":     {"First Name,Last Name,Email Address\nA,B,a@x.example\n", []string{`u:1:`, `"status" is missing`}},
		"unknown status":            {header + "1,ada,active\n2,ben,retired\n", []string{`u:3: status "retired" is unknown; known are active,`}},
		"no status":                 {header + "1,ada,\n", []string{`u:2: status "" is unknown`}},
		"column twice":              {"id,userName,Email,email\n1,a,b,c\n", []string{`u:1: column "email" is there twice`}},
		"column without name":       {"id,userName,\n1,a,b\n", []string{`u:1: column 3 has no name`}},
		"id twice":                  {header + "1,ada,active\n2,ben,active\n1,eve,active\n", []string{`u:4: id "1" is that of line 2 as well`}},
		"user name twice, no id":    {"userName\nada@x.example\nADA@x.example\n", []string{`u:3: id "ada@x.example" is that of line 2`}},
		"no id":                     {header + ",ada,active\n", []string{"u:2: ada has no id"}},
		"no user name":              {header + "1,,active\n", []string{"u:2: no user name"}},
		"ragged row":                {header + "1,ada,active\n2,ben\n", []string{"u:3: 2 fields where the header has 3"}},
		"row too long":              {header + "1,Lovelace, Ada,active\n", []string{"u:2: 4 fields where the header has 3"}},
		"cut in the last line":      {header + "1,ada,active\n2,be", []string{"u:3: 2 fields where the header has 3"}},
		"bare quote":                {header + "1,ada,active\n2,be\"n,active\n", []string{`u:3: bare "`}},
		"quote that never ends":     {header + "1,\"ada,active\n2,ben,active\n", []string{"record that begins at line 2"}},
		"row behind a quoted break": {"userName,title\na,\"x\ny\"\nb\n", []string{"u:4: 1 fields"}},
		"header behind a sep line":  {"sep=;\n\nid;name\n1;a\n", []string{`u:3: column "userName" is missing`}},
		"row behind a sep line":     {"sep=;\nid;userName\n1\n", []string{"u:3: 1 fields"}},
		"Windows-1252":              {"id,userName,givenName\n1,ada,Ada\n2,jos\xe9,Jos\xe9\n", []string{"line 3: invalid UTF-8", "CSV UTF-8"}},
		"NUL bytes":                 {header + "1,ada,active\n\x00\x00", []string{"line 3: a NUL byte"}},
		"UTF-16 cut":                {"\xff\xfei\x00d\x00,", []string{"the file is cut"}},
		"UTF-16 half a pair":        {"\xff\xfei\x00\n\x00\x3d\xd8", []string{"line 2: invalid UTF-16"}},
		"two things at once":        {header + "1,ada,gone\n1,ben,active\n", []string{`u:2: status "gone"`, `u:3: id "1"`}},
		"group in two spellings":    {"userName,groups\na,SRE\nb,sre; DBA\n", []string{`u:3: group "sre" is written "SRE" elsewhere`}},
		"JSON cut":                  {"{\"users\": [\n{\"userName\": \"a\"},\n{\"userName\":", []string{"u:3: unexpected end"}},
		"JSON cut between":          {"{\"users\": [\n{\"userName\": \"a\"},\n", []string{"unexpected end"}},
		"JSON cut before the brace": {"{\"users\": [{\"userName\": \"a\"}]\n", []string{"unexpected end"}},
		"JSON syntax":               {"{\"users\": [\n{\"userName\": a}]}", []string{"u:2: invalid character"}},
		"JSON unknown field":        {"{\"users\": [\n\n{\"username\": \"a\", \"mail\": \"b\"}]}", []string{`u:3: user: json: unknown field "mail"`}},
		"JSON unknown key":          {`{"people": []}`, []string{`unknown key "people"`}},
		"JSON key twice":            {`{"users": [{"userName": "a"}], "users": [{"userName": "b"}]}`, []string{`key "users" is there twice`}},
		"JSON field twice":          {`{"users": [{"userName": "a", "username": "b"}]}`, []string{`key "username" is there twice`}},
		"JSON wrong type":           {"{\"users\": [\n{\"userName\": 5}]}", []string{"u:2: user:", "number"}},
		"JSON without users":        {`{"groups": []}`, []string{`key "users" is missing`}},
		"JSON of nobody":            {`{"users": []}`, []string{"no users"}},
		"JSON null":                 {`{"users": null}`, []string{"users: <nil> where \"[\" should be"}},
		"JSON tail":                 {"{\"users\": [{\"userName\": \"a\"}]}\n{}", []string{"u:2: something follows"}},
		"JSON list":                 {`[{"userName": "a"}]`, []string{`[ where "{" should be`}},
		"JSON group without list":   {"{\"users\": [{\"userName\": \"a\"}], \"groups\": [\n{\"name\": \"g\"}]}", []string{`u:2: group "g" has no members list`}},
		"JSON group twice":          {"{\"users\": [{\"userName\": \"a\"}], \"groups\": [\n{\"name\": \"g\", \"members\": []},\n{\"name\": \"g\", \"members\": [\"a\"]}]}", []string{`u:3: group id "g" is that of line 2`}},
		"JSON status":               {`{"users": [{"userName": "a", "status": "left"}]}`, []string{`status "left" is unknown`}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			s, err := fetch(t, Options{UsersPath: filepath.Join(write(t, map[string]string{"u": tc.text}), "u")})
			expect(t, s, err, tc.want)
		})
	}
}

// expect wants an error that says all of the parts, and nothing beside it.
func expect(t *testing.T, s connectors.Snapshot, err error, want []string) {
	t.Helper()
	if err == nil {
		t.Fatalf("read as %+v", s)
	}
	if len(s.Users)+len(s.Groups) > 0 {
		t.Errorf("a part was returned beside the error: %+v", s)
	}
	for _, part := range want {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("error %q does not say %q", err, part)
		}
	}
}

func TestBadGroupsAreRefusedWithTheirLine(t *testing.T) {
	const users = "id,userName,email\n1,ada@x.example,all@x.example\n2,ben@x.example,all@x.example\nada@x.example,eve@x.example,\n"
	tests := map[string]struct {
		files map[string]string
		want  []string
	}{
		"no file":               {nil, []string{"no such file"}},
		"missing column":        {map[string]string{"g": "group,people\na,b\n"}, []string{"g:1:", `"name" and "member" are missing`, `found "group", "people"`}},
		"members without group": {map[string]string{"g": "id,userPrincipalName,displayName\n1,a,b\n"}, []string{"g:1:", "one file per group"}},
		"nobody":                {map[string]string{"g": "name,member\nsre,1\nsre,zoe@x.example\n"}, []string{`g:3: member "zoe@x.example" of group "sre" is nobody in the users file`}},
		"a shared address":      {map[string]string{"g": "name,member\nsre,all@x.example\n"}, []string{"g:2:", "the people of lines 2 and 3"}},
		"a name that is an id":  {map[string]string{"g": "name,member\nsre,ada@x.example\n"}, []string{"g:2:", "the people of lines 2 and 4"}},
		"no group":              {map[string]string{"g": "id,name,member\n,sre,1\n"}, []string{"g:2: no group name or id"}},
		"two names":             {map[string]string{"g": "id,name,member\n7,sre,1\n7,dba,2\n"}, []string{`g:3: group "7" is called "dba" here and "sre" at line 2`}},
		"header only":           {map[string]string{"g": "name,member\n"}, []string{"a header and no rows"}},
		"unknown nested group":  {map[string]string{"g": "Group Email,Member Email,Member Type\na@x.example,b@x.example,GROUP\n"}, []string{"g:2:", "export it too"}},
		"everybody as member":   {map[string]string{"g": "Group Email,Member Email,Member Type\na@x.example,C0123,CUSTOMER\n"}, []string{"g:2:", "is a CUSTOMER, not a person"}},
		"JSON with users":       {map[string]string{"g": `{"users": []}`}, []string{`unknown key "users"`}},
		"JSON without groups":   {map[string]string{"g": `{"groups": []}`}, []string{"no groups"}},
		"empty directory":       {map[string]string{"g/.keep": ""}, []string{"holds no members file"}},
		"stray file":            {map[string]string{"g/a.csv": "id\n1\n", "g/notes.txt": "x"}, []string{"notes.txt is no CSV file"}},
		"no member column":      {map[string]string{"g/a.csv": "name\nsre\n"}, []string{`a.csv:1: column "id" or "userPrincipalName" is missing`}},
		"empty member":          {map[string]string{"g/a.csv": "id,mail\n1,a\n,b\n"}, []string{"a.csv:3: no member"}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			files := map[string]string{"u": users}
			for name, text := range tc.files {
				files[name] = text
			}
			dir := write(t, files)
			s, err := fetch(t, Options{UsersPath: filepath.Join(dir, "u"), GroupsPath: filepath.Join(dir, "g")})
			expect(t, s, err, tc.want)
		})
	}
	t.Run("groups in both files", func(t *testing.T) {
		dir := write(t, map[string]string{"u": "userName,groups\na,sre\n", "g": "name,member\nsre,a\n"})
		s, err := fetch(t, Options{UsersPath: filepath.Join(dir, "u"), GroupsPath: filepath.Join(dir, "g")})
		expect(t, s, err, []string{"use one of them"})
	})
}

func TestManyProblemsAreCounted(t *testing.T) {
	s, err := fetch(t, Options{UsersPath: filepath.Join(write(t, map[string]string{"u": "id,userName\n" + strings.Repeat("1\n", 25)}), "u")})
	expect(t, s, err, []string{"u:2: 1 fields", "u:21: 1 fields", "and 5 more problems"})
	if strings.Contains(err.Error(), "u:22:") {
		t.Error("more than twenty are listed")
	}
}

func TestNestedGroupsEndAtACycle(t *testing.T) {
	dir := write(t, map[string]string{
		"u": "userName\na@x.example\nb@x.example\n",
		"g": "Group Email,Member Email,Member Type\nOne@x.example,a@x.example,USER\none@x.example,two@x.example,GROUP\ntwo@x.example,b@x.example,USER\ntwo@x.example,ONE@x.example,GROUP\n",
	})
	s, err := fetch(t, Options{UsersPath: filepath.Join(dir, "u"), GroupsPath: filepath.Join(dir, "g")})
	if err != nil {
		t.Fatal(err)
	}
	both := []connectors.UserID{"a@x.example", "b@x.example"}
	want := []connectors.Group{{ID: "one@x.example", Name: "one@x.example", Members: both}, {ID: "two@x.example", Name: "two@x.example", Members: both}}
	if diff := cmp.Diff(want, s.Groups); diff != "" {
		t.Errorf("groups (-want +got):\n%s", diff)
	}
}

func TestScopeAndPushChooseGroups(t *testing.T) {
	dir := write(t, map[string]string{"u": "userName\na\n", "g": "id,name,member\n1,SRE,a\n2,oncall-a,\n3,twin,\n4,twin,\n5,other,a\n"})
	o := Options{UsersPath: filepath.Join(dir, "u"), GroupsPath: filepath.Join(dir, "g"), Query: connectors.Query{Mode: connectors.ScopeGroups, Groups: []string{"sre", "id:3"}}}
	push, err := connectors.ParsePatterns([]string{"oncall-*"})
	if err != nil {
		t.Fatal(err)
	}
	o.Query.Push = push
	s, err := fetch(t, o)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, g := range s.Groups {
		got = append(got, fmt.Sprintf("%s %v", g.ID, g.Scope))
	}
	if diff := cmp.Diff([]string{"1 true", "2 false", "3 true"}, got); diff != "" {
		t.Errorf("groups (-want +got):\n%s", diff)
	}
	for group, want := range map[string]string{"nobody": "is in no file", "twin": "is the name of 2 groups"} {
		o.Query.Groups = []string{group}
		s, err := fetch(t, o)
		expect(t, s, err, []string{want})
		o.Name = "staff"
		c, err := New(o)
		if err != nil {
			t.Fatal(err)
		}
		if checks := c.Check(t.Context()); len(checks) != 2 || checks[0].Err != nil || checks[1].Err == nil {
			t.Errorf("checks = %+v", checks)
		}
	}
}

func TestExpressionsReadAnyColumn(t *testing.T) {
	dir := write(t, map[string]string{"u.csv": "userName,Cost Center\na,42\n", "u.json": `{"users": [{"userName": "a", "attributes": {"Cost Center": "42"}}]}`})
	for _, name := range []string{"u.csv", "u.json"} {
		o := Options{UsersPath: filepath.Join(dir, name), Query: connectors.Query{Mode: connectors.ScopeAll, Attributes: []string{"Cost Center"}}}
		s, err := fetch(t, o)
		if err != nil || s.Users[0].Attrs["Cost Center"] != "42" {
			t.Errorf("%s: %+v, %v", name, s, err)
		}
		o.Query.Attributes = []string{"Cost Centre"}
		s, err = fetch(t, o)
		expect(t, s, err, []string{"Cost Centre", "which an expression reads"})
	}
}

func TestNewRefusesWhatAFileCannotDo(t *testing.T) {
	good := Options{UsersPath: "u.csv", Name: "staff", Query: connectors.Query{Mode: connectors.ScopeAll}}
	for want, spoil := range map[string]func(*Options){
		"no users file":             func(o *Options) { o.UsersPath = "" },
		"no name":                   func(o *Options) { o.Name = "" },
		`format "xls" is none of`:   func(o *Options) { o.Format = "xls" },
		"a file has no application": func(o *Options) { o.Query.Mode = connectors.ScopeAssigned },
		"neither groups nor all":    func(o *Options) { o.Query.Mode = "" },
		"needs at least one group":  func(o *Options) { o.Query.Mode = connectors.ScopeGroups },
		"write the exact name":      func(o *Options) { o.Query.Mode, o.Query.Groups = connectors.ScopeGroups, []string{"a*"} },
		"empty pattern":             func(o *Options) { o.Query.Mode, o.Query.Groups = connectors.ScopeGroups, []string{" "} },
	} {
		o := good
		spoil(&o)
		if _, err := New(o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v does not say %q", err, want)
		}
	}
	c, err := New(good)
	if err != nil || c.Name() != "file" || c.Tenant() != "file:staff" {
		t.Errorf("%v, %v", c, err)
	}
}

func TestForcedFormatOverridesTheHeader(t *testing.T) {
	dir := write(t, map[string]string{"u": "username,firstName,lastName,status\na,A,B,ACTIVE\n"})
	s, err := fetch(t, Options{UsersPath: filepath.Join(dir, "u"), Format: "csv"})
	if err != nil || s.Users[0].GivenName != "" {
		t.Errorf("%+v, %v", s, err)
	}
}

// movingFS is a file that is written while it is read, for as many openings as it says.
type movingFS struct {
	fstest.MapFS
	moves int
}

func (m *movingFS) Open(name string) (fs.File, error) {
	f, err := m.MapFS.Open(name)
	if m.moves > 0 {
		m.moves--
		old := m.MapFS[name]
		m.MapFS[name] = &fstest.MapFile{Data: old.Data, ModTime: old.ModTime.Add(time.Second)}
	}
	return f, err
}

func TestAFileThatChangesIsReadOnceMore(t *testing.T) {
	for moves, wantErr := range map[int]bool{0: false, 1: false, 9: true} {
		c, err := New(Options{UsersPath: "u.csv", Name: "staff", Query: connectors.Query{Mode: connectors.ScopeAll}})
		if err != nil {
			t.Fatal(err)
		}
		files := &movingFS{MapFS: fstest.MapFS{"u.csv": {Data: []byte("userName\nada\n"), ModTime: time.Unix(1, 0)}}, moves: moves}
		c.dir = func(string) fs.FS { return files }
		s, err := c.Fetch(t.Context())
		if (err != nil) != wantErr || !wantErr && len(s.Users) != 1 {
			t.Errorf("%d moves: %+v, %v", moves, s, err)
		}
		if wantErr && !strings.Contains(err.Error(), "rename it into place") {
			t.Errorf("err = %v", err)
		}
	}
}

// Writing a company in our CSV and reading it gives the same company.
func TestOurCSVKeepsEverything(t *testing.T) {
	word := rapid.StringMatching(`[a-zA-Zäö日,;"' \t\n]{0,8}`)
	rapid.Check(t, func(rt *rapid.T) {
		separator := rapid.SampledFrom([]rune{',', ';', '\t'}).Draw(rt, "separator")
		crlf := rapid.Bool().Draw(rt, "CRLF")
		var users, groups bytes.Buffer
		w := csv.NewWriter(&users)
		w.Comma, w.UseCRLF = separator, crlf
		header := []string{"id", "userName", "email", "givenName", "familyName", "displayName", "nickname", "department", "title", "company", "employeeNumber", "employeeType", "mobilePhone", "workPhone", "status"}
		records := [][]string{header}
		var want connectors.Snapshot
		n := rapid.IntRange(1, 12).Draw(rt, "people")
		text := func(name string) string {
			// Cells are trimmed, and a CSV reader turns CRLF within quotes into LF.
			return strings.TrimSpace(word.Draw(rt, name))
		}
		for i := range n {
			u := connectors.User{
				ID: connectors.UserID(fmt.Sprintf("u%03d", i)), UserName: fmt.Sprintf("p%d@x.example", i), Email: fmt.Sprintf("m%d@x.example", i),
				GivenName: text("given"), FamilyName: text("family"), DisplayName: text("display"), Nickname: text("nick"), Department: text("department"),
				Title: text("title"), Company: text("company"), EmployeeNumber: text("number"), EmployeeType: text("type"), Status: connectors.StatusActive, StatusDetail: "active",
			}
			mobile := rapid.SampledFrom([]string{"", "+14155550100"}).Draw(rt, "mobile")
			u.Phones = phones(mobile, "")
			records = append(records, []string{string(u.ID), u.UserName, u.Email, u.GivenName, u.FamilyName, u.DisplayName, u.Nickname, u.Department, u.Title, u.Company, u.EmployeeNumber, u.EmployeeType, mobile, "", "active"})
			want.Users = append(want.Users, u)
		}
		if err := w.WriteAll(records); err != nil {
			rt.Fatal(err)
		}
		w = csv.NewWriter(&groups)
		w.Comma, w.UseCRLF = separator, crlf
		records = [][]string{{"id", "name", "member"}}
		for g := range rapid.IntRange(1, 4).Draw(rt, "groups") {
			group := connectors.Group{ID: connectors.GroupID(fmt.Sprintf("g%d", g)), Name: strings.TrimSpace("g " + word.Draw(rt, "group"))}
			records = append(records, []string{string(group.ID), group.Name, ""})
			for i, u := range want.Users {
				if rapid.Bool().Draw(rt, "member") {
					group.Members = append(group.Members, u.ID)
					records = append(records, []string{string(group.ID), group.Name, []string{string(u.ID), u.UserName, strings.ToUpper(u.Email)}[i%3]})
				}
			}
			want.Groups = append(want.Groups, group)
		}
		if err := w.WriteAll(records); err != nil {
			rt.Fatal(err)
		}
		dir := write(t, map[string]string{"u.csv": users.String(), "g.csv": groups.String()})
		got, err := fetch(t, Options{UsersPath: filepath.Join(dir, "u.csv"), GroupsPath: filepath.Join(dir, "g.csv")})
		if err != nil {
			rt.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			rt.Fatalf("company (-want +got):\n%s", diff)
		}
	})
}
