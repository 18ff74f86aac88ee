package store

import (
	"net"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgproto3"
)

// TestAServerThatRepeatsThePasswordDoesNotShowIt: one that asks for it in the clear gets it, and says it again in its refusal.
func TestAServerThatRepeatsThePasswordDoesNotShowIt(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			conn, err := l.Accept()
			if err != nil {
				return // closed at the end
			}
			repeatPassword(conn)
			conn.Close()
		}
	}()
	defer func() {
		l.Close()
		<-ended
	}()
	_, err = Open(t.Context(), Options{DSN: func() string {
		return "postgres://app:hunter2%2Fhunter2@" + l.Addr().String() + "/sync?sslmode=disable"
	}, Source: "okta:acme", Target: "https://rootly.com/scim"})
	if err == nil || !strings.Contains(err.Error(), "[secret]") || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("the error is %v", err)
	}
}

func repeatPassword(conn net.Conn) {
	server := pgproto3.NewBackend(conn, conn)
	if _, err := server.ReceiveStartupMessage(); err != nil {
		return
	}
	server.Send(&pgproto3.AuthenticationCleartextPassword{})
	if server.Flush() != nil || server.SetAuthType(pgproto3.AuthTypeCleartextPassword) != nil {
		return
	}
	said, err := server.Receive()
	password, ok := said.(*pgproto3.PasswordMessage)
	if err != nil || !ok {
		return
	}
	server.Send(&pgproto3.ErrorResponse{Severity: "FATAL", Code: "28P01", Message: "no entry for " + password.Password})
	_ = server.Flush() // the client may have gone
}
