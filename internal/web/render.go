package web

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"html/template"
	"io/fs"
	"mime"
	"net/http"
	"net/url"
	"path"
	"strings"
	"time"

	"github.com/rootly-idp-sync/rootly-idp-sync/reconcile"
)

//go:embed templates/*.html
var templateFiles embed.FS

//go:embed static/*
var staticFiles embed.FS

// assets are the static files by the names that pages use, which change with their content: browsers keep them for good.
var assets, assetNames = readAssets()

func readAssets() (contents map[string][]byte, names map[string]string) {
	contents, names = map[string][]byte{}, map[string]string{}
	entries, err := fs.ReadDir(staticFiles, "static")
	if err != nil {
		panic(err) // they are part of the binary
	}
	for _, e := range entries {
		data, err := staticFiles.ReadFile("static/" + e.Name())
		if err != nil {
			panic(err)
		}
		sum := sha256.Sum256(data)
		ext := path.Ext(e.Name())
		name := strings.TrimSuffix(e.Name(), ext) + "." + hex.EncodeToString(sum[:5]) + ext
		contents[name], names[e.Name()] = data, "/static/"+name
	}
	return contents, names
}

func (s *Site) static(w http.ResponseWriter, r *http.Request, _ call) error {
	name := r.PathValue("name")
	data, ok := assets[name]
	if !ok {
		return refusal{http.StatusNotFound, errors.New("there is no such file (load the page again)")}
	}
	w.Header().Set("Content-Type", mime.TypeByExtension(path.Ext(name)))
	w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	_, _ = w.Write(data) // who asked may have gone
	return nil
}

// frame is what each page has around its content.
type frame struct {
	Title    string
	Pipeline string // its name, "" for one that stands alone
	Nav      string // the menu's entry that is shown
	Theme    string // "", "light", "dark"
	Path     string // of this page, with its query
	Who      visitor
	Login    bool // people sign in here
	Decides  bool // the visitor may approve and begin a cycle
	Live     Progress
	Build    Build
	Source   string
	Target   string
	Now      time.Time
	Data     any
}

// A nav is an entry of the menu.
type nav struct{ Path, Name string }

var navs = []nav{
	{"/", "Now"}, {"/plan", "Plan"}, {"/people", "People"}, {"/groups", "Groups"}, {"/history", "History"}, {"/config", "Config"},
}

// parseTemplates makes one set for each page, all of them with the frame and the parts.
func (s *Site) parseTemplates() map[string]*template.Template {
	base := template.New("").Funcs(template.FuncMap{
		"asset": func(name string) string { return assetNames[name] },
		"stamp": stamp, "machine": machine, "seconds": seconds, "plural": plural, "title": title,
		"ago":      func(t time.Time) string { return ago(t, s.now()) },
		"base":     func() string { return s.base },
		"navs":     func() []nav { return s.navs },
		"person":   func(id string) string { return s.base + "/people/" + url.PathEscape(id) },
		"group":    func(id string) string { return s.base + "/groups/" + url.PathEscape(id) },
		"object":   func(o reconcile.Ref) string { return s.base + objectPath(o) },
		"visible":  reconcile.Visible,
		"first":    func(n int, list []reconcile.HeldItem) []reconcile.HeldItem { return list[:min(n, len(list))] },
		"minus":    func(a, b int) int { return a - b },
		"icon":     func() template.URL { return icon },
		"result":   resultClass,
		"verb":     verbClass,
		"sections": sectionsOf, "kinds": kindsOf,
		"states": func(of string) []string {
			if of == "people" {
				return peopleStates
			}
			return groupStates
		},
		"itemverb": func(i reconcile.HeldItem) string { v, _, _ := strings.Cut(i.Key, " "); return v },
	})
	template.Must(base.ParseFS(templateFiles, "templates/frame.html", "templates/parts.html"))
	out := map[string]*template.Template{}
	entries, err := fs.ReadDir(templateFiles, "templates")
	if err != nil {
		panic(err) // they are part of the binary
	}
	for _, e := range entries {
		name := strings.TrimSuffix(e.Name(), ".html")
		if name != "frame" && name != "parts" {
			out[name] = template.Must(template.Must(base.Clone()).ParseFS(templateFiles, "templates/"+e.Name()))
		}
	}
	return out
}

// icon is written into the page: a request of its own would be a fourth.
const icon = template.URL("data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E%3Ccircle cx='8' cy='8' r='7' fill='%232b5fc4'/%3E%3Cpath d='M4.5 8.2l2.4 2.4 4.6-5' fill='none' stroke='white' stroke-width='1.8'/%3E%3C/svg%3E")

