package badinput

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/client"
	"github.com/stoa-project/stoa/internal/importer/caffe/caffetest"
	"github.com/stoa-project/stoa/internal/onnx"
	"github.com/stoa-project/stoa/internal/serve"
	"github.com/stoa-project/stoa/internal/tensor"
)

// smallNet has the layers of a usual network at a size at which most bits of its
// files mean something.
const smallNet = `name: "small"
input: "data"
input_shape { dim: 1 dim: 2 dim: 6 dim: 6 }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv" convolution_param { num_output: 2 kernel_size: 3 pad: 1 } }
layer { name: "bn" type: "BatchNorm" bottom: "conv" top: "conv" }
layer { name: "relu" type: "ReLU" bottom: "conv" top: "conv" }
layer { name: "pool" type: "Pooling" bottom: "conv" top: "pool" pooling_param { pool: MAX kernel_size: 2 stride: 2 } }
layer { name: "ip" type: "InnerProduct" bottom: "pool" top: "ip" inner_product_param { num_output: 3 } }
layer { name: "prob" type: "Softmax" bottom: "ip" top: "prob" }
`

func smallWeights(f caffetest.Form) string {
	fill := func(shape ...int64) caffetest.Blob {
		n := int64(1)
		for _, d := range shape {
			n *= d
		}
		b := caffetest.Blob{Shape: shape}
		for i := range n {
			b.Data = append(b.Data, 0.25+float32(i%5)/8)
		}
		return b
	}
	return string(caffetest.Encode([]caffetest.Layer{
		{Name: "conv", Type: "Convolution", Number: 4, Blobs: []caffetest.Blob{fill(2, 2, 3, 3), fill(2)}},
		{Name: "bn", Type: "BatchNorm", Blobs: []caffetest.Blob{fill(2), fill(2), fill(1)}},
		{Name: "ip", Type: "InnerProduct", Number: 14, Blobs: []caffetest.Blob{fill(3, 18), fill(3)}},
	}, f))
}

// smallInput is a value for smallNet.
var smallInput = func() string {
	row := "[" + strings.TrimSuffix(strings.Repeat("1,", 6), ",") + "]"
	plane := "[" + strings.TrimSuffix(strings.Repeat(row+",", 6), ",") + "]"
	return "[[" + plane + "," + plane + "]]"
}()

func vector(name string, n int64) *onnx.ValueInfo {
	return &onnx.ValueInfo{Name: name, DType: tensor.Float32, Shape: []onnx.Dim{onnx.Fixed(n)}}
}

func model(nodes []*onnx.Node, weights ...*onnx.Tensor) *onnx.Model {
	return &onnx.Model{
		IRVersion: 8, Opsets: []onnx.OpsetID{{Version: 17}},
		Graph: &onnx.Graph{
			Name: "g", Nodes: nodes, Initializers: weights,
			Inputs: []*onnx.ValueInfo{vector("x", 4)}, Outputs: []*onnx.ValueInfo{{Name: "y", DType: tensor.Float32}},
		},
	}
}

