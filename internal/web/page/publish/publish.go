// Package publish is the page on which a model becomes an algorithm: files are
// dropped, the server says what they are, the adapters are set while one looks
// at what the network will see, and the result is published. It works through
// the drafts of the API, as any program could.
package publish

import (
	"embed"
	"net/http"

	"github.com/stoa-project/stoa/internal/api"
	"github.com/stoa-project/stoa/internal/web"
)

//go:embed publish.tmpl
var files embed.FS

// Routes makes the page.
func Routes(site *web.Site) ([]api.Route, error) {
	page, err := site.Page(files, "publish")
	if err != nil {
		return nil, err
	}
	show := func(w *api.Response, r *api.Request) error {
		return page.Write(w, r, http.StatusOK, web.View{Title: site.Say("publish.title"), Description: site.Say("publish.lead")})
	}
	return []api.Route{{Method: http.MethodGet, Pattern: "/publish", Access: api.Visitors, Serve: show}}, nil
}
