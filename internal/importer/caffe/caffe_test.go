package caffe_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/format/npy"
	"github.com/stoa-project/stoa/internal/importer"
	"github.com/stoa-project/stoa/internal/importer/caffe"
	"github.com/stoa-project/stoa/internal/importer/caffe/caffetest"
	"github.com/stoa-project/stoa/internal/onnx"
	"github.com/stoa-project/stoa/internal/tensor"
)

var plugs = []importer.Plug{importer.ONNX{}, caffe.Plug{}}

const head = `name: "n" input: "data" input_shape { dim: 1 dim: 2 dim: 4 dim: 4 }
`

const conv = head + `layer { name: "c" type: "Convolution" bottom: "data" top: "c" convolution_param { num_output: 1 kernel_size: 1 } }
`

var convWeights = []caffetest.Layer{{Name: "c", Type: "Convolution", Number: 4, Blobs: []caffetest.Blob{
	{Shape: []int64{1, 2, 1, 1}, Data: []float32{1, 2}}, {Shape: []int64{1}, Data: []float32{3}},
}}}

func folder(files ...string) fstest.MapFS {
	out := fstest.MapFS{}
	for i := 0; i < len(files); i += 2 {
		out[files[i]] = &fstest.MapFile{Data: []byte(files[i+1])}
	}
	return out
}

func imported(t *testing.T, src fs.FS, opt importer.Options) importer.Report {
	t.Helper()
	im, err := importer.Import(t.Context(), plugs, src, opt)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = im.Close() })
	return im.Report
}

