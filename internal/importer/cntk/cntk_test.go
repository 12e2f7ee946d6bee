package cntk

import (
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/importer"
)

func plugs() []importer.Plug { return []importer.Plug{Plug{}} }

// made reads a model of the operator cases.
func made(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("../../../test/operators/cntk", name, "model.dnn"))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func testdata(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// TestBecomes says what operators networks become: loops that are layers of ONNX
// are not left as loops.
func TestBecomes(t *testing.T) {
	for _, c := range []struct {
		name, with, without string
		note                string
	}{
		{"lstm", "LSTM", "Scan", "give a shape such as"},
		{"lstm_stabilized", "LSTM", "Scan", ""},
		{"lstm_back", "LSTM", "Scan", ""},
		{"lstm_last", "LSTM", "NonZero", ""},
		{"gru", "GRU", "Scan", ""},
		{"rnn_tanh", "RNN", "Scan", ""},
		{"lstm_peephole", "LSTM", "Scan", ""},
		{"lstm_projected", "Scan", "LSTM", ""},
		{"seq_last", "Gather", "NonZero", ""},
		{"unary_leaky", "LeakyRelu", "Where", ""},
		{"softmax_first", "Softmax", "Exp", ""},
		{"dropout", "Identity", "Dropout", ""},
		{"bn_spatial", "BatchNormalization", "Reshape", ""},
		{"training_head", "MatMul", "ReduceMax", "left out: only training needs it"},
		{"stack_lstm_2_2", "LSTM", "Scan", ""},
		{"double", "MatMul", "Cast", "64-bit floats"},
	} {
		src := fstest.MapFS{"model.dnn": {Data: made(t, c.name)}}
		r, err := importer.Inspect(t.Context(), plugs(), src, importer.Options{})
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if r.Operators[c.with] == 0 || r.Operators[c.without] > 0 {
			t.Errorf("%s became %v, want %s and no %s", c.name, r.Operators, c.with, c.without)
		}
		if !strings.Contains(strings.Join(r.Notes, "; "), c.note) {
			t.Errorf("%s: notes are %q, want %q", c.name, r.Notes, c.note)
		}
	}
}

func TestRefuses(t *testing.T) {
	for _, c := range []struct {
		name string
		data []byte
		opt  importer.Options
		want string
	}{
		{"version 1", []byte("B\x00C\x00N\x00\x00\x00B\x00V\x00e\x00r\x00"), importer.Options{}, "load it with CNTK 2 and save it again"},
		{"checkpoint", testdata(t, "trained.dnn.ckp"), importer.Options{}, "not a model: push the model's own file"},
		{"own function", testdata(t, "own.dnn"), importer.Options{}, "mine UserDefinedFunction75 (__main__.My): a function of the user's own"},
		{"random", testdata(t, "random.dnn"), importer.Options{}, "RandomDistribution"},
		{"cut off", made(t, "dense")[:900], importer.Options{}, "no model was recognised"},
		{"shape", made(t, "dense"), importer.Options{Shapes: map[string][]int64{"x": {1, 2, 3, 4}}}, "has 2 dimensions"},
		{"size", made(t, "dense"), importer.Options{Shapes: map[string][]int64{"x": {-1, 4}}}, "the shape given is ?x4"},
		{"gather within a batch", made(t, "seq_gather"), importer.Options{Shapes: map[string][]int64{"x": {-1, -1, 3}}}, "import the network for one sequence"},
	} {
		src := fstest.MapFS{"model.dnn": {Data: c.data}}
		im, err := importer.Import(t.Context(), plugs(), src, c.opt)
		if err == nil {
			_ = im.Close()
			t.Errorf("%s: no error", c.name)
		} else if e := stoa.AsError(err); !strings.Contains(e.Msg, c.want) || e.Kind == stoa.Internal {
			t.Errorf("%s: %s: %s, want %q", c.name, e.Kind, e.Msg, c.want)
		}
	}
}

// TestDeep gives dictionaries that lie deep in each other, and a loop of
// placeholders.
func TestDeep(t *testing.T) {
	value := []byte{}
	for len(value) < 1<<16 { // a list in a list
		value = protowire.AppendBytes(protowire.AppendTag(nil, 1, protowire.BytesType), value)
		value = protowire.AppendBytes(protowire.AppendTag(nil, 11, protowire.BytesType), value)
	}
	d := decoder{}
	if _, err := d.value(value, 0); err == nil || !strings.Contains(err.Error(), "deep in each other") {
		t.Errorf("lists in lists: %v", err)
	}
	n := &network{file: "f", functions: map[string]*function{}, bound: map[string]string{"a": "b", "b": "a"}}
	if _, err := n.resolve("a"); err == nil {
		t.Error("placeholders that stand for each other are no error")
	}
}

func FuzzImport(f *testing.F) {
	for _, name := range []string{"dense", "conv_auto_n7_k3_s2", "lstm_stabilized", "gru", "rnn_own", "seq_slice", "reduce_axes", "splice_new", "unpooling", "training_head", "stack_rnnTanh_1_1", "deconv_shape", "pad_symmetric"} {
		f.Add(made(f, name))
	}
	f.Add(testdata(f, "own.dnn"))
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, shapes := range []map[string][]int64{nil, {"x": {-1, -1, 3}}} {
			im, err := importer.Import(t.Context(), plugs(), fstest.MapFS{"model.dnn": {Data: data}}, importer.Options{Shapes: shapes})
			if err != nil {
				if stoa.AsError(err).Kind == stoa.Internal {
					t.Error(err)
				}
				continue
			}
			_ = im.Close()
		}
	})
}

