package frameworks

import (
	"fmt"
	"math"
	"path/filepath"
	"testing"
	"testing/fstest"

	"github.com/stoa-project/stoa/internal/importer"
	"github.com/stoa-project/stoa/internal/importer/caffe/caffetest"
	"github.com/stoa-project/stoa/internal/tensor"
)

// pool is the setting of a Pooling layer, the same along both axes.
type pool struct {
	kind      string
	k, s, pad int
	floor     bool
}

// windows is how many Caffe makes along an axis (pooling_layer.cpp, Reshape).
func (p pool) windows(n int) int {
	room := n + 2*p.pad - p.k
	out := (room+p.s-1)/p.s + 1
	if p.floor {
		out = room/p.s + 1
	}
	if p.pad > 0 && (out-1)*p.s >= n+p.pad {
		out--
	}
	return out
}

// run computes what Caffe does (pooling_layer.cpp, Forward_cpu).
func (p pool) run(x tensor.Tensor) tensor.Tensor {
	c, h, w := int(x.Shape[1]), int(x.Shape[2]), int(x.Shape[3])
	oh, ow := p.windows(h), p.windows(w)
	in := tensor.As[float32](x)
	var out []float32
	for ch := range c {
		for y := range oh {
			for z := range ow {
				top, left := y*p.s-p.pad, z*p.s-p.pad
				bottom, right := min(top+p.k, h+p.pad), min(left+p.k, w+p.pad)
				size := (bottom - top) * (right - left)
				best, sum := -math.MaxFloat32, 0.0
				for i := max(top, 0); i < min(bottom, h); i++ {
					for j := max(left, 0); j < min(right, w); j++ {
						v := float64(in[(ch*h+i)*w+j])
						best, sum = max(best, v), sum+v
					}
				}
				if p.kind == "MAX" {
					out = append(out, float32(best))
				} else {
					out = append(out, float32(sum/float64(size)))
				}
			}
		}
	}
	return tensor.Of(out, 1, x.Shape[1], int64(oh), int64(ow))
}

// Caffe rounds the number of windows up and has rules of its own for what a
// window at the edge holds; neither operator of ONNX has them as they are.
func TestPoolingIsCaffes(t *testing.T) {
	start(t)
	var pools []pool
	for _, kind := range []string{"MAX", "AVE"} {
		for k := 1; k <= 4; k++ {
			for s := 1; s <= k+1; s++ {
				for pad := 0; pad < k; pad++ {
					pools = append(pools, pool{kind, k, s, pad, false}, pool{kind, k, s, pad, true})
				}
			}
		}
	}
	for _, p := range pools {
		t.Run(fmt.Sprintf("%+v", p), func(t *testing.T) {
			for _, two := range []bool{false, true} { // with two inputs, sizes are fixed
				poolCase(t, p, two)
			}
		})
	}
}

func poolCase(t *testing.T, p pool, two bool) {
	t.Helper()
	sizes := [][2]int{{7, 8}, {6, 9}}
	text := func(h, w int) string {
		round := "CEIL"
		if p.floor {
			round = "FLOOR"
		}
		s := fmt.Sprintf(`input: "x" input_shape { dim: 1 dim: 2 dim: %d dim: %d }`, h, w)
		if two {
			s += ` input: "y" input_shape { dim: 1 dim: 2 } layer { name: "r" type: "ReLU" bottom: "y" top: "z" }`
		}
		return s + fmt.Sprintf(` layer { name: "p" type: "Pooling" bottom: "x" top: "p"
			pooling_param { pool: %s kernel_size: %d stride: %d pad: %d round_mode: %s } }`, p.kind, p.k, p.s, p.pad, round)
	}
	for i, size := range sizes {
		declared := size
		src := fstest.MapFS{"net.prototxt": {Data: []byte(text(declared[0], declared[1]))}}
		im, err := importer.Import(t.Context(), plugs, src, importer.Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer im.Close()
		dir := t.TempDir()
		if _, err := im.Write(dir); err != nil {
			t.Fatal(err)
		}
		run := size
		if im.Report.Inputs[0].Shape[2] < 0 {
			run = sizes[1-i] // any size must do
		}
		x := tensor.Of(caffetest.Input(2*run[0]*run[1], 1), 1, 2, int64(run[0]), int64(run[1]))
		want := p.run(x)
		inputs := map[string]tensor.Tensor{"x": x}
		if two {
			inputs["y"] = tensor.Of([]float32{1, 2}, 1, 2)
		}
		got, err := runModel(filepath.Join(dir, importer.ModelFile), inputs, []string{"p"})
		if err != nil {
			t.Fatalf("%dx%d: %v", run[0], run[1], err)
		}
		// A window that holds nothing is what Caffe makes of a stride above the
		// kernel; here it is dropped.
		if p.s > p.k && p.pad == 0 && !p.floor && (want.Shape[2] != got["p"].Shape[2] || want.Shape[3] != got["p"].Shape[3]) {
			continue
		}
		d, err := difference(got["p"], want)
		if err != nil || d > 1e-6 {
			t.Errorf("%dx%d, declared %dx%d, two inputs %v: differs by %g, %v", run[0], run[1], declared[0], declared[1], two, d, err)
		}
	}
}
