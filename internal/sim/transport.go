package sim

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"net/http"
	"strconv"
)

// Transport answers requests by calling h, without a socket: it works inside a synctest bubble and costs next to
// nothing. What a handler can do to a connection it can do here: one that aborts before a word is io.EOF, one that
// aborts later is io.ErrUnexpectedEOF at that place of the body. When a request's context ends, RoundTrip returns at
// once and the handler sees its own context end. Unlike net/http's transport it never sends a request a second time.
func Transport(h http.Handler) http.RoundTripper { return transport{h} }

type transport struct{ handler http.Handler }

func (t transport) RoundTrip(req *http.Request) (*http.Response, error) {
	ctx := req.Context()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	var body []byte
	if req.Body != nil {
		var err error
		body, err = io.ReadAll(req.Body)
		if err = errors.Join(err, req.Body.Close()); err != nil {
			return nil, err
		}
	}
	served, err := asServed(req, body)
	if err != nil {
		return nil, err
	}
	answered := make(chan *answer, 1)
	go func() { answered <- answerOf(t.handler, served) }()
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case a := <-answered:
		return a.response(req)
	}
}

// asServed turns a client's request into the one that a server reads off the wire.
func asServed(req *http.Request, body []byte) (*http.Request, error) {
	served, err := http.NewRequestWithContext(req.Context(), req.Method, req.URL.RequestURI(), bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	served.RequestURI = req.URL.RequestURI()
	served.Header = req.Header.Clone()
	if served.Header == nil {
		served.Header = http.Header{}
	}
	served.Host = req.Host
	if served.Host == "" {
		served.Host = req.URL.Host
	}
	served.RemoteAddr = "127.0.0.1:1"
	if req.URL.Scheme == "https" {
		served.TLS = &tls.ConnectionState{}
	}
	return served, nil
}

// An answer is what a handler has written so far.
type answer struct {
	header  http.Header
	status  int
	sent    http.Header // the headers as they were when the status went out
	body    bytes.Buffer
	aborted bool
}

// answerOf runs h and keeps its answer. A handler that panics with http.ErrAbortHandler has cut the connection.
func answerOf(h http.Handler, r *http.Request) (a *answer) {
	a = &answer{header: http.Header{}}
	defer func() {
		if p := recover(); p != nil {
			if p != http.ErrAbortHandler {
				panic(p)
			}
			a.aborted = true
		}
	}()
	h.ServeHTTP(a, r)
	a.WriteHeader(http.StatusOK) // no more than a default: a handler that has written keeps its status
	return a
}

func (a *answer) Header() http.Header { return a.header }

func (a *answer) WriteHeader(status int) {
	if a.status == 0 {
		a.status, a.sent = status, a.header.Clone()
	}
}

func (a *answer) Write(b []byte) (int, error) {
	a.WriteHeader(http.StatusOK)
	return a.body.Write(b)
}

// Flush is there for handlers that flush; the body is handed on when they return.
func (a *answer) Flush() { a.WriteHeader(http.StatusOK) }

func (a *answer) response(req *http.Request) (*http.Response, error) {
	if a.status == 0 {
		return nil, io.EOF
	}
	resp := &http.Response{
		Status:     strconv.Itoa(a.status) + " " + http.StatusText(a.status),
		StatusCode: a.status,
		Proto:      "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header:        a.sent,
		ContentLength: -1,
		Request:       req,
	}
	var body io.Reader = &a.body
	if a.aborted {
		body = io.MultiReader(body, cutOff{})
	} else {
		resp.ContentLength = int64(a.body.Len())
	}
	resp.Body = io.NopCloser(body)
	return resp, nil
}

// cutOff is the end of a body whose connection broke.
type cutOff struct{}

func (cutOff) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }
