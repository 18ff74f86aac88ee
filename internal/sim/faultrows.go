package sim

import (
	"bytes"
	"encoding/json"
	"net/http"
	"slices"
)

// LackingRow leaves the last object of a page out. Links and totals stay.
func LackingRow() Fault {
	return onList("lacking row", func(list []json.RawMessage) []json.RawMessage { return list[:max(0, len(list)-1)] })
}

// RepeatedRow gives the first object of a page a second time, in the place of the last.
func RepeatedRow() Fault {
	return onList("repeated row", func(list []json.RawMessage) []json.RawMessage {
		if len(list) > 1 {
			list[len(list)-1] = list[0]
		}
		return list
	})
}

// ReversedRows turns the order of a page's objects round. Nothing is missing.
func ReversedRows() Fault {
	return onList("reversed rows", func(list []json.RawMessage) []json.RawMessage {
		slices.Reverse(list)
		return list
	})
}

// Shrunken leaves the last object of a page out and says so nowhere: a SCIM total is one less.
func Shrunken() Fault {
	return Fault{"shrunken listing", func(x *exchange) {
		a := x.answer(x.request)
		dropped := false
		body := rewriteList(a.body.Bytes(), func(list []json.RawMessage) []json.RawMessage {
			dropped = len(list) > 0
			return list[:max(0, len(list)-1)]
		})
		var object map[string]json.RawMessage
		var total int
		if dropped && json.Unmarshal(body, &object) == nil && json.Unmarshal(object["totalResults"], &total) == nil {
			object["totalResults"] = encode(total - 1)
			body = encode(object)
		}
		x.send(a, body)
	}}
}

// Elsewhere lets another server answer in the place of this one: a replica that lags behind.
func Elsewhere(other http.Handler) Fault {
	return Fault{"stale replica", func(x *exchange) {
		a := answerOf(other, x.request)
		x.send(a, bytes.Clone(a.body.Bytes()))
	}}
}

// Play answers one request under the faults, each round those after it.
func Play(side Side, w http.ResponseWriter, r *http.Request, next http.Handler, faults ...Fault) {
	for _, f := range slices.Backward(faults) {
		inner := next
		next = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			f.play(&exchange{ResponseWriter: w, request: r, side: side, next: inner})
		})
	}
	next.ServeHTTP(w, r)
}
