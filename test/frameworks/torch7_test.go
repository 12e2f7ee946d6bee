package frameworks

import (
	"os"
	"path/filepath"
	"slices"

	"github.com/stoa-project/stoa/internal/importer"
	"github.com/stoa-project/stoa/internal/importer/torch7"
	"github.com/stoa-project/stoa/internal/tensor"
)

// torch7 is a network of one module or a few, with arrays by Torch7 itself.
func (c metaCase) torch7(dir string) (job, error) {
	shape := slices.Clone(c.InShape)
	// The others join along the batch, have none, or were made to change it.
	if c.ID != "net_depth_concat" && c.ID != "net_spatial_zero_padding" {
		shape[0] = -1
	}
	j := job{dir: dir, atol: c.Atol, opt: importer.Options{Files: []string{c.Model}, Shapes: map[string][]int64{"input": shape}}}
	// This one was saved, and run, while it was in training mode.
	j.opt.Training = c.ID == "net_batch_norm_train"
	in, err := torchArray(dir, c.Input)
	if err != nil {
		return j, err
	}
	out, err := torchArray(dir, c.Output)
	j.inputs, j.want = map[string]tensor.Tensor{"input": in}, map[string]tensor.Tensor{"output": out}
	return j, err
}

func torchArray(dir, file string) (tensor.Tensor, error) {
	data, err := os.ReadFile(filepath.Join(dir, file))
	if err != nil {
		return tensor.Tensor{}, err
	}
	return torch7.ReadTensor(file, data)
}
