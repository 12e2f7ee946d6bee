package serve

import (
	"context"
	"fmt"
	"math"
	"os"
	"path/filepath"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/blob"
	"github.com/stoa-project/stoa/internal/format/npy"
	"github.com/stoa-project/stoa/internal/importer"
	"github.com/stoa-project/stoa/internal/tensor"
	"github.com/stoa-project/stoa/internal/worker"
	"github.com/stoa-project/stoa/internal/worker/ort"
)

// Tolerance is how far an answer may be from what Compare was told to expect,
// as a share of the largest number expected, or at all where that is below 1.
const Tolerance = 1e-4

// Compare runs an ONNX file on each input array and gives the largest
// difference from the array wanted, by the measure of Tolerance. The network
// must have one input and one output.
func Compare(ctx context.Context, library, model string, pairs [][2]string) (float64, string, error) {
	if library == "" {
		return 0, "", stoa.Errorf(stoa.Unavailable, "ONNX Runtime is not there: run make setup, or give --onnxruntime PATH")
	}
	dir, name := filepath.Split(model)
	if dir == "" {
		dir = "."
	}
	src, err := importer.Dir(dir)
	if err != nil {
		return 0, "", err
	}
	defer src.Close()
	report, err := importer.Inspect(ctx, Plugs(), src, importer.Options{Files: []string{name}})
	if err != nil {
		return 0, "", err
	}
	if len(report.Inputs) != 1 || len(report.Outputs) != 1 {
		return 0, "", stoa.Errorf(stoa.Unsupported, "--check needs a network of one input and one output; this has %d and %d (choose with --input and --output)", len(report.Inputs), len(report.Outputs))
	}
	scratch, err := os.MkdirTemp("", "stoa-check-")
	if err != nil {
		return 0, "", stoa.Wrap(stoa.Internal, err, "no folder for scratch: %v", err)
	}
	defer func() { _ = os.RemoveAll(scratch) }()
	engine, err := ort.New(ort.Config{Library: library, Fetcher: oneFile(model), Scratch: scratch})
	if err != nil {
		return 0, "", err
	}
	m := worker.Model{
		ID: "check", Manifest: []byte(`{"kind":"model"}`), Inputs: report.Inputs, Outputs: report.Outputs,
		Files: []blob.File{{Name: worker.ModelFile}},
	}
	if _, err := engine.Load(ctx, m); err != nil {
		return 0, "", err
	}
	worst := 0.0
	for _, p := range pairs {
		d, err := compareOne(ctx, engine, p)
		if err != nil {
			return 0, "", err
		}
		worst = max(worst, d)
	}
	return worst, fmt.Sprintf("%d pairs compared, tolerance %g", len(pairs), Tolerance), nil
}

// oneFile is a Fetcher of a model in one file.
type oneFile string

// Fetch gives the file's path; see worker.Fetcher.
func (f oneFile) Fetch(context.Context, blob.File) (string, error) { return filepath.Abs(string(f)) }

func compareOne(ctx context.Context, e *ort.Engine, pair [2]string) (float64, error) {
	in, err := readNpy(pair[0])
	if err != nil {
		return 0, err
	}
	want, err := readNpy(pair[1])
	if err != nil {
		return 0, err
	}
	got, err := e.Tensors(ctx, "check", []tensor.Tensor{in})
	if err != nil {
		return 0, err
	}
	if got[0].DType != tensor.Float32 || want.DType != tensor.Float32 || len(got[0].Data) != len(want.Data) {
		return 0, stoa.Errorf(stoa.Invalid, "%s is %s %s, and the network answers %s %s", pair[1],
			tensor.ShapeString(want.Shape), want.DType, tensor.ShapeString(got[0].Shape), got[0].DType)
	}
	return difference(tensor.As[float32](got[0]), tensor.As[float32](want)), nil
}

func difference(got, want []float32) float64 {
	largest, worst := 1.0, 0.0
	for i := range want {
		largest = max(largest, math.Abs(float64(want[i])))
		d := math.Abs(float64(got[i]) - float64(want[i]))
		if math.IsNaN(d) {
			return math.Inf(1)
		}
		worst = max(worst, d)
	}
	return worst / largest
}

func readNpy(path string) (tensor.Tensor, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return tensor.Tensor{}, stoa.Wrap(stoa.NotFound, err, "%s cannot be read: %v", path, err)
	}
	t, err := npy.Parse(b)
	if err != nil {
		e := *stoa.AsError(err)
		e.Msg = path + ": " + e.Msg
		return t, &e
	}
	return t, nil
}
