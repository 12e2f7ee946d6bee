package frameworks

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stoa-project/stoa/internal/importer/caffe/caffetest"
	"github.com/stoa-project/stoa/internal/onnx"
	"github.com/stoa-project/stoa/internal/onnx/fold"
	"github.com/stoa-project/stoa/internal/tensor"
)

// graph is a network in the making.
type graph struct{ g onnx.Graph }

func (b *graph) weight(name string, offset float32, shape ...int64) {
	n, _ := tensor.Elements(shape)
	vs := make([]float32, n)
	for i := range vs {
		vs[i] = offset + caffetest.Value(uint64(len(name)+7*len(b.g.Initializers)), uint64(i))/2
	}
	b.g.Initializers = append(b.g.Initializers, onnx.NewTensor(name, tensor.Of(vs, shape...)))
}

func (b *graph) ints(name string, vs ...int64) {
	b.g.Initializers = append(b.g.Initializers, onnx.NewTensor(name, tensor.Of(vs, int64(len(vs)))))
}

func (b *graph) node(op, in, out string, attrs ...onnx.Attribute) {
	b.g.Nodes = append(b.g.Nodes, &onnx.Node{Op: op, Inputs: strings.Fields(in), Outputs: strings.Fields(out), Attrs: attrs})
}

// norm adds a BatchNormalization of n channels.
func (b *graph) norm(in, out string, n int64) {
	b.weight(out+".s", 1, n)
	b.weight(out+".b", 0, n)
	b.weight(out+".m", 0, n)
	b.weight(out+".v", 1, n)
	b.node("BatchNormalization", fmt.Sprintf("%s %s.s %s.b %s.m %s.v", in, out, out, out, out), out)
}

