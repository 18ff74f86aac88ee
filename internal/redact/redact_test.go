package redact

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/iotest"

	"go.uber.org/goleak"
	"pgregory.net/rapid"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// writings are the notations in which a server may repeat a secret, each among other things.
var writings = map[string]func(before, secret, after string) string{
	"as it is": func(before, s, after string) string { return before + s + after },
	"base64": func(before, s, after string) string {
		return base64.StdEncoding.EncodeToString([]byte(before + s + after))
	},
	"base64 of URLs": func(before, s, after string) string {
		return base64.RawURLEncoding.EncodeToString([]byte(before + s + after))
	},
	"hexadecimal":      func(before, s, after string) string { return hex.EncodeToString([]byte(before + s + after)) },
	"HEXADECIMAL":      func(before, s, after string) string { return fmt.Sprintf("%X", before+s+after) },
	"query":            func(before, s, after string) string { return url.QueryEscape(before + s + after) },
	"path":             func(before, s, after string) string { return url.PathEscape(before + s + after) },
	"small percentage": func(before, s, after string) string { return lowerEscapes(url.QueryEscape(before + s + after)) },
	"user info":        func(_, s, after string) string { return url.UserPassword("u", s).String() + after },
	"JSON": func(before, s, after string) string {
		data, err := json.Marshal(before + s + after)
		if err != nil {
			panic(err)
		}
		return string(data)
	},
	"JSON of .NET": func(before, s, after string) string {
		return unicodeEscapes(before+s+after, `\u%04X`)
	},
	"JSON of PHP": func(before, s, after string) string {
		return strings.ReplaceAll(fmt.Sprintf("%q", before+s+after), "/", `\/`)
	},
	"HTML":   func(before, s, after string) string { return html.EscapeString(before + s + after) },
	"quoted": func(before, s, after string) string { return fmt.Sprintf("%q", before+s+after) },
}

// TestNoNotationOfASecretStays: whatever a secret is made of, whatever is around it, and wherever a reader's chunks end.
func TestNoNotationOfASecretStays(t *testing.T) {
	for name, write := range writings {
		t.Run(name, func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				around := rapid.StringMatching(`[a-z :"{}]{0,9}`)
				// The core is found again in every notation but base64 and hexadecimal, which is undone first.
				core := rapid.StringMatching(`[A-Za-z0-9]{10,20}`).Draw(t, "core")
				secret := core + rapid.StringMatching(`[-+/=&<>"'%._~!]{0,6}`).Draw(t, "end")
				text := write(around.Draw(t, "before"), secret, around.Draw(t, "after"))
				r := newBody(io.NopCloser(iotest.OneByteReader(strings.NewReader(text))), notations([]string{secret}))
				read, err := io.ReadAll(r)
				if err != nil {
					t.Fatal(err)
				}
				for _, got := range []string{Text(text, secret), string(read)} {
					if !strings.Contains(got, Mark) || strings.Contains(got, core) {
						t.Fatalf("%q became %q", text, got)
					}
				}
			})
		})
	}
}

// TestALongAnswerIsReadInPieces: a secret is taken out of it also where one read ends in it.
func TestALongAnswerIsReadInPieces(t *testing.T) {
	const secret, length = "hunter2hunter2hunter2", 3 * chunk
	forms := notations([]string{secret})
	var ends []int
	total := 0
	counted := readerFunc(func(p []byte) (int, error) {
		if total >= length {
			return 0, io.EOF
		}
		total += len(p)
		ends = append(ends, total)
		return len(p), nil
	})
	if _, err := io.Copy(io.Discard, newBody(io.NopCloser(counted), forms)); err != nil || len(ends) < 4 {
		t.Fatalf("the reads end at %v, %v", ends, err)
	}
	for _, end := range ends {
		for part := range len(secret) + 1 {
			before, after := strings.Repeat("x", end-part), strings.Repeat("y", chunk)
			read, err := io.ReadAll(newBody(io.NopCloser(strings.NewReader(before+secret+after)), forms))
			if err != nil || string(read) != before+Mark+after {
				t.Errorf("with %d of its bytes before byte %d, where a read ends, it is not taken out (%v)", part, end, err)
			}
		}
	}
}

