package tensor

// Permute gives t with its axes in another order: axis i of the result is axis
// perm[i] of t, as in numpy's transpose and ONNX's Transpose. t must have been
// checked, and perm must name each of its axes once. Where the order of the
// elements stays, the result views t; else it is a copy.
func Permute(t Tensor, perm ...int) Tensor {
	shape := make([]int64, len(perm))
	for i, p := range perm {
		shape[i] = t.Shape[p]
	}
	out := Tensor{DType: t.DType, Shape: shape, Data: t.Data}
	size := int(t.DType.Size())
	if len(t.Data) == 0 || size == 0 || keepsOrder(t.Shape, perm) {
		return out
	}
	// The strides of the source, in bytes, in the order of the result's axes.
	source := make([]int, len(perm))
	for i, p := range perm {
		source[i] = size
		for _, n := range t.Shape[p+1:] {
			source[i] *= int(n)
		}
	}
	out.Data = make([]byte, len(t.Data))
	copyAxes(out.Data, t.Data, shape, source, size)
	return out
}

// keepsOrder tells whether only axes of one element move.
func keepsOrder(shape []int64, perm []int) bool {
	last := -1
	for _, p := range perm {
		if shape[p] == 1 {
			continue
		}
		if p < last {
			return false
		}
		last = p
	}
	return true
}

// copyAxes fills dst, whose axes have the given sizes, with elements of src that
// lie strides bytes apart.
func copyAxes(dst, src []byte, shape []int64, strides []int, size int) {
	last := len(shape) - 1
	index := make([]int, last)
	from, at := 0, 0
	for {
		for k, p := 0, from; k < int(shape[last]); k++ {
			copy(dst[at:at+size], src[p:p+size])
			at += size
			p += strides[last]
		}
		axis := last - 1
		for ; axis >= 0; axis-- {
			index[axis]++
			from += strides[axis]
			if index[axis] < int(shape[axis]) {
				break
			}
			from -= index[axis] * strides[axis]
			index[axis] = 0
		}
		if axis < 0 {
			return
		}
	}
}
