package app

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/rootly-idp-sync/rootly-idp-sync/internal/store"
	"github.com/rootly-idp-sync/rootly-idp-sync/reconcile"
)

func (a *app) newAdopt() *cobra.Command {
	var o adoptOptions
	cmd := &cobra.Command{
		Use:   "adopt [who]",
		Short: "Take over what Rootly already holds",
		Long: `Without an argument it reports how the directory and Rootly fit together, and changes nothing: what the next
sync links by itself, what it takes over only after a yes, conflicts, accounts that nobody here manages, and
what would be taken away. With a name or an id it says that yes for one person or group, with --all for all
that are unambiguous. Nothing is sent to Rootly: the next sync plans with it.

--relink binds the state file to the directory and target of the configuration, when it belongs to another
pair. What was known between the old two is forgotten, so that the next sync is a first contact: it links
what it finds and holds all removals.
` + exitHelp + `0 reported or adopted; 1 failed.`,
		Example: `  rootly-idp-sync adopt
  rootly-idp-sync adopt anna@acme.com
  rootly-idp-sync adopt --all --yes --by alice
  rootly-idp-sync adopt --relink`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.who = strings.Join(args, "")
			if given := count(o.who != "", o.all, o.relink); given > 1 {
				return errors.New("name somebody, or give --all, or --relink: one of them")
			}
			return a.runAdopt(cmd.Context(), o)
		},
	}
	cmd.Flags().BoolVar(&o.all, "all", false, "take over all that is unambiguous")
	cmd.Flags().BoolVar(&o.relink, "relink", false, "bind the state file to the configured directory and target")
	cmd.Flags().BoolVar(&o.yes, "yes", false, "do not ask")
	decisionFlags(cmd, &o.by)
	return cmd
}

type adoptOptions struct {
	who         string
	all, relink bool
	yes         bool
	by          string
}

func count(given ...bool) int {
	n := 0
	for _, g := range given {
		if g {
			n++
		}
	}
	return n
}

func (a *app) runAdopt(ctx context.Context, o adoptOptions) (err error) {
	decides := o.who != "" || o.all || o.relink
	if decides {
		if o.by, err = decider(o.by); err != nil {
			return err
		}
	}
	p, err := a.openWith(ctx, o.relink)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.close()) }()
	st, err := p.kept()
	if err != nil {
		return err
	}
	if decides { // a run under way has read the ledger already
		unlock, err := st.Lock(ctx)
		if err != nil {
			return err
		}
		defer unlock()
	}
	if o.relink {
		if err := a.relink(ctx, p, st, o); err != nil {
			return err
		}
	}
	report, err := a.adoption(ctx, p, st)
	if err != nil {
		return err
	}
	if o.who == "" && !o.all {
		return a.show(report.page(), reconcile.TextOptions{})
	}
	return a.adopt(ctx, st, report, o)
}

func (a *app) relink(ctx context.Context, p *pipeline, st *store.Store, o adoptOptions) error {
	source, target := p.source.Tenant(), p.cfg.Target.URL
	if st.Fresh() {
		a.note("The state had nothing of %s and %s under this name: an empty ledger is begun.", source, target)
		return nil
	}
	if st.Source() != source || st.Target() != target {
		a.tell("The state %s belongs to", st.Place())
		a.tell("  directory %s and target %s", st.Source(), st.Target())
		a.tell("and would belong to")
		a.tell("  directory %s and target %s", source, target)
		a.tell("What is known between the old two is forgotten; the next sync is a first contact and holds all removals.")
		if err := a.agree(o.yes, "Bind it anew?"); err != nil {
			return err
		}
	}
	if err := st.Relink(ctx, source, target, o.by); err != nil {
		return err
	}
	a.note("The state belongs to %s and %s now.", source, target)
	return nil
}

func (a *app) adopt(ctx context.Context, st *store.Store, report adoptionReport, o adoptOptions) error {
	links, unlink, chosen, err := report.Choose(o.who)
	if err != nil {
		return err
	}
	out := adopted{By: o.by, Adopted: make([]reconcile.Takeover, 0, len(chosen))}
	out.Adopted = append(out.Adopted, chosen...)
	if len(chosen) > 0 {
		if o.all {
			a.tell("These would be taken over:")
			for _, t := range chosen {
				a.tell("  %s %s: %s", t.Object.Kind, t.Object.Name, t.Why)
			}
			if err := a.agree(o.yes, fmt.Sprintf("Take over %s?", plural(len(chosen), "object", "objects"))); err != nil {
				return err
			}
		}
		if err := st.Adopt(ctx, a.now(), links, unlink, o.by); err != nil {
			return err
		}
	}
	var left []reconcile.Takeover
	if o.all {
		left = slices.DeleteFunc(report.Takeovers, func(t reconcile.Takeover) bool {
			return slices.ContainsFunc(chosen, func(c reconcile.Takeover) bool { return c.Object == t.Object })
		})
	}
	return a.show(out.page(left), reconcile.TextOptions{})
}

