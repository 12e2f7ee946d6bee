package torch

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/importer"
)

// pickled writes the few values that an archive's pickles hold.
type pickled struct{ bytes.Buffer }

func (p *pickled) text(s string) {
	p.WriteByte('X')
	_ = binary.Write(p, binary.LittleEndian, uint32(len(s)))
	p.WriteString(s)
}

func (p *pickled) int(n int32) {
	p.WriteByte('J')
	_ = binary.Write(p, binary.LittleEndian, n)
}

// object writes a module of class __torch__.Net with weights of one storage each.
func object(weights map[string][]int32) []byte {
	var p pickled
	p.WriteString("\x80\x02c__torch__\nNet\n)\x81}(")
	for i, name := range names(weights) {
		p.text(name)
		p.weight(fmt.Sprint(i), weights[name])
	}
	p.text("training")
	p.WriteString("\x89ub.")
	return p.Bytes()
}

// weight writes a tensor of float32 whose storage has the given key.
func (p *pickled) weight(key string, shape []int32) {
	p.WriteString("ctorch._utils\n_rebuild_tensor_v2\n((")
	p.text("storage")
	p.WriteString("ctorch\nFloatStorage\n")
	p.text(key)
	p.text("cpu")
	total := int32(1)
	for _, n := range shape {
		total *= n
	}
	p.int(total)
	p.WriteString("tQ")
	p.int(0)
	p.WriteByte('(')
	for _, n := range shape {
		p.int(n)
	}
	p.WriteString("t(")
	for i := range shape {
		stride := int32(1)
		for _, m := range shape[i+1:] {
			stride *= m
		}
		p.int(stride)
	}
	p.WriteString("t\x89NtR")
}

func names(m map[string][]int32) []string {
	var out []string
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}

// zipped makes an archive of entries.
func zipped(entries map[string][]byte) []byte {
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	var order []string
	for name := range entries {
		order = append(order, name)
	}
	slices.Sort(order)
	for _, name := range order {
		w, err := z.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Store})
		if err == nil {
			_, _ = w.Write(entries[name])
		}
	}
	_ = z.Close()
	return b.Bytes()
}

// archiveOf makes TorchScript of a forward that takes x, with weights of ones.
func archiveOf(weights map[string][]int32, code string) []byte {
	entries := map[string][]byte{"net/data.pkl": object(weights), "net/constants.pkl": []byte("\x80\x02)."), "net/code/__torch__.py": []byte(code)}
	for i, name := range names(weights) {
		n := int32(1)
		for _, d := range weights[name] {
			n *= d
		}
		var data []byte
		for range n {
			data = binary.LittleEndian.AppendUint32(data, math.Float32bits(1))
		}
		entries["net/data/"+fmt.Sprint(i)] = data
	}
	return zipped(entries)
}

const head = "class Net(Module):\n  def forward(self: __torch__.Net,\n    x: Tensor) -> Tensor:\n"

func forward(lines ...string) string { return head + "    " + strings.Join(lines, "\n    ") + "\n" }

func importOf(t testing.TB, data []byte, opt importer.Options) (*importer.Imported, error) {
	t.Helper()
	return importer.Import(context.Background(), []importer.Plug{Plug{}}, fstest.MapFS{"net.pt": {Data: data}}, opt)
}

