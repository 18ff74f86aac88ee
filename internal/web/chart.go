package web

import (
	"fmt"
	"math"
)

// A chart is the cycles of a page as bars: what they changed above the line, how long they took below it.
type chart struct {
	Bars   []bar
	Width  int
	Most   int     // changes of the tallest bar
	Longer float64 // seconds of the longest
}

// A bar is one cycle.
type bar struct {
	ID            int64
	X, W          int
	Done, Failed  span // upwards, on one another
	Held, Took    span
	Label, Result string
}

// A span is a stretch of a bar, from the top of the picture.
type span struct{ Y, H int }

const (
	barWidth = 12
	barGap   = 4
	above    = 96 // pixels for changes
	between  = 8
	below    = 36 // pixels for durations
)

// newChart draws cycles, the newest of which is first and stands on the right.
func newChart(cycles []Cycle) chart {
	c := chart{Width: max(1, len(cycles)) * (barWidth + barGap)}
	for _, cy := range cycles {
		c.Most, c.Longer = max(c.Most, cy.Done+cy.Failed+cy.Held), max(c.Longer, cy.Seconds)
	}
	for i := range cycles {
		cy := cycles[len(cycles)-1-i]
		b := bar{ID: cy.ID, X: i * (barWidth + barGap), W: barWidth, Result: cy.Result}
		b.Label = fmt.Sprintf("Cycle %d, %s: %s; %d done, %d failed, %d held; %s", cy.ID, stamp(cy.Started), cy.Result, cy.Done, cy.Failed, cy.Held, seconds(cy.Seconds))
		total := cy.Done + cy.Failed + cy.Held
		whole, y := height(float64(total), float64(c.Most), above-4), above
		part := func(n int) span {
			h := 0
			if n > 0 {
				h = max(2, whole*n/total)
			}
			y -= h
			return span{y, h}
		}
		b.Done, b.Failed, b.Held = part(cy.Done), part(cy.Failed), part(cy.Held)
		b.Took = span{above + between, height(cy.Seconds, c.Longer, below)}
		c.Bars = append(c.Bars, b)
	}
	return c
}

// height is how tall a value is drawn. Roots keep the everyday cycle visible beside a first import; what is not nothing is
// seen.
func height(v, most float64, pixels int) int {
	if v <= 0 || most <= 0 {
		return 0
	}
	return max(2, int(math.Round(math.Sqrt(v/most)*float64(pixels))))
}
