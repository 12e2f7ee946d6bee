package frameworks

import (
	"path/filepath"

	"github.com/stoa-project/stoa/internal/tensor"
)

// keras leaves the one input and output of a case without a name where the case
// calls them otherwise than the model does.
func (j job) keras() job {
	if filepath.Base(filepath.Dir(j.dir)) != "keras" {
		return j
	}
	for _, list := range []map[string]tensor.Tensor{j.inputs, j.want} {
		for _, name := range []string{"x", "y", "input", "out"} {
			if a, ok := list[name]; ok && len(list) == 1 {
				delete(list, name)
				list[""] = a
			}
		}
	}
	return j
}
