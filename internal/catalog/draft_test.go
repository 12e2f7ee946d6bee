package catalog_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/blob"
	"github.com/stoa-project/stoa/internal/catalog"
	"github.com/stoa-project/stoa/internal/media"
	"github.com/stoa-project/stoa/internal/tensor"
)

// draft opens a draft of some files, in the order of name, content.
func (e *env) draft(who stoa.Caller, files ...string) string {
	e.t.Helper()
	d, err := e.BeginDraft(e.t.Context(), who)
	if err != nil {
		e.t.Fatal(err)
	}
	for i := 0; i < len(files); i += 2 {
		e.put(who, d.ID, files[i], files[i+1])
	}
	return d.ID
}

func (e *env) put(who stoa.Caller, id, name, content string) {
	e.t.Helper()
	f, err := e.PutDraftFile(e.t.Context(), who, id, name, strings.NewReader(content))
	if err != nil {
		e.t.Fatal(err)
	}
	if diff := cmp.Diff(file(name, content), f); diff != "" {
		e.t.Error(diff)
	}
}

const draftManifest = "name: me/Net\nkind: model\nvisibility: public\nmodel:\n  files: [net.prototxt, net.caffemodel]\n"

func TestDraftBecomesAVersion(t *testing.T) {
	for name, e := range map[string]*env{"adopting": open(t), "copying": openPlain(t)} {
		t.Run(name, func(t *testing.T) {
			id := e.draft(ada, "net.caffemodel", "old", "net.prototxt", "layers", "net.caffemodel", "c1",
				"samples/a.txt", "sample", "README.md", "layers", "notes.doc", "mine", ".secret", "s", "stoa.yaml", "kind: old")
			d, err := e.Draft(t.Context(), ada, id)
			if err != nil || len(d.Files) != 7 || d.Files[2] != file("net.caffemodel", "c1") {
				t.Fatalf("%+v, %v", d, err)
			}
			c, err := e.OpenDraftFile(t.Context(), ada, id, "notes.doc")
			if err != nil {
				t.Fatal(err)
			}
			if b, err := io.ReadAll(c); string(b) != "mine" || err != nil {
				t.Errorf("%q, %v", b, err)
			}
			c.Close()
			if err := e.RemoveDraftFile(t.Context(), ada, id, "samples/a.txt"); err != nil {
				t.Error(err)
			}
			e.put(ada, id, "samples/b.txt", "sample")
			if len(e.stored()) != 0 {
				t.Error("a blob is in the store before anything was published")
			}
			v, created, err := e.PublishDraft(t.Context(), ada, id, catalog.PushRequest{Manifest: draftManifest, Files: []blob.File{file("evil", "x")}})
			if err != nil || !created {
				t.Fatalf("created %v, %v", created, err)
			}
			want := []blob.File{
				file("README.md", "layers"), file("net.caffemodel", "c1"), file("net.prototxt", "layers"),
				file("samples/b.txt", "sample"), file("stoa.yaml", draftManifest),
			}
			if diff := cmp.Diff(want, v.Files); diff != "" || v.Owner != "Ada" || v.Name != "Net" || !v.Public {
				t.Errorf("%s/%s\n%s", v.Owner, v.Name, diff)
			}
			_, err = e.Draft(t.Context(), ada, id)
			wants(t, err, stoa.NotFound, "no open draft")
			e.clean()

			id = e.draft(ada, "net.caffemodel", "c1", "net.prototxt", "layers", "README.md", "layers", "samples/b.txt", "sample")
			again, created, err := e.PublishDraft(t.Context(), ada, id, catalog.PushRequest{Manifest: draftManifest})
			if err != nil || created || again.ID != v.ID {
				t.Errorf("the same once more: created %v, %v", created, err)
			}
			e.clean()
		})
	}
}

