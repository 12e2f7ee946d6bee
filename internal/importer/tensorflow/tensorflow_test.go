package tensorflow

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/format/graphdef"
	"github.com/stoa-project/stoa/internal/format/savedmodel"
	"github.com/stoa-project/stoa/internal/importer"
)

const cases = "../../../test/operators/tensorflow"

var plugs = []importer.Plug{Plug{}}

// graph makes files of a graph that is written as text.
func graph(text string) fstest.MapFS {
	return fstest.MapFS{"graph.pbtxt": {Data: []byte(text)}}
}

const placeholder = `node { name: "x" op: "Placeholder" attr { key: "dtype" value { type: DT_FLOAT } } attr { key: "shape" value { shape { dim { size: -1 } dim { size: 3 } } } } }
`

// TestRefused holds that all that is not supported is told, with names and advice.
func TestRefused(t *testing.T) {
	r, err := importer.Inspect(t.Context(), plugs, graph(placeholder+`
node { name: "a" op: "MadeUp" input: "x" }
node { name: "b" op: "ParseExample" input: "a" }
node { name: "p" op: "PyFunc" input: "x" }
node { name: "c" op: "AddV2" input: "b" input: "p" }`), importer.Options{})
	if err != nil {
		t.Fatal(err)
	}
	all := strings.Join(r.Unsupported, "\n")
	for _, want := range []string{`graph.pbtxt: node "a" (MadeUp)`, `node "b" (ParseExample)`, "--input NAME", `node "p" (PyFunc)`, "Python code"} {
		if !strings.Contains(all, want) {
			t.Errorf("%q is not told: %s", want, all)
		}
	}
}

