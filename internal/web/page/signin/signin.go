// Package signin is the page where a browser becomes somebody: by a link that
// works once, or by a key. Either is exchanged for a session in a cookie, which
// no script can read.
package signin

import (
	"context"
	"embed"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/account"
	"github.com/stoa-project/stoa/internal/api"
	"github.com/stoa-project/stoa/internal/web"
)

// Accounts makes and ends sessions; package account's Accounts is one.
type Accounts interface {
	SignIn(ctx context.Context, key string, now time.Time) (account.Token, error)
	SignInByLink(ctx context.Context, token string, now time.Time) (account.Token, error)
	SignOut(ctx context.Context, token string) error
}

// wrongKeys is how many wrong keys an address may try in a minute. No key is
// found by guessing; it keeps the attempts from being many.
const wrongKeys = 10

// maxForm is far above a key and a path.
const maxForm = 8 << 10

//go:embed signin.tmpl
var files embed.FS

type pages struct {
	site     *web.Site
	people   Accounts
	attempts *account.Limiter
	page     *web.Page
}

// Routes makes the page.
func Routes(site *web.Site, people Accounts) ([]api.Route, error) {
	p := &pages{site: site, people: people, attempts: account.NewLimiter(wrongKeys, wrongKeys)}
	var err error
	if p.page, err = site.Page(files, "signin"); err != nil {
		return nil, err
	}
	return []api.Route{
		{Method: http.MethodGet, Pattern: "/sign-in", Access: api.Visitors, Serve: p.show},
		{Method: http.MethodPost, Pattern: "/sign-in", Access: api.Anyone, Serve: p.exchange},
		{Method: http.MethodPost, Pattern: "/sign-out", Access: api.Anyone, Serve: p.signOut},
	}, nil
}

// view is what the page shows: a form, with what was wrong; or that somebody is
// signed in.
type view struct {
	Fault string
	Next  string // local path to go to afterwards
	Done  bool
}

func (p *pages) write(w *api.Response, r *api.Request, status int, v view) error {
	w.Header().Set("Cache-Control", "no-store")
	return p.page.Write(w, r, status, web.View{Title: p.site.Say("signin.title"), Page: v})
}

// fail shows the form with what was wrong.
func (p *pages) fail(w *api.Response, r *api.Request, next string, e *stoa.Error) error {
	api.ErrorHeaders(w, e)
	return p.write(w, r, api.Status(e.Kind), view{Fault: api.Message(e), Next: next})
}

func (p *pages) show(w *api.Response, r *api.Request) error {
	q := r.URL.Query()
	next := local(q.Get("next"))
	if q.Has("link") {
		return p.byLink(w, r, q.Get("link"), next)
	}
	return p.write(w, r, http.StatusOK, view{Next: next})
}

// byLink signs in by a link. The answer is a page that goes on by itself, since
// a redirect would lose the cookie: in a chain of requests that began with a
// click on another site, browsers send no cookie that is SameSite=Strict.
func (p *pages) byLink(w *api.Response, r *api.Request, link, next string) error {
	// What fetches ahead, or only looks whether the page is there, must not use
	// the link up.
	if r.Method != http.MethodGet || strings.Contains(r.Header.Get("Sec-Purpose")+r.Header.Get("Purpose"), "prefetch") {
		w.Header().Set("Cache-Control", "no-store")
		w.WriteHeader(http.StatusServiceUnavailable)
		return nil
	}
	t, err := p.people.SignInByLink(r.Context(), link, r.Received)
	switch kind := stoa.KindOf(err); {
	case err == nil:
		w.SetSession(t.Secret, t.Expires)
		w.Header().Set("Refresh", "0; url="+next)
		return p.write(w, r, http.StatusOK, view{Next: next, Done: true})
	case kind == stoa.Conflict:
		return p.fail(w, r, next, stoa.Wrap(stoa.Unauthenticated, err, "%s", p.site.Say("signin.used")))
	case kind == stoa.NotFound:
		return p.fail(w, r, next, stoa.Wrap(stoa.Unauthenticated, err, "%s", p.site.Say("signin.expired")))
	}
	return err
}

// exchange takes a key for a session. It must come from this page: else another
// could sign a visitor in as somebody else, and see what he does as him.
func (p *pages) exchange(w *api.Response, r *api.Request) error {
	if err := r.SameOrigin(); err != nil {
		return p.fail(w, r, local(""), stoa.AsError(err))
	}
	key, next, err := readForm(r)
	if err != nil {
		return p.fail(w, r, local(""), stoa.AsError(err))
	}
	if err := p.attempts.Take(r.Address(), r.Received); err != nil {
		return p.fail(w, r, next, stoa.AsError(err))
	}
	t, err := p.people.SignIn(r.Context(), key, r.Received)
	if err != nil {
		if stoa.KindOf(err) == stoa.Unauthenticated {
			err = stoa.Wrap(stoa.Unauthenticated, err, "%s", p.site.Say("signin.wrong"))
		}
		return p.fail(w, r, next, stoa.AsError(err))
	}
	p.attempts.GiveBack(r.Address(), r.Received)
	w.SetSession(t.Secret, t.Expires)
	return seeOther(w, next)
}

func (p *pages) signOut(w *api.Response, r *api.Request) error {
	if err := r.SameOrigin(); err != nil {
		return err
	}
	if err := p.people.SignOut(r.Context(), r.SessionToken()); err != nil {
		return err
	}
	w.EndSession()
	return seeOther(w, "/")
}

func seeOther(w *api.Response, path string) error {
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Location", path)
	w.WriteHeader(http.StatusSeeOther)
	return nil
}

func readForm(r *api.Request) (key, next string, err error) {
	b, err := api.ReadBody(r, maxForm)
	if err != nil {
		return "", "", err
	}
	form, err := url.ParseQuery(string(b))
	if err != nil {
		return "", "", stoa.Wrap(stoa.Invalid, err, "the form cannot be read: send it from the page")
	}
	return strings.TrimSpace(form.Get("key")), local(form.Get("next")), nil
}

// local gives a path of this server, or "/" for whatever is none. Browsers read
// a backslash as a slash and pass over tabs and line breaks, so that what looks
// like a path may be another host.
func local(path string) string {
	if !strings.HasPrefix(path, "/") || strings.HasPrefix(path, "//") || len(path) > 2000 {
		return "/"
	}
	for i := range len(path) {
		if c := path[i]; c <= ' ' || c >= 0x7f || c == '\\' || c == ';' {
			return "/"
		}
	}
	if u, err := url.Parse(path); err != nil || u.Host != "" || u.Scheme != "" {
		return "/"
	}
	return path
}