// What fails can be mended: the draft stays, and nothing else does.
func TestAFailedPublishLeavesTheDraft(t *testing.T) {
	e := open(t)
	id := e.draft(ada, "net.caffemodel", "c1", "net.prototxt", "layers")
	publish := func(r catalog.PushRequest) error {
		_, _, err := e.PublishDraft(t.Context(), ada, id, r)
		return err
	}
	wants(t, publish(catalog.PushRequest{Manifest: "kind: model\n"}), stoa.Invalid, "stoa.yaml:1:1: model")
	wants(t, publish(catalog.PushRequest{Manifest: draftManifest + "sample:\n  file: a.png\n"}), stoa.Invalid, "not in the push: a.png")
	wants(t, publish(catalog.PushRequest{Manifest: draftManifest, As: "bob/net"}), stoa.Forbidden, "bob/net")
	wants(t, publish(catalog.PushRequest{Manifest: draftManifest, Bump: "up"}), stoa.Invalid, "bump")
	e.builder.build = func(context.Context, catalog.BuildJob) (catalog.BuildResult, error) {
		return catalog.BuildResult{}, stoa.Errorf(stoa.Unsupported, "layer X is not known")
	}
	wants(t, publish(catalog.PushRequest{Manifest: draftManifest}), stoa.Unsupported, "layer X")
	e.store.fail = errors.New("the disk is gone")
	e.builder.build = nil
	if publish(catalog.PushRequest{Manifest: draftManifest}) == nil {
		t.Error("published without a store")
	}
	e.store.fail = nil
	if n := len(e.stored()); n != 0 {
		t.Errorf("%d blobs are left", n)
	}
	e.put(ada, id, "net.caffemodel", "c2")
	if err := publish(catalog.PushRequest{Manifest: draftManifest}); err != nil {
		t.Error(err)
	}
	e.clean()
}

func TestDraftsAreTheirOwners(t *testing.T) {
	e := open(t)
	id := e.draft(ada, "a", "x")
	ctx := t.Context()
	for _, who := range []stoa.Caller{bob, admin, {}} {
		_, err := e.Draft(ctx, who, id)
		wants(t, err, stoa.NotFound, "no open draft")
		_, err = e.PutDraftFile(ctx, who, id, "b", strings.NewReader("y"))
		wants(t, err, stoa.NotFound)
		_, err = e.OpenDraftFile(ctx, who, id, "a")
		wants(t, err, stoa.NotFound)
		_, err = e.InspectDraft(ctx, who, id, "")
		wants(t, err, stoa.NotFound)
		_, _, err = e.PublishDraft(ctx, who, id, catalog.PushRequest{Manifest: draftManifest})
		wants(t, err, stoa.NotFound)
		wants(t, e.RemoveDraftFile(ctx, who, id, "a"), stoa.NotFound)
		wants(t, e.AbortDraft(ctx, who, id), stoa.NotFound)
	}
	_, err := e.BeginDraft(ctx, stoa.Caller{})
	wants(t, err, stoa.Unauthenticated)
	wants(t, e.RemoveDraftFile(ctx, ada, id, "b"), stoa.NotFound, "no file")
	_, err = e.OpenDraftFile(ctx, ada, id, "b")
	wants(t, err, stoa.NotFound, "no file")
	if err := e.AbortDraft(ctx, ada, id); err != nil {
		t.Error(err)
	}
	e.clean()
}