type readerFunc func(p []byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

func TestTextKeepsWhatIsNoSecret(t *testing.T) {
	for _, secrets := range [][]string{nil, {""}, {"short"}, {"elsewhere"}} {
		const s = "a short text, c2hvcnQ="
		if got := Text(s, secrets...); got != s {
			t.Errorf("without %q the text is %q", secrets, got)
		}
	}
}

func TestTextTakesOutALineOfAKey(t *testing.T) {
	line := strings.Repeat("MIIEvQIBADANBgkq", 4)
	key := "-----BEGIN PRIVATE KEY-----\n" + line + "\nAAAA\n-----END PRIVATE KEY-----\n"
	if got := Text("cannot read "+line+" as a key", key); got != "cannot read [secret] as a key" {
		t.Errorf("the text is %q", got)
	}
}

func TestErrorKeepsItsChain(t *testing.T) {
	cause := errors.New("refused hunter2hunter2")
	err := Error(fmt.Errorf("sign in: %w", cause), "hunter2hunter2")
	if err.Error() != "sign in: refused [secret]" || !errors.Is(err, cause) {
		t.Errorf("the error is %q", err)
	}
	if Error(cause, "elsewhere") != cause || Error(nil, "elsewhere") != nil {
		t.Error("an error without a secret is another one")
	}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// echo answers with all that it was sent.
func echo(r *http.Request) (*http.Response, error) {
	var all strings.Builder
	if err := r.Write(&all); err != nil {
		return nil, err
	}
	user, password, _ := r.BasicAuth()
	all.WriteString(user + " " + password)
	return &http.Response{
		Status: "401 " + r.Header.Get("Authorization"), StatusCode: http.StatusUnauthorized, Request: r, ContentLength: int64(all.Len()),
		Header: http.Header{"Www-Authenticate": {r.Header.Get("Authorization")}, "Content-Length": {fmt.Sprint(all.Len())}},
		Body:   io.NopCloser(strings.NewReader(all.String())),
	}, nil
}

func TestTransportTakesOutWhatTheRequestCarried(t *testing.T) {
	const secret = "hunter2+hunter2"
	get := func() *http.Request {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://server.example/", nil)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	for name, ask := range map[string]func() *http.Request{
		"a bearer token": func() *http.Request {
			r := get()
			r.Header.Set("Authorization", "Bearer "+secret)
			return r
		},
		"a scheme of a vendor's own": func() *http.Request {
			r := get()
			r.Header.Set("Authorization", "SSWS "+secret)
			return r
		},
		"a password": func() *http.Request {
			r := get()
			r.SetBasicAuth("reader", secret)
			return r
		},
		"a client's secret in Basic": func() *http.Request {
			r := get()
			r.SetBasicAuth("client", url.QueryEscape(secret))
			return r
		},
		"a client's secret in a form": func() *http.Request {
			form := url.Values{"client_secret": {secret}, "grant_type": {"client_credentials"}}
			r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://server.example/token", strings.NewReader(form.Encode()))
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			r.GetBody = func() (io.ReadCloser, error) { return r.Body, nil } // as Azure's SDK has it
			return r
		},
		"a secret in the address": func() *http.Request {
			r := get()
			r.URL.Path = "/services/" + secret
			return r
		},
	} {
		t.Run(name, func(t *testing.T) {
			client := Transport(roundTrip(echo), func() []string { return []string{secret} })
			if !strings.Contains(name, "address") {
				client = Transport(roundTrip(echo))
			}
			resp, err := client.RoundTrip(ask())
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(resp.Body)
			if form := name == "a client's secret in a form"; err != nil || !strings.Contains(string(body), Mark) || form && !strings.Contains(string(body), "grant_type=client_credentials") {
				t.Errorf("the body is %q, %v", body, err)
			}
			for _, text := range []string{resp.Status, fmt.Sprint(resp.Header), string(body)} {
				if strings.Contains(text, "hunter2") || strings.Contains(text, "aHVudGVyMi") {
					t.Errorf("the secret is in %q", text)
				}
			}
			if resp.Header.Get("Content-Length") != "" || resp.ContentLength != -1 {
				t.Error("the length is that of the body before")
			}
		})
	}
}

// TestDataIsNotChanged: a password that is a word too does not rename a group of the listing that it opened; a token that is
// repeated there goes, and so does the password where the server refuses.
func TestDataIsNotChanged(t *testing.T) {
	const text = `{"displayName":"finance-team","title":"a-token-of-some-length"}`
	for name, tc := range map[string]struct {
		status           int
		password, answer string
	}{
		"a word in a listing":  {http.StatusOK, "finance", text},
		"a token in a listing": {http.StatusOK, "a-token-of-some-length", `{"displayName":"finance-team","title":"[secret]"}`},
		"a word in a refusal":  {http.StatusUnauthorized, "finance", `{"displayName":"[secret]-team","title":"a-token-of-some-length"}`},
	} {
		t.Run(name, func(t *testing.T) {
			rt := Transport(roundTrip(func(r *http.Request) (*http.Response, error) {
				return &http.Response{StatusCode: tc.status, Request: r, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(text))}, nil
			}))
			r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://server.example/", nil)
			if err != nil {
				t.Fatal(err)
			}
			r.SetBasicAuth("reader", tc.password)
			resp, err := rt.RoundTrip(r)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			if got, err := io.ReadAll(resp.Body); err != nil || string(got) != tc.answer {
				t.Errorf("%s, %v", got, err)
			}
		})
	}
}

func TestTransportRedactsErrors(t *testing.T) {
	broken := roundTrip(func(r *http.Request) (*http.Response, error) {
		return nil, fmt.Errorf("malformed HTTP response %q", r.Header.Get("Authorization"))
	})
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://server.example/", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer hunter2hunter2")
	if _, err := Transport(broken).RoundTrip(r); err == nil || err.Error() != `malformed HTTP response "Bearer [secret]"` {
		t.Errorf("the error is %v", err)
	}
}

func TestPanicShowsNoValue(t *testing.T) {
	said := func(f func()) (text string) {
		defer func() { text = Panic(recover()) }()
		f()
		return ""
	}
	if got := said(func() { panic("Bearer hunter2hunter2") }); !strings.HasPrefix(got, "a string in ") || !strings.Contains(got, "TestPanicShowsNoValue") {
		t.Errorf("a value: %s", got)
	}
	var none []int
	if got := said(func() { none[len(none)] = 1 }); !strings.HasPrefix(got, "runtime error: index out of range [0] with length 0 in ") {
		t.Errorf("the runtime's: %s", got)
	}
}

// BenchmarkShortAnswer is what most requests cost: one object in an answer of a kilobyte.
func BenchmarkShortAnswer(b *testing.B) {
	object := strings.Repeat("0123456789abcde ", 64)
	rt := Transport(roundTrip(func(*http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(object))}, nil
	}))
	req, err := http.NewRequest(http.MethodGet, "https://rootly.example/Users/1", nil)
	if err != nil {
		b.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer Cnry0123456789abcdef+/&<%'=")
	for b.Loop() {
		resp, err := rt.RoundTrip(req)
		if err != nil {
			b.Fatal(err)
		}
		if n, err := io.Copy(io.Discard, resp.Body); err != nil || n != int64(len(object)) {
			b.Fatal(n, err)
		}
	}
}
