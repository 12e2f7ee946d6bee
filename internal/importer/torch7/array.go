package torch7

import (
	"slices"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/onnx"
	"github.com/stoa-project/stoa/internal/tensor"
)

// ReadTensor reads a file that holds one tensor, as torch.save writes it.
func ReadTensor(file string, data []byte) (tensor.Tensor, error) {
	v, err := decode(file, data)
	if err != nil {
		return tensor.Tensor{}, err
	}
	a, ok := v.(*array)
	if !ok {
		return tensor.Tensor{}, stoa.Errorf(stoa.Invalid, "%s holds no tensor", file)
	}
	t, err := a.floats(int64(len(data)))
	if err != nil {
		return tensor.Tensor{}, stoa.Wrap(stoa.KindOf(err), err, "%s: %s", file, stoa.AsError(err).Msg)
	}
	return t, nil
}

// elements gives the elements of an array in order: a view where they lie so,
// else a copy of no more than the given number of bytes.
func (a *array) elements(most int64) (tensor.Tensor, error) {
	t := tensor.Tensor{DType: a.dtype, Shape: slices.Clone(a.size)}
	if len(a.size) == 0 { // what Torch7 calls a tensor without dimensions has no elements
		t.Shape = []int64{0}
		return t, nil
	}
	n, err := tensor.Bytes(a.dtype, a.size)
	if err != nil {
		return t, err
	}
	if n == 0 {
		return t, nil
	}
	if a.in == nil || a.in.dtype != a.dtype {
		return t, stoa.Errorf(stoa.Invalid, "a tensor of %s has no memory of its type", tensor.ShapeString(a.size))
	}
	size := a.dtype.Size()
	have := int64(len(a.in.data)) / size
	last, plain, step := a.offset, true, int64(1)
	for i, s := range slices.Backward(a.size) {
		if a.stride[i] < 0 || a.stride[i] > have {
			return t, stoa.Errorf(stoa.Invalid, "a tensor's stride of %d leads out of its memory", a.stride[i])
		}
		plain = plain && (a.stride[i] == step || s == 1)
		step *= s
		if s-1 > have {
			return t, stoa.Errorf(stoa.Invalid, "a tensor of %s reaches beyond its memory of %d elements", tensor.ShapeString(a.size), have)
		}
		last += (s - 1) * a.stride[i]
	}
	if a.offset < 0 || last >= have {
		return t, stoa.Errorf(stoa.Invalid, "a tensor of %s reaches beyond its memory of %d elements", tensor.ShapeString(a.size), have)
	}
	if plain {
		t.Data = a.in.data[a.offset*size : a.offset*size+n]
		return t, nil
	}
	if n > most {
		return t, stoa.Errorf(stoa.TooLarge, "a tensor of %s takes more memory than its file", tensor.ShapeString(a.size))
	}
	t.Data = make([]byte, 0, n)
	a.gather(&t.Data, 0, a.offset)
	return t, nil
}

// gather appends the elements of axis and those after it, from an element on.
func (a *array) gather(to *[]byte, axis int, from int64) {
	size := a.dtype.Size()
	if axis == len(a.size) {
		*to = append(*to, a.in.data[from*size:(from+1)*size]...)
		return
	}
	for range a.size[axis] {
		a.gather(to, axis+1, from)
		from += a.stride[axis]
	}
}

// floats is elements as 32-bit floats.
func (a *array) floats(most int64) (tensor.Tensor, error) {
	t, err := a.elements(most)
	if err != nil || t.DType == tensor.Float32 {
		return t, err
	}
	return tensor.Of((&onnx.Tensor{Tensor: t}).Floats(), t.Shape...), nil
}

// ints gives the numbers of a storage or an array of whole numbers.
func ints(v any) []int64 {
	switch s := v.(type) {
	case *storage:
		return (&onnx.Tensor{Tensor: tensor.Tensor{DType: s.dtype, Data: s.data}}).Ints()
	case *array:
		if t, err := s.elements(1 << 16); err == nil {
			return (&onnx.Tensor{Tensor: t}).Ints()
		}
	case *table:
		var out []int64
		for _, e := range s.list() {
			f, ok := e.(float64)
			if !ok {
				return nil
			}
			out = append(out, int64(f))
		}
		return out
	}
	return nil
}
