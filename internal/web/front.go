package web

import (
	_ "embed"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/rootly-idp-sync/rootly-idp-sync/internal/daemon"
)

// pipelinePrefix begins the paths of a pipeline's site.
const pipelinePrefix = "/p/"

//go:embed openapi-pipelines.json
var openAPIPipelines []byte

// A Front is the site of a process with several pipelines: who may come in, the list of the pipelines, the metrics of all of
// them, and the Site of each below /p/ and its name. It is safe for concurrent use.
type Front struct {
	site    *Site // what belongs to no pipeline
	members func() []*daemon.Member

	mu    sync.RWMutex
	sites map[string]*Site
}

// NewFront returns a Front that has no pipeline yet. Of the options it takes all but Daemon; members are the pipelines to
// list.
func NewFront(o Options, members func() []*daemon.Member) *Front {
	o.Daemon = nil
	alone := New(o)
	f := &Front{site: alone, members: members, sites: map[string]*Site{}}
	alone.navs = nil
	alone.scraped = answerWith(prometheus.GathererFunc(f.gather))
	mux := alone.routes(f.routes())
	mux.HandleFunc(pipelinePrefix+"{name}/{rest...}", f.dispatch)
	alone.handler = mux
	return f
}

// Add makes the Site of a pipeline.
func (f *Front) Add(name string, d Daemon, o Options) *Site {
	o.Daemon, o.Now = d, f.site.now
	if o.Log == nil {
		o.Log = f.site.log
	}
	s := newSite(o, f.site.door, name)
	s.handler = s.routes(slices.Concat(s.ownRoutes(), s.apiRoutes()))
	f.mu.Lock()
	defer f.mu.Unlock()
	f.sites[name] = s
	return s
}

// Site is that of a pipeline, nil when it has none.
func (f *Front) Site(name string) *Site {
	f.mu.RLock()
	defer f.mu.RUnlock()
	return f.sites[name]
}

// Remove ends showing a pipeline.
func (f *Front) Remove(name string) {
	f.mu.Lock()
	s := f.sites[name]
	delete(f.sites, name)
	f.mu.Unlock()
	if s != nil {
		s.roster.drop()
	}
}

// Configure decides who may see the pages from now on, as that of a Site does.
func (f *Front) Configure(a Access) error { return f.site.Configure(a) }

// Listen is where Serve listens, as Configure was told.
func (f *Front) Listen() string { return f.site.Listen() }

// Handler answers everything that the front and its sites have.
func (f *Front) Handler() http.Handler { return f.site.Handler() }

// Metrics are those of all pipelines.
func (f *Front) Metrics() http.Handler { return f.site.scraped }

// Serve listens where Configure said until stop is called, which ends what is under way.
func (f *Front) Serve() (stop func(), err error) {
	end, err := f.site.Serve()
	if err != nil {
		return nil, err
	}
	return func() {
		end()
		f.mu.RLock()
		defer f.mu.RUnlock()
		for _, s := range f.sites {
			s.roster.drop()
		}
	}, nil
}

// gather collects the metrics of the process and of each pipeline.
func (f *Front) gather() ([]*dto.MetricFamily, error) {
	f.mu.RLock()
	all := prometheus.Gatherers{f.site.Metrics.registry}
	for _, name := range slices.Sorted(maps.Keys(f.sites)) {
		all = append(all, f.sites[name].Metrics.registry)
	}
	f.mu.RUnlock()
	return all.Gather()
}

// dispatch hands a request to the site of its pipeline.
func (f *Front) dispatch(w http.ResponseWriter, r *http.Request) {
	s := f.Site(r.PathValue("name"))
	if s == nil {
		f.site.guarded(route{role: RoleViewer, handle: func(http.ResponseWriter, *http.Request, call) error {
			return refusal{http.StatusNotFound, errors.New("there is no such pipeline (the first page lists those there are)")}
		}}).ServeHTTP(w, r)
		return
	}
	http.StripPrefix(s.base, s.handler).ServeHTTP(w, r)
}

func (f *Front) routes() []route {
	return append(f.site.processRoutes(),
		route{"GET", "/{$}", RoleViewer, func(w http.ResponseWriter, r *http.Request, c call) error {
			f.site.render(w, r, c, http.StatusOK, "pipelines", "Pipelines", f.list())
			return nil
		}},
		route{"GET", apiPrefix + "pipelines", RoleViewer, func(w http.ResponseWriter, _ *http.Request, _ call) error {
			return writeJSON(w, http.StatusOK, f.list())
		}},
		route{"GET", apiPrefix + "openapi.json", RoleNobody, func(w http.ResponseWriter, _ *http.Request, _ call) error {
			w.Header().Set("Content-Type", "application/json")
			_, _ = w.Write(openAPIPipelines) // who asked may have gone
			return nil
		}},
		route{"", apiPrefix, RoleViewer, func(http.ResponseWriter, *http.Request, call) error {
			return refusal{http.StatusNotFound, errors.New("there is no such thing here (/p/NAME/api/v1/openapi.json lists what there is of a pipeline)")}
		}})
}

// A PipelineRow is one pipeline in the list of them.
type PipelineRow struct {
	Name       string    `json:"name"`
	Path       string    `json:"path" doc:"Its page; its API is below it."`
	Source     string    `json:"source,omitempty" doc:"The directory."`
	Target     string    `json:"target,omitempty" doc:"Rootly's SCIM endpoint."`
	Mode       string    `json:"mode" doc:"observe or apply; empty while it does not run."`
	Leader     string    `json:"leader" doc:"Which replica leads; single when there is no other."`
	Progress   Progress  `json:"progress"`
	LastGood   time.Time `json:"lastGood,omitzero" doc:"When the last good cycle ended."`
	Result     string    `json:"result,omitempty" doc:"How the last cycle ended."`
	Held       int       `json:"held" doc:"Changes of the last plan that wait."`
	Quarantine bool      `json:"quarantine"`
	Error      string    `json:"error,omitempty" doc:"Why it does not run, or runs with an earlier configuration."`
}

type pipelineList struct {
	Items []PipelineRow `json:"items" doc:"By name."`
}

func (f *Front) list() pipelineList {
	out := pipelineList{Items: []PipelineRow{}}
	now := f.site.now()
	for _, m := range f.members() {
		state := m.State()
		row := PipelineRow{
			Name: m.Name(), Path: pipelinePrefix + m.Name() + "/", Mode: state.Mode, Leader: state.Leader, Progress: progressOf(state, now),
			LastGood: state.LastGood, Quarantine: state.Quarantine != nil, Error: state.ReloadError,
		}
		if state.Last != nil {
			row.Result, row.Held = string(state.Last.Result), state.Last.Held
		}
		if s := f.Site(m.Name()); s != nil {
			_ = s.live.Use(func(p Pipeline) error { row.Source, row.Target = p.Source, p.Target; return nil })
		}
		out.Items = append(out.Items, row)
	}
	return out
}

// stopped says of a pipeline that does not run why.
func (s *Site) stopped(err error) error {
	if !errors.Is(err, errStarting) || s.daemon == nil {
		return err
	}
	if why := s.daemon.State().ReloadError; why != "" {
		return refusal{http.StatusServiceUnavailable, fmt.Errorf("this pipeline does not run: %s", why)}
	}
	return err
}
