package store

import (
	"errors"
	"testing"
	"time"
)

func TestALeaseOutlivesTheStoreAndSaysWhoHasIt(t *testing.T) {
	ctx, dsn := t.Context(), startPostgres(t).Database(t)
	open := func() *Leases {
		l, err := OpenLeases(ctx, func() string { return dsn })
		must(t, err)
		return l
	}
	ours, theirs := open(), open()
	if holder, err := theirs.Holder(ctx, "leader/sync"); err != nil || holder != "" {
		t.Errorf("before anybody took it, %q has it, %v", holder, err)
	}
	lease, err := ours.Acquire(ctx, "leader/sync", time.Minute)
	must(t, err)
	if holder, err := theirs.Holder(ctx, "leader/sync"); err != nil || holder != lease.Holder() {
		t.Errorf("%q has it, want %q, %v", holder, lease.Holder(), err)
	}
	if _, err := theirs.Acquire(ctx, "leader/sync", time.Minute); err == nil {
		t.Error("two have it")
	} else if _, ok := errors.AsType[*LockedError](err); !ok {
		t.Errorf("err = %v", err)
	}
	if lease.Expire() == nil || lease.Valid() {
		t.Error("a lease that was declared lost is valid")
	}
	<-lease.Lost()
	must(t, lease.Release(ctx))
	next, err := theirs.Acquire(ctx, "leader/sync", time.Minute)
	must(t, err)
	must(t, next.Release(ctx))
	must(t, errors.Join(ours.Close(), theirs.Close()))
}
