package reconcile

import (
	"bytes"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"

	"cel.dev/cel-go/cel"
	"github.com/google/go-cmp/cmp"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
)

// FuzzExpression holds that any text of an expression, about any person, ends soon in a value of the right kind or in
// one line that says what is wrong, and that it sees no attribute of the directory's own but those that it makes read.
func FuzzExpression(f *testing.F) {
	for _, text := range []string{
		`user.department == "SRE"`, `user.attr("costCenter").startsWith("4") || user.email.endsWith("@acme.com")`, `user.nope`, `user["id"]`,
		`[user].map(u, u.attr("x"))[0] + user.title`, `user.attr(user.id)`, `user.userName.split("@")[1]`, `user.mobilePhone.matches("^[+]1")`,
		`[1,2,3].map(a, [1,2,3].map(b, user.department.split("").map(c, c + c))).size() > 3`, `"%.3f".format([1.0 / 0.0])`,
		`user.department.replace("", user.title).replace("", user.title)`, "'\xff'", `dyn(1) == 1`, `user == user`, `has(user.title)`,
		`"".join([user.id, "."])`, `user.displayName.substring(-1)`, `int(user.employeeNumber) > 9223372036854775807`, `(((((`, `cel.bind(x, 1, x)`,
	} {
		f.Add(text, "SRE", "4711")
	}
	env, err := newEnv()
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text, department, costCenter string) {
		began := time.Now()
		defer func() {
			if took := time.Since(began); took > time.Minute {
				t.Errorf("%s takes %s", text, took)
			}
		}()
		for _, kind := range []*cel.Type{cel.BoolType, cel.StringType} {
			e, err := compile(env, text, kind)
			if err != nil {
				if !readable(err.Error()) {
					t.Errorf("%q is refused with %q", text, err)
				}
				continue
			}
			whole := &Person{ID: "00u1", UserName: "ann@acme.com", Department: department, Title: department + costCenter, DisplayName: costCenter,
				Attrs: map[string]string{"costCenter": costCenter, "x": department}}
			read := *whole
			read.Attrs = map[string]string{}
			for _, name := range e.attrs {
				read.Attrs[name] = whole.Attrs[name]
			}
			got, err := e.value(whole, kind)
			again, err2 := e.value(&read, kind)
			if got != again || (err == nil) != (err2 == nil) {
				t.Errorf("%s yields %v, %v, and with the attributes %q alone %v, %v", text, got, err, e.attrs, again, err2)
			}
			if err != nil && !readable(err.Error()) {
				t.Errorf("%s fails with %q", text, err)
			}
		}
	})
}

// value is what an expression of either kind yields.
func (e *expression) value(p *Person, kind *cel.Type) (any, error) {
	if kind == cel.BoolType {
		return e.bool(p)
	}
	return e.string(p)
}

// readable tells whether a message is one line for people.
func readable(s string) bool { return s != "" && s == prose(s) }

// FuzzSavedPlan holds that a plan file, whatever is in it, is refused or applies a part of what the fresh plan does, and
// that one that is read is read the same again once it was saved.
func FuzzSavedPlan(f *testing.F) {
	fresh := planOf(f, busy())
	whole := saved(f, fresh)
	parts := []Plan{whole}
	for _, c := range whole.Changes {
		one := Plan{Source: whole.Source, Target: whole.Target, Changes: []Change{c}}
		parts = append(parts, one)
	}
	parts = append(parts, Plan{Source: whole.Source, Target: whole.Target, Changes: whole.Held})
	for _, p := range parts {
		var b bytes.Buffer
		if err := SavePlan(&b, p); err != nil {
			f.Fatal(err)
		}
		f.Add(b.Bytes())
	}
	f.Fuzz(func(t *testing.T, file []byte) {
		loaded, err := LoadPlan(bytes.NewReader(file))
		if err != nil {
			if !strings.Contains(err.Error(), "plan --out") {
				t.Errorf("refused without a way on: %v", err)
			}
			return
		}
		if diff := cmp.Diff(lines(loaded), lines(saved(t, loaded))); diff != "" {
			t.Errorf("saved once more, it is another plan (-first +again):\n%s", diff)
		}
		kept, dropped, err := fresh.Intersect(loaded)
		if err != nil {
			return
		}
		checkDoesLess(t, fresh, kept, dropped)
		for _, d := range dropped {
			if text := d.String(); strings.ContainsFunc(text, unicode.IsControl) {
				t.Errorf("a dropped change is told as %q", text)
			}
		}
	})
}

