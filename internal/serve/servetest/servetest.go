// Package servetest starts a whole server for a test: a System on a port and a
// folder of its own, whose workers and import children are the test's own
// program started again.
package servetest

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stoa-project/stoa/client"
	"github.com/stoa-project/stoa/internal/sandbox"
	"github.com/stoa-project/stoa/internal/serve"
	"github.com/stoa-project/stoa/internal/shim/shimtest"
)

// Main is the whole of a TestMain, which exits with what it gives: it runs the
// tests, or is the child that a server under test has started.
func Main(m *testing.M) int {
	child, err := serve.Child(context.Background(), os.Args[1:], os.Stdin, os.Stdout)
	switch {
	case !child:
		return m.Run()
	case err != nil:
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// System is a running System with its administrator's client.
type System struct {
	*serve.System
	*client.Client
	Data string // its folder
	Key  string // of the administrator
	// Stop ends it, and waits until it is gone. The test's end does so too.
	Stop func()
}

// Library gives the path of ONNX Runtime, as make setup has put it, for a test
// two folders below the module's root. Without it the test is skipped.
func Library(t testing.TB) string {
	t.Helper()
	lib, err := filepath.Abs(serve.FindLibrary("../../bin"))
	if err != nil {
		t.Fatal(err)
	}
	if st, err := os.Stat(lib); err != nil || st.IsDir() {
		t.Skip("SKIPPED: no ONNX Runtime: run make setup")
	}
	return lib
}

// Sandboxed skips a test that must run in the real sandbox where there is none.
func Sandboxed(t testing.TB) {
	t.Helper()
	if sandbox.Find("") == "" {
		t.Skip("SKIPPED: no bubblewrap: run make setup")
	}
}

// Start starts a System on a data folder. change may change its Config; nil
// changes nothing.
func Start(t testing.TB, data string, change func(*serve.Config)) *System {
	t.Helper()
	cfg := serve.Config{
		Data: data, Listen: "127.0.0.1:0", Library: Library(t), Build: "test", Self: []string{os.Args[0]},
		StopWorkers: func() bool { return true },
	}
	if cfg.Bwrap = sandbox.Find(""); cfg.Bwrap == "" {
		cfg.Sandbox = sandbox.None // what needs the sandbox asks for it: see Sandboxed
	}
	cfg.Init = shimtest.Build(t)
	if change != nil {
		change(&cfg)
	}
	s, err := serve.New(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := s.Run(ctx); err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	var once sync.Once
	stop := func() { once.Do(func() { cancel(); wg.Wait() }) }
	t.Cleanup(stop)
	b, err := os.ReadFile(filepath.Join(data, "admin-key"))
	if err != nil {
		t.Fatal(err)
	}
	key := strings.TrimSpace(string(b))
	c, err := client.New(s.URL(), key, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return &System{System: s, Client: c, Data: data, Key: key, Stop: stop}
}

// Bundle reads a folder as the command line does: all its files but stoa.yaml.
func Bundle(t testing.TB, dir string) client.PushRequest {
	t.Helper()
	man, err := os.ReadFile(filepath.Join(dir, "stoa.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	r := client.PushRequest{Manifest: string(man)}
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || d.Name() == "stoa.yaml" {
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
