package egress_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stoa-project/stoa/internal/egress"
)

// names is a resolver: addresses by name.
type names map[string][]string

func (n names) LookupNetIP(_ context.Context, _, host string) ([]netip.Addr, error) {
	list, ok := n[host]
	if !ok {
		return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
	}
	var out []netip.Addr
	for _, s := range list {
		out = append(out, netip.MustParseAddr(s))
	}
	return out, nil
}

// world is a proxy on a unix socket, with a network in which public addresses
// lead to real servers of this machine.
type world struct {
	t        *testing.T
	socket   string
	mu       sync.Mutex
	dialled  []string
	attempts []egress.Attempt
	to       map[string]string // address to be dialled, to that of a server here
	stop     func()
	served   chan error
}

const public = "93.184.216.34"

func start(t *testing.T, p egress.Policy, to map[string]string) *world {
	t.Helper()
	w := &world{t: t, socket: filepath.Join(t.TempDir(), "s"), to: to, served: make(chan error, 1)}
	if p.Local == nil {
		p.Local = func() ([]net.Addr, error) { return nil, nil }
	}
	p.Log = func(a egress.Attempt) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.attempts = append(w.attempts, a)
	}
	if p.Dial == nil {
		p.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
			w.mu.Lock()
			w.dialled = append(w.dialled, address)
			w.mu.Unlock()
			here, ok := w.to[address]
			if !ok {
				return nil, errors.New("nobody there")
			}
			return new(net.Dialer).DialContext(ctx, network, here)
		}
	}
	proxy, err := egress.New(p)
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("unix", w.socket)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	go func() { w.served <- proxy.Serve(ctx, ln) }()
	w.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-w.served; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	t.Cleanup(w.stop)
	return w
}

func (w *world) dial() net.Conn {
	w.t.Helper()
	c, err := net.Dial("unix", w.socket)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { c.Close() })
	return c
}

// client is an ordinary client that uses the proxy.
func (w *world) client() *http.Client {
	proxy, _ := url.Parse("http://127.0.0.1:9001")
	return &http.Client{Transport: &http.Transport{
		Proxy:           http.ProxyURL(proxy),
		DialContext:     func(context.Context, string, string) (net.Conn, error) { return net.Dial("unix", w.socket) },
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true},
	}}
}

// raw sends a request and gives the first line of the answer and all of it.
func (w *world) raw(request string) (line, all string) {
	w.t.Helper()
	c := w.dial()
	if _, err := io.WriteString(c, request); err != nil {
		w.t.Fatal(err)
	}
	r := bufio.NewReader(c)
	line, _ = r.ReadString('\n')
	c.(*net.UnixConn).CloseWrite() // not before: a server takes that for a client that has gone
	b, _ := io.ReadAll(r)
	return strings.TrimSpace(line), line + string(b)
}

func (w *world) wasDialled() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.dialled)
}

func (w *world) last() egress.Attempt {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.attempts) == 0 {
		return egress.Attempt{}
	}
	return w.attempts[len(w.attempts)-1]
}

func hello(t *testing.T, secure bool) (*httptest.Server, string) {
	t.Helper()
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%s %s host=%s conn=%q auth=%q body=%s", r.Method, r.URL, r.Host, r.Header.Get("Proxy-Connection"), r.Header.Get("Proxy-Authorization"), b)
	})
	s := httptest.NewUnstartedServer(h)
	if secure {
		s.StartTLS()
	} else {
		s.Start()
	}
	t.Cleanup(s.Close)
	return s, s.Listener.Addr().String()
}

