package scimclient

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"testing/synctest"
)

func TestWritesAreSentOnlyWhileTheyAreAllowed(t *testing.T) {
	writes := map[string]func(ctx context.Context, c *Client) error{
		"create user": func(ctx context.Context, c *Client) error {
			_, err := c.CreateUser(ctx, User{UserName: "a@x"})
			return err
		},
		"update user": func(ctx context.Context, c *Client) error {
			_, err := c.UpdateUser(ctx, "1", UserEdit{Active: ptr(false)})
			return err
		},
		"delete user": func(ctx context.Context, c *Client) error { return c.DeleteUser(ctx, "1") },
		"create group": func(ctx context.Context, c *Client) error {
			_, err := c.CreateGroup(ctx, Group{DisplayName: "g"})
			return err
		},
		"change members": func(ctx context.Context, c *Client) error {
			_, err := c.ChangeMembers(ctx, "1", []string{"2"}, nil)
			return err
		},
		"delete group": func(ctx context.Context, c *Client) error { return c.DeleteGroup(ctx, "1") },
	}
	stopped := errors.New("another one leads")
	for name, write := range writes {
		// The first request of some writes is allowed and is not answered: it is the repetition that must not be sent.
		for _, allowed := range []int{0, 1} {
			synctest.Test(t, func(t *testing.T) {
				c, f := newTestClient(t, func(_ int, sent call) reply {
					if sent.method == http.MethodGet {
						return refuse(http.StatusServiceUnavailable, "")
					}
					return refuse(http.StatusTooManyRequests, "")
				})
				asked := 0
				c.opts.Allow = func() error {
					if asked++; asked > allowed {
						return stopped
					}
					return nil
				}
				err := write(t.Context(), c)
				if withheld, ok := errors.AsType[*WithheldError](err); !ok || !errors.Is(err, stopped) {
					t.Errorf("%s after %d: err = %v (%v)", name, allowed, err, withheld)
				}
				sent := 0
				for _, call := range f.calls {
					if call.method != http.MethodGet {
						sent++
					}
				}
				if sent != allowed {
					t.Errorf("%s after %d: %d writes were sent", name, allowed, sent)
				}
			})
		}
	}
}
