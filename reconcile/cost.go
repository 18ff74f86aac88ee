package reconcile

import (
	"fmt"
	"strconv"
	"time"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
	"github.com/rootly-idp-sync/rootly-idp-sync/scimclient"
)

// A Cost is what a plan took in requests, and what carrying it out is going to take.
type Cost struct {
	Directory  int     `json:"directory"`         // requests to the directory so far
	Read       int     `json:"read"`              // requests to Rootly so far
	Write      int     `json:"write"`             // requests to Rootly to come
	ExpectedMS int64   `json:"expectedMs"`        // how long those are going to take
	MaxRate    float64 `json:"maxRate,omitempty"` // the most requests a second, 0 without a limit

	pace scimclient.Pace
}

// A meter is a Reader that counts its requests and knows its pace.
type meter interface {
	Stats() scimclient.Stats
	Pace() scimclient.Pace
}

// spent counts the requests of both sides up to now. Files and recordings cost none.
func (p *Planner) spent() Cost {
	var c Cost
	if counter, ok := p.Source.(connectors.Counter); ok {
		c.Directory = counter.Requests()
	}
	if m, ok := p.Target.(meter); ok {
		c.Read = m.Stats().Total()
		c.pace = m.Pace()
		c.MaxRate = c.pace.Max
	}
	return c
}

// since is the cost without what an earlier reading of the counters already had.
func (c Cost) since(before Cost) Cost {
	c.Directory, c.Read = c.Directory-before.Directory, c.Read-before.Read
	return c
}

// priced is the plan with the requests that its changes cost.
func (p Plan) priced() Plan {
	p.Writes = writes(p.Changes)
	p.Cost.Write, p.Cost.ExpectedMS = p.Writes, p.Cost.pace.Expect(p.Writes).Milliseconds()
	return p
}

// sentence is the cost in words: "Cost: directory 23 requests, Rootly 12 read + 340 to write, about 15 s at up to 25/s."
func (c Cost) sentence() string {
	s := fmt.Sprintf("Cost: directory %s, Rootly %d read", count(c.Directory, "request", "requests"), c.Read)
	if c.Write == 0 {
		return s + ", nothing to write."
	}
	s += fmt.Sprintf(" + %d to write", c.Write)
	if took := time.Duration(c.ExpectedMS) * time.Millisecond; took > 0 {
		s += ", about " + roughly(took)
	}
	if c.MaxRate > 0 {
		s += " at up to " + strconv.FormatFloat(c.MaxRate, 'f', -1, 64) + "/s"
	}
	return s + "."
}

// roughly is a duration as exact as an estimate deserves.
func roughly(d time.Duration) string {
	switch {
	case d < time.Second:
		return "1 s"
	case d < 90*time.Second:
		return fmt.Sprintf("%d s", int(d.Round(time.Second).Seconds()))
	case d < 90*time.Minute:
		return fmt.Sprintf("%d min", int(d.Round(time.Minute).Minutes()))
	}
	return fmt.Sprintf("%d h", int(d.Round(time.Hour).Hours()))
}
