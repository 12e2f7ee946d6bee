// Package home is the front page: what Stoa is, shown by colouring a photo, and
// the list of what can be called.
package home

import (
	"context"
	"embed"
	"net/http"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/api"
	"github.com/stoa-project/stoa/internal/catalog"
	"github.com/stoa-project/stoa/internal/web"
)

//go:embed home.tmpl
var files embed.FS

// Catalog is what the page asks of the catalogue; package catalog's Catalog is
// one.
type Catalog interface {
	List(ctx context.Context, who stoa.Caller, q catalog.Query) ([]*catalog.Version, error)
}

type pages struct {
	site    *web.Site
	catalog Catalog
	home    *web.Page
}

// card is one algorithm in the list.
type card struct {
	Name    string // owner/name
	Tagline string
	Picture string // address of its sample; "" for none
}

// Routes makes the page.
func Routes(site *web.Site, cat Catalog) ([]api.Route, error) {
	p := &pages{site: site, catalog: cat}
	var err error
	if p.home, err = site.Page(files, "home"); err != nil {
		return nil, err
	}
	return []api.Route{
		{Method: http.MethodGet, Pattern: "/{$}", Access: api.Visitors, Serve: p.show},
	}, nil
}

func (p *pages) show(w *api.Response, r *api.Request) error {
	found, err := p.catalog.List(r.Context(), r.Caller, catalog.Query{Limit: 24})
	if err != nil {
		return err
	}
	cards := make([]card, 0, len(found))
	for _, v := range found {
		cards = append(cards, card{Name: v.Owner + "/" + v.Name, Tagline: v.Tagline, Picture: web.SamplePicture(v)})
	}
	return p.home.Write(w, r, http.StatusOK, web.View{Page: cards, Title: p.site.Say("home.title"), Description: p.site.Say("home.lead")})
}
