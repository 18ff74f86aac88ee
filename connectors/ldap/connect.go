package ldap

import (
	"bufio"
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"time"
)

// dialTimeout bounds the way to one server, the signing in included, before the next one is tried.
const dialTimeout = 15 * time.Second

// readBuffer holds some tens of entries.
const readBuffer = 1 << 16

// A link is a connection that the reader has signed in on. One goroutine uses it at a time, and nobody after an error.
type link struct {
	raw     net.Conn
	in      *bufio.Reader
	sent    int // the number of the last request
	server  server
	timeout time.Duration
	flavor  func() Flavor
	begin   func(operation string) (ended func(result string, ok bool)) // nil tells nobody
	open    map[int]func(result string, ok bool)                        // by number, what of that was not answered yet
	count   func()
}

// connect signs in at the first of the servers that can be reached. A refusal of the password is no reason to try the
// next one: that would lock the reader out.
func (c *Connector) connect(ctx context.Context, servers []server) (*link, error) {
	var errs []error
	for i, s := range servers {
		l, err := c.open(ctx, s)
		if err == nil {
			return l, nil
		}
		if !errors.Is(err, errUnreachable) || ctx.Err() != nil {
			return nil, err
		}
		errs = append(errs, err)
		if i+1 < len(servers) {
			c.log.Warn("a directory server cannot be used, trying the next one", "server", s.url, "error", err)
		}
	}
	return nil, errors.Join(errs...)
}

// nearby are the servers for a question after a reading: the machine that was read first, for another may lag.
func (c *Connector) nearby() []server {
	if last := c.last.Load(); last != nil {
		return append([]server{*last}, c.servers...)
	}
	return c.servers
}

func (c *Connector) open(ctx context.Context, s server) (*link, error) {
	l := &link{server: s, timeout: c.opts.Timeout, flavor: c.flavor, count: func() { c.requests.Add(1) }}
	if c.opts.Observe != nil {
		l.begin = func(operation string) func(string, bool) { return c.opts.Observe(ctx, operation, s.host) }
	}
	connecting := "connecting to " + s.url
	err := within(ctx, min(dialTimeout, c.opts.Timeout), connecting, func(ctx context.Context) error {
		raw, err := c.opts.Dial(ctx, "tcp", s.address)
		if err != nil {
			return err
		}
		l.raw, l.in = raw, bufio.NewReaderSize(raw, readBuffer)
		// A name may lead to several machines; whatever else is read comes from this one.
		if addr, ok := raw.RemoteAddr().(*net.TCPAddr); ok {
			l.server.address = addr.String()
		}
		return nil
	}, nil)
	if err != nil {
		return nil, c.refusal(connecting, err)
	}
	err = within(ctx, min(dialTimeout, c.opts.Timeout), connecting, func(ctx context.Context) error {
		return c.encrypt(ctx, l)
	}, l.raw)
	if err != nil {
		l.close()
		return nil, c.refusal(connecting, err)
	}
	step := "signing in to " + s.url
	err = l.do(ctx, step, func() error { return l.bind(c.opts.BindDN, c.opts.Password()) })
	if err != nil {
		l.close()
		return nil, c.refusal(step, err)
	}
	return l, nil
}

// encrypt puts TLS on the connection, for ldap:// after having asked for it.
func (c *Connector) encrypt(ctx context.Context, l *link) error {
	if !l.server.tls {
		if !c.opts.StartTLS {
			return nil
		}
		if err := l.askStartTLS(); err != nil {
			return err
		}
		if l.in.Buffered() > 0 {
			return fmt.Errorf("%w: something came before the connection was encrypted", errMessage)
		}
	}
	secure := tls.Client(l.raw, &tls.Config{RootCAs: c.roots, ServerName: l.server.host, MinVersion: tls.VersionTLS12})
	if err := secure.HandshakeContext(ctx); err != nil {
		return fmt.Errorf("%w: %w", errHandshake, err)
	}
	l.raw, l.in = secure, bufio.NewReaderSize(secure, readBuffer)
	return nil
}

// flavor is the one that is known so far.
func (c *Connector) flavor() Flavor {
	if p := c.profile.Load(); p != nil {
		return p.flavor
	}
	return cmp.Or(c.opts.Flavor, FlavorAuto)
}

func (l *link) close() {
	l.raw.Close()
	l.abandon()
}

// do runs requests. A context that ends, or an answer that takes too long, closes the connection.
func (l *link) do(ctx context.Context, step string, f func() error) error {
	return within(ctx, l.timeout, step, func(context.Context) error { return f() }, l.raw)
}

// within runs f, which may wait on conn, for a limited time.
func within(ctx context.Context, limit time.Duration, step string, f func(context.Context) error, conn net.Conn) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("ldap: %s: %w", step, err)
	}
	limited, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	if conn != nil {
		defer context.AfterFunc(limited, func() { conn.Close() })()
	}
	err := f(limited)
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("ldap: %s: %w", step, ctx.Err())
	case limited.Err() != nil:
		return errTimeout
	}
	return err
}
