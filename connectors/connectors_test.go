package connectors

import (
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestNewSnapshotSorts(t *testing.T) {
	got, err := NewSnapshot(
		[]User{{ID: "b"}, {ID: "B"}, {ID: "a"}},
		[]Group{{ID: "2", Members: []UserID{"b", "a", "b"}}, {ID: "1"}})
	if err != nil {
		t.Fatal(err)
	}
	want := Snapshot{
		Users:  []User{{ID: "B"}, {ID: "a"}, {ID: "b"}},
		Groups: []Group{{ID: "1"}, {ID: "2", Members: []UserID{"a", "b"}}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("snapshot (-want +got):\n%s", diff)
	}
}

func TestNewSnapshotRefuses(t *testing.T) {
	tests := map[string]struct {
		users  []User
		groups []Group
		want   []string
	}{
		"a user without id":   {users: []User{{UserName: "ada"}}, want: []string{`user name "ada"`}},
		"a user twice":        {users: []User{{ID: "a"}, {ID: "b"}, {ID: "a"}}, want: []string{`user id "a" appears twice`}},
		"a group without id":  {groups: []Group{{Name: "SRE"}}, want: []string{`name "SRE"`}},
		"a group twice":       {groups: []Group{{ID: "1"}, {ID: "1"}}, want: []string{`group id "1" appears twice`}},
		"several at a time":   {users: []User{{}}, groups: []Group{{}}, want: []string{"a user without id", "a group without id"}},
		"all ids of one kind": {users: []User{{ID: "a"}, {ID: "a"}, {ID: "a"}}, want: []string{`"a" appears twice`}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			snap, err := NewSnapshot(tc.users, tc.groups)
			if err == nil {
				t.Fatal("no error")
			}
			for _, part := range tc.want {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("%q does not contain %q", err, part)
				}
			}
			if snap.Users != nil || snap.Groups != nil {
				t.Errorf("a snapshot beside the error: %+v", snap)
			}
		})
	}
}

// The order in which a directory answers does not show.
func TestSnapshotForgetsTheOrder(t *testing.T) {
	ids := rapid.SliceOfDistinct(rapid.StringMatching(`[a-cA-C]{1,3}`), rapid.ID)
	rapid.Check(t, func(t *rapid.T) {
		var users, shuffled []User
		group := Group{ID: "g"}
		for _, id := range ids.Draw(t, "ids") {
			users = append(users, User{ID: UserID(id)})
			group.Members = append(group.Members, UserID(id), UserID(id))
		}
		shuffled = append(shuffled, users...)
		again := Group{ID: "g", Members: append([]UserID(nil), group.Members...)}
		rng := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))
		rng.Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
		rng.Shuffle(len(again.Members), func(i, j int) { again.Members[i], again.Members[j] = again.Members[j], again.Members[i] })

		a, err := NewSnapshot(users, []Group{group})
		if err != nil {
			t.Fatal(err)
		}
		b, err := NewSnapshot(shuffled, []Group{again})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(a, b); diff != "" {
			t.Errorf("snapshots differ:\n%s", diff)
		}
		if len(a.Groups[0].Members) != len(users) {
			t.Errorf("%d members of %d", len(a.Groups[0].Members), len(users))
		}
	})
}