func get(t *testing.T, c *http.Client, u string) (int, string) {
	t.Helper()
	res, err := c.Get(u)
	if err != nil {
		return 0, err.Error()
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(b)
}

func TestAllowed(t *testing.T) {
	_, plain := hello(t, false)
	_, secure := hello(t, true)
	w := start(t, egress.Policy{Allow: []string{"example.com", "*.below.example"}, Resolver: names{"example.com": {public}, "a.below.example": {public}}},
		map[string]string{public + ":80": plain, public + ":443": secure})
	for _, c := range []struct{ url, want string }{
		{"http://example.com/x?y=1", "GET /x?y=1 host=example.com"},
		{"https://example.com/x", "GET /x host=example.com"},
		{"https://a.below.example/", "GET / host=a.below.example"},
		{"http://EXAMPLE.com./z", "GET /z host=example.com"},
	} {
		if status, got := get(t, w.client(), c.url); status != 200 || !strings.HasPrefix(got, c.want) {
			t.Errorf("%s: %d %q, want %q", c.url, status, got, c.want)
		}
	}
	if a := w.last(); a.Host != "example.com" || a.Port != 80 || a.Rule != "example.com" || a.Refused != "" || a.Failed != "" {
		t.Errorf("the log has %+v", a)
	}
	res, err := w.client().Post("http://example.com/post", "text/plain", strings.NewReader("a body"))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if b, _ := io.ReadAll(res.Body); !strings.Contains(string(b), "POST /post") || !strings.Contains(string(b), "body=a body") {
		t.Errorf("%s", b)
	}
}

func TestRefused(t *testing.T) {
	w := start(t, egress.Policy{
		Allow: []string{"example.com", "*.wild.example", "evil.example", "mapped.example", "nat64.example", "*", "meta.example"}, Named: false,
		Resolver: names{
			"evil.example": {"127.0.0.1"}, "mapped.example": {"::ffff:10.0.0.1"}, "nat64.example": {"64:ff9b::a00:1"}, "a.wild.example": {"192.168.0.1", "fd00::1"},
			"meta.example": {"169.254.169.254"}, "localhost": {"127.0.0.1", "::1"}, "own.example": {"198.51.100.77"},
		},
	}, nil)
	for _, c := range []struct{ target, status, words string }{
		{"example.com:8080", "403", "example.com:8080 is not allowed: allowed are example.com"},
		{"evil.example:443", "403", "evil.example:443 is not allowed: it has a loopback address, 127.0.0.1"},
		{"mapped.example:443", "403", "a private address, 10.0.0.1"},
		{"nat64.example:443", "403", "address, 64:ff9b::a00:1"},
		{"a.wild.example:443", "403", "a private address"},
		{"meta.example:80", "403", "a link-local address, 169.254.169.254"},
		{"localhost:80", "403", "a loopback address"},
		{"127.0.0.1:80", "403", "a loopback address, 127.0.0.1, and the rule * does not"},
		{"2130706433:80", "403", "127.0.0.1"},
		{"0x7f.1:80", "403", "127.0.0.1"},
		{"0177.1:443", "403", "127.0.0.1"},
		{"[::1]:443", "403", "a loopback address, ::1"},
		{"[::ffff:169.254.169.254]:80", "403", "169.254.169.254"},
		{"[fe80::1%25eth0]:80", "400", "is no host"},
		{"0:80", "403", "an unspecified address"},
		{"none.example:443", "502", "the name none.example has no address"},
		{"example.com", "400", "has no port"},
		{"/path", "400", "400"},
	} {
		line, all := w.raw("CONNECT " + c.target + " HTTP/1.1\r\nHost: " + c.target + "\r\n\r\n")
		if !strings.HasPrefix(line, "HTTP/1.1 "+c.status+" ") || !strings.Contains(all, c.words) {
			t.Errorf("CONNECT %s: %q, want %s and %q", c.target, all, c.status, c.words)
		}
		if c.status == "400" {
			continue
		}
		status, got := get(t, w.client(), "http://"+c.target+"/")
		if fmt.Sprint(status) != c.status || !strings.Contains(got, c.words) {
			t.Errorf("GET http://%s/: %d %q", c.target, status, got)
		}
		if a := w.last(); (a.Refused != "") != (c.status == "403") || (a.Failed != "") != (c.status == "502") {
			t.Errorf("%s: the log has %+v", c.target, a)
		}
	}
	if d := w.wasDialled(); len(d) > 0 {
		t.Errorf("dialled: %v", d)
	}
}

func TestTheReasonIsInTheStatus(t *testing.T) {
	w := start(t, egress.Policy{Allow: []string{"pypi.example"}}, nil)
	line, _ := w.raw("CONNECT evil.example:443 HTTP/1.1\r\nHost: x\r\n\r\n")
	if want := "HTTP/1.1 403 stoa: evil.example:443 is not allowed: allowed are pypi.example"; line != want {
		t.Errorf("%q, want %q", line, want)
	}
	_, got := get(t, w.client(), "https://evil.example/")
	if !strings.Contains(got, "evil.example:443 is not allowed") {
		t.Errorf("an ordinary client says %q", got)
	}
}

func TestNamedMayBePrivate(t *testing.T) {
	_, here := hello(t, false)
	res := names{"mirror.corp": {"10.1.2.3"}, "other.corp": {"10.1.2.3"}}
	to := map[string]string{"10.1.2.3:80": here, "10.1.2.3:8080": here, "127.0.0.1:3141": here}
	for _, c := range []struct {
		name   string
		p      egress.Policy
		url    string
		status int
	}{
		{"by name", egress.Policy{Allow: []string{"mirror.corp"}, Named: true}, "http://mirror.corp/", 200},
		{"by name and port", egress.Policy{Allow: []string{"mirror.corp:8080"}, Named: true}, "http://mirror.corp:8080/", 200},
		{"by address", egress.Policy{Allow: []string{"127.0.0.1:3141"}, Named: true}, "http://127.0.0.1:3141/", 200},
		{"by address in another form", egress.Policy{Allow: []string{"127.0.0.1:3141"}, Named: true}, "http://0x7f000001:3141/", 200},
		{"on another port", egress.Policy{Allow: []string{"127.0.0.1:3141"}, Named: true}, "http://127.0.0.1/", 403},
		{"by a star", egress.Policy{Allow: []string{"*.corp"}, Named: true}, "http://mirror.corp/", 403},
		{"where that is not wanted", egress.Policy{Allow: []string{"mirror.corp"}}, "http://mirror.corp/", 403},
		{"its neighbour", egress.Policy{Allow: []string{"mirror.corp", "*.corp"}, Named: true}, "http://other.corp/", 403},
		{"by the author alone", egress.Policy{Allow: []string{"mirror.corp"}, Within: []string{"*"}, Named: true}, "http://mirror.corp/", 403},
		{"by the operator", egress.Policy{Allow: []string{"mirror.corp"}, Within: []string{"*", "mirror.corp"}, Named: true}, "http://mirror.corp/", 200},
		{"by the operator alone", egress.Policy{Allow: []string{"other.corp"}, Within: []string{"mirror.corp"}, Named: true}, "http://mirror.corp/", 403},
		{"by an author, where the operator allows nothing", egress.Policy{Allow: []string{"mirror.corp"}, Within: []string{}, Named: true}, "http://mirror.corp/", 403},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.p.Resolver = res
			w := start(t, c.p, to)
			if status, got := get(t, w.client(), c.url); status != c.status {
				t.Errorf("%d %q, want %d", status, got, c.status)
			}
		})
	}
}

