//go:build noentra

package main

import "github.com/rootly-idp-sync/rootly-idp-sync/internal/app"

// addEntra adds nothing: this binary is built without the Graph SDK.
func addEntra(map[string]app.Opener) {}
