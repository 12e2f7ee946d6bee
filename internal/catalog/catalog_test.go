package catalog_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/blob"
	"github.com/stoa-project/stoa/internal/blob/fs"
	"github.com/stoa-project/stoa/internal/catalog"
	"github.com/stoa-project/stoa/internal/store/sqlite"
)

var (
	ada   = stoa.Caller{Account: "Ada", Key: "k1"}
	bob   = stoa.Caller{Account: "bob", Key: "k2"}
	admin = stoa.Caller{Account: "admin", Key: "k0", Admin: true}
)

// builder is a scriptable catalog.Builder. By itself it copies net.caffemodel
// to model.onnx, in capitals.
type builder struct {
	mu    sync.Mutex
	calls int
	build func(ctx context.Context, j catalog.BuildJob) (catalog.BuildResult, error)
}

func (b *builder) Build(ctx context.Context, j catalog.BuildJob) (catalog.BuildResult, error) {
	b.mu.Lock()
	b.calls++
	f := b.build
	b.mu.Unlock()
	if f != nil {
		return f(ctx, j)
	}
	net, err := os.ReadFile(filepath.Join(j.Dir, "net.caffemodel"))
	if err != nil {
		return catalog.BuildResult{}, err
	}
	if err := os.WriteFile(filepath.Join(j.Out, "model.onnx"), bytes.ToUpper(net), 0o600); err != nil {
		return catalog.BuildResult{}, err
	}
	return catalog.BuildResult{Files: []string{"model.onnx"}, Report: json.RawMessage(`{"framework":"fake"}`)}, nil
}

func (b *builder) count() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.calls
}

// countedStore counts the look-ups of versions, and may fail to publish.
type countedStore struct {
	catalog.Store
	lookups atomic.Int32
	fail    error
}

func (s *countedStore) Versions(ctx context.Context, key string) ([]catalog.Version, error) {
	s.lookups.Add(1)
	return s.Store.Versions(ctx, key)
}

func (s *countedStore) Publish(ctx context.Context, v catalog.Version, b stoa.Bump) (catalog.Version, bool, error) {
	if s.fail != nil {
		return catalog.Version{}, false, s.fail
	}
	return s.Store.Publish(ctx, v, b)
}

// plainBlobs hides what the file system store can beside blob.Store, as a bucket
// would, and is full after so many puts (where full is not negative).
type plainBlobs struct {
	blob.Store
	full atomic.Int32
}

