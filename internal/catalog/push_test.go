package catalog_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/blob"
	"github.com/stoa-project/stoa/internal/catalog"
)

func TestPush(t *testing.T) {
	for name, e := range map[string]*env{"adopting": open(t), "copying": openPlain(t)} {
		t.Run(name, func(t *testing.T) { testPush(t, e) })
	}
}

func testPush(t *testing.T, e *env) {
	r, blobs := request("me/Net", "public", "c1")
	var seen []string
	e.builder.build = func(ctx context.Context, j catalog.BuildJob) (catalog.BuildResult, error) {
		for _, name := range []string{"net.caffemodel", "net.prototxt", "samples/a.txt", "stoa.yaml"} {
			b, err := os.ReadFile(filepath.Join(j.Dir, name))
			if err != nil {
				t.Error(err)
			}
			seen = append(seen, string(b))
		}
		if left, err := os.ReadDir(j.Out); err != nil || len(left) != 0 {
			t.Errorf("the folder for the result holds %v, %v", left, err)
		}
		var m struct{ Name, Kind, Visibility string }
		if err := json.Unmarshal(j.Manifest, &m); err != nil || m.Name != "Ada/Net" || m.Kind != "model" || m.Visibility != "public" {
			t.Errorf("the builder's manifest is %s, %v", j.Manifest, err)
		}
		os.Mkdir(filepath.Join(j.Out, "dir"), 0o700)
		os.WriteFile(filepath.Join(j.Out, "model.onnx"), []byte("built"), 0o600)
		os.WriteFile(filepath.Join(j.Out, "dir", "weights"), []byte("built"), 0o600) // of the same content
		os.Link(filepath.Join(j.Dir, "samples", "a.txt"), filepath.Join(j.Out, "labels.txt"))
		os.WriteFile(filepath.Join(j.Out, "scratch"), []byte("not listed"), 0o600)
		return catalog.BuildResult{Files: []string{"model.onnx", "dir/weights", "labels.txt"}, Report: json.RawMessage(`{"a":1}`)}, nil
	}
	p, err := e.BeginPush(t.Context(), ada, r)
	if err != nil {
		t.Fatal(err)
	}
	if p.Ref != "Ada/Net" || len(p.ID) < 20 || len(p.Missing) != 3 {
		t.Errorf("the push is %+v", p)
	}
	for _, d := range p.Missing {
		for range 2 { // the second time it is there already
			if err := e.PutBlob(t.Context(), ada, p.ID, d, strings.NewReader(blobs[d])); err != nil {
				t.Fatal(err)
			}
		}
	}
	if len(e.stored()) != 0 {
		t.Error("a blob is in the store before the commit")
	}
	v, created, err := e.CommitPush(t.Context(), ada, p.ID, nil)
	if err != nil || !created {
		t.Fatalf("CommitPush = created %v, %v", created, err)
	}
	if diff := cmp.Diff([]string{"c1", "layers", "sample", r.Manifest}, seen); diff != "" {
		t.Errorf("the builder saw: want -, got +\n%s", diff)
	}
	want := catalog.Version{
		ID: v.ID, Algorithm: v.Algorithm, Owner: "Ada", Name: "Net", Number: stoa.Version{Minor: 1}, Public: true,
		Kind: "model", Tagline: "Greets", Hash: v.Hash, Manifest: v.Manifest, Report: json.RawMessage(`{"a":1}`),
		Files: []blob.File{
			file("net.caffemodel", "c1"), file("net.prototxt", "layers"), file("samples/a.txt", "sample"), file("stoa.yaml", r.Manifest),
		},
		Built:   []blob.File{file("model.onnx", "built"), file("dir/weights", "built"), file("labels.txt", "sample")},
		Creator: "Ada", Created: e.clock(),
	}
	if diff := cmp.Diff(want, *v); diff != "" {
		t.Errorf("the version: want -, got +\n%s", diff)
	}
	if len(v.Hash) != 64 {
		t.Errorf("the hash is %q", v.Hash)
	}
	got, err := e.Resolve(t.Context(), bob, ref(t, "ada/net"))
	if diff := cmp.Diff(v, got); err != nil || diff != "" {
		t.Errorf("it resolves to %v\n%s", err, diff)
	}
	e.clean()
	_, _, err = e.CommitPush(t.Context(), ada, p.ID, nil)
	wants(t, err, stoa.NotFound, "no open push")
}

