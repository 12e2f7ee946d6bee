package arith

import (
	"slices"
	"testing"

	"github.com/stoa-project/stoa/internal/format/graphdef"
	"github.com/stoa-project/stoa/internal/tensor"
)

func ints(vs ...int64) tensor.Tensor { return tensor.Of(vs, int64(len(vs))) }

func one(v int64) tensor.Tensor { return tensor.Of([]int64{v}, []int64{}...) }

func node(op string, attrs map[string]int64) *graphdef.Node {
	n := &graphdef.Node{Name: "n", Op: op, Attrs: map[string]*graphdef.Attr{}}
	for k, v := range attrs {
		n.Attrs[k] = &graphdef.Attr{I: v, B: v != 0}
	}
	return n
}

func TestCompute(t *testing.T) {
	matrix := tensor.Of([]int64{1, 2, 3, 4, 5, 6}, 2, 3)
	for _, c := range []struct {
		name  string
		node  *graphdef.Node
		in    []tensor.Tensor
		shape []int64
		want  []int64
	}{
		{"add", node("AddV2", nil), []tensor.Tensor{ints(1, 2), one(10)}, []int64{2}, []int64{11, 12}},
		{"floor", node("FloorDiv", nil), []tensor.Tensor{ints(-7, 7), one(2)}, []int64{2}, []int64{-4, 3}},
		{"mod", node("FloorMod", nil), []tensor.Tensor{ints(-7, 7), one(3)}, []int64{2}, []int64{2, 1}},
		{"divide", node("Div", nil), []tensor.Tensor{ints(-7), one(2)}, []int64{1}, []int64{-3}},
		{"spread", node("Mul", nil), []tensor.Tensor{matrix, ints(1, 10, 100)}, []int64{2, 3}, []int64{1, 20, 300, 4, 50, 600}},
		{"less", node("Less", nil), []tensor.Tensor{ints(1, 5), one(3)}, []int64{2}, []int64{1, 0}},
		{"product of nothing", node("Prod", nil), []tensor.Tensor{tensor.Of([]int64{}, 0), ints(0)}, []int64{}, []int64{1}},
		{"sum", node("Sum", map[string]int64{"keep_dims": 1}), []tensor.Tensor{ints(1, 2, 3), ints(0)}, []int64{1}, []int64{6}},
		{"pack", node("Pack", nil), []tensor.Tensor{one(1), one(2)}, []int64{2}, []int64{1, 2}},
		{"concat", node("ConcatV2", nil), []tensor.Tensor{ints(1), ints(2, 3), one(0)}, []int64{3}, []int64{1, 2, 3}},
		{"range", node("Range", nil), []tensor.Tensor{one(3), one(-3), one(-2)}, []int64{3}, []int64{3, 1, -1}},
		{"no range", node("Range", nil), []tensor.Tensor{one(0), one(0), one(1)}, []int64{0}, nil},
		{"gather", node("GatherV2", nil), []tensor.Tensor{matrix, ints(1, 0), one(0)}, []int64{2, 3}, []int64{4, 5, 6, 1, 2, 3}},
		{"column", node("StridedSlice", map[string]int64{"begin_mask": 1, "end_mask": 1, "shrink_axis_mask": 2}), []tensor.Tensor{matrix, ints(0, 1), ints(0, 2), ints(1, 1)}, []int64{2}, []int64{2, 5}},
		{"back", node("StridedSlice", map[string]int64{"begin_mask": 1, "end_mask": 1}), []tensor.Tensor{ints(1, 2, 3), ints(0), ints(0), ints(-1)}, []int64{3}, []int64{3, 2, 1}},
		{"slice", node("Slice", nil), []tensor.Tensor{ints(1, 2, 3), ints(1), ints(-1)}, []int64{2}, []int64{2, 3}},
		{"transpose", node("Transpose", nil), []tensor.Tensor{matrix, ints(1, 0)}, []int64{3, 2}, []int64{1, 4, 2, 5, 3, 6}},
		{"invert", node("InvertPermutation", nil), []tensor.Tensor{ints(2, 0, 1)}, []int64{3}, []int64{1, 2, 0}},
		{"select", node("SelectV2", nil), []tensor.Tensor{one(0), ints(1), ints(2)}, []int64{1}, []int64{2}},
		{"expand", node("ExpandDims", nil), []tensor.Tensor{ints(1, 2), one(-1)}, []int64{2, 1}, []int64{1, 2}},
		{"reshape", node("Reshape", nil), []tensor.Tensor{matrix, ints(3, -1)}, []int64{3, 2}, []int64{1, 2, 3, 4, 5, 6}},
		{"fill", node("Fill", nil), []tensor.Tensor{ints(2, 1), one(7)}, []int64{2, 1}, []int64{7, 7}},
		{"not", node("LogicalNot", nil), []tensor.Tensor{Whole(tensor.Bool, []int64{2}, 1, 0)}, []int64{2}, []int64{0, 1}},
	} {
		got, ok := Compute(c.node, c.in)
		if !ok || !slices.Equal(got.Shape, c.shape) || !slices.Equal(Ints(got), c.want) {
			t.Errorf("%s: %v %v, %v", c.name, got.Shape, Ints(got), ok)
		}
	}
	for name, c := range map[string]struct {
		node *graphdef.Node
		in   []tensor.Tensor
	}{
		"by zero":      {node("Div", nil), []tensor.Tensor{ints(1), one(0)}},
		"misfit":       {node("Add", nil), []tensor.Tensor{ints(1, 2), ints(1, 2, 3)}},
		"endless":      {node("Range", nil), []tensor.Tensor{one(0), one(1 << 40), one(1)}},
		"outside":      {node("GatherV2", nil), []tensor.Tensor{ints(1), ints(3), one(0)}},
		"not an order": {node("Transpose", nil), []tensor.Tensor{matrix, ints(0, 0)}},
		"unknown":      {node("Conv2D", nil), []tensor.Tensor{matrix}},
		"large":        {node("Fill", nil), []tensor.Tensor{ints(1<<40, 1<<40), one(1)}},
	} {
		if got, ok := Compute(c.node, c.in); ok {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestCast(t *testing.T) {
	half := tensor.Tensor{DType: tensor.Float16, Shape: []int64{2}, Data: []byte{0, 0x3c, 0, 0xc0}}
	if got, ok := Cast(half, tensor.Float32); !ok || !slices.Equal(tensor.As[float32](got), []float32{1, -2}) {
		t.Errorf("halves give %v", got)
	}
	if got, ok := Cast(tensor.Of([]float32{1.7, -1.7}, 2), tensor.Int32); !ok || !slices.Equal(Ints(got), []int64{1, -1}) {
		t.Errorf("numbers give %v", Ints(got))
	}
	if got, ok := Cast(tensor.Of([]float32{0.5, 0}, 2), tensor.Bool); !ok || !slices.Equal(Ints(got), []int64{1, 0}) || !Truth(got) {
		t.Errorf("numbers give %v", Ints(got))
	}
}
