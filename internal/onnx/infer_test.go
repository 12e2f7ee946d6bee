package onnx

import (
	"strings"
	"testing"

	"github.com/stoa-project/stoa/internal/tensor"
)

func TestInfer(t *testing.T) {
	x := value("x", Named("N"), Fixed(4), Fixed(10), Named("W"))
	flat := value("x", Named("N"), Fixed(12))
	tests := []struct {
		name  string
		in    *ValueInfo
		nodes []*Node
		init  []*Tensor
		want  string // of y
	}{
		{"conv", x, []*Node{node("Conv", "x w", "y", AInts("pads", 1, 1, 1, 1), AInts("strides", 2, 2))}, []*Tensor{f32("w", []int64{8, 4, 3, 3}, make([]float32, 288)...)}, "Nx8x5x?"},
		{"conv same", x, []*Node{node("Conv", "x w", "y", AStr("auto_pad", "SAME_UPPER"), AInts("strides", 3, 3))}, []*Tensor{f32("w", []int64{8, 4, 3, 3}, make([]float32, 288)...)}, "Nx8x4x?"},
		{"transposed", x, []*Node{node("ConvTranspose", "x w", "y", AInts("strides", 2, 2), AInt("group", 2))}, []*Tensor{f32("w", []int64{4, 3, 2, 2}, make([]float32, 48)...)}, "Nx6x20x?"},
		{"pool ceil", x, []*Node{node("MaxPool", "x", "y", AInts("kernel_shape", 3, 3), AInts("strides", 2, 2), AInt("ceil_mode", 1))}, nil, "Nx4x5x?"},
		{"global", x, []*Node{node("GlobalAveragePool", "x", "y")}, nil, "Nx4x1x1"},
		{"one hot", flat, []*Node{node("OneHot", "x depth off", "y", AInt("axis", 1))}, []*Tensor{i64("depth", 7), f32("off", []int64{2}, 0, 1)}, "Nx7x12"},
		{"gather places", x, []*Node{node("GatherND", "x i", "y")}, []*Tensor{NewTensor("i", tensor.Of([]int64{0, 1, 0, 2, 0, 3}, 3, 2))}, "3x10xW"},
		{"einsum with dots", x, []*Node{node("Einsum", "x w", "y", AStr("equation", "...ij,kj->...ki"))}, []*Tensor{f32("w", []int64{2, 1}, 1, 2)}, "Nx4x2x10"},
		{"einsum", flat, []*Node{node("Einsum", "x w", "y", AStr("equation", "bi, io -> bo"))}, []*Tensor{f32("w", []int64{12, 3}, make([]float32, 36)...)}, "Nx3"},
		{"flatten", value("x", Named("N"), Fixed(4), Fixed(3)), []*Node{node("Flatten", "x", "y")}, nil, "Nx12"},
		{"gemm", flat, []*Node{node("Gemm", "x w", "y", AInt("transB", 1))}, []*Tensor{f32("w", []int64{2, 12}, make([]float32, 24)...)}, "Nx2"},
		{"matmul", flat, []*Node{node("MatMul", "x w", "y")}, []*Tensor{f32("w", []int64{12, 5}, make([]float32, 60)...)}, "Nx5"},
		{"broadcast", x, []*Node{node("Add", "x w", "y")}, []*Tensor{f32("w", []int64{4, 1, 1}, 1, 2, 3, 4)}, "Nx4x10xW"},
		{"transpose", x, []*Node{node("Transpose", "x", "y", AInts("perm", 0, 2, 3, 1))}, nil, "Nx10xWx4"},
		{"reshape", flat, []*Node{node("Reshape", "x s", "y")}, []*Tensor{i64("s", 0, 3, -1)}, "Nx3x4"},
		{"reshape by shape", x, []*Node{
			node("Shape", "x", "sh"), node("Gather", "sh zero", "n"), node("Unsqueeze", "n ax", "n1"),
			node("Concat", "n1 rest", "s", AInt("axis", 0)), node("Reshape", "x s", "y"),
		}, []*Tensor{NewTensor("zero", tensor.Of([]int64{0}, []int64{}...)), i64("ax", 0), i64("rest", 40, -1)}, "Nx40xW"},
		{"slice", x, []*Node{node("Slice", "x a b c", "y")}, []*Tensor{i64("a", 2, 1), i64("b", 9, -1), i64("c", 2, 1)}, "Nx2x7xW"},
		{"slice back", x, []*Node{node("Slice", "x a b c d", "y")}, []*Tensor{i64("a", -1), i64("b", -11), i64("c", 2), i64("d", -3)}, "Nx4x4xW"},
		{"split", x, []*Node{node("Split", "x s", "y z", AInt("axis", 1))}, []*Tensor{i64("s", 1, 3)}, "Nx1x10xW"},
		{"concat", x, []*Node{node("Concat", "x x", "y", AInt("axis", 1))}, nil, "Nx8x10xW"},
		{"squeeze", value("x", Named("N"), Fixed(1), Fixed(3)), []*Node{node("Squeeze", "x a", "y")}, []*Tensor{i64("a", 1)}, "Nx3"},
		{"reduce", x, []*Node{node("ReduceMean", "x", "y", AInts("axes", 2, 3), AInt("keepdims", 0))}, nil, "Nx4"},
		{"argmax", x, []*Node{node("ArgMax", "x", "y", AInt("axis", 1))}, nil, "Nx1x10xW"},
		{"topk", flat, []*Node{node("TopK", "x k", "y i")}, []*Tensor{i64("k", 5)}, "Nx5"},
		{"pad", x, []*Node{node("Pad", "x p", "y")}, []*Tensor{i64("p", 0, 0, 1, 0, 0, 0, 2, 0)}, "Nx4x13xW"},
		{"tile", flat, []*Node{node("Tile", "x r", "y")}, []*Tensor{i64("r", 1, 3)}, "Nx36"},
		{"depth", x, []*Node{node("DepthToSpace", "x", "y", AInt("blocksize", 2))}, nil, "Nx1x20x?"},
		{"resize", x, []*Node{node("Resize", "x  f", "y")}, []*Tensor{f32("f", []int64{4}, 1, 1, 2, 2)}, "Nx4x20x?"},
		{"lstm", value("x", Named("T"), Named("N"), Fixed(3)), []*Node{node("LSTM", "x w r", "y h c", AInt("hidden_size", 7))}, nil, "Tx1xNx7"},
		{"unknown", x, []*Node{node("Frobnicate", "x", "y")}, nil, "?"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m := model(&Graph{Nodes: tt.nodes, Initializers: tt.init, Inputs: []*ValueInfo{tt.in}, Outputs: []*ValueInfo{{Name: "y"}}})
			s, err := Infer(m, nil)
			if err != nil {
				t.Fatal(err)
			}
			_, got := s.Of("y")
			if g := DimString(got); g != tt.want {
				t.Errorf("got %s, want %s", g, tt.want)
			}
		})
	}
}

