package frameworks

import (
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/stoa-project/stoa/internal/importer"
	"github.com/stoa-project/stoa/internal/importer/caffe/caffetest"
	"github.com/stoa-project/stoa/internal/tensor"
)

// layerCase is a layer whose answer can be worked out by hand. Its input is
// called x.
type layerCase struct {
	name  string
	shape []int64
	x     []float32
	text  string // the layer or layers behind the input
	blobs []caffetest.Blob
	want  []float32
	out   []int64
}

func blob(shape []int64, vs ...float32) caffetest.Blob {
	return caffetest.Blob{Shape: shape, Data: vs}
}

func one(typ, settings string) string {
	return fmt.Sprintf(`layer { name: "l" type: %q bottom: "x" top: "y" %s }`, typ, settings)
}

func count(n int) []float32 {
	out := make([]float32, n)
	for i := range out {
		out[i] = float32(i)
	}
	return out
}

func mapped(in []float32, f func(float64) float64) []float32 {
	out := make([]float32, len(in))
	for i, v := range in {
		out[i] = float32(f(float64(v)))
	}
	return out
}

var signs = []float32{-2, -0.5, 0, 0.5, 1, 3}

func layerCases() []layerCase {
	line := []int64{1, 6}
	square := []int64{1, 2, 2, 2}
	e := math.E
	return []layerCase{
		{"ReLU slope", line, signs, one("ReLU", "relu_param { negative_slope: 0.5 }"), nil, []float32{-1, -0.25, 0, 0.5, 1, 3}, line},
		{"ELU", line, signs, one("ELU", "elu_param { alpha: 2 }"), nil, mapped(signs, func(v float64) float64 {
			if v > 0 {
				return v
			}
			return 2 * (math.Exp(v) - 1)
		}), line},
		{"AbsVal", line, signs, one("AbsVal", ""), nil, mapped(signs, math.Abs), line},
		{"BNLL", line, signs, one("BNLL", ""), nil, mapped(signs, func(v float64) float64 { return math.Log(1 + math.Exp(v)) }), line},
		{"Sigmoid", line, signs, one("Sigmoid", ""), nil, mapped(signs, func(v float64) float64 { return 1 / (1 + math.Exp(-v)) }), line},
		{"TanH", line, signs, one("TanH", ""), nil, mapped(signs, math.Tanh), line},
		{"Swish", line, signs, one("Swish", "swish_param { beta: 2 }"), nil, mapped(signs, func(v float64) float64 { return v / (1 + math.Exp(-2*v)) }), line},
		{"Clip", line, signs, one("Clip", "clip_param { min: -1 max: 0.75 }"), nil, []float32{-1, -0.5, 0, 0.5, 0.75, 0.75}, line},
		{"ReLU6", line, count(6), one("ReLU6", ""), nil, count(6), line},
		{"Power", line, count(6), one("Power", "power_param { power: 2 scale: 3 shift: 1 }"), nil, mapped(count(6), func(v float64) float64 { return (1 + 3*v) * (1 + 3*v) }), line},
		{"Exp", line, signs, one("Exp", "exp_param { base: 2 scale: 3 shift: 1 }"), nil, mapped(signs, func(v float64) float64 { return math.Pow(2, 1+3*v) }), line},
		{"Exp e", line, signs, one("Exp", ""), nil, mapped(signs, math.Exp), line},
		{"Log", line, count(6), one("Log", "log_param { base: 10 scale: 2 shift: 1 }"), nil, mapped(count(6), func(v float64) float64 { return math.Log10(1 + 2*v) }), line},
		{"Threshold", line, signs, one("Threshold", "threshold_param { threshold: 0.5 }"), nil, []float32{0, 0, 0, 0, 1, 1}, line},
		{"Dropout that scales", line, signs, one("Dropout", "dropout_param { dropout_ratio: 0.25 scale_train: false }"), nil, mapped(signs, func(v float64) float64 { return v * 0.75 }), line},
		{"Eltwise coeff", line, count(6), `layer { name: "l" type: "Eltwise" bottom: "x" bottom: "x" bottom: "x" top: "y" eltwise_param { coeff: 1 coeff: -3 coeff: 0.5 } }`, nil, mapped(count(6), func(v float64) float64 { return -1.5 * v }), line},
		{"Scale", square, count(8), one("Scale", "scale_param { bias_term: true }"), []caffetest.Blob{blob([]int64{2}, 2, 3), blob([]int64{2}, 10, 20)}, []float32{10, 12, 14, 16, 32, 35, 38, 41}, square},
		{"Scale of all axes", square, count(8), one("Scale", "scale_param { axis: 1 num_axes: -1 }"), []caffetest.Blob{blob([]int64{2, 2, 2}, count(8)...)}, mapped(count(8), func(v float64) float64 { return v * v }), square},
		{"Scale by one number", square, count(8), one("Scale", "scale_param { axis: 0 num_axes: 0 }"), []caffetest.Blob{blob([]int64{}, 5)}, mapped(count(8), func(v float64) float64 { return 5 * v }), square},
		{"Scale without weights", square, count(8), one("Scale", "scale_param { filler { value: 2.5 } }"), nil, mapped(count(8), func(v float64) float64 { return 2.5 * v }), square},
		{"Scale by a bottom", square, count(8), `layer { name: "p" type: "Pooling" bottom: "x" top: "p" pooling_param { pool: MAX global_pooling: true } }
			layer { name: "f" type: "Flatten" bottom: "p" top: "f" }
			layer { name: "l" type: "Scale" bottom: "x" bottom: "f" top: "y" scale_param { axis: 0 } }`, nil, []float32{0, 3, 6, 9, 28, 35, 42, 49}, square},
		{"Axpy", square, count(8), `layer { name: "p" type: "Pooling" bottom: "x" top: "p" pooling_param { pool: MAX global_pooling: true } }
			layer { name: "l" type: "Axpy" bottom: "p" bottom: "x" bottom: "x" top: "y" }`, nil, []float32{0, 4, 8, 12, 32, 40, 48, 56}, square},
		{"Bias", square, count(8), one("Bias", ""), []caffetest.Blob{blob([]int64{2}, 10, 20)}, []float32{10, 11, 12, 13, 24, 25, 26, 27}, square},
		{"BatchNorm", square, count(8), one("BatchNorm", "batch_norm_param { eps: 0 }"), []caffetest.Blob{blob([]int64{2}, 4, 8), blob([]int64{2}, 16, 64), blob([]int64{1}, 4)}, []float32{-0.5, 0, 0.5, 1, 0.5, 0.75, 1, 1.25}, square},
		{"BatchNorm factor 0", square, count(8), one("BatchNorm", "batch_norm_param { eps: 1 }"), []caffetest.Blob{blob([]int64{2}, 4, 8), blob([]int64{2}, 16, 64), blob([]int64{1}, 0)}, count(8), square},
		{"BatchNorm of the batch", square, count(8), one("BatchNorm", "batch_norm_param { use_global_stats: false eps: 0.75 }"), nil, mapped(count(8), func(v float64) float64 { return (math.Mod(v, 4) - 1.5) / math.Sqrt(2) }), square},
		{"BatchNorm of NVIDIA", square, count(8), one("BatchNorm", "batch_norm_param { eps: 0 scale_bias: true }"), []caffetest.Blob{blob([]int64{2}, 1, 2), blob([]int64{2}, 4, 16), blob([]int64{1}, 1), blob([]int64{2}, 2, 4), blob([]int64{2}, 10, 20)}, []float32{9, 10, 11, 12, 22, 23, 24, 25}, square},
		{"BN of SegNet", square, count(8), one("BN", "bn_param { bn_mode: INFERENCE }"), []caffetest.Blob{blob([]int64{1, 2, 1, 1}, 2, 3), blob([]int64{1, 2, 1, 1}, 10, 20)}, []float32{10, 12, 14, 16, 32, 35, 38, 41}, square},
		{"MVN", square, count(8), one("MVN", "mvn_param { eps: 0 }"), nil, mapped(count(8), func(v float64) float64 { return (math.Mod(v, 4) - 1.5) / math.Sqrt(1.25) }), square},
		{"MVN across", square, count(8), one("MVN", "mvn_param { across_channels: true normalize_variance: false }"), nil, mapped(count(8), func(v float64) float64 { return v - 3.5 }), square},
		{"Normalize", []int64{1, 2, 1, 2}, []float32{3, 1, 4, 0}, one("Normalize", "norm_param { across_spatial: false channel_shared: false }"), []caffetest.Blob{blob([]int64{2}, 10, 20)}, []float32{6, 10, 16, 0}, []int64{1, 2, 1, 2}},
		{"Normalize all", []int64{1, 2, 1, 2}, []float32{1, 1, 1, 1}, one("Normalize", "norm_param { scale_filler { value: 20 } }"), nil, []float32{10, 10, 10, 10}, []int64{1, 2, 1, 2}},
		{"Slice", square, count(8), `layer { name: "l" type: "Slice" bottom: "x" top: "a" top: "b" slice_param { axis: 3 slice_point: 1 } }
			layer { name: "c" type: "Concat" bottom: "b" bottom: "a" top: "y" concat_param { axis: 3 } }`, nil, []float32{1, 0, 3, 2, 5, 4, 7, 6}, square},
		{"Slice old", square, count(8), `layer { name: "l" type: "Slice" bottom: "x" top: "a" top: "b" slice_param { slice_dim: 1 } }
			layer { name: "c" type: "Concat" bottom: "b" bottom: "a" top: "y" concat_param { concat_dim: 1 } }`, nil, []float32{4, 5, 6, 7, 0, 1, 2, 3}, square},
		{"Flatten", square, count(8), one("Flatten", ""), nil, count(8), []int64{1, 8}},
		{"Flatten within", square, count(8), one("Flatten", "flatten_param { axis: 1 end_axis: 2 }"), nil, count(8), []int64{1, 4, 2}},
		{"Reshape", square, count(8), one("Reshape", "reshape_param { shape { dim: 0 dim: -1 dim: 2 } }"), nil, count(8), []int64{1, 4, 2}},
		{"Reshape within", square, count(8), one("Reshape", "reshape_param { axis: 1 num_axes: 2 shape { dim: 4 } }"), nil, count(8), []int64{1, 4, 2}},
		{"Reshape behind", square, count(8), one("Reshape", "reshape_param { axis: -1 num_axes: 0 shape { dim: 1 } }"), nil, count(8), []int64{1, 2, 2, 2, 1}},
		{"Permute", square, count(8), one("Permute", "permute_param { order: 0 order: 3 order: 1 }"), nil, []float32{0, 2, 4, 6, 1, 3, 5, 7}, square},
		{"ShuffleChannel", []int64{1, 6, 1, 1}, count(6), one("ShuffleChannel", "shuffle_channel_param { group: 2 }"), nil, []float32{0, 3, 1, 4, 2, 5}, []int64{1, 6, 1, 1}},
		{"Tile", []int64{1, 2}, []float32{1, 2}, one("Tile", "tile_param { tiles: 3 }"), nil, []float32{1, 2, 1, 2, 1, 2}, []int64{1, 6}},
		{"Crop", []int64{1, 1, 3, 3}, count(9), `layer { name: "p" type: "Pooling" bottom: "x" top: "p" pooling_param { kernel_size: 2 stride: 1 } }
			layer { name: "l" type: "Crop" bottom: "x" bottom: "p" top: "c" crop_param { axis: 2 offset: 1 offset: 0 } }
			layer { name: "e" type: "Eltwise" bottom: "c" bottom: "p" top: "y" eltwise_param { coeff: 1 coeff: 0 } }`, nil, []float32{3, 4, 6, 7}, []int64{1, 1, 2, 2}},
		{"ArgMax", []int64{1, 2, 1, 3}, []float32{0, 5, 1, 2, 9, 3}, one("ArgMax", "argmax_param { out_max_val: true top_k: 2 }"), nil, []float32{4, 1, 9, 5}, []int64{1, 2, 2}},
		{"ArgMax axis", []int64{1, 2, 1, 3}, []float32{0, 5, 1, 2, 4, 3}, one("ArgMax", "argmax_param { axis: 1 }"), nil, []float32{1, 0, 1}, []int64{1, 1, 1, 3}},
		{"ArgMax values", []int64{1, 2, 1, 3}, []float32{0, 5, 1, 2, 4, 3}, one("ArgMax", "argmax_param { axis: 1 out_max_val: true }"), nil, []float32{2, 5, 3}, []int64{1, 1, 1, 3}},
		{"Reduction", square, signs8(), one("Reduction", "reduction_param { operation: ASUM axis: 2 coeff: 2 }"), nil, []float32{12, 20}, []int64{1, 2}},
		{"Reduction sum", square, signs8(), one("Reduction", "reduction_param { axis: 1 }"), nil, []float32{0}, []int64{1}},
		{"Reduction mean", square, count(8), one("Reduction", "reduction_param { operation: MEAN axis: 3 }"), nil, []float32{0.5, 2.5, 4.5, 6.5}, []int64{1, 2, 2}},
		{"Reduction squares", []int64{1, 3}, []float32{1, 2, 3}, one("Reduction", "reduction_param { operation: SUMSQ axis: 1 }"), nil, []float32{14}, []int64{1}},
		{"InnerProduct turned", []int64{1, 2}, []float32{1, 2}, one("InnerProduct", "inner_product_param { num_output: 3 transpose: true }"), []caffetest.Blob{blob([]int64{2, 3}, 1, 2, 3, 4, 5, 6), blob([]int64{3}, 10, 20, 30)}, []float32{19, 32, 45}, []int64{1, 3}},
		{"Embed", []int64{1, 3}, []float32{2, 0, 1}, one("Embed", "embed_param { num_output: 2 input_dim: 3 }"), []caffetest.Blob{blob([]int64{3, 2}, 1, 2, 3, 4, 5, 6), blob([]int64{2}, 10, 20)}, []float32{15, 26, 11, 22, 13, 24}, []int64{1, 3, 2}},
		{
			"Deconvolution that enlarges",
			[]int64{1, 1, 1, 2},
			[]float32{4, 8},
			one("Deconvolution", "convolution_param { num_output: 1 kernel_size: 4 stride: 2 pad: 1 bias_term: false weight_filler { type: \"bilinear\" } }"), nil,
			[]float32{2.25, 3.75, 5.25, 4.5, 2.25, 3.75, 5.25, 4.5},
			[]int64{1, 1, 2, 4},
		},
		{"Deconvolution groups", []int64{1, 2, 1, 1}, []float32{2, 3}, one("Deconvolution", "convolution_param { num_output: 4 kernel_size: 1 group: 2 }"), []caffetest.Blob{blob([]int64{2, 2, 1, 1}, 1, 2, 3, 4), blob([]int64{4}, 10, 20, 30, 40)}, []float32{12, 24, 39, 52}, []int64{1, 4, 1, 1}},
		{"DepthwiseConvolution", []int64{1, 2, 1, 1}, []float32{2, 3}, one("DepthwiseConvolution", "convolution_param { num_output: 2 kernel_size: 1 bias_term: false }"), []caffetest.Blob{blob([]int64{2, 1, 1, 1}, 5, 7)}, []float32{10, 21}, []int64{1, 2, 1, 1}},
		{"Convolution in 3-D", []int64{1, 1, 2, 2, 2}, count(8), one("Convolution", "convolution_param { num_output: 1 kernel_size: 2 bias_term: false }"), []caffetest.Blob{blob([]int64{1, 1, 2, 2, 2}, 1, 1, 1, 1, 1, 1, 1, 1)}, []float32{28}, []int64{1, 1, 1, 1, 1}},
		{"Pooling by chance", []int64{1, 1, 2, 2}, []float32{1, 2, 3, 0}, one("Pooling", "pooling_param { pool: STOCHASTIC kernel_size: 2 }"), nil, []float32{14. / 6}, []int64{1, 1, 1, 1}},
		{"Pooling global", square, count(8), one("Pooling", "pooling_param { pool: AVE global_pooling: true }"), nil, []float32{1.5, 5.5}, []int64{1, 2, 1, 1}},
		{"Interp to a size", []int64{1, 1, 2, 2}, []float32{0, 2, 4, 6}, one("Interp", "interp_param { height: 3 width: 3 }"), nil, []float32{0, 1, 2, 2, 3, 4, 4, 5, 6}, []int64{1, 1, 3, 3}},
		{"Interp by factors", []int64{1, 1, 3, 3}, count(9), one("Interp", "interp_param { shrink_factor: 2 zoom_factor: 2 }"), nil, []float32{0, 1, 2, 3, 4, 5, 6, 7, 8}, []int64{1, 1, 3, 3}},
		{"Interp that cuts", []int64{1, 1, 4, 4}, count(16), one("Interp", "interp_param { pad_beg: -1 pad_end: -1 height: 2 width: 2 }"), nil, []float32{5, 6, 9, 10}, []int64{1, 1, 2, 2}},
		{"Parameter", []int64{1, 2}, []float32{1, 2}, `layer { name: "l" type: "Parameter" top: "p" parameter_param { shape { dim: 1 dim: 2 } } }
			layer { name: "e" type: "Eltwise" bottom: "x" bottom: "p" top: "y" }`, []caffetest.Blob{blob([]int64{1, 2}, 10, 20)}, []float32{11, 22}, []int64{1, 2}},
		{"DummyData", []int64{1, 2}, []float32{1, 2}, `layer { name: "l" type: "DummyData" top: "p" dummy_data_param { shape { dim: 1 dim: 2 } data_filler { value: 3 } } }
			layer { name: "e" type: "Eltwise" bottom: "x" bottom: "p" top: "y" eltwise_param { operation: PROD } }`, nil, []float32{3, 6}, []int64{1, 2}},
		{"SoftmaxWithLoss", []int64{1, 2}, []float32{0, 1}, `layer { name: "d" type: "Data" top: "label" include { phase: TEST } }
			layer { name: "l" type: "SoftmaxWithLoss" bottom: "x" bottom: "label" top: "y" }
			layer { name: "a" type: "Accuracy" bottom: "x" bottom: "label" top: "acc" include { phase: TEST } }`, nil, []float32{float32(1 / (1 + e)), float32(e / (1 + e))}, []int64{1, 2}},
		{"Split and in place", []int64{1, 2}, []float32{-1, 2}, `layer { name: "s" type: "Split" bottom: "x" top: "a" top: "b" }
			layer { name: "r" type: "ReLU" bottom: "a" top: "a" }
			layer { name: "p" type: "Power" bottom: "a" top: "a" power_param { scale: 10 } }
			layer { name: "e" type: "Eltwise" bottom: "a" bottom: "b" top: "y" }`, nil, []float32{-1, 22}, []int64{1, 2}},
	}
}

