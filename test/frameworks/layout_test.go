package frameworks

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stoa-project/stoa/internal/importer/caffe/caffetest"
	"github.com/stoa-project/stoa/internal/onnx"
	"github.com/stoa-project/stoa/internal/onnx/layout"
	"github.com/stoa-project/stoa/internal/tensor"
)

// conv adds a convolution between transposes, as an importer of a framework
// whose channels come last does.
func (b *graph) conv(in, out string, from, to, kernel int64) {
	b.weight(out+".w", 0, to, from, kernel, kernel)
	b.first(in, out+".in")
	b.node("Conv", out+".in "+out+".w", out+".out", onnx.AInts("pads", kernel/2, kernel/2, kernel/2, kernel/2))
	b.last(out+".out", out)
}

// first and last put the channels there.
func (b *graph) first(in, out string) { b.node("Transpose", in, out, onnx.AInts("perm", 0, 3, 1, 2)) }

func (b *graph) last(in, out string) { b.node("Transpose", in, out, onnx.AInts("perm", 0, 2, 3, 1)) }

type layoutCase struct {
	name  string
	make  func(b *graph)
	nodes string // what is left, each with how often it comes in a row
}

// The borders are a transpose of the input and, where the output is a picture,
// one of it.
const border = "Transpose "

func layoutCases() []layoutCase {
	through := func(op string, attrs ...onnx.Attribute) func(b *graph) {
		return func(b *graph) {
			b.conv("x", "a", 4, 6, 3)
			b.node(op, "a", "m", attrs...)
			b.conv("m", "y", 6, 4, 1)
		}
	}
	out := []layoutCase{
		{"two transposes that cancel", func(b *graph) { b.first("x", "a"); b.last("a", "y") }, "Identity"},
		{"the input alone", func(b *graph) { b.first("x", "y") }, "Transpose"},
		{"per channel", func(b *graph) {
			b.conv("x", "a", 4, 6, 3)
			b.weight("g", 1, 6)
			b.weight("h", 0, 5, 1, 1)
			b.weight("one", 0, 1)
			b.node("Mul", "a g", "m")
			b.node("Add", "h m", "n")
			b.node("Sub", "n one", "o")
			b.conv("o", "y", 6, 4, 1)
		}, border + "Conv Mul Add Sub Conv Transpose"},
		{"a way around", func(b *graph) {
			b.conv("x", "a", 4, 4, 3)
			b.node("Relu", "a", "r")
			b.conv("r", "c", 4, 4, 3)
			b.node("Add", "c r", "d")
			b.node("Add", "d x", "y")
		}, border + "Conv Relu Conv 2xAdd Transpose"},
		{"joined", func(b *graph) {
			b.conv("x", "a", 4, 2, 1)
			b.conv("x", "c", 4, 3, 3)
			b.node("Concat", "a c x", "d", onnx.AInt("axis", -1))
			b.conv("d", "y", 9, 2, 1)
		}, border + "2xConv Concat Conv Transpose"},
		{"squeeze and excite", func(b *graph) {
			b.conv("x", "a", 4, 6, 3)
			b.node("ReduceMean", "a", "p", onnx.AInts("axes", 1, 2), onnx.AInt("keepdims", 0))
			b.ints("to", -1, 1, 1, 6)
			b.node("Reshape", "p to", "q")
			b.conv("q", "s", 6, 6, 1)
			b.node("Sigmoid", "s", "t")
			b.node("Mul", "a t", "u")
			b.conv("u", "y", 6, 4, 1)
		}, border + "Conv ReduceMean 2xReshape Conv Sigmoid Mul Conv Transpose"},
		{"flattened", func(b *graph) {
			b.conv("x", "a", 4, 3, 3)
			b.node("Flatten", "a", "f")
			b.weight("w", 0, 90, 7)
			b.weight("wb", 0, 7)
			b.node("Gemm", "f w wb", "y")
		}, border + "Conv Flatten Gemm"},
		{"flattened, matrix turned", func(b *graph) {
			b.conv("x", "a", 4, 3, 3)
			b.ints("to", -1, 90)
			b.node("Reshape", "a to", "f")
			b.weight("w", 0, 7, 90)
			b.weight("v", 0, 90, 2)
			b.node("Gemm", "f w", "g", onnx.AInt("transB", 1))
			b.node("MatMul", "f v", "h")
			b.node("Concat", "g h", "y", onnx.AInt("axis", 1))
		}, border + "Conv Reshape Gemm MatMul Concat"},
		{"flattened for somebody else", func(b *graph) {
			b.conv("x", "a", 4, 3, 3)
			b.node("Flatten", "a", "y")
		}, border + "Conv Transpose Flatten"},
		{"pad, slice, split", func(b *graph) {
			b.conv("x", "a", 4, 6, 3)
			b.ints("pads", 0, 1, 2, 0, 0, 3, 1, 1)
			b.node("Pad", "a pads", "p")
			b.ints("starts", 1, 2)
			b.ints("ends", -1, 7)
			b.ints("axes", 1, -1)
			b.node("Slice", "p starts ends axes", "s")
			b.node("Split", "s", "u v w", onnx.AInt("axis", 2))
			b.node("Add", "u w", "z")
			b.node("Mul", "z v", "m")
			b.conv("m", "y", 5, 4, 1)
		}, border + "Conv Pad Slice Split Add Mul Conv Transpose"},
		{"slice from the front", func(b *graph) {
			b.conv("x", "a", 4, 6, 3)
			b.ints("starts", 0, 2)
			b.ints("ends", 100, 7)
			b.node("Slice", "a starts ends", "s")
			b.conv("s", "y", 6, 4, 1)
		}, border + "Conv Slice Conv Transpose"},
		{"softmax over channels", through("Softmax", onnx.AInt("axis", -1)), border + "Conv Softmax Conv Transpose"},
		{"kept sums", func(b *graph) {
			b.conv("x", "a", 4, 6, 3)
			b.node("ReduceSum", "a", "s")
			b.conv("s", "y", 1, 4, 1)
		}, border + "Conv ReduceSum Conv Reshape"},
		{"largest channel", func(b *graph) {
			b.conv("x", "a", 4, 6, 3)
			b.node("ArgMax", "a", "i", onnx.AInt("axis", 3), onnx.AInt("keepdims", 0))
			b.node("Cast", "i", "y", onnx.AInt("to", 1))
		}, border + "Conv ArgMax Cast"},
		{"one column", func(b *graph) {
			b.conv("x", "a", 4, 6, 3)
			b.g.Initializers = append(b.g.Initializers, onnx.NewTensor("i", tensor.Of([]int64{2}, []int64{}...)))
			b.node("Gather", "a i", "y", onnx.AInt("axis", 1))
		}, border + "Conv Gather Transpose"},
		{"squeezed and back", func(b *graph) {
			b.conv("x", "a", 4, 6, 3)
			b.node("ReduceMax", "a", "p", onnx.AInts("axes", 2))
			b.ints("axes", 2)
			b.node("Squeeze", "p axes", "q")
			b.node("Unsqueeze", "q axes", "r")
			b.conv("r", "y", 6, 4, 1)
		}, border + "Conv ReduceMax Squeeze Unsqueeze Reshape Conv Transpose"},
		{"resized and tiled", func(b *graph) {
			b.conv("x", "a", 4, 6, 3)
			b.g.Initializers = append(b.g.Initializers, onnx.NewTensor("scales", tensor.Of([]float32{1, 2, 3, 1}, 4)))
			b.ints("times", 1, 1, 1, 2)
			b.g.Nodes = append(b.g.Nodes, &onnx.Node{
				Op: "Resize", Inputs: []string{"a", "", "scales"}, Outputs: []string{"r"},
				Attrs: []onnx.Attribute{onnx.AStr("mode", "nearest"), onnx.AStr("coordinate_transformation_mode", "asymmetric"), onnx.AStr("nearest_mode", "floor")},
			})
			b.node("Tile", "r times", "t")
			b.conv("t", "y", 12, 4, 1)
		}, border + "Conv Resize Tile Conv Transpose"},
		{"sizes of a picture", func(b *graph) {
			b.conv("x", "a", 4, 6, 3)
			b.node("Shape", "a", "s")
			b.weight("zero", 0, 1)
			b.node("Expand", "zero s", "e")
			b.node("Add", "a e", "y")
		}, border + "Conv Shape Gather Expand Transpose Add"},
		{"needed as it was", func(b *graph) {
			b.conv("x", "a", 4, 6, 3)
			b.weight("w", 0, 6, 6)
			b.node("MatMul", "a w", "m")
			b.conv("m", "c", 6, 6, 1)
			b.node("Add", "c a", "y")
		}, border + "Conv Transpose MatMul Transpose Conv Add Transpose"},
		{"two outputs of one", func(b *graph) {
			b.conv("x", "y", 4, 6, 3)
			b.node("Relu", "y", "z")
		}, border + "Conv Transpose"},
	}
	for _, op := range []string{"Relu", "LeakyRelu", "Sigmoid", "Tanh", "Elu", "Selu", "HardSigmoid", "Softplus", "Exp", "Neg", "Identity", "Clip"} {
		out = append(out, layoutCase{op, through(op), border + "Conv " + op + " Conv Transpose"})
	}
	return out
}

