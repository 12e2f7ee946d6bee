package frameworks

import (
	"maps"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stoa-project/stoa/internal/importer"
	"github.com/stoa-project/stoa/internal/tensor"
)

// torchJobs makes a case of each TorchScript file of a folder: scripted and
// traced networks are the same and give the same.
func torchJobs(t testing.TB, j job) []job {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(j.dir, "*.pt"))
	if err != nil || len(files) == 0 {
		t.Fatalf("%s: no TorchScript, %v", j.dir, err)
	}
	var out []job
	for _, f := range files {
		k := j
		k.inputs, k.want = maps.Clone(j.inputs), map[string]tensor.Tensor{}
		for _, a := range j.want {
			k.want[""] = a // the file has no name for it
		}
		name := filepath.Base(f)
		k.name += "/" + strings.TrimSuffix(name, ".pt")
		k.opt = importer.Options{Files: []string{name}}
		out = append(out, k)
	}
	return out
}
