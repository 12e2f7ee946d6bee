package serve_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/client"
	"github.com/stoa-project/stoa/internal/serve"
	"github.com/stoa-project/stoa/internal/serve/servetest"
)

// TestMain is also the server's children.
func TestMain(m *testing.M) { os.Exit(servetest.Main(m)) }

// system is a running System with its administrator's client.
type system struct{ *servetest.System }

func start(t testing.TB, data string, change func(*serve.Config)) *system {
	t.Helper()
	return &system{servetest.Start(t, data, change)}
}

func (s *system) push(t testing.TB, dir string) *client.Published {
	t.Helper()
	p, err := s.Push(t.Context(), servetest.Bundle(t, dir))
	if err != nil {
		t.Fatalf("push %s: %v", dir, err)
	}
	return p
}

func (s *system) workerPIDs(t testing.TB) []int {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(s.Data, "workers", "*.json"))
	if err != nil {
		t.Fatal(err)
	}
	var pids []int
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			continue // it has just gone
		}
		var rec struct {
			PID int `json:"pid"`
		}
		if err := json.Unmarshal(b, &rec); err != nil {
			t.Fatal(err)
		}
		pids = append(pids, rec.PID)
	}
	return pids
}

func picture(t testing.TB, path string) stoa.Value {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return stoa.Value{Type: stoa.Binary, Data: b}
}

func label(t testing.TB, s *system, ref, file string) string {
	t.Helper()
	a, err := s.Call(t.Context(), ref, picture(t, file), client.CallOptions{})
	if err != nil {
		t.Fatalf("call %s: %v", ref, err)
	}
	var out struct {
		Label string `json:"label"`
	}
	if err := json.Unmarshal(a.Value.Data, &out); err != nil {
		t.Fatalf("%s answered %.200s: %v", ref, a.Value.Data, err)
	}
	return out.Label
}

func TestDemosAnswerOverREST(t *testing.T) {
	s := start(t, t.TempDir(), nil)
	for _, d := range []string{"digits", "colorize", "places"} {
		if p := s.push(t, "../../demo/"+d); !p.New {
			t.Errorf("%s was there before", d)
		}
	}
	for file, want := range map[string]string{"stream.jpg": "forest", "ridge.jpg": "mountain", "bridge.jpg": "not sure"} {
		if got := label(t, s, "demo/places", "../../demo/places/samples/"+file); got != want {
			t.Errorf("places says %q of %s, want %q", got, file, want)
		}
	}
	a, err := s.Call(t.Context(), "demo/colorize", picture(t, "../../demo/colorize/samples/before.jpg"), client.CallOptions{})
	if err != nil || !bytes.HasPrefix(a.Value.Data, []byte("\xff\xd8")) {
		t.Errorf("colorize gave %.20q, %v", a.Value.Data, err)
	}
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(maps, []byte("onnxruntime")) {
		t.Error("the server's process has opened the inference library")
	}
}

func TestTheSameContentMakesNoNewVersion(t *testing.T) {
	s := start(t, t.TempDir(), nil)
	first := s.push(t, "../../demo/digits")
	second := s.push(t, "../../demo/digits")
	if second.New || second.Version != first.Version {
		t.Errorf("second push: new %v, %s after %s", second.New, second.Version, first.Version)
	}
}

func TestCallsOutliveTheirWorker(t *testing.T) {
	s := start(t, t.TempDir(), nil)
	s.push(t, "../../demo/places")
	label(t, s, "demo/places", "../../demo/places/samples/stream.jpg")
	in := picture(t, "../../demo/places/samples/stream.jpg")
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 10 {
				if _, err := s.Call(t.Context(), "demo/places", in, client.CallOptions{}); err != nil && stoa.KindOf(err) != stoa.Unavailable {
					t.Errorf("a call ended in %v", err)
				}
			}
		})
	}
	for _, pid := range s.workerPIDs(t) {
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			t.Error(err)
		}
	}
	wg.Wait()
	if got := label(t, s, "demo/places", "../../demo/places/samples/stream.jpg"); got != "forest" {
		t.Errorf("afterwards: %q", got)
	}
}

