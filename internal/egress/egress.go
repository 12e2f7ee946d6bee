// Package egress is the way out of a sandbox: an HTTP proxy on a socket of its
// own for each sandbox. It lets through what a list names and refuses all else
// with a sentence. The list is enforced on addresses: a name is resolved once, by
// us, the address must be a public one, and that very address is dialled, so that
// no answer of a name server leads to this machine or its network. It knows
// nothing of users, builds or replicas.
package egress

import (
	"context"
	"io"
	"log"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"sync"
	"time"

	"github.com/stoa-project/stoa"
)

// Policy says what may be reached, and how.
type Policy struct {
	// Allow lists hosts: a name or an address, *.name for all names below one, * for
	// all; each may have a port, as in host:8443 or [::1]:8080, and has 80 and 443
	// where it has none.
	Allow []string
	// Within is a second list that must allow a host too, where it is not nil: an
	// author asks for hosts (Allow), and the operator bounds what may be asked for.
	Within []string
	// Named lets a host have an address that is not public where a list names it by
	// its very name or address, not by a star: Within where there is one, as an
	// author must not name the operator's network, else Allow.
	Named bool

	Resolver Resolver // default net.DefaultResolver
	// Dial connects to an address that was checked, or to a proxy of Upstream;
	// default a net.Dialer.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// Upstream gives the proxy that this machine itself must use for a URL, or nil;
	// such as the function of a httpproxy.Config. It gets the name and resolves it
	// again, so that behind it the list is enforced on names, and on addresses as far
	// as this machine can resolve them.
	Upstream func(*url.URL) (*url.URL, error)
	// Local gives this machine's own addresses, which are as private as loopback;
	// default net.InterfaceAddrs.
	Local func() ([]net.Addr, error)
	// Log is told of every attempt when it is allowed or refused. It may be called
	// from many goroutines.
	Log func(Attempt)

	Limits Limits
}

// Resolver finds the addresses of a name. *net.Resolver is one.
type Resolver interface {
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
}

// Limits bound what one sandbox takes of the proxy. Zero means the default.
type Limits struct {
	Connections int           // at once; more wait; default 64
	Header      int           // bytes of a request's head; default 16 KiB
	Connect     time.Duration // to resolve and connect; default 30 s
	Idle        time.Duration // without a byte in either direction; default 2 min
}

func (l Limits) filled() Limits {
	if l.Connections == 0 {
		l.Connections = 64
	}
	if l.Header == 0 {
		l.Header = 16 << 10
	}
	if l.Connect == 0 {
		l.Connect = 30 * time.Second
	}
	if l.Idle == 0 {
		l.Idle = 2 * time.Minute
	}
	return l
}

// Attempt is what somebody inside wanted to reach, and what came of it.
type Attempt struct {
	Host    string // as it was asked for, in its plain form, without a port
	Port    uint16
	Rule    string // of the list, that allowed it
	Address string // that was dialled; the proxy's where there is one above
	Refused string // why; "" where it was allowed
	Failed  string // why nothing was reached, though it was allowed
}

// Proxy lets through what its policy allows.
type Proxy struct {
	policy Policy
	allow  rules
	within rules // nil: no second list
	direct *http.Transport
	above  *http.Transport
}

// New checks a policy and makes a proxy of it.
func New(p Policy) (*Proxy, error) {
	if p.Resolver == nil {
		p.Resolver = net.DefaultResolver
	}
	if p.Dial == nil {
		p.Dial = new(net.Dialer).DialContext
	}
	if p.Local == nil {
		p.Local = net.InterfaceAddrs
	}
	if p.Log == nil {
		p.Log = func(Attempt) {}
	}
	if p.Upstream == nil {
		p.Upstream = func(*url.URL) (*url.URL, error) { return nil, nil }
	}
	p.Limits = p.Limits.filled()
	x := &Proxy{policy: p}
	var err error
	if x.allow, err = parseRules(p.Allow); err != nil {
		return nil, err
	}
	if p.Within != nil {
		if x.within, err = parseRules(p.Within); err != nil {
			return nil, err
		}
	}
	x.direct = x.transport()
	x.direct.DialContext = func(ctx context.Context, _, address string) (net.Conn, error) {
		return x.dialChecked(ctx, address)
	}
	x.above = x.transport()
	x.above.DialContext = p.Dial
	x.above.Proxy = func(r *http.Request) (*url.URL, error) { return p.Upstream(r.URL) }
	return x, nil
}

// transport carries requests of plain HTTP. It changes nothing in them.
func (x *Proxy) transport() *http.Transport {
	return &http.Transport{
		DisableCompression: true, MaxIdleConnsPerHost: 4, MaxIdleConns: 16,
		IdleConnTimeout: x.policy.Limits.Idle, ResponseHeaderTimeout: x.policy.Limits.Idle,
		MaxResponseHeaderBytes: 256 << 10,
	}
}

// Serve answers on ln until ctx is done or ln fails. It closes ln and returns
// when all its connections are gone; the end of ctx is no error.
func (x *Proxy) Serve(ctx context.Context, ln net.Listener) error {
	inner, cancel := context.WithCancel(ctx)
	defer cancel()
	var in inside
	srv := &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if in.enter() {
				defer in.leave()
				x.handle(w, r)
			}
		}),
		BaseContext:       func(net.Listener) context.Context { return inner },
		MaxHeaderBytes:    x.policy.Limits.Header,
		ReadHeaderTimeout: x.policy.Limits.Connect,
		IdleTimeout:       x.policy.Limits.Idle,
		ErrorLog:          log.New(io.Discard, "", 0), // what strangers send is no news
	}
	stop := context.AfterFunc(ctx, func() { srv.Close() })
	defer stop()
	err := srv.Serve(newLimited(ln, x.policy.Limits.Connections))
	cancel() // ends the tunnels, which are not srv's any more
	srv.Close()
	in.wait()
	x.direct.CloseIdleConnections()
	x.above.CloseIdleConnections()
	if ctx.Err() == nil {
		return stoa.Wrap(stoa.Internal, err, "the way out of a sandbox is closed")
	}
	return nil
}

// inside counts handlers. http.Server.Close does not wait for them.
type inside struct {
	mu     sync.Mutex
	wg     sync.WaitGroup
	closed bool
}

func (i *inside) enter() bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	if !i.closed {
		i.wg.Add(1)
	}
	return !i.closed
}

func (i *inside) leave() { i.wg.Done() }

func (i *inside) wait() {
	i.mu.Lock()
	i.closed = true
	i.mu.Unlock()
	i.wg.Wait()
}
