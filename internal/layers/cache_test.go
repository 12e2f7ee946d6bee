package layers_test

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/blob"
	blobfs "github.com/stoa-project/stoa/internal/blob/fs"
	"github.com/stoa-project/stoa/internal/format/layer"
	"github.com/stoa-project/stoa/internal/layers"
)

// counting counts how often blobs are opened, and may let the readers wait.
type counting struct {
	blob.Store
	mu     sync.Mutex
	opened int
	gate   chan struct{} // what is read waits for it, where it is not nil
	inside chan struct{} // gets one for each open
}

func (c *counting) Open(ctx context.Context, d blob.Digest) (blob.Content, error) {
	c.mu.Lock()
	c.opened++
	c.mu.Unlock()
	if c.inside != nil {
		c.inside <- struct{}{}
	}
	if c.gate != nil {
		select {
		case <-c.gate:
		case <-ctx.Done():
			return nil, stoa.AsError(ctx.Err())
		}
	}
	return c.Store.Open(ctx, d)
}

type fixture struct {
	blobs *counting
	dir   string
	blobD string
	now   atomic.Int64
}

func setup(t *testing.T) *fixture {
	t.Helper()
	dir := t.TempDir()
	s, err := blobfs.New(dir)
	if err != nil {
		t.Fatal(err)
	}
	return &fixture{blobs: &counting{Store: s}, dir: filepath.Join(t.TempDir(), "layers"), blobD: dir}
}

func (f *fixture) open(t *testing.T, bytes int64) *layers.Cache {
	t.Helper()
	c, err := layers.New(t.Context(), layers.Config{Dir: f.dir, Blobs: f.blobs, Bytes: bytes, Boot: "boot 1", Now: func() time.Time {
		return time.Unix(1_000_000_000+f.now.Add(1), 0)
	}})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// layer stores a layer with one file of that content.
func (f *fixture) layer(t *testing.T, content string) blob.File {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "file"), []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if _, err := layer.Pack(t.Context(), dir, &b, layer.Limits{}); err != nil {
		t.Fatal(err)
	}
	d, n, err := f.blobs.Put(t.Context(), &b, "")
	if err != nil {
		t.Fatal(err)
	}
	return blob.File{Name: "layers/app.tar", Digest: d, Size: n}
}

func path(t *testing.T, c *layers.Cache, f blob.File) (dir string, release func()) {
	t.Helper()
	dir, release, err := c.Path(t.Context(), f)
	if err != nil {
		t.Fatal(err)
	}
	return dir, release
}

func content(dir string) string {
	b, err := os.ReadFile(filepath.Join(dir, "file"))
	if err != nil {
		return "none"
	}
	return string(b)
}

func (f *fixture) there(t *testing.T) []string {
	t.Helper()
	es, err := os.ReadDir(f.dir)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, e := range es {
		if e.Name() != "boot" {
			out = append(out, e.Name())
		}
	}
	return out
}

func TestUnpackedOnce(t *testing.T) {
	f := setup(t)
	c := f.open(t, 0)
	one := f.layer(t, "one")
	dir, release := path(t, c, one)
	if got := content(dir); got != "one" {
		t.Errorf("the file holds %q", got)
	}
	info, err := os.Stat(dir)
	if err != nil || info.Mode().Perm() != 0o755 {
		t.Errorf("%v %v", info.Mode(), err)
	}
	release()
	release() // does nothing
	again, release := path(t, c, one)
	defer release()
	if again != dir || f.blobs.opened != 1 {
		t.Errorf("%s after %s, opened %d times", again, dir, f.blobs.opened)
	}
}

func TestManyAtOnceWaitForOne(t *testing.T) {
	f := setup(t)
	c := f.open(t, 0)
	one := f.layer(t, "one")
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			dir, release, err := c.Path(t.Context(), one)
			if err != nil || content(dir) != "one" {
				t.Errorf("%v", err)
				return
			}
			release()
		})
	}
	wg.Wait()
	if f.blobs.opened != 1 {
		t.Errorf("unpacked %d times", f.blobs.opened)
	}
}

func TestAnotherGoesOnWhereTheFirstGivesUp(t *testing.T) {
	f := setup(t)
	f.blobs.gate, f.blobs.inside = make(chan struct{}), make(chan struct{}, 2)
	c := f.open(t, 0)
	one := f.layer(t, "one")
	ctx, cancel := context.WithCancel(t.Context())
	first, second := make(chan error, 1), make(chan error, 1)
	go func() {
		_, _, err := c.Path(ctx, one)
		first <- err
	}()
	<-f.blobs.inside
	go func() {
		dir, release, err := c.Path(t.Context(), one)
		if err == nil {
			if content(dir) != "one" {
				t.Error("the folder is not whole")
			}
			release()
		}
		second <- err
	}()
	cancel()
	if err := <-first; stoa.KindOf(err) != stoa.Canceled {
		t.Errorf("the first: %v", err)
	}
	<-f.blobs.inside
	close(f.blobs.gate)
	if err := <-second; err != nil {
		t.Errorf("the second: %v", err)
	}
}

func TestWaitingEndsWithItsContext(t *testing.T) {
	f := setup(t)
	f.blobs.gate, f.blobs.inside = make(chan struct{}), make(chan struct{}, 1)
	c := f.open(t, 0)
	one := f.layer(t, "one")
	first := make(chan error, 1)
	go func() {
		_, _, err := c.Path(t.Context(), one)
		first <- err
	}()
	<-f.blobs.inside
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := c.Path(ctx, one); stoa.KindOf(err) != stoa.Canceled {
		t.Errorf("%v", err)
	}
	close(f.blobs.gate)
	if err := <-first; err != nil {
		t.Error(err)
	}
}

