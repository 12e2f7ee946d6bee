// Package api is the landing that all doors share. It promises every door the
// same things: a request id, authentication as the route declares it, one table
// from the kinds of errors to statuses, bounded bodies, one line in the access
// log a request without any key in it, and that a panic in a handler ends as a
// 500 and a log line. Doors only translate their dialect.
package api

import (
	"context"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/stoa-project/stoa"
)

// Authenticator tells who holds a key; package account's Accounts is one.
type Authenticator interface {
	Authenticate(ctx context.Context, key string) (stoa.Caller, error)
}

// Access says who may use a route. The zero Access is no answer, and refused.
type Access uint8

// Who may use a route. Where there is no Authorization header, the cookie of a
// session does for a key.
const (
	Anyone   Access = iota + 1 // without a key; one that is sent is not looked at
	Visitors                   // with or without a key: a stranger is the zero Caller, a wrong key is refused, a stale cookie is not looked at
	Keyed                      // whoever holds a valid key
	Admins                     // whoever holds an administrator's key
)

// Handler answers one request. An error that it returns is written in the
// dialect of its door, unless the handler has begun to answer already.
type Handler func(w *Response, r *Request) error

// Route is one row of a door's table of contents.
type Route struct {
	Method  string // "" for all
	Pattern string // of http.ServeMux, without method and host
	// Ahead mounts the route ahead of the mux: Pattern is then a prefix of the
	// escaped path, and the handler parses what follows it. The mux would clean
	// and redirect such paths.
	Ahead  bool
	Access Access
	Serve  Handler
}

// Door is one dialect: its routes, and how it writes an error.
type Door struct {
	Name   string
	Routes []Route
	// WriteError writes an error in the door's dialect; nil means WriteError of
	// this package.
	WriteError func(w *Response, r *Request, err *stoa.Error)
}

// Config is what New needs.
type Config struct {
	Auth     Authenticator
	Sessions Sessions // nil: no cookie is looked at
	// PublicURL is where browsers see the server; "" takes the request's host.
	PublicURL string
	// Forwarded: a proxy stands before the server and writes X-Forwarded-For.
	Forwarded bool
	Doors     []Door
	Log       *slog.Logger                    // nil: no log
	Ready     func(ctx context.Context) error // nil: always ready
	Metrics   http.Handler                    // nil: no /metrics
	// Observe is told of every answer, for metrics; route is the pattern, which
	// has few values. nil: nobody is told.
	Observe func(route string, status int, took time.Duration)
}

// mounted is a route with its door.
type mounted struct {
	Route
	writeError func(w *Response, r *Request, err *stoa.Error)
}

type server struct {
	cfg   Config
	place place
	log   *slog.Logger
	ahead []*mounted
	mux   *http.ServeMux
}

// New builds the whole handler from its doors. It refuses a route that does not
// declare who may use it, and routes that contradict each other.
func New(cfg Config) (http.Handler, error) {
	s := &server{cfg: cfg, log: cfg.Log, mux: http.NewServeMux()}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	var err error
	if s.place, err = placeOf(cfg); err != nil {
		return nil, err
	}
	for _, d := range append([]Door{s.ownDoor()}, cfg.Doors...) {
		if d.WriteError == nil {
			d.WriteError = WriteError
		}
		for _, r := range d.Routes {
			if r.Access < Anyone || r.Access > Admins || r.Serve == nil {
				return nil, stoa.Errorf(stoa.Internal, "door %s: route %s %s does not say who may use it", d.Name, r.Method, r.Pattern)
			}
			m := &mounted{Route: r, writeError: d.WriteError}
			if r.Ahead {
				s.ahead = append(s.ahead, m)
				continue
			}
			if err := s.handle(m); err != nil {
				return nil, err
			}
		}
	}
	// The longest prefix wins.
	slices.SortStableFunc(s.ahead, func(a, b *mounted) int { return len(b.Pattern) - len(a.Pattern) })
	return s, nil
}

// handle mounts a route on the mux, whose panic over patterns in conflict it
// turns into an error.
func (s *server) handle(m *mounted) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = stoa.Errorf(stoa.Internal, "route %s %s: %v", m.Method, m.Pattern, p)
		}
	}()
	s.mux.HandleFunc(strings.TrimSpace(m.Method+" "+m.Pattern), func(w http.ResponseWriter, r *http.Request) {
		res, ok := w.(*Response)
		if !ok {
			http.Error(w, "internal error", http.StatusInternalServerError)
			return
		}
		res.req.Request = r
		s.serve(m, res, res.req)
	})
	return nil
}