// rebinding answers each question with another address.
type rebinding struct {
	mu      sync.Mutex
	answers []string
}

func (r *rebinding) LookupNetIP(context.Context, string, string) ([]netip.Addr, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	a := r.answers[0]
	if len(r.answers) > 1 {
		r.answers = r.answers[1:]
	}
	return []netip.Addr{netip.MustParseAddr(a)}, nil
}

func TestWhatIsJudgedIsDialled(t *testing.T) {
	_, here := hello(t, false)
	w := start(t, egress.Policy{Allow: []string{"rebind.example"}, Resolver: &rebinding{answers: []string{public, "127.0.0.1"}}}, map[string]string{public + ":80": here})
	if status, got := get(t, w.client(), "http://rebind.example/"); status != 200 {
		t.Errorf("%d %q", status, got)
	}
	// The connection is closed by the second client's being another one; the name is
	// judged anew where a new connection is made.
	for range 3 {
		w.raw("CONNECT rebind.example:80 HTTP/1.1\r\nHost: x\r\n\r\n")
	}
	for _, d := range w.wasDialled() {
		if d != public+":80" {
			t.Errorf("dialled %s", d)
		}
	}
	mixed := start(t, egress.Policy{Allow: []string{"mixed.example"}, Resolver: names{"mixed.example": {"127.0.0.1", public, "10.0.0.1"}}}, map[string]string{public + ":80": here})
	if status, got := get(t, mixed.client(), "http://mixed.example/"); status != 200 {
		t.Errorf("%d %q", status, got)
	}
	if d := mixed.wasDialled(); !slices.Equal(d, []string{public + ":80"}) {
		t.Errorf("dialled %v", d)
	}
}

