package ldap

import (
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
)

const (
	accountDisable = 0x2 // of userAccountControl
	// lockedForGood is what an administrator writes into pwdAccountLockedTime; a time there is a lock after wrong
	// passwords, which passes.
	lockedForGood = "000001010000Z"
)

// status reads the account's state. A locked account and an expired password are those of somebody who is employed.
func (p profile) status(a fields, now time.Time) (connectors.Status, string, error) {
	switch p.flavor {
	case FlavorAD:
		return statusAD(a, now)
	case Flavor389, FlavorFreeIPA:
		// Without a lock the attribute is absent, so a reader who may not see it finds everybody active.
		if v := a.first("nsAccountLock"); strings.EqualFold(v, "true") {
			return connectors.StatusDisabled, "nsAccountLock=" + v, nil
		}
	case FlavorOpenLDAP:
		if v := a.first("pwdAccountLockedTime"); v == lockedForGood {
			return connectors.StatusDisabled, "pwdAccountLockedTime=" + v, nil
		}
	}
	return connectors.StatusActive, "active", nil
}

func statusAD(a fields, now time.Time) (connectors.Status, string, error) {
	text := a.first("userAccountControl")
	control, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return "", "", &connectors.Error{Directory: vendor, Err: connectors.ErrDamaged,
			Summary: "has the userAccountControl " + strconv.Quote(text) + ", so it cannot be told whether the account is disabled",
			Remedy:  "give the reader the right to read the attribute userAccountControl (property set Account Restrictions)"}
	}
	if control&accountDisable != 0 {
		return connectors.StatusDisabled, "userAccountControl=" + text, nil
	}
	until, limited, err := expiry(a.first("accountExpires"))
	if err != nil {
		return "", "", err
	}
	if limited && !now.Before(until) {
		return connectors.StatusDisabled, "accountExpires=" + until.Format(time.DateOnly), nil
	}
	return connectors.StatusActive, "userAccountControl=" + text, nil
}

// fileTimeEpoch is 1601 in seconds of Unix.
const fileTimeEpoch = -11_644_473_600

// expiry reads accountExpires, in 100 ns since 1601. 0 and the largest number mean never.
func expiry(text string) (until time.Time, limited bool, err error) {
	if text == "" || text == "0" {
		return time.Time{}, false, nil
	}
	ticks, err := strconv.ParseInt(text, 10, 64)
	if err != nil || ticks < 0 {
		return time.Time{}, false, &connectors.Error{Directory: vendor, Err: connectors.ErrDamaged, Summary: "has the accountExpires " + strconv.Quote(text)}
	}
	if ticks == math.MaxInt64 {
		return time.Time{}, false, nil
	}
	return time.Unix(fileTimeEpoch+ticks/1e7, ticks%1e7*100).UTC(), true, nil
}
