package layout

import (
	"fmt"
	"slices"

	"github.com/stoa-project/stoa/internal/onnx"
)

// identity tells whether an order changes nothing.
func identity(perm []int) bool {
	for i, a := range perm {
		if a != i {
			return false
		}
	}
	return true
}

func isPermutation(perm []int) bool {
	seen := make([]bool, len(perm))
	for _, a := range perm {
		if a < 0 || a >= len(perm) || seen[a] {
			return false
		}
		seen[a] = true
	}
	return true
}

// through gives the order that has the effect of first one and then another.
func through(first, then []int) []int {
	out := make([]int, len(then))
	for i, a := range then {
		out[i] = first[a]
	}
	return out
}

// inverse gives the order that undoes another.
func inverse(perm []int) []int {
	out := make([]int, len(perm))
	for i, a := range perm {
		out[a] = i
	}
	return out
}

// spell makes a key of a tensor and an order.
func spell(of string, perm []int) string { return fmt.Sprint(perm, of) }

// permuted gives the shape of a tensor with its axes in another order; nil where
// it is not known.
func permuted(shape []onnx.Dim, perm []int) []onnx.Dim {
	if len(shape) != len(perm) {
		return nil
	}
	out := make([]onnx.Dim, len(perm))
	for i, a := range perm {
		out[i] = shape[a]
	}
	return out
}

// keepsOrder tells whether only axes of one element move, so that the elements
// stay where they are in memory.
func keepsOrder(shape []onnx.Dim, perm []int) bool {
	last := -1
	for _, a := range perm {
		if shape[a].Known() && shape[a].Value == 1 {
			continue
		}
		if a < last {
			return false
		}
		last = a
	}
	return true
}

// without gives what is left of an order when some axes of its result go: gone
// lists them. The axes of what it is of go with them.
func without(perm []int, gone []int) []int {
	var left, sources []int
	for i, a := range perm {
		if !slices.Contains(gone, i) {
			left = append(left, a)
			sources = append(sources, a)
		}
	}
	slices.Sort(sources)
	for i, a := range left {
		left[i], _ = slices.BinarySearch(sources, a)
	}
	return left
}

// axesOf reads axes counted from the front or the back; false where one lies
// outside or comes twice.
func axesOf(list []int64, rank int) ([]int, bool) {
	out := make([]int, 0, len(list))
	for _, a := range list {
		if a < 0 {
			a += int64(rank)
		}
		if a < 0 || a >= int64(rank) || slices.Contains(out, int(a)) {
			return nil, false
		}
		out = append(out, int(a))
	}
	return out, true
}

// sources gives the axes of what a view is of for axes of the view.
func sources(perm []int, axes []int) []int64 {
	out := make([]int64, len(axes))
	for i, a := range axes {
		out[i] = int64(perm[a])
	}
	return out
}
