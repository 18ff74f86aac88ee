package scimclient

import (
	"fmt"
	"runtime"
	"strconv"
	"strings"
	"testing"
)

// BenchmarkListUsers lists and decodes 100,000 people. It reports what a person costs in memory while held and the
// requests over the fewest possible.
func BenchmarkListUsers(b *testing.B) {
	const people, page = 100_000, 1000
	bodies := map[int]string{}
	for start := 1; start <= people; start += page {
		list := make([]string, page)
		for i := range list {
			n := start + i
			list[i] = fmt.Sprintf(`{"schemas":[%q],"id":"%d","externalId":"00u%017d","userName":"person.%d@acme.example",`+
				`"name":{"givenName":"Given%d","familyName":"Family%d"},"displayName":"Given%d Family%d","active":true,`+
				`"emails":[{"value":"person.%d@acme.example","type":"work","primary":true}],`+
				`"phoneNumbers":[{"value":"+1555%07d","type":"mobile"}],"meta":{"resourceType":"User"}}`,
				userURN, n, n, n, n, n, n, n, n, n)
		}
		bodies[start] = listJSON(people, strings.Join(list, ","))
	}
	for _, concurrency := range []int{1, 8} {
		b.Run("concurrency="+strconv.Itoa(concurrency), func(b *testing.B) {
			requests, held := 0, uint64(0)
			for b.Loop() {
				c, f := newTestClient(b, func(_ int, c call) reply { return ok(bodies[startOf(c)]) },
					func(o *Options) { o.Concurrency = concurrency })
				before := heap()
				users, err := c.Users(b.Context())
				if err != nil || len(users) != people {
					b.Fatalf("%d users, error %v", len(users), err)
				}
				requests = len(f.calls)
				f.calls = nil
				held = heap() - before
				runtime.KeepAlive(users)
			}
			b.ReportMetric(float64(held)/people, "B/user")
			b.ReportMetric(float64(requests)/(people/page), "requests/minimum")
		})
	}
}

func heap() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
