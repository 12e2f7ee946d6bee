package layout

import (
	"slices"
	"testing"
)

func TestOrders(t *testing.T) {
	first, last := []int{0, 3, 1, 2}, []int{0, 2, 3, 1} // to channels first, and to channels last
	if got := through(first, last); !identity(got) {
		t.Errorf("there and back is %v", got)
	}
	if got := inverse(first); !slices.Equal(got, last) {
		t.Errorf("the inverse of %v is %v, want %v", first, got, last)
	}
	// A view in channels-last order loses its height and width: what is left is
	// in the order of its source; without the batch it is not.
	if got := without(last, []int{1, 2}); !identity(got) {
		t.Errorf("left of height and width gone is %v", got)
	}
	if got := without(last, []int{0}); !slices.Equal(got, []int{1, 2, 0}) {
		t.Errorf("left of the batch gone is %v", got)
	}
	for _, bad := range [][]int{{0, 0}, {1}, {-1, 0}, {0, 2}} {
		if isPermutation(bad) {
			t.Errorf("%v is no permutation", bad)
		}
	}
	if _, ok := axesOf([]int64{1, -3}, 4); ok {
		t.Error("an axis that comes twice was taken")
	}
}
