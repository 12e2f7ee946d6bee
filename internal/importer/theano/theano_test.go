package theano

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/format/npy"
	"github.com/stoa-project/stoa/internal/importer"
	"github.com/stoa-project/stoa/internal/tensor"
)

func plugs() []importer.Plug { return []importer.Plug{Plug{}} }

func npz(t testing.TB, shapes ...[]int64) []byte {
	t.Helper()
	var names []string
	var ts []tensor.Tensor
	for i, s := range shapes {
		n, err := tensor.Elements(s)
		if err != nil {
			t.Fatal(err)
		}
		names, ts = append(names, "arr_"+string(rune('0'+i))), append(ts, tensor.Of(make([]float32, n), s...))
	}
	data, err := npy.AppendNpz(nil, names, ts)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

const head = "format: lasagne\nlayers:\n  - {name: x, type: Input, shape: [null, 4]}\n"

func TestRefuses(t *testing.T) {
	dense := npz(t, []int64{4, 3}, []int64{3})
	for _, c := range []struct {
		name, text string
		weights    []byte
		want       string
	}{
		{"unknown field", head + "  - {type: Dense, num_units: 3, units: 4}\n", dense, `lasagne.yaml:4: layer "dense1" (Dense): "units" is no field of it that is read here; there are num_units`},
		{"unknown type", head + "  - {name: y, type: Blur}\n", dense, `lasagne.yaml:4: layer "y" (Blur): no layer of Lasagne`},
		{"all at once", head + "  - {name: y, type: Expression}\n  - {name: z, type: Transformer}\n", dense, `spatial transformers are not supported`},
		{"expression", head + "  - {name: y, type: ExpressionLayer}\n", dense, "say the same with Slice"},
		{"top field", "format: lasagne\nlayer: []\n", dense, `lasagne.yaml:2: "layer" is no field`},
		{"too few", head + "  - {type: Dense, num_units: 3}\n  - {name: last, type: Dense, num_units: 3}\n", dense, `layer "last" (Dense): its parameter W (?x3) would be array 2, and model.npz has only 2`},
		{"too many", head + "  - {name: y, type: Dense, num_units: 3, b: false}\n", dense, "the layers take 1 arrays, and model.npz has 2: the first that is left is array 1 of 3"},
		{"wrong shape", head + "  - {name: y, type: Dense, num_units: 5}\n", dense, `layer "y" (Dense): its parameter W is to be ?x5, and array 0 of model.npz is 4x3`},
		{"wrong input", "format: lasagne\nlayers:\n  - {name: x, type: Input, shape: [null, 6]}\n  - {name: y, type: Dense, num_units: 3}\n", dense, "its parameter W is 4x3, and its input has 6 numbers"},
		{"no such layer", head + "  - {name: y, type: Dense, of: z, num_units: 3}\n", dense, `it takes "z", and no layer before it is called that`},
		{"bad number", head + "  - {name: y, type: Dense, num_units: three}\n", dense, "num_units wants a whole number"},
		{"nonlinearity", head + "  - {name: y, type: Dense, num_units: 3, nonlinearity: swish}\n", dense, "nonlinearity wants one of linear"},
		{"twice", "format: lasagne\nformat: lasagne\n", dense, "format"},
		{"alias", "format: lasagne\nlayers: &a [*a]\n", dense, "anchors, aliases"},
		{"no weights", head + "  - {name: y, type: Dense, num_units: 3}\n", nil, "beside lasagne.yaml must lie one file of parameters"},
		{"deep", "format: lasagne\nlayers: " + strings.Repeat("[", 200) + strings.Repeat("]", 200) + "\n", dense, "nested deeper"},
	} {
		src := fstest.MapFS{FileName: {Data: []byte(c.text)}}
		if c.weights != nil {
			src["model.npz"] = &fstest.MapFile{Data: c.weights}
		}
		im, err := importer.Import(t.Context(), plugs(), src, importer.Options{})
		if err == nil {
			_ = im.Close()
			t.Errorf("%s: no error", c.name)
		} else if e := stoa.AsError(err); !strings.Contains(e.Msg, c.want) || e.Kind == stoa.Internal {
			t.Errorf("%s: %s: %s\nwant %q", c.name, e.Kind, e.Msg, c.want)
		}
	}
}

// TestPickles says what becomes of pickles that are no lists of arrays.
func TestPickles(t *testing.T) {
	for _, c := range []struct{ name, data, want string }{
		{"a function", "\x80\x02ctheano.compile.function_module\n_constructor_Function\nq\x00(tR.", "a compiled theano.function"},
		{"a class", "\x80\x02clasagne.layers.dense\nDenseLayer\nq\x00)\x81q\x01.", "an object of class lasagne.layers.dense.DenseLayer"},
		{"of a project", "\x80\x02cposix\nsystem\nX\x02\x00\x00\x00idq\x00\x85R.", "no model was recognised"},
		{"a list", "\x80\x02]q\x00(K\x01K\x02e.", "no model was recognised"},
		{"of Keras", "\x89HDF\r\n\x1a\n", "no model was recognised"},
	} {
		_, err := importer.Import(t.Context(), plugs(), fstest.MapFS{"model.pkl": {Data: []byte(c.data)}}, importer.Options{})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
	list := made(t, "pickle_2", "model.pkl")
	_, err := importer.Import(t.Context(), plugs(), fstest.MapFS{"model.pkl": {Data: list}}, importer.Options{})
	if err == nil || !strings.Contains(err.Error(), "a list of 2 arrays of numbers, of 4x5, 5") || !strings.Contains(err.Error(), "Write lasagne.yaml beside it") {
		t.Errorf("a list alone: %v", err)
	}
}

func made(t testing.TB, name, file string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("../../../test/operators/theano", name, file))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// TestDocs holds docs/lasagne.md to the code: each type has a row that names all
// its fields, and each word that a field may have stands there.
func TestDocs(t *testing.T) {
	data, err := os.ReadFile("../../../docs/lasagne.md")
	if err != nil {
		t.Fatal(err)
	}
	text := string(data)
	_, types, ok := strings.Cut(text, "## The types")
	if !ok {
		t.Fatal("docs/lasagne.md has no list of types")
	}
	rows := map[string]string{}
	for line := range strings.Lines(types) {
		if m := regexp.MustCompile("^\\| `([A-Za-z0-9]+)` \\|").FindStringSubmatch(line); m != nil {
			rows[m[1]] = line
		}
	}
	for kind, typ := range layerTypes() {
		row, ok := rows[kind]
		if !ok {
			t.Errorf("docs/lasagne.md has no row for %s", kind)
		}
		for f := range strings.FieldsSeq(typ.fields) {
			if !strings.Contains(row, "`"+f+"`") {
				t.Errorf("docs/lasagne.md does not say `%s` of %s", f, kind)
			}
		}
		delete(rows, kind)
	}
	for kind := range rows {
		t.Errorf("docs/lasagne.md has a row for %s, which is no type", kind)
	}
	for kind := range refused {
		if !strings.Contains(types, "`"+kind+"`") {
			t.Errorf("docs/lasagne.md does not say that %s is refused", kind)
		}
	}
	for _, word := range activationNames {
		if !strings.Contains(text, word) && word != "ScaledTanh" {
			t.Errorf("docs/lasagne.md does not name the nonlinearity %s", word)
		}
	}
	for _, key := range append([]string{"format", "weights", "layers", "outputs", "type", "name", "of", "share"}, listKeys...) {
		if !strings.Contains(text, "`"+key+"`") {
			t.Errorf("docs/lasagne.md does not name `%s`", key)
		}
	}
}

func FuzzText(f *testing.F) {
	for _, name := range []string{"conv2d_pad", "lstm_peepholes", "reshape", "order", "slice_range", "pad_sides"} {
		f.Add(made(f, name, FileName), made(f, "dense", "model.npz"))
	}
	f.Add(made(f, "dense", FileName), made(f, "dense", "model.npz"))
	f.Add(made(f, "gru", FileName), made(f, "gru", "model.npz"))
	f.Add(made(f, "conv_batch_norm", FileName), made(f, "conv_batch_norm", "model.npz"))
	f.Add(made(f, "pickle_2", FileName), made(f, "pickle_2", "model.pkl"))
	f.Add(made(f, "pickle_4", FileName), made(f, "pickle_4", "model.pkl"))
	f.Fuzz(func(t *testing.T, text, weights []byte) {
		im, err := importer.Import(t.Context(), plugs(), fstest.MapFS{FileName: {Data: text}, "model": {Data: weights}}, importer.Options{})
		if err == nil {
			_ = im.Close()
		} else if stoa.AsError(err).Kind == stoa.Internal {
			t.Error(err)
		}
	})
}

func FuzzPickle(f *testing.F) {
	f.Add(made(f, "pickle_2", "model.pkl"))
	f.Add(made(f, "pickle_4", "model.pkl"))
	f.Add(made(f, "dense", "model.npz"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if p, err := readParameters("model", data); err == nil && p != nil {
			for _, a := range p.arrays {
				if err := a.Check(); err != nil {
					t.Error(err)
				}
			}
		}
	})
}