func TestInferBinds(t *testing.T) {
	m := small()
	s, err := Infer(m, map[string]int64{"N": 5})
	if err != nil {
		t.Fatal(err)
	}
	if _, got := s.Of("z"); DimString(got) != "5x3" {
		t.Errorf("got %s", DimString(got))
	}
}

func TestInferRefuses(t *testing.T) {
	x := value("x", Named("N"), Fixed(4), Fixed(10), Fixed(10))
	tests := []struct {
		name string
		node *Node
		init *Tensor
	}{
		{"channels", node("Conv", "x w", "y"), f32("w", []int64{8, 3, 1, 1}, make([]float32, 24)...)},
		{"kernel", node("Conv", "x w", "y"), f32("w", []int64{1, 4, 11, 1}, make([]float32, 44)...)},
		{"broadcast", node("Add", "x w", "y"), f32("w", []int64{3, 1, 1}, 1, 2, 3)},
		{"perm", node("Transpose", "x", "y", AInts("perm", 0, 1)), nil},
		{"axis", node("Concat", "x x", "y", AInt("axis", 7)), nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			g := &Graph{Nodes: []*Node{tt.node}, Inputs: []*ValueInfo{x}, Outputs: []*ValueInfo{{Name: "y"}}}
			if tt.init != nil {
				g.Initializers = []*Tensor{tt.init}
			}
			_, err := Infer(model(g), nil)
			if err == nil || !strings.Contains(err.Error(), tt.node.Name) {
				t.Errorf("got %v", err)
			}
		})
	}
}

