package sim

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// A Fault is one way in which an answer goes wrong. The functions below make them.
type Fault struct {
	Name string
	play func(x *exchange)
}

// An exchange is one request under a fault.
type exchange struct {
	http.ResponseWriter
	request *http.Request
	side    Side
	next    http.Handler
}

// answer lets the server do its work and keeps the answer back.
func (x *exchange) answer(r *http.Request) *answer { return answerOf(x.next, r) }

// send passes on an answer with another body.
func (x *exchange) send(a *answer, body []byte) {
	if a.aborted {
		panic(http.ErrAbortHandler)
	}
	maps.Copy(x.Header(), a.sent)
	if a.status != http.StatusNoContent {
		x.Header().Set("Content-Length", strconv.Itoa(len(body)))
	}
	x.WriteHeader(a.status)
	x.Write(body)
}

// say answers in place of the server.
func (x *exchange) say(status int, mediaType string, body []byte) {
	x.Header().Set("Content-Type", mediaType)
	x.Header().Set("Content-Length", strconv.Itoa(len(body)))
	x.WriteHeader(status)
	x.Write(body)
}

func (x *exchange) mediaType() string {
	switch x.side {
	case SideSCIM, SideDirectory:
		return scimMediaType
	case SideRootly:
		return rootlyMediaType
	}
	return "application/json"
}

// refuse answers with the side's own error object, under a status that may be another one.
func (x *exchange) refuse(status, inBody int) {
	var body any = scimErrorBody(inBody, "", http.StatusText(inBody))
	switch x.side {
	case SideGraph:
		body = graphRefusal(inBody).body("fault", time.Now())
	case SideRootly:
		body = rootlyRefusal{inBody, http.StatusText(inBody)}.body()
	case SideRippling:
		body = ripplingRefusal(inBody)
	case SideGoogle:
		body = googleRefusal(inBody).body(inBody)
	case SideKeycloak:
		body = keycloakRefusal(inBody).body()
	case SideOkta:
		e, known := map[int]*oktaError{
			401: invalidToken(), 403: forbidden(), 429: {429, "E0000047", "API call exceeded rate limit due to too many requests."},
		}[inBody]
		if !known {
			e = &oktaError{inBody, "E0000009", "Internal Server Error"}
		}
		body = e.body("oaefault")
	}
	writeJSON(x, status, x.mediaType(), body)
}

// Latency lets the answer take d longer. A caller that gives up in the meantime has changed nothing.
func Latency(d time.Duration) Fault {
	return Fault{"latency", func(x *exchange) {
		wait := time.NewTimer(d)
		defer wait.Stop()
		select {
		case <-wait.C:
			x.next.ServeHTTP(x.ResponseWriter, x.request)
		case <-x.request.Context().Done():
			panic(http.ErrAbortHandler)
		}
	}}
}

// Until answers as ever, once released is closed.
func Until(released <-chan struct{}) Fault {
	return Fault{"until", func(x *exchange) {
		select {
		case <-released:
			x.next.ServeHTTP(x.ResponseWriter, x.request)
		case <-x.request.Context().Done():
			panic(http.ErrAbortHandler)
		}
	}}
}

// Refusal answers with the side's error object and this status, before any effect: 401, 403, 500, 503.
func Refusal(status int) Fault {
	return Fault{fmt.Sprint(status), func(x *exchange) { x.refuse(status, status) }}
}

// Gateway answers with this status and an HTML page, before any effect, as proxies do.
func Gateway(status int) Fault {
	return Fault{fmt.Sprintf("gateway %d", status), func(x *exchange) {
		x.say(status, "text/html", []byte("<html><body><h1>"+http.StatusText(status)+"</h1></body></html>"))
	}}
}

// TooMany answers 429 before any effect. retryAfter goes into the Retry-After header as it is: seconds, a date, or
// nothing. On the sides of Okta and of Rootly's REST API the rate-limit headers say that the window opens
// in a second.
func TooMany(retryAfter string) Fault {
	return Fault{"429", func(x *exchange) {
		if retryAfter != "" {
			x.Header().Set("Retry-After", retryAfter)
		}
		if x.side == SideOkta {
			now := time.Now()
			x.Header().Set("Date", now.UTC().Format(http.TimeFormat))
			x.Header().Set("X-Rate-Limit-Limit", "600")
			x.Header().Set("X-Rate-Limit-Remaining", "0")
			x.Header().Set("X-Rate-Limit-Reset", strconv.FormatInt(now.Add(time.Second).Unix(), 10))
		}
		if x.side == SideRootly {
			x.Header().Set("RateLimit-Remaining", "0")
			x.Header().Set("RateLimit-Reset", strconv.FormatInt(time.Now().Add(time.Second).Unix(), 10))
		}
		x.refuse(http.StatusTooManyRequests, http.StatusTooManyRequests)
	}}
}

