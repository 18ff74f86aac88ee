package notify

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"fmt"
	"math/big"
	"net"
	"strings"
	"sync"
	"testing"
	"time"
)

// A mailServer speaks as much SMTP as a delivery needs, and fails as told.
type mailServer struct {
	t        *testing.T
	listener net.Listener
	cert     tls.Certificate
	roots    *x509.CertPool

	implicitTLS bool              // TLS from the first byte
	noStartTLS  bool              // does not offer it
	noAuth      bool              // does not offer it
	user, pass  string            // who may sign in
	answers     map[string]string // by the command that they answer: "MAIL", "RCPT TO:<b@acme.com>", "DATA", ".", "greeting"
	hang, hup   string            // the command that is never answered, or answered by closing

	mu       sync.Mutex
	mails    []string // as they were received
	commands []string
	done     sync.WaitGroup
	closed   chan struct{}
}

func newMailServer(t *testing.T, shape func(*mailServer)) *mailServer {
	t.Helper()
	s := &mailServer{t: t, user: "sync@acme.com", pass: canary, closed: make(chan struct{}), answers: map[string]string{}}
	s.cert, s.roots = certificate(t)
	if shape != nil {
		shape(s)
	}
	var err error
	if s.listener, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	if s.implicitTLS {
		s.listener = tls.NewListener(s.listener, s.tlsConfig())
	}
	s.done.Go(func() {
		for {
			conn, err := s.listener.Accept()
			if err != nil {
				return
			}
			s.done.Go(func() { defer conn.Close(); s.serve(conn) })
		}
	})
	t.Cleanup(func() { close(s.closed); s.listener.Close(); s.done.Wait() })
	return s
}

func (s *mailServer) tlsConfig() *tls.Config {
	return &tls.Config{Certificates: []tls.Certificate{s.cert}}
}

// email is the channel to the server.
func (s *mailServer) email(e Email) emailChannel {
	e.Host, e.Port = "127.0.0.1", s.listener.Addr().(*net.TCPAddr).Port
	if e.From == "" {
		e.From = "Sync <sync@acme.com>"
	}
	if e.To == nil {
		e.To = []string{"ops@acme.com"}
	}
	return emailChannel{e, s.roots}
}

func (s *mailServer) serve(conn net.Conn) {
	_, secure := conn.(*tls.Conn)
	in := bufio.NewReader(conn)
	say := func(on, otherwise string) bool {
		if on == s.hang {
			<-s.closed
		}
		if on == s.hup || on == s.hang {
			return false
		}
		if a, ok := s.answers[on]; ok {
			otherwise = a
		}
		_, err := fmt.Fprint(conn, strings.ReplaceAll(otherwise, "\n", "\r\n")+"\r\n")
		return err == nil
	}
	if !say("greeting", "220 mail.acme.com ESMTP") {
		return
	}
	for {
		text, err := in.ReadString('\n')
		if err != nil {
			return
		}
		text = strings.TrimRight(text, "\r\n")
		s.mu.Lock()
		s.commands = append(s.commands, text)
		s.mu.Unlock()
		word, rest, _ := strings.Cut(text, " ")
		ok := true
		switch word = strings.ToUpper(word); word {
		case "EHLO":
			lines := []string{"250-mail.acme.com", "250-8BITMIME"}
			if !secure && !s.noStartTLS {
				lines = append(lines, "250-STARTTLS")
			}
			if secure && !s.noAuth {
				lines = append(lines, "250-AUTH PLAIN LOGIN")
			}
			ok = say(word, strings.Join(append(lines, "250 SIZE 1000000"), "\n"))
		case "STARTTLS":
			if ok = say(word, "220 go on"); ok {
				conn = tls.Server(conn, s.tlsConfig())
				in, secure = bufio.NewReader(conn), true
			}
		case "AUTH":
			answer := "535 5.7.8 Username and Password not accepted"
			if _, given, _ := strings.Cut(rest, " "); given == base64.StdEncoding.EncodeToString([]byte("\x00"+s.user+"\x00"+s.pass)) {
				answer = "235 welcome"
			}
			ok = say(word, answer)
		case "RCPT":
			on := word
			if _, special := s.answers[strings.ToUpper(text)]; special {
				on = strings.ToUpper(text)
			}
			ok = say(on, "250 fine")
		case "DATA":
			if ok = say(word, "354 go ahead"); !ok || s.answers[word] != "" {
				break
			}
			var mail strings.Builder
			for {
				l, err := in.ReadString('\n')
				if err != nil {
					return
				}
				if l == ".\r\n" {
					break
				}
				mail.WriteString(strings.TrimPrefix(l, "."))
			}
			if s.answers["."] == "" && s.hup != "." && s.hang != "." {
				s.mu.Lock()
				s.mails = append(s.mails, mail.String())
				s.mu.Unlock()
			}
			ok = say(".", "250 queued")
		case "QUIT":
			say(word, "221 bye")
			return
		default: // MAIL, RSET, NOOP
			ok = say(word, "250 fine")
		}
		if !ok {
			return
		}
	}
}

func (s *mailServer) received() (mails, commands []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.mails...), append([]string(nil), s.commands...)
}

// certificate is one for 127.0.0.1 and who trusts it.
func certificate(t *testing.T) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "mail.acme.com"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, &template, &template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(leaf)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, roots
}
