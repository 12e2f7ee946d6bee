package serve

import (
	"slices"

	"github.com/stoa-project/stoa/internal/api"
	"github.com/stoa-project/stoa/internal/catalog"
	"github.com/stoa-project/stoa/internal/sandbox"
	"github.com/stoa-project/stoa/internal/web"
	"github.com/stoa-project/stoa/internal/web/page/algorithm"
	"github.com/stoa-project/stoa/internal/web/page/home"
	"github.com/stoa-project/stoa/internal/web/page/publish"
	"github.com/stoa-project/stoa/internal/web/page/signin"
)

// pages puts the site together.
func (s *System) pages(cat *catalog.Catalog) (api.Door, error) {
	site, err := web.New(web.Config{PublicURL: s.cfg.PublicURL})
	if err != nil {
		return api.Door{}, err
	}
	front, err := home.Routes(home.Config{Site: site, Catalog: cat, Keyless: s.strangers.Names})
	if err != nil {
		return api.Door{}, err
	}
	one, err := algorithm.Routes(algorithm.Config{
		Site: site, Catalog: cat, Keyless: s.strangers.Names, Logs: s.book, Unconfined: s.cfg.Sandbox == sandbox.None,
	})
	if err != nil {
		return api.Door{}, err
	}
	in, err := signin.Routes(site, s.people)
	if err != nil {
		return api.Door{}, err
	}
	bring, err := publish.Routes(site)
	if err != nil {
		return api.Door{}, err
	}
	return site.Door(slices.Concat(front, one, in, bring)...), nil
}
