// Package algorithm is the page of one algorithm: what it does, a console to
// try it in, code that calls it, its versions, and where it came from. It also
// serves the papers and samples of versions.
package algorithm

import (
	"context"
	"embed"
	"net/http"
	"strings"

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
	// Keyless tells whether strangers may call an algorithm that is public; nil:
	// they may not.
	Keyless func(ref stoa.Ref) bool
	Logs    Logs // of what algorithms print, for their owners; nil: none are shown
	// Unconfined says that code runs without a sandbox, so that it may do what its
	// manifest does not say.
	Unconfined bool
}

//go:embed algorithm.tmpl
var files embed.FS

type pages struct {
	cfg      Config
	page     *web.Page
	papers   *papers
	snippets []language
}

// Routes makes the page.
func Routes(cfg Config) ([]api.Route, error) {
	p := &pages{cfg: cfg, papers: newPapers()}
	var err error
	if p.page, err = cfg.Site.Page(files, "algorithm"); err != nil {
		return nil, err
	}
	if p.snippets, err = readLanguages(); err != nil {
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
	x := newView(p.cfg.Site, v)
	if x.Code != nil {
		x.Code.Unconfined = p.cfg.Unconfined
	}
	x.Keyless = v.Public && p.cfg.Keyless != nil && p.cfg.Keyless(exact(v))
	x.MayCall = x.Keyless || r.Caller.Account != ""
	if x.Console, err = newConsole(v); err != nil {
		return err
	}
	if x.Code != nil && owns(r, v) {
		if err := p.insides(r, x, v); err != nil {
			return err
		}
	}
	x.Console.Asked = ref.Version.IsZero()
	if x.Readme, err = p.readme(r, v); err != nil {
		return err
	}
	if x.Snippets, err = p.write(x, p.cfg.Site.BaseURL(r)); err != nil {
		return err
	}
	if err := p.versions(r, x, v); err != nil {
		return err
	}
	return p.page.Write(w, r, http.StatusOK, web.View{Title: x.FullName, Description: v.Tagline, Page: x})
}

// owns tells whether who looks may see the insides of a version: how it was
// built, and what it prints.
func owns(r *api.Request, v *catalog.Version) bool {
	return r.Caller.Admin || r.Caller.Account != "" && strings.EqualFold(r.Caller.Account, v.Owner)
}

// insides adds what is for those alone who own a program.
func (p *pages) insides(r *api.Request, x *view, v *catalog.Version) (err error) {
	x.Console.Printed = true
	x.Code.Build = newBuild(p.cfg.Site, v)
	if p.cfg.Logs != nil {
		x.Logs, err = p.logs(r, v)
	}
	return err
}

// maxVersions is how many versions the page lists.
const maxVersions = 12

func (p *pages) versions(r *api.Request, x *view, v *catalog.Version) error {
	all, err := p.cfg.Catalog.Versions(r.Context(), r.Caller, stoa.Ref{Owner: v.Owner, Name: v.Name})
	if err != nil {
		return err
	}
	x.MoreVersions = max(len(all)-maxVersions, 0)
	for _, o := range all[:min(len(all), maxVersions)] {
		x.Versions = append(x.Versions, versionLine{
			Number: o.Number.String(), Created: o.Created.UTC().Format("2006-01-02"), Creator: o.Creator, Public: o.Public,
			Here: o.Number == v.Number,
		})
	}
	return nil
}