func TestThisMachineIsPrivate(t *testing.T) {
	own := func() ([]net.Addr, error) {
		return []net.Addr{&net.IPNet{IP: net.ParseIP(public), Mask: net.CIDRMask(24, 32)}}, nil
	}
	w := start(t, egress.Policy{Allow: []string{"me.example", "neighbour.example"}, Local: own, Resolver: names{"me.example": {public}, "neighbour.example": {"93.184.216.35"}}}, nil)
	if line, _ := w.raw("CONNECT me.example:443 HTTP/1.1\r\nHost: x\r\n\r\n"); !strings.Contains(line, "this machine's own address") {
		t.Errorf("%q", line)
	}
	if line, _ := w.raw("CONNECT neighbour.example:443 HTTP/1.1\r\nHost: x\r\n\r\n"); !strings.Contains(line, "502 stoa: neighbour.example:443 cannot be reached") {
		t.Errorf("%q", line)
	}
}

func TestTunnelKeepsHalfClose(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	go func() {
		c, err := ln.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		b, _ := io.ReadAll(c) // until the client has said all
		fmt.Fprintf(c, "got %d bytes", len(b))
	}()
	w := start(t, egress.Policy{Allow: []string{"example.com"}, Resolver: names{"example.com": {public}}}, map[string]string{public + ":443": ln.Addr().String()})
	c := w.dial().(*net.UnixConn)
	fmt.Fprintf(c, "CONNECT example.com:443 HTTP/1.1\r\nHost: x\r\n\r\nearly") // what comes with the head counts too
	r := bufio.NewReader(c)
	res, err := http.ReadResponse(r, &http.Request{Method: http.MethodConnect})
	if err != nil || res.StatusCode != 200 {
		t.Fatalf("%v %v", res, err)
	}
	if _, err := c.Write(make([]byte, 1<<20)); err != nil {
		t.Fatal(err)
	}
	c.CloseWrite()
	b, err := io.ReadAll(r)
	if want := fmt.Sprintf("got %d bytes", 1<<20+5); err != nil || string(b) != want {
		t.Errorf("%q %v, want %q", b, err, want)
	}
}

// silent is a server that answers nothing, and tells when it was left.
func silent(t *testing.T) (address string, left chan struct{}) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	left = make(chan struct{}, 10)
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				io.Copy(io.Discard, c)
				c.Close()
				left <- struct{}{}
			}()
		}
	}()
	return ln.Addr().String(), left
}

func TestAnIdleTunnelEnds(t *testing.T) {
	here, left := silent(t)
	w := start(t, egress.Policy{Allow: []string{"example.com"}, Resolver: names{"example.com": {public}}, Limits: egress.Limits{Idle: 50 * time.Millisecond}}, map[string]string{public + ":443": here})
	c := w.dial()
	fmt.Fprintf(c, "CONNECT example.com:443 HTTP/1.1\r\nHost: x\r\n\r\n")
	b, _ := io.ReadAll(c)
	<-left
	if !strings.HasPrefix(string(b), "HTTP/1.1 200") {
		t.Errorf("%q", b)
	}
}

func TestServeEndsWithItsTunnels(t *testing.T) {
	here, left := silent(t)
	w := start(t, egress.Policy{Allow: []string{"example.com"}, Resolver: names{"example.com": {public}}}, map[string]string{public + ":443": here, public + ":80": here})
	c := w.dial()
	fmt.Fprintf(c, "CONNECT example.com:443 HTTP/1.1\r\nHost: x\r\n\r\n")
	if line, err := bufio.NewReader(c).ReadString('\n'); err != nil || !strings.Contains(line, "200") {
		t.Fatalf("%q %v", line, err)
	}
	plain := w.dial()
	fmt.Fprintf(plain, "GET http://example.com/ HTTP/1.1\r\nHost: example.com\r\n\r\n")
	for len(w.wasDialled()) < 2 { // until the request is under way
		if _, err := net.Dial("unix", w.socket); err != nil {
			t.Fatal(err)
		}
	}
	w.stop()
	<-left
	<-left
	if _, err := io.ReadAll(c); err != nil && !errors.Is(err, net.ErrClosed) {
		t.Logf("the tunnel ended with %v", err)
	}
}

