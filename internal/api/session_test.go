package api

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/stoa-project/stoa"
)

// oneSession knows the token "good"; "broken" fails.
type oneSession struct{}

func (oneSession) Session(_ context.Context, token string, _ time.Time) (stoa.Caller, error) {
	switch token {
	case "good":
		return stoa.Caller{Account: "ada"}, nil
	case "admins":
		return stoa.Caller{Account: "root", Admin: true}, nil
	case "broken":
		return stoa.Caller{}, errors.New("the database")
	}
	return stoa.Caller{}, stoa.Errorf(stoa.Unauthenticated, "authorization required")
}

func whoRoute(method, pattern string, access Access) Route {
	return Route{Method: method, Pattern: pattern, Access: access, Serve: func(w *Response, r *Request) error {
		by := "key"
		if r.BySession {
			by = "session"
		}
		return WriteJSON(w, 200, r.Caller.Account+" "+by)
	}}
}

func sessionServer(t *testing.T, cfg Config) http.Handler {
	t.Helper()
	cfg.Sessions = oneSession{}
	return build(t, cfg,
		whoRoute("", "/anyone", Anyone), whoRoute("", "/visitors", Visitors), whoRoute("", "/keyed", Keyed), whoRoute("", "/admins", Admins))
}

func TestSessionsInPlaceOfKeys(t *testing.T) {
	h := sessionServer(t, Config{})
	for _, c := range []struct {
		path, cookie, auth string
		status             int
		says               string
	}{
		{"/anyone", "good", "", 200, `" key"`},
		{"/visitors", "good", "", 200, `"ada session"`},
		{"/visitors", "stale", "", 200, `" key"`},
		{"/visitors", "", "", 200, `" key"`},
		{"/visitors", "broken", "", 500, "internal error"},
		{"/keyed", "good", "", 200, `"ada session"`},
		{"/keyed", "stale", "", 401, "authorization required"},
		{"/keyed", "", "", 401, "authorization required"},
		{"/keyed", "broken", "", 500, "internal error"},
		{"/admins", "good", "", 403, "ada is none"},
		{"/admins", "admins", "", 200, `"root session"`},
		// A key comes first, and a wrong one is not made up for.
		{"/keyed", "good", "Simple k", 200, `"me key"`},
		{"/keyed", "good", "Simple wrong", 401, "authorization required"},
		{"/keyed", "good", " ", 401, "authorization required"},
		{"/visitors", "good", "Simple wrong", 401, "authorization required"},
		{"/visitors", "good", " ", 200, `" key"`},
	} {
		r := httptest.NewRequest("GET", c.path, nil)
		if c.cookie != "" {
			r.AddCookie(&http.Cookie{Name: "stoa_session", Value: c.cookie})
		}
		if c.auth != "" {
			r.Header.Set("Authorization", c.auth)
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != c.status || !strings.Contains(w.Body.String(), c.says) {
			t.Errorf("%s with cookie %q and key %q: %d %s", c.path, c.cookie, c.auth, w.Code, w.Body)
		}
	}
	// Without Sessions there are none.
	h = build(t, Config{}, whoRoute("", "/keyed", Keyed))
	r := httptest.NewRequest("GET", "/keyed", nil)
	r.AddCookie(&http.Cookie{Name: "stoa_session", Value: "good"})
	w := httptest.NewRecorder()
	if h.ServeHTTP(w, r); w.Code != 401 {
		t.Errorf("without sessions: %d", w.Code)
	}
}

// What a cookie alone may do must come from a page of this server.
func TestForgedRequests(t *testing.T) {
	var log bytes.Buffer
	h := sessionServer(t, Config{PublicURL: "https://Stoa.example/", Log: slog.New(slog.NewTextHandler(&log, nil))})
	for _, c := range []struct {
		method, site, origin string
		status               int
	}{
		{"GET", "cross-site", "https://evil.example", 200},
		{"HEAD", "cross-site", "", 200},
		{"OPTIONS", "cross-site", "", 200},
		{"POST", "same-origin", "", 200},
		{"POST", "same-origin", "https://stoa.example", 200},
		{"POST", "cross-site", "", 403},
		{"POST", "same-site", "", 403},
		{"POST", "same-site", "http://inside:8080", 403},
		{"POST", "none", "", 403},
		{"POST", "", "https://stoa.example", 200},
		{"POST", "", "http://inside:8080", 200},
		{"POST", "", "https://inside:8080", 200},
		{"POST", "", "http://inside:8081", 403},
		{"POST", "", "http://inside", 403},
		{"POST", "", "http://stoa.example", 403},
		{"POST", "", "https://evil.example", 403},
		{"POST", "", "https://stoa.example.evil.example", 403},
		{"POST", "", "null", 403},
		{"POST", "", "inside:8080", 403},
		{"POST", "", "", 403},
		{"PUT", "", "", 403},
		{"PATCH", "", "", 403},
		{"DELETE", "cross-site", "", 403},
	} {
		for _, path := range []string{"/keyed", "/visitors"} {
			ask := func(cookie, auth string) *httptest.ResponseRecorder {
				r := httptest.NewRequest(c.method, "http://inside:8080"+path, nil)
				if cookie != "" {
					r.AddCookie(&http.Cookie{Name: "__Host-stoa_session", Value: cookie})
				}
				if auth != "" {
					r.Header.Set("Authorization", auth)
				}
				if c.site != "" {
					r.Header.Set("Sec-Fetch-Site", c.site)
				}
				if c.origin != "" {
					r.Header.Set("Origin", c.origin)
				}
				w := httptest.NewRecorder()
				h.ServeHTTP(w, r)
				return w
			}
			if w := ask("good", ""); w.Code != c.status || c.status == 403 && !strings.Contains(w.Body.String(), "or with a key") {
				t.Errorf("%s %s from %q %q: %d %s, want %d", c.method, path, c.site, c.origin, w.Code, w.Body, c.status)
			}
			if w := ask("good", "k"); w.Code != 200 {
				t.Errorf("%s %s with a key: %d", c.method, path, w.Code)
			}
		}
	}
	if strings.Contains(log.String(), "good") {
		t.Errorf("the log holds the cookie: %s", log.String())
	}
}

func TestCookies(t *testing.T) {
	expires := time.Date(2026, 3, 31, 12, 0, 0, 0, time.UTC)
	set := Route{Method: "POST", Pattern: "/in", Access: Anyone, Serve: func(w *Response, r *Request) error {
		w.SetSession("tok-"+r.SessionToken(), expires)
		return nil
	}}
	end := Route{Method: "POST", Pattern: "/out", Access: Anyone, Serve: func(w *Response, _ *Request) error {
		w.EndSession()
		return nil
	}}
	for _, c := range []struct {
		public, url, name, want string
	}{
		{"", "http://a:1", "stoa_session", "stoa_session=%s; Path=/; %sHttpOnly; SameSite=Strict"},
		{"http://b", "http://a:1", "stoa_session", "stoa_session=%s; Path=/; %sHttpOnly; SameSite=Strict"},
		{"https://b", "http://a:1", "__Host-stoa_session", "__Host-stoa_session=%s; Path=/; %sHttpOnly; Secure; SameSite=Strict"},
		{"", "https://a:1", "__Host-stoa_session", "__Host-stoa_session=%s; Path=/; %sHttpOnly; Secure; SameSite=Strict"},
	} {
		h := build(t, Config{PublicURL: c.public}, set, end)
		ask := func(path string) string {
			r := httptest.NewRequest("POST", c.url+path, nil)
			for _, name := range []string{"stoa_session", "__Host-stoa_session"} {
				r.AddCookie(&http.Cookie{Name: name, Value: "of" + name})
			}
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			return w.Header().Get("Set-Cookie")
		}
		want := strings.NewReplacer("%s; Path", "tok-of"+c.name+"; Path", "%s", "Expires=Tue, 31 Mar 2026 12:00:00 GMT; ").Replace(c.want)
		if got := ask("/in"); got != want {
			t.Errorf("%s %s: %s\nwant %s", c.public, c.url, got, want)
		}
		want = strings.NewReplacer("%s; Path", "; Path", "%s", "Max-Age=0; ").Replace(c.want)
		if got := ask("/out"); got != want {
			t.Errorf("%s %s: %s\nwant %s", c.public, c.url, got, want)
		}
	}
}

func TestNewRefusesAnOddPublicURL(t *testing.T) {
	for _, u := range []string{"stoa.example", "ftp://stoa.example", "https://", ":"} {
		if _, err := New(Config{PublicURL: u}); stoa.KindOf(err) != stoa.Invalid {
			t.Errorf("%s: %v", u, err)
		}
	}
}

func TestAddress(t *testing.T) {
	for _, c := range []struct {
		forwarded bool
		remote    string
		hops      []string
		want      string
	}{
		{false, "192.0.2.1:5", nil, "192.0.2.1"},
		{false, "[2001:db8::1]:5", nil, "2001:db8::1"},
		{false, "192.0.2.1:5", []string{"198.51.100.1"}, "192.0.2.1"},
		{true, "127.0.0.1:5", []string{"198.51.100.1"}, "198.51.100.1"},
		{true, "127.0.0.1:5", []string{"203.0.113.9, 198.51.100.2"}, "198.51.100.2"},
		{true, "127.0.0.1:5", []string{"203.0.113.9", "203.0.113.8,2001:db8::2"}, "2001:db8::2"},
		{true, "127.0.0.1:5", []string{"unknown"}, "127.0.0.1"},
		{true, "127.0.0.1:5", nil, "127.0.0.1"},
		{false, "@", nil, ""},
	} {
		r := &Request{Request: httptest.NewRequest("GET", "/", nil), place: &place{forwarded: c.forwarded}}
		r.RemoteAddr = c.remote
		r.Header["X-Forwarded-For"] = c.hops
		want := netip.Addr{}
		if c.want != "" {
			want = netip.MustParseAddr(c.want)
		}
		if got := r.Address(); got != want {
			t.Errorf("%+v: %v", c, got)
		}
	}
}

// FuzzSameOrigin tries what may be written in the headers: only an Origin whose
// host is the request's passes.
func FuzzSameOrigin(f *testing.F) {
	for _, s := range []string{"http://a", "https://a", "null", "", "http://a:80", "http://b@a", "http://a/", "://a", "a", "http://A", "javascript://a"} {
		f.Add(s, "203.0.113.9, x")
	}
	f.Fuzz(func(t *testing.T, origin, hops string) {
		r := &Request{Request: httptest.NewRequest("POST", "http://a/", nil), place: &place{forwarded: true}}
		r.Header["Origin"], r.Header["X-Forwarded-For"] = []string{origin}, []string{hops}
		r.Address()
		if r.SameOrigin() == nil && !strings.Contains(strings.ToLower(origin), "//a") && !strings.Contains(origin, "@") {
			t.Errorf("%q passed", origin)
		}
	})
}