func encode(t testing.TB, m *onnx.Model) string {
	t.Helper()
	var b bytes.Buffer
	if err := onnx.Write(&b, m); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// smallONNX is y = relu(reshape(x) * w + b).
func smallONNX(t testing.TB) string {
	t.Helper()
	return encode(t, model(
		[]*onnx.Node{
			{Name: "r", Op: "Reshape", Inputs: []string{"x", "s"}, Outputs: []string{"m"}},
			(&onnx.Node{Name: "g", Op: "Gemm", Inputs: []string{"m", "w", "b"}, Outputs: []string{"z"}}).Set(onnx.AFloat("alpha", 1)),
			{Name: "a", Op: "Relu", Inputs: []string{"z"}, Outputs: []string{"y"}},
		},
		onnx.NewTensor("s", tensor.Of([]int64{1, 4}, 2)),
		onnx.NewTensor("w", tensor.Of([]float32{1, 2, 3, 4, 5, 6, 7, 8}, 4, 2)),
		onnx.NewTensor("b", tensor.Of([]float32{1, 2}, 2)),
	))
}

// specimen is a sort of model to damage: its files, which of them is damaged, and a
// value that the whole one answers.
type specimen struct {
	name, damage, input string
	files               files
}

func specimens(t testing.TB) []specimen {
	t.Helper()
	v2, v1 := smallWeights(caffetest.Form{}), smallWeights(caffetest.Form{V1: true, Old4D: true})
	// The old encoding has no BatchNorm.
	plain := strings.Replace(smallNet, `layer { name: "bn" type: "BatchNorm" bottom: "conv" top: "conv" }`, "", 1)
	return []specimen{
		{"prototxt", "net.prototxt", smallInput, files{"net.prototxt": smallNet, "w.caffemodel": v2}},
		{"caffemodel V2", "w.caffemodel", smallInput, files{"net.prototxt": smallNet, "w.caffemodel": v2}},
		{"caffemodel V1", "w.caffemodel", smallInput, files{"net.prototxt": plain, "w.caffemodel": v1}},
		{"ONNX", "m.onnx", "[1,2,3,4]", files{"m.onnx": smallONNX(t)}},
	}
}

// larger are real models, for -long.
func larger(t testing.TB) []specimen {
	t.Helper()
	text, weights := read(t, "../../demo/digits/lenet.prototxt"), read(t, "../../demo/digits/lenet.caffemodel")
	return []specimen{
		{"LeNet's text", "net.prototxt", "[[1]]", files{"net.prototxt": text, "w.caffemodel": weights}},
		{"LeNet", "w.caffemodel", "[[1]]", files{"net.prototxt": text, "w.caffemodel": weights}},
		{"MNIST in ONNX", "m.onnx", "[[1]]", files{"m.onnx": assets(t, "onnx/mnist-8/mnist.onnx")}},
		{"face detector in ONNX", "m.onnx", "[[1]]", files{"m.onnx": assets(t, "onnx/rfb-320-with-postprocessing/version-RFB-320.onnx")}},
		{"ShuffleNet in ONNX", "m.onnx", "[[1]]", files{"m.onnx": assets(t, "onnx/light-zoo/light_shufflenet.onnx")}},
	}
}

// damaged gives a copy with one file changed.
func (s specimen) damaged(data string) files {
	out := files{}
	maps.Copy(out, s.files)
	out[s.damage] = data
	return out
}

// harmless pushes a damaged model: what comes is a version that answers calls,
// if only by an error that blames the input, or a named error.
func (s *system) harmless(t *testing.T, what string, m specimen, data string) (published bool) {
	t.Helper()
	as := "bad/m" + sum(what + data)[:20]
	p, err := s.try(t, as, m.damaged(data))
	if err != nil {
		if !sane(err) {
			t.Errorf("%s: %s: %.300s", what, stoa.KindOf(err), stoa.AsError(err).Msg)
		}
		return false
	}
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	defer cancel()
	_, err = s.Call(ctx, p.Owner+"/"+p.Name, stoa.Value{Type: stoa.JSON, Data: []byte(m.input)}, client.CallOptions{})
	if err != nil && !sane(err) || ctx.Err() != nil {
		t.Errorf("%s: was published, and a call gives %s: %.300s", what, stoa.KindOf(err), stoa.AsError(err).Msg)
	}
	return true
}

// both runs f for 0 to n-1, two at a time.
func both(n int, f func(i int)) {
	var wg sync.WaitGroup
	for k := range 2 {
		wg.Go(func() {
			for i := k; i < n; i += 2 {
				f(i)
			}
		})
	}
	wg.Wait()
}

func TestWholeSpecimensRun(t *testing.T) {
	s := start(t, nil)
	for i, m := range specimens(t) {
		p := s.push(t, fmt.Sprintf("bad/whole%d", i), m.files)
		if _, err := s.Call(t.Context(), p.Owner+"/"+p.Name, stoa.Value{Type: stoa.JSON, Data: []byte(m.input)}, client.CallOptions{}); err != nil {
			t.Errorf("%s: %v", m.name, err)
		}
	}
}

func TestTruncatedModels(t *testing.T) {
	s := start(t, nil)
	const parts = 12
	for _, m := range specimens(t) {
		whole := m.files[m.damage]
		s.unharmed(t, func() {
			both(parts, func(i int) {
				cut := len(whole) * i / parts
				what := fmt.Sprintf("%s cut off after %d of %d bytes", m.name, cut, len(whole))
				_, err := s.try(t, fmt.Sprintf("bad/cut%d", i), m.damaged(whole[:cut]))
				switch {
				case err == nil:
					t.Errorf("%s: it was published", what)
				case !sane(err):
					t.Errorf("%s: %s: %.300s", what, stoa.KindOf(err), stoa.AsError(err).Msg)
				case cut > len(whole)/2 && !strings.Contains(stoa.AsError(err).Msg, m.damage):
					t.Errorf("%s: %q does not name %s", what, stoa.AsError(err).Msg, m.damage)
				}
			})
		})
	}
}

func TestBitFlippedModels(t *testing.T) {
	s := start(t, nil)
	flips, all := 100, specimens(t)
	if *long {
		flips *= 10
		all = append(all, larger(t)...)
	}
	grew := growth(t, func() {
		for k, m := range all {
			var mu sync.Mutex
			published := 0
			both(flips, func(i int) {
				r := rand.New(rand.NewPCG(uint64(k), uint64(i)))
				data := []byte(m.files[m.damage])
				bits := ""
				for range 1 + i%4 {
					at, bit := r.IntN(len(data)), r.IntN(8)
					data[at] ^= 1 << bit
					bits += fmt.Sprintf(" %d.%d", at, bit)
				}
				if s.harmless(t, m.name+" with bits flipped at"+bits, m, string(data)) {
					mu.Lock()
					published++
					mu.Unlock()
				}
			})
			t.Logf("%s: of %d damaged ones %d still run, the rest were refused by name", m.name, flips, published)
		}
	})
	most := int64(64 << 20)
	if *long { // thousands of versions were published, and the server knows them all
		most *= 4
	}
	if grew > most {
		t.Errorf("the server's memory grew by %d MiB", grew>>20)
	}
	s.good(t)
}

// message writes fields of Protocol Buffers: a number and a length that may lie.
func message(num protowire.Number, claimed uint64, body string) string {
	b := protowire.AppendTag(nil, num, protowire.BytesType)
	return string(protowire.AppendVarint(b, claimed)) + body
}

func part(num protowire.Number, body string) string { return message(num, uint64(len(body)), body) }

func number(num protowire.Number, v uint64) string {
	return string(protowire.AppendVarint(protowire.AppendTag(nil, num, protowire.VarintType), v))
}

func TestModelsThatLie(t *testing.T) {
	const huge = 1 << 60
	head := number(1, 8) + part(8, number(2, 17)) // an ONNX model of IR 8, opset 17
	shape := func(dims ...uint64) string {
		out := ""
		for _, d := range dims {
			out += part(1, number(1, d))
		}
		return out
	}
	value := func(name string, dims ...uint64) string {
		return part(1, name) + part(2, part(1, number(1, 1)+part(2, shape(dims...))))
	}
	node := func(op, attr string) string {
		return part(1, part(1, "x")+part(1, "w")+part(2, "y")+part(4, op)+attr)
	}
	// An initializer that claims dims and holds 16 bytes.
	weight := func(dims ...uint64) string {
		out := ""
		for _, d := range dims {
			out += number(1, d)
		}
		return part(5, out+number(2, 1)+part(8, "w")+part(9, strings.Repeat("\x00", 16)))
	}
	graph := func(parts ...string) string {
		return head + part(7, strings.Join(parts, "")+part(11, value("x", 4))+part(12, part(1, "y")))
	}
	blob := func(dims ...uint64) string {
		packed := ""
		for _, d := range dims {
			packed += string(protowire.AppendVarint(nil, d))
		}
		return part(7, part(7, part(1, packed))+part(5, strings.Repeat("\x00", 16)))
	}
	layer := func(body string) string { return part(100, part(1, "conv")+part(2, "Convolution")+body) }
	caffe := func(data string) files { return files{"net.prototxt": smallNet, "w.caffemodel": data} }
	tests := []struct {
		name string
		f    files
		kind stoa.Kind
		want []string
	}{
		{"onnx graph", files{"m.onnx": head + message(7, huge, part(1, ""))}, stoa.Invalid, []string{"m.onnx", "damaged or cut off"}},
		{"onnx raw data", files{"m.onnx": head + part(7, part(5, number(1, 4)+number(2, 1)+part(8, "w")+message(9, huge, "1234")))}, stoa.Invalid, []string{"m.onnx", "damaged or cut off"}},
		{"onnx weight dim", files{"m.onnx": graph(node("Add", ""), weight(huge))}, stoa.Invalid, []string{"m.onnx", `"w"`}},
		{"onnx weight dims", files{"m.onnx": graph(node("Add", ""), weight(huge, huge, huge))}, stoa.TooLarge, []string{"m.onnx", `"w"`}},
		{"onnx negative dim", files{"m.onnx": graph(node("Add", ""), weight(1<<64-1))}, stoa.Invalid, []string{"m.onnx", `"w"`}},
		{"caffe layer", caffe(message(100, huge, part(1, "conv")+part(2, "Convolution"))), stoa.Invalid, []string{"w.caffemodel", "damaged or cut off"}},
		{"caffe blob", caffe(layer(message(7, huge, "1234"))), stoa.Invalid, []string{"w.caffemodel"}},
		{"caffe data", caffe(layer(part(7, message(5, huge, "1234")))), stoa.Invalid, []string{"w.caffemodel"}},
		{"caffe dim", caffe(layer(blob(huge))), stoa.Invalid, []string{"w.caffemodel", `"conv"`, "array 0", "1152921504606846976"}},
		{"caffe dims", caffe(layer(blob(huge, huge, huge))), stoa.Invalid, []string{"w.caffemodel", `"conv"`, "array 0", "too many elements"}},
		{"npy array", files{
			"net.prototxt": smallNet, "w.caffemodel": smallWeights(caffetest.Form{}), "a.npy": npyHeader("(1152921504606846976,)", 64),
			"stoa.yaml": "kind: model\nmodel:\n  files: [net.prototxt, w.caffemodel]\n  blobs:\n    conv.0: a.npy\n",
		}, stoa.Invalid, []string{"conv.0", "a.npy"}},
	}
	s := start(t, nil)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s.unharmed(t, func() {
				_, err := s.try(t, "bad/lies", tt.f)
				named(t, tt.name, err, tt.kind, tt.want...)
			})
		})
	}
}

