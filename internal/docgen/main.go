// Command docgen writes the man pages and the shell completions of rootly-idp-sync into a folder, for the packages. It
// is no part of the released binary.
package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra/doc"

	"github.com/rootly-idp-sync/rootly-idp-sync/internal/app"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: docgen FOLDER")
		os.Exit(1)
	}
	if err := write(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "docgen:", err)
		os.Exit(1)
	}
}

func write(dir string) error {
	man, completions := filepath.Join(dir, "man"), filepath.Join(dir, "completions")
	for _, d := range []string{man, completions} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			return err
		}
	}
	root := app.Command()
	root.DisableAutoGenTag = true
	// The day on the pages is that of SOURCE_DATE_EPOCH, so that the same source gives the same pages.
	header := &doc.GenManHeader{Section: "1", Source: "rootly-idp-sync", Manual: "rootly-idp-sync"}
	if err := doc.GenManTree(root, header, man); err != nil {
		return fmt.Errorf("man pages: %w", err)
	}
	const descriptions = true
	for name, generate := range map[string]func(path string) error{
		"rootly-idp-sync.bash": func(path string) error { return root.GenBashCompletionFileV2(path, descriptions) },
		"rootly-idp-sync.fish": func(path string) error { return root.GenFishCompletionFile(path, descriptions) },
		"_rootly-idp-sync":     root.GenZshCompletionFile,
	} {
		if err := generate(filepath.Join(completions, name)); err != nil {
			return fmt.Errorf("completions: %w", err)
		}
	}
	return nil
}
