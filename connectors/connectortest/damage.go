package connectortest

import (
	"encoding/json"
	"net/http"
)

// anyDamages are the ways in which an answer with 200 turns out to be none, by name: each is one that a common SDK
// takes for an empty directory, panics on or never comes back from.
func anyDamages() map[string]func(answer) answer {
	return map[string]func(answer) answer{
		"body null":             body(`null`),
		"empty body":            body(``),
		"204":                   status(http.StatusNoContent),
		"304":                   status(http.StatusNotModified),
		"scalar":                body(`0`),
		"error object with 200": body(`{"error":{"code":500,"message":"backend"},"errorCode":"E0000009","errorSummary":"backend"}`),
		"truncated":             truncated,
		"HTML 200":              html,
		"more after the end":    func(a answer) answer { a.body = append(a.body[:len(a.body):len(a.body)], a.body...); return a },
		"cut before the answer": func(a answer) answer { a.cut = cutBefore; return a },
		"cut inside the body":   func(a answer) answer { a.cut = cutInside; return a },
	}
}

// damages are those of a page.
func damages(l List) map[string]func(answer) answer {
	d := anyDamages()
	d["other JSON type"] = body(`[]`)
	d["null element"] = l.element(`null`)
	d["scalar element"] = l.element(`"0"`)
	d["element without fields"] = l.element(`{}`)
	if l.Key == "" {
		d["other JSON type"] = body(`{}`)
		return d
	}
	d["list missing"] = l.list(nil)
	d["list null"] = l.list(json.RawMessage(`null`))
	d["list an object"] = l.list(json.RawMessage(`{}`))
	return d
}

func body(text string) func(answer) answer {
	return func(a answer) answer {
		a.body = []byte(text)
		return a
	}
}

func status(code int) func(answer) answer {
	return func(a answer) answer {
		a.status, a.body = code, nil
		return a
	}
}

func truncated(a answer) answer {
	a.body = a.body[:len(a.body)/2]
	return a
}

func html(a answer) answer {
	a.header = a.header.Clone()
	a.header.Set("Content-Type", "text/html; charset=utf-8")
	a.body = []byte("<!DOCTYPE html><html><body>Sign in to the guest network</body></html>")
	return a
}

// element replaces the first element of the page.
func (l List) element(text string) func(answer) answer {
	return func(a answer) answer {
		object, elements := l.open(a.body)
		elements[0] = json.RawMessage(text)
		a.body = l.close(object, elements)
		return a
	}
}

// list replaces the page's list; nil leaves its key out. The way to the next page stays.
func (l List) list(value json.RawMessage) func(answer) answer {
	return func(a answer) answer {
		object, _ := l.open(a.body)
		delete(object, l.Key)
		if value != nil {
			object[l.Key] = value
		}
		a.body = encode(object)
		return a
	}
}

// open takes a page apart. The undamaged directory is the test's own, so what it says can be relied on.
func (l List) open(page []byte) (object map[string]json.RawMessage, elements []json.RawMessage) {
	if l.Key != "" {
		decode(page, &object)
		page = object[l.Key]
	}
	decode(page, &elements)
	if len(elements) == 0 {
		panic("connectortest: a page of " + l.Name + " holds nothing to damage")
	}
	return object, elements
}

func (l List) close(object map[string]json.RawMessage, elements []json.RawMessage) []byte {
	if l.Key == "" {
		return encode(elements)
	}
	object[l.Key] = encode(elements)
	return encode(object)
}

func decode(text []byte, into any) {
	if err := json.Unmarshal(text, into); err != nil {
		panic("connectortest: the undamaged answer: " + err.Error())
	}
}

func encode(v any) []byte {
	text, err := json.Marshal(v)
	if err != nil {
		panic("connectortest: " + err.Error())
	}
	return text
}