// npyHeader is an npy file that claims a shape and has n bytes of data.
func npyHeader(shape string, n int) string {
	h := "{'descr': '<f4', 'fortran_order': False, 'shape': " + shape + ", }"
	h += strings.Repeat(" ", (64-(10+len(h)+1)%64)%64) + "\n"
	return "\x93NUMPY\x01\x00" + string([]byte{byte(len(h)), byte(len(h) >> 8)}) + h + strings.Repeat("\x00", n)
}

func TestPrototxtBombs(t *testing.T) {
	const head = `input: "data" input_shape { dim: 1 dim: 3 dim: 8 dim: 8 } `
	relu := func(i int) string {
		return fmt.Sprintf("layer{name:\"r%d\" type:\"ReLU\" bottom:\"data\" top:\"data\"}\n", i)
	}
	many := func(n int) string {
		var b strings.Builder
		b.WriteString(head)
		for i := range n {
			b.WriteString(relu(i))
		}
		return b.String()
	}
	conv := func(out, kernel string) string {
		return head + `layer { name: "c" type: "Convolution" bottom: "data" top: "c" convolution_param { num_output: ` + out + " kernel_size: " + kernel + " } }"
	}
	tests := []struct {
		name string
		text string
		kind stoa.Kind
		want []string
	}{
		{"deep nesting", head + strings.Repeat("layer { ", 1_000_000), stoa.Invalid, []string{"net.prototxt, line 1", "nested deeper"}},
		{"deep lists", head + "layer { x: " + strings.Repeat("[", 1_000_000), stoa.Invalid, []string{"net.prototxt, line 1"}},
		{"a million layers", many(1_000_000), stoa.TooLarge, []string{"net.prototxt"}},
		{"a million dims", head + `layer { name: "c" bottom: "data" top: "c" type: "Reshape" reshape_param { shape { ` + strings.Repeat("dim: 2147483647 ", 1_000_000) + "} } }", stoa.TooLarge, []string{"net.prototxt", "fields"}},
		{"sixty-four dims", head + `layer { name: "c" bottom: "data" top: "c" type: "Reshape" reshape_param { shape { ` + strings.Repeat("dim: 2147483647 ", 64) + "} } }", stoa.Invalid, []string{"net.prototxt", `"c"`}},
		{"many channels", conv("1048576", "3"), stoa.Invalid, []string{"net.prototxt", ".caffemodel", `"c"`}},
		{"many weights of nothing", strings.ReplaceAll(conv("1048576", "7"), "kernel_size", `weight_filler { type: "bilinear" } kernel_size`), stoa.Invalid, []string{"net.prototxt", `"c"`, "the files hold nothing"}},
		{"dummy data", head + `layer { name: "d" type: "DummyData" top: "d" dummy_data_param { shape { dim: 1048576 dim: 1048576 } } } layer { name: "e" type: "Eltwise" bottom: "data" bottom: "d" top: "e" }`, stoa.Invalid, []string{"net.prototxt", `"d"`}},
		{"an endless string", head + `layer { name: "` + strings.Repeat("x", 8<<20), stoa.Invalid, []string{"net.prototxt, line 1", "not closed"}},
		{"no end", head + "layer {", stoa.Invalid, []string{"net.prototxt", "the file ends"}},
	}
	s := start(t, nil)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s.unharmed(t, func() {
				_, err := s.try(t, "bad/bomb", files{"net.prototxt": tt.text})
				named(t, tt.name, err, tt.kind, tt.want...)
			})
		})
	}
}

