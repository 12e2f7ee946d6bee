package serve_test

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stoa-project/stoa/client"
	"github.com/stoa-project/stoa/internal/sandbox"
	"github.com/stoa-project/stoa/internal/serve"
)

// BenchmarkCallWithoutSocket is a call to a model of four floats without the
// caller's socket: what the server and the worker add.
func BenchmarkCallWithoutSocket(b *testing.B) {
	callWithoutSocket(b, func(c *serve.Config) { c.Sandbox = sandbox.None })
}

// BenchmarkCallWithoutSocketInTheSandbox is the same with the worker in the
// sandbox.
func BenchmarkCallWithoutSocketInTheSandbox(b *testing.B) { callWithoutSocket(b, sandboxed(b)) }

func callWithoutSocket(b *testing.B, change func(*serve.Config)) {
	log, err := os.Create(filepath.Join(b.TempDir(), "log"))
	if err != nil {
		b.Fatal(err)
	}
	defer log.Close()
	s := start(b, b.TempDir(), func(c *serve.Config) {
		c.Log = slog.New(slog.NewJSONHandler(log, nil))
		change(c)
	})
	if _, err := s.Push(b.Context(), client.PushRequest{
		As:       "bench/four",
		Manifest: "kind: model\nmodel:\n  files: [net.prototxt]\n",
		Files:    []client.PushFile{{Name: "net.prototxt", Path: "../../bench/four/net.prototxt"}},
	}); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		r := httptest.NewRequest(http.MethodPost, "/v1/algo/bench/four", strings.NewReader("[1.5,-2.25,3.125,4]"))
		r.Header.Set("Authorization", s.Key)
		r.Header.Set("Content-Type", "application/json")
		w := httptest.NewRecorder()
		s.Handler().ServeHTTP(w, r)
		if w.Code != http.StatusOK {
			b.Fatal(w.Code, w.Body)
		}
	}
}