func TestLimitOnConnections(t *testing.T) {
	_, here := hello(t, false)
	w := start(t, egress.Policy{Allow: []string{"example.com"}, Resolver: names{"example.com": {public}}, Limits: egress.Limits{Connections: 1}}, map[string]string{public + ":80": here})
	first := w.dial()
	fmt.Fprintf(first, "CONNECT example.com:80 HTTP/1.1\r\nHost: x\r\n\r\n")
	if line, err := bufio.NewReader(first).ReadString('\n'); err != nil || !strings.Contains(line, "200") {
		t.Fatalf("%q %v", line, err)
	}
	second := w.dial()
	fmt.Fprintf(second, "GET http://example.com/ HTTP/1.1\r\nHost: example.com\r\nConnection: close\r\n\r\n")
	second.SetReadDeadline(time.Now().Add(30 * time.Millisecond))
	if n, err := second.Read(make([]byte, 1)); n > 0 || err == nil {
		t.Error("the second was answered while the first was there")
	}
	first.Close()
	second.SetReadDeadline(time.Time{})
	if b, err := io.ReadAll(second); err != nil || !strings.HasPrefix(string(b), "HTTP/1.1 200") {
		t.Errorf("%q %v", b, err)
	}
}

func TestLargeHeadIsRefused(t *testing.T) {
	w := start(t, egress.Policy{Allow: []string{"example.com"}}, nil)
	line, _ := w.raw("GET http://example.com/ HTTP/1.1\r\nHost: example.com\r\nX: " + strings.Repeat("x", 100<<10) + "\r\n\r\n")
	if !strings.HasPrefix(line, "HTTP/1.1 431") {
		t.Errorf("%q", line)
	}
}

func TestNotForProxies(t *testing.T) {
	w := start(t, egress.Policy{Allow: []string{"*"}}, nil)
	for _, r := range []string{
		"GET / HTTP/1.1\r\nHost: example.com\r\n\r\n", "GET https://example.com/ HTTP/1.1\r\nHost: example.com\r\n\r\n",
		"GET ftp://example.com/ HTTP/1.1\r\nHost: x\r\n\r\n", "GET http:///x HTTP/1.1\r\nHost: \r\n\r\n", "rubbish\r\n\r\n",
	} {
		if line, _ := w.raw(r); !strings.HasPrefix(line, "HTTP/1.1 400") {
			t.Errorf("%q: %q", r, line)
		}
	}
}

func TestHopHeadersStay(t *testing.T) {
	_, here := hello(t, false)
	w := start(t, egress.Policy{Allow: []string{"example.com"}, Resolver: names{"example.com": {public}}}, map[string]string{public + ":80": here})
	_, all := w.raw("GET http://user:pass@example.com/ HTTP/1.1\r\nHost: other.example\r\nProxy-Connection: keep-alive\r\nProxy-Authorization: Basic eA==\r\nConnection: close, X-Mine\r\nX-Mine: 1\r\n\r\n")
	if !strings.Contains(all, `host=example.com conn="" auth=""`) {
		t.Errorf("%q", all)
	}
}

// above is a proxy that writes down what it is asked for and tunnels to here.
func above(t *testing.T, here string) (u *url.URL, asked func() []string) {
	t.Helper()
	var mu sync.Mutex
	var list []string
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		list = append(list, r.Method+" "+r.RequestURI+" "+r.Header.Get("Proxy-Authorization"))
		mu.Unlock()
		if r.Method != http.MethodConnect {
			fmt.Fprint(w, "from above")
			return
		}
		if strings.HasPrefix(r.RequestURI, "forbidden") {
			http.Error(w, "no", http.StatusForbidden)
			return
		}
		out, err := net.Dial("tcp", here)
		if err != nil {
			t.Error(err)
			return
		}
		in, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		io.WriteString(in, "HTTP/1.1 200 OK\r\n\r\n")
		go func() { io.Copy(out, in); out.Close() }()
		io.Copy(in, out)
		in.Close()
	}))
	t.Cleanup(s.Close)
	u, err := url.Parse(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	u.User = url.UserPassword("me", "pw")
	return u, func() []string { mu.Lock(); defer mu.Unlock(); return slices.Clone(list) }
}

