package egress

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptrace"
	"strings"
	"sync"
	"time"
	"unicode"

	"github.com/stoa-project/stoa"
)

// handle answers one request: CONNECT, or one with a whole URL.
func (x *Proxy) handle(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodConnect {
		x.connect(w, r)
		return
	}
	x.forward(w, r)
}

// attempt reads and judges a target, for all that can be judged before it is
// dialled.
func (x *Proxy) attempt(s string, port uint16) (t target, d decision, err error) {
	t, err = parseTarget(s)
	if err == nil && t.port == 0 {
		if port == 0 {
			return t, d, stoa.Errorf(stoa.Invalid, "%.100q has no port", s)
		}
		t.port = port
	}
	if err == nil {
		d, err = x.decide(t)
	}
	return t, d, err
}

// tell gives an attempt to the log.
func (x *Proxy) tell(t target, d decision, address string, err error) {
	a := Attempt{Host: t.host, Port: t.port, Rule: d.rule, Address: address}
	switch e := stoa.AsError(err); {
	case e == nil:
	case e.Kind == stoa.Forbidden || e.Kind == stoa.Invalid:
		a.Refused = e.Msg
	default:
		a.Failed = e.Msg
	}
	x.policy.Log(a)
}

func (x *Proxy) connect(w http.ResponseWriter, r *http.Request) {
	t, d, err := x.attempt(r.RequestURI, 0)
	var out net.Conn
	if err == nil {
		out, err = x.open(r.Context(), t, d)
	}
	address := ""
	if err == nil {
		defer out.Close()
		address = out.RemoteAddr().String()
	}
	x.tell(t, d, address, err)
	// Hijacked in any case: clients show the reason of a refused CONNECT, if
	// anything, and net/http writes its own there.
	in, buf, herr := http.NewResponseController(w).Hijack()
	if herr != nil {
		return
	}
	defer in.Close()
	_ = in.SetDeadline(time.Time{}) // a connection that cannot has none
	if err != nil {
		_ = in.SetWriteDeadline(time.Now().Add(x.policy.Limits.Connect))
		status, why := statusOf(err)
		fmt.Fprintf(in, "HTTP/1.1 %d %s\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s\n", status, why, len(why)+1, why)
		return
	}
	if _, err := io.WriteString(in, "HTTP/1.1 200 Connection established\r\n\r\n"); err != nil {
		return
	}
	// What came with the head is taken out of the server's reader, whose end would
	// end the request's context while the other direction is still at work.
	early, _ := buf.Peek(buf.Reader.Buffered()) // no more than is there
	tunnel(r.Context(), &buffered{in, io.MultiReader(bytes.NewReader(early), in)}, out, x.policy.Limits.Idle)
}

// open connects to a target, itself or by the proxy above.
func (x *Proxy) open(ctx context.Context, t target, d decision) (net.Conn, error) {
	above, err := x.upstream(ctx, "https", t, d)
	switch {
	case err != nil:
		return nil, err
	case above != nil:
		return x.connectAbove(ctx, above, t)
	}
	return x.dialChecked(ctx, t.String())
}

// statusOf gives the status for an error, and a sentence in one line of ASCII.
func statusOf(err error) (int, string) {
	e := stoa.AsError(err)
	status := http.StatusBadGateway
	switch e.Kind {
	case stoa.Forbidden:
		status = http.StatusForbidden
	case stoa.Invalid:
		status = http.StatusBadRequest
	case stoa.Timeout, stoa.Canceled:
		status = http.StatusGatewayTimeout
	default:
	}
	return status, strings.Map(func(r rune) rune {
		if r == '…' {
			return '.'
		}
		if r > unicode.MaxASCII || unicode.IsControl(r) {
			return '?'
		}
		return r
	}, "stoa: "+e.Msg)
}

// tunnel carries bytes both ways until both sides have said all, one of them
// fails, ctx is done, or nothing came for the idle time.
func tunnel(ctx context.Context, a, b net.Conn, idle time.Duration) {
	end := func() {
		a.Close()
		b.Close()
	}
	stop := context.AfterFunc(ctx, end)
	defer stop()
	timer := time.AfterFunc(idle, end)
	defer timer.Stop()
	var wg sync.WaitGroup
	for _, way := range [][2]net.Conn{{a, b}, {b, a}} {
		wg.Go(func() {
			if err := carry(way[1], way[0], func() { timer.Reset(idle) }); err != nil {
				end()
				return
			}
			if err := closeWrite(way[1]); err != nil {
				end()
			}
		})
	}
	wg.Wait()
	end()
}

