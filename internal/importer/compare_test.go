package importer_test

import (
	"math"
	"testing"

	"github.com/stoa-project/stoa/internal/importer"
	"github.com/stoa-project/stoa/internal/tensor"
)

func TestCompare(t *testing.T) {
	nan := float32(math.NaN())
	for name, c := range map[string]struct {
		got, want     tensor.Tensor
		tolerance     float64
		abs, rel      float64
		ok, malformed bool
	}{
		"same":            {got: tensor.Of([]float32{1, nan}, 2), want: tensor.Of([]float32{1, nan}, 2), ok: true},
		"small numbers":   {got: tensor.Of([]float32{0.5}, 1), want: tensor.Of([]float32{0.25}, 1), abs: 0.25, rel: 0.25},
		"large numbers":   {got: tensor.Of([]float32{1001, -4000}, 2), want: tensor.Of([]float32{1000, -4000}, 2), abs: 1, rel: 0.00025},
		"tolerated":       {got: tensor.Of([]float32{1001, -4000}, 2), want: tensor.Of([]float32{1000, -4000}, 2), tolerance: 0.001, abs: 1, rel: 0.00025, ok: true},
		"no number":       {got: tensor.Of([]float32{nan}, 1), want: tensor.Of([]float32{0}, 1), abs: math.MaxFloat64, rel: math.MaxFloat64},
		"another type":    {got: tensor.Of([]int64{3}, 1), want: tensor.Of([]float64{3}, 1), ok: true},
		"another rank":    {got: tensor.Of([]float32{3}, 1, 1), want: tensor.Of([]float32{3}, 1), ok: true},
		"fewer":           {got: tensor.Of([]float32{3}, 1), want: tensor.Of([]float32{3, 4}, 2), malformed: true},
		"not to compare":  {got: tensor.Tensor{DType: tensor.String}, want: tensor.Of([]float32{3}, 1), malformed: true},
		"wants a strange": {got: tensor.Of([]float32{3}, 1), want: tensor.Tensor{DType: tensor.BFloat16, Data: []byte{0, 0}}, malformed: true},
	} {
		got, err := importer.Compare(c.got, c.want, c.tolerance)
		if (err != nil) != c.malformed {
			t.Errorf("%s: %v", name, err)
		}
		if err == nil && (got.MaxAbs != c.abs || got.MaxRel != c.rel || got.OK != c.ok) {
			t.Errorf("%s: %+v", name, got)
		}
	}
}
