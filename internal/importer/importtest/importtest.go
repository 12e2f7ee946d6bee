// Package importtest runs imported networks in ONNX Runtime for tests and
// compares what they give with what a framework gave.
package importtest

import (
	"context"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	ort "github.com/yalue/onnxruntime_go"
	"golang.org/x/sys/unix"

	"github.com/stoa-project/stoa/internal/importer"
	"github.com/stoa-project/stoa/internal/tensor"
)

// Library finds ONNX Runtime, as make setup puts it or STOA_ONNXRUNTIME names
// it; "" where it is not here.
func Library() string {
	_, here, _, _ := runtime.Caller(0)
	named := os.Getenv("STOA_ONNXRUNTIME") //nolint:forbidigo // only tests come here
	for _, path := range []string{named, filepath.Join(filepath.Dir(here), "../../../bin/lib/libonnxruntime.so")} {
		if path == "" {
			continue
		}
		if _, err := os.Stat(path); err == nil {
			return path
		}
	}
	return ""
}

// Start opens ONNX Runtime for the rest of a test, or skips the test. What the
// runtime has to complain of when it loads or runs networks fails the test.
func Start(t testing.TB) {
	t.Helper()
	lib := Library()
	if lib == "" {
		t.Skip("SKIPPED: ONNX Runtime is not here; run make setup, or name its library in STOA_ONNXRUNTIME")
	}
	complaints := hear(t)
	done, err := Open(lib)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		done()
		for line := range strings.Lines(complaints()) {
			switch {
			case foreign(line):
			case strings.Contains(line, "[W:"):
				t.Errorf("ONNX Runtime warns: %.400s", line)
			default:
				_, _ = os.Stderr.WriteString(line)
			}
		}
	})
}

// Open opens ONNX Runtime for a program that is no test, until done is called.
func Open(lib string) (done func(), err error) {
	ort.SetSharedLibraryPath(lib)
	if err := ort.InitializeEnvironment(ort.WithLogLevelWarning()); err != nil {
		return nil, err
	}
	return func() { _ = ort.DestroyEnvironment() }, nil
}

// foreign tells whether a warning is of what only files of others have, which
// are taken as they are.
func foreign(line string) bool {
	return strings.Contains(line, "appears in graph inputs and will not be treated as constant") ||
		strings.Contains(line, "Removing initializer") && strings.Contains(line, "blobs_queue")
}

