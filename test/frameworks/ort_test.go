package frameworks

import (
	"os"
	"path/filepath"
	"testing"

	ort "github.com/yalue/onnxruntime_go"

	"github.com/stoa-project/stoa/internal/tensor"
)

// root is the module's root, from this folder.
const root = "../.."

// library finds ONNX Runtime, or skips the test.
func library(t testing.TB) string {
	t.Helper()
	for _, path := range []string{os.Getenv("STOA_ONNXRUNTIME"), filepath.Join(root, "bin/lib/libonnxruntime.so")} {
		if path == "" {
			continue
		}
		if _, err := os.Stat(path); err == nil {
			return path
		}
	}
	t.Skip("SKIPPED: ONNX Runtime is not here; run make setup, or name its library in STOA_ONNXRUNTIME")
	return ""
}

// start opens ONNX Runtime for the rest of the test.
func start(t testing.TB) {
	t.Helper()
	ort.SetSharedLibraryPath(library(t))
	if err := ort.InitializeEnvironment(ort.WithLogLevelError()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ort.DestroyEnvironment() })
}

// runModel runs a model file of float inputs and outputs, by name.
func runModel(path string, inputs map[string]tensor.Tensor, outputs []string) (map[string]tensor.Tensor, error) {
	var names []string
	var in []ort.Value
	for name, t := range inputs {
		v, err := ort.NewTensor(ort.NewShape(t.Shape...), tensor.As[float32](t))
		if err != nil {
			return nil, err
		}
		defer v.Destroy()
		names, in = append(names, name), append(in, v)
	}
	s, err := ort.NewDynamicAdvancedSession(path, names, outputs, nil)
	if err != nil {
		return nil, err
	}
	defer s.Destroy()
	out := make([]ort.Value, len(outputs))
	if err := s.Run(in, out); err != nil {
		return nil, err
	}
	got := map[string]tensor.Tensor{}
	for i, v := range out {
		defer v.Destroy()
		if f, ok := v.(*ort.Tensor[float32]); ok {
			got[outputs[i]] = tensor.Of(append([]float32{}, f.GetData()...), f.GetShape()...)
		}
	}
	return got, nil
}
