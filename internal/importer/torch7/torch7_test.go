package torch7

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/stoa-project/stoa/internal/importer"
	"github.com/stoa-project/stoa/internal/tensor"
)

// writer writes values as torch.save does, in either encoding.
type writer struct {
	bytes.Buffer
	ascii bool
	next  int32
}

func (w *writer) int(v int64, size int) {
	switch {
	case w.ascii:
		fmt.Fprintln(w, v)
	case size == 4:
		w.Write(binary.LittleEndian.AppendUint32(nil, uint32(v)))
	default:
		w.Write(binary.LittleEndian.AppendUint64(nil, uint64(v)))
	}
}

func (w *writer) text(s string) {
	w.int(int64(len(s)), 4)
	w.WriteString(s)
	if w.ascii {
		w.WriteByte('\n')
	}
}

func (w *writer) head(typ int64) {
	w.next++
	w.int(typ, 4)
	w.int(int64(w.next), 4)
}

// fields are those of an object, in turn names and values.
type fields []any

// mod is an object of a class.
type mod struct {
	class  string
	fields fields
}

func seq(mods ...any) mod { return mod{"nn.Sequential", fields{"modules", mods}} }

// floats is a tensor of floats: its sizes, and the numbers 0, 1 and so on.
type floats []int64

type longs []int64

func (w *writer) value(v any) {
	switch v := v.(type) {
	case nil:
		w.int(typeNil, 4)
	case bool:
		w.int(typeBoolean, 4)
		n := int64(0)
		if v {
			n = 1
		}
		w.int(n, 4)
	case int:
		w.int(typeNumber, 4)
		if w.ascii {
			fmt.Fprintln(w, v)
		} else {
			w.Write(binary.LittleEndian.AppendUint64(nil, math.Float64bits(float64(v))))
		}
	case string:
		w.int(typeString, 4)
		w.text(v)
	case []any:
		w.head(typeTable)
		w.int(int64(len(v)), 4)
		for i, e := range v {
			w.value(i + 1)
			w.value(e)
		}
	case mod:
		w.head(typeTorch)
		w.text("V 1")
		w.text(v.class)
		w.value(v.fields)
	case fields:
		w.head(typeTable)
		w.int(int64(len(v)/2), 4)
		for _, e := range v {
			w.value(e)
		}
	default:
		w.memory(v)
	}
}

func (w *writer) memory(v any) {
	w.head(typeTorch)
	w.text("V 1")
	switch v := v.(type) {
	case longs:
		w.text("torch.LongStorage")
		w.int(int64(len(v)), 8)
		for _, n := range v {
			w.int(n, 8)
		}
	case floats:
		w.text("torch.CudaTensor")
		w.int(int64(len(v)), 4)
		n := int64(1)
		for _, s := range v {
			w.int(s, 8)
			n *= s
		}
		step := n
		for _, s := range v {
			step /= s
			w.int(step, 8)
		}
		w.int(1, 8)
		w.head(typeTorch)
		w.text("V 1")
		w.text("torch.CudaStorage")
		w.int(n, 8)
		for i := range n {
			if w.ascii {
				fmt.Fprint(w, i, " ")
			} else {
				w.Write(binary.LittleEndian.AppendUint32(nil, math.Float32bits(float32(i))))
			}
		}
		if w.ascii {
			w.WriteByte('\n')
		}
	}
}

func file(ascii bool, v any) []byte {
	w := &writer{ascii: ascii}
	w.value(v)
	return w.Bytes()
}

// small is a network as old files have it: without strides, padding and modes.
var small = seq(
	mod{"nn.SpatialConvolutionMM", fields{"nInputPlane", 1, "nOutputPlane", 2, "kW", 3, "kH", 3, "weight", floats{2, 9}, "bias", floats{2}}},
	mod{"nn.Threshold", fields{"threshold", 0, "val", 0}},
	mod{"nn.SpatialMaxPooling", fields{"kW", 2, "kH", 2, "dW", 2, "dH", 2}},
	mod{"nn.View", fields{"size", longs{72}, "numElements", 72}},
	mod{"cudnn.SoftMax", nil},
	mod{"nn.Linear", fields{"weight", floats{3, 72}, "bias", floats{3}}},
)

func importFile(t *testing.T, data []byte, opt importer.Options) (*importer.Imported, error) {
	t.Helper()
	return importer.Import(t.Context(), []importer.Plug{Plug{}}, fstest.MapFS{"net.t7": {Data: data}}, opt)
}

