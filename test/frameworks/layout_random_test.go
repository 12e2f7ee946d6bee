package frameworks

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stoa-project/stoa/internal/importer/caffe/caffetest"
	"github.com/stoa-project/stoa/internal/onnx"
	"github.com/stoa-project/stoa/internal/onnx/layout"
	"github.com/stoa-project/stoa/internal/tensor"
)

// grower makes a random network of the operators that transposes are moved
// through, in which transposes stand everywhere.
type grower struct {
	graph
	r     *rand.Rand
	have  []string
	shape map[string][]int64
	next  int
}

// Whatever order transposes and other operators come in, moving them changes no
// answer.
func TestLayoutOfRandomNetworks(t *testing.T) {
	start(t)
	networks := 150
	if testing.Short() {
		networks = 30
	}
	for seed := range networks {
		g := &grower{r: rand.New(rand.NewPCG(uint64(seed), 7)), have: []string{"x"}, shape: map[string][]int64{"x": {2, 3, 4, 5}}}
		for len(g.have) < 14 {
			g.grow()
		}
		g.finish()
		m := &onnx.Model{IRVersion: onnx.IRVersion, Opsets: []onnx.OpsetID{{Version: onnx.Opset}}, Graph: &g.g}
		x := tensor.Of(caffetest.Input(2*3*4*5, 1), 2, 3, 4, 5)
		before := runGraph(t, m, x)
		text := fmt.Sprint(rows(m.Graph.Nodes))
		if err := layout.Propagate(m); err != nil {
			t.Fatalf("network %d: %v", seed, err)
		}
		if err := onnx.Check(m); err != nil {
			t.Fatalf("network %d (%s): %v", seed, text, err)
		}
		after := runGraph(t, m, x)
		if d, err := difference(after, before); err != nil || d > 1e-3 {
			t.Fatalf("network %d computes something else, by %g: %v\nbefore: %s\nafter: %s", seed, d, err, text, rows(m.Graph.Nodes))
		}
	}
}

// add notes a tensor that a node makes.
func (g *grower) add(op string, inputs string, shape []int64, attrs ...onnx.Attribute) {
	name := fmt.Sprintf("t%d", g.next)
	g.next++
	g.node(op, inputs, name, attrs...)
	g.have = append(g.have, name)
	g.shape[name] = shape
}

func (g *grower) name() string {
	g.next++
	return fmt.Sprintf("c%d", g.next)
}

// pick gives a tensor, the newest ones more often.
func (g *grower) pick() (string, []int64) {
	n := len(g.have)
	name := g.have[max(0, n-1-int(g.r.ExpFloat64()*3))%n]
	return name, g.shape[name]
}

func (g *grower) list(vs ...int64) string {
	name := g.name()
	g.ints(name, vs...)
	return name
}

func (g *grower) grow() {
	x, shape := g.pick()
	rank := len(shape)
	if rank == 0 {
		return
	}
	axis := g.r.IntN(rank)
	switch g.r.IntN(14) {
	case 0, 1, 2, 3:
		perm := g.r.Perm(rank)
		to := make([]int64, rank)
		wide := make([]int64, rank)
		for i, p := range perm {
			to[i], wide[i] = shape[p], int64(p)
		}
		g.add("Transpose", x, to, onnx.AInts("perm", wide...))
	case 4:
		g.add([]string{"Relu", "Sigmoid", "Tanh", "Neg"}[g.r.IntN(4)], x, shape)
	case 5:
		g.constant(x, shape)
	case 6:
		g.pair(x, shape)
	case 7:
		g.concat(x, shape, axis)
	case 8:
		keep := int64(g.r.IntN(2))
		to := slices.Clone(shape)
		to[axis] = 1
		if keep == 0 {
			to = slices.Delete(to, axis, axis+1)
		}
		g.add([]string{"ReduceMean", "ReduceMax"}[g.r.IntN(2)], x, to, onnx.AInts("axes", int64(axis)), onnx.AInt("keepdims", keep))
	case 9:
		g.add("Softmax", x, shape, onnx.AInt("axis", int64(axis-rank*g.r.IntN(2))))
	case 10:
		g.padOrSlice(x, shape, axis)
	case 11:
		if rank < 5 {
			g.add("Unsqueeze", x+" "+g.list(int64(axis)), slices.Insert(slices.Clone(shape), axis, 1))
		} else if shape[axis] == 1 {
			g.add("Squeeze", x+" "+g.list(int64(axis)), slices.Delete(slices.Clone(shape), axis, axis+1))
		}
	case 12:
		g.matrix(x, shape)
	case 13:
		index := g.name()
		g.g.Initializers = append(g.g.Initializers, onnx.NewTensor(index, tensor.Of([]int64{int64(g.r.IntN(int(shape[axis])))}, []int64{}...)))
		g.add("Gather", x+" "+index, slices.Delete(slices.Clone(shape), axis, axis+1), onnx.AInt("axis", int64(axis)))
	}
}

