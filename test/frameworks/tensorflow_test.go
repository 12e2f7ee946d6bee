package frameworks

import (
	"path/filepath"
	"slices"
	"strings"

	"github.com/stoa-project/stoa/internal/importer"
	"github.com/stoa-project/stoa/internal/tensor"
)

// tensorflow is a graph of a few nodes, with arrays by TensorFlow itself. Arrays
// of pictures lie in the folder with channels first, and most graphs take them
// last.
func (c metaCase) tensorflow(dir string) (job, error) {
	j := job{dir: dir, atol: c.Atol, opt: importer.Options{Files: []string{c.Model}}}
	in, err := array(dir, c.Input)
	if err != nil {
		return j, err
	}
	out, err := array(dir, c.Output)
	if err != nil {
		return j, err
	}
	if c.ID != "conv_pool_nchw" {
		in, out = channelsLast(in), channelsLast(out)
	}
	j.inputs, j.want = map[string]tensor.Tensor{"": in}, map[string]tensor.Tensor{"": out}
	if fixed, ok := unsaid[c.ID]; ok {
		shape := slices.Clone(in.Shape)
		if !fixed {
			shape[0] = -1
		}
		j.opt.Shapes = map[string][]int64{"input": shape}
	}
	return j, nil
}

// unsaid are graphs in which nothing tells the shape of the input; true where
// the graph works for one size of the batch only.
var unsaid = map[string]bool{
	"batch_norm": false, "flatten": true, "l2_normalize_3d": true, "reshape_no_reorder": true, "shift_reshape_no_reorder": true,
	"split_equals": true, "nhwc_reshape_matmul": true, "nhwc_transpose_reshape_matmul": true,
}

// fitTensorFlow gives a case what its file does not say.
func (j *job) fitTensorFlow() {
	switch filepath.Base(j.dir) {
	case "espcn_x2-frozen": // ends in two forms of the picture
		j.opt.Outputs = []string{"NHWC_output"}
	case "savedmodel-half-plus-two-tf2": // says one element, and was tried with three rows
		j.opt.Shapes = map[string][]int64{"x": {-1, 1}}
	case "mnist-lstm-frozen": // the probability of a dropout, which is gone
		delete(j.inputs, "keep_prob")
	}
}

func channelsLast(t tensor.Tensor) tensor.Tensor {
	if len(t.Shape) != 4 {
		return t
	}
	return tensor.Permute(t, 0, 2, 3, 1)
}

// fromTensorFlow tells whether a folder holds such graphs.
func fromTensorFlow(dir string) bool {
	return strings.Contains(filepath.ToSlash(dir), "/tensorflow/")
}