// A constant product of two numbers on a chain of shapes is followed too.
func TestInferFollowsShapes(t *testing.T) {
	m := model(&Graph{
		Nodes: []*Node{
			node("Shape", "x", "s"), node("Gather", "s i", "hw"), node("Mul", "hw two", "big"),
			node("Concat", "lead big", "to", AInt("axis", 0)), node("Resize", "x   to", "y"),
		},
		Initializers: []*Tensor{i64("i", 2, 3), i64("two", 2), i64("lead", 1, 4)},
		Inputs:       []*ValueInfo{value("x", Fixed(1), Fixed(4), Fixed(5), Fixed(6))},
		Outputs:      []*ValueInfo{{Name: "y"}},
	})
	s, err := Infer(m, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, got := s.Of("y"); DimString(got) != "1x4x10x12" {
		t.Errorf("got %s", DimString(got))
	}
}

func TestCost(t *testing.T) {
	m := model(&Graph{
		Nodes: []*Node{
			node("Conv", "x w", "a", AInts("pads", 1, 1, 1, 1)), node("Relu", "a", "b"), node("Add", "b a", "y"),
		},
		Initializers: []*Tensor{f32("w", []int64{8, 4, 3, 3}, make([]float32, 288)...)},
		Inputs:       []*ValueInfo{value("x", Named("N"), Fixed(4), Fixed(10), Fixed(10))},
		Outputs:      []*ValueInfo{{Name: "y"}},
	})
	s, err := Infer(m, map[string]int64{"N": 1})
	if err != nil {
		t.Fatal(err)
	}
	got := CostOf(m, s)
	// The input is gone when a, b and y are there together.
	want := Cost{Parameters: 288, WeightBytes: 1152, MACs: 800 * 36, Activations: 3 * 800 * 4}
	if got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if s, err = Infer(m, nil); err != nil {
		t.Fatal(err)
	}
	if got := CostOf(m, s); got.MACs != -1 || got.Activations != -1 {
		t.Errorf("of unknown size, got %+v", got)
	}
}

func TestCut(t *testing.T) {
	m := small()
	if err := Cut(m, []string{"y"}, nil); err != nil {
		t.Fatal(err)
	}
	if len(m.Graph.Nodes) != 1 || len(m.Graph.Initializers) != 0 || m.Graph.Inputs[0].Name != "y" || DimString(m.Graph.Inputs[0].Shape) != "Nx3" {
		t.Errorf("got %d nodes, inputs %+v", len(m.Graph.Nodes), m.Graph.Inputs[0])
	}
	m = small()
	if err := Cut(m, nil, []string{"y"}); err != nil {
		t.Fatal(err)
	}
	if len(m.Graph.Nodes) != 1 || m.Graph.Outputs[0].Name != "y" || Check(m) != nil {
		t.Errorf("got %d nodes, outputs %+v, %v", len(m.Graph.Nodes), m.Graph.Outputs[0], Check(m))
	}
	if err := Cut(small(), nil, []string{"nowhere"}); err == nil || !strings.Contains(err.Error(), "nowhere") {
		t.Errorf("got %v", err)
	}
	m = small()
	m.Graph.Nodes = append(m.Graph.Nodes, node("MatMul", "x w", "p"), node("Add", "z p", "q"))
	m.Graph.Outputs[0].Name = "q"
	if err := Cut(m, []string{"z"}, nil); err == nil || !strings.Contains(err.Error(), `"x"`) {
		t.Errorf("got %v", err)
	}
}
