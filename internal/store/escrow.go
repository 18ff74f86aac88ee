package store

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/rootly-idp-sync/rootly-idp-sync/reconcile"
)

// Retry makes the change of the one waiting object that ref means due now: the next cycle tries it, if it is still
// planned. ref has a directory id, or a name in any case; its kind may be left out where one object answers to it. It
// needs no lock.
func (s *Store) Retry(ctx context.Context, ref reconcile.Ref) error {
	return s.write(ctx, "retry", func(t *tx) error {
		w, err := s.waiting(ctx, t, ref)
		if err != nil {
			return err
		}
		return t.exec(`UPDATE escrow SET next = $1 WHERE pipeline = $2 AND kind = $3 AND source = $4`, millis(s.now()), s.pipeline, w.Kind, w.Source)
	})
}

// Drop forgets that the one waiting object that ref means has failed, as Retry finds it: the change is planned anew, from
// its first try, if it is still wanted. It needs no lock.
func (s *Store) Drop(ctx context.Context, ref reconcile.Ref) error {
	return s.write(ctx, "drop", func(t *tx) error {
		w, err := s.waiting(ctx, t, ref)
		if err != nil {
			return err
		}
		return t.exec(`DELETE FROM escrow WHERE pipeline = $1 AND kind = $2 AND source = $3`, s.pipeline, w.Kind, w.Source)
	})
}

func (s *Store) waiting(ctx context.Context, t *tx, ref reconcile.Ref) (reconcile.Waiting, error) {
	list, err := s.readEscrow(ctx, t)
	if err != nil {
		return reconcile.Waiting{}, err
	}
	return findWaiting(list, ref)
}

func findWaiting(list []reconcile.Waiting, ref reconcile.Ref) (reconcile.Waiting, error) {
	var found []reconcile.Waiting
	for _, w := range list {
		named := w.Source == ref.Source || ref.Source == "" && (w.Source == ref.Name || strings.EqualFold(w.Name, ref.Name))
		if named && (ref.Kind == "" || ref.Kind == w.Kind) {
			found = append(found, w)
		}
	}
	who := cmp.Or(ref.Name, ref.Source)
	switch {
	case len(found) == 1:
		return found[0], nil
	case len(found) > 1:
		return reconcile.Waiting{}, fmt.Errorf("%q may be any of %s: give the directory id", who, waitingNames(found))
	case len(list) == 0:
		return reconcile.Waiting{}, fmt.Errorf("%q is not waiting for another try, and nothing else is", who)
	}
	return reconcile.Waiting{}, fmt.Errorf("%q is not waiting for another try, these are: %s", who, waitingNames(list))
}

// namedWaiting is how many of those that wait an error lists.
const namedWaiting = 10

// waitingNames is "group oncall (00g1), user ada@acme.com (00u1)".
func waitingNames(list []reconcile.Waiting) string {
	var names []string
	for _, w := range list[:min(len(list), namedWaiting)] {
		names = append(names, fmt.Sprintf("%s %s (%s)", w.Kind, w.Name, w.Source))
	}
	slices.Sort(names)
	if more := len(list) - namedWaiting; more > 0 {
		names = append(names, fmt.Sprintf("%d more", more))
	}
	return strings.Join(names, ", ")
}