func TestPutDraftFileRefuses(t *testing.T) {
	e := open(t)
	id := e.draft(ada, "dir/a", "x", "b", "y")
	before := len(e.stagedFiles())
	tests := []struct {
		name string
		r    io.Reader
		kind stoa.Kind
		says string
	}{
		{"../evil", strings.NewReader("x"), stoa.Invalid, `".."`},
		{"/etc/passwd", strings.NewReader("x"), stoa.Invalid, "absolute"},
		{`..\evil`, strings.NewReader("x"), stoa.Invalid, "backslash"},
		{"a\x00", strings.NewReader("x"), stoa.Invalid, "control"},
		{"", strings.NewReader("x"), stoa.Invalid, "empty"},
		{"B", strings.NewReader("x"), stoa.Invalid, "twice"},
		{"dir", strings.NewReader("x"), stoa.Invalid, "is a file"},
		{"b/c", strings.NewReader("x"), stoa.Invalid, "is a file"},
		{"short", io.MultiReader(strings.NewReader("x"), failing{io.ErrUnexpectedEOF}), stoa.Invalid, "short: the content ended early, after 1 bytes"},
		{"large", io.LimitReader(zeros{}, 10_000_001), stoa.TooLarge, "large: it brings the draft over the 10000000 bytes"},
	}
	for _, tt := range tests {
		_, err := e.PutDraftFile(t.Context(), ada, id, tt.name, tt.r)
		wants(t, err, tt.kind, tt.says)
		if n := len(e.stagedFiles()); n != before {
			t.Fatalf("%q left something: %v", tt.name, e.stagedFiles())
		}
	}
	// What was refused takes no room.
	if _, err := e.PutDraftFile(t.Context(), ada, id, "large", io.LimitReader(zeros{}, 9_999_998)); err != nil {
		t.Error(err)
	}
	if err := e.RemoveDraftFile(t.Context(), ada, id, "large"); err != nil {
		t.Error(err)
	}
	if _, err := e.PutDraftFile(t.Context(), ada, id, "large", io.LimitReader(zeros{}, 9_999_998)); err != nil {
		t.Error(err)
	}
	_, err := e.PutDraftFile(t.Context(), ada, id, "more", io.MultiReader(strings.NewReader("x"), failing{stoa.Errorf(stoa.NoRoom, "the disk is full")}))
	wants(t, err, stoa.TooLarge)
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) { clear(b); return len(b), nil }

func TestFullDiskEndsADraft(t *testing.T) {
	e := open(t)
	id := e.draft(ada, "a", "x")
	_, err := e.PutDraftFile(t.Context(), ada, id, "b", io.MultiReader(strings.NewReader("x"), failing{stoa.Errorf(stoa.NoRoom, "the disk is full")}))
	wants(t, err, stoa.NoRoom, "b: the disk is full")
	_, err = e.Draft(t.Context(), ada, id)
	wants(t, err, stoa.NotFound)
	e.clean()
}

func TestDraftsEnd(t *testing.T) {
	e := open(t)
	old := e.draft(ada, "a", "x")
	e.pass(59 * time.Minute)
	if _, err := e.Draft(t.Context(), ada, old); err != nil {
		t.Fatal(err)
	}
	e.pass(61 * time.Minute)
	_, err := e.Draft(t.Context(), ada, old)
	wants(t, err, stoa.NotFound)
	e.draft(bob) // whoever begins sweeps for all
	var ids []string
	for range 8 {
		ids = append(ids, e.draft(ada, "a", "x"))
		e.pass(time.Second)
	}
	if _, err := e.Draft(t.Context(), ada, ids[0]); err != nil { // used just now
		t.Fatal(err)
	}
	ids = append(ids, e.draft(ada))
	for i, id := range ids {
		_, err := e.Draft(t.Context(), ada, id)
		if gone := stoa.KindOf(err) == stoa.NotFound; gone != (i == 1) {
			t.Errorf("draft %d: %v", i, err)
		}
	}
	if n := len(e.stagedFiles()); n != 9+7 {
		t.Errorf("%v", e.stagedFiles())
	}
}

func TestEndDuringADraftsUpload(t *testing.T) {
	e := open(t)
	id := e.draft(ada)
	r, w := io.Pipe()
	var wg sync.WaitGroup
	var put error
	wg.Go(func() {
		_, put = e.PutDraftFile(t.Context(), ada, id, "a", r)
		r.Close() // so that a write that nobody reads ends
	})
	w.Write([]byte("x"))
	if err := e.AbortDraft(t.Context(), ada, id); err != nil {
		t.Fatal(err)
	}
	w.Write([]byte("y"))
	wg.Wait()
	w.Close()
	wants(t, put, stoa.Conflict, "dropped meanwhile")
	e.clean()
}