// AppliedThenRefused does what was asked and then answers with this status all the same.
func AppliedThenRefused(status int) Fault {
	return Fault{fmt.Sprintf("applied, then %d", status), func(x *exchange) {
		x.answer(x.request)
		x.refuse(status, status)
	}}
}

// Cut closes the connection without a word and without any effect.
func Cut() Fault {
	return Fault{"cut", func(*exchange) { panic(http.ErrAbortHandler) }}
}

// AppliedThenCut does what was asked and closes the connection without a word: the lost answer.
func AppliedThenCut() Fault {
	return Fault{"applied, then cut", func(x *exchange) {
		x.answer(x.request)
		panic(http.ErrAbortHandler)
	}}
}

// CutInBody does what was asked, sends the headers and half of the body, and closes the connection.
func CutInBody() Fault {
	return Fault{"cut in the body", func(x *exchange) {
		a := x.answer(x.request)
		maps.Copy(x.Header(), a.sent)
		x.Header().Set("Content-Length", strconv.Itoa(a.body.Len()))
		x.WriteHeader(a.status)
		x.Write(a.body.Bytes()[:a.body.Len()/2])
		http.NewResponseController(x.ResponseWriter).Flush() // without it the half would be dropped with the connection
		panic(http.ErrAbortHandler)
	}}
}

// Body does what was asked and answers 200 with this body in place of the real one: "", "null", "{}", "[]". Links of
// a listing are lost with it.
func Body(text string) Fault {
	return Fault{fmt.Sprintf("body %q", text), func(x *exchange) {
		x.answer(x.request)
		x.say(http.StatusOK, x.mediaType(), []byte(text))
	}}
}

// NoContent does what was asked and answers 204.
func NoContent() Fault {
	return Fault{"204", func(x *exchange) {
		x.answer(x.request)
		x.WriteHeader(http.StatusNoContent)
	}}
}

// HTMLPage answers 200 with a web page, before any effect: a proxy's login form.
func HTMLPage() Fault {
	return Fault{"web page", func(x *exchange) {
		x.say(http.StatusOK, "text/html", []byte("<!DOCTYPE html><html><body>Please sign in</body></html>"))
	}}
}

// ErrorWith200 answers 200 with an error object, before any effect.
func ErrorWith200() Fault {
	return Fault{"error with 200", func(x *exchange) { x.refuse(http.StatusOK, http.StatusInternalServerError) }}
}

// TruncatedJSON does what was asked and answers, in good form, with the first half of the body.
func TruncatedJSON() Fault {
	return Fault{"truncated JSON", func(x *exchange) {
		a := x.answer(x.request)
		x.send(a, a.body.Bytes()[:a.body.Len()/2])
	}}
}

// NullElement replaces the middle object of a listing's page by null.
func NullElement() Fault {
	return onList("null element", func(list []json.RawMessage) []json.RawMessage {
		if len(list) > 0 {
			list[len(list)/2] = json.RawMessage("null")
		}
		return list
	})
}

// EmptyPage leaves a page's objects out. Its links and totals stay.
func EmptyPage() Fault {
	return onList("empty page", func([]json.RawMessage) []json.RawMessage { return []json.RawMessage{} })
}

// onList rewrites the objects of one page; other answers pass as they are.
func onList(name string, rewrite func([]json.RawMessage) []json.RawMessage) Fault {
	return Fault{name, func(x *exchange) {
		a := x.answer(x.request)
		x.send(a, rewriteList(a.body.Bytes(), rewrite))
	}}
}

// listKeys are where an object holds the page of a listing: SCIM's, Graph's, Google's, Rippling's and Rootly's.
var listKeys = []string{"Resources", "value", "users", "groups", "members", "data", "results"}

func rewriteList(body []byte, rewrite func([]json.RawMessage) []json.RawMessage) []byte {
	var list []json.RawMessage
	if json.Unmarshal(body, &list) == nil {
		return encode(rewrite(list))
	}
	var object map[string]json.RawMessage
	if json.Unmarshal(body, &object) != nil {
		return body
	}
	for _, key := range listKeys {
		if object[key] != nil && json.Unmarshal(object[key], &list) == nil {
			object[key] = encode(rewrite(list))
			return encode(object)
		}
	}
	return body
}

// encode writes what was read as JSON before and therefore can be written.
func encode(v any) []byte {
	var b bytes.Buffer
	if err := json.NewEncoder(&b).Encode(v); err != nil {
		panic(fmt.Sprintf("sim: encode a changed answer: %v", err))
	}
	return bytes.TrimSpace(b.Bytes())
}

// NoListKey answers a listing with an object that lacks the list: SCIM's without Resources, Okta's in a wrapper.
func NoListKey() Fault {
	return Fault{"no list key", func(x *exchange) {
		a := x.answer(x.request)
		if !json.Valid(a.body.Bytes()) { // another fault came first
			x.send(a, a.body.Bytes())
			return
		}
		var object map[string]json.RawMessage
		if json.Unmarshal(a.body.Bytes(), &object) != nil {
			object = map[string]json.RawMessage{"elements": a.body.Bytes()}
		}
		for _, key := range listKeys {
			delete(object, key)
		}
		x.send(a, encode(object))
	}}
}

