package fold

import (
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/stoa-project/stoa/internal/onnx"
	"github.com/stoa-project/stoa/internal/tensor"
)

// That folding changes no answer is tested with a runtime, in test/frameworks;
// here the numbers are worked out by hand.
func TestFoldNormIntoMatrix(t *testing.T) {
	vec := func(name string, vs ...float32) *onnx.Tensor {
		return onnx.NewTensor(name, tensor.Of(vs, int64(len(vs))))
	}
	m := &onnx.Model{IRVersion: onnx.IRVersion, Opsets: []onnx.OpsetID{{Version: onnx.Opset}}, Graph: &onnx.Graph{
		Nodes: []*onnx.Node{
			{Op: "Gemm", Inputs: []string{"x", "w", "b"}, Outputs: []string{"h"}, Attrs: []onnx.Attribute{onnx.AInt("transB", 1)}},
			{Op: "BatchNormalization", Inputs: []string{"h", "s", "c", "mean", "var"}, Outputs: []string{"n"}, Attrs: []onnx.Attribute{onnx.AFloat("epsilon", 0)}},
			{Op: "Identity", Inputs: []string{"n"}, Outputs: []string{"y"}},
		},
		Initializers: []*onnx.Tensor{
			onnx.NewTensor("w", tensor.Of([]float32{1, 2, 3, 4}, 2, 2)), vec("b", 5, 6),
			vec("s", 2, 3), vec("c", 10, 20), vec("mean", 1, 2), vec("var", 4, 9),
		},
		Inputs:  []*onnx.ValueInfo{{Name: "x", DType: tensor.Float32, Shape: []onnx.Dim{onnx.Named("N"), onnx.Fixed(2)}}},
		Outputs: []*onnx.ValueInfo{{Name: "y", DType: tensor.Float32}},
	}}
	if err := Fold(m); err != nil {
		t.Fatal(err)
	}
	g := m.Graph
	if len(g.Nodes) != 1 || g.Nodes[0].Op != "Gemm" || g.Nodes[0].Outputs[0] != "y" || len(g.Initializers) != 2 {
		t.Fatalf("left are %d nodes and %d weights", len(g.Nodes), len(g.Initializers))
	}
	got := map[string][]float32{}
	for _, w := range g.Initializers {
		got[w.Name] = w.Floats()
	}
	n := g.Nodes[0]
	want := map[string][]float32{n.Inputs[1]: {1, 2, 3, 4}, n.Inputs[2]: {14, 24}}
	if diff := cmp.Diff(want, got, cmpopts.EquateApprox(0, 1e-6)); diff != "" {
		t.Error(diff)
	}
}

// A node may ask for more than there is room for; it stays a node.
func TestFoldIsBounded(t *testing.T) {
	huge := onnx.NewTensor("shape", tensor.Of([]int64{1 << 20, 1 << 20}, 2))
	over := onnx.NewTensor("over", tensor.Of([]int64{math.MaxInt64, 4}, 2))
	m := &onnx.Model{IRVersion: onnx.IRVersion, Opsets: []onnx.OpsetID{{Version: onnx.Opset}}, Graph: &onnx.Graph{
		Nodes: []*onnx.Node{
			{Op: "ConstantOfShape", Inputs: []string{"shape"}, Outputs: []string{"a"}},
			{Op: "ConstantOfShape", Inputs: []string{"over"}, Outputs: []string{"b"}},
			{Op: "Add", Inputs: []string{"a", "b"}, Outputs: []string{"y"}},
		},
		Initializers: []*onnx.Tensor{huge, over},
		Outputs:      []*onnx.ValueInfo{{Name: "y", DType: tensor.Float32}},
	}}
	_ = Fold(m) // the shapes do not fit together, which may be an error
	if len(m.Graph.Nodes) != 3 {
		t.Errorf("left are %d nodes", len(m.Graph.Nodes))
	}
}
