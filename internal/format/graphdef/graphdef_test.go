package graphdef

import (
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/tensor"
)

// written are files that TensorFlow wrote, some of them.
func written(t testing.TB, pattern string) [][]byte {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("../../../test/operators/tensorflow", pattern))
	if err != nil {
		t.Fatal(err)
	}
	var out [][]byte
	for i, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if i%8 == 0 {
			out = append(out, data)
		}
	}
	if len(out) == 0 {
		t.Fatalf("there is no file %s", pattern)
	}
	return out
}

func TestSight(t *testing.T) {
	for pattern, want := range map[string]Kind{"*/graph.pb": KindGraph, "*/saved_model.pb": KindSavedModel, "*/*.meta": KindMetaGraph} {
		for _, data := range written(t, pattern) {
			if got := Sight(data); got != want {
				t.Errorf("%s is of kind %d", pattern, got)
			}
		}
	}
	for _, data := range written(t, "*/*.pbtxt") {
		if SightText(data) != KindGraph {
			t.Error("a graph as text is none")
		}
	}
	for name, data := range map[string][]byte{
		"nothing": nil, "text": []byte("hello"), "caffe": []byte("name: \"x\"\nlayer { name: \"a\" type: \"ReLU\" }"),
		"a name": protowire.AppendBytes(protowire.AppendTag(nil, 1, protowire.BytesType), []byte("net")),
	} {
		if Sight(data) != KindNone || SightText(data) != KindNone {
			t.Errorf("%s is of some kind", name)
		}
	}
}

// TestText reads one graph in both forms.
func TestText(t *testing.T) {
	const source = `# a graph
node {
  name: "c" op: 'Const'
  attr { key: "value" value { tensor { dtype: DT_FLOAT tensor_shape { dim { size: 2 } } tensor_content: "\000\000\200?\x00\x00\x00@" } } }
  attr <key: "dtype", value <type: DT_FLOAT>>
}
node { name: "y" op: "Relu" input: ["c"] attr { key: "i" value { list { i: [1, -2] i: 3 f: 0.5 b: true s: "a" "b\n" } } } }
versions { producer: 24 }
`
	if SightText([]byte(source)) != KindGraph {
		t.Fatal("it is no graph")
	}
	data, err := Binary(KindGraph, []byte(source))
	if err != nil {
		t.Fatal(err)
	}
	g, err := ParseGraph(data)
	if err != nil {
		t.Fatal(err)
	}
	c, y := g.Nodes[0], g.Nodes[1]
	a, err := c.Attrs["value"].Tensor.Array(100)
	if err != nil || !slices.Equal(tensor.As[float32](a), []float32{1, 2}) || c.Attrs["dtype"].Type != TypeFloat {
		t.Errorf("the constant is %v, %v", a, err)
	}
	l := y.Attrs["i"]
	if y.Inputs[0] != "c" || !slices.Equal(l.Ints, []int64{1, -2, 3}) || l.Floats[0] != 0.5 || string(l.Strings[0]) != "ab\n" {
		t.Errorf("the node is %+v, its list %+v", y, l)
	}
	for _, bad := range []string{"node {", "node { name: 3 }", "node { name: \"a\\x\" }", "node [", "node: 5", "node { attr { key: \"i\" value { i: x } } }", "}", "node { name: \"a }"} {
		if _, err := Binary(KindGraph, []byte(bad)); stoa.KindOf(err) != stoa.Invalid {
			t.Errorf("%s: %v", bad, err)
		}
	}
}

func TestTensor(t *testing.T) {
	for _, c := range []struct {
		name string
		in   Tensor
		want []float32
	}{
		{"the last repeats", Tensor{Type: TypeFloat, Shape: Shape{Dims: []int64{3}}, values: []uint64{uint64(math.Float32bits(1)), uint64(math.Float32bits(2))}}, []float32{1, 2, 2}},
		{"zeros", Tensor{Type: TypeFloat, Shape: Shape{Dims: []int64{2}}}, []float32{0, 0}},
		{"none", Tensor{Type: TypeFloat, Shape: Shape{Dims: []int64{0}}}, nil},
		{"one for all", Tensor{Type: TypeFloat, Shape: Shape{Dims: []int64{2}}, content: []byte{0, 0, 128, 63}}, []float32{1, 1}},
		{"a view", Tensor{Type: TypeFloat, Shape: Shape{Dims: []int64{1}}, content: []byte{0, 0, 128, 63}}, []float32{1}},
	} {
		a, err := c.in.Array(100)
		if err != nil || !slices.Equal(tensor.As[float32](a), c.want) {
			t.Errorf("%s: %v, %v", c.name, a, err)
		}
	}
	for name, in := range map[string]Tensor{
		"large":      {Type: TypeFloat, Shape: Shape{Dims: []int64{1 << 40}}},
		"negative":   {Type: TypeFloat, Shape: Shape{Dims: []int64{-1}}},
		"unknown":    {Type: TypeFloat, Shape: Shape{Unknown: true}},
		"misfit":     {Type: TypeFloat, Shape: Shape{Dims: []int64{3}}, content: make([]byte, 8)},
		"no numbers": {Type: TypeString, Shape: Shape{Dims: []int64{3}}},
	} {
		if _, err := in.Array(1000); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, pattern := range []string{"*/graph.pb", "*/saved_model.pb", "*/*.meta"} {
		for _, data := range written(f, pattern) {
			f.Add(data)
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		_ = Sight(data)
		_, _ = Checkpoint(data)
		_, _ = ParseSavedModel(data)
		_, _ = ParseMetaGraph(data)
		g, err := ParseGraph(data)
		if err != nil {
			return
		}
		for _, n := range g.Nodes {
			for _, a := range n.Attrs {
				if a.Tensor == nil {
					continue
				}
				if arr, err := a.Tensor.Array(1 << 16); err == nil && arr.Check() != nil {
					t.Errorf("an array that is none: %v", arr.Check())
				}
			}
		}
	})
}

func FuzzText(f *testing.F) {
	for _, data := range written(f, "*/*.pbtxt") {
		f.Add(data)
	}
	f.Add([]byte("node { name: \"a\" op: \"Const\" attr < key: 'x' value { f: -1e3 } > }"))
	f.Fuzz(func(t *testing.T, data []byte) {
		kind := SightText(data)
		if kind == KindNone {
			kind = KindGraph
		}
		out, err := Binary(kind, data)
		if err != nil {
			return
		}
		if _, err := ParseMetaGraph(out); kind == KindMetaGraph && err != nil {
			t.Errorf("text made a message that is none: %v", err)
		}
	})
}
