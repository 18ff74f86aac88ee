// Command rootly-idp-sync brings the people and groups of a company's directory into Rootly over SCIM. This package
// only joins the commands of internal/app with the directories, whose SDKs nothing else links.
package main

import (
	"context"
	"os"
	_ "time/tzdata" // for machines and images without time zones

	_ "golang.org/x/crypto/x509roots/fallback" // for those without certificates

	"github.com/rootly-idp-sync/rootly-idp-sync/internal/app"
)

func main() { os.Exit(run()) }

func run() int {
	std := app.Stdio{In: os.Stdin, Out: os.Stdout, Err: os.Stderr}
	return app.Main(context.Background(), os.Args[1:], std, openers())
}

// openers are the directories of this binary, by their names in the configuration.
func openers() map[string]app.Opener {
	all := map[string]app.Opener{"file": openFile, "google": openGoogle, "ldap": openLDAP, "okta": openOkta}
	addEntra(all)
	return all
}
