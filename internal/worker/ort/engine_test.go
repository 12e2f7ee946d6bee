package ort_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/blob"
	"github.com/stoa-project/stoa/internal/onnx"
	"github.com/stoa-project/stoa/internal/tensor"
	"github.com/stoa-project/stoa/internal/worker"
	"github.com/stoa-project/stoa/internal/worker/ort"
	"github.com/stoa-project/stoa/internal/worker/workertest"
)

func library(t testing.TB) string {
	t.Helper()
	path, err := filepath.Abs("../../../bin/lib/libonnxruntime.so")
	if err == nil {
		_, err = os.Stat(path)
	}
	if err != nil {
		t.Skip("no ONNX Runtime: run make setup")
	}
	return path
}

// folder finds blobs by their names.
type folder string

func (f folder) Fetch(_ context.Context, file blob.File) (string, error) {
	return filepath.Join(string(f), string(file.Digest)), nil
}

func four(name string) *onnx.ValueInfo {
	return &onnx.ValueInfo{Name: name, DType: tensor.Float32, Shape: []onnx.Dim{onnx.Fixed(4)}}
}

// slowWhenLarge is y = x + a loop's sum, whose trip count is the largest x: small
// numbers are answered at once, a billion never.
func slowWhenLarge() *onnx.Model {
	bool1 := func(name string) *onnx.ValueInfo {
		return &onnx.ValueInfo{Name: name, DType: tensor.Bool, Shape: []onnx.Dim{}}
	}
	body := &onnx.Graph{
		Name:    "body",
		Inputs:  []*onnx.ValueInfo{{Name: "i", DType: tensor.Int64, Shape: []onnx.Dim{}}, bool1("go"), four("acc")},
		Outputs: []*onnx.ValueInfo{bool1("on"), four("next")},
		Nodes: []*onnx.Node{
			{Op: "Identity", Inputs: []string{"go"}, Outputs: []string{"on"}},
			{Op: "Add", Inputs: []string{"acc", "one"}, Outputs: []string{"next"}},
		},
	}
	return &onnx.Model{
		IRVersion: 8,
		Opsets:    []onnx.OpsetID{{Version: 17}},
		Graph: &onnx.Graph{
			Name:    "slow",
			Inputs:  []*onnx.ValueInfo{four("x")},
			Outputs: []*onnx.ValueInfo{four("y")},
			Initializers: []*onnx.Tensor{
				onnx.NewTensor("one", tensor.Of([]float32{1, 1, 1, 1}, 4)),
				onnx.NewTensor("yes", tensor.Tensor{DType: tensor.Bool, Shape: []int64{}, Data: []byte{1}}),
			},
			Nodes: []*onnx.Node{
				(&onnx.Node{Op: "ReduceMax", Inputs: []string{"x"}, Outputs: []string{"max"}}).Set(onnx.AInt("keepdims", 0)),
				(&onnx.Node{Op: "Cast", Inputs: []string{"max"}, Outputs: []string{"trips"}}).Set(onnx.AInt("to", int64(tensor.Int64))),
				(&onnx.Node{Op: "Loop", Inputs: []string{"trips", "yes", "x"}, Outputs: []string{"y"}}).Set(onnx.Attribute{Name: "body", Type: onnx.AttrGraph, G: body}),
			},
		},
	}
}

func write(t *testing.T, dir, name string, m *onnx.Model) {
	t.Helper()
	var b bytes.Buffer
	if err := onnx.Write(&b, m); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, name), b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
}

func subject(t *testing.T) workertest.Subject {
	t.Helper()
	lib := library(t)
	dir := t.TempDir()
	write(t, dir, "good", slowWhenLarge())
	if err := os.WriteFile(filepath.Join(dir, "broken"), []byte("no model"), 0o600); err != nil {
		t.Fatal(err)
	}
	e, err := ort.New(ort.Config{Library: lib, Fetcher: folder(dir), Scratch: dir})
	if err != nil {
		t.Fatal(err)
	}
	model := func(id string) worker.Model {
		spec := func(name string) []tensor.Spec {
			return []tensor.Spec{{Name: name, DType: tensor.Float32, Shape: []int64{4}}}
		}
		return worker.Model{
			ID: id, Manifest: []byte(`{"kind":"model"}`), Inputs: spec("x"), Outputs: spec("y"),
			Files: []blob.File{{Name: worker.ModelFile, Digest: blob.Digest(id)}},
		}
	}
	value := func(s string) stoa.Value { return stoa.Value{Type: stoa.JSON, Data: []byte(s)} }
	return workertest.Subject{
		Engine: e, Good: model("good"), Broken: model("broken"),
		Input: value("[1,2,3,0.5]"), Want: []byte("[4,5,6,3.5]"),
		Bad: value("[1,2]"), Slow: value("[1e9,0,0,0]"),
		Preview: workertest.PreviewJob(t),
	}
}

func TestEngineKeepsTheContract(t *testing.T) { workertest.Exercise(t, subject) }

func TestCancelStopsARunInsideTheRuntime(t *testing.T) {
	s := subject(t)
	if _, err := s.Engine.Load(t.Context(), s.Good); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	go cancel()
	if _, err := s.Engine.Run(ctx, s.Good.ID, []stoa.Value{s.Slow}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestAnotherLibraryIsRefused(t *testing.T) {
	if _, err := ort.New(ort.Config{Library: library(t)}); err != nil {
		t.Fatal(err)
	}
	if _, err := ort.New(ort.Config{Library: "/nowhere/lib.so"}); stoa.KindOf(err) != stoa.Conflict {
		t.Errorf("got %v", err)
	}
}

func BenchmarkRunOfFourFloats(b *testing.B) {
	dir := b.TempDir()
	var w bytes.Buffer
	m := slowWhenLarge()
	m.Graph.Nodes = []*onnx.Node{{Op: "Add", Inputs: []string{"x", "one"}, Outputs: []string{"y"}}}
	if err := onnx.Write(&w, m); err != nil {
		b.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "m"), w.Bytes(), 0o600); err != nil {
		b.Fatal(err)
	}
	e, err := ort.New(ort.Config{Library: library(b), Fetcher: folder(dir), Scratch: dir})
	if err != nil {
		b.Fatal(err)
	}
	spec := func(name string) []tensor.Spec {
		return []tensor.Spec{{Name: name, DType: tensor.Float32, Shape: []int64{4}}}
	}
	model := worker.Model{
		ID: "m", Manifest: []byte(`{"kind":"model"}`), Inputs: spec("x"), Outputs: spec("y"),
		Files: []blob.File{{Name: worker.ModelFile, Digest: "m"}},
	}
	ctx, cancel := context.WithCancel(b.Context())
	defer cancel()
	if _, err := e.Load(ctx, model); err != nil {
		b.Fatal(err)
	}
	items := []stoa.Value{{Type: stoa.JSON, Data: []byte("[1.5,-2.25,3.125,4]")}}
	b.ReportAllocs()
	for b.Loop() {
		res, err := e.Run(ctx, "m", items)
		if err != nil || res[0].Err != nil {
			b.Fatal(err, res)
		}
	}
}
