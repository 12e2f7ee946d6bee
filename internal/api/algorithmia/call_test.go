package algorithmia_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/api/algorithmia"
	"github.com/stoa-project/stoa/internal/api/algorithmia/doortest"
)

type server struct {
	*httptest.Server
	sys  *doortest.System
	door *algorithmia.API
	log  *safeBuffer
}

// safeBuffer may be read while the server writes its log.
type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *safeBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *safeBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

func result(typ stoa.ValueType, data string) doortest.Func {
	return func(context.Context, stoa.Call) stoa.Result {
		return stoa.Result{Value: stoa.Value{Type: typ, Data: []byte(data)}, Usage: stoa.Usage{
			Queue: 1200 * time.Microsecond, Compute: 306774 * time.Nanosecond,
		}}
	}
}

func fail(e *stoa.Error) doortest.Func {
	return func(context.Context, stoa.Call) stoa.Result {
		return stoa.Result{Err: e, Usage: stoa.Usage{Compute: 46500 * time.Microsecond}}
	}
}

func newServer(t *testing.T, cfg algorithmia.Config) *server {
	t.Helper()
	s := &server{sys: doortest.New(), log: &safeBuffer{}}
	s.sys.Add("demo/hello/1.0.0", true, result(stoa.Text, "Hello foo"))
	s.sys.Add("demo/echo/1.0.0", true, nil)
	s.sys.Add("demo/jsonstring/1.0.0", true, result(stoa.JSON, ` "a\"b"`))
	s.sys.Add("demo/void/1.0.0", true, result(stoa.Void, ""))
	s.sys.Add("demo/binary/1.0.0", true, result(stoa.Binary, "\x00\xff\xfe>"))
	s.sys.Add("demo/badjson/1.0.0", true, result(stoa.JSON, `{"a":`))
	s.sys.Add("demo/secret/1.0.0", false, result(stoa.Text, "hush"))
	s.sys.Add("demo/fails/1.0.0", true, fail(&stoa.Error{Kind: stoa.Failed, Msg: "division by zero", Stack: "Traceback …"}))
	s.sys.Add("demo/shape/1.0.0", true, fail(stoa.Errorf(stoa.Invalid, "input: wants 1x4, got 1x3")))
	s.sys.Add("demo/busy/1.0.0", true, fail(&stoa.Error{Kind: stoa.Busy, Msg: "the queue is full", RetryAfter: 1500 * time.Millisecond}))
	s.sys.Add("demo/panics/1.0.0", true, func(context.Context, stoa.Call) stoa.Result { panic("simDemo000000000000000000000 boom") })
	s.sys.Add("demo/slow/1.0.0", true, func(ctx context.Context, _ stoa.Call) stoa.Result {
		<-ctx.Done()
		return stoa.Result{Err: ctx.Err()}
	})
	h, door := s.sys.Handler(slog.New(slog.NewTextHandler(s.log, nil)), cfg)
	s.door = door
	s.Server = httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s
}

type call struct {
	path, auth, ctype, body string
	method                  string
}

func (s *server) do(t *testing.T, c call) (*http.Response, string) {
	t.Helper()
	if c.method == "" {
		c.method = http.MethodPost
	}
	req, err := http.NewRequest(c.method, s.URL+c.path, strings.NewReader(c.body))
	if err != nil {
		t.Fatal(err)
	}
	if c.auth == "" {
		c.auth = "Simple " + doortest.DemoKey
	}
	if c.auth != "none" {
		req.Header.Set("Authorization", c.auth)
	}
	if c.ctype == "" {
		c.ctype = "text/plain"
	}
	if c.ctype != "none" {
		req.Header.Set("Content-Type", c.ctype)
	}
	res, err := s.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res, string(b)
}

