package client_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/client"
	"github.com/stoa-project/stoa/internal/api/algorithmia"
	"github.com/stoa-project/stoa/internal/api/algorithmia/doortest"
)

func start(t *testing.T, wrap func(http.Handler) http.Handler) (*doortest.System, *client.Client) {
	t.Helper()
	sys := doortest.New()
	sys.Add("demo/echo/1.0.0", true, nil)
	sys.Add("demo/echo/1.1.0", true, nil)
	h, _ := sys.Handler(nil, algorithmia.Config{})
	if wrap != nil {
		h = wrap(h)
	}
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return sys, connect(t, s.URL)
}

func connect(t *testing.T, url string) *client.Client {
	t.Helper()
	c, err := client.New(url, doortest.DemoKey, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestNew(t *testing.T) {
	for in, want := range map[string]string{
		"127.0.0.1:8080": "http://127.0.0.1:8080", "https://x.example/stoa/": "https://x.example/stoa/", "localhost": "http://localhost",
		"": "", "ftp://x": "", "http://": "", "http://a b": "",
	} {
		c, err := client.New(in, "k", client.Options{})
		switch {
		case want == "" && stoa.KindOf(err) != stoa.Invalid:
			t.Errorf("%q: %v", in, err)
		case want != "" && (err != nil || c.Server() != want):
			t.Errorf("%q: %v", in, err)
		}
	}
	if _, err := client.New("localhost", "a\nb", client.Options{}); err == nil {
		t.Error("a key of two lines passed")
	}
}

func TestCall(t *testing.T) {
	sys, c := start(t, nil)
	for _, v := range []stoa.Value{
		{Type: stoa.Text, Data: []byte("grün")},
		{Type: stoa.JSON, Data: []byte(`{"a":[1]}`)},
		{Type: stoa.Binary, Data: []byte{0, 1, 255}},
		{Type: stoa.Binary, Data: []byte{0, 1}, MediaType: "image/png"},
		{Type: stoa.Binary, Data: []byte{0, 1}, MediaType: stoa.NpyMediaType},
	} {
		a, err := c.Call(t.Context(), "algo://demo/echo", v, client.CallOptions{Timeout: 1500 * time.Millisecond})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(v, a.Value); diff != "" {
			t.Error(diff)
		}
		if !strings.HasPrefix(a.RequestID, "req-") || len(a.Timing) != 3 || a.Timing[1] != (client.Timing{Name: "compute", Took: time.Millisecond}) {
			t.Errorf("%q %v", a.RequestID, a.Timing)
		}
	}
	a, err := c.Call(t.Context(), "demo/echo", stoa.Value{Type: stoa.Void}, client.CallOptions{})
	if err != nil || string(a.Value.Data) != "null" {
		t.Errorf("void: %v, %v", a, err)
	}
	sys.Add("demo/nothing/1.0.0", true, func(context.Context, stoa.Call) stoa.Result {
		return stoa.Result{Value: stoa.Value{Type: stoa.Void}}
	})
	if a, err = c.Call(t.Context(), "demo/nothing", stoa.Value{Type: stoa.Text}, client.CallOptions{}); err != nil || a.Value.Type != stoa.Void {
		t.Errorf("void answer: %v, %v", a, err)
	}
	if id, err := c.CallVoid(t.Context(), "demo/echo", stoa.Value{Type: stoa.Text}, client.CallOptions{}); err != nil || !strings.HasPrefix(id, "req-") {
		t.Errorf("%q, %v", id, err)
	}
}

// TestKinds sends every kind of error over the wire and back.
func TestKinds(t *testing.T) {
	sys, c := start(t, nil)
	var kind atomic.Int32
	sys.Add("demo/fails/1.0.0", true, func(context.Context, stoa.Call) stoa.Result {
		return stoa.Result{Err: &stoa.Error{Kind: stoa.Kind(kind.Load()), Msg: "what went wrong", Stack: "the stack", Type: "T", RetryAfter: 3 * time.Second}}
	})
	for k := stoa.Internal; k <= stoa.Unavailable; k++ {
		kind.Store(int32(k))
		_, err := c.Call(t.Context(), "demo/fails/1.0.0", stoa.Value{Type: stoa.Text}, client.CallOptions{})
		var e *stoa.Error
		if !errors.As(err, &e) || e.Kind != k || e.Msg != "what went wrong" || e.RetryAfter != 3*time.Second && k != stoa.Unauthenticated {
			t.Errorf("%s came back as %#v", k, err)
		}
		if k == stoa.Failed && e.Stack != "the stack" {
			t.Errorf("stack %q", e.Stack)
		}
	}
}

func TestErrors(t *testing.T) {
	_, c := start(t, nil)
	for name, f := range map[string]func() error{
		"algorithm algo://no/such not found": func() error {
			_, err := c.Call(t.Context(), "no/such", stoa.Value{Type: stoa.Text}, client.CallOptions{})
			return err
		},
		"algorithm no/such does not exist": func() error { _, err := c.Show(t.Context(), "no/such"); return err },
		"has no version 7.0.0":             func() error { _, err := c.Show(t.Context(), "demo/echo/7.0.0"); return err },
		"you have no key":                  func() error { return c.RevokeKey(t.Context(), "a/b") },
	} {
		if err := f(); stoa.KindOf(err) != stoa.NotFound || !strings.Contains(err.Error(), name) {
			t.Errorf("want %q, got %v", name, err)
		}
	}
	if _, err := c.Call(t.Context(), "nonsense", stoa.Value{}, client.CallOptions{}); stoa.KindOf(err) != stoa.Invalid {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.WhoAmI(ctx); stoa.KindOf(err) != stoa.Canceled {
		t.Error(err)
	}
	page := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/v1/whoami":
			io.WriteString(w, "<html>")
		case "/v1/keys":
			http.Redirect(w, r, "/login", http.StatusFound)
		default:
			http.Error(w, "<html>bad gateway", http.StatusBadGateway)
		}
	}))
	defer page.Close()
	c = connect(t, page.URL)
	if _, err := c.WhoAmI(t.Context()); stoa.KindOf(err) != stoa.Unavailable || !strings.Contains(err.Error(), "is it a Stoa server?") {
		t.Error(err)
	}
	if _, err := c.NewKey(t.Context(), client.KeyRequest{}); err == nil || !strings.Contains(err.Error(), "302") {
		t.Error(err)
	}
	if _, err := c.List(t.Context(), client.Query{}); stoa.KindOf(err) != stoa.Unavailable || !strings.Contains(err.Error(), "502") {
		t.Error(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	if _, err := connect(t, l.Addr().String()).WhoAmI(t.Context()); stoa.KindOf(err) != stoa.Unavailable || !strings.Contains(err.Error(), "is it running there?") {
		t.Error(err)
	}
}

func TestAlgorithms(t *testing.T) {
	sys, c := start(t, nil)
	v := sys.Add("demo/files/2.0.0", false, nil)
	sys.AddFile(v, "samples/a b.txt", []byte("hello"))
	got, err := c.List(t.Context(), client.Query{Owner: "me", Text: "echo", Limit: 5})
	if err != nil || len(got) != 1 || got[0].Version != "1.1.0" || got[0].Created.Year() != 2026 {
		t.Errorf("%+v, %v", got, err)
	}
	a, err := c.Show(t.Context(), "demo/files/2.0.0")
	if err != nil || a.Visibility != "private" || len(a.Files) != 1 || a.Files[0].Size != 5 || a.Manifest == nil || a.Report == nil {
		t.Errorf("%+v, %v", a, err)
	}
	f, err := c.OpenFile(t.Context(), "demo/files", "samples/a b.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if b, _ := io.ReadAll(f); string(b) != "hello" {
		t.Errorf("%q", b)
	}
	if vs, err := c.Versions(t.Context(), "demo/echo"); err != nil || len(vs) != 2 {
		t.Errorf("%v, %v", vs, err)
	}
	if err := c.Remove(t.Context(), "demo/echo/1.0.0"); err != nil {
		t.Error(err)
	}
	if vs, err := c.Versions(t.Context(), "demo/echo"); err != nil || len(vs) != 1 || vs[0].Version != "1.1.0" {
		t.Errorf("%v, %v", vs, err)
	}
	if err := c.Remove(t.Context(), "demo/echo"); err != nil {
		t.Error(err)
	}
	if _, err := c.Versions(t.Context(), "demo/echo"); stoa.KindOf(err) != stoa.NotFound {
		t.Error(err)
	}
}

func TestListFollowsPages(t *testing.T) {
	var asked atomic.Int32
	sys, c := start(t, func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { asked.Add(1); h.ServeHTTP(w, r) })
	})
	for i := range 1500 {
		sys.Add("demo/many"+strconv.Itoa(i)+"/1.0.0", true, nil).Algorithm = strconv.Itoa(i)
	}
	for _, tc := range []struct {
		q          client.Query
		want, asks int
	}{
		{client.Query{Text: "many"}, 1500, 2},
		{client.Query{Text: "many", Limit: 1200}, 1200, 2},
		{client.Query{Text: "many", Limit: 1000}, 1000, 1},
		{client.Query{Text: "many", Kind: "model", Framework: "none", Limit: 3}, 3, 1},
		{client.Query{Text: "many", Framework: "caffe"}, 0, 1},
	} {
		asked.Store(0)
		got, err := c.List(t.Context(), tc.q)
		if err != nil || len(got) != tc.want || int(asked.Load()) != tc.asks {
			t.Errorf("%+v: %d in %d requests, %v", tc.q, len(got), asked.Load(), err)
		}
	}
	// A server that never comes to an end is left.
	loop := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		_, _ = io.WriteString(w, `{"marker":"m`+strconv.Itoa(int(asked.Load()))+`","results":[{"id":"1"}]}`)
	}))
	defer loop.Close()
	if got, err := connect(t, loop.URL).List(t.Context(), client.Query{}); err != nil || len(got) != 1 {
		t.Errorf("%v, %v", got, err)
	}
}