func TestSameContentIsNotBuilt(t *testing.T) {
	e := open(t)
	v := e.publish(ada, "net", "private", "c1")
	r, blobs := request("net", "private", "c1")
	if len(blobs) == 0 {
		t.Fatal("the request has no blobs")
	}
	for _, change := range []string{"", "# a remark\n"} {
		r.Manifest = change + r.Manifest
		p, err := e.BeginPush(t.Context(), ada, r)
		if err != nil || len(p.Missing) != 0 {
			t.Fatalf("the push lacks %v, %v", p.Missing, err)
		}
		again, created, err := e.CommitPush(t.Context(), ada, p.ID, nil)
		if err != nil || created || again.ID != v.ID {
			t.Errorf("the same content: %v, created %v, %v", again, created, err)
		}
	}
	if n := e.builder.count(); n != 1 {
		t.Errorf("it was built %d times", n)
	}
	e.clean()
	if shown := e.publish(ada, "net", "public", "c1"); shown.Hash != v.Hash || shown.Number.String() != "0.2.0" {
		t.Errorf("public: %s, %s", shown.Number, shown.Hash)
	}
	r, blobs = request("net", "public", "c1")
	r.Manifest += "licence: MIT\n"
	if _, created, err := e.push(ada, r, blobs); err != nil || !created {
		t.Errorf("a changed manifest: created %v, %v", created, err)
	}
	other := e.publish(bob, "other", "private", "c1")
	if other.Hash != v.Hash {
		t.Error("the hash depends on the name")
	}
	e.clean()
}

func TestBumps(t *testing.T) {
	e := open(t)
	for i, step := range []struct{ bump, want string }{
		{"major", "1.0.0"}, {"", "1.1.0"}, {"revision", "1.1.1"}, {"patch", "1.1.2"}, {"minor", "1.2.0"}, {"major", "2.0.0"},
	} {
		r, blobs := request("net", "public", fmt.Sprint("c", i))
		r.Bump = step.bump
		v, _, err := e.push(ada, r, blobs)
		if err != nil || v.Number.String() != step.want {
			t.Errorf("%s: %v, %v; want %s", step.bump, v, err, step.want)
		}
	}
}

func TestWhereAPushGoes(t *testing.T) {
	e := open(t)
	for _, c := range []struct {
		who          stoa.Caller
		as, manifest string
		want         string // owner/name, or what the error says
		kind         stoa.Kind
	}{
		{ada, "", "net", "Ada/net", 0},
		{ada, "", "me/net", "Ada/net", 0},
		{ada, "", "ada/Net", "Ada/Net", 0},
		{ada, "other", "bob/net", "Ada/other", 0},
		{ada, "ME/other", "net", "Ada/other", 0},
		{ada, "algo://ada/other/", "net", "write owner/name", stoa.Invalid},
		{admin, "", "ada/net", "ada/net", 0},
		{admin, "nobody/net", "net", "nobody/net", 0},
		{admin, "", "net", "admin/net", 0},
		{ada, "", "bob/net", "only an administrator", stoa.Forbidden},
		{ada, "bob/net", "net", "write me/net", stoa.Forbidden},
		{stoa.Caller{}, "", "net", "authorization required", stoa.Unauthenticated},
		{ada, "", `""`, "--as owner/name", stoa.Invalid},
		{ada, "ada/net/1.0.0", "net", "--bump", stoa.Invalid},
		{ada, "ada/net/latest", "net", "--bump", stoa.Invalid},
		{ada, "1net", "net", "algorithm name", stoa.Invalid},
		{ada, "a-b/net", "net", "owner", stoa.Invalid},
		{ada, "../net", "net", "owner", stoa.Invalid},
	} {
		r, _ := request(c.manifest, "private", "c1")
		r.As = c.as
		p, err := e.BeginPush(t.Context(), c.who, r)
		if c.kind != stoa.Internal {
			wants(t, err, c.kind, c.want)
			continue
		}
		if err != nil || p.Ref != c.want {
			t.Errorf("as %q, manifest %q: %q, %v; want %q", c.as, c.manifest, p.Ref, err, c.want)
			continue
		}
		if err := e.AbortPush(t.Context(), c.who, p.ID); err != nil {
			t.Error(err)
		}
	}
	e.clean()
}