// TestErrors are graphs that make no sense, and what is said of them.
func TestErrors(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"waits for itself": {placeholder + `node { name: "a" op: "AddV2" input: "x" input: "b" } node { name: "b" op: "Relu" input: "a" } node { name: "y" op: "Relu" input: "a" }`, "waits for itself"},
		"not there":        {placeholder + `node { name: "a" op: "Relu" input: "z" }`, `"z"`},
		"twice":            {placeholder + `node { name: "x" op: "Relu" input: "x" }`, "two nodes"},
		"no shape":         {`node { name: "x" op: "Placeholder" attr { key: "dtype" value { type: DT_FLOAT } } } node { name: "y" op: "Relu" input: "x" }`, "--shape x="},
		"no input":         {`node { name: "x" op: "NoOp" }`, "depends on an input"},
		"lacks an input":   {placeholder + `node { name: "y" op: "AddV2" input: "x" }`, "lacks input 1"},
		"a variable":       {placeholder + `node { name: "v" op: "VariableV2" } node { name: "y" op: "AddV2" input: "x" input: "v" }`, "freeze the graph"},
		"misfit":           {placeholder + `node { name: "c" op: "Const" attr { key: "value" value { tensor { dtype: DT_FLOAT tensor_shape { dim { size: 2 } } } } } } node { name: "y" op: "AddV2" input: "x" input: "c" }`, `node "y"`},
		"a call of itself": {placeholder + `node { name: "y" op: "f" input: "x" } library { function { signature { name: "f" input_arg { name: "a" type: DT_FLOAT } output_arg { name: "r" type: DT_FLOAT } } node_def { name: "g" op: "f" input: "a" } ret { key: "r" value: "g:r:0" } } }`, "deep in each other"},
	} {
		_, err := importer.Import(t.Context(), plugs, graph(c.text), importer.Options{})
		if err == nil || !strings.Contains(stoa.AsError(err).Msg, c.want) || !strings.Contains(stoa.AsError(err).Msg, "graph.pbtxt") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestDropout holds that what only training does is gone.
func TestDropout(t *testing.T) {
	im, err := importer.Import(t.Context(), plugs, os.DirFS(filepath.Join(cases, "tf1_dropout_keep")), importer.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer im.Close()
	if n := im.Report.Operators["RandomUniformLike"]; n > 0 || len(im.Report.Inputs) != 1 || !strings.Contains(strings.Join(im.Report.Notes, " "), "dropout") {
		t.Errorf("operators %v, inputs %v, notes %v", im.Report.Operators, im.Report.Inputs, im.Report.Notes)
	}
}

// TestSignatures chooses among the signatures of a SavedModel.
func TestSignatures(t *testing.T) {
	dir := "../../../../shared/assets/tensorflow/savedmodel-half-plus-two-tf1"
	if _, err := os.Stat(dir); err != nil {
		t.Skip("SKIPPED: ../shared/assets is not here")
	}
	for _, c := range []struct {
		outputs  []string
		name     string
		in, want string
	}{
		{nil, "", "x", "y"},
		{nil, "regress_x2_to_y3", "inputs", "outputs"},
		{[]string{"y3"}, "", "x2", "y3"}, // a tensor of the graph
	} {
		opt := importer.Options{Outputs: c.outputs, Signature: c.name}
		if c.want == "y3" {
			opt.Inputs = []string{"x2"}
			opt.Shapes = map[string][]int64{"x2": {-1, 1}}
		}
		r, err := importer.Inspect(t.Context(), plugs, os.DirFS(dir), opt)
		if err != nil {
			t.Errorf("%v: %v", c.outputs, err)
			continue
		}
		if len(r.Unsupported) > 0 || r.Inputs[0].Name != c.in || r.Outputs[0].Name != c.want {
			t.Errorf("%v: %v to %v, %v", c.outputs, r.Inputs, r.Outputs, r.Unsupported)
		}
	}
}

func TestNoSuchSignature(t *testing.T) {
	_, err := importer.Import(t.Context(), plugs, os.DirFS(filepath.Join(cases, "tf1_saved")), importer.Options{Signature: "other"})
	if err == nil || !strings.Contains(stoa.AsError(err).Msg, `no signature "other"; there are: serving_default`) {
		t.Error(err)
	}
}

// TestFind tells models from what only looks like one.
func TestFind(t *testing.T) {
	for dir, want := range map[string]string{"tf1_checkpoint": "TensorFlow checkpoint", "tf1_saved": "TensorFlow SavedModel", "tf1_text": "TensorFlow GraphDef, text", "relu": "TensorFlow GraphDef"} {
		r, err := importer.Inspect(t.Context(), plugs, os.DirFS(filepath.Join(cases, dir)), importer.Options{})
		if dir == "tf1_checkpoint" {
			r, err = importer.Inspect(t.Context(), plugs, os.DirFS(filepath.Join(cases, dir)), importer.Options{Outputs: []string{"y"}})
		}
		if err != nil || r.Format != want {
			t.Errorf("%s: %q, %v", dir, r.Format, err)
		}
	}
	index, err := os.ReadFile(filepath.Join(cases, "tf1_checkpoint/model.ckpt.index"))
	if err != nil {
		t.Fatal(err)
	}
	_, err = importer.Import(t.Context(), plugs, fstest.MapFS{"model.index": {Data: index}}, importer.Options{})
	if err == nil || !strings.Contains(stoa.AsError(err).Msg, ".meta") {
		t.Errorf("variables alone: %v", err)
	}
}

// TestOperators holds that the table has no gaps and is told in order.
func TestOperators(t *testing.T) {
	for name, f := range operators() {
		if f == nil {
			t.Errorf("%s has no function", name)
		}
	}
	if ops := (Plug{}).Operators(); !slices.IsSorted(ops) || !slices.Contains(ops, "Conv2D") {
		t.Error("the list is not in order")
	}
}

// FuzzGraph changes what a graph says: operators, what nodes take, numbers and
// sizes.
func FuzzGraph(f *testing.F) {
	files, err := filepath.Glob(filepath.Join(cases, "*/graph.pb"))
	if err != nil || len(files) == 0 {
		f.Fatal(err, len(files))
	}
	for i := range 12 {
		f.Add(uint16(i*29), []byte{byte(i), 3, byte(i), 7, 200})
	}
	f.Fuzz(func(t *testing.T, which uint16, script []byte) {
		data, err := os.ReadFile(files[int(which)%len(files)])
		if err != nil {
			t.Fatal(err)
		}
		g, err := graphdef.ParseGraph(data)
		if err != nil || len(script) > 60 {
			t.Skip()
		}
		nodes := slices.Clone(g.Nodes)
		for _, fn := range g.Functions {
			nodes = append(nodes, fn.Nodes...)
		}
		for ; len(script) >= 3; script = script[3:] {
			change(nodes, int(script[0]), script[1], script[2])
		}
		began := time.Now()
		c := newConverter(&savedmodel.Model{File: "graph.pb", Graph: g, Size: int64(len(data))}, importer.Options{})
		err = c.convert(t.Context())
		if err == nil && len(c.unsupported) == 0 {
			_, err = c.root.Model()
		}
		if took := time.Since(began); took > 10*time.Second {
			t.Errorf("it took %s", took)
		}
		if err != nil && (stoa.KindOf(err) == stoa.Internal || stoa.AsError(err).Msg == "") {
			t.Errorf("%v", err)
		}
	})
}

// change makes one node another.
func change(nodes []*graphdef.Node, at int, what, by byte) {
	n, other := nodes[at%len(nodes)], nodes[int(by)%len(nodes)]
	number := int64(int8(by)) * []int64{1, 1, 1, 1 << 20, 1 << 50}[int(what/8)%5]
	switch what % 8 {
	case 0:
		n.Op = other.Op
	case 1:
		n.Inputs = other.Inputs
	case 2:
		if len(n.Inputs) > 0 {
			n.Inputs = n.Inputs[1:]
		}
	case 3:
		if len(n.Inputs) > 0 {
			n.Inputs[int(by)%len(n.Inputs)] = other.Name
		}
	case 4:
		for _, a := range n.Attrs {
			a.I = number
		}
	case 5:
		for _, a := range n.Attrs {
			for i := range a.Ints {
				a.Ints[i] = number
			}
			if a.Shape != nil && len(a.Shape.Dims) > 0 {
				a.Shape.Dims[int(by)%len(a.Shape.Dims)] = number
			}
		}
	case 6:
		for _, a := range n.Attrs {
			if a.Tensor != nil && len(a.Tensor.Shape.Dims) > 0 {
				a.Tensor.Shape.Dims[0] = number
			}
			a.Type = graphdef.Type(by % 24)
		}
	case 7:
		if v := n.Attrs["value"]; v != nil && v.Tensor != nil {
			if o := other.Attrs["value"]; o != nil {
				v.Tensor = o.Tensor
			}
		}
		n.Attrs = other.Attrs
	}
}

// FuzzImport reads any bytes as each kind of file.
func FuzzImport(f *testing.F) {
	for _, pattern := range []string{"*/graph.pb", "tf1_saved*/saved_model.pb"} {
		files, err := filepath.Glob(filepath.Join(cases, pattern))
		if err != nil {
			f.Fatal(err)
		}
		for i, file := range files {
			data, err := os.ReadFile(file)
			if err != nil {
				f.Fatal(err)
			}
			if i%3 == 0 || strings.Contains(file, "tf1") || strings.Contains(file, "while") {
				f.Add(data)
			}
		}
	}
	index, err := os.ReadFile(filepath.Join(cases, "tf1_saved/variables/variables.index"))
	if err != nil {
		f.Fatal(err)
	}
	shard, err := os.ReadFile(filepath.Join(cases, "tf1_saved/variables/variables.data-00000-of-00001"))
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if graphdef.Sight(data) == graphdef.KindNone {
			t.Skip()
		}
		files := fstest.MapFS{"model.pb": {Data: data}, "variables/variables.index": {Data: index}, "variables/variables.data-00000-of-00001": {Data: shard}}
		began := time.Now()
		r, err := importer.Inspect(t.Context(), plugs, files, importer.Options{})
		if took := time.Since(began); took > 10*time.Second {
			t.Errorf("it took %s", took)
		}
		if err != nil && stoa.AsError(err).Msg == "" || err == nil && r.Framework == "" {
			t.Errorf("%v, %v", r, err)
		}
	})
}