func TestImport(t *testing.T) {
	for _, ascii := range []bool{false, true} {
		im, err := importFile(t, file(ascii, small), importer.Options{})
		if err != nil {
			t.Fatal(err)
		}
		in, out := im.Report.Inputs[0], im.Report.Outputs[0]
		if s := tensor.ShapeString(in.Shape); in.Name != "input" || s != "?x1x?x?" {
			t.Errorf("input %s %s", in.Name, s)
		}
		if s := tensor.ShapeString(out.Shape); out.Name != "output" || s != "?x3" {
			t.Errorf("output %s %s", out.Name, s)
		}
		// (14-2)/2 = 6, and 2*6*6 = 72; 15 does too.
		if s := tensor.ShapeString(im.Report.Declared[0].Shape); s != "1x1x14x14" {
			t.Errorf("declared %s", s)
		}
		if im.Report.Layers["nn.Linear"] != 1 {
			t.Errorf("layers %v", im.Report.Layers)
		}
		_ = im.Close()
	}
}

func TestImportRefuses(t *testing.T) {
	for _, c := range []struct {
		name string
		net  any
		want string
	}{
		{"a class that is not known", seq(mod{"nn.Magic", nil}, seq(mod{"nn.Wand", nil})), "module /1 (nn.Magic); net.t7: module /2/1 (nn.Wand)"},
		{"no shape", seq(mod{"nn.Tanh", nil}), "model.shapes in stoa.yaml, or --shape input="},
		{"weights that do not fit", seq(mod{"nn.SpatialConvolution", fields{"nInputPlane", 3, "nOutputPlane", 2, "kW", 3, "kH", 3, "weight", floats{2, 9}}}), "does not fit its settings"},
		{"no weights", seq(mod{"nn.SpatialConvolution", fields{"nInputPlane", 3, "nOutputPlane", 2, "kW", 3, "kH", 3}}), "has no weight"},
		{"several networks", []any{small, small}, "table with 2 networks"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, err := importFile(t, file(false, c.net), importer.Options{}); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

func TestImportOfTable(t *testing.T) {
	im, err := importFile(t, file(false, fields{"epoch", 3, "model", small}), importer.Options{})
	if err != nil {
		t.Fatal(err)
	}
	_ = im.Close()
}

func TestShapesFromOptions(t *testing.T) {
	im, err := importFile(t, file(true, seq(mod{"nn.Tanh", nil}, mod{"nn.Sigmoid", nil})), importer.Options{Shapes: map[string][]int64{"input": {-1, 7}}})
	if err != nil {
		t.Fatal(err)
	}
	if s := tensor.ShapeString(im.Report.Outputs[0].Shape); s != "?x7" {
		t.Errorf("output %s", s)
	}
	_ = im.Close()
}

func TestFilesOfTensorsAreNoModels(t *testing.T) {
	if _, err := importFile(t, file(false, floats{2, 3}), importer.Options{}); err == nil || !strings.Contains(err.Error(), "no model was recognised") {
		t.Errorf("got %v", err)
	}
}

func TestReadTensorOfStrides(t *testing.T) {
	s := &storage{dtype: tensor.Float32, data: tensor.Of([]float32{0, 1, 2, 3, 4, 5}, 6).Data}
	a := &array{dtype: tensor.Float32, size: []int64{3, 2}, stride: []int64{1, 3}, in: s}
	got, err := a.elements(100)
	if err != nil {
		t.Fatal(err)
	}
	if v := tensor.As[float32](got); fmt.Sprint(v) != "[0 3 1 4 2 5]" {
		t.Errorf("got %v", v)
	}
	for _, bad := range []*array{
		{dtype: tensor.Float32, size: []int64{3, 2}, stride: []int64{1, 4}, in: s},
		{dtype: tensor.Float32, size: []int64{1 << 40, 2}, stride: []int64{0, 1}, in: s},
		{dtype: tensor.Float32, size: []int64{2}, stride: []int64{1}, offset: -1, in: s},
		{dtype: tensor.Float32, size: []int64{2}, stride: []int64{-1}, offset: 1, in: s},
		{dtype: tensor.Float32, size: []int64{2}, stride: []int64{1}},
	} {
		if _, err := bad.elements(100); err == nil {
			t.Errorf("%v is taken", bad.size)
		}
	}
}

func FuzzImport(f *testing.F) {
	for _, ascii := range []bool{false, true} {
		f.Add(file(ascii, small))
		f.Add(file(ascii, fields{"model", small}))
		f.Add(file(ascii, mod{"nn.gModule", fields{"forwardnodes", []any{}, "innode", mod{"nngraph.Node", nil}, "outnode", mod{"nngraph.Node", nil}}}))
		f.Add(file(ascii, seq(mod{"nn.ConcatTable", fields{"modules", []any{mod{"nn.Identity", nil}, mod{"nn.Identity", nil}}}}, mod{"nn.JoinTable", fields{"dimension", 2}})))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, shape := range [][]int64{{-1, 1, 16, 16}, {-1, 8}} {
			im, err := importer.Import(t.Context(), []importer.Plug{Plug{}}, fstest.MapFS{"net.t7": {Data: data}},
				importer.Options{Files: []string{"net.t7"}, Shapes: map[string][]int64{"input": shape}})
			if err == nil {
				_ = im.Close()
			}
		}
	})
}
