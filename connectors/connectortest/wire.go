package connectortest

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"
)

// Transport answers requests by a handler, in process: over loopback a synctest bubble hangs.
func Transport(h http.Handler) http.RoundTripper { return handlerTransport{h} }

type handlerTransport struct{ http.Handler }

func (t handlerTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	a := serve(t.Handler, req)
	if err := req.Context().Err(); err != nil {
		return nil, err
	}
	return a.response(req)
}

// wire is an in-process transport to a server. It keeps what goes over it and damages chosen answers. Without a server
// every connection breaks.
type wire struct {
	server http.Handler
	match  func(*http.Request) bool // the requests whose answers are damaged
	damage func(answer) answer
	max    int // requests, of which more are a loop

	mu      sync.Mutex
	cancel  func() // ends a read that loops
	sent    int
	damaged int
	pages   []page
}

// An answer is what comes back for a request.
type answer struct {
	status int
	header http.Header
	body   []byte
	cut    cut
}

// A cut is where a connection breaks.
type cut int

const (
	whole cut = iota
	cutBefore
	cutInside
)

// A page is one request for a page of a listing with its answer.
type page struct {
	path, url string
	req       *http.Request
	answer    answer
}

var errLoop = errors.New("connectortest: too many requests")

// reset starts the counts again for another read, which cancel ends.
func (w *wire) reset(cancel func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.cancel, w.sent, w.pages = cancel, 0, nil
}

func (w *wire) exceeded() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.sent > w.max
}

// RoundTrip serves the request.
func (w *wire) RoundTrip(req *http.Request) (*http.Response, error) {
	w.mu.Lock()
	w.sent++
	over := w.sent > w.max
	w.mu.Unlock()
	if over {
		w.cancel()
		return nil, errLoop
	}
	if err := req.Context().Err(); err != nil {
		return nil, err
	}
	if w.server == nil {
		return nil, io.EOF
	}
	a := serve(w.server, req)
	if err := req.Context().Err(); err != nil {
		return nil, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.pages = append(w.pages, page{req.URL.Path, req.URL.String(), req, a})
	if w.damage != nil && w.match(req) {
		w.damaged++
		a = w.damage(a)
	}
	return a.response(req)
}

// serve asks the handler as a server would ask it.
func serve(h http.Handler, req *http.Request) answer {
	in := req.Clone(req.Context())
	in.RequestURI = req.URL.RequestURI()
	in.Host = req.URL.Host
	in.RemoteAddr = "192.0.2.1:1234"
	if in.Body == nil {
		in.Body = http.NoBody
	}
	if req.URL.Scheme == "https" {
		in.TLS = &tls.ConnectionState{}
	}
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, in)
	return answer{status: rec.Code, header: rec.Result().Header, body: rec.Body.Bytes()}
}

func (a answer) response(req *http.Request) (*http.Response, error) {
	if a.cut == cutBefore {
		return nil, io.EOF
	}
	header := a.header.Clone()
	header.Set("Content-Length", strconv.Itoa(len(a.body)))
	var body io.Reader = bytes.NewReader(a.body)
	if a.cut == cutInside {
		body = io.MultiReader(bytes.NewReader(a.body[:len(a.body)/2]), broken{})
	}
	return &http.Response{
		Status: strconv.Itoa(a.status) + " " + http.StatusText(a.status), StatusCode: a.status,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: header, Body: io.NopCloser(body), ContentLength: int64(len(a.body)), Request: req,
	}, nil
}

// broken reads as a connection that closed too early does.
type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

// pagesOf returns the longest listing of one kind, its pages in order.
func (w *wire) pagesOf(l List) []page {
	byPath := map[string][]page{}
	var longest []page
	for _, p := range w.pages {
		if !l.Match(p.req) {
			continue
		}
		pages := append(byPath[p.path], p)
		byPath[p.path] = pages
		if len(pages) > len(longest) {
			longest = pages
		}
	}
	return longest
}
