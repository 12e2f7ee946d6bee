package serve

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/api"
	"github.com/stoa-project/stoa/internal/egress"
	"github.com/stoa-project/stoa/internal/fleet/process"
	"github.com/stoa-project/stoa/internal/invoke"
)

// replicaKey is what a replica has for a key: clients want one of that form. It
// says nothing: who is calling is known by the socket and the call under way.
const replicaKey = "simStandsForWhoeverIsCalling"

// gateway is what code reaches from within its replica: calls of other algorithms,
// made for whoever called it, and the way out. Each replica has sockets of its
// own, so that nobody has to be believed about who he is.
type gateway struct {
	calls   *invoke.Service
	people  api.Authenticator
	hosts   []string // that the operator lets code reach
	log     *slog.Logger
	handler http.Handler // of calls
	server  *http.Server
}

// newGateway makes the gateway. Of the doors it opens the calls only: code may not
// publish, remove or read in its caller's name.
func newGateway(g gateway, calls api.Door, path string) (*gateway, error) {
	calls.Routes = slices.DeleteFunc(slices.Clone(calls.Routes), func(r api.Route) bool { return r.Pattern != path })
	var err error
	if g.handler, err = api.New(api.Config{Auth: known{}, Doors: []api.Door{calls}, Log: g.log}); err != nil {
		return nil, err
	}
	g.server = &http.Server{
		Handler: &g, ReadHeaderTimeout: readHeaderTimeout, IdleTimeout: 2 * time.Minute, ConnContext: api.ConnContext,
		BaseContext: func(ln net.Listener) context.Context {
			d, _ := ln.(doorListener)
			return context.WithValue(context.Background(), doorKey{}, d.doors)
		},
	}
	return &g, nil
}

type (
	doorKey   struct{}
	callerKey struct{}
)

// doorListener is a replica's listener, which knows whose it is.
type doorListener struct {
	net.Listener
	doors *process.Doors
}

// open serves the doors of a replica until closed; see process.Code.
func (g *gateway) open(d process.Doors) (closed func()) {
	ctx, cancel := context.WithCancel(context.Background())
	go func() { _ = g.server.Serve(doorListener{d.API, &d}) }() // it ends with the listener
	if d.Egress != nil {
		go g.way(ctx, d)
	}
	return func() {
		cancel()
		_ = d.API.Close()
		if d.Egress != nil {
			_ = d.Egress.Close()
		}
	}
}

// way is a replica's way out: to the hosts that its version names and the operator
// allows.
func (g *gateway) way(ctx context.Context, d process.Doors) {
	proxy, err := egress.New(egress.Policy{
		Allow: d.Network, Within: append([]string{}, g.hosts...), Named: true, Upstream: upstream,
		Log: func(a egress.Attempt) {
			g.log.InfoContext(ctx, "a replica's way out", "label", d.Handle.Label, "attempt", a)
		},
	})
	if err == nil {
		err = proxy.Serve(ctx, d.Egress)
	}
	if err != nil && ctx.Err() == nil {
		g.log.ErrorContext(ctx, "a replica has no way out", "label", d.Handle.Label, "cause", err)
	}
}

// upstream gives the proxy that this machine itself must use, by its environment.
func upstream(u *url.URL) (*url.URL, error) {
	return http.ProxyFromEnvironment(&http.Request{URL: u})
}

// ServeHTTP finds out on whose behalf a replica's request is, and hands it on.
func (g *gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	d, _ := r.Context().Value(doorKey{}).(*process.Doors)
	who, id, err := g.caller(r.Context(), d, api.Key(r.Header))
	ctx := context.WithValue(r.Context(), callerKey{}, answer{who, err})
	r = r.WithContext(ctx)
	r.Header.Set("Authorization", "Bearer "+replicaKey)
	if id != "" {
		r.Header.Set("X-Request-Id", id)
	}
	r.Header.Del("Cookie")
	g.handler.ServeHTTP(w, r)
}

// caller tells who is calling by the key that a replica sent: a call's token; its
// own key or none, which mean the one call that it works on; or a user's key that
// its author gave it.
func (g *gateway) caller(ctx context.Context, d *process.Doors, key string) (stoa.Caller, string, error) {
	tokens := d.Tokens()
	switch {
	case slices.Contains(tokens, key):
		return g.child(key)
	case key != "" && key != replicaKey:
		who, err := g.people.Authenticate(ctx, key)
		if err != nil {
			return stoa.Caller{}, "", err
		}
		who.Admin = false
		if len(tokens) != 1 {
			return who, "", nil
		}
		// As whom it calls is the author's business; whose child the call is, is not.
		parent, id, err := g.child(tokens[0])
		who.Parent = parent.Parent
		return who, id, err
	case len(tokens) == 0:
		return stoa.Caller{}, "", stoa.Errorf(stoa.Unauthenticated, "this algorithm is working on no call, so that there is nobody to call others for: call them within apply")
	case len(tokens) > 1:
		return stoa.Caller{}, "", stoa.Errorf(stoa.Unauthenticated, "this algorithm is working on %d calls, and it cannot be told for which of them this one is: use the call's own token as the key", len(tokens))
	}
	return g.child(tokens[0])
}

func (g *gateway) child(token string) (stoa.Caller, string, error) {
	who, id, ok := g.calls.Child(token)
	if !ok {
		return who, "", stoa.Errorf(stoa.Unauthenticated, "the call that this one was made for has ended")
	}
	return who, id, nil
}

// answer is what was found out of a caller.
type answer struct {
	who stoa.Caller
	err error
}

// known is the Authenticator behind the gateway, which has found out already.
type known struct{}

// Authenticate gives who was found; see api.Authenticator.
func (known) Authenticate(ctx context.Context, _ string) (stoa.Caller, error) {
	a, ok := ctx.Value(callerKey{}).(answer)
	if !ok {
		return stoa.Caller{}, stoa.Errorf(stoa.Unauthenticated, "authorization required")
	}
	return a.who, a.err
}
