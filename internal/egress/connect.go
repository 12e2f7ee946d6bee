package egress

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"

	"github.com/stoa-project/stoa"
)

// maxAddresses is how many of a name's addresses are tried.
const maxAddresses = 4

// dialChecked connects to an address of a target that the policy allows. Name and
// address are judged at each dial, and what was judged is dialled.
func (x *Proxy) dialChecked(ctx context.Context, address string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, x.policy.Limits.Connect)
	defer cancel()
	t, err := parseTarget(address)
	if err != nil {
		return nil, err
	}
	d, err := x.decide(t)
	if err != nil {
		return nil, err
	}
	addrs, err := x.resolve(ctx, t)
	if err != nil {
		return nil, err
	}
	if addrs, err = x.choose(t, d, addrs); err != nil {
		return nil, err
	}
	for _, a := range addrs[:min(len(addrs), maxAddresses)] {
		var c net.Conn
		c, err = x.policy.Dial(ctx, "tcp", netip.AddrPortFrom(a, t.port).String())
		if err == nil {
			return c, nil
		}
	}
	return nil, unreachable(ctx, err, t)
}

func (x *Proxy) resolve(ctx context.Context, t target) ([]netip.Addr, error) {
	if t.addr.IsValid() {
		return []netip.Addr{t.addr}, nil
	}
	addrs, err := x.policy.Resolver.LookupNetIP(ctx, "ip", t.host)
	switch {
	case err == nil && len(addrs) > 0:
		return addrs, nil
	case ctx.Err() != nil:
		return nil, unreachable(ctx, err, t)
	}
	return nil, stoa.Wrap(stoa.Unavailable, err, "the name %s has no address", t.host)
}

func unreachable(ctx context.Context, err error, t target) error {
	var n net.Error
	if ctx.Err() != nil || errors.As(err, &n) && n.Timeout() {
		return stoa.Wrap(stoa.Timeout, err, "%s did not answer in time", t)
	}
	return stoa.Wrap(stoa.Unavailable, err, "%s cannot be reached", t)
}

// upstream gives the proxy above for a target, or nil. What can be known of the
// target's addresses from here is judged; a name that only the proxy above can
// resolve is its to judge.
func (x *Proxy) upstream(ctx context.Context, scheme string, t target, d decision) (*url.URL, error) {
	above, err := x.policy.Upstream(&url.URL{Scheme: scheme, Host: t.String()})
	if err != nil {
		return nil, stoa.Wrap(stoa.Unavailable, err, "the server's own proxy settings cannot be read")
	}
	if above == nil {
		return nil, nil
	}
	ctx, cancel := context.WithTimeout(ctx, x.policy.Limits.Connect)
	defer cancel()
	addrs, err := x.resolve(ctx, t)
	if err != nil {
		return above, nil // behind a proxy names often resolve there alone
	}
	_, err = x.choose(t, d, addrs)
	return above, err
}

// connectAbove has the proxy above make the connection.
func (x *Proxy) connectAbove(ctx context.Context, above *url.URL, t target) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, x.policy.Limits.Connect)
	defer cancel()
	port := above.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[above.Scheme]
	}
	if port == "" {
		return nil, stoa.Errorf(stoa.Unavailable, "the server's own proxy speaks %.20q: http and https are known", above.Scheme)
	}
	c, err := x.policy.Dial(ctx, "tcp", net.JoinHostPort(above.Hostname(), port))
	if err != nil {
		return nil, stoa.Wrap(stoa.Unavailable, err, "the server's own proxy cannot be reached")
	}
	stop := context.AfterFunc(ctx, func() { c.Close() })
	out, err := ask(ctx, c, above, t)
	if !stop() && err == nil {
		err = ctx.Err()
	}
	if err != nil {
		c.Close()
		if ctx.Err() != nil {
			return nil, unreachable(ctx, err, t)
		}
		return nil, stoa.AsError(err)
	}
	return out, nil
}

func ask(ctx context.Context, c net.Conn, above *url.URL, t target) (net.Conn, error) {
	if above.Scheme == "https" {
		s := tls.Client(c, &tls.Config{ServerName: above.Hostname(), MinVersion: tls.VersionTLS12})
		if err := s.HandshakeContext(ctx); err != nil {
			return nil, stoa.Wrap(stoa.Unavailable, err, "the server's own proxy cannot be trusted")
		}
		c = s
	}
	head := "CONNECT " + t.String() + " HTTP/1.1\r\nHost: " + t.String() + "\r\n"
	if u := above.User; u != nil {
		pass, _ := u.Password()
		head += "Proxy-Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte(u.Username()+":"+pass)) + "\r\n"
	}
	if _, err := c.Write([]byte(head + "\r\n")); err != nil {
		return nil, stoa.Wrap(stoa.Unavailable, err, "the server's own proxy closed the connection")
	}
	r := bufio.NewReader(c)
	res, err := http.ReadResponse(r, &http.Request{Method: http.MethodConnect})
	if err != nil {
		return nil, stoa.Wrap(stoa.Unavailable, err, "the server's own proxy gave no answer")
	}
	res.Body.Close() // of a CONNECT there is none
	if res.StatusCode != http.StatusOK {
		return nil, stoa.Errorf(stoa.Unavailable, "the server's own proxy refuses %s, with status %s", t, strconv.Itoa(res.StatusCode))
	}
	return &buffered{c, r}, nil
}

// buffered is a connection of which something was read already.
type buffered struct {
	net.Conn
	r io.Reader
}

func (b *buffered) Read(p []byte) (int, error) { return b.r.Read(p) }

// CloseWrite says that no more is sent.
func (b *buffered) CloseWrite() error { return closeWrite(b.Conn) }

func closeWrite(c net.Conn) error {
	if h, ok := c.(interface{ CloseWrite() error }); ok {
		return h.CloseWrite()
	}
	return c.Close()
}