func TestImport(t *testing.T) {
	code := forward(
		"_0 = torch.linear(x, self.w, None)",
		"if torch.ne(torch.dim(x), 2):",
		`  ops.prim.RaiseException("it must be a matrix")`,
		"else:",
		"  pass",
		"y = _0",
		"for i in range(2):",
		"  y = torch.relu(torch.view(y, [torch.size(x, 0), -1]))",
		"return torch.add_(y, 1)",
	)
	im, err := importOf(t, archiveOf(map[string][]int32{"w": {3, 4}}, code), importer.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer im.Close()
	r := im.Report
	if r.Framework != "pytorch" || r.Format != "TorchScript" || r.Parameters != 12 || r.Layers["aten::relu"] != 2 || r.Operators["Gemm"] != 1 || r.Operators["Reshape"] != 0 {
		t.Errorf("%+v", r)
	}
	if in := r.Inputs[0]; in.Name != "x" || !slices.Equal(in.Shape, []int64{-1, 4}) {
		t.Errorf("input %v", in)
	}
	if out := r.Outputs[0]; out.Name != "output" || !slices.Equal(out.Shape, []int64{-1, 3}) {
		t.Errorf("output %v", out)
	}
}

// TestUnsupported holds that all that is not supported is named at once, with
// where it stands, though later code works on what earlier code would have made.
func TestUnsupported(t *testing.T) {
	code := forward(
		"y = torch.linear(x, self.w, None)",
		"a = torch.fancy(y)",
		"b = torch.other(torch.relu(a), 3)",
		"if bool(torch.any(torch.gt(y, 0))):",
		"  b = y",
		"else:",
		"  pass",
		"return torch.nonzero(torch.add(b, torch.index(y, [torch.gt(y, 0)])))",
	)
	im, err := importOf(t, archiveOf(map[string][]int32{"w": {3, 4}}, code), importer.Options{})
	if stoa.KindOf(err) != stoa.Unsupported {
		t.Fatalf("%v %v", im, err)
	}
	for _, want := range []string{
		"code/__torch__.py:5: aten::fancy", "code/__torch__.py:6: aten::other", "code/__torch__.py:7: builtin::bool",
		"code/__torch__.py:11: aten::nonzero", "code/__torch__.py:11: aten::index: a mask",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is missing: %v", want, err)
		}
	}
}

