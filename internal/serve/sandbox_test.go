package serve_test

import (
	"testing"

	"github.com/stoa-project/stoa/internal/sandbox"
	"github.com/stoa-project/stoa/internal/serve"
	"github.com/stoa-project/stoa/internal/serve/servetest"
)

func sandboxed(t testing.TB) func(*serve.Config) {
	servetest.Sandboxed(t)
	return func(c *serve.Config) { c.Sandbox = sandbox.On }
}

func TestModelsRunInTheSandbox(t *testing.T) {
	s := start(t, t.TempDir(), sandboxed(t))
	for _, d := range []string{"digits", "places"} {
		s.push(t, "../../demo/"+d)
	}
	if got := label(t, s, "demo/places", "../../demo/places/samples/stream.jpg"); got != "forest" {
		t.Errorf("places says %q of the stream", got)
	}
}
