package importer_test

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/importer"
	"github.com/stoa-project/stoa/internal/onnx"
	"github.com/stoa-project/stoa/internal/tensor"
)

var plugs = []importer.Plug{importer.ONNX{}}

// network makes a model of one matrix and an activation.
func network(size int64) *onnx.Model {
	w := make([]float32, 2*size)
	for i := range w {
		w[i] = float32(i)
	}
	return &onnx.Model{
		IRVersion: onnx.IRVersion, Opsets: []onnx.OpsetID{{Version: onnx.Opset}}, Producer: "test",
		Graph: &onnx.Graph{
			Name: "g",
			Nodes: []*onnx.Node{
				{Name: "m", Op: "MatMul", Inputs: []string{"x", "w"}, Outputs: []string{"h"}},
				{Name: "r", Op: "Relu", Inputs: []string{"h"}, Outputs: []string{"y"}},
			},
			Initializers: []*onnx.Tensor{onnx.NewTensor("w", tensor.Of(w, 2, size))},
			Inputs:       []*onnx.ValueInfo{{Name: "x", DType: tensor.Float32, Shape: []onnx.Dim{onnx.Named("batch"), onnx.Fixed(2)}}},
			Outputs:      []*onnx.ValueInfo{{Name: "y", DType: tensor.Float32}},
		},
	}
}