func TestBeginPushRefuses(t *testing.T) {
	e := open(t)
	e.publish(ada, "net", "private", "c1")
	with := func(f ...blob.File) func(*catalog.PushRequest) {
		return func(r *catalog.PushRequest) { r.Files = append(r.Files, f...) }
	}
	for name, c := range map[string]struct {
		change func(r *catalog.PushRequest)
		kind   stoa.Kind
		says   string
	}{
		"bad manifest":    {func(r *catalog.PushRequest) { r.Manifest = "naem: x\n" }, stoa.Invalid, "stoa.yaml"},
		"huge manifest":   {func(r *catalog.PushRequest) { r.Manifest += strings.Repeat("#", 1<<20) }, stoa.TooLarge, "stoa.yaml"},
		"bad bump":        {func(r *catalog.PushRequest) { r.Bump = "up" }, stoa.Invalid, "bump"},
		"bad visibility":  {func(r *catalog.PushRequest) { r.Manifest = strings.ReplaceAll(r.Manifest, "private", "secret") }, stoa.Invalid, "secret"},
		"zip slip":        {with(file("../x", "x")), stoa.Invalid, "../x"},
		"absolute":        {with(file("/etc/passwd", "x")), stoa.Invalid, "/etc/passwd"},
		"twice":           {with(file("NET.prototxt", "x")), stoa.Invalid, "NET.prototxt"},
		"file and folder": {with(file("Samples", "x")), stoa.Invalid, "Samples"},
		"below a file":    {with(file("net.prototxt/deep/x", "x")), stoa.Invalid, "net.prototxt/deep/x"},
		"bad digest":      {with(blob.File{Name: "x", Digest: "abc"}), stoa.Invalid, "sha256"},
		"negative size":   {with(blob.File{Name: "x", Digest: digest("x"), Size: -1}), stoa.Invalid, "size"},
		"two sizes":       {with(blob.File{Name: "x", Digest: digest("layers"), Size: 7}), stoa.Invalid, "size"},
		"another size": {func(r *catalog.PushRequest) {
			r.Files = []blob.File{{Name: "net.caffemodel", Digest: digest("c1"), Size: 3}, file("net.prototxt", "layers")}
		}, stoa.Invalid, "size"},
		"too large":         {with(blob.File{Name: "x", Digest: digest("x"), Size: 10_000_000}), stoa.TooLarge, "x"},
		"sizes overflow":    {with(blob.File{Name: "x", Digest: digest("x"), Size: 1<<63 - 1}, blob.File{Name: "y", Digest: digest("y"), Size: 1<<63 - 1}), stoa.TooLarge, "x"},
		"too many":          {func(r *catalog.PushRequest) { r.Files = make([]blob.File, 10_001) }, stoa.TooLarge, "10001"},
		"another manifest":  {with(file("stoa.yaml", "kind: model\n")), stoa.Invalid, "stoa.yaml"},
		"manifest in caps":  {with(file("Stoa.yaml", "x")), stoa.Invalid, "Stoa.yaml"},
		"named, not pushed": {func(r *catalog.PushRequest) { r.Files = []blob.File{file("net.prototxt", "layers")} }, stoa.Invalid, "net.caffemodel"},
	} {
		r, _ := request("net", "private", "c1")
		c.change(&r)
		_, err := e.BeginPush(t.Context(), ada, r)
		if err == nil || stoa.KindOf(err) != c.kind || !strings.Contains(stoa.AsError(err).Msg, c.says) {
			t.Errorf("%s: %v; want %v that says %q", name, err, c.kind, c.says)
		}
	}
	e.clean()
}

func TestManifestAmongTheFiles(t *testing.T) {
	e := open(t)
	r, blobs := request("net", "private", "c1")
	r.Files = append(r.Files, file("stoa.yaml", r.Manifest), file("copy.yaml", r.Manifest))
	v, _, err := e.push(ada, r, blobs)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, f := range v.Files {
		names = append(names, f.Name)
	}
	if diff := cmp.Diff([]string{"copy.yaml", "net.caffemodel", "net.prototxt", "samples/a.txt", "stoa.yaml"}, names); diff != "" {
		t.Errorf("the files: want -, got +\n%s", diff)
	}
	e.clean()
}