// ownDoor holds the routes that belong to no dialect.
func (s *server) ownDoor() Door {
	d := Door{Name: "api", Routes: []Route{
		{Method: http.MethodGet, Pattern: "/healthz", Access: Anyone, Serve: func(w *Response, _ *Request) error {
			return WriteJSON(w, http.StatusOK, map[string]string{"status": "ok"})
		}},
		{Method: http.MethodGet, Pattern: "/readyz", Access: Anyone, Serve: s.ready},
	}}
	if s.cfg.Metrics != nil {
		d.Routes = append(d.Routes, Route{
			Method: http.MethodGet, Pattern: "/metrics", Access: Anyone,
			Serve: func(w *Response, r *Request) error {
				s.cfg.Metrics.ServeHTTP(w, r.Request)
				return nil
			},
		})
	}
	return d
}

func (s *server) ready(w *Response, r *Request) error {
	if s.cfg.Ready != nil {
		if err := s.cfg.Ready(r.Context()); err != nil {
			e := *stoa.AsError(err)
			if e.Kind == stoa.Internal {
				e.Kind = stoa.Unavailable
			}
			return &e
		}
	}
	return WriteJSON(w, http.StatusOK, map[string]string{"status": "ready"})
}

// ServeHTTP takes a request from its first line to its line in the log.
func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	x := &exchange{}
	x.req = Request{Request: r, Received: time.Now(), ID: requestID(r.Header), place: &s.place}
	x.res = Response{w: w, req: &x.req, id: [1]string{x.req.ID}}
	h := w.Header()
	h["X-Request-Id"] = x.res.id[:]
	h["X-Content-Type-Options"] = nosniff
	defer s.finish(x)
	path := r.URL.EscapedPath()
	for _, m := range s.ahead {
		if strings.HasPrefix(path, m.Pattern) {
			if m.Method != "" && m.Method != r.Method {
				x.res.notAllowed(m.Method, m.writeError)
				return
			}
			s.serve(m, &x.res, &x.req)
			return
		}
	}
	if next, pattern := s.mux.Handler(r); pattern == "" {
		s.missed(next, &x.res)
		return
	}
	s.mux.ServeHTTP(&x.res, r)
}

// serve lets in whom the route allows, and writes the handler's error.
func (s *server) serve(m *mounted, w *Response, r *Request) {
	w.route = m.Pattern
	err := s.admit(m, r)
	if err == nil {
		err = m.Serve(w, r)
	}
	if err == nil {
		return
	}
	e := stoa.AsError(err)
	w.Note(e)
	if w.status == 0 {
		m.writeError(w, r, e)
	}
}

func (s *server) admit(m *mounted, r *Request) error {
	if m.Access == Anyone {
		return nil
	}
	if len(r.Header["Authorization"]) == 0 {
		if err := s.admitCookie(m, r); err != nil {
			return err
		}
	} else if err := s.admitKey(m, r); err != nil {
		return err
	}
	if m.Access == Admins && !r.Caller.Admin {
		return stoa.Errorf(stoa.Forbidden, "only an administrator may do this, and %s is none", r.Caller.Account)
	}
	return nil
}

// admitKey lets in whom the key knows; an empty header is a stranger's.
func (s *server) admitKey(m *mounted, r *Request) error {
	key := Key(r.Header)
	if key == "" && m.Access == Visitors {
		return nil
	}
	if key == "" || s.cfg.Auth == nil {
		return stoa.Errorf(stoa.Unauthenticated, "authorization required")
	}
	who, err := s.cfg.Auth.Authenticate(r.Context(), key)
	r.Caller = who
	return err
}

// missed answers where no route matches: 405 with Allow where only the method
// is wrong, else 404. The mux knows which, and tells it in its own handler's
// answer.
func (s *server) missed(next http.Handler, w *Response) {
	probe := &probe{header: http.Header{}}
	next.ServeHTTP(probe, w.req.Request)
	if probe.status == http.StatusMethodNotAllowed {
		w.notAllowed(probe.header.Get("Allow"), WriteError)
		return
	}
	e := stoa.Errorf(stoa.NotFound, "there is nothing at %.200s %.200q: the routes are listed in docs/api.md", w.req.Method, w.req.URL.Path)
	w.Note(e)
	WriteError(w, w.req, e)
}

func (w *Response) notAllowed(allow string, write func(*Response, *Request, *stoa.Error)) {
	w.Header().Set("Allow", allow)
	e := stoa.Errorf(stoa.Invalid, "%.50s is not possible here: use %s", w.req.Method, allow)
	w.Note(e)
	w.override = http.StatusMethodNotAllowed
	write(w, w.req, e)
}

// probe takes an answer apart that is not sent.
type probe struct {
	header http.Header
	status int
}

func (p *probe) Header() http.Header         { return p.header }
func (p *probe) Write(b []byte) (int, error) { return len(b), nil }
func (p *probe) WriteHeader(status int)      { p.status = status }
