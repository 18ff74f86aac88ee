package config

import (
	"strings"
	"testing"
)

func TestReplicasNeedAStateThatTheyShare(t *testing.T) {
	const shared = "state: {dsn: 'postgres://app@db/sync'}\n"
	tests := map[string]struct {
		more string
		want string // of the error, "" for none
	}{
		"alone":           {more: ""},
		"kubernetes":      {more: shared + "ha: {mode: kubernetes}\n"},
		"postgres":        {more: shared + "ha: {mode: postgres}\n"},
		"short":           {more: shared + "ha: {mode: kubernetes, lease_duration: 15s, renew_deadline: 10s, retry_period: 2s}\n"},
		"on a file":       {more: "ha: {mode: kubernetes}\n", want: "ha.mode (line 4) is kubernetes, which needs a ledger that all replicas share, and a file is no such one; give state.dsn a PostgreSQL database"},
		"without a state": {more: "state: none\nremovals: confirmed\nha: {mode: postgres}\n", want: "and state is none; give state a dsn"},
		"nobody to lead":  {more: shared + "ha: {lease: mine}\n", want: "ha.lease (line 5) has no meaning for ha.mode none"},
		"another's key":   {more: shared + "ha: {mode: postgres, namespace: sync}\n", want: "ha.namespace (line 5) has no meaning for ha.mode postgres"},
		"no name":         {more: shared + "ha: {mode: postgres, lease: My_Lease}\n", want: "ha.lease (line 5) is no name of a lease"},
		"no namespace":    {more: shared + "ha: {mode: kubernetes, namespace: 'a.b'}\n", want: "ha.namespace (line 5) is no name of a namespace"},
		"deadline beyond": {more: shared + "ha: {mode: kubernetes, renew_deadline: 60s}\n", want: "ha.renew_deadline (line 5) is not shorter than ha.lease_duration"},
		"one try only":    {more: shared + "ha: {mode: kubernetes, retry_period: 40s}\n", want: "ha.renew_deadline (line 5) leaves no time for a second try"},
		"and on postgres": {more: shared + "ha: {mode: postgres, retry_period: 55s}\n", want: "leaves no time for a second try"},
		"half seconds":    {more: shared + "ha: {mode: postgres, lease_duration: 7500ms}\n", want: "ha.lease_duration (line 5) is no whole number of seconds"},
		"too short":       {more: shared + "ha: {mode: postgres, lease_duration: 2s, retry_period: 500ms}\n", want: "ha.lease_duration (line 5) is too short to survive a slow answer"},
		"too eager":       {more: shared + "ha: {mode: postgres, retry_period: 1ms}\n", want: "ha.retry_period (line 5) is too short"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := load("c.yaml", []byte(goodSource+goodScope+goodTarget+tc.more), environment("ROOTLY_SCIM_TOKEN=x"))
			switch {
			case tc.want == "" && err != nil:
				t.Errorf("refused: %v", err)
			case tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)):
				t.Errorf("err = %v, want one that says %q", err, tc.want)
			}
		})
	}
}