func TestTheNextServerAdoptsTheWorkers(t *testing.T) {
	data := t.TempDir()
	linger := func(c *serve.Config) { c.StopWorkers = nil }
	s := start(t, data, linger)
	s.push(t, "../../demo/digits")
	sample := firstSample(t, "../../demo/digits/samples")
	want := label(t, s, "demo/digits", sample)
	before := s.workerPIDs(t)
	s.Stop()

	s = start(t, data, nil)
	if got := label(t, s, "demo/digits/0.1.*", sample); got != want {
		t.Errorf("the next server says %q, the first said %q", got, want)
	}
	if after := s.workerPIDs(t); len(before) != 1 || fmt.Sprint(after) != fmt.Sprint(before) {
		t.Errorf("workers %v before, %v after", before, after)
	}
	if s.AdminKey != "" {
		t.Error("a second administrator's key was made")
	}
}

func firstSample(t testing.TB, dir string) string {
	t.Helper()
	files, err := filepath.Glob(dir + "/*.png")
	if err != nil || len(files) == 0 {
		t.Fatalf("no samples in %s", dir)
	}
	return files[0]
}

func TestASecondServerIsRefused(t *testing.T) {
	s := start(t, t.TempDir(), nil)
	_, err := serve.New(t.Context(), serve.Config{Data: s.Data, Listen: "127.0.0.1:0", Self: []string{os.Args[0]}})
	if stoa.KindOf(err) != stoa.Conflict {
		t.Errorf("on the same data: %v", err)
	}
	if _, err := serve.ReadRecord(s.Data); err != nil {
		t.Errorf("the first server's record is gone: %v", err)
	}
	_, err = serve.New(t.Context(), serve.Config{Data: t.TempDir(), Listen: strings.TrimPrefix(s.URL(), "http://"), Self: []string{os.Args[0]}})
	if stoa.KindOf(err) != stoa.Conflict || !strings.Contains(err.Error(), "in use") {
		t.Errorf("on the same port: %v", err)
	}
}

func TestABadModelIsNotPublishedAndLeavesNothing(t *testing.T) {
	s := start(t, t.TempDir(), nil)
	r := servetest.Bundle(t, "../../demo/digits")
	for i, f := range r.Files {
		if strings.HasSuffix(f.Name, ".caffemodel") {
			b, err := os.ReadFile(f.Path)
			if err != nil {
				t.Fatal(err)
			}
			r.Files[i] = client.PushFile{Name: f.Name, Data: b[:len(b)/2]}
		}
	}
	if _, err := s.Push(t.Context(), r); stoa.KindOf(err) != stoa.Invalid {
		t.Errorf("a truncated model: %v", err)
	}
	var left []string
	for _, dir := range []string{"blobs", "staging"} {
		err := filepath.WalkDir(filepath.Join(s.Data, dir), func(path string, d fs.DirEntry, err error) error {
			if err == nil && !d.IsDir() {
				left = append(left, path)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	if all, err := s.List(t.Context(), client.Query{}); err != nil || len(all) != 0 {
		t.Errorf("listed: %v, %v", all, err)
	}
}

func TestShutdownWaitsForCalls(t *testing.T) {
	s := start(t, t.TempDir(), nil)
	r := servetest.Bundle(t, "../../demo/colorize")
	// At 64 times the work a call takes the better part of a second: long enough
	// to be seen under way on a busy machine.
	r.Manifest = strings.NewReplacer("width: 96", "width: 768", "height: 96", "height: 768").Replace(r.Manifest)
	if _, err := s.Push(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	in := picture(t, "../../demo/colorize/samples/before.jpg")
	ended := make(chan error, 1)
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		_, err := s.Call(ctx, "demo/colorize", in, client.CallOptions{})
		ended <- err
	}()
	for len(s.workerPIDs(t)) == 0 { // the call has reached the fleet
		select {
		case err := <-ended:
			t.Fatalf("the call ended early: %v", err)
		default:
		}
	}
	s.Stop()
	if err := <-ended; err != nil {
		t.Errorf("the call was cut off: %v", err)
	}
}
