package api

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/stoa-project/stoa"
)

// Request is a request with what the landing found out about it.
type Request struct {
	*http.Request
	ID     string
	Caller stoa.Caller // zero where the route takes anyone
	// BySession: the caller is known by the cookie of a session, not by a key.
	BySession bool
	Received  time.Time

	place *place
}

// Response writes the answer, and remembers what the log will say of it.
type Response struct {
	w        http.ResponseWriter
	req      *Request
	id       [1]string // the value of X-Request-Id, kept here to spare an allocation
	timing   [1]string // and that of Server-Timing
	route    string
	status   int
	override int // the status to write in place of the kind's; 0 for none
	bytes    int64
	usage    *stoa.Usage
	err      *stoa.Error
}

// exchange is a request and its answer, in one allocation.
type exchange struct {
	req Request
	res Response
}

var (
	nosniff  = []string{"nosniff"}
	jsonType = []string{"application/json"}
)

// Header gives the headers of the answer.
func (w *Response) Header() http.Header { return w.w.Header() }

// Write writes a part of the body.
func (w *Response) Write(b []byte) (int, error) {
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	n, err := w.w.Write(b)
	w.bytes += int64(n)
	return n, err
}

// WriteHeader writes the status and the headers, Server-Timing among them.
func (w *Response) WriteHeader(status int) {
	if w.status == 0 && status >= 200 {
		w.status = status
		w.timing[0] = serverTiming(w.usage, time.Since(w.req.Received))
		w.w.Header()["Server-Timing"] = w.timing[:]
	}
	w.w.WriteHeader(status)
}

// Unwrap gives what http.ResponseController needs.
func (w *Response) Unwrap() http.ResponseWriter { return w.w }

// Usage says where the time of a call went; it must come before the header.
func (w *Response) Usage(u stoa.Usage) { w.usage = &u }

// Note keeps an error for the log of this request. It is not written.
func (w *Response) Note(e *stoa.Error) { w.err = e }

// serverTiming writes the parts of the time in milliseconds, those that are
// always there and those that took any.
func serverTiming(u *stoa.Usage, total time.Duration) string {
	b := make([]byte, 0, 96)
	part := func(name string, d time.Duration) {
		if len(b) > 0 {
			b = append(b, ", "...)
		}
		b = append(append(b, name...), ";dur="...)
		b = strconv.AppendFloat(b, float64(d.Microseconds())/1000, 'f', -1, 64)
	}
	if u != nil {
		part("queue", u.Queue)
		if u.Load > 0 {
			part("load", u.Load)
		}
		if u.Batch > 0 {
			part("batch", u.Batch)
		}
		part("compute", u.Compute)
	}
	part("total", total)
	return string(b)
}

// requestID keeps a sane id that came with the request, so that a proxy's log
// and ours can be joined; else it makes one.
func requestID(h http.Header) string {
	if v := h["X-Request-Id"]; len(v) == 1 && saneID(v[0]) {
		return v[0]
	}
	return NewRequestID()
}

// NewRequestID makes a request id.
func NewRequestID() string { return "req-" + uuid.NewString() }

func saneID(s string) bool {
	if len(s) < 4 || len(s) > 128 {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if ('a' > c || c > 'z') && ('A' > c || c > 'Z') && ('0' > c || c > '9') && c != '-' && c != '_' && c != '.' && c != ':' {
			return false
		}
	}
	return !looksLikeKey(s)
}

// finish ends a request whatever happened: a panic becomes a 500 (or, where the
// answer has begun, a broken connection, lest half an answer pass for a whole
// one), and the request gets its line.
func (s *server) finish(x *exchange) {
	p := recover()
	if p != nil && p != http.ErrAbortHandler { //nolint:errorlint // a panic's value is compared, as net/http does
		e := stoa.Wrap(stoa.Internal, fmt.Errorf("panic: %v\n%s", p, debug.Stack()),
			"internal error: the log of the server has more under request %s", x.req.ID)
		x.res.Note(e)
		if x.res.status == 0 {
			WriteError(&x.res, &x.req, e)
			p = nil
		} else {
			p = http.ErrAbortHandler
		}
	}
	if x.res.status == 0 && p == nil {
		x.res.WriteHeader(http.StatusOK)
	}
	took := time.Since(x.req.Received)
	s.logLine(x, took)
	if s.cfg.Observe != nil {
		s.cfg.Observe(x.res.route, x.res.status, took)
	}
	if p != nil {
		panic(p)
	}
}

func (s *server) logLine(x *exchange, took time.Duration) {
	level := slog.LevelInfo
	if x.res.status >= 500 {
		level = slog.LevelError
	}
	ctx := context.WithoutCancel(x.req.Context())
	if !s.log.Enabled(ctx, level) {
		return
	}
	attrs := make([]slog.Attr, 0, 10)
	attrs = append(attrs,
		slog.String("request_id", x.req.ID),
		slog.String("method", x.req.Method),
		slog.String("path", loggedPath(x.req.URL.EscapedPath())),
		slog.Int("status", x.res.status),
		slog.Int64("bytes", x.res.bytes),
		slog.Duration("took", took),
		slog.String("remote", x.req.RemoteAddr),
	)
	if x.req.Caller.Account != "" {
		attrs = append(attrs, slog.String("account", x.req.Caller.Account))
	}
	if x.res.err != nil {
		attrs = append(attrs, slog.String("kind", x.res.err.Kind.String()), slog.String("error", x.res.err.Error()))
	}
	s.log.LogAttrs(ctx, level, "request", attrs...)
}

// loggedPath hides segments that may be a key: "stoa keys revoke" takes a whole
// one, and people paste them anywhere.
func loggedPath(path string) string {
	if !strings.Contains(path, "/sim") {
		return path
	}
	parts := strings.Split(path, "/")
	for i, p := range parts {
		if looksLikeKey(p) {
			parts[i] = "sim..."
		}
	}
	return strings.Join(parts, "/")
}

// looksLikeKey tells whether s may be an API key: "sim" and 25 more characters.
func looksLikeKey(s string) bool { return strings.HasPrefix(s, "sim") && len(s) >= 28 }
