// Package algorithm is the page of one algorithm: what it does, a console to
// try it in, code that calls it, its versions, and where it came from. It also
// serves the papers and samples of versions.
package algorithm

import (
	"context"
	"embed"
	"net/http"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/api"
	"github.com/stoa-project/stoa/internal/blob"
	"github.com/stoa-project/stoa/internal/catalog"
	"github.com/stoa-project/stoa/internal/web"
)

// Catalog is what the page asks of the catalogue; package catalog's Catalog is
// one.
type Catalog interface {
	Resolve(ctx context.Context, who stoa.Caller, ref stoa.Ref) (*catalog.Version, error)
	Versions(ctx context.Context, who stoa.Caller, ref stoa.Ref) ([]*catalog.Version, error)
	OpenFile(ctx context.Context, who stoa.Caller, ref stoa.Ref, name string) (blob.Content, error)
}

// Config is what the page needs.
type Config struct {
	Site    *web.Site
	Catalog Catalog
	// Keyless tells whether strangers may call an algorithm; nil: they may not.
	Keyless func(owner, name string) bool
}

//go:embed algorithm.tmpl
var files embed.FS

type pages struct {
	cfg  Config
	page *web.Page
}

// Routes makes the page.
func Routes(cfg Config) ([]api.Route, error) {
	p := &pages{cfg: cfg}
	var err error
	if p.page, err = cfg.Site.Page(files, "algorithm"); err != nil {
		return nil, err
	}
	return []api.Route{
		{Method: http.MethodGet, Pattern: "/algorithms/{owner}/{name}", Access: api.Visitors, Serve: p.show},
		{Method: http.MethodGet, Pattern: "/files/{owner}/{name}/{path...}", Access: api.Visitors, Serve: p.file},
	}, nil
}

func (p *pages) show(w *api.Response, r *api.Request) error {
	ref, err := reference(r)
	if err != nil {
		return err
	}
	v, err := p.cfg.Catalog.Resolve(r.Context(), r.Caller, ref)
	if err != nil {
		return err
	}
	return p.page.Write(w, r, http.StatusOK, web.View{Title: v.Owner + "/" + v.Name, Description: v.Tagline, Page: v})
}