func TestInspectDraft(t *testing.T) {
	e := open(t)
	id := e.draft(ada, "dir/net.onnx", "x", "stoa.yaml", "kind: model")
	e.look = func(_ context.Context, j catalog.InspectJob) (catalog.Inspection, error) {
		b, err := os.ReadFile(filepath.Join(j.Dir, "dir", "net.onnx"))
		if string(b) != "x" || err != nil || j.Name != "net" {
			t.Errorf("%q, %v, %+v", b, err, j)
		}
		os.WriteFile(filepath.Join(j.Out, "scratch"), nil, 0o600)
		return catalog.Inspection{Report: json.RawMessage(`{}`)}, nil
	}
	in, err := e.InspectDraft(t.Context(), ada, id, "net")
	if err != nil || string(in.Report) != "{}" || in.Problems == nil {
		t.Errorf("%+v, %v", in, err)
	}
	if left := e.stagedFiles(); len(left) != 3 {
		t.Errorf("%v", left)
	}
	e.look = func(ctx context.Context, _ catalog.InspectJob) (catalog.Inspection, error) {
		return catalog.Inspection{}, e.AbortDraft(ctx, ada, id)
	}
	if _, err := e.InspectDraft(t.Context(), ada, id, ""); err != nil {
		t.Error(err)
	}
	e.clean()
}

// Many uploads, replacements and inspections of one draft, with its end among
// them, leave nothing behind.
func TestDraftAtOnce(t *testing.T) {
	e := open(t)
	e.look = func(_ context.Context, j catalog.InspectJob) (catalog.Inspection, error) {
		_, err := os.ReadDir(j.Dir)
		return catalog.Inspection{}, err
	}
	id := e.draft(ada, "net.prototxt", "layers")
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for k := range 10 {
				e.PutDraftFile(t.Context(), ada, id, fmt.Sprint("f", k%3), strings.NewReader(fmt.Sprint(i, k)))
				if _, err := e.InspectDraft(t.Context(), ada, id, ""); err != nil && stoa.KindOf(err) != stoa.Conflict {
					t.Error(err)
				}
				e.RemoveDraftFile(t.Context(), ada, id, fmt.Sprint("f", k%2))
			}
		})
	}
	wg.Wait()
	d, err := e.Draft(t.Context(), ada, id)
	if err != nil || len(e.stagedFiles()) != 1+len(d.Files) {
		t.Errorf("%v, %v, %v", d, e.stagedFiles(), err)
	}
	if err := e.AbortDraft(t.Context(), ada, id); err != nil {
		t.Error(err)
	}
	e.clean()
}

func TestCheckDraft(t *testing.T) {
	e := open(t)
	id := e.draft(ada, "net.onnx", "x", "labels.txt", "a\nb\n")
	base := "kind: model\nmodel:\n  files: [net.onnx]\n"
	g := media.Graph{
		Inputs:  []tensor.Spec{{Name: "x", DType: tensor.Float32, Shape: []int64{1, 3, 8, 8}}},
		Outputs: []tensor.Spec{{Name: "y", DType: tensor.Float32, Shape: []int64{1, 3}}},
	}
	tests := []struct {
		text  string
		graph media.Graph
		field string
		line  int
		says  string // "" for no problem
	}{
		{base, g, "", 0, ""},
		{base + "output:\n  - labels:\n      file: labels.txt\n", media.Graph{}, "", 0, ""},
		{base + "output:\n  - labels:\n      file: labels.txt\n", g, "output[0].labels.file", 6, "2 names for 3 scores"},
		{base + "input:\n  - picture:\n      width: 9\n", g, "input[0].picture.width", 6, "1x3x8x8"},
		{base + "sample:\n  file: a.png\n", g, "", 0, "names a.png"},
		{"kind: model\n", g, "model", 1, "is missing"},
	}
	for _, tt := range tests {
		m, ps, err := e.CheckDraft(t.Context(), ada, id, catalog.DraftCheck{Text: tt.text, Graph: tt.graph})
		if err != nil || len(ps) > 1 || (len(ps) == 0) != (tt.says == "") || (m == nil) != (tt.field == "model") {
			t.Errorf("%s: %v, %v", tt.text, ps, err)
			continue
		}
		for _, p := range ps {
			if p.Field != tt.field || p.Line != tt.line || !strings.Contains(p.Msg, tt.says) {
				t.Errorf("%+v", p)
			}
		}
	}
	_, _, err := e.CheckDraft(t.Context(), bob, id, catalog.DraftCheck{Text: base})
	wants(t, err, stoa.NotFound)
}