func TestAProxyAbove(t *testing.T) {
	_, secure := hello(t, true)
	_, plain := hello(t, false)
	up, asked := above(t, secure)
	w := start(t, egress.Policy{
		Allow:    []string{"example.com", "unknown.example", "evil.example", "forbidden.example", "near.example"},
		Resolver: names{"example.com": {public}, "evil.example": {"10.0.0.1"}, "forbidden.example": {public}, "near.example": {public}},
		Upstream: func(u *url.URL) (*url.URL, error) {
			if u.Hostname() == "near.example" { // as NO_PROXY says
				return nil, nil
			}
			return up, nil
		},
	}, map[string]string{up.Host: up.Host, public + ":80": plain})
	for _, c := range []struct {
		url, want string
		status    int
	}{
		{"https://example.com/x", "GET /x host=example.com", 200},
		{"https://unknown.example/x", "GET /x host=unknown.example", 200}, // above, names may resolve that do not here
		{"http://example.com/y", "from above", 200},
		{"http://near.example/z", "GET /z host=near.example", 200},
		{"http://evil.example/", "a private address", 403},
		{"http://10.0.0.1/", "is not allowed", 403},
		{"https://forbidden.example/", "refuses forbidden.example:443, with status 403", 0},
	} {
		if status, got := get(t, w.client(), c.url); status != c.status || !strings.Contains(got, c.want) {
			t.Errorf("%s: %d %q, want %d %q", c.url, status, got, c.status, c.want)
		}
	}
	want := "CONNECT example.com:443 Basic bWU6cHc="
	if list := asked(); !slices.Contains(list, want) || slices.ContainsFunc(list, func(s string) bool { return strings.Contains(s, "evil") || strings.Contains(s, "near") }) {
		t.Errorf("asked above: %q", list)
	}
}

func TestBadPolicies(t *testing.T) {
	for _, p := range []egress.Policy{{Allow: []string{"http://example.com"}}, {Within: []string{"a b"}}, {Allow: []string{""}}} {
		if _, err := egress.New(p); err == nil {
			t.Errorf("%+v is taken", p)
		}
	}
}

// FuzzRequest: whatever a program in the sandbox sends, nothing but the one
// allowed address is dialled.
func FuzzRequest(f *testing.F) {
	for _, s := range []string{
		"CONNECT example.com:443 HTTP/1.1\r\nHost: x\r\n\r\nhello", "GET http://example.com/ HTTP/1.1\r\nHost: y\r\n\r\n", "GET http://example.com@127.0.0.1/ HTTP/1.0\r\n\r\n",
		"CONNECT [::1]:443 HTTP/1.1\r\nHost: x\r\n\r\n", "GET http://0x7f.1/ HTTP/1.1\r\nHost: example.com\r\n\r\n",
		"POST http://example.com/ HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\nGET http://10.0.0.1/ HTTP/1.1\r\n\r\n",
	} {
		f.Add(s)
	}
	bad := make(chan string, 100)
	proxy, err := egress.New(egress.Policy{
		Allow: []string{"example.com"}, Resolver: names{"example.com": {public}}, Local: func() ([]net.Addr, error) { return nil, nil },
		Limits: egress.Limits{Idle: 20 * time.Millisecond, Connect: 20 * time.Millisecond},
		Dial: func(_ context.Context, _, address string) (net.Conn, error) {
			if address != public+":80" && address != public+":443" {
				bad <- address
			}
			return nil, errors.New("not now")
		},
	})
	if err != nil {
		f.Fatal(err)
	}
	socket := filepath.Join(f.TempDir(), "s")
	ln, err := net.Listen("unix", socket)
	if err != nil {
		f.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	gone := make(chan error, 1)
	go func() { gone <- proxy.Serve(ctx, ln) }()
	f.Cleanup(func() { cancel(); <-gone })
	f.Fuzz(func(t *testing.T, s string) {
		c, err := net.Dial("unix", socket)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		io.WriteString(c, s)
		c.(*net.UnixConn).CloseWrite()
		io.Copy(io.Discard, c)
		select {
		case a := <-bad:
			t.Fatalf("dialled %s", a)
		default:
		}
	})
}
