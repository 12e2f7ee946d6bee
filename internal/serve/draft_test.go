package serve_test

import (
	"bytes"
	"encoding/json"
	"image/png"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/client"
	"github.com/stoa-project/stoa/internal/importer"
	"github.com/stoa-project/stoa/internal/manifest"
	"github.com/stoa-project/stoa/internal/media"
	"github.com/stoa-project/stoa/internal/serve"
	"github.com/stoa-project/stoa/internal/serve/servetest"
	"github.com/stoa-project/stoa/internal/tensor"
)

// drop uploads files into a fresh draft: names in the draft, and their paths.
func (s *system) drop(t testing.TB, files map[string]string) string {
	t.Helper()
	d, err := s.BeginDraft(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for name, path := range files {
		content := path
		if strings.HasPrefix(path, "../") {
			content = read(t, path)
		}
		if _, err := s.PutDraftFile(t.Context(), d.ID, name, strings.NewReader(content), int64(len(content))); err != nil {
			t.Fatal(err)
		}
	}
	return d.ID
}

func (s *system) inspect(t testing.TB, id, name string) (client.Inspection, importer.Report) {
	t.Helper()
	in, err := s.InspectDraft(t.Context(), id, name)
	if err != nil {
		t.Fatal(err)
	}
	var r importer.Report
	if in.Report != nil {
		if err := json.Unmarshal(in.Report, &r); err != nil {
			t.Fatal(err)
		}
	}
	return in, r
}

const digits = "../../demo/digits/"

// A Caffe model is dropped, looked at, adjusted by what the preview shows,
// published and called.
func TestADraftOfACaffeModelIsPublishedAndCalled(t *testing.T) {
	s := start(t, t.TempDir(), nil)
	id := s.drop(t, map[string]string{
		"lenet.prototxt": digits + "lenet.prototxt", "lenet.caffemodel": digits + "lenet.caffemodel",
		"seven.png": digits + "samples/seven.png", "notes.doc": "not for others", "README.md": digits + "README.md",
	})
	in, report := s.inspect(t, id, "my digits-1")
	if len(in.Problems) > 0 || in.Given || report.Framework != "caffe" || len(report.Inputs) != 1 || !slices.Equal(report.Inputs[0].Shape, []int64{-1, 1, 28, 28}) {
		t.Fatalf("%+v\n%+v", in, report)
	}
	m, err := manifest.FromJSON(in.Manifest)
	if err != nil {
		t.Fatal(err)
	}
	if m.Name != "my_digits_1" || m.Sample == nil || m.Sample.File != "seven.png" || m.Input[0].Picture == nil || m.Input[0].Picture.Colour != "grey" {
		t.Errorf("%s", in.YAML)
	}
	if parsed, err := manifest.Parse("stoa.yaml", []byte(in.YAML)); err != nil || parsed.Sample == nil {
		t.Errorf("%v", err)
	}

	// The author scales as the network was trained, and looks at it.
	m.Input[0].Picture.Scale = []float64{0.00390625}
	m.Output = []media.Output{{Labels: &media.Labels{Names: strings.Split("0123456789", "")}}}
	p := s.preview(t, id, m.Input[0], report.Inputs[0], "seven.png")
	adapter, err := media.NewAdapter(m.Input, nil, media.Graph{Inputs: report.Inputs, Outputs: report.Outputs}, nil, media.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	fed, err := adapter.Decode(picture(t, digits+"samples/seven.png"))
	if err != nil {
		t.Fatal(err)
	}
	shown, err := png.Decode(bytes.NewReader(p.PNG))
	if err != nil {
		t.Fatal(err)
	}
	sum := 0.0
	for i, v := range tensor.As[float32](fed.Inputs[0]) {
		sum += float64(v)
		if r, _, _, _ := shown.At(i%28, i/28).RGBA(); r>>8 != uint32(v*256) {
			t.Fatalf("pixel %d: shown %d, fed %v", i, r>>8, v*256)
		}
	}
	if c := p.Channels[0]; c.Name != "grey" || c.Max > 1 || c.Mean-sum/784 > 1e-6 || p.Layout != "nchw" || p.DType != "float32" {
		t.Errorf("%+v", p)
	}

	// First it does not fit: the draft stays, so that it can be mended.
	m.Output[0].Labels.Names = []string{"one", "two"}
	data, err := m.JSON()
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.PublishDraft(t.Context(), id, client.DraftPublish{Manifest: data})
	if stoa.KindOf(err) != stoa.Invalid || !strings.Contains(stoa.AsError(err).Msg, "output[0].labels: 2 names for 10 scores") {
		t.Fatalf("%v", err)
	}
	m.Output[0].Labels.Names = strings.Split("0123456789", "")
	if data, err = m.JSON(); err != nil {
		t.Fatal(err)
	}
	v, err := s.PublishDraft(t.Context(), id, client.DraftPublish{Manifest: data})
	if err != nil || !v.New {
		t.Fatalf("%+v, %v", v, err)
	}
	var names []string
	for _, f := range v.Files {
		names = append(names, f.Name)
	}
	if want := []string{"README.md", "lenet.caffemodel", "lenet.prototxt", "seven.png", "stoa.yaml"}; !slices.Equal(names, want) {
		t.Errorf("%v", names)
	}
	if got := label(t, s, v.Owner+"/"+v.Name, digits+"samples/seven.png"); got != "7" {
		t.Errorf("it says %q", got)
	}
	if _, err := s.Draft(t.Context(), id); stoa.KindOf(err) != stoa.NotFound {
		t.Errorf("the draft: %v", err)
	}
	if left, err := os.ReadDir(filepath.Join(s.Data, "staging")); err != nil || len(left) > 0 {
		t.Errorf("left in the staging folder: %v, %v", left, err)
	}
}

func (s *system) preview(t testing.TB, id string, in media.Input, spec tensor.Spec, file string) client.Preview {
	t.Helper()
	adapter, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	sp, err := json.Marshal(spec)
	if err != nil {
		t.Fatal(err)
	}
	p, err := s.PreviewDraft(t.Context(), id, client.PreviewRequest{Input: adapter, Spec: sp, File: file})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// A folder with a stoa.yaml is taken at its word.
func TestADraftWithAManifest(t *testing.T) {
	s := start(t, t.TempDir(), nil)
	files := map[string]string{}
	err := filepath.WalkDir(digits, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			files[filepath.ToSlash(strings.TrimPrefix(path, digits))] = path
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	id := s.drop(t, files)
	in, _ := s.inspect(t, id, "other")
	if !in.Given || len(in.Problems) > 0 || in.YAML != read(t, digits+"stoa.yaml") {
		t.Fatalf("%+v", in)
	}
	v, err := s.PublishDraft(t.Context(), id, client.DraftPublish{YAML: in.YAML})
	if err != nil || v.Owner != "demo" || v.Visibility != "public" {
		t.Fatalf("%+v, %v", v, err)
	}
	p, err := s.Push(t.Context(), servetest.Bundle(t, digits))
	if err != nil || p.New || p.Hash != v.Hash {
		t.Errorf("the same by a push: new %v, %v", p, err)
	}
}

func TestProblemsOfADraft(t *testing.T) {
	s := start(t, t.TempDir(), nil)
	four := "../../bench/four/net.prototxt"
	tests := []struct {
		name   string
		files  map[string]string
		report bool
		want   []manifest.Problem // the Msg holds this
	}{
		{"nothing", nil, false, []manifest.Problem{{Msg: "no model was recognised"}}},
		{"no model", map[string]string{"a.txt": "hello"}, false, []manifest.Problem{{Msg: "no model was recognised among a.txt"}}},
		{"weights alone", map[string]string{"lenet.caffemodel": digits + "lenet.caffemodel"}, false, []manifest.Problem{{Msg: "prototxt"}}},
		{
			"a damaged description",
			map[string]string{"net.prototxt": "layer { name: \"a\" type: \"Power\"\n  bottom: }"},
			false,
			[]manifest.Problem{{Msg: "net.prototxt, line 2"}},
		},
		{
			"a layer that is not there",
			map[string]string{"net.prototxt": "input: \"data\" input_shape { dim: 1 dim: 4 }\nlayer { name: \"odd\" type: \"Oddity\" bottom: \"data\" top: \"x\" }\n"},
			true,
			[]manifest.Problem{{Msg: "not supported: "}},
		},
		{
			"a manifest with faults",
			map[string]string{"net.prototxt": four, "stoa.yaml": "kind: model\nmodel:\n  files: [net.prototxt]\ntagg: x\ninput:\n  - picture:\n      colour: red\n"},
			true,
			[]manifest.Problem{{File: "stoa.yaml", Line: 4, Field: "tagg", Msg: "tag"}, {File: "stoa.yaml", Line: 7, Field: "input[0].picture.colour", Msg: "rgb"}},
		},
		{
			"a manifest that does not fit",
			map[string]string{"net.prototxt": four, "stoa.yaml": "kind: model\nmodel:\n  files: [net.prototxt]\ninput:\n  - picture:\n      width: 3\n"},
			true,
			[]manifest.Problem{{File: "stoa.yaml", Line: 5, Field: "input[0].picture", Msg: "which is no picture"}},
		},
		{
			"a file that is missing",
			map[string]string{"net.prototxt": four, "stoa.yaml": "kind: model\nmodel:\n  files: [net.prototxt]\nsample:\n  file: one.npy\n"},
			true,
			[]manifest.Problem{{File: "stoa.yaml", Msg: "one.npy"}},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			in, _ := s.inspect(t, s.drop(t, tt.files), "")
			if len(in.Problems) != len(tt.want) || (in.Report != nil) != tt.report {
				t.Fatalf("%+v\nreport %s", in.Problems, in.Report)
			}
			for i, w := range tt.want {
				if p := in.Problems[i]; p.File != w.File || p.Line != w.Line || p.Field != w.Field || !strings.Contains(p.Msg, w.Msg) {
					t.Errorf("%+v\nwant %+v", p, w)
				}
			}
		})
	}
	if maps := read(t, "/proc/self/maps"); strings.Contains(maps, "onnxruntime") {
		t.Error("the server's process has opened the inference library")
	}
}

// A look that needs too much memory, or time, is a problem of the draft's.
func TestLooksRunUnderTheServersLimit(t *testing.T) {
	s := start(t, t.TempDir(), func(c *serve.Config) { c.ImportTime = 1 })
	id := s.drop(t, map[string]string{"net.prototxt": "../../bench/four/net.prototxt"})
	if _, err := s.InspectDraft(t.Context(), id, ""); stoa.KindOf(err) != stoa.Timeout {
		t.Errorf("%v", err)
	}
}
