package web

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"net/http"
	"net/url"
	"strings"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
)

var (
	errNoLogin  = errors.New("people sign in here with OpenID Connect, and it is not configured (set http.oidc, or ask with the token)")
	errTooOften = errors.New("too many attempts: wait a minute, then try again")
	errNoState  = errors.New("this login was begun somewhere else, too long ago, or is over: begin again")
)

// begin sends the visitor to the issuer.
func (s *Site) begin(w http.ResponseWriter, r *http.Request, g *guard) error {
	if g.OIDC == nil {
		return refusal{http.StatusNotFound, errNoLogin}
	}
	if !s.limits.attempt(r) {
		return refusal{http.StatusTooManyRequests, errTooOften}
	}
	found, err := g.provider.discover(r.Context())
	if err != nil {
		s.log.Warn("nobody can sign in", "error", err)
		return refusal{http.StatusBadGateway, err}
	}
	state, browser := rand.Text(), rand.Text()
	in := login{nonce: rand.Text(), verifier: oauth2.GenerateVerifier(), browser: sha256.Sum256([]byte(browser)), back: local(r.FormValue("back")), began: s.now()}
	s.logins.begin(state, in)
	g.setCookie(w, loginCookie, browser, loginLife)
	to := g.provider.flow(found, g.OIDC).AuthCodeURL(state, oidc.Nonce(in.nonce), oauth2.S256ChallengeOption(in.verifier))
	http.Redirect(w, r, to, http.StatusSeeOther)
	return nil
}

// callback takes the issuer's answer.
func (s *Site) callback(w http.ResponseWriter, r *http.Request, g *guard) error {
	if g.OIDC == nil {
		return refusal{http.StatusNotFound, errNoLogin}
	}
	if !s.limits.attempt(r) {
		return refusal{http.StatusTooManyRequests, errTooOften}
	}
	who, back, err := s.signedIn(r, g)
	g.setCookie(w, loginCookie, "", 0)
	if err != nil {
		s.log.Warn("login refused", "error", err)
		return refusal{http.StatusForbidden, err}
	}
	if g.OIDC.role(who) == RoleNobody {
		s.log.Warn("login refused", "who", who.name(), "error", "not allowed by http.oidc")
		return refusal{http.StatusForbidden, errors.New("you are signed in as " + who.name() + ", and http.oidc does not allow you to look (its lists of groups and e-mails say who may)")}
	}
	g.setCookie(w, sessionCookie, s.sessions.begin(who, s.now()), sessionLife)
	s.log.Info("signed in", "who", who.name(), "role", g.OIDC.role(who).String())
	http.Redirect(w, r, back, http.StatusSeeOther)
	return nil
}

func (s *Site) signedIn(r *http.Request, g *guard) (who person, back string, err error) {
	q := r.URL.Query()
	in, ok := s.logins.take(q.Get("state"), s.now())
	cookie, noCookie := r.Cookie(g.cookie(loginCookie))
	if !ok || noCookie != nil {
		return person{}, "", errNoState
	}
	if browser := sha256.Sum256([]byte(cookie.Value)); subtle.ConstantTimeCompare(browser[:], in.browser[:]) != 1 {
		return person{}, "", errNoState
	}
	if refused := q.Get("error"); refused != "" {
		return person{}, "", errors.New("the issuer did not sign you in: " + shortly(refused+" "+q.Get("error_description")))
	}
	if iss := q.Get("iss"); iss != "" && iss != g.OIDC.Issuer {
		return person{}, "", errors.New("the answer comes from another issuer (iss)") // RFC 9207
	}
	who, err = g.provider.redeem(r.Context(), g.OIDC, q.Get("code"), in)
	return who, in.back, err
}

// logout ends the session.
func (s *Site) logout(w http.ResponseWriter, r *http.Request, g *guard) error {
	if c, err := r.Cookie(g.cookie(sessionCookie)); err == nil {
		s.sessions.end(c.Value)
	}
	g.setCookie(w, sessionCookie, "", 0)
	http.Redirect(w, r, "/login", http.StatusSeeOther)
	return nil
}

// local is a path of this site to go back to, whatever was asked for.
func local(back string) string {
	u, err := url.Parse(back)
	if err != nil || u.IsAbs() || u.Host != "" || !strings.HasPrefix(back, "/") || strings.HasPrefix(back, "//") || strings.ContainsAny(back, "\\\r\n") {
		return "/"
	}
	return back
}

func shortly(s string) string {
	s = strings.TrimSpace(s)
	if len(s) > 300 {
		s = s[:300]
	}
	return s
}