// written imports and gives the model as it is written.
func written(t *testing.T, src fs.FS, opt importer.Options) *onnx.Model {
	t.Helper()
	im, err := importer.Import(t.Context(), plugs, src, opt)
	if err != nil {
		t.Fatal(err)
	}
	defer im.Close()
	path := filepath.Join(t.TempDir(), "m.onnx")
	if err := im.WriteFile(path); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	m, err := onnx.Read(data)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// Weights have been written in several ways; all mean the same.
func TestFormsOfWeights(t *testing.T) {
	forms := []caffetest.Form{
		{}, {V1: true, Old4D: true}, {V1: true}, {Old4D: true}, {Single: true}, {Double: true}, {Double: true, Single: true},
	}
	for _, form := range forms {
		t.Run(fmt.Sprintf("%+v", form), func(t *testing.T) {
			m := written(t, folder("net.prototxt", conv, "w.caffemodel", string(caffetest.Encode(convWeights, form))), importer.Options{})
			got := map[string][]float32{}
			for _, w := range m.Graph.Initializers {
				got[w.Name] = w.Floats()
			}
			want := map[string][]float32{"c.weight": {1, 2}, "c.bias": {3}}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// Snapshots in HDF5 hold a layer whose name has a slash in groups within groups.
func TestHDF5(t *testing.T) {
	data, err := os.ReadFile("testdata/small.caffemodel.h5")
	if err != nil {
		t.Fatal(err)
	}
	text := conv + `layer { name: "c/inner" type: "Convolution" bottom: "c" top: "d" convolution_param { num_output: 1 kernel_size: 1 } }`
	src := folder("net.prototxt", text, "w.caffemodel.h5", string(data))
	if r := imported(t, src, importer.Options{}); r.Format != "Caffe HDF5, prototxt" || r.Parameters != 5 {
		t.Errorf("%s, %d parameters", r.Format, r.Parameters)
	}
	got := map[string][]float32{}
	for _, w := range written(t, src, importer.Options{}).Graph.Initializers {
		got[w.Name] = w.Floats()
	}
	want := map[string][]float32{"c.weight": {1, 2}, "c.bias": {3}, "c/inner.weight": {4}, "c/inner.bias": {5}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestErrors(t *testing.T) {
	weights := string(caffetest.Encode(convWeights, caffetest.Form{}))
	net := func(text string) fstest.MapFS { return folder("net.prototxt", text, "w.caffemodel", weights) }
	tests := []struct {
		name string
		src  fstest.MapFS
		kind stoa.Kind
		want string
	}{
		{"no weights", folder("net.prototxt", conv), stoa.Invalid, `add its .caffemodel (needed by layer "c" (Convolution, line 2))`},
		{"no description", folder("w.caffemodel", weights), stoa.Invalid, "w.caffemodel holds weights of Caffe: add the description"},
		{"python", net(conv + "\n" + `layer { name: "p" type: "Python" bottom: "c" top: "q" }`), stoa.Unsupported, `layer "p" (Python, line 4)`},
		{"unknown", net(conv + `layer { name: "p" type: "Proposal" bottom: "c" top: "q" }`), stoa.Unsupported, `layer "p" (Proposal, line 3)`},
		{"other weights", net(strings.ReplaceAll(conv, `"c"`, `"d"`)), stoa.Invalid, `w.caffemodel has no weights for layer "d"`},
		{"shape", net(strings.ReplaceAll(conv, "num_output: 1", "num_output: 2")), stoa.Invalid, "its weight has the shape 1x2x1x1, and the description asks for 2x2x1x1"},
		{"dangling", net(head + `layer { name: "r" type: "ReLU" bottom: "x" top: "y" }`), stoa.Invalid, `takes "x", which no layer before it makes`},
		{"no size", net(strings.ReplaceAll(conv, "input_shape", "nothing")), stoa.Invalid, `input "data" has no size`},
		{"kernel", net(strings.ReplaceAll(conv, "kernel_size: 1", "kernel_size: 9")), stoa.Invalid, "smaller than its kernel"},
		{"number", net(strings.ReplaceAll(conv, "num_output: 1", "num_output: x")), stoa.Invalid, "net.prototxt, line 2: num_output must be a whole number"},
		{"brace", net(conv[:len(conv)-3]), stoa.Invalid, "line 2: the file ends before"},
		{"breaks off early", folder("net.prototxt", head+"layer { name: \"c"), stoa.Invalid, "net.prototxt, line 2: a string is not closed"},
		{"nested", folder("net.prototxt", strings.Repeat("layer {", 40)), stoa.Invalid, "net.prototxt, line 1: messages are nested deeper than 32"},
		{"very old", net(`input: "a" input_dim: 1 input_dim: 1 input_dim: 1 input_dim: 1 layers { layer { name: "c" type: "conv" } bottom: "a" top: "b" }`), stoa.Invalid, "upgrade"},
		{"HDF5", folder("net.prototxt", conv, "w.caffemodel.h5", "\x89HDF\r\n\x1a\n\x00\x00data\x00"), stoa.Unsupported, "w.caffemodel.h5: HDF5: addresses of"},
		{"two weights", folder("net.prototxt", conv, "a.caffemodel", weights, "b.caffemodel", weights), stoa.Invalid, "net.prototxt with a.caffemodel (Caffe V2 binary, prototxt); net.prototxt with b.caffemodel"},
		{"nothing", folder("README", "layer cake", "x.json", `{"layer": 1}`), stoa.Unsupported, "no model was recognised among README, x.json"},
		{"cut off", folder("net.prototxt", conv, "w.caffemodel", weights[:len(weights)-3]), stoa.Invalid, "w.caffemodel: the file is damaged or cut off"},
		{"too many", net(strings.ReplaceAll(head, "dim: 2 dim: 4 dim: 4", "dim: 2000000000 dim: 1 dim: 1") + `layer { name: "s" type: "Scale" bottom: "data" top: "s" }`), stoa.Invalid, "of which the files hold nothing"},
		{"negative", net(strings.ReplaceAll(conv, "dim: 2 ", "dim: -2 ")), stoa.Invalid, "has the size 1x?x4x4"},
		{"pooling", net(head + `layer { name: "p" type: "Pooling" bottom: "data" top: "p" top: "mask" pooling_param { kernel_size: 2 } }`), stoa.Unsupported, "second top"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := importer.Import(t.Context(), plugs, tt.src, importer.Options{})
			if err == nil {
				t.Fatal("no error")
			}
			if e := stoa.AsError(err); e.Kind != tt.kind || !strings.Contains(e.Msg, tt.want) {
				t.Errorf("got %s: %s\nwant %s: %s", e.Kind, e.Msg, tt.kind, tt.want)
			}
		})
	}
}

func TestInspectListsWhatIsNotSupported(t *testing.T) {
	text := conv + `layer { name: "p" type: "Python" bottom: "c" top: "q" }
layer { name: "r" type: "ROIPooling" bottom: "q" top: "r" }`
	r, err := importer.Inspect(t.Context(), plugs, folder("net.prototxt", text), importer.Options{})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{`layer "p" (Python, line 3)`, `layer "r" (ROIPooling, line 4)`}
	if diff := cmp.Diff(want, r.Unsupported) + cmp.Diff(map[string]int{"Convolution": 1, "Python": 1, "ROIPooling": 1}, r.Layers); diff != "" {
		t.Error(diff)
	}
}

// A description for training is one for running, less what only trains.
func TestTrainingIsDropped(t *testing.T) {
	const text = `name: "n"
layer { name: "train" type: "Data" top: "data" top: "label" include { phase: TRAIN } transform_param { crop_size: 4 } }
layer { name: "c" type: "Convolution" bottom: "data" top: "c" convolution_param { num_output: 1 kernel_size: 1 } }
layer { name: "n" type: "Dropout" bottom: "c" top: "c" include { phase: TRAIN } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "c" bottom: "label" top: "loss" }
layer { name: "acc" type: "Accuracy" bottom: "c" bottom: "label" top: "acc" exclude { phase: TRAIN } }`
	r := imported(t, folder("train_val.prototxt", text, "w.caffemodel", string(caffetest.Encode(convWeights, caffetest.Form{}))), importer.Options{})
	if len(r.Inputs) != 1 || !cmp.Equal(r.Declared[0].Shape, []int64{1, 2, 4, 4}) || r.Outputs[0].Name != "loss" || r.Operators["Softmax"] != 1 || len(r.Operators) != 2 {
		t.Errorf("got %+v", r)
	}
	notes := strings.Join(r.Notes, "\n")
	for _, want := range []string{`layer "acc" (Accuracy, line 6) is for training only`, `layer "loss" (SoftmaxWithLoss, line 5) became Softmax`, `stands for the input "data" of 2x4x4`} {
		if !strings.Contains(notes, want) {
			t.Errorf("notes lack %q:\n%s", want, notes)
		}
	}
}

func TestStages(t *testing.T) {
	const text = head + `
layer { name: "a" type: "ReLU" bottom: "data" top: "y" include { stage: "train" } }
layer { name: "b" type: "TanH" bottom: "data" top: "y" include { stage: "deploy" } }
layer { name: "c" type: "AbsVal" bottom: "data" top: "z" exclude { not_stage: "train" phase: TRAIN } }
layer { name: "d" type: "Sigmoid" bottom: "data" top: "w" include { min_level: 1 } }`
	r := imported(t, folder("net.prototxt", text), importer.Options{})
	if diff := cmp.Diff(map[string]int{"Tanh": 1, "Abs": 1}, r.Operators); diff != "" {
		t.Error(diff)
	}
}

// The folder of a project has more than the two files.
func TestFindsTheModel(t *testing.T) {
	src := folder(
		"deploy.prototxt", conv,
		"train_val.prototxt", `layer { name: "d" type: "Data" top: "data" } layer { name: "c" type: "Convolution" bottom: "data" top: "c" }`,
		"solver.prototxt", "net: \"train_val.prototxt\"\nbase_lr: 0.1\n",
		"w.caffemodel", string(caffetest.Encode(convWeights, caffetest.Form{V1: true})),
		"mean.binaryproto", string(caffetest.Encode(nil, caffetest.Form{})),
		"labels.txt", "layer cake\nbottom\ntop hat\n", "README.md", "# Net\nA *net*: see `layer`.\n",
		"photo.png", "\x89PNG\r\n\x1a\n", "x.npy", string(npy.Append(nil, tensor.Of([]float32{1}, 1))), ".git/deploy.prototxt", conv,
	)
	r := imported(t, src, importer.Options{})
	if diff := cmp.Diff([]string{"deploy.prototxt", "w.caffemodel"}, r.Files); diff != "" || r.Format != "Caffe V1 binary, prototxt" {
		t.Error(diff, r.Format)
	}
}

func TestBatchAndSizes(t *testing.T) {
	tests := []struct {
		name, text string
		want       []int64 // of the input
	}{
		{"convolutions", conv, []int64{-1, 2, -1, -1}},
		{"inner product", conv + `layer { name: "i" type: "InnerProduct" bottom: "c" top: "i" inner_product_param { num_output: 1 bias_term: false } }`, []int64{-1, 2, 4, 4}},
		{"batch by number", conv + `layer { name: "r" type: "Reshape" bottom: "c" top: "r" reshape_param { shape { dim: 1 dim: -1 } } }`, []int64{-1, 2, -1, -1}},
		{"fixed size", conv + `layer { name: "r" type: "Reshape" bottom: "c" top: "r" reshape_param { shape { dim: 0 dim: 16 } } }`, []int64{-1, 2, 4, 4}},
		{"batch gone", conv + `layer { name: "r" type: "Reshape" bottom: "c" top: "r" reshape_param { shape { dim: 4 dim: 4 } } }`, []int64{1, 2, 4, 4}},
		{"slice", conv + `layer { name: "r" type: "Slice" bottom: "c" top: "r" top: "s" slice_param { axis: 2 } }`, []int64{-1, 2, 4, 4}},
		{"statistics", conv + `layer { name: "r" type: "BatchNorm" bottom: "c" top: "r" batch_norm_param { use_global_stats: false } }`, []int64{1, 2, -1, -1}},
	}
	layers := append(convWeights, caffetest.Layer{Name: "i", Type: "InnerProduct", Blobs: []caffetest.Blob{{Shape: []int64{1, 16}, Data: make([]float32, 16)}}})
	weights := string(caffetest.Encode(layers, caffetest.Form{}))
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := imported(t, folder("net.prototxt", tt.text, "w.caffemodel", weights), importer.Options{})
			if diff := cmp.Diff(tt.want, r.Inputs[0].Shape); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestBlobs(t *testing.T) {
	hull := npy.Append(nil, tensor.Of([]float64{1, 2}, 2, 1))
	turned := npy.Append(nil, tensor.Of([]float32{1, 2, 3, 4}, 2, 2))
	src := folder("net.prototxt", conv, "hull.npy", string(hull))
	m := written(t, src, importer.Options{Blobs: map[string]string{"c.0": "hull.npy"}})
	if got := m.Graph.Initializers[0].Floats(); !cmp.Equal(got, []float32{1, 2}) {
		t.Errorf("got %v", got)
	}
	src = folder("net.prototxt", strings.ReplaceAll(conv, "num_output: 1", "num_output: 2"), "hull.npy", string(turned))
	r := imported(t, src, importer.Options{Blobs: map[string]string{"c.0": "hull.npy"}})
	if !strings.Contains(strings.Join(r.Notes, "\n"), "array c.0 was taken from hull.npy") {
		t.Errorf("notes: %v", r.Notes)
	}
	for key, want := range map[string]string{
		"c": "write the name of a layer", "c.9": "write the name", "q.0": `no layer "q"`, "c.1": "asks for 2",
	} {
		_, err := importer.Import(t.Context(), plugs, src, importer.Options{Blobs: map[string]string{key: "hull.npy"}})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %s", key, err, want)
		}
	}
	if _, err := importer.Import(t.Context(), plugs, src, importer.Options{Blobs: map[string]string{"c.0": "../x.npy"}}); err == nil {
		t.Error("an array outside the folder was read")
	}
}

// A setting that nobody knows is ignored, and said to be.
func TestUnknownSettings(t *testing.T) {
	text := strings.ReplaceAll(conv, "kernel_size: 1", "kernel_size: 1 weird: 3 weight_filler { type: \"xavier\" }")
	r := imported(t, folder("net.prototxt", text, "w.caffemodel", string(caffetest.Encode(convWeights, caffetest.Form{}))), importer.Options{})
	notes := strings.Join(r.Notes, "\n")
	if !strings.Contains(notes, `setting "weird" of layer c is not known and was ignored`) || strings.Contains(notes, "filler") {
		t.Errorf("notes: %s", notes)
	}
}

// A .caffemodel that holds the description too is enough by itself, and gives
// the same network.
func TestWeightsAlone(t *testing.T) {
	for _, name := range []string{"scenes-6", "rfb-320-face"} {
		dir := "../../../../shared/assets/caffe/" + name
		texts, _ := filepath.Glob(dir + "/*.prototxt")
		binaries, _ := filepath.Glob(dir + "/*.caffemodel")
		if len(texts) == 0 {
			t.Skip("SKIPPED: ../shared/assets is not here")
		}
		src, err := importer.Dir(dir)
		if err != nil {
			t.Fatal(err)
		}
		defer src.Close()
		both := imported(t, src, importer.Options{Files: []string{filepath.Base(texts[0]), filepath.Base(binaries[0])}})
		alone := imported(t, src, importer.Options{Files: []string{filepath.Base(binaries[0])}})
		both.Files, both.Format, both.Seconds, both.Notes, both.Layers, both.Mapped = nil, "", 0, nil, nil, nil
		alone.Files, alone.Format, alone.Seconds, alone.Notes, alone.Layers, alone.Mapped = nil, "", 0, nil, nil, nil
		if diff := cmp.Diff(both, alone); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

// exercise imports what may be anything; the error, if there is one, must be of
// the kind that a person may read.
func exercise(t *testing.T, text, weights []byte) {
	t.Helper()
	src := fstest.MapFS{}
	if len(text) > 0 {
		src["net.prototxt"] = &fstest.MapFile{Data: text}
	}
	if len(weights) > 0 {
		src["w.caffemodel"] = &fstest.MapFile{Data: weights}
	}
	im, err := importer.Import(t.Context(), plugs, src, importer.Options{})
	var e *stoa.Error
	if err != nil && (!errors.As(err, &e) || e.Kind == stoa.Internal) {
		t.Errorf("got %v", err)
	}
	if err == nil {
		_ = im.Close()
	}
}

func TestDamagedAssets(t *testing.T) {
	for _, name := range []string{"mtcnn-pnet", "conformance-opencv_extra"} {
		texts, _ := filepath.Glob("../../../../shared/assets/caffe/" + name + "/*.prototxt")
		if len(texts) == 0 {
			t.Skip("SKIPPED: ../shared/assets is not here")
		}
		for _, file := range texts {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			weights, _ := os.ReadFile(strings.TrimSuffix(file, "prototxt") + "caffemodel")
			if len(weights) > 50_000 {
				continue
			}
			for i := range 30 {
				exercise(t, text[:len(text)*i/30], weights)
				exercise(t, text, weights[:len(weights)*i/30])
				exercise(t, nil, weights[:len(weights)*i/30])
				bad := append([]byte{}, weights...)
				for k := i; k < len(bad); k += 97 + 31*i {
					bad[k] ^= byte(1 << (k % 8))
				}
				exercise(t, text, bad)
				exercise(t, nil, bad)
			}
		}
	}
}

func FuzzImport(f *testing.F) {
	f.Add([]byte(conv), caffetest.Encode(convWeights, caffetest.Form{}))
	f.Add([]byte(conv), caffetest.Encode(convWeights, caffetest.Form{V1: true, Old4D: true, Single: true}))
	snapshot, err := os.ReadFile("testdata/small.caffemodel.h5")
	if err != nil {
		f.Fatal(err)
	}
	f.Add([]byte(conv), snapshot)
	for _, name := range []string{"mtcnn-pnet/det1", "conformance-opencv_extra/layer_eltwise", "conformance-opencv_extra/layer_interp"} {
		text, err := os.ReadFile("../../../../shared/assets/caffe/" + name + ".prototxt")
		if err != nil {
			break
		}
		weights, _ := os.ReadFile("../../../../shared/assets/caffe/" + name + ".caffemodel")
		f.Add(text, weights)
	}
	f.Fuzz(exercise)
}