func TestKeys(t *testing.T) {
	_, c := start(t, nil)
	if id, err := c.WhoAmI(t.Context()); err != nil || id.Account != "demo" || id.Admin {
		t.Errorf("%+v, %v", id, err)
	}
	k, err := c.NewKey(t.Context(), client.KeyRequest{Label: "laptop"})
	if err != nil || len(k.Key) != 28 {
		t.Fatalf("%+v, %v", k, err)
	}
	if err := c.RevokeKey(t.Context(), k.ID); err != nil {
		t.Error(err)
	}
	ks, err := c.Keys(t.Context())
	if err != nil || len(ks) != 2 || ks[1].Revoked.IsZero() || ks[1].Key != "" {
		t.Errorf("%+v, %v", ks, err)
	}
}

func bundle(t *testing.T) client.PushRequest {
	t.Helper()
	path := filepath.Join(t.TempDir(), "w")
	if err := os.WriteFile(path, []byte(strings.Repeat("weights ", 100000)), 0o600); err != nil {
		t.Fatal(err)
	}
	return client.PushRequest{Manifest: "name: net\n", Bump: "major", Files: []client.PushFile{
		{Name: "net.caffemodel", Path: path}, {Name: "twin", Path: path}, {Name: "README.md", Data: []byte("# net")}, {Name: "empty"},
	}}
}

