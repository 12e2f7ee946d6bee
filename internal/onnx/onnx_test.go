package onnx

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/tensor"
)

// assetFiles are the models beside the module.
func assetFiles(t testing.TB) []string {
	t.Helper()
	files, _ := filepath.Glob("../../../shared/assets/*/*/*.onnx")
	if len(files) == 0 {
		t.Skip("SKIPPED: ../shared/assets is not here")
	}
	return files
}

func f32(name string, shape []int64, vs ...float32) *Tensor {
	return NewTensor(name, tensor.Of(vs, shape...))
}

func i64(name string, vs ...int64) *Tensor { return NewTensor(name, tensor.Of(vs, int64(len(vs)))) }

func value(name string, dims ...Dim) *ValueInfo {
	return &ValueInfo{Name: name, DType: tensor.Float32, Shape: append([]Dim{}, dims...)}
}

func node(op string, in, out string, attrs ...Attribute) *Node {
	return &Node{Name: op + "." + out, Op: op, Inputs: strings.Split(in, " "), Outputs: strings.Split(out, " "), Attrs: attrs}
}

func model(g *Graph) *Model {
	return &Model{IRVersion: IRVersion, Opsets: []OpsetID{{Version: Opset}}, Graph: g}
}

func small() *Model {
	return model(&Graph{
		Name:         "g",
		Nodes:        []*Node{node("MatMul", "x w", "y"), node("Relu", "y", "z")},
		Initializers: []*Tensor{f32("w", []int64{2, 3}, 1, 2, 3, 4, 5, 6)},
		Inputs:       []*ValueInfo{value("x", Named("N"), Fixed(2))},
		Outputs:      []*ValueInfo{value("z", Named("N"), Fixed(3))},
	})
}

