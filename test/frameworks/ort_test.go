package frameworks

import (
	"testing"

	"github.com/stoa-project/stoa/internal/importer/importtest"
	"github.com/stoa-project/stoa/internal/tensor"
)

// root is the module's root, from this folder.
const root = "../.."

// start opens ONNX Runtime for the rest of the test; its warnings are failures.
func start(t testing.TB) {
	t.Helper()
	importtest.Start(t)
}

// runModel runs a model file, by name.
func runModel(path string, inputs map[string]tensor.Tensor, outputs []string) (map[string]tensor.Tensor, error) {
	return importtest.Run(path, inputs, outputs)
}

func difference(got, want tensor.Tensor) (float64, error) { return importtest.Difference(got, want) }

func twice(a tensor.Tensor) tensor.Tensor { return importtest.Twice(a) }
