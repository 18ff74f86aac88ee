package web

import (
	"crypto/rand"
	"crypto/sha256"
	"net/http"
	"sync"
	"time"
)

const (
	sessionLife = 8 * time.Hour
	maxSessions = 1000
	loginLife   = 10 * time.Minute
	maxLogins   = 200
)

// A session is a person who signed in. It lives here: all that the browser has is a number that nobody guesses.
type session struct {
	who   person
	began time.Time
}

// sessions are kept by the hash of their number, so that what is compared tells nothing by how long it takes.
type sessions struct {
	mu  sync.Mutex
	all map[[sha256.Size]byte]session
}

// begin makes a session and returns its number. The oldest one gives way to more than maxSessions.
func (s *sessions) begin(who person, now time.Time) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.all == nil {
		s.all = map[[sha256.Size]byte]session{}
	}
	var oldest [sha256.Size]byte
	var since time.Time
	for k, v := range s.all {
		if now.Sub(v.began) > sessionLife {
			delete(s.all, k)
		} else if since.IsZero() || v.began.Before(since) {
			oldest, since = k, v.began
		}
	}
	if len(s.all) >= maxSessions {
		delete(s.all, oldest)
	}
	number := rand.Text()
	s.all[sha256.Sum256([]byte(number))] = session{who, now}
	return number
}

func (s *sessions) find(r *http.Request, g *guard, now time.Time) (person, bool) {
	c, err := r.Cookie(g.cookie(sessionCookie))
	if err != nil {
		return person{}, false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	found, ok := s.all[sha256.Sum256([]byte(c.Value))]
	return found.who, ok && now.Sub(found.began) <= sessionLife
}

func (s *sessions) end(number string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.all, sha256.Sum256([]byte(number)))
}

// The names of the cookies, without the prefix that makes browsers hold them to this host and to TLS.
const (
	sessionCookie = "rootly-idp-sync-session"
	loginCookie   = "rootly-idp-sync-login"
	themeCookie   = "rootly-idp-sync-theme"
)

// cookie is the name of a cookie. On plain HTTP, which is for loopback and for those who know their network, browsers refuse the
// prefix.
func (g *guard) cookie(name string) string {
	if g.secure() {
		return "__Host-" + name
	}
	return name
}

func (g *guard) setCookie(w http.ResponseWriter, name, value string, life time.Duration) {
	c := &http.Cookie{
		Name: g.cookie(name), Value: value, Path: "/", MaxAge: int(life.Seconds()), HttpOnly: true, Secure: g.secure(), SameSite: http.SameSiteLaxMode,
	}
	if life <= 0 {
		c.MaxAge = -1
	}
	http.SetCookie(w, c)
}

// A login is one that has begun: somebody was sent to the issuer.
type login struct {
	nonce, verifier string
	browser         [sha256.Size]byte // of the cookie that the browser was given
	back            string            // where to go afterwards
	began           time.Time
}

// logins are those that have begun, by their state. Each is good for one answer.
type logins struct {
	mu  sync.Mutex
	all map[string]login
}

func (l *logins) begin(state string, in login) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.all == nil {
		l.all = map[string]login{}
	}
	oldest := ""
	for k, v := range l.all {
		if in.began.Sub(v.began) > loginLife {
			delete(l.all, k)
		} else if oldest == "" || v.began.Before(l.all[oldest].began) {
			oldest = k
		}
	}
	if len(l.all) >= maxLogins {
		delete(l.all, oldest)
	}
	l.all[state] = in
}

// take returns the login of a state, once.
func (l *logins) take(state string, now time.Time) (login, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	in, ok := l.all[state]
	delete(l.all, state)
	return in, ok && now.Sub(in.began) <= loginLife
}
