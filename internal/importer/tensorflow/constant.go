package tensorflow

import (
	"github.com/stoa-project/stoa/internal/format/graphdef/arith"
	"github.com/stoa-project/stoa/internal/tensor"
)

// constant gives the value of a tensor that follows from the file.
func (k *call) constant(name string) (tensor.Tensor, bool) {
	if name == "" {
		return tensor.Tensor{}, false
	}
	if t := k.root.Initializer(name); t != nil {
		return t.Tensor, true
	}
	if t := k.b.Initializer(name); t != nil {
		return t.Tensor, true
	}
	vs, ok := k.b.Known(name)
	if !ok {
		return tensor.Tensor{}, false
	}
	shape := k.b.Shape(name)
	if len(shape) > 1 || len(shape) == 1 && shape[0].Value != int64(len(vs)) || len(shape) == 0 && len(vs) != 1 {
		return tensor.Tensor{}, false
	}
	size := []int64{}
	if len(shape) == 1 {
		size = []int64{int64(len(vs))}
	}
	return arith.Whole(k.b.DType(name), size, vs...), true
}

// ints gives the elements of an input that must be known.
func (k *call) intsAt(i int, what string) ([]int64, error) {
	t, ok := k.constant(k.x(i))
	if !ok {
		return nil, k.unsupportedf("its %s follow from what the network is given, and must be known before it runs", what)
	}
	return arith.Ints(t), nil
}

// computed gives what a node makes of constants; nil where it takes others, or
// is none that is computed here.
func (k *call) computed() []value {
	if len(k.in) == 0 || !arith.Knows(k.Op) {
		return nil
	}
	in := make([]tensor.Tensor, len(k.in))
	for i := range k.in {
		var ok bool
		if in[i], ok = k.constant(k.x(i)); !ok {
			return nil
		}
	}
	t, ok := arith.Compute(k.Node.Node, in)
	if !ok {
		return nil
	}
	return one(k.root.Constant(k.Name, t))
}