// rows lists operators, and counts those that come in a row.
func rows(nodes []*onnx.Node) string {
	var out []string
	for i := 0; i < len(nodes); {
		n := 1
		for i+n < len(nodes) && nodes[i+n].Op == nodes[i].Op {
			n++
		}
		if op := nodes[i].Op; n == 1 {
			out = append(out, op)
		} else {
			out = append(out, fmt.Sprintf("%dx%s", n, op))
		}
		i += n
	}
	return strings.Join(out, " ")
}

// Moving transposes changes where they are, and not what the network computes.
func TestLayoutComputesTheSame(t *testing.T) {
	start(t)
	for _, tt := range layoutCases() {
		t.Run(tt.name, func(t *testing.T) {
			b := &graph{}
			tt.make(b)
			shape := []int64{2, 5, 6, 4}
			b.g.Name = "g"
			b.g.Inputs = []*onnx.ValueInfo{{Name: "x", DType: tensor.Float32, Shape: []onnx.Dim{onnx.Named("N"), onnx.Fixed(5), onnx.Fixed(6), onnx.Fixed(4)}}}
			b.g.Outputs = []*onnx.ValueInfo{{Name: "y", DType: tensor.Float32}}
			m := &onnx.Model{IRVersion: onnx.IRVersion, Opsets: []onnx.OpsetID{{Version: onnx.Opset}}, Graph: &b.g}
			x := tensor.Of(caffetest.Input(5*6*4*2, 1), shape...)
			before := runGraph(t, m, x)
			if err := layout.Propagate(m); err != nil {
				t.Fatal(err)
			}
			if err := onnx.Check(m); err != nil {
				t.Fatal(err)
			}
			if got := rows(m.Graph.Nodes); got != tt.nodes {
				t.Errorf("left are %s, want %s", got, tt.nodes)
			}
			after := runGraph(t, m, x)
			if !slices.Equal(before.Shape, after.Shape) {
				t.Fatal(fmt.Errorf("the shape was %v and is %v", before.Shape, after.Shape))
			}
			if d, err := difference(after, before); err != nil || d > 1e-4 {
				t.Errorf("it computes something else: %g, %v", d, err)
			}
		})
	}
}
