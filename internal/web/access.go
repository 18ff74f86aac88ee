package web

import (
	"crypto/sha256"
	"crypto/subtle"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
)

// A Role is what somebody may do.
type Role int

// The roles. Each may do what the ones before it may.
const (
	RoleNobody Role = iota
	RoleViewer
	RoleApprover // approve what is held, and begin a cycle
)

// String is the role as people read it.
func (r Role) String() string {
	return [...]string{"nobody", "viewer", "approver"}[r]
}

// Access says who may see the page. The zero value but for Listen is for loopback addresses, where everybody who can reach
// it may do everything.
type Access struct {
	Listen    string
	PublicURL string        // how people reach it, "" when that is the address it listens on
	Token     func() string // the bearer token of programs; nil when there is none
	TokenRole Role          // RoleViewer when zero
	OIDC      *OIDC         // nil when nobody signs in
	CertFile  string
	KeyFile   string
}

// A guard is one Access at work.
type guard struct {
	Access
	loopback bool // nobody but this machine can reach it
	public   *url.URL
	csrf     *http.CrossOriginProtection
	cert     *tls.Certificate
	provider *provider
}

// open tells whether everybody may do everything.
func (g *guard) open() bool { return g.Token == nil && g.OIDC == nil }

// secure tells whether browsers reach the page over TLS.
func (g *guard) secure() bool { return g.public.Scheme == "https" }

// Configure decides who may see the page from now on. It refuses an address that others can reach when nobody has to say
// who they are. Sessions go on, with the roles that a now gives to their people.
func (s *Site) Configure(a Access) error {
	if old := s.guard.Load(); s.Address() != "" {
		// What listens stays until a restart, and so does what follows from its address.
		if a.Listen = old.Listen; (a.CertFile == "") != (old.cert == nil) {
			a.CertFile, a.KeyFile = old.CertFile, old.KeyFile
		}
	}
	g := &guard{Access: a, loopback: Loopback(a.Listen), csrf: http.NewCrossOriginProtection()}
	if !g.loopback && g.open() {
		return fmt.Errorf("http.listen: %s can be reached by others, and nobody has to say who they are (listen on 127.0.0.1, or give http.token_file or http.oidc)", a.Listen)
	}
	scheme := "http"
	if a.CertFile != "" {
		scheme = "https"
		cert, err := tls.LoadX509KeyPair(a.CertFile, a.KeyFile)
		if err != nil {
			return fmt.Errorf("http.cert_file: %w (both files are PEM, and the key belongs to the certificate)", err)
		}
		g.cert = &cert
	}
	public, err := url.Parse(strings.TrimSuffix(a.PublicURL, "/"))
	if err != nil {
		return fmt.Errorf("http.public_url: %w", err)
	}
	if g.public = public; a.PublicURL == "" {
		g.public = &url.URL{Scheme: scheme, Host: a.Listen}
	} else if err := g.csrf.AddTrustedOrigin(public.Scheme + "://" + public.Host); err != nil {
		return fmt.Errorf("http.public_url: %w", err)
	}
	if a.OIDC != nil {
		g.provider = newProvider(*a.OIDC, g.public.String()+callbackPath)
		if old := s.guard.Load(); old != nil && old.OIDC != nil && old.provider.same(g.provider) {
			g.provider = old.provider // what it has learned of the issuer stays
		}
	}
	s.guard.Store(g)
	return nil
}

// Loopback tells whether only this machine can reach an address.
func Loopback(listen string) bool {
	host, _, err := net.SplitHostPort(listen)
	return err == nil && loopbackHost(host)
}

func loopbackHost(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	addr, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return err == nil && addr.IsLoopback()
}

// ours tells whether a request names the host that this listener is for. On loopback another name is another site's, whose
// name was made to lead here: its scripts would read the page.
func (g *guard) ours(r *http.Request) bool {
	if !g.loopback {
		return true
	}
	host := r.Host
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	return loopbackHost(host) || strings.EqualFold(host, g.public.Hostname())
}

// A visitor is who asks.
type visitor struct {
	Name string // "" on loopback without login, and for a token
	Role Role
	How  string // "local", "token", "login"
	sub  string
}

// recorded is the name that a decision is recorded under; said is the name that the visitor gave.
func (v visitor) recorded(said string) (string, error) {
	said = strings.TrimSpace(said)
	if len(said) > 200 {
		return "", errors.New("the name is too long (200 characters are enough)")
	}
	switch {
	case v.How == "login":
		return v.Name, nil
	case said == "":
		return "", errors.New("nobody is named: say who decides, for the record")
	case v.How == "token":
		return said + " (by token)", nil
	}
	return said + " (on this machine)", nil
}

var (
	errNobody = errors.New("sign in first")
	errToken  = errors.New("the token is not the right one (it is the content of http.token_file)")
	errRole   = errors.New("your role may look and not decide (http.oidc names the approvers, http.token_role the token's role)")
)

// visitor tells who asks, and refuses whoever has to say and does not.
func (s *Site) visitor(g *guard, r *http.Request) (visitor, error) {
	if g.open() {
		return visitor{Role: RoleApprover, How: "local"}, nil
	}
	if given, ok := bearer(r); ok {
		if g.Token == nil || !sameToken(given, g.Token()) {
			return visitor{}, errToken
		}
		return visitor{Role: max(g.TokenRole, RoleViewer), How: "token"}, nil
	}
	if g.OIDC != nil {
		if p, ok := s.sessions.find(r, g, s.now()); ok {
			if role := g.OIDC.role(p); role > RoleNobody {
				return visitor{Name: p.name(), Role: role, How: "login", sub: p.Subject}, nil
			}
		}
	}
	return visitor{}, errNobody
}

func bearer(r *http.Request) (string, bool) {
	scheme, token, ok := strings.Cut(r.Header.Get("Authorization"), " ")
	return strings.TrimSpace(token), ok && strings.EqualFold(scheme, "Bearer")
}

// sameToken compares in a time that tells nothing of either, their lengths included. An empty token is nobody's.
func sameToken(given, want string) bool {
	a, b := sha256.Sum256([]byte(given)), sha256.Sum256([]byte(want))
	return subtle.ConstantTimeCompare(a[:], b[:]) == 1 && want != ""
}