func TestPush(t *testing.T) {
	sys, c := start(t, nil)
	r := bundle(t)
	var steps []string
	var last client.Progress
	var log string
	r.Progress = func(p client.Progress) {
		if !slices.Contains(steps, p.Step) {
			steps = append(steps, p.Step)
		}
		if p.Step == client.Uploading {
			last = p
		}
		log += p.Log
	}
	p, err := c.Push(t.Context(), r)
	if err != nil || !p.New || p.Version != "0.1.0" || sys.Puts != 3 || !strings.HasSuffix(p.URL, "/v1/algo/demo/net/0.1.0") {
		t.Fatalf("%+v after %d uploads, %v", p, sys.Puts, err)
	}
	if strings.Join(steps, " ") != "hash upload build" || last.Done != last.Total || last.Total != 800005 {
		t.Errorf("%v, last %+v", steps, last)
	}
	if log != "building\nbuilt\n" {
		t.Errorf("the build's log came as %q", log)
	}
	p, err = c.Push(t.Context(), r)
	if err != nil || p.New || p.Version != "0.1.0" || sys.Puts != 3 {
		t.Errorf("again: %+v after %d uploads, %v", p, sys.Puts, err)
	}
	r.Files = append(r.Files, client.PushFile{Name: "more", Data: []byte("more")})
	if p, err = c.Push(t.Context(), r); err != nil || p.Version != "1.0.0" || sys.Puts != 4 {
		t.Errorf("changed: %+v after %d uploads, %v", p, sys.Puts, err)
	}
}

