package frameworks

import (
	"path/filepath"
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
	j.inputs, j.want = map[string]tensor.Tensor{"": channelsLast(in)}, map[string]tensor.Tensor{"": channelsLast(out)}
	return j, nil
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