// A network whose description is small, and whose activations are enormous: it
// may be published, for the size is that of its input, but no call takes the
// server or the worker down.
func TestTinyTextOfAnEnormousNetwork(t *testing.T) {
	s := start(t, func(c *serve.Config) { c.WorkerMemory = 1 << 30 })
	tile := func(counts ...int) string {
		text := `input: "data" input_shape { dim: 1 dim: 4 } `
		in := "data"
		for i, n := range counts {
			out := fmt.Sprintf("t%d", i)
			text += fmt.Sprintf(`layer { name: "%s" type: "Tile" bottom: "%s" top: "%s" tile_param { axis: 1 tiles: %d } } `, out, in, out, n)
			in = out
		}
		return text + fmt.Sprintf(`layer { name: "sum" type: "Reduction" bottom: "%s" top: "sum" reduction_param { axis: 1 } }`, in)
	}
	for _, n := range [][]int{{1 << 20, 16}, {1 << 20, 400}, {1 << 20, 1 << 20}} {
		p, err := s.try(t, "bad/tile", files{"net.prototxt": tile(n...)})
		if err != nil {
			if !sane(err) {
				t.Errorf("%d tiles: %v", n, err)
			}
			t.Logf("%d tiles, push: %v", n, err)
			continue
		}
		a := s.send(t, request{path: "/v1/algo/" + p.Owner + "/" + p.Name, ctype: "application/json", body: strings.NewReader("[[1,2,3,4]]")})
		if a.kind == stoa.Internal.String() {
			t.Errorf("%d tiles: status %d, kind %q, %.300s", n, a.status, a.kind, a.body)
		}
		t.Logf("%d tiles: %d, %s: %.300s", n, a.status, a.kind, a.body)
		s.good(t)
	}
}