func TestPutBlobRefuses(t *testing.T) {
	e := open(t)
	content := strings.Repeat("weights!", 100_000)
	r, blobs := request("net", "private", content)
	p, err := e.BeginPush(t.Context(), ada, r)
	if err != nil {
		t.Fatal(err)
	}
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	d := digest(content)
	put := func(ctx context.Context, who stoa.Caller, d blob.Digest, r io.Reader) error {
		return e.PutBlob(ctx, who, p.ID, d, r)
	}
	endless := strings.NewReader(strings.Repeat("x", 4_000_000))
	for name, c := range map[string]struct {
		err  error
		kind stoa.Kind
		says string
	}{
		"longer than declared": {put(t.Context(), ada, d, endless), stoa.TooLarge, "net.caffemodel"},
		"shorter":              {put(t.Context(), ada, d, strings.NewReader(content[1:])), stoa.Invalid, "799999 bytes came, 800000"},
		"other content":        {put(t.Context(), ada, d, strings.NewReader(strings.Repeat("x", 800_000))), stoa.Invalid, "SHA-256"},
		"torn":                 {put(t.Context(), ada, d, io.MultiReader(strings.NewReader("w"), failing{io.ErrUnexpectedEOF})), stoa.Invalid, "ended early"},
		"cancelled":            {put(cancelled, ada, d, strings.NewReader(content)), stoa.Canceled, ""},
		"none of the push":     {put(t.Context(), ada, digest("else"), strings.NewReader("else")), stoa.Invalid, "none of the files"},
		"another caller":       {put(t.Context(), bob, d, strings.NewReader(content)), stoa.NotFound, "no open push"},
		"an administrator":     {put(t.Context(), admin, d, strings.NewReader(content)), stoa.NotFound, "no open push"},
		"no push":              {e.PutBlob(t.Context(), ada, "none", d, strings.NewReader(content)), stoa.NotFound, "no open push"},
		"no path":              {e.PutBlob(t.Context(), ada, "../"+p.ID, d, strings.NewReader(content)), stoa.NotFound, "no open push"},
	} {
		if c.err == nil || stoa.KindOf(c.err) != c.kind || !strings.Contains(stoa.AsError(c.err).Msg, c.says) {
			t.Errorf("%s: %v; want %v that says %q", name, c.err, c.kind, c.says)
		}
	}
	if endless.Len() < 2_000_000 {
		t.Errorf("too long a blob was read on: %d bytes left", endless.Len())
	}
	if left := e.stagedFiles(); len(left) != 2 { // the push's folder and its blobs
		t.Errorf("kept after errors: %v", left)
	}
	for _, d := range p.Missing {
		if err := put(t.Context(), ada, d, strings.NewReader(blobs[d])); err != nil {
			t.Errorf("after the errors: %v", err)
		}
	}
	if _, created, err := e.CommitPush(t.Context(), ada, p.ID, nil); err != nil || !created {
		t.Errorf("after the errors: created %v, %v", created, err)
	}
	e.clean()
}

func TestFullDiskDuringAnUpload(t *testing.T) {
	e := open(t)
	r, blobs := request("net", "private", "c1")
	p, err := e.BeginPush(t.Context(), ada, r)
	if err != nil {
		t.Fatal(err)
	}
	d := p.Missing[0]
	if err := e.PutBlob(t.Context(), ada, p.ID, d, strings.NewReader(blobs[d])); err != nil {
		t.Fatal(err)
	}
	full := io.MultiReader(strings.NewReader("x"), failing{stoa.Errorf(stoa.NoRoom, "the disk is full")})
	wants(t, e.PutBlob(t.Context(), ada, p.ID, p.Missing[1], full), stoa.NoRoom, "the disk is full")
	e.clean()
	_, _, err = e.CommitPush(t.Context(), ada, p.ID, nil)
	wants(t, err, stoa.NotFound)
}

func TestCommitRefusesWhatLacks(t *testing.T) {
	e := open(t)
	r, blobs := request("net", "private", "c1")
	p, err := e.BeginPush(t.Context(), ada, r)
	if err != nil {
		t.Fatal(err)
	}
	_, _, err = e.CommitPush(t.Context(), bob, p.ID, nil)
	wants(t, err, stoa.NotFound)
	d := digest("layers")
	if err := e.PutBlob(t.Context(), ada, p.ID, d, strings.NewReader(blobs[d])); err != nil {
		t.Fatal(err)
	}
	_, _, err = e.CommitPush(t.Context(), ada, p.ID, nil)
	wants(t, err, stoa.Invalid, "lacks 2 of its files", "net.caffemodel", "samples/a.txt")
	e.clean()
	wants(t, e.AbortPush(t.Context(), ada, p.ID), stoa.NotFound)
	if n := e.builder.count(); n != 0 {
		t.Errorf("it was built %d times", n)
	}
}

