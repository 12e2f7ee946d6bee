package build

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/onnx"
	"github.com/stoa-project/stoa/internal/tensor"
)

func TestBuilder(t *testing.T) {
	b := New("")
	b.Reserve("sum", "x/T")
	x := b.Input("x", tensor.Float32, onnx.Named("N"), onnx.Fixed(2))
	one := b.Float(1)
	if again := b.Number(tensor.Float32, 1); again != one {
		t.Errorf("the constant 1 is %q and %q", one, again)
	}
	inner := b.Op("x/T", "Add", []string{x, one}) // asked for by that name
	other := b.Op("x/T", "Add", []string{x, inner})
	sum := b.Op("sum", "Mul", []string{inner, other})
	shape := b.Op("shape", "Shape", []string{sum})
	if d, ok := b.Dims(shape); !ok || d[0].Param != "N" || d[1].Value != 2 {
		t.Errorf("the shape is %v", d)
	}
	if got := onnx.DimString(b.Shape(sum)); got != "Nx2" {
		t.Errorf("the sum is %s", got)
	}
	b.Output("out", sum)
	b.Output("again", sum)
	b.Output("x/T", other) // whose name another tensor has
	b.Output("given", x)
	m, err := b.Model()
	if err != nil {
		t.Fatal(err)
	}
	if err := onnx.Check(m); err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, o := range m.Graph.Outputs {
		names = append(names, o.Name+" "+onnx.DimString(o.Shape))
	}
	if diff := cmp.Diff([]string{"out Nx2", "again Nx2", "x/T Nx2", "given Nx2"}, names); diff != "" {
		t.Error(diff)
	}
	var ops []string
	for _, n := range m.Graph.Nodes {
		ops = append(ops, n.Op)
	}
	if diff := cmp.Diff([]string{"Add", "Add", "Mul", "Identity", "Identity"}, ops); diff != "" {
		t.Error(diff)
	}
}

func TestBuilderBody(t *testing.T) {
	b := New("net")
	x := b.Input("x", tensor.Float32, onnx.Fixed(2))
	y := b.Op("y", "Relu", []string{x})
	branch := b.Sub("branch")
	branch.Output("r", branch.Op("r", "Neg", []string{y}))
	g, err := branch.Body()
	if err != nil {
		t.Fatal(err)
	}
	cond := b.Constant("cond", tensor.Tensor{DType: tensor.Bool, Shape: []int64{}, Data: []byte{1}})
	z := b.Op("z", "If", []string{cond}, onnx.AGraph("then_branch", g), onnx.AGraph("else_branch", g))
	b.Output("seen", y) // which the branch reads
	b.Output("z", z)
	m, err := b.Model()
	if err != nil {
		t.Fatal(err)
	}
	if err := onnx.Check(m); err != nil {
		t.Error(err)
	}
}

// TestBuilderBodyName makes an output of a name that a body has within.
func TestBuilderBodyName(t *testing.T) {
	b := New("net")
	x := b.Input("x", tensor.Float32, onnx.Fixed(2))
	branch := b.Sub("branch")
	branch.Output("r", branch.Op("r", "Neg", []string{branch.Op("y", "Relu", []string{x})}))
	g, err := branch.Body()
	if err != nil {
		t.Fatal(err)
	}
	cond := b.Constant("cond", tensor.Tensor{DType: tensor.Bool, Shape: []int64{}, Data: []byte{1}})
	b.Output("y", b.Op("z", "If", []string{cond}, onnx.AGraph("then_branch", g), onnx.AGraph("else_branch", g)))
	m, err := b.Model()
	if err != nil {
		t.Fatal(err)
	}
	if err := onnx.Check(m); err != nil {
		t.Error(err)
	}
}

func TestBuilderErrors(t *testing.T) {
	for name, f := range map[string]func(b *Builder){
		"no output":    func(*Builder) {},
		"twice":        func(b *Builder) { b.Input("x", tensor.Float32); b.Input("x", tensor.Float32) },
		"from nowhere": func(b *Builder) { b.Output("y", b.Op("y", "Relu", []string{"z"})) },
		"two outputs": func(b *Builder) {
			x := b.Input("x", tensor.Float32)
			b.Output("y", x)
			b.Output("y", x)
		},
		"misfit": func(b *Builder) {
			x := b.Input("x", tensor.Float32, onnx.Fixed(2))
			b.Output("y", b.Op("y", "Add", []string{x, b.Floats(1, 2, 3)}))
		},
	} {
		b := New("net")
		f(b)
		if _, err := b.Model(); err == nil || stoa.AsError(err).Msg == "" {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestSamePads(t *testing.T) {
	for _, c := range []struct{ n, extent, stride, before, after int64 }{
		{5, 3, 1, 1, 1}, {5, 3, 2, 1, 1}, {6, 3, 2, 0, 1}, {224, 7, 2, 2, 3}, {5, 2, 1, 0, 1}, {5, 1, 2, 0, 0}, {7, 5, 1, 2, 2}, {4, 2, 3, 0, 1},
	} {
		if b, a := SamePads(c.n, c.extent, c.stride); b != c.before || a != c.after {
			t.Errorf("%+v: %d and %d", c, b, a)
		}
	}
}

func TestWindowSame(t *testing.T) {
	for _, c := range []struct {
		w     Window
		sizes []onnx.Dim
		want  string // "" where it cannot
		pads  []int64
	}{
		{Window{Kernel: []int64{3, 2}}, []onnx.Dim{onnx.Named("H"), onnx.Named("W")}, "pads", []int64{1, 0, 1, 1}},
		{Window{Kernel: []int64{3, 3}, Stride: []int64{2, 2}}, []onnx.Dim{onnx.Fixed(6), onnx.Fixed(5)}, "pads", []int64{0, 1, 1, 1}},
		{Window{Kernel: []int64{3, 3}, Stride: []int64{2, 2}}, []onnx.Dim{onnx.Fixed(6), onnx.Named("W")}, "auto_pad", nil},
		{Window{Kernel: []int64{3}, Dilation: []int64{2}}, nil, "pads", []int64{2, 2}},
		{Window{Kernel: []int64{3}, Stride: []int64{2}, Dilation: []int64{2}}, nil, "", nil},
	} {
		a, ok := c.w.Same(c.sizes)
		if ok != (c.want != "") || ok && (a.Name != c.want || !slices.Equal(a.Ints, c.pads)) {
			t.Errorf("%+v: %+v, %v", c, a, ok)
		}
	}
}

func TestTransposedPads(t *testing.T) {
	for _, c := range []struct {
		in, out, extent, stride int64
		same, valid             Transposed
	}{
		{4, 8, 3, 2, Transposed{0, 1, 0}, Transposed{0, 1, 0}},
		{4, 8, 4, 2, Transposed{1, 1, 0}, Transposed{0, 2, 0}},
		{4, 8, 1, 2, Transposed{0, 0, 1}, Transposed{0, 0, 1}},
		{4, 4, 3, 1, Transposed{1, 1, 0}, Transposed{0, 2, 0}},
		{4, 9, 3, 2, Transposed{0, 0, 0}, Transposed{0, 0, 0}},
		{4, 10, 3, 2, Transposed{0, 0, 1}, Transposed{0, 0, 1}},
	} {
		if got := TransposedPads(c.in, c.out, c.extent, c.stride); got != c.same {
			t.Errorf("%+v: SAME %+v", c, got)
		}
		if got := TransposedValid(c.in, c.out, c.extent, c.stride); got != c.valid {
			t.Errorf("%+v: VALID %+v", c, got)
		}
	}
}
