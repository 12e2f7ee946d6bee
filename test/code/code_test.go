// Package code holds the tests of algorithms that are code, end to end: each
// language from its template to a call, and what programs do that go wrong.
package code

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/client"
	"github.com/stoa-project/stoa/internal/serve"
	"github.com/stoa-project/stoa/internal/serve/servetest"
	"github.com/stoa-project/stoa/internal/worker/langpack"
)

func TestMain(m *testing.M) {
	status := servetest.Main(m)
	for _, f := range slices.Backward(common.cleanups) {
		f()
	}
	os.Exit(status)
}

// server starts a server whose workers, builds and code run in the sandbox.
func server(t *testing.T, change func(*serve.Config)) *servetest.System {
	t.Helper()
	servetest.Sandboxed(t)
	return servetest.Start(t, t.TempDir(), change)
}

// shared gives a server that all tests share which change nothing of it: what a
// build leaves for the next one is left for them, too, and Go's library is
// compiled once.
func shared(t *testing.T) *servetest.System {
	t.Helper()
	servetest.Sandboxed(t)
	common.once.Do(func() {
		common.TB = t
		data := common.TempDir()
		keepCache(t, data)
		common.system = servetest.Start(&common, data, nil)
	})
	if common.system == nil {
		t.Fatal("the server that tests share did not start")
	}
	return common.system
}

// keepCache lets builds find what an earlier run of the tests has left, as those
// of one server do: Go's library takes half a minute to compile.
func keepCache(t *testing.T, data string) {
	t.Helper()
	kept := filepath.Join(os.TempDir(), fmt.Sprintf("stoa-test-%d", os.Getuid()), "build-cache")
	if err := os.MkdirAll(kept, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(kept, filepath.Join(data, serve.CacheDir)); err != nil {
		t.Fatal(err)
	}
}

// lasting is a test that ends with the whole program.
type lasting struct {
	testing.TB
	once     sync.Once
	system   *servetest.System
	cleanups []func()
}

var common lasting

func (l *lasting) Cleanup(f func())         { l.cleanups = append(l.cleanups, f) }
func (l *lasting) Context() context.Context { return context.Background() }

func (l *lasting) TempDir() string {
	dir, err := os.MkdirTemp("", "stoa-code-")
	if err != nil {
		l.Fatal(err)
	}
	l.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// bundle gives a folder of code as the command line sends it.
func bundle(t *testing.T, dir string) client.PushRequest {
	t.Helper()
	var r client.PushRequest
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		if d.Name() == "stoa.yaml" {
			b, err := os.ReadFile(path)
			r.Manifest = string(b)
			return err
		}
		rel, err := filepath.Rel(dir, path)
		r.Files = append(r.Files, client.PushFile{Name: filepath.ToSlash(rel), Path: path})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func push(t *testing.T, s *servetest.System, r client.PushRequest) *client.Published {
	t.Helper()
	var log strings.Builder
	r.Progress = func(p client.Progress) { log.WriteString(p.Log) }
	p, err := s.Push(t.Context(), r)
	if err != nil {
		t.Fatalf("%v\n%s", err, log.String())
	}
	return p
}

func TestTemplates(t *testing.T) {
	s := shared(t)
	for _, l := range langpack.All() {
		t.Run(l.Name(), func(t *testing.T) {
			dir := t.TempDir()
			if _, err := l.Write(dir, "me", "hello"); err != nil {
				t.Fatal(err)
			}
			r := bundle(t, dir)
			r.As = "admin/hello_" + l.Name()
			push(t, s, r)
			res, err := s.Call(t.Context(), r.As, stoa.Value{Type: stoa.Text, Data: []byte("Ada")}, client.CallOptions{})
			if err != nil {
				t.Fatal(err)
			}
			if string(res.Value.Data) != "hello Ada" {
				t.Errorf("it answers %q", res.Value.Data)
			}
		})
	}
}