func TestBuildErrors(t *testing.T) {
	for name, c := range map[string]struct {
		build func(ctx context.Context, j catalog.BuildJob) (catalog.BuildResult, error)
		kind  stoa.Kind
		says  string
	}{
		"its own": {func(context.Context, catalog.BuildJob) (catalog.BuildResult, error) {
			return catalog.BuildResult{}, stoa.Errorf(stoa.Unsupported, "layer conv1: no")
		}, stoa.Unsupported, "layer conv1: no"},
		"after writing": {func(_ context.Context, j catalog.BuildJob) (catalog.BuildResult, error) {
			os.WriteFile(filepath.Join(j.Out, "half"), []byte("half"), 0o600)
			return catalog.BuildResult{Files: []string{"half"}}, stoa.Errorf(stoa.Failed, "died")
		}, stoa.Failed, "died"},
		"a file that is not there": {func(context.Context, catalog.BuildJob) (catalog.BuildResult, error) {
			return catalog.BuildResult{Files: []string{"model.onnx"}}, nil
		}, stoa.Internal, "model.onnx"},
		"a name that leaves": {func(context.Context, catalog.BuildJob) (catalog.BuildResult, error) {
			return catalog.BuildResult{Files: []string{"../in/stoa.yaml"}}, nil
		}, stoa.Internal, "name"},
		"a link": {func(_ context.Context, j catalog.BuildJob) (catalog.BuildResult, error) {
			return catalog.BuildResult{Files: []string{"passwd"}}, os.Symlink("/etc/passwd", filepath.Join(j.Out, "passwd"))
		}, stoa.Internal, "passwd"},
		"a linked folder": {func(_ context.Context, j catalog.BuildJob) (catalog.BuildResult, error) {
			return catalog.BuildResult{Files: []string{"etc/passwd"}}, os.Symlink("/etc", filepath.Join(j.Out, "etc"))
		}, stoa.Internal, "etc/passwd"},
		"a folder": {func(_ context.Context, j catalog.BuildJob) (catalog.BuildResult, error) {
			return catalog.BuildResult{Files: []string{"dir"}}, os.Mkdir(filepath.Join(j.Out, "dir"), 0o700)
		}, stoa.Internal, "dir"},
		"one file twice": {func(_ context.Context, j catalog.BuildJob) (catalog.BuildResult, error) {
			return catalog.BuildResult{Files: []string{"a", "a"}}, os.WriteFile(filepath.Join(j.Out, "a"), nil, 0o600)
		}, stoa.Internal, "one name"},
	} {
		t.Run(name, func(t *testing.T) {
			e := open(t)
			e.publish(ada, "net", "private", "c0")
			e.builder.build = c.build
			r, blobs := request("net", "private", "c1")
			_, created, err := e.push(ada, r, blobs)
			wants(t, err, c.kind, c.says)
			if created {
				t.Error("created, and an error")
			}
			e.clean()
			if got := e.resolve(ada, "ada/net"); got != "0.1.0" {
				t.Errorf("the algorithm is at %s", got)
			}
		})
	}
}

