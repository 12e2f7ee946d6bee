// Package web is the site that people see at the server's address. It promises
// every page the same frame: one layout, the words of words.json, styles and
// scripts under names that change with their content, and a policy by which a
// browser runs nothing else. Pages are rendered here and can be read without
// JavaScript. Each is a child package, page/<name>, that knows its own data and
// template; package serve puts them together.
package web

import (
	"bytes"
	"html/template"
	"io/fs"
	"net/http"
	"regexp"
	"strings"

	_ "embed" // the layout

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/api"
)

// Config is what the site needs.
type Config struct {
	PublicURL string // at which people see it; "" takes the request's host
}

//go:embed layout.tmpl
var layoutText string

// A browser may load pictures, styles and scripts of this server, show the
// pictures that a script was given, call this server, and nothing else.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; " +
	"form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// Site is what all pages share.
type Site struct {
	publicURL string
	words     words
	assets    map[string]*asset // by their names in dist
	layout    *template.Template
	wrong     *Page // says what went wrong
}

// New makes the site.
func New(cfg Config) (*Site, error) {
	s := &Site{publicURL: strings.TrimRight(cfg.PublicURL, "/")}
	var err error
	if s.words, err = readWords(); err != nil {
		return nil, err
	}
	if s.assets, err = readAssets(); err != nil {
		return nil, err
	}
	if s.layout, err = s.parse(template.New("layout").Funcs(s.functions()), layoutText); err != nil {
		return nil, err
	}
	s.wrong, err = s.page("wrong", wrongText)
	return s, err
}

// Door puts the routes of the pages together.
func (s *Site) Door(routes ...api.Route) api.Door {
	d := api.Door{Name: "web", WriteError: s.writeError, Routes: routes}
	for _, a := range s.assets {
		d.Routes = append(d.Routes, api.Route{Method: http.MethodGet, Pattern: a.path, Access: api.Anyone, Serve: a.serve})
	}
	return d
}

// Page is a template inside the layout.
type Page struct {
	site     *Site
	name     string
	template *template.Template
}

// Page reads a page's template, NAME.tmpl, which defines "main". Its style and
// script are those of the same name in dist. Every word that it says must be in
// words.json.
func (s *Site) Page(files fs.FS, name string) (*Page, error) {
	text, err := fs.ReadFile(files, name+".tmpl")
	if err != nil {
		return nil, stoa.Wrap(stoa.Internal, err, "page %s has no template", name)
	}
	return s.page(name, string(text))
}

func (s *Site) page(name, text string) (*Page, error) {
	t, err := s.layout.Clone()
	if err == nil {
		t, err = s.parse(t, text)
	}
	if err != nil {
		return nil, stoa.Wrap(stoa.Internal, err, "page %s: %v", name, err)
	}
	return &Page{site: s, name: name, template: t}, nil
}

// said finds the words that a template says.
var said = regexp.MustCompile(`\bsay "([^"]*)"`)

func (s *Site) parse(t *template.Template, text string) (*template.Template, error) {
	for _, m := range said.FindAllStringSubmatch(text, -1) {
		if _, err := s.words.find(m[1]); err != nil {
			return nil, err
		}
	}
	t, err := t.Parse(text)
	if err != nil {
		return nil, stoa.Wrap(stoa.Internal, err, "a template cannot be read: %v", err)
	}
	return t, nil
}

func (s *Site) functions() template.FuncMap {
	return template.FuncMap{"say": s.words.say, "icon": func() string { return s.address("icon.svg") }, "dict": dict}
}

// dict makes data for a template out of names and values in turn.
func dict(pairs ...any) (map[string]any, error) {
	out := map[string]any{}
	for i := 0; i+1 < len(pairs); i += 2 {
		name, ok := pairs[i].(string)
		if !ok {
			return nil, stoa.Errorf(stoa.Internal, "dict: %v is no name", pairs[i])
		}
		out[name] = pairs[i+1]
	}
	return out, nil
}

// View is what a page shows.
type View struct {
	Title       string // of the window; the site's name is added
	Description string // for search engines and previews of links; may be ""
	Page        any    // the page's own data
}

// frame is what the layout sees.
type frame struct {
	View
	Name   string // of the page
	Who    stoa.Caller
	Path   string // with which one comes back here after signing in
	Base   string
	Style  string // addresses; "" for none
	Script string
}

// Write answers with the page.
func (p *Page) Write(w *api.Response, r *api.Request, status int, v View) error {
	f := frame{View: v, Name: p.name, Who: r.Caller, Path: r.URL.RequestURI(), Base: p.site.BaseURL(r)}
	f.Style, f.Script = p.site.address(p.name+".css"), p.site.address(p.name+".js")
	if f.Style == "" {
		f.Style = p.site.address("base.css")
	}
	return p.write(w, status, "layout", f)
}

// WritePart answers with one template of the page and nothing around it, for a
// script that puts it into its place.
func (p *Page) WritePart(w *api.Response, name string, data any) error {
	return p.write(w, http.StatusOK, name, data)
}

func (p *Page) write(w *api.Response, status int, name string, data any) error {
	var b bytes.Buffer
	if err := p.template.ExecuteTemplate(&b, name, data); err != nil {
		return stoa.Wrap(stoa.Internal, err, "the page cannot be made")
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", policy)
	// Not "no-referrer": with that a form's Origin is "null", and only the Origin
	// tells over plain HTTP that it was ours (see api.Request.SameOrigin).
	h.Set("Referrer-Policy", "same-origin")
	if h.Get("Cache-Control") == "" {
		h.Set("Cache-Control", "no-cache")
	}
	w.WriteHeader(status)
	_, _ = w.Write(b.Bytes()) // the reader may have gone
	return nil
}

// BaseURL gives the address at which whoever asks sees the server.
func (s *Site) BaseURL(r *api.Request) string {
	if s.publicURL != "" {
		return s.publicURL
	}
	if r.TLS != nil {
		return "https://" + r.Host
	}
	return "http://" + r.Host
}

// Say gives a text of words.json, for pages that make their texts in Go. A key
// that is not there is shown as it is.
func (s *Site) Say(key string, values ...any) string {
	text, err := s.words.say(key, values...)
	if err != nil {
		return key
	}
	return text
}

const wrongText = `{{define "main"}}<main class="narrow"><h1>{{.Title}}</h1>
<p class="fault">{{.Page}}</p>
<p><a href="/">{{say "site.back"}}</a></p></main>{{end}}`

// writeError writes an error for people.
func (s *Site) writeError(w *api.Response, r *api.Request, e *stoa.Error) {
	api.ErrorHeaders(w, e)
	status := w.StatusFor(e)
	v := View{Title: http.StatusText(status), Page: api.Message(e)}
	if err := s.wrong.Write(w, r, status, v); err != nil {
		api.WriteError(w, r, e)
	}
}
