package tensor_test

import (
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/tensor"
)

func TestElements(t *testing.T) {
	t.Parallel()
	tests := []struct {
		shape []int64
		want  int64
		kind  stoa.Kind
		fails bool
	}{
		{nil, 1, 0, false},
		{[]int64{2, 3, 4}, 24, 0, false},
		{[]int64{5, 0}, 0, 0, false},
		{[]int64{2, -1}, 0, stoa.Invalid, true},
		{[]int64{math.MaxInt64, 2}, 0, stoa.TooLarge, true},
		{[]int64{1 << 32, 1 << 32}, 0, stoa.TooLarge, true},
	}
	for _, tt := range tests {
		got, err := tensor.Elements(tt.shape)
		if (err != nil) != tt.fails || got != tt.want || tt.fails && stoa.KindOf(err) != tt.kind {
			t.Errorf("Elements(%v) = %d, %v", tt.shape, got, err)
		}
	}
	if _, err := tensor.Bytes(tensor.Float64, []int64{1 << 61}); stoa.KindOf(err) != stoa.TooLarge {
		t.Errorf("Bytes overflows: %v", err)
	}
	if _, err := tensor.Bytes(tensor.String, []int64{1}); stoa.KindOf(err) != stoa.Unsupported {
		t.Errorf("Bytes of strings: %v", err)
	}
}

func TestShapeString(t *testing.T) {
	t.Parallel()
	if got := tensor.ShapeString([]int64{-1, 3, 224}); got != "?x3x224" {
		t.Error(got)
	}
	if got := tensor.ShapeString(nil); got != "scalar" {
		t.Error(got)
	}
}

func TestOfAs(t *testing.T) {
	t.Parallel()
	x := tensor.Of([]float32{1, 2, 3, 4}, 2, 2)
	if err := x.Check(); err != nil {
		t.Fatal(err)
	}
	// A view that is not aligned is copied, and reads the same.
	odd := append([]byte{9}, x.Data...)
	for _, data := range [][]byte{x.Data, odd[1:]} {
		got := tensor.As[float32](tensor.Tensor{DType: tensor.Float32, Shape: x.Shape, Data: data})
		if d := cmp.Diff([]float32{1, 2, 3, 4}, got); d != "" {
			t.Error(d)
		}
	}
	x.Data = x.Data[:15]
	if x.Check() == nil {
		t.Error("a short array passes Check")
	}
}

func TestDTypeText(t *testing.T) {
	t.Parallel()
	for n := range 256 {
		text, err := tensor.DType(n).MarshalText()
		if err != nil {
			t.Fatal(err)
		}
		var d tensor.DType
		if err := d.UnmarshalText(text); err != nil || d != tensor.DType(n) {
			t.Errorf("%s was read as %v: %v", text, d, err)
		}
	}
	for _, s := range []string{"", "float", "dtype()", "dtype(256)", "dtype(1)", "dtype(+0)", "17"} {
		var d tensor.DType
		if err := d.UnmarshalText([]byte(s)); err == nil {
			t.Errorf("%q was read as %v", s, d)
		}
	}
}