func TestPushFails(t *testing.T) {
	sys, c := start(t, nil)
	r := bundle(t)
	r.As = "other/net"
	if _, err := c.Push(t.Context(), r); stoa.KindOf(err) != stoa.Forbidden {
		t.Error(err)
	}
	r = bundle(t)
	r.Files[0].Path += ".gone"
	if _, err := c.Push(t.Context(), r); stoa.KindOf(err) != stoa.NotFound || !strings.Contains(err.Error(), "net.caffemodel") {
		t.Error(err)
	}
	r = bundle(t)
	ctx, cancel := context.WithCancel(t.Context())
	r.Progress = func(p client.Progress) {
		if p.Step == client.Uploading {
			cancel()
		}
	}
	if _, err := c.Push(ctx, r); stoa.KindOf(err) != stoa.Canceled {
		t.Error(err)
	}
	r = bundle(t)
	r.Progress = func(p client.Progress) {
		if p.Step == client.Uploading && p.Done == 0 || p.Step == client.Hashing && p.File == "twin" && p.Done == p.Total-5 {
			if err := os.WriteFile(r.Files[0].Path, []byte(strings.Repeat("changed ", 100000)), 0o600); err != nil {
				t.Error(err)
			}
		}
	}
	if _, err := c.Push(t.Context(), r); stoa.KindOf(err) != stoa.Invalid || !strings.Contains(err.Error(), "did it change") {
		t.Error(err)
	}
	if sys.Open() != 0 {
		t.Errorf("%d pushes are still open", sys.Open())
	}
}

// TestPushRetries breaks the connection of the first upload, and of every one.
func TestPushRetries(t *testing.T) {
	for _, c := range []struct {
		breaks int32
		ok     bool
	}{{1, true}, {99, false}} {
		var left atomic.Int32
		left.Store(c.breaks)
		sys, cl := start(t, func(h http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Method == http.MethodPut && left.Add(-1) >= 0 {
					panic(http.ErrAbortHandler)
				}
				h.ServeHTTP(w, r)
			})
		})
		_, err := cl.Push(t.Context(), bundle(t))
		if c.ok != (err == nil) || err != nil && stoa.KindOf(err) != stoa.Unavailable {
			t.Errorf("%d breaks: %v", c.breaks, err)
		}
		if sys.Open() != 0 {
			t.Errorf("%d breaks: %d pushes are still open", c.breaks, sys.Open())
		}
	}
}

// TestLight holds that the SDK pulls in nothing of the server but its table of
// statuses.
func TestLight(t *testing.T) {
	out, err := exec.CommandContext(t.Context(), "go", "list", "-deps", ".").Output()
	if err != nil {
		t.Skipf("SKIPPED: go list: %v", err)
	}
	for line := range strings.Lines(string(out)) {
		p := strings.TrimSpace(line)
		if first, _, _ := strings.Cut(p, "/"); !strings.Contains(first, ".") {
			continue
		}
		switch p {
		case "github.com/stoa-project/stoa", "github.com/stoa-project/stoa/client", "github.com/stoa-project/stoa/internal/api", "github.com/stoa-project/stoa/internal/buffer", "github.com/google/uuid":
		default:
			t.Errorf("the SDK links %s", p)
		}
	}
}