func encode(t testing.TB, m *Model) []byte {
	t.Helper()
	var buf bytes.Buffer
	if err := Write(&buf, m); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

var private = cmp.AllowUnexported(Model{}, Graph{}, Node{}, Attribute{}, Tensor{}, ValueInfo{})

func TestRoundTripOfAssets(t *testing.T) {
	for _, file := range assetFiles(t) {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		m, err := Read(data)
		if err != nil {
			t.Errorf("%s: %v", file, err)
			continue
		}
		if err := Check(m); err != nil {
			t.Errorf("%s: %v", file, err)
		}
		if un := Unsupported(m); len(un) > 0 {
			t.Errorf("%s: not supported: %v", file, un)
		}
		again, err := Read(encode(t, m))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(encode(t, m), encode(t, again)) {
			t.Errorf("%s changed by writing and reading", file)
		}
	}
}

// Every operator of the assets has its shape inferred, as far as the outputs.
func TestInferAssets(t *testing.T) {
	for _, file := range assetFiles(t) {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		m, err := Read(data)
		if err != nil {
			t.Fatal(err)
		}
		want := map[string]string{}
		for _, v := range m.Graph.Outputs {
			want[v.Name] = DimString(v.Shape)
			v.Shape = nil // what the file says must not help
		}
		m.Graph.Values = nil
		s, err := Infer(m, nil)
		if err != nil {
			t.Errorf("%s: %v", file, err)
			continue
		}
		for name, shape := range want {
			_, got := s.Of(name)
			fixed := !strings.ContainsFunc(strings.ReplaceAll(shape, "x", ""), unicode.IsLetter)
			if g := DimString(got); fixed && g != shape {
				t.Errorf("%s: output %s is %s; the file says %s", file, name, g, shape)
			}
		}
		for _, n := range m.Graph.Nodes {
			if _, shape := s.Of(n.Outputs[0]); shape == nil {
				t.Errorf("%s: the shape of %s is not known", file, n.Describe())
			}
		}
	}
}

func TestReadViewsWeights(t *testing.T) {
	data := encode(t, small())
	m, err := Read(data)
	if err != nil {
		t.Fatal(err)
	}
	w := m.Graph.Initializers[0].Data
	at := bytes.Index(data, w)
	if at < 0 || &data[at] != &w[0] {
		t.Error("the weights were copied")
	}
}

func TestTypedData(t *testing.T) {
	// A tensor with its numbers in int64_data, float_data and int32_data, packed
	// and one by one.
	tests := []struct {
		name string
		num  protowire.Number
		typ  tensor.DType
		one  bool
		want []int64
	}{
		{"int64 packed", 7, tensor.Int64, false, []int64{3, -1, 300}},
		{"int64 single", 7, tensor.Int64, true, []int64{3, -1, 300}},
		{"int32", 5, tensor.Int32, false, []int64{3, -1, 300}},
		{"uint8", 5, tensor.Uint8, false, []int64{3, 1, 200}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := protowire.AppendTag(nil, 1, protowire.VarintType)
			b = protowire.AppendVarint(b, 3)
			b = protowire.AppendTag(b, 2, protowire.VarintType)
			b = protowire.AppendVarint(b, uint64(tt.typ))
			var list []byte
			for _, v := range tt.want {
				if tt.one {
					b = protowire.AppendTag(b, tt.num, protowire.VarintType)
					b = protowire.AppendVarint(b, uint64(v))
				}
				list = protowire.AppendVarint(list, uint64(v))
			}
			if !tt.one {
				b = protowire.AppendTag(b, tt.num, protowire.BytesType)
				b = protowire.AppendBytes(b, list)
			}
			got, err := ReadTensor(b)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got.Ints()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestHalves(t *testing.T) {
	got := halves([]uint16{0x3c00, 0xc000, 0x0001, 0x8000, 0x7c00, 0x3555})
	want := []float32{1, -2, 5.9604645e-08, 0, 0, 0.33325195}
	for i := range want {
		if i != 4 && got[i] != want[i] {
			t.Errorf("element %d is %g, want %g", i, got[i], want[i])
		}
	}
	if got[4] <= 65504 {
		t.Errorf("infinity became %g", got[4])
	}
}

func TestWriteExternal(t *testing.T) {
	m := small()
	big := make([]float32, 40_000)
	for i := range big {
		big[i] = float32(i)
	}
	m.Graph.Initializers = append(m.Graph.Initializers, f32("mid", []int64{300}, big[:300]...), f32("big", []int64{40_000}, big...))
	var graph, data bytes.Buffer
	if err := WriteExternal(&graph, &data, m, "model.weights"); err != nil {
		t.Fatal(err)
	}
	got, err := Read(graph.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	e := got.Graph.Initializers
	if e[0].External != nil || e[1].External == nil || e[2].External == nil {
		t.Fatal("the wrong tensors are outside")
	}
	if e[1].External.Offset%64 != 0 || e[2].External.Offset%4096 != 0 {
		t.Errorf("offsets %d and %d are not aligned", e[1].External.Offset, e[2].External.Offset)
	}
	if Check(got) == nil {
		t.Error("a model without its weights passed the check")
	}
	used, err := got.LoadExternal(func(name string) ([]byte, error) { return data.Bytes(), nil })
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"model.weights"}, used) + cmp.Diff(m, got, private); diff != "" {
		t.Errorf("%.500s", diff)
	}
}

func TestExternalRefuses(t *testing.T) {
	ok := External{Location: "w", Length: -1}
	with := func(f func(*External)) External { e := ok; f(&e); return e }
	tests := map[string]External{
		"above":     with(func(e *External) { e.Location = "../w" }),
		"within":    with(func(e *External) { e.Location = "a/../../w" }),
		"absolute":  with(func(e *External) { e.Location = "/etc/passwd" }),
		"drive":     with(func(e *External) { e.Location = `c:\w` }),
		"backslash": with(func(e *External) { e.Location = `..\w` }),
		"folder":    with(func(e *External) { e.Location = "." }),
		"nul":       with(func(e *External) { e.Location = "w\x00" }),
		"offset":    with(func(e *External) { e.Offset = 1 << 60 }),
		"short":     with(func(e *External) { e.Offset = 8 }),
		"length":    with(func(e *External) { e.Length = 8 }),
	}
	for name, e := range tests {
		t.Run(name, func(t *testing.T) {
			m := small()
			w := m.Graph.Initializers[0]
			w.External, w.Data = &e, nil
			_, err := m.LoadExternal(func(name string) ([]byte, error) {
				if name != "w" {
					t.Errorf("file %q was opened", name)
				}
				return make([]byte, 24), nil
			})
			if err == nil || !strings.Contains(err.Error(), `"w"`) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestCheckNamesTheNode(t *testing.T) {
	tests := []struct {
		name   string
		change func(*Graph)
		want   string
	}{
		{"missing input", func(g *Graph) { g.Nodes[0].Inputs[1] = "v" }, `"MatMul.y" (MatMul) takes "v"`},
		{"order", func(g *Graph) { g.Nodes[0], g.Nodes[1] = g.Nodes[1], g.Nodes[0] }, `"Relu.z" (Relu) takes "y"`},
		{"arity", func(g *Graph) { g.Nodes[1].Inputs = []string{"y", "y"} }, `"Relu.z" (Relu) has 2 inputs; it takes 1`},
		{"left out", func(g *Graph) { g.Nodes[0].Inputs[1] = "" }, "lacks its input 1"},
		{"twice", func(g *Graph) { g.Nodes[1].Outputs[0] = "y" }, `makes "y", which is there already`},
		{"output", func(g *Graph) { g.Outputs[0].Name = "q" }, `output "q"`},
		{"weights", func(g *Graph) { g.Initializers = append(g.Initializers, g.Initializers[0]) }, `called "w"`},
		{"attribute", func(g *Graph) { g.Nodes[1].Attrs = []Attribute{AInt("a", 1), AInt("a", 2)} }, `attribute "a" twice`},
		{"no output", func(g *Graph) { g.Outputs = nil }, "no output"},
		{"nested", func(g *Graph) {
			sub := &Graph{Nodes: []*Node{node("Relu", "y nowhere", "k")}, Outputs: []*ValueInfo{value("k")}}
			g.Nodes[1].Attrs = []Attribute{{Name: "body", Type: AttrGraph, G: sub}}
		}, `takes "nowhere"`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m := small()
			tt.change(m.Graph)
			err := Check(m)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %s", err, tt.want)
			}
		})
	}
	if err := Check(small()); err != nil {
		t.Error(err)
	}
}

func TestUnsupported(t *testing.T) {
	m := small()
	m.Graph.Nodes = append(m.Graph.Nodes, node("Frobnicate", "z", "q"), node("Upsample", "z", "r"))
	m.Graph.Nodes[0].Domain = "org.example"
	got := Unsupported(m)
	if len(got) != 3 || !strings.Contains(got[0], "Frobnicate") || !strings.Contains(got[1], "Upsample") ||
		!strings.Contains(got[2], "org.example.MatMul") {
		t.Errorf("got %q", got)
	}
}

func TestSort(t *testing.T) {
	m := small()
	g := m.Graph
	g.Nodes[0], g.Nodes[1] = g.Nodes[1], g.Nodes[0]
	changed, err := Sort(g)
	if err != nil || !changed || g.Nodes[0].Op != "MatMul" {
		t.Errorf("got %v, %v, first %s", changed, err, g.Nodes[0].Op)
	}
	if changed, err := Sort(g); changed || err != nil {
		t.Errorf("sorted again: %v, %v", changed, err)
	}
	g.Nodes[0].Inputs[0] = "z"
	if _, err := Sort(g); err == nil || !strings.Contains(err.Error(), "MatMul") {
		t.Errorf("a cycle gave %v", err)
	}
}

// Graphs nested 1,000 deep, and claims of 2^60 elements, end in an error.
func TestReadLies(t *testing.T) {
	nested := protowire.AppendTag(nil, 2, protowire.BytesType)
	nested = protowire.AppendString(nested, "innermost")
	for range 1000 {
		attr := protowire.AppendBytes(protowire.AppendTag(nil, 6, protowire.BytesType), nested)
		n := protowire.AppendBytes(protowire.AppendTag(nil, 5, protowire.BytesType), attr)
		nested = protowire.AppendBytes(protowire.AppendTag(nil, 1, protowire.BytesType), n)
	}
	claim := protowire.AppendTag(nil, 1, protowire.VarintType)
	claim = protowire.AppendVarint(claim, 1<<60)
	claim = protowire.AppendTag(claim, 2, protowire.VarintType)
	claim = protowire.AppendVarint(claim, 1)
	claim = protowire.AppendBytes(protowire.AppendTag(claim, 9, protowire.BytesType), []byte{1, 2, 3, 4})
	wrap := func(field protowire.Number, b []byte) []byte {
		return protowire.AppendBytes(protowire.AppendTag(nil, field, protowire.BytesType), b)
	}
	tests := map[string][]byte{
		"nothing":  nil,
		"no graph": encode(t, small())[:2],
		"nested":   wrap(7, nested),
		"2^60":     wrap(7, wrap(5, claim)),
		"length":   append(protowire.AppendTag(nil, 7, protowire.BytesType), 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f),
		"objects":  wrap(7, bytes.Repeat([]byte{0x0a, 0}, maxObjects+1)),
		"numbers":  wrap(7, wrap(1, wrap(5, wrap(8, make([]byte, maxListed+1))))),
	}
	for name, data := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := Read(data)
			if _, ok := errors.AsType[*stoa.Error](err); !ok {
				t.Errorf("got %v", err)
			}
		})
	}
}

// exercise does all that is done with a model that came from outside.
func exercise(data []byte) error {
	m, err := Read(data)
	if err != nil {
		return err
	}
	if _, err := Sort(m.Graph); err != nil {
		return err
	}
	if err := Check(m); err != nil {
		return err
	}
	s, err := Infer(m, map[string]int64{"N": 1})
	if err != nil {
		return err
	}
	_ = CostOf(m, s)
	var buf bytes.Buffer
	if err := Write(&buf, m); err != nil {
		return err
	}
	_, err = Read(buf.Bytes())
	return err
}

func TestDamagedAssets(t *testing.T) {
	for _, file := range assetFiles(t) {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		const most = 100 << 10 // the small ones have all operators
		if len(data) > most {
			continue
		}
		for i := range 40 {
			_ = exercise(data[:len(data)*i/40])
			flipped := bytes.Clone(data)
			for k := i; k < len(flipped); k += 997 + 31*i {
				flipped[k] ^= byte(1 << (k % 8))
			}
			_ = exercise(flipped) // must not panic
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add(encode(f, small()))
	if files, _ := filepath.Glob("../../../shared/assets/onnx/*/light_*.onnx"); len(files) > 0 {
		for _, file := range files[:2] {
			data, err := os.ReadFile(file)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(data)
		}
	}
	f.Fuzz(func(_ *testing.T, data []byte) { _ = exercise(data) })
}