func TestTheLeastRecentlyUsedGoes(t *testing.T) {
	f := setup(t)
	a, b, d := f.layer(t, "a"), f.layer(t, "b"), f.layer(t, "d")
	c := f.open(t, a.Size+b.Size)
	dirA, releaseA := path(t, c, a)
	_, releaseB := path(t, c, b)
	releaseB()
	releaseA() // a was used last
	dirD, releaseD := path(t, c, d)
	want := []string{filepath.Base(dirA), filepath.Base(dirD)}
	slices.Sort(want)
	if diff := cmp.Diff(want, f.there(t)); diff != "" {
		t.Errorf("kept (-want +got):\n%s", diff)
	}
	releaseD()
	_, release := path(t, c, b) // unpacked again
	release()
	if f.blobs.opened != 4 {
		t.Errorf("opened %d times", f.blobs.opened)
	}
}

func TestWhatIsHeldStays(t *testing.T) {
	f := setup(t)
	a, b := f.layer(t, "a"), f.layer(t, "b")
	c := f.open(t, 1)
	dirA, releaseA := path(t, c, a)
	dirB, releaseB := path(t, c, b)
	if err := c.Sweep(func(blob.Digest) bool { return false }); err != nil {
		t.Fatal(err)
	}
	if content(dirA) != "a" || content(dirB) != "b" {
		t.Error("a layer was removed under its holder")
	}
	releaseA()
	if err := c.Sweep(func(blob.Digest) bool { return false }); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{string(b.Digest)}, f.there(t)); diff != "" {
		t.Errorf("kept (-want +got):\n%s", diff)
	}
	releaseB()
}

func TestSweepKeeps(t *testing.T) {
	f := setup(t)
	c := f.open(t, 0)
	a, b := f.layer(t, "a"), f.layer(t, "b")
	for _, x := range []blob.File{a, b} {
		_, release := path(t, c, x)
		release()
	}
	if err := c.Sweep(func(d blob.Digest) bool { return d == a.Digest }); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{string(a.Digest)}, f.there(t)); diff != "" {
		t.Errorf("kept (-want +got):\n%s", diff)
	}
}

func TestRestart(t *testing.T) {
	f := setup(t)
	c := f.open(t, 0)
	a, b, lost := f.layer(t, "a"), f.layer(t, "b"), f.layer(t, "lost")
	for _, x := range []blob.File{b, a, lost} { // b is the oldest
		_, release := path(t, c, x)
		release()
	}
	if err := f.blobs.Delete(t.Context(), lost.Digest); err != nil {
		t.Fatal(err)
	}
	for _, n := range []string{layer.Temporary + "1", ".removing-2", "stranger"} {
		if err := os.Mkdir(filepath.Join(f.dir, n), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	c = f.open(t, 0)
	want := []string{string(a.Digest), string(b.Digest), "stranger"}
	slices.Sort(want)
	if diff := cmp.Diff(want, f.there(t)); diff != "" {
		t.Errorf("after a restart (-want +got):\n%s", diff)
	}
	_, release := path(t, c, a)
	release()
	if f.blobs.opened != 3 {
		t.Errorf("opened %d times: a was unpacked again", f.blobs.opened)
	}
	f.open(t, a.Size)
	if slices.Contains(f.there(t), string(b.Digest)) || !slices.Contains(f.there(t), string(a.Digest)) {
		t.Errorf("the oldest should have gone: %v", f.there(t))
	}
	if _, err := layers.New(t.Context(), layers.Config{Dir: f.dir, Blobs: f.blobs, Boot: "boot 2"}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"stranger"}, f.there(t)); diff != "" {
		t.Errorf("after another start of the machine (-want +got):\n%s", diff)
	}
}

func TestRefused(t *testing.T) {
	f := setup(t)
	c := f.open(t, 0)
	damaged := f.layer(t, "damaged")
	p := blobfs.PathIn(f.blobD, damaged.Digest)
	os.Chmod(p, 0o600)
	b, err := os.ReadFile(p)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(p, bytes.Replace(b, []byte("damaged"), []byte("changed"), 1), 0o600); err != nil {
		t.Fatal(err)
	}
	garbage, n, err := f.blobs.Put(t.Context(), strings.NewReader(strings.Repeat("no layer ", 100)), "")
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range []struct {
		name string
		file blob.File
		kind stoa.Kind
	}{
		{"damaged", damaged, stoa.Internal},
		{"no layer", blob.File{Digest: garbage, Size: n}, stoa.Invalid},
		{"not there", blob.File{Digest: blob.Digest(strings.Repeat("0", 64))}, stoa.NotFound},
		{"no digest", blob.File{Digest: "../../etc"}, stoa.Invalid},
	} {
		if _, _, err := c.Path(t.Context(), x.file); err == nil || stoa.KindOf(err) != x.kind {
			t.Errorf("%s: %v, want %s", x.name, err, x.kind)
		}
	}
	if left := f.there(t); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
	// What failed once may succeed later.
	if err := os.WriteFile(p, b, 0o600); err != nil {
		t.Fatal(err)
	}
	dir, release := path(t, c, damaged)
	defer release()
	if content(dir) != "damaged" {
		t.Error("it was not unpacked")
	}
}