// tell says on standard error what a question is about.
func (a *app) tell(format string, args ...any) {
	fmt.Fprintln(a.Err, reconcile.Visible(fmt.Sprintf(format, args...)))
}

// An adoptionReport is adopt without an argument.
type adoptionReport struct {
	Source string `json:"source"`
	Target string `json:"target"`
	reconcile.Adoption
}

func (a *app) adoption(ctx context.Context, p *pipeline, st *store.Store) (adoptionReport, error) {
	ledger, err := st.Ledger(ctx)
	if err != nil {
		return adoptionReport{}, err
	}
	found, err := p.planner().Adopt(ctx, ledger, a.now())
	return adoptionReport{Source: p.source.Tenant(), Target: p.cfg.Target.URL, Adoption: found}, err
}

func (r adoptionReport) page() page {
	links := pageSection{title: fmt.Sprintf("Linked by the next sync, without a yes (%d)", len(r.Links))}
	for _, m := range r.Links {
		links.rows = append(links.rows, []string{string(m.Object.Kind), m.Object.Name, "by " + m.By})
	}
	takeovers := pageSection{title: fmt.Sprintf("Taken over only after a yes: rootly-idp-sync adopt <who> (%d)", len(r.Takeovers))}
	for _, t := range r.Takeovers {
		takeovers.rows = append(takeovers.rows, []string{string(t.Object.Kind), t.Object.Name, t.Why})
	}
	conflicts := pageSection{title: fmt.Sprintf("Conflicts: left as they are until somebody settles them (%d)", len(r.Conflicts))}
	for _, n := range r.Conflicts {
		conflicts.lines = append(conflicts.lines, fmt.Sprintf("%s %s: %s", n.Object.Kind, n.Object.Name, n.Text))
		if n.Remedy != "" {
			conflicts.lines = append(conflicts.lines, "  → "+n.Remedy)
		}
	}
	removals := pageSection{title: fmt.Sprintf("Would be taken away; on first contact not before a yes (%d)", len(r.Removals))}
	for _, c := range r.Removals {
		why := string(c.Why)
		if c.Detail != "" {
			why += " (" + c.Detail + ")"
		}
		removals.rows = append(removals.rows, []string{fmt.Sprintf("%s %s", c.Verb, c.Object.Kind), c.Object.Name, why})
		for _, m := range c.Members {
			removals.rows = append(removals.rows, []string{"", "  " + m.User.Name, string(m.Why)})
		}
	}
	p := page{
		title: fmt.Sprintf("%s and %s: the next sync links %s, %d only after a yes; %s, %s in Rootly only", r.Source, r.Target,
			plural(len(r.Links), "object", "objects"), len(r.Takeovers), plural(len(r.Conflicts), "conflict", "conflicts"), plural(len(r.Local), "account", "accounts")),
		data: r,
	}
	for _, s := range []pageSection{
		links,
		accounts("In Rootly only: not in the directory's answer, never touched", r.Local),
		accounts("In the directory too, but out of scope: not touched as long as nobody links them", r.OutScope),
		takeovers, conflicts, removals,
	} {
		if len(s.rows)+len(s.lines) > 0 {
			p.sections = append(p.sections, s)
		}
	}
	return p
}

func accounts(title string, refs []reconcile.Ref) pageSection {
	s := pageSection{title: fmt.Sprintf("%s (%d)", title, len(refs))}
	for _, r := range refs {
		s.lines = append(s.lines, r.Name)
	}
	return s
}

// adopted is what adopt of one or all shows.
type adopted struct {
	By      string               `json:"by"`
	Adopted []reconcile.Takeover `json:"adopted"`
}

func (d adopted) page(left []reconcile.Takeover) page {
	p := page{title: fmt.Sprintf("%s adopted by %s", plural(len(d.Adopted), "object", "objects"), d.By), data: d}
	if len(d.Adopted) == 0 {
		p.title = "There is nothing to adopt"
	}
	for _, part := range []struct {
		title string
		list  []reconcile.Takeover
	}{
		{"Taken over", d.Adopted},
		{"Left: somebody else has a claim too, or a deactivated account would come back; name them one by one", left},
	} {
		s := pageSection{title: part.title}
		for _, t := range part.list {
			s.rows = append(s.rows, []string{string(t.Object.Kind), t.Object.Name, t.Why})
		}
		if len(s.rows) > 0 {
			p.sections = append(p.sections, s)
		}
	}
	p.sections = append(p.sections, pageSection{title: "Next", lines: []string{"rootly-idp-sync plan shows what the next sync would do now"}})
	return p
}
