package api

import (
	"context"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/stoa-project/stoa"
)

// Sessions tells who is signed in by the token of a session's cookie; package
// account's Accounts is one.
type Sessions interface {
	Session(ctx context.Context, token string, now time.Time) (stoa.Caller, error)
}

// The names of the session's cookie. Browsers take the second from nobody but
// this very host, over TLS: no neighbour under the same domain can set it.
const (
	cookieName       = "stoa_session"
	secureCookieName = "__Host-stoa_session"
)

// place is where browsers see the server.
type place struct {
	origin string // of the public URL, "" where the request's host says it
	secure bool   // the public URL is one of https
	// forwarded: a proxy writes the caller's address.
	forwarded bool
}

func placeOf(cfg Config) (place, error) {
	p := place{forwarded: cfg.Forwarded}
	if cfg.PublicURL == "" {
		return p, nil
	}
	u, err := url.Parse(cfg.PublicURL)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return p, stoa.Errorf(stoa.Invalid, "public URL %.200q: write one such as https://stoa.example.org", cfg.PublicURL)
	}
	p.origin, p.secure = u.Scheme+"://"+strings.ToLower(u.Host), u.Scheme == "https"
	return p, nil
}

func (r *Request) secure() bool { return r.place.secure || r.TLS != nil }

// SessionToken gives what the session's cookie holds; "" where there is none.
func (r *Request) SessionToken() string {
	name := cookieName
	if r.secure() {
		name = secureCookieName
	}
	c, err := r.Cookie(name)
	if err != nil {
		return ""
	}
	return c.Value
}

// SetSession gives the browser the session's cookie: no script reads it, and it
// comes with no request that another site began.
func (w *Response) SetSession(token string, expires time.Time) {
	http.SetCookie(w, w.cookie(token, expires))
}

// EndSession takes the session's cookie back.
func (w *Response) EndSession() {
	c := w.cookie("", time.Time{}) //nolint:gosec // its attributes are those of SetSession's
	c.MaxAge = -1
	http.SetCookie(w, c)
}

func (w *Response) cookie(token string, expires time.Time) *http.Cookie {
	name := cookieName
	if w.req.secure() {
		name = secureCookieName
	}
	return &http.Cookie{ //nolint:gosec // Secure wherever the server is reached over TLS; there is no other way without it
		Name: name, Value: token, Path: "/", Expires: expires,
		HttpOnly: true, Secure: w.req.secure(), SameSite: http.SameSiteStrictMode,
	}
}

// SameOrigin is nil where the request shows that a page of this server made it:
// Forbidden otherwise. What a browser does by its cookie alone must show it, or
// any page could do it in its name. Unlike http.CrossOriginProtection it takes
// no silence for a yes: browsers that say neither Sec-Fetch-Site nor Origin are
// older than SameSite=Strict, and programs have keys.
func (r *Request) SameOrigin() error {
	origin := r.Header.Get("Origin")
	switch site := r.Header.Get("Sec-Fetch-Site"); {
	case site == "same-origin":
		return nil
	case site != "":
		return stoa.Errorf(stoa.Forbidden, "this request was made by a page of another site (Sec-Fetch-Site: %.20s): do it from a page of this server, or with a key", site)
	case origin == "":
		return stoa.Errorf(stoa.Forbidden, "this request does not say which page made it (it has neither Sec-Fetch-Site nor Origin): do it from a page of this server, or with a key")
	case r.place.origin != "" && strings.EqualFold(origin, r.place.origin):
		return nil
	}
	// The scheme is not compared: behind a proxy with TLS it differs from ours.
	if u, err := url.Parse(origin); err == nil && u.Host != "" && strings.EqualFold(u.Host, r.Host) {
		return nil
	}
	return stoa.Errorf(stoa.Forbidden, "this request was made by a page of another site (Origin: %.100s): do it from a page of this server, or with a key", origin)
}

// Address gives the caller's address: that of the connection, or where a proxy
// is told of, the last that it has written. It is zero where there is none.
func (r *Request) Address() netip.Addr {
	if r.place.forwarded {
		if hops := r.Header.Values("X-Forwarded-For"); len(hops) > 0 {
			last := hops[len(hops)-1]
			last = strings.TrimSpace(last[strings.LastIndexByte(last, ',')+1:])
			if a, err := netip.ParseAddr(last); err == nil {
				return a
			}
		}
	}
	a, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	return a.Addr()
}

// admitCookie lets in whom the session's cookie knows; a request without any is
// a stranger's.
func (s *server) admitCookie(m *mounted, r *Request) error {
	stranger := func(err error) error {
		if m.Access == Visitors {
			return nil
		}
		return err
	}
	token := ""
	if s.cfg.Sessions != nil {
		token = r.SessionToken()
	}
	if token == "" {
		return stranger(stoa.Errorf(stoa.Unauthenticated, "authorization required"))
	}
	who, err := s.cfg.Sessions.Session(r.Context(), token, r.Received)
	if err != nil {
		if stoa.KindOf(err) == stoa.Unauthenticated {
			return stranger(err)
		}
		return err
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead && r.Method != http.MethodOptions {
		if err := r.SameOrigin(); err != nil {
			return err
		}
	}
	r.Caller, r.BySession = who, true
	return nil
}