// render writes a page whole or not at all.
func (s *Site) render(w http.ResponseWriter, r *http.Request, c call, status int, name, title string, data any) {
	f := frame{
		Title: title, Pipeline: s.name, Theme: theme(r), Path: s.base + r.URL.RequestURI(), Who: c.who, Login: c.g.OIDC != nil, Decides: c.who.Role >= RoleApprover, Now: s.now(), Build: s.build, Data: data,
	}
	for _, n := range s.navs {
		if r.URL.Path == n.Path || n.Path != "/" && strings.HasPrefix(r.URL.Path, n.Path+"/") {
			f.Nav = n.Path
		}
	}
	if strings.HasPrefix(r.URL.Path, "/cycles/") {
		f.Nav = "/history"
	}
	if c.who.Role > RoleNobody && s.daemon != nil { // others learn nothing of what runs here
		f.Live = progressOf(s.daemon.State(), f.Now)
		_ = s.live.Use(func(p Pipeline) error { f.Source, f.Target = p.Source, p.Target; return nil })
	}
	var b bytes.Buffer
	if err := s.templates[name].ExecuteTemplate(&b, "frame", f); err != nil {
		s.log.Error("a page could not be rendered", "page", name, "error", err)
		http.Error(w, "this page failed: please report it with the log of the daemon", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(b.Bytes()) // who asked may have gone
}

func theme(r *http.Request) string {
	if c, err := r.Cookie(themeCookie); err == nil && (c.Value == "light" || c.Value == "dark") {
		return c.Value
	}
	return ""
}

// postTheme remembers how somebody likes the page. It works without scripts.
func (s *Site) postTheme(w http.ResponseWriter, r *http.Request, c call) error {
	http.SetCookie(w, &http.Cookie{
		Name: themeCookie, Value: r.FormValue("theme"), Path: "/", MaxAge: 365 * 24 * 3600, HttpOnly: true, Secure: c.g.secure(), SameSite: http.SameSiteLaxMode,
	})
	http.Redirect(w, r, local(r.FormValue("back")), http.StatusSeeOther)
	return nil
}

func objectPath(o reconcile.Ref) string {
	id := o.Source
	if id == "" {
		id = o.Target
	}
	if o.Kind == reconcile.KindGroup {
		return "/groups/" + url.PathEscape(id)
	}
	return "/people/" + url.PathEscape(id)
}

// resultClass is how a word about a result is coloured; the word itself says it all.
func resultClass(word any) string {
	switch fmt.Sprint(word) {
	case "good", "done", "active", "pushed", "true", "used", "approved":
		return "ok"
	case "held", "partial", "skipped", "lapsed", "waiting", "not kept", "deactivated", "staged", "open", "unknown", "":
		return "warn"
	case "failed", "disabled", "interrupted":
		return "bad"
	}
	return "info"
}

func verbClass(v reconcile.Verb) string {
	switch v {
	case reconcile.VerbDeactivate, reconcile.VerbDelete, reconcile.VerbRemove:
		return "bad"
	case reconcile.VerbCreate, reconcile.VerbReactivate, reconcile.VerbAdd:
		return "ok"
	}
	return "info"
}

// A reasonSection is the changes of one reason on a page.
type reasonSection struct {
	Title   string
	Why     reconcile.Why
	Changes []reconcile.Change
}

// sectionsOf groups changes, which are in the order of their reasons.
func sectionsOf(changes []reconcile.Change) []reasonSection {
	var out []reasonSection
	for _, c := range changes {
		if n := len(out); n == 0 || out[n-1].Why != c.Why {
			out = append(out, reasonSection{Title: c.Why.Title(), Why: c.Why})
		}
		last := &out[len(out)-1]
		last.Changes = append(last.Changes, c)
	}
	return out
}

// A noteSection is the notes of one kind.
type noteSection struct {
	Title  string
	Urgent bool
	Notes  []reconcile.Note
	More   int
}

// shownNotes is how many notes of a kind a page has.
const shownNotes = 25

func kindsOf(notes []reconcile.Note) []noteSection {
	var out []noteSection
	at := map[reconcile.NoteKind]int{}
	for _, n := range notes {
		i, ok := at[n.Kind]
		if !ok {
			i = len(out)
			at[n.Kind] = i
			out = append(out, noteSection{Title: n.Kind.Title(), Urgent: n.Kind.Urgent()})
		}
		if len(out[i].Notes) == shownNotes {
			out[i].More++
		} else {
			out[i].Notes = append(out[i].Notes, n)
		}
	}
	return out
}
