// Package home is the front page: what Stoa is, shown by colouring a photo, and
// the list of what can be called.
package home

import (
	"context"
	"embed"
	"net/http"
	"net/url"
	"path"
	"strconv"
	"strings"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/api"
	"github.com/stoa-project/stoa/internal/catalog"
	"github.com/stoa-project/stoa/internal/manifest"
	"github.com/stoa-project/stoa/internal/web"
)

// Catalog is what the page asks of the catalogue; package catalog's Catalog is
// one.
type Catalog interface {
	Resolve(ctx context.Context, who stoa.Caller, ref stoa.Ref) (*catalog.Version, error)
	Search(ctx context.Context, who stoa.Caller, q catalog.Query) (catalog.Found, error)
}

// Config is what the page needs.
type Config struct {
	Site    *web.Site
	Catalog Catalog
	// Keyless tells whether strangers may call an algorithm that is public; nil:
	// they may not.
	Keyless func(ref stoa.Ref) bool
}

//go:embed home.tmpl
var files embed.FS

type pages struct {
	cfg  Config
	home *web.Page
}

// Routes makes the page.
func Routes(cfg Config) ([]api.Route, error) {
	p := &pages{cfg: cfg}
	var err error
	if p.home, err = cfg.Site.Page(files, "home"); err != nil {
		return nil, err
	}
	return []api.Route{
		{Method: http.MethodGet, Pattern: "/{$}", Access: api.Visitors, Serve: p.show},
		{Method: http.MethodGet, Pattern: "/list", Access: api.Visitors, Serve: p.part},
	}, nil
}

// view is what the page shows.
type view struct {
	Demo *demo // nil where it is not there
	List list
}

func (p *pages) show(w *api.Response, r *api.Request) error {
	var x view
	var err error
	if x.List, err = p.list(r); err != nil {
		return err
	}
	if x.Demo, err = p.demo(r); err != nil {
		return err
	}
	return p.home.Write(w, r, http.StatusOK, web.View{
		Title: p.cfg.Site.Say("home.title"), Description: p.cfg.Site.Say("home.lead"), Page: x,
	})
}

// part answers with the list alone, for the search as one types.
func (p *pages) part(w *api.Response, r *api.Request) error {
	l, err := p.list(r)
	if err != nil {
		return err
	}
	return p.home.WritePart(w, "list", l)
}

// demo is the photo that a visitor colours.
type demo struct {
	Name          string
	Call          string // path of the call
	Before, After string // addresses
	Samples       []photo
	MayCall       bool
}

type photo struct{ Name, URL string }

// The demo that the page shows, where it is public.
const demoOwner, demoName = "demo", "colorize"

// demo finds the demo; nil where there is none that the visitor may see.
func (p *pages) demo(r *api.Request) (*demo, error) {
	ref := stoa.Ref{Owner: demoOwner, Name: demoName}
	v, err := p.cfg.Catalog.Resolve(r.Context(), r.Caller, ref)
	if err != nil {
		if stoa.KindOf(err) == stoa.NotFound {
			return nil, nil //nolint:nilnil // the page does without
		}
		return nil, err
	}
	d := &demo{Name: v.Owner + "/" + v.Name, Call: "/v1/algo/" + v.Owner + "/" + v.Name + "/" + v.Number.String()}
	d.MayCall = r.Caller.Account != "" || v.Public && p.cfg.Keyless != nil && p.cfg.Keyless(ref)
	for _, f := range v.Files {
		stem, in := strings.CutPrefix(strings.TrimSuffix(f.Name, path.Ext(f.Name)), "samples/")
		switch {
		case !in || !web.IsPicture(f.Name):
		case stem == "after":
			d.After = web.FileURL(v, f.Name)
		case stem == "before":
			d.Before = web.FileURL(v, f.Name)
			d.Samples = append([]photo{{stem, d.Before}}, d.Samples...)
		default:
			d.Samples = append(d.Samples, photo{stem, web.FileURL(v, f.Name)})
		}
	}
	if d.Before == "" {
		return nil, nil //nolint:nilnil // somebody else's demo/colorize
	}
	return d, nil
}

// list is a part of what there is.
type list struct {
	Text       string
	Kind       string
	Framework  string
	Cards      []card
	Total      int
	Kinds      []choice
	Frameworks []choice
	Previous   string // addresses of the pages beside this; "" for none
	Next       string
	From, To   int
	Filtered   bool
}

// card is one algorithm in the list.
type card struct {
	Name, Owner, Short string // owner/name, and its parts
	Version            string
	Tagline            string
	Framework          string // of a model, or the language of code
	Code               bool
	Private            bool
	Picture            string // address of its sample; "" for none
}

// choice is one value of a filter.
type choice struct {
	Name  string // "" for all
	Count int    // -1 where it says nothing
	URL   string
	Here  bool
}

// pageSize fills a wide window twice, and keeps the page far below 40 KB.
const pageSize = 24

func (p *pages) list(r *api.Request) (list, error) {
	params := r.URL.Query()
	l := list{Text: strings.TrimSpace(params.Get("q")), Kind: params.Get("kind"), Framework: params.Get("framework")}
	first := 0
	if s := params.Get("from"); s != "" {
		n, err := strconv.Atoi(s)
		if err != nil || n < 0 || n > 1_000_000 {
			return l, stoa.Errorf(stoa.Invalid, "from=%.20s: a number of algorithms to pass over is wanted", s)
		}
		first = n
	}
	found, err := p.cfg.Catalog.Search(r.Context(), r.Caller, catalog.Query{
		Text: l.Text, Kind: l.Kind, Framework: l.Framework, Limit: pageSize, Offset: first,
	})
	if err != nil {
		return l, err
	}
	l.Total, l.From, l.To = found.Total, first+1, first+len(found.Versions)
	l.Filtered = l.Text != "" || l.Kind != "" || l.Framework != ""
	for _, v := range found.Versions {
		l.Cards = append(l.Cards, card{
			Name: v.Owner + "/" + v.Name, Owner: v.Owner, Short: v.Name, Version: v.Number.String(), Tagline: v.Tagline,
			Framework: v.Framework, Code: v.Kind == manifest.KindCode, Private: !v.Public, Picture: web.SamplePicture(v),
		})
	}
	l.Kinds = choices(found.Kinds, l.Kind, func(s string) string { return l.address(s, l.Framework, 0) })
	l.Frameworks = choices(found.Frameworks, l.Framework, func(s string) string { return l.address(l.Kind, s, 0) })
	if first > 0 {
		l.Previous = l.address(l.Kind, l.Framework, max(first-pageSize, 0))
	}
	if l.To < found.Total {
		l.Next = l.address(l.Kind, l.Framework, first+pageSize)
	}
	return l, nil
}

func choices(facets []catalog.Facet, here string, address func(string) string) []choice {
	out := []choice{{Count: -1, URL: address(""), Here: here == ""}}
	for _, f := range facets {
		out = append(out, choice{Name: f.Name, Count: f.Count, URL: address(f.Name), Here: strings.EqualFold(f.Name, here)})
	}
	return out
}

// address gives the page's address with other filters.
func (l list) address(kind, framework string, from int) string {
	q := url.Values{}
	for name, value := range map[string]string{"q": l.Text, "kind": kind, "framework": framework} {
		if value != "" {
			q.Set(name, value)
		}
	}
	if from > 0 {
		q.Set("from", strconv.Itoa(from))
	}
	if len(q) == 0 {
		return "/#list"
	}
	return "/?" + q.Encode() + "#list"
}
