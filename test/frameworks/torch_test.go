package frameworks

import (
	"fmt"
	"maps"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stoa-project/stoa"
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

// TestTorchWeights holds files of weights alone, which have no graph, to an
// answer that lists the tensors and says how to save a graph.
func TestTorchWeights(t *testing.T) {
	for _, c := range []struct {
		file    string
		tensors int
		has     string
	}{
		{"rfb-320-statedict-legacy/version-RFB-320.pth", 244, "base_net.0.0.weight float32 16x3x3x3"},
		{"colorization-cnn-rgb/colorization_model.pth", 8, "conv1.weight float32 64x1x5x5"},
		{"scene6-own/scene6_state_dict.pth", 50, "float32"},
	} {
		path := filepath.Join(assets, "pytorch", c.file)
		src, err := importer.Dir(filepath.Dir(path))
		if err != nil {
			t.Skip("SKIPPED: ../shared/assets is not here")
		}
		_, err = importer.Import(t.Context(), plugs, src, importer.Options{Files: []string{filepath.Base(path)}})
		if closed := src.Close(); closed != nil {
			t.Error(closed)
		}
		if stoa.KindOf(err) != stoa.Unsupported {
			t.Errorf("%s: %v", c.file, err)
			continue
		}
		text := stoa.AsError(err).Msg
		for _, want := range []string{fmt.Sprintf("Its %d tensors", c.tensors), c.has, "no graph", "torch.jit.script(net)", "torch.onnx.export"} {
			if !strings.Contains(text, want) {
				t.Errorf("%s: the answer lacks %q: %s", c.file, want, text)
			}
		}
	}
}