// RepeatPage answers every page after the first with the objects of the first one, and with its own links and totals.
func RepeatPage() Fault {
	return Fault{"repeated page", func(x *exchange) {
		a := x.answer(x.request)
		q := x.request.URL.Query()
		start := q.Get("startIndex")
		number := q.Get("page[number]")
		if (number == "" || number == "1") && q.Get("after") == "" && q.Get("$skiptoken") == "" && q.Get("pageToken") == "" && q.Get("cursor") == "" && (start == "" || start == "1") {
			x.send(a, a.body.Bytes())
			return
		}
		q.Del("after")
		q.Del("$skiptoken")
		q.Del("pageToken")
		q.Del("page[number]")
		if q.Has("startIndex") {
			q.Set("startIndex", "1")
		}
		if q.Has("cursor") {
			q.Set("cursor", "")
		}
		first := x.answer(withQuery(x.request, q))
		x.send(a, rewriteList(a.body.Bytes(), func([]json.RawMessage) (objects []json.RawMessage) {
			rewriteList(first.body.Bytes(), func(list []json.RawMessage) []json.RawMessage {
				objects = list
				return list
			})
			return objects
		}))
	}}
}

func withQuery(r *http.Request, q url.Values) *http.Request {
	again := r.Clone(r.Context())
	again.URL.RawQuery = q.Encode()
	again.RequestURI = again.URL.RequestURI()
	return again
}

// RepeatLink lets a page name itself as the next one: Okta's link, Graph's, Rippling's, Google's token, or SCIM's cursor where the listing has one.
func RepeatLink() Fault {
	return Fault{"repeated link", func(x *exchange) {
		a := x.answer(x.request)
		if x.side == SideOkta && !a.aborted {
			self := fmt.Sprintf(`<%s%s>`, baseURL(x.request), x.request.URL.RequestURI())
			a.sent["Link"] = []string{self + `; rel="self"`, self + `; rel="next"`}
			x.send(a, a.body.Bytes())
			return
		}
		var object map[string]json.RawMessage
		if x.side == SideGraph && json.Unmarshal(a.body.Bytes(), &object) == nil && object["value"] != nil {
			object["@odata.nextLink"] = encode(baseURL(x.request) + x.request.URL.RequestURI())
			x.send(a, encode(object))
			return
		}
		if x.side == SideRippling && json.Unmarshal(a.body.Bytes(), &object) == nil && object["results"] != nil {
			object["next_link"] = encode(baseURL(x.request) + x.request.URL.RequestURI())
			x.send(a, encode(object))
			return
		}
		if token := x.request.URL.Query().Get("pageToken"); x.side == SideGoogle && token != "" && json.Unmarshal(a.body.Bytes(), &object) == nil {
			object["nextPageToken"] = encode(token)
			x.send(a, encode(object))
			return
		}
		if json.Unmarshal(a.body.Bytes(), &object) != nil || object["Resources"] == nil || !x.request.URL.Query().Has("cursor") {
			x.send(a, a.body.Bytes())
			return
		}
		object["nextCursor"] = encode(x.request.URL.Query().Get("cursor"))
		x.send(a, encode(object))
	}}
}

// JoinedLink joins the Link headers into one, which is as good HTTP as several.
func JoinedLink() Fault {
	return onLinks("joined link", func(links []string) []string { return []string{strings.Join(links, ", ")} })
}

// BadLink breaks the URL of the next link.
func BadLink() Fault {
	return onLinks("unparsable link", func(links []string) []string {
		return append(links[:1:1], `<://%zz>; rel="next"`)
	})
}

func onLinks(name string, rewrite func([]string) []string) Fault {
	return Fault{name, func(x *exchange) {
		a := x.answer(x.request)
		if links := a.sent["Link"]; len(links) > 0 {
			a.sent["Link"] = rewrite(links)
		}
		x.send(a, a.body.Bytes())
	}}
}

// ForeignLink lets Graph's or Rippling's link to the next page lead to another host.
func ForeignLink() Fault {
	return Fault{"foreign link", func(x *exchange) {
		a := x.answer(x.request)
		var object map[string]json.RawMessage
		if json.Unmarshal(a.body.Bytes(), &object) == nil && object["value"] != nil {
			object["@odata.nextLink"] = encode("https://graph.elsewhere.example" + x.request.URL.RequestURI())
			a.body = *bytes.NewBuffer(encode(object))
		} else if object["results"] != nil {
			object["next_link"] = encode("https://rippling.elsewhere.example" + x.request.URL.RequestURI())
			a.body = *bytes.NewBuffer(encode(object))
		}
		x.send(a, a.body.Bytes())
	}}
}
