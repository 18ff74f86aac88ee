package web

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"
)

// Listen is where Serve listens, as Configure was told.
func (s *Site) Listen() string { return s.guard.Load().Listen }

// Address is where Serve listens in fact, "" before it does: its port, when the configured one is 0.
func (s *Site) Address() string {
	if a := s.address.Load(); a != nil {
		return *a
	}
	return ""
}

// Serve listens where Configure said until stop is called, which ends what is under way. It returns nil when nothing is to
// be served.
func (s *Site) Serve() (stop func(), err error) {
	g := s.guard.Load()
	if g == nil || g.Listen == "" {
		return func() {}, nil
	}
	l, err := net.Listen("tcp", g.Listen)
	if err != nil {
		return nil, fmt.Errorf(`http.listen: %w (choose another address, or "" for no page)`, err)
	}
	address := l.Addr().String()
	s.address.Store(&address)
	if g.cert != nil {
		l = tls.NewListener(l, &tls.Config{
			MinVersion: tls.VersionTLS12,
			// Whoever renews the files is heard: each loading of the configuration reads them.
			GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return s.guard.Load().cert, nil },
			NextProtos:     []string{"http/1.1"},
		})
	}
	srv := &http.Server{
		Handler: s.handler, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 15 * time.Second, WriteTimeout: 30 * time.Second,
		IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 1 << 14,
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := srv.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			s.log.Error("the status page is no longer served", "error", err)
		}
	})
	scheme := "http://"
	if g.cert != nil {
		scheme = "https://"
	}
	s.log.Info("the status page is served", "url", scheme+address, "login", !g.open())
	return func() {
		s.stopping.Do(func() { close(s.stop) })
		const patience = 2 * time.Second
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if srv.Shutdown(ctx) != nil {
			_ = srv.Close() // nothing more that is worth waiting for
		}
		wg.Wait()
		s.roster.drop()
	}, nil
}