// Folding changes what a network is made of, and not what it computes.
func TestFoldComputesTheSame(t *testing.T) {
	start(t)
	picture := []int64{2, 4, 6, 5}
	tests := []struct {
		name  string
		shape []int64
		make  func(b *graph)
		nodes string // what is left
	}{
		{"conv norm scale", picture, func(b *graph) {
			b.weight("w", 0, 8, 2, 3, 3)
			b.weight("g", 1, 8, 1, 1)
			b.weight("c", 0, 1, 8, 1, 1)
			b.node("Conv", "x w", "a", onnx.AInt("group", 2), onnx.AInts("pads", 1, 1, 1, 1))
			b.norm("a", "n", 8)
			b.node("Mul", "n g", "s")
			b.node("Add", "c s", "y")
		}, "Conv"},
		{"conv sub div", picture, func(b *graph) {
			b.weight("w", 0, 3, 4, 1, 1)
			b.weight("wb", 0, 3)
			b.weight("d", 2, 3, 1, 1)
			b.weight("e", 0, 1)
			b.node("Conv", "x w wb", "a")
			b.node("Sub", "e a", "s")
			b.node("Div", "s d", "y")
		}, "Conv"},
		{"transposed groups", picture, func(b *graph) {
			b.weight("w", 0, 4, 3, 2, 2)
			b.node("ConvTranspose", "x w", "a", onnx.AInt("group", 2), onnx.AInts("strides", 2, 2))
			b.norm("a", "y", 6)
		}, "ConvTranspose"},
		{"gemm", []int64{3, 5}, func(b *graph) {
			b.weight("w", 0, 5, 4)
			b.weight("g", 1, 4)
			b.node("Gemm", "x w", "a")
			b.node("Mul", "a g", "s")
			b.norm("s", "y", 4)
		}, "Gemm"},
		{"gemm turned", []int64{3, 5}, func(b *graph) {
			b.weight("w", 0, 4, 5)
			b.weight("wb", 0, 4)
			b.weight("g", 1, 1, 4)
			b.node("Gemm", "x w wb", "a", onnx.AInt("transB", 1))
			b.node("Add", "a g", "y")
		}, "Gemm"},
		{"norm scale", picture, func(b *graph) {
			b.weight("g", 1, 4, 1, 1)
			b.norm("x", "n", 4)
			b.node("Mul", "n g", "y")
		}, "BatchNormalization"},
		{"read twice", picture, func(b *graph) {
			b.weight("w", 0, 4, 4, 1, 1)
			b.node("Conv", "x w", "a")
			b.norm("a", "n", 4)
			b.node("Add", "n a", "y")
		}, "Conv BatchNormalization Add"},
		{"along another axis", []int64{2, 4, 6, 4}, func(b *graph) {
			b.weight("w", 0, 4, 4, 1, 1)
			b.weight("g", 1, 4) // over the width, which has as many places as there are channels
			b.node("Conv", "x w", "a")
			b.node("Mul", "a g", "y")
		}, "Conv Mul"},
		{"noughts around", picture, func(b *graph) {
			b.weight("w", 0, 3, 4, 3, 3)
			b.ints("pads", 0, 0, 1, 2, 0, 0, 0, 1)
			b.node("Pad", "x pads", "p")
			b.node("Conv", "p w", "y", onnx.AInts("pads", 1, 0, 0, 0), onnx.AInts("strides", 2, 2))
		}, "Conv"},
		{"ones around", picture, func(b *graph) {
			b.weight("w", 0, 3, 4, 3, 3)
			b.weight("one", 1)
			b.ints("pads", 0, 0, 1, 2, 0, 0, 0, 1)
			b.node("Pad", "x pads one", "p")
			b.node("Conv", "p w", "y")
		}, "Pad Conv"},
		{"noughts among channels", picture, func(b *graph) {
			b.weight("w", 0, 3, 6, 3, 3)
			b.ints("pads", 0, 1, 1, 2, 0, 1, 0, 1)
			b.node("Pad", "x pads", "p")
			b.node("Conv", "p w", "y")
		}, "Pad Conv"},
		{"mean of a picture", picture, func(b *graph) { b.node("ReduceMean", "x", "y", onnx.AInts("axes", -1, 2), onnx.AInt("keepdims", 0)) }, "GlobalAveragePool Flatten"},
		{"mean of a picture, kept", picture, func(b *graph) { b.node("ReduceMean", "x", "y", onnx.AInts("axes", 2, 3)) }, "GlobalAveragePool"},
		{"mean of channels", picture, func(b *graph) { b.node("ReduceMean", "x", "y", onnx.AInts("axes", 1, 2)) }, "ReduceMean"},
		{"twice the same", picture, func(b *graph) {
			b.weight("w", 0, 3, 4, 3, 3)
			b.node("Relu", "x", "r")
			b.node("Relu", "x", "s")
			b.node("Conv", "r w", "c")
			b.node("Conv", "s w", "d")
			b.node("Add", "c d", "y")
		}, "Relu Conv Add"},
		{"shapes", picture, func(b *graph) {
			b.ints("i", 2, 3)
			b.ints("lead", 0, -1)
			b.node("Identity", "x", "x1")
			b.node("Shape", "x1", "s")
			b.node("Gather", "s i", "hw")
			b.node("Concat", "lead hw", "to", onnx.AInt("axis", 0))
			b.node("Reshape", "x1 to", "r")
			b.node("Dropout", "r", "d")
			b.node("Identity", "d", "y")
		}, "Reshape"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := &graph{}
			tt.make(b)
			b.g.Name = "g"
			dims := make([]onnx.Dim, len(tt.shape))
			for i, n := range tt.shape {
				dims[i] = onnx.Fixed(n)
			}
			dims[0] = onnx.Named("N")
			b.g.Inputs = []*onnx.ValueInfo{{Name: "x", DType: tensor.Float32, Shape: dims}}
			b.g.Outputs = []*onnx.ValueInfo{{Name: "y", DType: tensor.Float32}}
			m := &onnx.Model{IRVersion: onnx.IRVersion, Opsets: []onnx.OpsetID{{Version: onnx.Opset}}, Graph: &b.g}
			n, _ := tensor.Elements(tt.shape)
			x := tensor.Of(caffetest.Input(int(n), 1), tt.shape...)
			before := runGraph(t, m, x)
			if err := fold.Fold(m); err != nil {
				t.Fatal(err)
			}
			if err := onnx.Check(m); err != nil {
				t.Fatal(err)
			}
			var ops []string
			for _, n := range m.Graph.Nodes {
				ops = append(ops, n.Op)
			}
			if got := strings.Join(ops, " "); got != tt.nodes {
				t.Errorf("left are %s, want %s", got, tt.nodes)
			}
			if d, err := difference(runGraph(t, m, x), before); err != nil || d > 3e-6 {
				t.Errorf("differs by %g, %v", d, err)
			}
		})
	}
}

func runGraph(t *testing.T, m *onnx.Model, x tensor.Tensor) tensor.Tensor {
	t.Helper()
	var buf bytes.Buffer
	if err := onnx.Write(&buf, m); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "m.onnx")
	if err := os.WriteFile(path, buf.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := runModel(path, map[string]tensor.Tensor{"x": x}, []string{"y"})
	if err != nil {
		t.Fatal(err)
	}
	return got["y"]
}
