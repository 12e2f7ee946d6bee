package importer

import (
	"math"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/tensor"
)

// Tolerance is how far an answer may be from the one wanted unless a case says
// otherwise, as a share of the largest number wanted, or at all where that is
// below 1.
const Tolerance = 1e-4

// Case is an input with the output that the framework of origin gave for it.
type Case struct {
	Inputs    []string // npy files, one for each input of the network, in its order
	Outputs   []string // npy files, one for each output
	Tolerance float64  // 0: Tolerance
}

// Comparison says how far one output was from the one wanted.
type Comparison struct {
	Output    string  `json:"output"` // its name in the network
	Wanted    string  `json:"wanted"` // the file of the one wanted
	MaxAbs    float64 `json:"max_abs"`
	MaxRel    float64 `json:"max_rel"` // MaxAbs as a share of the largest number wanted, or MaxAbs where that is below 1
	Tolerance float64 `json:"tolerance"`
	OK        bool    `json:"ok"`
}

// Compare compares an output with the one wanted: they must have as many
// numbers. Whole numbers are compared as they are; a NaN where a number is
// wanted is as far off as can be.
func Compare(got, want tensor.Tensor, tolerance float64) (Comparison, error) {
	if tolerance <= 0 {
		tolerance = Tolerance
	}
	c := Comparison{Tolerance: tolerance}
	g, err := numbers(got)
	if err != nil {
		return c, err
	}
	w, err := numbers(want)
	if err != nil {
		return c, err
	}
	if len(g) != len(w) {
		return c, stoa.Errorf(stoa.Invalid, "is %s, and the network answers %s", tensor.ShapeString(want.Shape), tensor.ShapeString(got.Shape))
	}
	largest := 1.0
	for i := range w {
		if d := distance(g[i], w[i]); d > c.MaxAbs {
			c.MaxAbs = d
		}
		if a := math.Abs(w[i]); a > largest && !math.IsInf(a, 0) {
			largest = a
		}
	}
	c.MaxRel = c.MaxAbs / largest
	c.OK = c.MaxRel <= tolerance
	return c, nil
}

// distance is finite, so that JSON can hold it.
func distance(got, want float64) float64 {
	if got == want || math.IsNaN(got) && math.IsNaN(want) {
		return 0
	}
	if d := math.Abs(got - want); d <= math.MaxFloat64 {
		return d
	}
	return math.MaxFloat64
}

func numbers(t tensor.Tensor) ([]float64, error) {
	switch t.DType {
	case tensor.Float32:
		return widen(tensor.As[float32](t)), nil
	case tensor.Float64:
		return widen(tensor.As[float64](t)), nil
	case tensor.Int64:
		return widen(tensor.As[int64](t)), nil
	case tensor.Int32:
		return widen(tensor.As[int32](t)), nil
	case tensor.Int8:
		return widen(tensor.As[int8](t)), nil
	case tensor.Uint8, tensor.Bool:
		return widen(t.Data), nil
	default:
		return nil, stoa.Errorf(stoa.Unsupported, "is an array of %s, which is not compared", t.DType)
	}
}

func widen[T float32 | float64 | int64 | int32 | int8 | uint8](in []T) []float64 {
	out := make([]float64, len(in))
	for i, v := range in {
		out[i] = float64(v)
	}
	return out
}