// mutator changes values within a dictionary, so that a file stays one and what
// it says makes no sense.
type mutator struct {
	r       *rand.Rand
	strings []string
	leaves  int
	target  int
}

func (m *mutator) change(v any) any {
	switch v := v.(type) {
	case dict:
		for _, k := range slices.Sorted(maps.Keys(v)) {
			v[k] = m.change(v[k])
		}
		return v
	case list:
		for i := range v {
			v[i] = m.change(v[i])
		}
		if m.hit() && len(v) > 0 {
			return v[:m.r.IntN(len(v))]
		}
		return v
	case *array:
		if v.shape = m.sizes(v.shape); m.hit() {
			v.data = v.data[:len(v.data)/2]
		}
		return v
	}
	if s, ok := v.(string); ok {
		m.strings = append(m.strings, s)
	}
	if !m.hit() {
		return v
	}
	return m.other(v)
}

func (m *mutator) other(v any) any {
	numbers := []int64{-1, 0, 1, 2, 3, 7, 37, 44, 57, 70, 1 << 20, 1 << 31, -1 << 40, axisDynamic, axisAllStatic}
	n := numbers[m.r.IntN(len(numbers))]
	switch v := v.(type) {
	case string:
		return m.strings[m.r.IntN(len(m.strings))]
	case bool:
		return !v
	case sizes:
		return m.sizes(append(v, n))
	case axis:
		return axis{n, v.name}
	case float64:
		return float64(n)
	}
	return n
}

func (m *mutator) sizes(s sizes) sizes {
	if !m.hit() || len(s) == 0 {
		return s
	}
	out := slices.Clone(s)
	out[m.r.IntN(len(out))] = []int64{0, 1, 2, -1, dimFree, 1 << 33}[m.r.IntN(6)]
	return out
}

// hit tells whether a value is to change.
func (m *mutator) hit() bool { m.leaves++; return m.leaves == m.target }

func FuzzNetwork(f *testing.F) {
	all, err := filepath.Glob("../../../test/operators/cntk/*/model.dnn")
	if err != nil {
		f.Fatal(err)
	}
	for i := range all {
		f.Add(uint16(i), uint16(i*37), uint64(i))
	}
	f.Fuzz(func(t *testing.T, which, target uint16, seed uint64) {
		data, err := os.ReadFile(all[int(which)%len(all)])
		if err != nil {
			t.Fatal(err)
		}
		for _, shapes := range []map[string][]int64{nil, {"x": {-1, -1, 3}}} {
			d := decoder{}
			top, err := d.dictionary(data, 0)
			if err != nil {
				t.Fatal(err)
			}
			m := &mutator{r: rand.New(rand.NewPCG(seed, 1)), target: int(target) % (8 * d.values)}
			top, _ = m.change(top).(dict)
			job := importer.Job{Candidate: importer.Candidate{Files: []string{"model.dnn"}}, Options: importer.Options{Shapes: shapes}}
			if _, err := networkOf(t.Context(), job, top, len(data)); err != nil && stoa.AsError(err).Kind == stoa.Internal {
				t.Errorf("%s: %v", all[int(which)%len(all)], err)
			}
		}
	})
}
