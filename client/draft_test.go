package client_test

import (
	"bytes"
	"image"
	"image/png"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/client"
)

func TestDraft(t *testing.T) {
	_, c := start(t, nil)
	ctx := t.Context()
	d, err := c.BeginDraft(ctx)
	if err != nil || d.ID == "" || d.Files == nil {
		t.Fatalf("%+v, %v", d, err)
	}
	names := []string{"a b/ü?#%.onnx", "net.onnx", "gone"}
	for _, name := range names {
		f, err := c.PutDraftFile(ctx, d.ID, name, strings.NewReader("layers"), int64(len("layers")))
		if err != nil || f.Name != name || f.Size != 6 || len(f.SHA256) != 64 {
			t.Fatalf("%+v, %v", f, err)
		}
	}
	if err := c.RemoveDraftFile(ctx, d.ID, "gone"); err != nil {
		t.Error(err)
	}
	if d, err = c.Draft(ctx, d.ID); err != nil || len(d.Files) != 2 || d.Files[0].Name != names[0] {
		t.Errorf("%+v, %v", d, err)
	}
	in, err := c.InspectDraft(ctx, d.ID, "net")
	if err != nil || len(in.Problems) > 0 || string(in.Report) != `{"framework":"none"}` {
		t.Errorf("%+v, %v", in, err)
	}
	checked, err := c.CheckManifest(ctx, d.ID, client.ManifestCheck{Manifest: in.Manifest})
	if err != nil || len(checked.Problems) > 0 || checked.YAML != in.YAML {
		t.Errorf("%+v, %v", checked, err)
	}
	if diff := cmp.Diff(string(in.Manifest), string(checked.Manifest)); diff != "" {
		t.Error(diff)
	}
	_, err = c.PublishDraft(ctx, d.ID, client.DraftPublish{YAML: "kind: nodel\n"})
	if stoa.KindOf(err) != stoa.Invalid || !strings.Contains(stoa.AsError(err).Msg, "stoa.yaml:1") {
		t.Errorf("%v", err)
	}
	p, err := c.PublishDraft(ctx, d.ID, client.DraftPublish{As: "me/net", Manifest: in.Manifest})
	if err != nil || !p.New || p.Owner != "demo" || p.Name != "net" || len(p.Files) != 2 {
		t.Errorf("%+v, %v", p, err)
	}
	if err := c.AbortDraft(ctx, d.ID); stoa.KindOf(err) != stoa.NotFound {
		t.Errorf("a published draft: %v", err)
	}
}

func TestCheckManifestNamesTheFields(t *testing.T) {
	_, c := start(t, nil)
	d, err := c.BeginDraft(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct{ manifest, yaml, field, msg string }{
		{`{"kind":"model","model":{"files":["a"]},"input":[{"picture":{"colour":"red"}}]}`, "", "input[0].picture.colour", "rgb, bgr, grey"},
		{`{"kind":"model","model":{"files":["a"]},"tagg":"x"}`, "", "tagg", "tags"},
		{`{"kind":"model","model":{"files":["a"]},"input":[{"picture":{"width":"wide"}}]}`, "", "input[0].picture.width", "number"},
		{"", "kind: model\nmodel:\n  files: [../a]\n", "model.files[0]", "no file of the bundle"},
	}
	for _, tt := range tests {
		var manifest []byte
		if tt.manifest != "" {
			manifest = []byte(tt.manifest)
		}
		m, err := c.CheckManifest(t.Context(), d.ID, client.ManifestCheck{Manifest: manifest, YAML: tt.yaml})
		if err != nil || len(m.Problems) != 1 || m.Manifest != nil {
			t.Errorf("%s%s: %+v, %v", tt.manifest, tt.yaml, m, err)
			continue
		}
		if p := m.Problems[0]; p.Field != tt.field || !strings.Contains(p.Msg, tt.msg) || p.Line == 0 {
			t.Errorf("%+v", p)
		}
	}
	if _, err := c.CheckManifest(t.Context(), d.ID, client.ManifestCheck{}); stoa.KindOf(err) != stoa.Invalid {
		t.Errorf("neither: %v", err)
	}
}

func TestPreviewDraft(t *testing.T) {
	_, c := start(t, nil)
	ctx := t.Context()
	var b bytes.Buffer
	if err := png.Encode(&b, image.NewGray(image.Rect(0, 0, 2, 3))); err != nil {
		t.Fatal(err)
	}
	d, err := c.BeginDraft(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.PutDraftFile(ctx, d.ID, "p.png", bytes.NewReader(b.Bytes()), -1); err != nil {
		t.Fatal(err)
	}
	r := client.PreviewRequest{Input: []byte(`{"picture":{"colour":"grey","invert":true}}`), Spec: []byte(`{"name":"x","dtype":"float32","shape":[1,1,-1,-1]}`)}
	want := client.Preview{Channels: []client.Channel{{Name: "grey", Min: 255, Mean: 255, Max: 255}}, DType: "float32", Shape: []int64{1, 1, 3, 2}, Layout: "nchw"}
	for _, by := range []client.PreviewRequest{{File: "p.png"}, {Data: b.Bytes()}} {
		by.Input, by.Spec = r.Input, r.Spec
		p, err := c.PreviewDraft(ctx, d.ID, by)
		if err != nil {
			t.Fatal(err)
		}
		if m, err := png.Decode(bytes.NewReader(p.PNG)); err != nil || m.Bounds() != image.Rect(0, 0, 2, 3) {
			t.Errorf("%v", err)
		}
		p.PNG = nil
		if diff := cmp.Diff(want, p); diff != "" {
			t.Error(diff)
		}
	}
	for _, bad := range []struct {
		r    client.PreviewRequest
		kind stoa.Kind
		says string
	}{
		{client.PreviewRequest{Input: r.Input}, stoa.Invalid, "by file or data"},
		{client.PreviewRequest{Input: r.Input, File: "none.png"}, stoa.NotFound, "none.png"},
		{client.PreviewRequest{Input: []byte(`{"picture":{"color":"grey"}}`), File: "p.png"}, stoa.Invalid, `"color"`},
		{client.PreviewRequest{Input: r.Input, Data: []byte("hello")}, stoa.Invalid, "no picture"},
	} {
		if _, err := c.PreviewDraft(ctx, d.ID, bad.r); stoa.KindOf(err) != bad.kind || !strings.Contains(stoa.AsError(err).Msg, bad.says) {
			t.Errorf("%v", err)
		}
	}
	if _, err := c.PreviewDraft(ctx, "none", client.PreviewRequest{Input: r.Input, Data: b.Bytes()}); stoa.KindOf(err) != stoa.NotFound {
		t.Errorf("of no draft: %v", err)
	}
}