// FuzzRecording holds that a recorded snapshot is refused or replays what it says, and is the same once it was saved again.
func FuzzRecording(f *testing.F) {
	snap, err := connectors.NewSnapshot([]connectors.User{staff("ann"), staff("bob")}, []connectors.Group{{ID: "g1", Name: "oncall-a", Scope: true, Members: []connectors.UserID{"u-ann"}}})
	if err != nil {
		f.Fatal(err)
	}
	var b bytes.Buffer
	r := Recorded{Name: "okta", Tenant: "okta:acme", At: noon, Query: connectors.Query{Mode: connectors.ScopeAll, Attributes: []string{"costCenter"}}, Snapshot: snap}
	if err := SaveSnapshot(&b, r); err != nil {
		f.Fatal(err)
	}
	f.Add(b.Bytes())
	f.Add([]byte(`{"format":"rootly-idp-sync/snapshot/v1","name":"x","tenant":"y","at":"2026-01-01T00:00:00Z","mode":"all","users":[{"id":"1","status":"active"},{"ID":"1"}]}`))
	f.Fuzz(func(t *testing.T, file []byte) {
		first, err := LoadSnapshot(bytes.NewReader(file))
		if err != nil {
			if !strings.Contains(err.Error(), "sources inspect --save") {
				t.Errorf("refused without a way on: %v", err)
			}
			return
		}
		var out bytes.Buffer
		if err := SaveSnapshot(&out, first); err != nil {
			t.Fatalf("what was read cannot be saved: %v", err)
		}
		again, err := LoadSnapshot(&out)
		if err != nil {
			t.Fatalf("what was saved cannot be read: %v", err)
		}
		if !slices.Equal(idsOf(first.Snapshot), idsOf(again.Snapshot)) || len(first.Snapshot.Groups) != len(again.Snapshot.Groups) || !first.At.Equal(again.At) {
			t.Errorf("saved once more, it is another snapshot: %+v, %+v", first, again)
		}
		replay, err := NewReplay(first, first.Query)
		if err != nil {
			return
		}
		got, err := replay.Fetch(t.Context())
		if err == nil && !slices.Equal(idsOf(got), idsOf(first.Snapshot)) {
			t.Errorf("%q replay as %q", idsOf(first.Snapshot), idsOf(got))
		}
	})
}

func idsOf(s connectors.Snapshot) (ids []connectors.UserID) {
	for _, u := range s.Users {
		ids = append(ids, u.ID)
	}
	return ids
}

// FuzzPhone holds that what is written for a number is E.164 and means itself in every region: a number that did not stay
// as it is would be written in every cycle.
func FuzzPhone(f *testing.F) {
	for _, s := range []string{"+1 650 253 0000", "(650) 253-0000 ext. 12", "tel:+49-30-123456", "0041 44 668 18 00", "911", "١٢٣٤٥٦٧٨٩٠", "+1650253000A", "++", "+800 1234 5678", "+39 06 698", "+390236618300;ext=1", "1-800-FLOWERS"} {
		f.Add(s, "US")
		f.Add(s, "DE")
	}
	shape := regexp.MustCompile(`^\+[0-9]{2,15}$`)
	f.Fuzz(func(t *testing.T, raw, region string) {
		book := newPhoneBook(region)
		n := book.e164(raw)
		if n == "" {
			return
		}
		if !shape.MatchString(n) {
			t.Errorf("%q in %q is %q, which is not E.164", raw, region, n)
		}
		for _, r := range []string{region, "US", "DE", ""} {
			if again := newPhoneBook(r).e164(n); again != n {
				t.Errorf("%q in %q is %q, and that is %q in %q", raw, region, n, again, r)
			}
		}
		if !book.same(raw, n) || !book.same(n, raw) {
			t.Errorf("%q and %q are not the same", raw, n)
		}
	})
}