func TestCancelDuringABuild(t *testing.T) {
	e := open(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	e.builder.build = func(ctx context.Context, j catalog.BuildJob) (catalog.BuildResult, error) {
		cancel()
		<-ctx.Done()
		return catalog.BuildResult{}, ctx.Err()
	}
	r, blobs := request("net", "private", "c1")
	p, err := e.upload(ada, r, blobs)
	if err != nil {
		t.Fatal(err)
	}
	_, _, err = e.CommitPush(ctx, ada, p.ID, nil)
	wants(t, err, stoa.Canceled)
	e.clean()
	e.builder.build = nil
	e.publish(ada, "net", "private", "c1")
}

// The caller goes away just when the build is done.
func TestCancelAfterABuild(t *testing.T) {
	e := open(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	e.builder.build = func(_ context.Context, j catalog.BuildJob) (catalog.BuildResult, error) {
		cancel()
		return catalog.BuildResult{Files: []string{"m"}}, os.WriteFile(filepath.Join(j.Out, "m"), []byte("m"), 0o600)
	}
	r, blobs := request("net", "private", "c1")
	p, err := e.upload(ada, r, blobs)
	if err != nil {
		t.Fatal(err)
	}
	_, _, err = e.CommitPush(ctx, ada, p.ID, nil)
	wants(t, err, stoa.Canceled)
	e.clean()
}

// The disk fills up at each of the blobs that a commit stores, in turn.
func TestFullDiskDuringACommit(t *testing.T) {
	const puts = 5 // stoa.yaml, three files, one built
	for after := range puts + 1 {
		e := openPlain(t)
		e.publish(ada, "net", "private", "c0")
		before := e.stored()
		e.plain.full.Store(int32(after))
		r, blobs := request("net", "private", "c1")
		r.Manifest += "licence: MIT\n"
		r.Files = append(r.Files, file("more", "more"))
		blobs[digest("more")] = "more"
		_, created, err := e.push(ada, r, blobs)
		e.clean()
		if after >= 4 { // c1, more, stoa.yaml, built: what is shared is not stored again
			if err != nil || !created {
				t.Errorf("room for %d blobs: created %v, %v", after, created, err)
			}
			continue
		}
		wants(t, err, stoa.NoRoom, "the disk is full")
		if diff := cmp.Diff(before, e.stored()); diff != "" {
			t.Errorf("room for %d blobs: was -, is +\n%s", after, diff)
		}
		if got := e.resolve(ada, "ada/net"); got != "0.1.0" {
			t.Errorf("room for %d blobs: the algorithm is at %s", after, got)
		}
	}
}

func TestStoreFailsAtPublish(t *testing.T) {
	e := open(t)
	e.publish(ada, "net", "private", "c0")
	before := e.stored()
	e.store.fail = errors.New("the database is gone")
	r, blobs := request("net", "private", "c1")
	_, _, err := e.push(ada, r, blobs)
	if !errors.Is(err, e.store.fail) {
		t.Errorf("the error is %v", err)
	}
	e.clean()
	if diff := cmp.Diff(before, e.stored()); diff != "" {
		t.Errorf("was -, is +\n%s", diff)
	}
}

func TestAbort(t *testing.T) {
	e := open(t)
	r, blobs := request("net", "private", "c1")
	p, err := e.upload(ada, r, blobs)
	if err != nil {
		t.Fatal(err)
	}
	wants(t, e.AbortPush(t.Context(), bob, p.ID), stoa.NotFound)
	if err := e.AbortPush(t.Context(), ada, p.ID); err != nil {
		t.Fatal(err)
	}
	e.clean()
	_, _, err = e.CommitPush(t.Context(), ada, p.ID, nil)
	wants(t, err, stoa.NotFound)
}

// slowReader waits before each piece.
type slowReader struct {
	started, step chan struct{}
	once          sync.Once
}

func (s *slowReader) Read(b []byte) (int, error) {
	s.once.Do(func() { close(s.started) })
	<-s.step
	b[0] = 'x'
	return 1, nil
}

// An abort, or a commit, while an upload runs: the upload ends at its next
// piece, and only then the folder goes.
func TestEndDuringAnUpload(t *testing.T) {
	for name, end := range map[string]func(*env, string) error{
		"abort": func(e *env, id string) error { return e.AbortPush(e.t.Context(), ada, id) },
		"commit": func(e *env, id string) error {
			_, _, err := e.CommitPush(e.t.Context(), ada, id, nil)
			wants(e.t, err, stoa.Conflict, "still being uploaded")
			return nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			e := open(t)
			r, _ := request("net", "private", "c1")
			p, err := e.BeginPush(t.Context(), ada, r)
			if err != nil {
				t.Fatal(err)
			}
			slow := &slowReader{started: make(chan struct{}), step: make(chan struct{})}
			done := make(chan error, 1)
			go func() { done <- e.PutBlob(t.Context(), ada, p.ID, p.Missing[0], slow) }()
			<-slow.started
			if err := end(e, p.ID); err != nil {
				t.Error(err)
			}
			close(slow.step)
			wants(t, <-done, stoa.Conflict, "dropped")
			e.clean()
		})
	}
}

func TestAbandonedPushesExpire(t *testing.T) {
	e := open(t)
	r, blobs := request("net", "private", "c1")
	begin := func() catalog.Push {
		t.Helper()
		p, err := e.upload(ada, r, blobs)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	old := begin()
	e.pass(59 * time.Minute)
	if err := e.PutBlob(t.Context(), ada, old.ID, old.Missing[0], strings.NewReader("")); err != nil {
		t.Errorf("after 59 minutes: %v", err)
	}
	e.pass(time.Hour) // since it was last touched
	if _, _, err := e.CommitPush(t.Context(), ada, old.ID, nil); err != nil {
		t.Errorf("an hour after the last upload: %v", err)
	}
	r, blobs = request("net", "private", "c2")
	old = begin()
	e.pass(time.Hour + 1)
	wants(t, e.PutBlob(t.Context(), ada, old.ID, old.Missing[0], strings.NewReader("")), stoa.NotFound)
	begin()
	if left, err := os.ReadDir(e.staging); err != nil || len(left) != 1 {
		t.Errorf("in the staging folder: %v, %v; want the new push alone", left, err)
	}
	_, _, err := e.CommitPush(t.Context(), ada, old.ID, nil)
	wants(t, err, stoa.NotFound)
}

func TestStagingIsEmptiedAtStart(t *testing.T) {
	e := open(t)
	r, blobs := request("net", "private", "c1")
	if _, err := e.upload(ada, r, blobs); err != nil {
		t.Fatal(err)
	}
	_, err := catalog.New(catalog.Config{Store: e.store, Blobs: e.blobs, Builder: e.builder, Staging: e.staging})
	if err != nil {
		t.Fatal(err)
	}
	e.clean()
	for _, cfg := range []catalog.Config{
		{},
		{Store: e.store, Blobs: e.blobs, Builder: e.builder},
		{Store: e.store, Blobs: e.blobs, Builder: e.builder, Staging: filepath.Join(e.staging, "x\x00")},
	} {
		if _, err := catalog.New(cfg); err == nil {
			t.Errorf("New(%+v) made a catalog", cfg)
		}
	}
}

func TestTooManyOpenPushes(t *testing.T) {
	e := open(t)
	r, blobs := request("net", "private", "c1")
	var err error
	n := 0
	for ; err == nil && n < 1000; n++ {
		_, err = e.BeginPush(t.Context(), ada, r)
	}
	wants(t, err, stoa.Busy, "too many")
	if n != 33 || stoa.AsError(err).RetryAfter == 0 {
		t.Errorf("the %dth push was refused: %v", n, err)
	}
	if _, _, err := e.push(bob, r, blobs); err != nil {
		t.Errorf("another account: %v", err)
	}
	e.pass(2 * time.Hour)
	if _, _, err := e.push(ada, r, blobs); err != nil {
		t.Errorf("later: %v", err)
	}
	e.clean()
}

// Who knows the digest of a private file of somebody else gets no access to it.
func TestDigestsAloneGiveNothing(t *testing.T) {
	e := open(t)
	e.publish(ada, "net", "private", "weights")
	r, blobs := request("net", "private", "weights")
	lacks := func(who stoa.Caller) bool {
		t.Helper()
		p, err := e.BeginPush(t.Context(), who, r)
		if err != nil {
			t.Fatal(err)
		}
		if err := e.AbortPush(t.Context(), who, p.ID); err != nil {
			t.Error(err)
		}
		return slices.Contains(p.Missing, digest("weights"))
	}
	if lacks(ada) || lacks(admin) {
		t.Error("the owner and administrators are to upload what the server has")
	}
	if !lacks(bob) {
		t.Error("a stranger may use a private file of which he knows the digest")
	}
	if _, _, err := e.push(bob, r, blobs); err != nil { // he has it, too
		t.Error(err)
	}
	e.clean()
	e.publish(ada, "net", "public", "weights")
	if lacks(stoa.Caller{Account: "eve"}) {
		t.Error("a public file is to be uploaded again")
	}
	e.clean()
}

// A version is removed while a push counts on its blobs.
func TestRemoveSparesOpenPushes(t *testing.T) {
	for name, e := range map[string]*env{"linking": open(t), "copying": openPlain(t)} {
		t.Run(name, func(t *testing.T) {
			e.publish(ada, "net", "private", "c1")
			r, _ := request("other", "private", "c1")
			p, err := e.BeginPush(t.Context(), ada, r)
			if err != nil || len(p.Missing) != 0 {
				t.Fatalf("the push lacks %v, %v", p.Missing, err)
			}
			q, err := e.BeginPush(t.Context(), ada, r)
			if err != nil {
				t.Fatal(err)
			}
			if err := e.Remove(t.Context(), ada, ref(t, "ada/net")); err != nil {
				t.Fatal(err)
			}
			if _, created, err := e.CommitPush(t.Context(), ada, p.ID, nil); err != nil || !created {
				t.Errorf("created %v, %v", created, err)
			}
			if err := e.Remove(t.Context(), ada, ref(t, "ada/other")); err != nil {
				t.Fatal(err)
			}
			if err := e.AbortPush(t.Context(), ada, q.ID); err != nil {
				t.Fatal(err)
			}
			e.clean()
			if left := e.stored(); len(left) != 0 {
				t.Errorf("blobs left: %v", left)
			}
		})
	}
}

func TestSweep(t *testing.T) {
	e := open(t)
	e.publish(ada, "net", "private", "c1")
	r, _ := request("net", "private", "c1")
	if _, err := e.BeginPush(t.Context(), ada, r); err != nil {
		t.Fatal(err)
	}
	for i := range 250 {
		if _, _, err := e.blobs.Put(t.Context(), strings.NewReader(fmt.Sprint("orphan", i)), ""); err != nil {
			t.Fatal(err)
		}
	}
	if err := e.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	e.pass(2 * time.Hour)
	e.publish(ada, "net", "private", "c2") // drops the old push
	e.clean()
}

func TestPushesAtOnce(t *testing.T) {
	e := open(t)
	const n = 12
	got := make([]string, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			r, blobs := request("net", "private", fmt.Sprint("c", i))
			v, created, err := e.push(ada, r, blobs)
			if err != nil || !created {
				t.Errorf("created %v, %v", created, err)
				return
			}
			got[i] = v.Number.String()
		})
	}
	wg.Wait()
	slices.Sort(got)
	if len(slices.Compact(got)) != n {
		t.Errorf("the numbers are %v", got)
	}
	e.clean()
}