// TestCallLetters holds the parts of the contract that clients compare letter
// by letter.
func TestCallLetters(t *testing.T) {
	s := newServer(t, algorithmia.Config{ResultLimit: 100})
	const notFound = `{"error":{"message":"algorithm algo://no/such not found"}}`
	const denied = `{"error":{"message":"authorization required"}}`
	other := doortest.OtherKey
	for _, c := range []struct {
		name   string
		call   call
		status int
		body   string
	}{
		{"text", call{path: "/v1/algo/demo/hello"}, 200, `{"metadata":{"content_type":"text","duration":0.000306774},"result":"Hello foo"}`},
		{"case", call{path: "/v1/algo/Demo/Hello"}, 200, `{"metadata":{"content_type":"text","duration":0.000306774},"result":"Hello foo"}`},
		{"slash", call{path: "/v1/algo/demo/hello/"}, 200, `{"metadata":{"content_type":"text","duration":0.000306774},"result":"Hello foo"}`},
		{"node", call{path: "/v1/algo/demo/hello/?timeout=300&stdout=false&foo=bar&x=%zz"}, 200, `{"metadata":{"content_type":"text","duration":0.000306774},"result":"Hello foo"}`},
		{"version", call{path: "/v1/algo/demo/hello/1.0.0"}, 200, `{"metadata":{"content_type":"text","duration":0.000306774},"result":"Hello foo"}`},
		{"uuid", call{path: "/v1/algo/" + doortest.HelloID + "/1.0.0/"}, 200, `{"metadata":{"content_type":"text","duration":0.000306774},"result":"Hello foo"}`},
		{"escaped", call{path: "/v1/algo/demo%2Fhello%2F1.0.0"}, 200, `{"metadata":{"content_type":"text","duration":0.000306774},"result":"Hello foo"}`},
		{"escaped twice", call{path: "/v1/algo/demo%252Fhello"}, 200, `{"metadata":{"content_type":"text","duration":0.000306774},"result":"Hello foo"}`},
		{"json string is text", call{path: "/v1/algo/demo/jsonstring"}, 200, `{"metadata":{"content_type":"text","duration":0.000306774},"result":"a\"b"}`},
		{"void result", call{path: "/v1/algo/demo/void"}, 200, `{"metadata":{"content_type":"void","duration":0.000306774},"result":null}`},
		{"binary", call{path: "/v1/algo/demo/binary"}, 200, `{"metadata":{"content_type":"binary","duration":0.000306774},"result":"AP/+Pg=="}`},
		{
			"json",
			call{path: "/v1/algo/demo/echo", ctype: "application/json; charset=UTF-8", body: `{"a":[1,null]}`},
			200,
			`{"metadata":{"content_type":"json","duration":0.001},"result":{"a":[1,null]}}`,
		},
		{
			"null",
			call{path: "/v1/algo/demo/echo", ctype: "application/json", body: `null`},
			200,
			`{"metadata":{"content_type":"json","duration":0.001},"result":null}`,
		},
		{
			"application/text",
			call{path: "/v1/algo/demo/echo", ctype: "application/text", body: "ü\n\x01"},
			200,
			`{"metadata":{"content_type":"text","duration":0.001},"result":"ü\n\u0001"}`,
		},
		{"stdout", call{path: "/v1/algo/demo/hello?stdout=True"}, 200, `{"metadata":{"content_type":"text","duration":0.000306774,"stdout":""},"result":"Hello foo"}`},
		{"stdout of another", call{path: "/v1/algo/demo/hello?stdout=true", auth: other}, 200, `{"metadata":{"content_type":"text","duration":0.000306774},"result":"Hello foo"}`},

		{"raw text", call{path: "/v1/algo/demo/hello?output=raw"}, 200, `Hello foo`},
		{"raw json string", call{path: "/v1/algo/demo/jsonstring?output=raw"}, 200, `a"b`},
		{"raw binary", call{path: "/v1/algo/demo/binary?output=raw"}, 200, "\x00\xff\xfe>"},
		{"raw json", call{path: "/v1/algo/demo/echo?output=raw", ctype: "application/json", body: ` [1]`}, 200, ` [1]`},
		{"output=default", call{path: "/v1/algo/demo/void?output=default"}, 200, `{"metadata":{"content_type":"void","duration":0.000306774},"result":null}`},

		{"failed", call{path: "/v1/algo/demo/fails"}, 200, `{"error":{"message":"division by zero","error_type":"AlgorithmError","stacktrace":"Traceback …","stack_trace":"Traceback …"},"metadata":{"duration":0.0465}}`},
		{"failed for another", call{path: "/v1/algo/demo/fails", auth: other}, 200, `{"error":{"message":"division by zero","error_type":"AlgorithmError"},"metadata":{"duration":0.0465}}`},
		{"failed raw", call{path: "/v1/algo/demo/fails?output=raw", auth: other}, 400, `{"error":{"message":"division by zero","error_type":"AlgorithmError"},"metadata":{"duration":0.0465}}`},
		{"wrong shape", call{path: "/v1/algo/demo/shape"}, 200, `{"error":{"message":"input: wants 1x4, got 1x3","error_type":"InputError"},"metadata":{"duration":0.0465}}`},
		{"too large", call{path: "/v1/algo/demo/echo", body: strings.Repeat("x", 101)}, 200, `{"error":{"message":"the result of 101 bytes is over the limit of 100 bytes for one answer","error_type":"TooLargeError"},"metadata":{"duration":0.001}}`},
		{"worker's bad json", call{path: "/v1/algo/demo/badjson"}, 500, `{"error":{"message":"the algorithm's worker gave a result that is no JSON"}}`},
		{"unknown", call{path: "/v1/algo/no/such"}, 404, notFound},
		{"unknown with version", call{path: "/v1/algo/no/such/1.0.0"}, 404, notFound},
		{"unknown void", call{path: "/v1/algo/no/such?output=void"}, 404, notFound},
		{"unknown version", call{path: "/v1/algo/demo/hello/9.9.9"}, 404, `{"error":{"message":"algorithm demo/hello has no version 9.9.9"}}`},
		{"private of another", call{path: "/v1/algo/demo/secret", auth: other}, 404, `{"error":{"message":"algorithm algo://demo/secret not found"}}`},
		{"no key", call{path: "/v1/algo/demo/hello", auth: "none"}, 401, denied},
		{"wrong key", call{path: "/v1/algo/demo/hello", auth: "Simple simWrong"}, 401, denied},
		{"busy", call{path: "/v1/algo/demo/busy"}, 429, `{"error":{"message":"the queue is full"}}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			res, body := s.do(t, c.call)
			if res.StatusCode != c.status || body != c.body {
				t.Errorf("got %d %s\nwant %d %s", res.StatusCode, body, c.status, c.body)
			}
			if !regexp.MustCompile(`^req-[0-9a-f-]{36}$`).MatchString(res.Header.Get("X-Request-Id")) {
				t.Errorf("X-Request-Id %q", res.Header.Get("X-Request-Id"))
			}
			if !strings.Contains(res.Header.Get("Server-Timing"), "total;dur=") {
				t.Errorf("Server-Timing %q", res.Header.Get("Server-Timing"))
			}
		})
	}
	if strings.Contains(s.log.String(), "simDemo") || strings.Contains(s.log.String(), "simOther") {
		t.Error("the log holds a key")
	}
}

func TestCallHeaders(t *testing.T) {
	s := newServer(t, algorithmia.Config{})
	res, _ := s.do(t, call{path: "/v1/algo/demo/hello"})
	if got := res.Header.Get("Server-Timing"); !strings.HasPrefix(got, "queue;dur=1.2, compute;dur=0.306, total;dur=") {
		t.Errorf("Server-Timing: %q", got)
	}
	res, _ = s.do(t, call{path: "/v1/algo/demo/busy"})
	if got := res.Header.Get("Retry-After"); got != "2" {
		t.Errorf("Retry-After: %q", got)
	}
	if got := res.Header.Get("X-Stoa-Error"); got != "busy" {
		t.Errorf("X-Stoa-Error: %q", got)
	}
	res, body := s.do(t, call{path: "/v1/algo/demo/hello", method: "GET"})
	if res.StatusCode != 405 || res.Header.Get("Allow") != "POST" || !strings.Contains(body, `"message":`) {
		t.Errorf("GET: %d %q %s", res.StatusCode, res.Header.Get("Allow"), body)
	}
	for ctype, want := range map[string]string{"image/png": "image/png", "image/svg+xml": "application/octet-stream", "application/x-npy": "application/x-npy"} {
		res, _ = s.do(t, call{path: "/v1/algo/demo/echo?output=raw", ctype: ctype, body: "x"})
		if got := res.Header.Get("Content-Type"); got != want {
			t.Errorf("raw %s: Content-Type %q", ctype, got)
		}
	}
	for _, auth := range []string{doortest.DemoKey, "simple " + doortest.DemoKey, "Bearer " + doortest.DemoKey, "BEARER  " + doortest.DemoKey} {
		if res, _ := s.do(t, call{path: "/v1/algo/demo/hello", auth: auth}); res.StatusCode != 200 {
			t.Errorf("Authorization %q: %d", auth, res.StatusCode)
		}
	}
}

func TestCallRefusals(t *testing.T) {
	s := newServer(t, algorithmia.Config{BodyLimit: 1 << 20})
	deep := strings.Repeat("[", 100000) + strings.Repeat("]", 100000)
	for _, c := range []struct {
		name   string
		call   call
		status int
		says   string
	}{
		{"form", call{path: "/v1/algo/demo/echo", ctype: "application/x-www-form-urlencoded", body: "{}"}, 415, "application/json, text/plain or application/octet-stream"},
		{"missing type", call{path: "/v1/algo/demo/echo", ctype: "none", body: "{}"}, 400, "no Content-Type: send application/json, text/plain or application/octet-stream"},
		{"odd type", call{path: "/v1/algo/demo/echo", ctype: "text/html", body: "{}"}, 415, "text/html"},
		{"broken type", call{path: "/v1/algo/demo/echo", ctype: ";;", body: "{}"}, 400, "cannot be read"},
		{"charset", call{path: "/v1/algo/demo/echo", ctype: "text/plain; charset=latin1", body: "x"}, 415, "latin1"},
		{"no utf-8", call{path: "/v1/algo/demo/echo", body: "\xff"}, 400, "not UTF-8"},
		{"no json", call{path: "/v1/algo/demo/echo", ctype: "application/json", body: `{"a":}`}, 400, "no value starts so at byte 5"},
		{"empty json", call{path: "/v1/algo/demo/echo", ctype: "application/json"}, 400, "it is empty"},
		{"deep json", call{path: "/v1/algo/demo/echo", ctype: "application/json", body: deep}, 400, "nested too deeply"},
		{"body", call{path: "/v1/algo/demo/echo", body: strings.Repeat("x", 1<<20+1)}, 413, "over the limit of 1 MiB"},
		{"timeout", call{path: "/v1/algo/demo/echo?timeout=soon"}, 400, "timeout=soon"},
		{"timeout 0", call{path: "/v1/algo/demo/echo?timeout=0"}, 400, "timeout=0"},
		{"timeout NaN", call{path: "/v1/algo/demo/echo?timeout=NaN"}, 400, "timeout=NaN"},
		{"timeout over", call{path: "/v1/algo/demo/echo?timeout=3001"}, 400, "3000.0 seconds"},
		{"timeout 1e400", call{path: "/v1/algo/demo/echo?timeout=1e400"}, 400, "timeout=1e400"},
		{"output", call{path: "/v1/algo/demo/echo?output=xml"}, 400, "output=xml"},
		{"owner", call{path: "/v1/algo/de-mo/echo"}, 400, `owner "de-mo"`},
		{"no name", call{path: "/v1/algo/demo"}, 400, "owner/name"},
		{"four parts", call{path: "/v1/algo/a/b/1.0.0/c"}, 400, "owner/name"},
		{"version", call{path: "/v1/algo/demo/echo/one"}, 400, `version "one"`},
		{"uuid version", call{path: "/v1/algo/" + doortest.HelloID + "/one"}, 400, `version "one"`},
		{"bad escape", call{path: "/v1/algo/demo/e%25zzcho"}, 400, "escaped"},
		{"long", call{path: "/v1/algo/" + strings.Repeat("a", 5000)}, 400, "too long"},
	} {
		t.Run(c.name, func(t *testing.T) {
			res, body := s.do(t, c.call)
			var e struct{ Error struct{ Message string } }
			if err := json.Unmarshal([]byte(body), &e); err != nil {
				t.Fatalf("%v: %s", err, body)
			}
			if res.StatusCode != c.status || !strings.Contains(e.Error.Message, c.says) {
				t.Errorf("got %d %q, want %d and %q", res.StatusCode, e.Error.Message, c.status, c.says)
			}
		})
	}
}

// TestBodyLimitChunked sends a body that does not say how long it is.
func TestBodyLimitChunked(t *testing.T) {
	s := newServer(t, algorithmia.Config{BodyLimit: 1000})
	for _, c := range []struct{ size, status int }{{1000, 200}, {1001, 413}, {5 << 20, 413}} {
		req, _ := http.NewRequest("POST", s.URL+"/v1/algo/demo/echo", io.MultiReader(strings.NewReader(strings.Repeat("x", c.size))))
		req.Header.Set("Authorization", doortest.DemoKey)
		req.Header.Set("Content-Type", "text/plain")
		res, err := s.Client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != c.status {
			t.Errorf("%d bytes: %d", c.size, res.StatusCode)
		}
	}
}

// TestBigBody reads a body above the one that is allocated on its claim alone.
func TestBigBody(t *testing.T) {
	s := newServer(t, algorithmia.Config{})
	body := strings.Repeat("0123456789abcdef", 60000)
	_, got := s.do(t, call{path: "/v1/algo/demo/echo?output=raw", ctype: "application/octet-stream", body: body})
	if got != body {
		t.Errorf("%d bytes came back of %d", len(got), len(body))
	}
	_, got = s.do(t, call{path: "/v1/algo/demo/echo", ctype: "application/octet-stream", body: body})
	var answer struct{ Result string }
	if err := json.Unmarshal([]byte(got), &answer); err != nil || answer.Result != base64.StdEncoding.EncodeToString([]byte(body)) {
		t.Errorf("base64 differs: %v", err)
	}
}

func TestCallTimeout(t *testing.T) {
	s := newServer(t, algorithmia.Config{})
	res, body := s.do(t, call{path: "/v1/algo/demo/slow?timeout=0.05"})
	if res.StatusCode != 200 || !strings.HasPrefix(body, `{"error":{"message":"algorithm did not complete within 0.05 seconds","error_type":"TimeoutError"},"metadata":{"duration":`) {
		t.Errorf("%d %s", res.StatusCode, body)
	}
	res, body = s.do(t, call{path: "/v1/algo/demo/slow?timeout=.05&output=raw"})
	if res.StatusCode != 400 || !strings.Contains(body, "within 0.05 seconds") {
		t.Errorf("raw: %d %s", res.StatusCode, body)
	}
}

func TestCallTiming(t *testing.T) {
	s := newServer(t, algorithmia.Config{})
	_, body := s.do(t, call{path: "/v1/algo/demo/hello?timing=1"})
	var answer struct {
		Metadata struct{ Timing map[string]float64 }
	}
	if err := json.Unmarshal([]byte(body), &answer); err != nil {
		t.Fatal(err)
	}
	if tm := answer.Metadata.Timing; tm["running"] != 0.000306774 || tm["total"] <= 0 || tm["queue"] != 0.0012 {
		t.Errorf("timing %v", tm)
	}
}

// TestCallVoid answers at once; the call goes on, and a drain waits for it.
func TestCallVoid(t *testing.T) {
	s := newServer(t, algorithmia.Config{MaxDetached: 1})
	release, done := make(chan struct{}), make(chan time.Duration, 1)
	s.sys.Add("demo/later/1.0.0", true, func(ctx context.Context, c stoa.Call) stoa.Result {
		<-release
		d, _ := ctx.Deadline()
		if ctx.Err() == nil {
			done <- time.Until(d)
		}
		return stoa.Result{}
	})
	_, body := s.do(t, call{path: "/v1/algo/demo/later?output=void&timeout=100"})
	if !regexp.MustCompile(`^{"async":"void","request_id":"req-[0-9a-f-]{36}"}$`).MatchString(body) {
		t.Fatalf("void: %s", body)
	}
	res, _ := s.do(t, call{path: "/v1/algo/demo/later?output=void"})
	if res.StatusCode != 429 {
		t.Errorf("over the bound: %d", res.StatusCode)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if err := s.door.Drain(ctx); stoa.KindOf(err) != stoa.Timeout {
		t.Errorf("drain: %v", err)
	}
	if res, _ := s.do(t, call{path: "/v1/algo/demo/later?output=void"}); res.StatusCode != 503 {
		t.Errorf("while draining: %d", res.StatusCode)
	}
	close(release)
	if left := <-done; left < 50*time.Second || left > 100*time.Second {
		t.Errorf("deadline in %s", left)
	}
	if err := s.door.Drain(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestCallPanic survives, says so, and keeps the rest going.
func TestCallPanic(t *testing.T) {
	s := newServer(t, algorithmia.Config{})
	res, body := s.do(t, call{path: "/v1/algo/demo/panics"})
	if res.StatusCode != 500 || !strings.Contains(body, "internal error") || strings.Contains(body, "boom") {
		t.Errorf("%d %s", res.StatusCode, body)
	}
	if !strings.Contains(s.log.String(), "boom") || !strings.Contains(s.log.String(), "call_test.go") {
		t.Errorf("log: %s", s.log.String())
	}
	if res, _ := s.do(t, call{path: "/v1/algo/demo/hello"}); res.StatusCode != 200 {
		t.Errorf("afterwards: %d", res.StatusCode)
	}
}

// TestHangUp ends the call of a caller that went away.
func TestHangUp(t *testing.T) {
	s := newServer(t, algorithmia.Config{})
	started, ended := make(chan struct{}), make(chan error, 1)
	s.sys.Add("demo/waits/1.0.0", true, func(ctx context.Context, _ stoa.Call) stoa.Result {
		close(started)
		<-ctx.Done()
		ended <- ctx.Err()
		return stoa.Result{Err: ctx.Err()}
	})
	ctx, cancel := context.WithCancel(t.Context())
	req, _ := http.NewRequestWithContext(ctx, "POST", s.URL+"/v1/algo/demo/waits", strings.NewReader("x"))
	req.Header.Set("Authorization", doortest.DemoKey)
	req.Header.Set("Content-Type", "text/plain")
	var hung atomic.Bool
	go func() {
		<-started
		hung.Store(true)
		cancel()
	}()
	if res, err := s.Client().Do(req); err == nil {
		res.Body.Close()
	}
	if err := <-ended; !hung.Load() || err == nil {
		t.Errorf("ended with %v", err)
	}
}

func BenchmarkCall(b *testing.B) {
	sys := doortest.New()
	sys.Add("demo/floats/1.0.0", true, func(context.Context, stoa.Call) stoa.Result {
		return stoa.Result{Value: stoa.Value{Type: stoa.JSON, Data: []byte(`[1,2,3,4]`)}, Usage: stoa.Usage{Compute: time.Millisecond}}
	})
	h, _ := sys.Handler(slog.New(slog.DiscardHandler), algorithmia.Config{})
	b.ReportAllocs()
	for b.Loop() {
		req := &http.Request{
			Method: "POST", Header: http.Header{"Authorization": {"Simple " + doortest.DemoKey}, "Content-Type": {"application/json"}},
			Body: io.NopCloser(strings.NewReader(`[[1,2,3,4]]`)), ContentLength: 11, Host: "x", RemoteAddr: "1.2.3.4:5",
		}
		u := *callURL
		req.URL = &u
		w := httptest.NewRecorder()
		h.ServeHTTP(w, req)
		if w.Code != 200 {
			b.Fatal(w.Body)
		}
	}
}

var callURL = func() *url.URL {
	r, err := http.NewRequest("POST", "http://x/v1/algo/demo/floats", nil)
	if err != nil {
		panic(fmt.Sprint(err))
	}
	return r.URL
}()
