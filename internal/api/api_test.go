package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stoa-project/stoa"
)

type oneKey string

func (k oneKey) Authenticate(_ context.Context, key string) (stoa.Caller, error) {
	switch key {
	case string(k):
		return stoa.Caller{Account: "me"}, nil
	case "root":
		return stoa.Caller{Account: "root", Admin: true}, nil
	}
	return stoa.Caller{}, stoa.Errorf(stoa.Unauthenticated, "authorization required")
}

func ok(w *Response, _ *Request) error { return WriteJSON(w, 200, "ok") }

func build(t *testing.T, cfg Config, routes ...Route) http.Handler {
	t.Helper()
	cfg.Auth = oneKey("k")
	cfg.Doors = []Door{{Name: "test", Routes: routes}}
	h, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func ask(h http.Handler, method, target, key string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, target, nil)
	if key != "" {
		r.Header.Set("Authorization", key)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestStatusBothWays(t *testing.T) {
	for k := stoa.Internal; k <= stoa.Unavailable; k++ {
		s := Status(k)
		if back := KindOf(s); back != k && k != stoa.Failed {
			t.Errorf("%s gives %d, which gives %s", k, s, back)
		}
	}
	for status, want := range map[int]stoa.Kind{405: stoa.Invalid, 418: stoa.Invalid, 410: stoa.NotFound, 408: stoa.Timeout, 502: stoa.Unavailable, 599: stoa.Internal, 302: stoa.Internal} {
		if got := KindOf(status); got != want {
			t.Errorf("%d gives %s", status, got)
		}
	}
	if Status(stoa.Kind(200)) != 500 {
		t.Error("an unknown kind is no 500")
	}
}

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for in, want := range map[time.Duration]string{0: "1", time.Millisecond: "1", 1500 * time.Millisecond: "2", time.Minute: "60"} {
		if got := retryAfter(in); got != want {
			t.Errorf("%s gives %s", in, got)
		}
	}
	for in, want := range map[string]time.Duration{"": 0, "7": 7 * time.Second, "-1": 0, "soon": 0, now.Add(time.Minute).Format(http.TimeFormat): time.Minute} {
		if got := ParseRetryAfter(in, now); got != want {
			t.Errorf("%q gives %s", in, got)
		}
	}
}

func TestKey(t *testing.T) {
	for in, want := range map[string]string{
		"": "", "simK": "simK", "Simple simK": "simK", "sImPle  simK ": "simK", "BEARER x.y.z": "x.y.z", "Simple": "Simple", "Basic eA==": "Basic eA==",
	} {
		if got := Key(http.Header{"Authorization": {in}}); got != want {
			t.Errorf("%q gives %q", in, got)
		}
	}
	if Key(http.Header{}) != "" {
		t.Error("no header gives a key")
	}
}

func FuzzKey(f *testing.F) {
	f.Add("Simple k")
	f.Add("bearer ")
	f.Fuzz(func(t *testing.T, s string) {
		if k := Key(http.Header{"Authorization": {s}}); len(k) > len(s) || k != strings.TrimSpace(k) {
			t.Errorf("%q gives %q", s, k)
		}
	})
}

func TestRequestID(t *testing.T) {
	for in, kept := range map[string]bool{
		"req-abc": true, "4bf92f3577b34da6:1.2_3": true, "": false, "abc": false, "a b c d": false, "x\ny-zz": false,
		strings.Repeat("a", 129): false, "simDemo000000000000000000000": false,
	} {
		if got := requestID(http.Header{"X-Request-Id": {in}}); (got == in) != kept {
			t.Errorf("%q gives %q", in, got)
		}
	}
}

func TestRoutes(t *testing.T) {
	h := build(t, Config{Ready: func(context.Context) error { return errors.New("no disk") }, Metrics: http.NotFoundHandler()},
		Route{Method: "GET", Pattern: "/open", Access: Anyone, Serve: ok},
		Route{Method: "GET", Pattern: "/visit", Access: Visitors, Serve: func(w *Response, r *Request) error {
			return WriteJSON(w, 200, "hello "+r.Caller.Account)
		}},
		Route{Method: "GET", Pattern: "/keyed/{x}", Access: Keyed, Serve: func(w *Response, r *Request) error {
			return WriteJSON(w, 200, r.PathValue("x")+r.Caller.Account)
		}},
		Route{Method: "GET", Pattern: "/admin", Access: Admins, Serve: ok},
		Route{Method: "POST", Pattern: "/deep/", Ahead: true, Access: Keyed, Serve: ok},
		Route{Pattern: "/deep/er/", Ahead: true, Access: Anyone, Serve: ok},
	)
	for _, c := range []struct {
		method, path, key string
		status            int
		says              string
	}{
		{"GET", "/open", "", 200, "ok"},
		{"HEAD", "/open", "", 200, ""},
		{"POST", "/open", "", 405, "use GET"},
		{"GET", "/visit", "", 200, `"hello "`},
		{"GET", "/visit", "k", 200, `"hello me"`},
		{"GET", "/visit", "wrong", 401, "authorization required"},
		{"GET", "/keyed/a%2Fb", "k", 200, `"a/bme"`},
		{"GET", "/keyed/a", "", 401, "authorization required"},
		{"GET", "/admin", "k", 403, "only an administrator"},
		{"GET", "/admin", "root", 200, "ok"},
		{"GET", "/deep/x", "k", 405, "use POST"},
		{"POST", "/deep//../x", "k", 200, "ok"},
		{"GET", "/deep/er/x", "", 200, "ok"},
		{"GET", "/none", "", 404, "there is nothing at GET"},
		{"GET", "/healthz", "", 200, `{"status":"ok"}`},
		{"GET", "/readyz", "", 503, `{"error":{"message":"internal error"}}`},
		{"GET", "/metrics", "", 404, "404 page"},
	} {
		w := ask(h, c.method, c.path, c.key)
		if w.Code != c.status || !strings.Contains(w.Body.String(), c.says) {
			t.Errorf("%s %s: %d %s", c.method, c.path, w.Code, w.Body)
		}
		if w.Header().Get("X-Request-Id") == "" || w.Header().Get("Server-Timing") == "" {
			t.Errorf("%s %s: headers %v", c.method, c.path, w.Header())
		}
		if strings.HasPrefix(w.Body.String(), "{") && !json.Valid(w.Body.Bytes()) {
			t.Errorf("%s %s: no JSON: %s", c.method, c.path, w.Body)
		}
	}
}

func TestNewRefuses(t *testing.T) {
	for name, routes := range map[string][]Route{
		"no access": {{Method: "GET", Pattern: "/a", Serve: ok}},
		"no serve":  {{Method: "GET", Pattern: "/a", Access: Anyone}},
		"twice":     {{Method: "GET", Pattern: "/a", Access: Anyone, Serve: ok}, {Method: "GET", Pattern: "/a", Access: Anyone, Serve: ok}},
	} {
		if _, err := New(Config{Doors: []Door{{Name: "bad", Routes: routes}}}); err == nil {
			t.Errorf("%s passed", name)
		}
	}
}

func TestDialect(t *testing.T) {
	h, err := New(Config{Auth: oneKey("k"), Doors: []Door{{
		Name:   "odd",
		Routes: []Route{{Method: "GET", Pattern: "/a", Access: Keyed, Serve: ok}},
		WriteError: func(w *Response, _ *Request, e *stoa.Error) {
			w.WriteHeader(Status(e.Kind))
			io.WriteString(w, "odd: "+e.Msg)
		},
	}}})
	if err != nil {
		t.Fatal(err)
	}
	if w := ask(h, "GET", "/a", ""); w.Code != 401 || w.Body.String() != "odd: authorization required" {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

// TestLog has one line a request, with the cause of an error and without keys.
func TestLog(t *testing.T) {
	var log bytes.Buffer
	key := "simSecret0000000000000000000"
	seen := ""
	h := build(t, Config{
		Log:     slog.New(slog.NewTextHandler(&log, nil)),
		Observe: func(route string, status int, _ time.Duration) { seen += route + " " + http.StatusText(status) + ";" },
	},
		Route{Method: "GET", Pattern: "/{x}", Access: Anyone, Serve: func(*Response, *Request) error {
			return stoa.Wrap(stoa.Unavailable, errors.New("the cause"), "for the caller")
		}},
		Route{Method: "GET", Pattern: "/panic", Access: Anyone, Serve: func(*Response, *Request) error { panic("oh") }},
		Route{Method: "GET", Pattern: "/half", Access: Anyone, Serve: func(w *Response, _ *Request) error {
			io.WriteString(w, "half")
			panic("oh")
		}},
	)
	w := ask(h, "GET", "/"+key+"?k="+key, "Simple "+key)
	if w.Code != 503 || w.Header().Get("Retry-After") != "1" || strings.Contains(w.Body.String(), "cause") {
		t.Errorf("%d %v %s", w.Code, w.Header(), w.Body)
	}
	if got := log.String(); strings.Count(got, "\n") != 1 || strings.Contains(got, key) || !strings.Contains(got, "the cause") || !strings.Contains(got, "path=/sim...") {
		t.Errorf("log: %s", got)
	}
	if w := ask(h, "GET", "/panic", ""); w.Code != 500 || !strings.Contains(w.Body.String(), w.Header().Get("X-Request-Id")) {
		t.Errorf("panic: %d %s", w.Code, w.Body)
	}
	func() {
		defer func() {
			if p := recover(); p != http.ErrAbortHandler { //nolint:errorlint // a panic's value
				t.Errorf("half an answer passed for a whole one: %v", p)
			}
		}()
		ask(h, "GET", "/half", "")
	}()
	if want := "/{x} Service Unavailable;/panic Internal Server Error;/half OK;"; seen != want {
		t.Errorf("observed %q", seen)
	}
}

func FuzzAppendString(f *testing.F) {
	for _, s := range []string{"", "a\"\\\n\x00\x1f\x7f", "ü€😀", "\xff\xc3", "\u2028<&>"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		b := AppendString(nil, s)
		var got string
		if err := json.Unmarshal(b, &got); err != nil {
			t.Fatalf("%q: %v", b, err)
		}
		if want := strings.ToValidUTF8(s, "\uFFFD"); utf8.ValidString(s) && got != want {
			t.Errorf("%q became %q", s, got)
		}
		if !bytes.Equal(b, AppendString(nil, []byte(s))) {
			t.Errorf("%q: bytes differ from string", s)
		}
	})
}

// endless claims to be long and gives one byte after another.
type endless struct{ given int }

func (e *endless) Read(p []byte) (int, error) {
	e.given += len(p)
	return len(p), nil
}

func (*endless) Close() error { return nil }

func TestReadBody(t *testing.T) {
	body := func(claims int64, r io.ReadCloser) *Request {
		return &Request{Request: &http.Request{ContentLength: claims, Body: r, Header: http.Header{}}}
	}
	e := &endless{}
	if _, err := ReadBody(body(2000, e), 1000); stoa.KindOf(err) != stoa.TooLarge || e.given != 0 {
		t.Errorf("claims too much: %v after %d bytes", err, e.given)
	}
	if _, err := ReadBody(body(-1, e), 1000); stoa.KindOf(err) != stoa.TooLarge || e.given > 5000 {
		t.Errorf("claims nothing: %v after %d bytes", err, e.given)
	}
	for _, claim := range []int64{10, exactBody + 1} {
		if _, err := ReadBody(body(claim, io.NopCloser(strings.NewReader("short"))), 1<<20); stoa.KindOf(err) != stoa.Invalid {
			t.Errorf("ends early: %v", err)
		}
	}
	r := body(1, io.NopCloser(strings.NewReader("x")))
	r.Header.Set("Content-Encoding", "gzip")
	if _, err := ReadBody(r, 10); stoa.KindOf(err) != stoa.Unsupported {
		t.Errorf("gzip: %v", err)
	}
	// A large claim costs little until bytes come.
	if n := testing.AllocsPerRun(10, func() {
		_, _ = ReadBody(body(1<<30, io.NopCloser(strings.NewReader("x"))), 1<<31)
	}); n > 20 {
		t.Errorf("%v allocations", n)
	}
}