// TestSizes holds what is found out of inputs, and what is said where it is not.
func TestSizes(t *testing.T) {
	for _, c := range []struct {
		name    string
		weights map[string][]int32
		shapes  map[string][]int64
		code    string
		want    []int64 // nil: refused
		note    string  // or error
	}{
		{"convolution", map[string][]int32{"w": {2, 3, 3, 3}}, nil, "return torch.conv2d(x, self.w, None, [1, 1])", []int64{-1, 3, -1, -1}, ""},
		{"baked batch", map[string][]int32{"w": {2, 12}}, map[string][]int64{"x": {-1, 3, 4}}, "return torch.linear(torch.view(x, [1, 12]), self.w)", []int64{1, 3, 4}, "batch is fixed at 1"},
		{"baked picture", map[string][]int32{"w": {2, 3072}}, nil, "return torch.linear(torch.flatten(torch.max_pool2d(x, [1, 1]), 1), self.w)", nil, "--shape x=1,3,224,224"},
		{"given", nil, map[string][]int64{"x": {-1, 3}}, "return torch.softmax(x, 1)", []int64{-1, 3}, ""},
		{"not given", nil, nil, "return torch.softmax(x, 1)", []int64{-1, -1, -1, -1}, ""},
		{"wrong name", nil, map[string][]int64{"y": {1}, "z": {2}}, "return torch.softmax(x, 1)", nil, "the inputs are x"},
		{"raised", nil, map[string][]int64{"x": {-1, 3}}, `ops.prim.RaiseException("no")`, nil, "the code refuses such an input: no"},
		{"words", map[string][]int32{"w": {10, 4}}, nil, "return torch.embedding(self.w, x)", []int64{-1, -1}, ""},
		{"endless", nil, map[string][]int64{"x": {-1, 3}}, "while True:\n      pass\n    return x", nil, "does not come to an end"},
	} {
		im, err := importOf(t, archiveOf(c.weights, forward(c.code)), importer.Options{Shapes: c.shapes})
		if c.want == nil {
			if err == nil || !strings.Contains(err.Error(), c.note) {
				t.Errorf("%s: %v", c.name, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if got := im.Report.Inputs[0].Shape; !slices.Equal(got, c.want) || c.note != "" && !strings.Contains(strings.Join(im.Report.Notes, ";"), c.note) {
			t.Errorf("%s: %v %v", c.name, got, im.Report.Notes)
		}
		_ = im.Close()
	}
}

// TestInPlace holds that parts see what happens to the whole, and the whole what
// happens to its parts.
func TestInPlace(t *testing.T) {
	code := forward(
		"a = torch.mul(x, 2)",
		"b = torch.select(a, 1, 0)",
		"c = torch.view(a, [-1])",
		"_ = torch.add_(a, 1)",
		"_1 = torch.fill_(b, 7)",
		"return (a, b, c)",
	)
	im, err := importOf(t, archiveOf(nil, code), importer.Options{Shapes: map[string][]int64{"x": {-1, 3}}})
	if err != nil {
		t.Fatal(err)
	}
	defer im.Close()
	if r := im.Report; r.Operators["Concat"] != 1 || len(r.Outputs) != 3 || r.Outputs[2].Name != "output_2" {
		t.Errorf("%+v", r)
	}
}

func TestRecognised(t *testing.T) {
	state := zipped(map[string][]byte{"archive/data.pkl": []byte("\x80\x02}."), "archive/version": []byte("3\n")})
	header := `{"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}`
	safe := append(append(binary.LittleEndian.AppendUint64(nil, uint64(len(header))), header...), 0, 0, 0, 0)
	for _, c := range []struct {
		name string
		data []byte
		want string
	}{
		{"state", state, "no graph"},
		{"export", zipped(map[string][]byte{"m/archive_format": []byte("pt2"), "m/models/model.json": []byte("{}")}), "torch.export"},
		{"old", zipped(map[string][]byte{"m/model.json": []byte("{}"), "m/version": []byte("1")}), "before 1.4"},
		{"safetensors", safe, "w F32 1"},
		{"legacy", append(slices.Clone(legacyMagic), '.'), "net.pt"},
		{"other zip", zipped(map[string][]byte{"config.json": []byte("{}")}), "no model was recognised"},
		{"no module", zipped(map[string][]byte{"n/data.pkl": []byte("\x80\x02N."), "n/code/__torch__.py": nil}), "holds no module"},
	} {
		_, err := importOf(t, c.data, importer.Options{})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

// FuzzCode runs any code: whatever it is, it ends, and with an error or a network.
func FuzzCode(f *testing.F) {
	for _, code := range []string{
		forward("return torch.linear(x, self.w, None)"),
		forward("y = torch.conv2d(x, self.k, None, [2, 2], [1, 1])", "return torch.flatten(torch.adaptive_avg_pool2d(torch.relu_(y), [1, 1]), 1)"),
		forward("a, b, = torch.chunk(x, 2, 1)", "c = torch.cat([a, torch.slice(b, 2, 0, -1)], 1)", "return {\"a\": torch.permute(c, [0, 2, 1]), \"b\": [a, b]}"),
		forward("l = annotate(List[int], [])", "for i in range(3):", "  _ = torch.append(l, torch.mul(i, torch.size(x, 0)))", "return torch.view(x, [l[1], -1])"),
		forward("y = torch.clone(x)", "_ = torch.copy_(torch.select(y, 1, 0), torch.tensor(3.))", "return torch.index(y, [None, torch.tensor([0, 1])])"),
		forward("o, h, = torch.gru(x, torch.zeros([1, torch.size(x, 0), 4]), [self.w, self.w], False, 1, 0., False, bidirectional=False, batch_first=True)", "return o"),
		forward("return torch.upsample_nearest2d(torch.constant_pad_nd(x, [1, 1], 0), None, [2., 2.])"),
	} {
		f.Add(code, byte(4))
	}
	weights := map[string][]int32{"w": {12, 4}, "k": {2, 3, 3, 3}}
	f.Fuzz(func(t *testing.T, code string, rank byte) {
		opt := importer.Options{}
		if rank < 5 {
			opt.Shapes = map[string][]int64{"x": slices.Repeat([]int64{-1}, int(rank))}
		}
		im, err := importOf(t, archiveOf(weights, code), opt)
		if err == nil {
			_ = im.Close()
		} else if strings.Contains(err.Error(), "nil pointer") {
			t.Error(err)
		}
	})
}

// FuzzPickle reads any data.pkl.
func FuzzPickle(f *testing.F) {
	f.Add(object(map[string][]int32{"w": {12, 4}}))
	f.Add([]byte("\x80\x02}."))
	code := forward("return torch.linear(x, self.w, None)")
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, entries := range []map[string][]byte{
			{"net/data.pkl": data, "net/data/0": make([]byte, 192), "net/code/__torch__.py": []byte(code)},
			{"net/data.pkl": data},
		} {
			if im, err := importOf(t, zipped(entries), importer.Options{}); err == nil {
				_ = im.Close()
			}
		}
		if im, err := importOf(t, slices.Concat(legacyMagic, []byte("."), data), importer.Options{}); err == nil {
			_ = im.Close()
		}
	})
}
