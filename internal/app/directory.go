package app

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/rootly-idp-sync/rootly-idp-sync/config"
)

// A directory is that of --config-dir, with what its pipelines lay claim to. It is safe for concurrent use.
type directory struct {
	path string

	mu      sync.Mutex
	process *config.Config      // as it was loaded last
	claims  map[string]surveyed // by pipeline
	// atWork tells whether a pipeline is, also one whose file is gone. It may be nil.
	atWork func(name string) bool
}

// A claim is what no two pipelines may share. The zero value claims nothing.
type claim struct {
	state  string // the file
	target string // the address and the token
	url    string // the address
	lease  string
}

// chooseConfig makes the flags that name a configuration agree.
func (a *app) chooseConfig() error {
	dir, file := a.flags.dir, a.flags.config
	if dir == "" && file == "" {
		dir, file = os.Getenv(config.EnvPrefix+"CONFIG_DIR"), os.Getenv(config.EnvPrefix+"CONFIG")
	}
	switch {
	case dir != "" && file != "":
		return errors.New("--config and --config-dir (or their variables) exclude each other: one names a file, the other a directory of them")
	case dir == "" && a.flags.pipeline != "":
		return errors.New("--pipeline needs --config-dir, the directory with the file of the pipeline")
	case dir != "":
		a.directory = &directory{path: dir, claims: map[string]surveyed{}}
	}
	return nil
}

// manyPipelines tells whether all pipelines of a directory are meant.
func (a *app) manyPipelines() bool { return a.directory != nil && a.flags.pipeline == "" }

// readConfig reads the configuration that the flags name, and says where it is. Its error is config.Problems when there is
// a configuration with problems.
func (a *app) readConfig() (cfg *config.Config, path string, err error) {
	if a.directory == nil {
		if path, err = config.Find(a.flags.config, os.LookupEnv, "."); err != nil {
			return nil, "", err
		}
		cfg, err = config.Load(path, os.LookupEnv)
		return cfg, path, err
	}
	if a.flags.pipeline == "" {
		names, err := config.Pipelines(a.directory.path)
		if err != nil {
			return nil, "", err
		}
		return nil, "", fmt.Errorf("which pipeline? Name one with --pipeline: %s", strings.Join(names, ", "))
	}
	process, err := a.directory.loaded()
	if err != nil {
		return nil, "", err
	}
	cfg, err = config.LoadPipeline(a.directory.path, a.flags.pipeline, process, os.LookupEnv)
	return cfg, config.PipelinePath(a.directory.path, a.flags.pipeline), err
}

// atWork tells whether there is another pipeline of that name.
func (a *app) atWork(pipeline string) bool {
	if a.directory == nil {
		return false
	}
	names, err := config.Pipelines(a.directory.path)
	return err == nil && slices.Contains(names, pipeline)
}

// loaded is what the process has once.
func (d *directory) loaded() (*config.Config, error) {
	d.mu.Lock()
	process := d.process
	d.mu.Unlock()
	if process != nil {
		return process, nil
	}
	return d.reload()
}

func (d *directory) reload() (*config.Config, error) {
	process, err := config.LoadProcess(d.path, os.LookupEnv)
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.process = process
	return process, nil
}

// A clashError says that two pipelines lay claim to the same thing. Both are refused: which of them may have it is not for
// this program to decide, and another replica could decide differently.
type clashError struct {
	text string
	path string // of the other one's file
}

func (e *clashError) Error() string { return e.text }

// clashes refuses a configuration of a directory that shares with another one what only one may have.
func (a *app) clashes(cfg *config.Config) error {
	d := a.directory
	if d == nil {
		return nil
	}
	names, err := config.Pipelines(d.path)
	if err != nil {
		return err
	}
	process, err := d.loaded()
	if err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for name := range d.claims {
		switch {
		case slices.Contains(names, name):
		case d.atWork != nil && d.atWork(name):
			names = append(names, name) // its last cycle may not have ended
		default:
			delete(d.claims, name)
		}
	}
	own := claimOf(cfg)
	for _, name := range names {
		if name == cfg.Pipeline {
			continue
		}
		other := d.claimBy(name, process)
		pair := []string{cfg.Pipeline, name}
		slices.Sort(pair)
		both := "pipelines " + pair[0] + " and " + pair[1]
		clash := &clashError{path: config.PipelinePath(d.path, name)}
		switch {
		case own.state != "" && own.state == other.state:
			clash.text = fmt.Sprintf("%s keep their state in the same file, %s (give each its own state.path, or both one PostgreSQL database in state.dsn)", both, own.state)
		case own.target != "" && own.target == other.target:
			clash.text = fmt.Sprintf("%s write to the same organisation: target.url %s and the token are the same (give each the token of its organisation, or remove one of the files)", both, own.url)
		case own.lease != "" && own.lease == other.lease:
			clash.text = fmt.Sprintf("%s stand for election to the same lease, %s (give one of them another ha.lease, or its file another name)", both, own.lease)
		default:
			continue
		}
		return clash
	}
	return nil
}

// A surveyed is the claim of a pipeline as its files were when they were read last.
type surveyed struct {
	claim
	files []string
	seen  [sha256.Size]byte // of the files
}

// claimBy is the claim of a pipeline by its files as they are now. Of a file that cannot be read any more the last claim stands:
// it may still be at work.
func (d *directory) claimBy(name string, process *config.Config) claim {
	last, known := d.claims[name]
	if known && last.seen == digest(last.files) {
		return last.claim
	}
	cfg, err := config.LoadPipeline(d.path, name, process, os.LookupEnv)
	if cfg == nil || err != nil && known {
		return last.claim
	}
	now := surveyed{files: append(cfg.Files(), config.PipelinePath(d.path, name))}
	now.seen = digest(now.files)
	// Once more, for the files may have changed since: what is remembered is not older than what was seen.
	if cfg, _ = config.LoadPipeline(d.path, name, process, os.LookupEnv); cfg == nil {
		return last.claim
	}
	now.claim = claimOf(cfg)
	d.claims[name] = now
	return now.claim
}

// digest is of what is in the files.
func digest(files []string) (sum [sha256.Size]byte) {
	h := sha256.New()
	for _, path := range files {
		data, _ := os.ReadFile(path) // one that is gone is a change too
		fmt.Fprintf(h, "%s %x\n", path, sha256.Sum256(data))
	}
	return [sha256.Size]byte(h.Sum(nil))
}

func claimOf(cfg *config.Config) claim {
	c := claim{url: cfg.Target.URL}
	if path := cfg.State.Path; path != "" && !cfg.State.None {
		c.state = filepath.Clean(path)
		if at, err := filepath.Abs(path); err == nil {
			c.state = at
		}
		if at, err := filepath.EvalSymlinks(filepath.Dir(c.state)); err == nil {
			c.state = filepath.Join(at, filepath.Base(c.state))
		}
	}
	if cfg.Target.URL != "" && !cfg.Target.Token.IsZero() {
		sum := sha256.Sum256([]byte(cfg.Target.Token.Reveal()))
		c.target = fmt.Sprintf("%s %x", cfg.Target.URL, sum)
	}
	if cfg.HA.Mode != config.HANone {
		c.lease = cfg.HA.Lease
	}
	return c
}