func encoded(t *testing.T, m *onnx.Model) []byte {
	t.Helper()
	var buf bytes.Buffer
	if err := onnx.Write(&buf, m); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

func TestImportONNX(t *testing.T) {
	src := fstest.MapFS{"a/net.bin": {Data: encoded(t, network(300))}, "photo.png": {Data: []byte("\x89PNG\r\n\x1a\n")}, "notes.txt": {Data: []byte("hello")}}
	im, err := importer.Import(t.Context(), plugs, src, importer.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer im.Close()
	got := im.Report
	got.Seconds = 0
	want := importer.Report{
		Framework: "onnx", Format: "ONNX (IR 8, opset 17, by test)", Files: []string{"a/net.bin"},
		Inputs:   []tensor.Spec{{Name: "x", DType: tensor.Float32, Shape: []int64{-1, 2}}},
		Outputs:  []tensor.Spec{{Name: "y", DType: tensor.Float32, Shape: []int64{-1, 300}}},
		Declared: []tensor.Spec{{Name: "x", DType: tensor.Float32, Shape: []int64{1, 2}}},
		Layers:   map[string]int{"MatMul": 1, "Relu": 1}, Operators: map[string]int{"MatMul": 1, "Relu": 1},
		Parameters: 600, MACs: 600, WeightBytes: 2400, MemoryBytes: 2400 + 2*1200, Opset: 17,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestWrite(t *testing.T) {
	src := fstest.MapFS{"net.onnx": {Data: encoded(t, network(300))}}
	im, err := importer.Import(t.Context(), plugs, src, importer.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer im.Close()
	dir := t.TempDir()
	files, err := im.Write(dir)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"model.onnx", "model.weights"}, files); diff != "" {
		t.Error(diff)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 2 {
		t.Errorf("left are %v, %v", entries, err)
	}
	// What was written is imported again, weights and all.
	folder, err := importer.Dir(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer folder.Close()
	again, err := importer.Import(t.Context(), plugs, folder, importer.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	if diff := cmp.Diff([]string{"model.onnx", "model.weights"}, again.Report.Files); diff != "" {
		t.Error(diff)
	}
	one := filepath.Join(dir, "one.onnx")
	if err := again.WriteFile(one); err != nil {
		t.Fatal(err)
	}
	last, err := importer.Inspect(t.Context(), plugs, folder, importer.Options{Files: []string{"one.onnx"}})
	if err != nil {
		t.Fatal(err)
	}
	first := im.Report
	first.Files, last.Files, first.Seconds, last.Seconds = nil, nil, 0, 0
	if diff := cmp.Diff(first, last); diff != "" {
		t.Error(diff)
	}
	if _, err := again.Write(filepath.Join(dir, "nowhere")); err == nil {
		t.Error("a folder that is not there was written to")
	}
}

func TestPickRefuses(t *testing.T) {
	model := encoded(t, network(3))
	tests := []struct {
		name string
		src  fstest.MapFS
		opt  importer.Options
		kind stoa.Kind
		want string
	}{
		{"empty", fstest.MapFS{}, importer.Options{}, stoa.Unsupported, "among nothing; known are models of onnx"},
		{"two", fstest.MapFS{"a.onnx": {Data: model}, "b.onnx": {Data: model}}, importer.Options{}, stoa.Invalid, "a.onnx (ONNX); b.onnx (ONNX). Name the files of one"},
		{"not there", fstest.MapFS{"a.onnx": {Data: model}}, importer.Options{Files: []string{"b.onnx"}}, stoa.NotFound, "b.onnx"},
		{"outside", fstest.MapFS{"a.onnx": {Data: model}}, importer.Options{Files: []string{"../a.onnx"}}, stoa.Invalid, "leads out"},
		{"cut off", fstest.MapFS{"a.onnx": {Data: model[:len(model)-3]}}, importer.Options{}, stoa.Invalid, "a.onnx: onnx: the model is damaged or cut off"},
		{"no tensor", fstest.MapFS{"a.onnx": {Data: model}}, importer.Options{Outputs: []string{"q"}}, stoa.Invalid, `no tensor "q"`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := importer.Import(t.Context(), plugs, tt.src, tt.opt)
			if e := stoa.AsError(err); err == nil || e.Kind != tt.kind || !strings.Contains(e.Msg, tt.want) {
				t.Errorf("got %v, want %s: %s", err, tt.kind, tt.want)
			}
		})
	}
	im, err := importer.Import(t.Context(), plugs, tests[1].src, importer.Options{Files: []string{"b.onnx"}})
	if err != nil || im.Report.Files[0] != "b.onnx" {
		t.Errorf("the file that was named was not taken: %v", err)
	}
}

func TestImportListsUnknownOperators(t *testing.T) {
	m := network(3)
	m.Graph.Nodes[1].Op = "Frobnicate"
	src := fstest.MapFS{"net.onnx": {Data: encoded(t, m)}}
	_, err := importer.Import(t.Context(), plugs, src, importer.Options{})
	if e := stoa.AsError(err); err == nil || e.Kind != stoa.Unsupported || !strings.Contains(e.Msg, `"Frobnicate", 1 times, first as node "r"`) {
		t.Errorf("got %v", err)
	}
	r, err := importer.Inspect(t.Context(), plugs, src, importer.Options{})
	if err != nil || len(r.Unsupported) != 1 {
		t.Errorf("got %v, %v", r.Unsupported, err)
	}
}

func TestCut(t *testing.T) {
	src := fstest.MapFS{"net.onnx": {Data: encoded(t, network(3))}}
	im, err := importer.Import(t.Context(), plugs, src, importer.Options{Outputs: []string{"h"}})
	if err != nil {
		t.Fatal(err)
	}
	defer im.Close()
	if im.Report.Outputs[0].Name != "h" || len(im.Report.Operators) != 1 {
		t.Errorf("got %+v", im.Report)
	}
}

func TestNodesOutOfOrder(t *testing.T) {
	m := network(3)
	m.Graph.Nodes[0], m.Graph.Nodes[1] = m.Graph.Nodes[1], m.Graph.Nodes[0]
	im, err := importer.Import(t.Context(), plugs, fstest.MapFS{"net.onnx": {Data: encoded(t, m)}}, importer.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer im.Close()
	if len(im.Report.Notes) != 1 {
		t.Errorf("notes: %v", im.Report.Notes)
	}
}

// A folder is left by no way: links and names that climb out of it are refused.
func TestFolderHolds(t *testing.T) {
	dir := t.TempDir()
	secret := filepath.Join(dir, "secret")
	if err := os.WriteFile(secret, make([]byte, 3000), 0o600); err != nil {
		t.Fatal(err)
	}
	inside := filepath.Join(dir, "in")
	if err := os.Mkdir(inside, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(secret, filepath.Join(inside, "model.weights")); err != nil {
		t.Fatal(err)
	}
	var graph, data bytes.Buffer
	if err := onnx.WriteExternal(&graph, &data, network(300), "model.weights"); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(inside, "model.onnx"), graph.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	folder, err := importer.Dir(inside)
	if err != nil {
		t.Fatal(err)
	}
	defer folder.Close()
	if _, err := importer.Import(t.Context(), plugs, folder, importer.Options{}); err == nil || !strings.Contains(err.Error(), "model.weights") {
		t.Errorf("got %v", err)
	}
	if _, _, err := folder.Map("../secret"); err == nil {
		t.Error("a file outside the folder was mapped")
	}
	if _, err := importer.Dir(filepath.Join(dir, "nowhere")); stoa.KindOf(err) != stoa.NotFound {
		t.Errorf("got %v", err)
	}
}

func TestOpen(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"a", "b", "sub/c"} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	at := func(names ...string) []string {
		var out []string
		for _, n := range names {
			out = append(out, filepath.Join(dir, n))
		}
		return out
	}
	folder, files, err := importer.Open(at("a", "b")...)
	if err != nil || !cmp.Equal(files, []string{"a", "b"}) {
		t.Fatalf("got %v, %v", files, err)
	}
	defer folder.Close()
	if folder, files, err := importer.Open(dir); err != nil || files != nil {
		t.Errorf("got %v, %v", files, err)
	} else {
		defer folder.Close()
	}
	for _, bad := range [][]string{nil, at("a", "sub/c"), at("a", "sub"), at("nowhere")} {
		if _, _, err := importer.Open(bad...); err == nil {
			t.Errorf("%v was opened", bad)
		}
	}
}

func TestImportStopsWhenCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := importer.Import(ctx, plugs, fstest.MapFS{"net.onnx": {Data: encoded(t, network(3))}}, importer.Options{})
	if stoa.KindOf(err) != stoa.Canceled {
		t.Errorf("got %v", err)
	}
}