// hear keeps what is written to the standard error, where the runtime's own code
// writes, and gives it back to everybody at the end.
func hear(t testing.TB) (heard func() string) {
	t.Helper()
	file, err := os.CreateTemp(t.TempDir(), "stderr")
	if err != nil {
		t.Fatal(err)
	}
	old, err := unix.Dup(unix.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.Dup3(int(file.Fd()), unix.Stderr, 0); err != nil {
		t.Fatal(err)
	}
	return func() string {
		_ = unix.Dup3(old, unix.Stderr, 0)
		_ = unix.Close(old)
		data, err := os.ReadFile(file.Name())
		_ = file.Close()
		if err != nil {
			t.Error(err)
		}
		return string(data)
	}
}

// Network is an imported network in a file.
type Network struct {
	Report importer.Report
	Path   string
}

// Import imports a model of a folder, and writes it as workers take it into dir.
func Import(ctx context.Context, plugs []importer.Plug, from, dir string, opt importer.Options) (Network, error) {
	src, err := importer.Dir(from)
	if err != nil {
		return Network{}, err
	}
	defer src.Close()
	im, err := importer.Import(ctx, plugs, src, opt)
	if err != nil {
		return Network{}, err
	}
	defer im.Close()
	if _, err := im.Write(dir); err != nil {
		return Network{}, err
	}
	return Network{Report: im.Report, Path: filepath.Join(dir, importer.ModelFile)}, Keep(im, from)
}

// Keep writes a network into the folder that STOA_KEEP_ONNX names, if any, for
// ONNX's own checker; see tools/test-checker.sh.
func Keep(im *importer.Imported, name string) error {
	dir := os.Getenv("STOA_KEEP_ONNX") //nolint:forbidigo // only tests come here
	const most = 64 << 20              // the large ones say nothing more
	if dir == "" || im.Report.WeightBytes > most {
		return nil
	}
	name = im.Report.Framework + "_" + strings.NewReplacer("/", "_", ".", "_").Replace(strings.Trim(name, "./")) + "_" + strconv.Itoa(int(kept.Add(1)))
	return im.WriteFile(filepath.Join(dir, name+".onnx"))
}

var kept atomic.Int64 // numbers that tell networks of one name apart

// Run runs a model file on arrays by name, and gives the outputs asked for.
func Run(path string, inputs map[string]tensor.Tensor, outputs []string) (map[string]tensor.Tensor, error) {
	s, err := Load(path, inputs, outputs, nil)
	if err != nil {
		return nil, err
	}
	defer s.Close()
	return s.Run()
}

// Session is a model file that is loaded, with the inputs to run it on.
type Session struct {
	outputs []string
	in      []ort.Value
	s       *ort.DynamicAdvancedSession
}

// Load loads a model file; options may be nil.
func Load(path string, inputs map[string]tensor.Tensor, outputs []string, options *ort.SessionOptions) (*Session, error) {
	var names []string
	s := &Session{outputs: outputs}
	for name, t := range inputs {
		v, err := value(t)
		if err != nil {
			s.Close()
			return nil, fmt.Errorf("input %s: %w", name, err)
		}
		names, s.in = append(names, name), append(s.in, v)
	}
	var err error
	if s.s, err = ort.NewDynamicAdvancedSession(path, names, outputs, options); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// Run runs the model once.
func (s *Session) Run() (map[string]tensor.Tensor, error) {
	out := make([]ort.Value, len(s.outputs))
	if err := s.s.Run(s.in, out); err != nil {
		return nil, err
	}
	got := map[string]tensor.Tensor{}
	var err error
	for i, v := range out {
		defer v.Destroy()
		if got[s.outputs[i]], err = array(v); err != nil {
			return nil, fmt.Errorf("output %s: %w", s.outputs[i], err)
		}
	}
	return got, nil
}

// Close frees what the session holds.
func (s *Session) Close() {
	for _, v := range s.in {
		_ = v.Destroy()
	}
	if s.s != nil {
		_ = s.s.Destroy()
	}
}

func value(t tensor.Tensor) (ort.Value, error) {
	if err := t.Check(); err != nil {
		return nil, err
	}
	if len(t.Shape) > 0 {
		return ort.NewCustomDataTensor(ort.NewShape(t.Shape...), t.Data, ort.TensorElementDataType(t.DType))
	}
	switch t.DType {
	case tensor.Float32:
		return ort.NewScalar(tensor.As[float32](t)[0])
	case tensor.Int32:
		return ort.NewScalar(tensor.As[int32](t)[0])
	case tensor.Int64:
		return ort.NewScalar(tensor.As[int64](t)[0])
	}
	return nil, fmt.Errorf("a scalar of %s", t.DType)
}

// array copies an output.
func array(v ort.Value) (tensor.Tensor, error) {
	switch x := v.(type) {
	case *ort.Tensor[float32]:
		return tensor.Of(slices.Clone(x.GetData()), x.GetShape()...), nil
	case *ort.Tensor[float64]:
		return tensor.Of(slices.Clone(x.GetData()), x.GetShape()...), nil
	case *ort.Tensor[int64]:
		return tensor.Of(slices.Clone(x.GetData()), x.GetShape()...), nil
	case *ort.Tensor[int32]:
		return tensor.Of(slices.Clone(x.GetData()), x.GetShape()...), nil
	case *ort.Tensor[int8]:
		return tensor.Of(slices.Clone(x.GetData()), x.GetShape()...), nil
	case *ort.Tensor[uint8]:
		return tensor.Of(slices.Clone(x.GetData()), x.GetShape()...), nil
	case *ort.Tensor[bool]:
		t := tensor.Tensor{DType: tensor.Bool, Shape: x.GetShape()}
		for _, b := range x.GetData() {
			var n byte
			if b {
				n = 1
			}
			t.Data = append(t.Data, n)
		}
		return t, nil
	}
	return tensor.Tensor{}, fmt.Errorf("%T is not taken", v)
}

// Difference gives the largest difference between two arrays of one type and
// shape. Where both have an infinity or no number at a place, they agree there.
func Difference(got, want tensor.Tensor) (float64, error) {
	if got.DType != want.DType || !slices.Equal(got.Shape, want.Shape) {
		return 0, fmt.Errorf("got %s %s, want %s %s", got.DType, tensor.ShapeString(got.Shape), want.DType, tensor.ShapeString(want.Shape))
	}
	a, err := numbers(got)
	if err != nil {
		return 0, err
	}
	b, err := numbers(want)
	if err != nil {
		return 0, err
	}
	worst := 0.0
	for i := range a {
		if a[i] == b[i] || math.IsNaN(a[i]) && math.IsNaN(b[i]) {
			continue
		}
		d := math.Abs(a[i] - b[i])
		if math.IsNaN(d) {
			return 0, fmt.Errorf("element %d is %g, want %g", i, a[i], b[i])
		}
		worst = max(worst, d)
	}
	return worst, nil
}

// Scale gives the largest number of an array, at least 1: tolerances are shares
// of it.
func Scale(t tensor.Tensor) float64 { return max(1, Largest(t)) }

// Largest gives the largest number of an array without its sign; infinities do
// not count. It is above 0.
func Largest(t tensor.Tensor) float64 {
	vs, err := numbers(t)
	scale := math.SmallestNonzeroFloat64
	for _, v := range vs {
		if m := math.Abs(v); err == nil && !math.IsInf(m, 0) && m > scale {
			scale = m
		}
	}
	return scale
}

func numbers(t tensor.Tensor) ([]float64, error) {
	switch t.DType {
	case tensor.Float32:
		return wide(tensor.As[float32](t)), nil
	case tensor.Float64:
		return tensor.As[float64](t), nil
	case tensor.Int64:
		return wide(tensor.As[int64](t)), nil
	case tensor.Int32:
		return wide(tensor.As[int32](t)), nil
	case tensor.Int8:
		return wide(tensor.As[int8](t)), nil
	case tensor.Uint8, tensor.Bool:
		return wide(t.Data), nil
	}
	return nil, fmt.Errorf("arrays of %s are not compared", t.DType)
}

func wide[T int64 | int32 | int8 | uint8 | float32](vs []T) []float64 {
	out := make([]float64, len(vs))
	for i, v := range vs {
		out[i] = float64(v)
	}
	return out
}

// Twice puts an array behind itself along its first axis.
func Twice(a tensor.Tensor) tensor.Tensor {
	shape := slices.Clone(a.Shape)
	shape[0] *= 2
	return tensor.Tensor{DType: a.DType, Shape: shape, Data: slices.Concat(a.Data, a.Data)}
}
