package app

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/rootly-idp-sync/rootly-idp-sync/reconcile"
)

// A build is what the Go toolchain recorded about this binary.
type build struct {
	Version  string `json:"version"`
	Commit   string `json:"commit,omitempty"`
	Modified bool   `json:"modified,omitempty"`
	Go       string `json:"go"`
	Platform string `json:"platform"`
}

// version is set by the linker where the toolchain cannot know it: in images, which are built without the repository,
// and in packages.
var version = "devel"

func readBuild() build {
	b := build{Version: version, Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return b
	}
	if v := info.Main.Version; b.Version == "devel" && v != "" && v != "(devel)" {
		b.Version = v
	}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			b.Commit = s.Value
		case "vcs.modified":
			b.Modified = s.Value == "true"
		}
	}
	return b
}

func (a *app) newVersion() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version of this binary",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			b := readBuild()
			rows := [][]string{{"go", b.Go}, {"platform", b.Platform}}
			if b.Commit != "" {
				rows = append([][]string{{"commit", b.Commit}}, rows...)
			}
			return a.show(page{title: fmt.Sprintf("rootly-idp-sync %s", b.Version), sections: []pageSection{{rows: rows}}, data: b}, reconcile.TextOptions{})
		},
	}
}