func signs8() []float32 { return []float32{-1, 1, -2, 2, -1, 4, -4, 1} }

// Layers that no case of the assets has compute what Caffe's source says.
func TestLayers(t *testing.T) {
	start(t)
	for _, c := range layerCases() {
		t.Run(c.name, func(t *testing.T) {
			dims := ""
			for _, d := range c.shape {
				dims += fmt.Sprintf(" dim: %d", d)
			}
			text := fmt.Sprintf("input: \"x\" input_shape {%s }\n%s", dims, c.text)
			src := fstest.MapFS{"net.prototxt": {Data: []byte(text)}}
			if c.blobs != nil {
				src["net.caffemodel"] = &fstest.MapFile{Data: caffetest.Encode([]caffetest.Layer{{Name: "l", Type: "T", Blobs: c.blobs}}, caffetest.Form{})}
			}
			im, err := importer.Import(t.Context(), plugs, src, importer.Options{})
			if err != nil {
				t.Fatal(err)
			}
			defer im.Close()
			if notes := strings.Join(im.Report.Notes, "; "); strings.Contains(notes, "not known") && !strings.Contains(c.text, "scale_bias") {
				t.Errorf("notes: %s", notes)
			}
			dir := t.TempDir()
			if _, err := im.Write(dir); err != nil {
				t.Fatal(err)
			}
			if len(im.Report.Outputs) != 1 || im.Report.Outputs[0].Name != "y" {
				t.Fatalf("outputs are %+v", im.Report.Outputs)
			}
			got, err := runModel(filepath.Join(dir, importer.ModelFile), map[string]tensor.Tensor{"x": tensor.Of(c.x, c.shape...)}, []string{"y"})
			if err != nil {
				t.Fatal(err)
			}
			if d, err := difference(got["y"], tensor.Of(c.want, c.out...)); err != nil || d > 2e-5 {
				t.Errorf("got %v, want %v: %g, %v", tensor.As[float32](got["y"]), c.want, d, err)
			}
			declared := im.Report.Outputs[0].Shape
			if len(declared) != len(c.out) || !slices.EqualFunc(declared, c.out, func(a, b int64) bool { return a < 0 || a == b }) {
				t.Errorf("the report says %v, and it is %v", declared, c.out)
			}
		})
	}
}
