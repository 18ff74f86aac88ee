package store

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
)

func TestADamagedSnapshotIsAnError(t *testing.T) {
	whole, err := encodeSnapshot(company(2))
	must(t, err)
	for i := range whole {
		short := whole[:i]
		if _, err := decodeSnapshot(short); err == nil {
			t.Errorf("cut at %d: no error", i)
		}
	}
	for i := 1; i < len(whole); i++ {
		bent := []byte(string(whole))
		bent[i] ^= 0x10
		// Some bits mean nothing: gzip's time and system, the padding at its end.
		if got, err := decodeSnapshot(bent); err == nil && !cmp.Equal(got, company(2), entries) || err != nil && !strings.Contains(err.Error(), "damaged") {
			t.Errorf("byte %d changed: %v", i, err)
		}
	}
	whole[0] = snapshotFormat + 1
	if _, err := decodeSnapshot(whole); err == nil || !strings.Contains(err.Error(), "format 2 and this rootly-idp-sync knows 1") || !strings.Contains(err.Error(), "upgrade") {
		t.Errorf("a later format: %v", err)
	}
}

func TestAnySnapshotComesBack(t *testing.T) {
	id := rapid.Custom(func(rt *rapid.T) connectors.UserID {
		return connectors.UserID(rapid.StringN(1, 4, -1).Draw(rt, "id"))
	})
	law := func(rt *rapid.T) {
		var s connectors.Snapshot
		for _, id := range rapid.SliceOfDistinct(id, rapid.ID).Draw(rt, "users") {
			s.Users = append(s.Users, connectors.User{ID: id, UserName: rapid.String().Draw(rt, "name"), Attrs: rapid.MapOf(rapid.String(), rapid.String()).Draw(rt, "attrs")})
		}
		for _, members := range rapid.SliceOf(rapid.SliceOf(id)).Draw(rt, "groups") {
			s.Groups = append(s.Groups, connectors.Group{ID: connectors.GroupID(fmt.Sprint(len(s.Groups))), Members: members})
		}
		data, err := encodeSnapshot(s)
		must(rt, err)
		got, err := decodeSnapshot(data)
		must(rt, err)
		if diff := cmp.Diff(s, got, entries); diff != "" {
			rt.Fatalf("snapshot (-want +got):\n%s", diff)
		}
	}
	for range 25 { // it is cheaper than the laws that need a disk
		rapid.Check(t, law)
	}
}

// BenchmarkSnapshot keeps and reads 100,000 people and 5,000 groups with 1,000,000 memberships.
func BenchmarkSnapshot(b *testing.B) {
	var snap connectors.Snapshot
	id := func(i int) connectors.UserID { return connectors.UserID(person(i).Source) }
	for i := range 100_000 {
		v := person(i).User
		snap.Users = append(snap.Users, connectors.User{ID: id(i), UserName: v.UserName, Email: v.Email, GivenName: v.GivenName, FamilyName: v.FamilyName, DisplayName: v.DisplayName,
			Department: fmt.Sprint("Department ", i%97), Title: "Engineer", Phones: v.Phones, Status: connectors.StatusActive, StatusDetail: "ACTIVE", Assigned: true})
	}
	for g := range 5_000 {
		group := connectors.Group{ID: connectors.GroupID(fmt.Sprintf("00g%06d", g)), Name: fmt.Sprintf("team-%d", g)}
		for i := range 200 {
			group.Members = append(group.Members, id((g*17+i*487)%100_000))
		}
		snap.Groups = append(snap.Groups, group)
	}
	s := openAt(b, options(statePath(b)))
	cycle := begin(b, s)
	b.Run("keep", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			must(b, s.Keep(b.Context(), cycle, snap))
		}
		data, err := encodeSnapshot(snap)
		must(b, err)
		b.ReportMetric(float64(len(data))/1e6, "MB")
	})
	b.Run("previous", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if got, _, err := s.Previous(b.Context()); err != nil || len(got.Users) != 100_000 || len(got.Groups) != 5_000 {
				b.Fatal("short", err)
			}
		}
	})
}

// company is a directory of n people with everything a person may have, and groups that name strangers too.
func company(n int) connectors.Snapshot {
	id := func(i int) connectors.UserID { return connectors.UserID(fmt.Sprintf("00u%08d", i)) }
	s := connectors.Snapshot{}
	for i := range n {
		u := connectors.User{ID: id(2 * i), UserName: fmt.Sprintf("person.%d@acme.com", i), Email: fmt.Sprintf("person.%d@acme.com", i), GivenName: "Zoë", FamilyName: fmt.Sprint("Family", i),
			DisplayName: fmt.Sprint("Zoë Family", i), Nickname: "Z", Department: "SRE", Title: "Engineer", Company: "Acme", EmployeeNumber: fmt.Sprint(i), EmployeeType: "Staff",
			Phones: []connectors.Phone{{Type: "work", Value: "+14155550100"}}, Status: connectors.StatusActive, StatusDetail: "ACTIVE", Assigned: i%2 == 0}
		if i%3 == 0 {
			u.Attrs = map[string]string{"costCenter": "7", "team": "a\x00b"}
		}
		s.Users = append(s.Users, u)
	}
	for g := range 1 + n/10 {
		group := connectors.Group{ID: connectors.GroupID(fmt.Sprintf("00g%06d", g)), Name: fmt.Sprint("team ", g), Scope: g == 0}
		for i := range 20 {
			group.Members = append(group.Members, id(g+3*i)) // every other one is a stranger
		}
		s.Groups = append(s.Groups, group)
	}
	return s
}
