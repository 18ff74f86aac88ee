package app

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/rootly-idp-sync/rootly-idp-sync/reconcile"
)

func text(r io.Reader) (string, error) {
	b, err := io.ReadAll(r)
	return string(b), err
}

func TestSavedFilesAreWholeAndTheirOwnersOnly(t *testing.T) {
	for _, name := range []string{"plan.json", "people.json.gz"} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, name)
			const want = "everything\n"
			if err := os.WriteFile(path, []byte("an older one"), 0o644); err != nil {
				t.Fatal(err)
			}
			if err := save(path, func(w io.Writer) error { _, err := io.WriteString(w, want); return err }); err != nil {
				t.Fatal(err)
			}
			info, err := os.Stat(path)
			if err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
				t.Errorf("mode %v, %v", info.Mode(), err)
			}
			if got, err := read(path, text); got != want || err != nil {
				t.Errorf("read %q, %v", got, err)
			}

			// A write that fails leaves the older file and nothing beside it.
			broken := errors.New("broken")
			if err := save(path, func(w io.Writer) error { _, err := io.WriteString(w, "half"); return errors.Join(err, broken) }); !errors.Is(err, broken) {
				t.Errorf("a failed write gives %v", err)
			}
			if got, err := read(path, text); got != want || err != nil {
				t.Errorf("after a failed write: %q, %v", got, err)
			}
			if entries, err := os.ReadDir(dir); len(entries) != 1 || err != nil {
				t.Errorf("%d files are left, %v", len(entries), err)
			}
		})
	}
}

func TestAShortenedFileIsNotRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "people.json.gz")
	if err := save(path, func(w io.Writer) error { _, err := io.WriteString(w, strings.Repeat("people ", 1000)); return err }); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path, 20); err != nil {
		t.Fatal(err)
	}
	if _, err := read(path, text); err == nil {
		t.Error("half a compressed file was read without an error")
	}
}

func TestWithoutAStoreNothingOffersAnApproval(t *testing.T) {
	p := reconcile.Plan{
		Held: []reconcile.Change{{Verb: reconcile.VerbDeactivate, Held: "too many", Set: "60cd1b7adb9b"}},
		Sets: []reconcile.HeldSet{{Fingerprint: "60cd1b7adb9b", Axis: reconcile.AxisDeactivations, Reason: "too many"}},
		Objections: []reconcile.Objection{
			{Axis: reconcile.AxisDeactivations, Text: "too many", Remedy: "rootly-idp-sync approve 60cd1b7adb9b"},
			{Axis: reconcile.AxisSource, Text: "shrunken", Remedy: "rootly-idp-sync approve 60cd1b7adb9b"},
			{Axis: reconcile.AxisShortRead, Text: "short", Remedy: "nothing is to be done"},
		},
	}
	out := withoutApproval(p).Text(reconcile.TextOptions{})
	if strings.Contains(out, "60cd1b7adb9b") {
		t.Errorf("an approval is offered:\n%s", out)
	}
	for _, want := range []string{"too many", "raise guard.deactivations.floor for one run", "nothing is to be done"} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is not said:\n%s", want, out)
		}
	}
}

func TestExplanationsCannotEndTheirBlock(t *testing.T) {
	e := explanation{reconcile.Explanation{Who: "```\n# x", Near: []string{"</pre>\n# y"}}}
	for line := range strings.Lines(e.Markdown()) {
		if line != "\n" && !strings.HasPrefix(line, "    ") && !strings.HasPrefix(line, "## ") {
			t.Errorf("outside the block: %q", line)
		}
	}
}
