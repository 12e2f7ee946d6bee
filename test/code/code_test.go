// Package code holds the tests of algorithms that are code, end to end: each
// language from its template to a call, and what programs do that go wrong.
package code

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/client"
	"github.com/stoa-project/stoa/internal/serve"
	"github.com/stoa-project/stoa/internal/serve/servetest"
	"github.com/stoa-project/stoa/internal/worker/langpack"
)

func TestMain(m *testing.M) { os.Exit(servetest.Main(m)) }

// server starts a server whose workers, builds and code run in the sandbox.
func server(t *testing.T, change func(*serve.Config)) *servetest.System {
	t.Helper()
	servetest.Sandboxed(t)
	return servetest.Start(t, t.TempDir(), change)
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
	s := server(t, nil)
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
