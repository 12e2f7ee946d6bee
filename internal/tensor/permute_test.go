package tensor

import (
	"slices"
	"testing"
)

func TestPermute(t *testing.T) {
	a := Of([]float32{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}, 2, 3, 2)
	for _, c := range []struct {
		perm  []int
		shape []int64
		want  []float32
	}{
		{[]int{0, 1, 2}, []int64{2, 3, 2}, []float32{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}},
		{[]int{2, 1, 0}, []int64{2, 3, 2}, []float32{0, 6, 2, 8, 4, 10, 1, 7, 3, 9, 5, 11}},
		{[]int{1, 0, 2}, []int64{3, 2, 2}, []float32{0, 1, 6, 7, 2, 3, 8, 9, 4, 5, 10, 11}},
		{[]int{0, 2, 1}, []int64{2, 2, 3}, []float32{0, 2, 4, 1, 3, 5, 6, 8, 10, 7, 9, 11}},
	} {
		got := Permute(a, c.perm...)
		if !slices.Equal(got.Shape, c.shape) || !slices.Equal(As[float32](got), c.want) {
			t.Errorf("%v: %v %v, want %v %v", c.perm, got.Shape, As[float32](got), c.shape, c.want)
		}
	}
	scalar := Permute(Of([]int64{7}, []int64{}...))
	if len(scalar.Shape) != 0 || As[int64](scalar)[0] != 7 {
		t.Errorf("a scalar became %v", scalar)
	}
	// Axes of one element move for nothing.
	if thin := Of([]float32{1, 2, 3}, 1, 3, 1); &Permute(thin, 1, 0, 2).Data[0] != &thin.Data[0] {
		t.Error("a copy was made where a view does")
	}
	if none := Permute(Tensor{DType: Float32, Shape: []int64{0, 3}}, 1, 0); !slices.Equal(none.Shape, []int64{3, 0}) {
		t.Errorf("of nothing: %v", none.Shape)
	}
}