func (p *plainBlobs) Put(ctx context.Context, r io.Reader, want blob.Digest) (blob.Digest, int64, error) {
	if n := p.full.Add(-1); n == -1 {
		r = io.MultiReader(io.LimitReader(r, 1), failing{stoa.Errorf(stoa.NoRoom, "the disk is full")})
	}
	return p.Store.Put(ctx, r, want)
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

// env is a catalog over real stores in a folder of the test.
type env struct {
	*catalog.Catalog
	t       testing.TB
	store   *countedStore
	blobs   *fs.Store
	plain   *plainBlobs // nil unless asked for
	builder *builder
	look    func(ctx context.Context, j catalog.InspectJob) (catalog.Inspection, error)
	staging string
	mu      sync.Mutex
	now     time.Time
}

func open(t testing.TB) *env      { return newEnv(t, false) }
func openPlain(t testing.TB) *env { return newEnv(t, true) }

func newEnv(t testing.TB, plain bool) *env {
	t.Helper()
	dir := t.TempDir()
	db, err := sqlite.Open(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	e := &env{t: t, builder: &builder{}, staging: filepath.Join(dir, "staging"), store: &countedStore{Store: db.Catalog()}}
	e.now = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	if e.blobs, err = fs.New(filepath.Join(dir, "blobs")); err != nil {
		t.Fatal(err)
	}
	cfg := catalog.Config{Store: e.store, Blobs: e.blobs, Builder: e.builder, Staging: e.staging, Now: e.clock, MaxBytes: 10_000_000}
	cfg.Inspector = e
	if plain {
		e.plain = &plainBlobs{Store: e.blobs}
		e.plain.full.Store(1 << 30)
		cfg.Blobs = e.plain
	}
	if e.Catalog, err = catalog.New(cfg); err != nil {
		t.Fatal(err)
	}
	return e
}

// Inspect is catalog.Inspector's.
func (e *env) Inspect(ctx context.Context, j catalog.InspectJob) (catalog.Inspection, error) {
	return e.look(ctx, j)
}

func (e *env) clock() time.Time {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.now
}

func (e *env) pass(d time.Duration) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.now = e.now.Add(d)
}

func digest(content string) blob.Digest {
	sum := sha256.Sum256([]byte(content))
	return blob.Digest(hex.EncodeToString(sum[:]))
}

func file(name, content string) blob.File {
	return blob.File{Name: name, Digest: digest(content), Size: int64(len(content))}
}

// request makes a push of net.caffemodel with that content and two more files.
func request(name, visibility, content string) (catalog.PushRequest, map[blob.Digest]string) {
	text := fmt.Sprintf("name: %s\nkind: model\ntagline: Greets\ntags: [Art, colour]\nvisibility: %s\nmodel:\n  files: [net.prototxt, net.caffemodel]\n", name, visibility)
	files := map[string]string{"net.caffemodel": content, "net.prototxt": "layers", "samples/a.txt": "sample"}
	r := catalog.PushRequest{Manifest: text}
	blobs := map[blob.Digest]string{}
	for name, content := range files {
		r.Files = append(r.Files, file(name, content))
		blobs[digest(content)] = content
	}
	return r, blobs
}

// upload begins a push and brings what it lacks.
func (e *env) upload(who stoa.Caller, r catalog.PushRequest, blobs map[blob.Digest]string) (catalog.Push, error) {
	p, err := e.BeginPush(e.t.Context(), who, r)
	if err != nil {
		return p, err
	}
	for _, d := range p.Missing {
		if err := e.PutBlob(e.t.Context(), who, p.ID, d, strings.NewReader(blobs[d])); err != nil {
			return p, err
		}
	}
	return p, nil
}

func (e *env) push(who stoa.Caller, r catalog.PushRequest, blobs map[blob.Digest]string) (*catalog.Version, bool, error) {
	p, err := e.upload(who, r, blobs)
	if err != nil {
		return nil, false, err
	}
	return e.CommitPush(e.t.Context(), who, p.ID, nil)
}

// publish pushes content, which must make a version.
func (e *env) publish(who stoa.Caller, name, visibility, content string) *catalog.Version {
	e.t.Helper()
	r, blobs := request(name, visibility, content)
	v, created, err := e.push(who, r, blobs)
	if err != nil || !created {
		e.t.Fatalf("publishing %s: created %v, %v", name, created, err)
	}
	return v
}

func ref(t testing.TB, s string) stoa.Ref {
	t.Helper()
	r, err := stoa.ParseRef(s)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// resolve gives the number that a reference means, or the error's message.
func (e *env) resolve(who stoa.Caller, s string) string {
	e.t.Helper()
	v, err := e.Resolve(e.t.Context(), who, ref(e.t, s))
	if err != nil {
		if stoa.KindOf(err) != stoa.NotFound {
			e.t.Errorf("Resolve(%s): %v", s, err)
		}
		return stoa.AsError(err).Msg
	}
	return v.Number.String()
}

func (e *env) stored() map[blob.Digest]bool {
	e.t.Helper()
	out := map[blob.Digest]bool{}
	if err := e.blobs.Walk(e.t.Context(), func(d blob.Digest) error { out[d] = true; return nil }); err != nil {
		e.t.Fatal(err)
	}
	return out
}

func (e *env) stagedFiles() []string {
	e.t.Helper()
	var out []string
	err := filepath.WalkDir(e.staging, func(path string, d os.DirEntry, err error) error {
		if err == nil && path != e.staging {
			out = append(out, strings.TrimPrefix(path, e.staging))
		}
		return err
	})
	if err != nil {
		e.t.Fatal(err)
	}
	return out
}

// clean fails unless the staging folder is empty and the blobs are exactly those
// that versions use.
func (e *env) clean() {
	e.t.Helper()
	if left := e.stagedFiles(); len(left) > 0 {
		e.t.Errorf("left in the staging folder: %v", left)
	}
	found, err := e.store.Search(e.t.Context(), catalog.Sought{Sight: catalog.Sight{All: true}, Limit: 1 << 20})
	if err != nil {
		e.t.Fatal(err)
	}
	all := found.Versions
	want := map[blob.Digest]bool{}
	for _, v := range all {
		vs, err := e.store.Store.Versions(e.t.Context(), v.Algorithm)
		if err != nil {
			e.t.Fatal(err)
		}
		for _, v := range vs {
			for _, f := range append(v.Files, v.Built...) {
				want[f.Digest] = true
			}
		}
	}
	if diff := cmp.Diff(want, e.stored()); diff != "" {
		e.t.Errorf("the blobs are not those that versions use: want -, got +\n%s", diff)
	}
}

func wants(t testing.TB, err error, kind stoa.Kind, says ...string) {
	t.Helper()
	if err == nil || stoa.KindOf(err) != kind {
		t.Errorf("the error is %v, want one of kind %v", err, kind)
		return
	}
	for _, s := range says {
		if !strings.Contains(stoa.AsError(err).Msg, s) {
			t.Errorf("the message %q does not say %q", stoa.AsError(err).Msg, s)
		}
	}
}