func TestSameContentAtOnce(t *testing.T) {
	e := open(t)
	var mu sync.Mutex
	made, built := 0, 0
	e.builder.build = func(_ context.Context, j catalog.BuildJob) (catalog.BuildResult, error) {
		mu.Lock()
		built++
		content := fmt.Sprint("each build differs ", built)
		mu.Unlock()
		return catalog.BuildResult{Files: []string{"m"}}, os.WriteFile(filepath.Join(j.Out, "m"), []byte(content), 0o600)
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			r, blobs := request("net", "private", "c1")
			v, created, err := e.push(ada, r, blobs)
			if err != nil || v.Number.String() != "0.1.0" {
				t.Errorf("got %v, %v", v, err)
			}
			if created {
				mu.Lock()
				made++
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if made != 1 {
		t.Errorf("the same content made %d versions", made)
	}
	e.clean()
}

// Pushes, removals, failures and sweeps over the same few blobs, all at once: no
// version may ever lack a blob, and none may stay that no version uses.
func TestStormKeepsBlobsAndVersionsTogether(t *testing.T) {
	e := open(t)
	e.builder.build = func(_ context.Context, j catalog.BuildJob) (catalog.BuildResult, error) {
		net, err := os.ReadFile(filepath.Join(j.Dir, "net.caffemodel"))
		if err != nil {
			t.Errorf("a bundle lacks a file: %v", err)
		}
		if strings.HasSuffix(string(net), "2") {
			return catalog.BuildResult{}, stoa.Errorf(stoa.Invalid, "refused")
		}
		return catalog.BuildResult{Files: []string{"m"}}, os.WriteFile(filepath.Join(j.Out, "m"), net, 0o600)
	}
	var wg sync.WaitGroup
	for w := range 6 {
		wg.Go(func() {
			for i := range 15 {
				name := fmt.Sprint("net", (w+i)%3)
				r, blobs := request(name, "private", fmt.Sprint("c", (w*i)%4))
				_, _, err := e.push(ada, r, blobs)
				if err != nil && stoa.KindOf(err) != stoa.Invalid {
					t.Errorf("push: %v", err)
				}
				vs, err := e.Versions(t.Context(), ada, ref(t, "ada/"+name))
				if err == nil && i%3 == 0 {
					err = e.Remove(t.Context(), ada, stoa.Ref{
						Owner: "ada", Name: name,
						Version: stoa.VersionSpec{Kind: stoa.ExactVersion, Version: vs[0].Number},
					})
				}
				if err != nil && stoa.KindOf(err) != stoa.NotFound {
					t.Errorf("versions, remove: %v", err)
				}
				if i%5 == 0 {
					if err := e.Sweep(t.Context()); err != nil {
						t.Errorf("sweep: %v", err)
					}
				}
			}
		})
	}
	wg.Wait()
	e.clean()
}