func carry(dst io.Writer, src io.Reader, moved func()) error {
	buf := make([]byte, 32<<10)
	for {
		n, err := src.Read(buf)
		if n > 0 {
			moved()
			if _, werr := dst.Write(buf[:n]); werr != nil {
				return werr
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// forward sends a request of plain HTTP on, and its answer back.
func (x *Proxy) forward(w http.ResponseWriter, r *http.Request) {
	if r.URL.Scheme != "http" || r.URL.Host == "" {
		http.Error(w, "stoa: this is a proxy: send http://HOST/…, or CONNECT HOST:443", http.StatusBadRequest)
		return
	}
	t, d, err := x.attempt(r.URL.Host, 80)
	trip := x.direct
	if err == nil {
		above, uerr := x.upstream(r.Context(), "http", t, d)
		if err = uerr; above != nil {
			trip = x.above
		}
	}
	if err != nil {
		x.tell(t, d, "", err)
		x.fail(w, err)
		return
	}
	address := ""
	ctx := httptrace.WithClientTrace(r.Context(), &httptrace.ClientTrace{
		GotConn: func(c httptrace.GotConnInfo) { address = c.Conn.RemoteAddr().String() },
	})
	rc := http.NewResponseController(w)
	res, err := trip.RoundTrip(x.outgoing(ctx, r, t, rc))
	if err != nil {
		e := stoa.AsError(err)
		if e.Kind == stoa.Internal {
			e = stoa.Wrap(stoa.Unavailable, err, "%s gave no answer", t)
		}
		x.tell(t, d, address, e)
		x.fail(w, e)
		return
	}
	defer res.Body.Close()
	x.tell(t, d, address, nil)
	dropHopHeaders(res.Header)
	maps.Copy(w.Header(), res.Header)
	w.WriteHeader(res.StatusCode)
	_ = carry(&steady{w, rc, x.policy.Limits.Idle}, res.Body, func() {}) // the client sees a torn answer as such
}

func (x *Proxy) fail(w http.ResponseWriter, err error) {
	status, why := statusOf(err)
	w.Header().Set("Connection", "close") // what is left of the body is not read
	http.Error(w, why, status)
}

func (x *Proxy) outgoing(ctx context.Context, r *http.Request, t target, rc *http.ResponseController) *http.Request {
	out := r.Clone(ctx)
	out.RequestURI = ""
	out.Close = false
	out.URL.User = nil
	out.URL.Host = t.String()
	out.Host = strings.TrimSuffix(t.String(), ":80")
	dropHopHeaders(out.Header)
	if _, ok := out.Header["User-Agent"]; !ok {
		out.Header["User-Agent"] = nil // else net/http sends its own
	}
	if r.Body != nil && r.Body != http.NoBody {
		out.Body = &steadyBody{r.Body, rc, x.policy.Limits.Idle}
	}
	return out
}

// dropHopHeaders removes what is meant for the next machine alone.
func dropHopHeaders(h http.Header) {
	for _, list := range h["Connection"] {
		for name := range strings.SplitSeq(list, ",") {
			h.Del(strings.TrimSpace(name))
		}
	}
	for _, name := range []string{"Connection", "Proxy-Connection", "Keep-Alive", "Proxy-Authenticate", "Proxy-Authorization", "Te", "Trailer", "Transfer-Encoding", "Upgrade"} {
		h.Del(name)
	}
}

// steady writes with a deadline for each part, and at once.
type steady struct {
	w    io.Writer
	rc   *http.ResponseController
	idle time.Duration
}

func (s *steady) Write(b []byte) (int, error) {
	_ = s.rc.SetWriteDeadline(time.Now().Add(s.idle))
	n, err := s.w.Write(b)
	if err == nil {
		err = s.rc.Flush()
	}
	return n, err
}

// steadyBody reads with a deadline for each part.
type steadyBody struct {
	io.ReadCloser
	rc   *http.ResponseController
	idle time.Duration
}

func (s *steadyBody) Read(b []byte) (int, error) {
	_ = s.rc.SetReadDeadline(time.Now().Add(s.idle))
	return s.ReadCloser.Read(b)
}

// limited accepts so many connections at once; more wait in the kernel's queue.
type limited struct {
	net.Listener
	room chan struct{}
	done chan struct{}
	once sync.Once
}

func newLimited(ln net.Listener, n int) *limited {
	return &limited{Listener: ln, room: make(chan struct{}, n), done: make(chan struct{})}
}

func (l *limited) Accept() (net.Conn, error) {
	select {
	case l.room <- struct{}{}:
	case <-l.done:
		return nil, net.ErrClosed
	}
	c, err := l.Listener.Accept()
	if err != nil {
		<-l.room
		return nil, err
	}
	return &counted{Conn: c, free: sync.OnceFunc(func() { <-l.room })}, nil
}

func (l *limited) Close() error {
	l.once.Do(func() { close(l.done) })
	return l.Listener.Close()
}

type counted struct {
	net.Conn
	free func()
}

func (c *counted) Close() error {
	defer c.free()
	return c.Conn.Close()
}

// CloseWrite says that no more is sent.
func (c *counted) CloseWrite() error { return closeWrite(c.Conn) }
