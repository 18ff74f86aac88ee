package app

import (
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/rootly-idp-sync/rootly-idp-sync/config"
	"github.com/rootly-idp-sync/rootly-idp-sync/internal/store"
	"github.com/rootly-idp-sync/rootly-idp-sync/reconcile"
)

// save writes a file that only its owner may read, whole or not at all; a name that ends in .gz is compressed.
func save(path string, write func(io.Writer) error) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*") // has mode 0600
	if err != nil {
		return fmt.Errorf("save %s: %w", path, err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("save %s: %w", path, err), os.Remove(f.Name()))
		}
	}()
	var zip *gzip.Writer
	w := io.Writer(f)
	if strings.HasSuffix(path, ".gz") {
		zip = gzip.NewWriter(f)
		w = zip
	}
	err = write(w)
	if zip != nil {
		err = errors.Join(err, zip.Close())
	}
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

// read opens a file that save wrote.
func read[T any](path string, parse func(io.Reader) (T, error)) (v T, err error) {
	f, err := os.Open(path)
	if err != nil {
		return v, err
	}
	defer f.Close()
	if !strings.HasSuffix(path, ".gz") {
		return parse(f)
	}
	zip, err := gzip.NewReader(f)
	if err != nil {
		return v, fmt.Errorf("read %s: %w", path, err)
	}
	return parse(zip)
}

func (a *app) newApply() *cobra.Command {
	return &cobra.Command{
		Use:   "apply <plan>",
		Short: "Apply what of a saved plan still holds",
		Long: `Takes a plan that plan --out saved, reads the directory and Rootly again, plans and guards as sync does, and
applies what both plans have in common. What only one of them has is listed with the reason and left. The
file is a choice and no script: an old, edited or stolen one can at most do less.
` + exitHelp + `0 done or nothing to do; 1 failed; 4 the guard holds changes; 5 applied in part.`,
		Example: `  rootly-idp-sync plan --out plan.json
  rootly-idp-sync apply plan.json`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			code, err := a.runApply(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			return code.outcome()
		},
	}
}

func (a *app) runApply(ctx context.Context, path string) (code exitCode, err error) {
	saved, err := read(path, reconcile.LoadPlan)
	if err != nil {
		return exitFailed, err
	}
	p, err := a.open(ctx)
	if err != nil {
		return exitFailed, err
	}
	defer func() { err = errors.Join(err, p.close()) }()
	return a.carryOut(ctx, p, cycleOptions{plan: func(ctx context.Context, now time.Time) (reconcile.Plan, error) {
		fresh, err := p.plan(ctx, now)
		if err != nil {
			return reconcile.Plan{}, err
		}
		kept, dropped, err := fresh.Intersect(saved)
		if err != nil {
			return reconcile.Plan{}, err
		}
		for _, d := range dropped {
			kept.Notes = append(kept.Notes, d.Note())
		}
		return kept, nil
	}})
}

// replay plans with a recording in the directory's place, and with what the state file remembers of Rootly.
func (a *app) replay(ctx context.Context, path string) (plan reconcile.Plan, err error) {
	cfg, rules, err := a.loadOffline()
	if err != nil {
		return plan, err
	}
	recorded, err := read(path, reconcile.LoadSnapshot)
	if err != nil {
		return plan, err
	}
	if name := sourceName(cfg.Source); recorded.Name != name {
		return plan, fmt.Errorf("%s is a recording of %s, and the configuration reads %s", path, recorded.Name, name)
	}
	source, err := reconcile.NewReplay(recorded, rules.Query())
	if err != nil {
		return plan, err
	}
	ledger, err := a.remembered(ctx, cfg, recorded.Tenant)
	if err != nil {
		return plan, err
	}
	planner := reconcile.Planner{
		Source: source, Target: reconcile.Remembered(ledger), TargetURL: cfg.Target.URL, Rules: rules, Previous: source.Previous, Log: a.log,
	}
	return planner.Plan(ctx, ledger, a.now())
}

// remembered is the ledger of the state file, an empty one when there is no such file.
func (a *app) remembered(ctx context.Context, cfg *config.Config, tenant string) (ledger reconcile.Ledger, err error) {
	st, err := a.openExisting(ctx, cfg, tenant)
	if err != nil || st == nil {
		if err == nil {
			a.note("note: there is no state file, so Rootly is taken to be empty")
		}
		return reconcile.Ledger{}, err
	}
	defer func() { err = errors.Join(err, st.Close()) }()
	return st.Ledger(ctx)
}

// openExisting opens the state file of an offline run, nil when there is none: such a run does not make one.
func (a *app) openExisting(ctx context.Context, cfg *config.Config, tenant string) (*store.Store, error) {
	if cfg.State.None {
		return nil, nil
	}
	if _, err := os.Stat(cfg.State.Path); !cfg.State.Shared() && errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return store.Open(ctx, a.storeOptions(cfg, tenant))
}
