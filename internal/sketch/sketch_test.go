package sketch_test

import (
	"bytes"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/importer"
	"github.com/stoa-project/stoa/internal/manifest"
	"github.com/stoa-project/stoa/internal/onnx"
	"github.com/stoa-project/stoa/internal/sketch"
	"github.com/stoa-project/stoa/internal/tensor"
)

var plugs = []importer.Plug{importer.ONNX{}}

// network takes a picture of 1x3x8x8, and gives three scores of it.
func network(t testing.TB) *fstest.MapFile {
	t.Helper()
	var buf bytes.Buffer
	err := onnx.Write(&buf, &onnx.Model{
		IRVersion: onnx.IRVersion, Opsets: []onnx.OpsetID{{Version: onnx.Opset}},
		Graph: &onnx.Graph{
			Name: "g",
			Nodes: []*onnx.Node{
				{Name: "p", Op: "GlobalAveragePool", Inputs: []string{"data"}, Outputs: []string{"scores"}},
			},
			Inputs:  []*onnx.ValueInfo{{Name: "data", DType: tensor.Float32, Shape: []onnx.Dim{onnx.Fixed(1), onnx.Fixed(3), onnx.Fixed(8), onnx.Fixed(8)}}},
			Outputs: []*onnx.ValueInfo{{Name: "scores", DType: tensor.Float32}},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return &fstest.MapFile{Data: buf.Bytes()}
}

func text(s string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(s)} }

func TestWhatFilesSuggest(t *testing.T) {
	net := network(t)
	tests := []struct {
		name           string
		files          fstest.MapFS
		sample, labels string
	}{
		{"alone", fstest.MapFS{}, "", ""},
		{"labels", fstest.MapFS{"Labels.txt": text("a\nb\nc\n")}, "", "Labels.txt"},
		{"labels of another number", fstest.MapFS{"labels.txt": text("a\nb\n")}, "", ""},
		{"no labels by name", fstest.MapFS{"notes.txt": text("a\nb\nc\n")}, "", ""},
		{"the first of samples", fstest.MapFS{"samples/after.png": text("p"), "samples/b.png": text("p"), "samples/a.npy": text("p"), "c.png": text("")}, "samples/a.npy", ""},
		{"before and after", fstest.MapFS{"samples/before.jpg": text("p"), "samples/a.jpg": text("p")}, "samples/before.jpg", ""},
		{"a picture beside", fstest.MapFS{"cat.JPG": text("p"), "sample.json": text("p")}, "cat.JPG", ""},
		{"a file that is called an input", fstest.MapFS{"my_input.npy": text("p"), "weights.npy": text("p")}, "my_input.npy", ""},
		{"hidden", fstest.MapFS{".cat.png": text("p"), "samples/.a.png": text("p")}, "", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.files["net.onnx"] = net
			s, err := sketch.Of(t.Context(), plugs, tt.files, sketch.Options{Name: "net"})
			if err != nil {
				t.Fatal(err)
			}
			sample, labels := "", ""
			if s.Manifest.Sample != nil {
				sample = s.Manifest.Sample.File
			}
			if l := s.Manifest.Output[0].Labels; l != nil {
				labels = l.File
			}
			if sample != tt.sample || labels != tt.labels {
				t.Errorf("sample %q, labels %q", sample, labels)
			}
			if _, err := manifest.Parse("stoa.yaml", []byte(s.Text())); err != nil || !strings.Contains(s.Text(), "# ") {
				t.Errorf("%v\n%s", err, s.Text())
			}
		})
	}
}

func TestInspect(t *testing.T) {
	net := network(t)
	in, err := sketch.Inspect(t.Context(), plugs, fstest.MapFS{"dir/my-net.onnx": net}, "")
	if err != nil || in.Manifest.Name != "my_net" || in.Given || len(in.Problems) > 0 || in.Report.Framework != "onnx" {
		t.Errorf("%+v, %v", in, err)
	}
	given := text("kind: model\nmodel:\n  files: [net.onnx]\noutput:\n  - labels:\n      file: labels.txt\n")
	in, err = sketch.Inspect(t.Context(), plugs, fstest.MapFS{"net.onnx": net, "stoa.yaml": given, "labels.txt": text("a\nb")}, "")
	if err != nil || !in.Given || len(in.Problems) != 1 {
		t.Fatalf("%+v, %v", in, err)
	}
	if p := in.Problems[0]; p.Line != 6 || p.Field != "output[0].labels.file" || !strings.Contains(p.String(), "stoa.yaml:6:7: output[0].labels.file: 2 names for 3 scores") {
		t.Errorf("%s", p)
	}
	in, err = sketch.Inspect(t.Context(), plugs, fstest.MapFS{"a.txt": text("a"), "stoa.yaml": text("kind: model\n")}, "")
	if err != nil || len(in.Problems) != 2 || in.Manifest != nil || in.Report != nil {
		t.Errorf("%+v, %v", in, err)
	}
	_, err = sketch.Of(t.Context(), plugs, fstest.MapFS{"a.txt": text("a")}, sketch.Options{})
	if stoa.KindOf(err) != stoa.Unsupported {
		t.Errorf("%v", err)
	}
}

func TestName(t *testing.T) {
	for in, want := range map[string]string{
		"net": "net", "my net-2.1": "my_net_2_1", "42_net": "net", "Ünet": "net", "": "net", "123": "net", strings.Repeat("a", 101): "net",
	} {
		if got := sketch.Name(in); got != want {
			t.Errorf("%q becomes %q", in, got)
		}
	}
}