// constant lays an array of as many axes or fewer over a tensor.
func (g *grower) constant(x string, shape []int64) {
	c := slices.Clone(shape[g.r.IntN(len(shape)):])
	for i := range c {
		if g.r.IntN(2) == 0 {
			c[i] = 1
		}
	}
	name := g.name()
	g.weight(name, 1, c...)
	in := x + " " + name
	if g.r.IntN(2) == 0 {
		in = name + " " + x
	}
	g.add([]string{"Add", "Mul", "Sub", "Div"}[g.r.IntN(4)], in, shape)
}

// pair lays two tensors of one shape over one another.
func (g *grower) pair(x string, shape []int64) {
	for _, y := range g.have {
		if y != x && slices.Equal(g.shape[y], shape) {
			g.add([]string{"Add", "Mul"}[g.r.IntN(2)], x+" "+y, shape)
			return
		}
	}
}

func (g *grower) concat(x string, shape []int64, axis int) {
	for _, y := range g.have {
		other := g.shape[y]
		if len(other) != len(shape) {
			continue
		}
		sum := slices.Clone(shape)
		sum[axis] += other[axis]
		same := slices.Clone(other)
		same[axis] = shape[axis]
		if slices.Equal(same, shape) && sum[axis] < 16 {
			g.add("Concat", x+" "+y, sum, onnx.AInt("axis", int64(axis)))
			return
		}
	}
}

func (g *grower) padOrSlice(x string, shape []int64, axis int) {
	to := slices.Clone(shape)
	if shape[axis] > 2 {
		to[axis] = shape[axis] - 2
		g.add("Slice", x+" "+g.list(1)+" "+g.list(shape[axis]-1)+" "+g.list(int64(axis)), to)
		return
	}
	widths := make([]int64, 2*len(shape))
	widths[axis], widths[len(shape)+axis] = 1, 2
	to[axis] += 3
	g.add("Pad", x+" "+g.list(widths...), to)
}

// matrix flattens all but the first axis and multiplies.
func (g *grower) matrix(x string, shape []int64) {
	if len(shape) < 3 {
		return
	}
	long, _ := tensor.Elements(shape[1:])
	flat := fmt.Sprintf("t%d", g.next)
	g.next++
	g.node("Reshape", x+" "+g.list(-1, long), flat)
	w := g.name()
	g.weight(w, 0, long, 6)
	g.add("MatMul", flat+" "+w, []int64{shape[0], 6})
}

// finish makes one output of all that nothing reads.
func (g *grower) finish() {
	read := map[string]bool{}
	for _, n := range g.g.Nodes {
		for _, in := range n.Inputs {
			read[in] = true
		}
	}
	var ends []string
	for _, name := range g.have {
		if !read[name] {
			end := name + ".end"
			g.node("Reshape", name+" "+g.list(-1), end)
			ends = append(ends, end)
		}
	}
	all := ends[0]
	for _, e := range ends[1:] {
		all += " " + e
	}
	g.node("Concat", all, "y", onnx.AInt("axis", 0))
	g.g.Name = "g"
	g.g.Inputs = []*onnx.ValueInfo{{Name: "x", DType: tensor.Float32, Shape: []onnx.Dim{onnx.Named("N"), onnx.Fixed(3), onnx.Fixed(4), onnx.Fixed(5)}}}
	g.g.Outputs = []*onnx.ValueInfo{{Name: "y", DType: tensor.Float32}}
}
