package tensorflow

import (
	"errors"

	"github.com/stoa-project/stoa/internal/format/graphdef/arith"
	"github.com/stoa-project/stoa/internal/onnx"
	"github.com/stoa-project/stoa/internal/onnx/build"
	"github.com/stoa-project/stoa/internal/tensor"
)

// list is a list of tensors of one shape: a TensorList, or what the flow of a
// TensorArray stands for. It is never changed; who writes makes another.
type list struct {
	dtype  tensor.DType
	shape  []onnx.Dim // of an element; nil: not known
	size   string     // how many there are, a scalar; "" where base says it, or writes do
	count  int64      // the same, where it is known; else -1
	base   string     // the elements, one behind the other; "": none was written yet
	writes []write    // and what was written since
	opaque bool       // in a loop: what was written before is not to be had
	seen   *bool      // of an opaque list: whether somebody asked for it
}

// write is an element that was written; an index of "" is the next one.
type write struct{ index, item string }

// arrayInfo is what the handle of a TensorArray stands for.
type arrayInfo struct{ size string }

// errAgain says that a loop must be made once more, with a list as one tensor
// that its rounds hand on.
var errAgain = errors.New("a list is read while a loop writes it")

func (l *list) read() bool { return l.seen != nil && *l.seen }

func (l *list) with(w write) *list {
	out := *l
	out.writes = append(append([]write{}, l.writes...), w)
	return &out
}

// tensor gives all elements as one tensor. elem is the shape of those that were
// not written, where the list does not know it.
func (l *list) tensor(k *call, b *build.Builder, elem []onnx.Dim) (string, error) {
	if l.opaque {
		*l.seen = true
		return "", errAgain
	}
	if l.base != "" && len(l.writes) == 0 {
		return l.base, nil
	}
	if name, ok := l.joined(k, b); ok {
		return name, nil
	}
	base := l.base
	if base == "" {
		if !known(elem) && known(l.shape) || elem == nil {
			elem = l.shape
		}
		if !known(elem) && len(l.writes) > 0 {
			elem = b.Shape(l.writes[0].item)
		}
		size, err := k.elementsSize(l, b, elem)
		if err != nil {
			return "", err
		}
		zero := tensor.Tensor{DType: l.dtype, Shape: []int64{1}, Data: make([]byte, l.dtype.Size())}
		base = b.Op(k.Name+"/zeros", "ConstantOfShape", []string{size}, onnx.ATensor("value", zero))
	}
	if l.count == 1 && len(l.writes) > 0 { // there is one place only
		return b.Op(k.Name+"/item", "Unsqueeze", []string{l.writes[len(l.writes)-1].item, b.Ints(0)}), nil
	}
	for _, w := range l.writes {
		if w.index == "" {
			base = b.Op(k.Name+"/pushed", "Concat", []string{base, b.Op(k.Name+"/item", "Unsqueeze", []string{w.item, b.Ints(0)})}, onnx.AInt("axis", 0))
			continue
		}
		at := b.Op(k.Name+"/at", "Reshape", []string{b.Op(k.Name+"/at", "Cast", []string{w.index}, onnx.AInt("to", int64(tensor.Int64))), b.Ints(1, 1)})
		base = b.Op(k.Name+"/set", "ScatterND", []string{base, at, b.Op(k.Name+"/item", "Unsqueeze", []string{w.item, b.Ints(0)})})
	}
	return base, nil
}

// elementsSize gives the shape of all elements together, before any was written.
// Sizes that are not known are those of the network's inputs of that name; in a
// list of one element, which is written before it is read, any will do.
func (k *call) elementsSize(l *list, b *build.Builder, elem []onnx.Dim) (string, error) {
	if elem == nil || l.size == "" {
		return "", k.unsupportedf("a list is read before it was written, and the shape of its elements is not known")
	}
	parts := []string{b.Op(k.Name+"/size", "Reshape", []string{b.Op(k.Name+"/size", "Cast", []string{l.size}, onnx.AInt("to", int64(tensor.Int64))), b.Ints(1)})}
	for _, d := range elem {
		size, named := k.sizeOf[d.Param]
		switch {
		case d.Known():
			parts = append(parts, b.Ints(d.Value))
		case named && d.Param != "":
			parts = append(parts, size)
		case l.count == 1:
			parts = append(parts, b.Ints(0))
		default:
			return "", k.unsupportedf("a list is read before it was written, and the shape %s of its elements is not known", onnx.DimString(elem))
		}
	}
	return b.Op(k.Name+"/size", "Concat", parts, onnx.AInt("axis", 0)), nil
}

// joined joins elements that were written one after the other.
func (l *list) joined(k *call, b *build.Builder) (string, bool) {
	if l.base != "" || len(l.writes) == 0 || l.count > 0 && int64(len(l.writes)) != l.count {
		return "", false
	}
	items := make([]string, len(l.writes))
	for i, w := range l.writes {
		at := int64(i)
		if w.index != "" {
			t, ok := k.constant(w.index)
			v := arith.Ints(t)
			if !ok || len(v) != 1 || l.count < 0 {
				return "", false
			}
			at = v[0]
		}
		if at < 0 || at >= int64(len(items)) || items[at] != "" {
			return "", false
		}
		items[at] = b.Op(k.Name+"/item", "Unsqueeze", []string{w.item, b.Ints(0)})
	}
	return b.Op(k.Name+"/joined", "Concat", items, onnx.AInt("axis", 0)), true
}

func (k *call) listAt(i int) (*list, error) {
	if i >= len(k.in) || k.in[i].list == nil {
		return nil, k.unsupportedf("its input %d is no list whose origin is known", i)
	}
	return k.in[i].list, nil
}

// newList makes a list of a size and of elements of a shape that may have free
// sizes.
func (k *call) newList(size string, shape []int64) *list {
	l := &list{dtype: k.DType("element_dtype", k.DType("dtype", tensor.Float32)), size: size, count: -1}
	if t, ok := k.constant(size); ok {
		if v := arith.Ints(t); len(v) == 1 {
			l.count = v[0]
		}
	}
	if shape != nil {
		l.shape = make([]onnx.Dim, len(shape))
		for i, d := range shape {
			l.shape[i] = onnx.Dim{Value: max(d, -1)}
		}
	}
	return l
}

// elementShape reads a shape that is an input: -1 for one that is not known.
func (k *call) elementShape(i int) []int64 {
	t, ok := k.constant(k.x(i))
	if !ok || len(t.Shape) != 1 {
		return nil
	}
	return arith.Ints(t)
}

func tensorListReserve(k *call) ([]value, error) {
	return []value{{list: k.newList(k.x(1), k.elementShape(0))}}, nil
}

func emptyTensorList(k *call) ([]value, error) {
	return []value{{list: k.newList("", k.elementShape(0))}}, nil
}

func tensorListFromTensor(k *call) ([]value, error) { return k.listOf(k.x(0)), nil }

func (k *call) listOf(x string) []value {
	l := &list{dtype: k.b.DType(x), base: x, count: -1}
	if s := k.b.Shape(x); len(s) > 0 {
		l.shape = s[1:]
		if s[0].Known() {
			l.count = s[0].Value
		}
	}
	return []value{{list: l}}
}

func tensorListSetItem(k *call) ([]value, error) {
	l, err := k.listAt(0)
	if err != nil {
		return nil, err
	}
	return []value{{list: l.with(write{k.x(1), k.x(2)})}}, nil
}

func tensorListPushBack(k *call) ([]value, error) {
	l, err := k.listAt(0)
	if err != nil {
		return nil, err
	}
	return []value{{list: l.with(write{"", k.x(1)})}}, nil
}

func tensorListGetItem(k *call) ([]value, error) { return k.element(0, k.x(1)) }

func (k *call) element(at int, index string) ([]value, error) {
	l, err := k.listAt(at)
	if err != nil {
		return nil, err
	}
	all, err := l.tensor(k, k.b, nil)
	if err != nil {
		return nil, err
	}
	return one(k.last("Gather", []string{all, index})), nil
}

func tensorListStack(k *call) ([]value, error) { return k.stack(0) }

func (k *call) stack(at int) ([]value, error) {
	l, err := k.listAt(at)
	if err != nil {
		return nil, err
	}
	all, err := l.tensor(k, k.b, nil)
	return one(all), err
}

func tensorListGather(k *call) ([]value, error) {
	l, err := k.listAt(0)
	if err != nil {
		return nil, err
	}
	return k.gatherFrom(l, k.x(1))
}

func (k *call) gatherFrom(l *list, indices string) ([]value, error) {
	all, err := l.tensor(k, k.b, nil)
	if err != nil || k.marks[indices]&markRange != 0 {
		return one(all), err
	}
	return one(k.last("Gather", []string{all, indices})), nil
}

func tensorListLength(k *call) ([]value, error) {
	l, err := k.listAt(0)
	if err != nil {
		return nil, err
	}
	return k.length(l)
}

func (k *call) length(l *list) ([]value, error) {
	switch {
	case l.count >= 0:
		return one(k.root.Constant(k.Name, tensor.Of([]int32{int32(l.count)}, []int64{}...))), nil
	case l.size != "":
		return one(l.size), nil
	}
	all, err := l.tensor(k, k.b, nil)
	if err != nil {
		return nil, err
	}
	n := k.op("Gather", []string{k.op("Shape", []string{all}), k.b.Int(0)})
	return one(k.last("Cast", []string{n}, onnx.AInt("to", int64(tensor.Int32)))), nil
}

// listConcat joins the elements along their first axis.
func listConcat(at int) operator {
	return func(k *call) ([]value, error) {
		l, err := k.listAt(at)
		if err != nil {
			return nil, err
		}
		all, err := l.tensor(k, k.b, nil)
		if err != nil {
			return nil, err
		}
		shape, err := k.shapeOf(all)
		if err != nil || len(shape) < 2 {
			return nil, k.unsupportedf("the dimensions of its elements are not known")
		}
		rest := k.op("Slice", []string{k.op("Shape", []string{all}), k.b.Ints(2), k.b.Ints(1 << 40), k.b.Ints(0)})
		return one(k.last("Reshape", []string{all, k.op("Concat", []string{k.b.Ints(-1), rest}, onnx.AInt("axis", 0))})), nil
	}
}

// TensorArrays of TensorFlow 1: a handle, and a flow that goes from one that
// writes to the next.

func tensorArray(k *call) ([]value, error) {
	shape := k.ShapeOf("element_shape")
	return []value{{array: &arrayInfo{k.x(0)}}, {list: k.newList(k.x(0), shape)}}, nil
}

func tensorArrayWrite(k *call) ([]value, error) {
	l, err := k.listAt(3)
	if err != nil {
		return nil, err
	}
	return []value{{list: l.with(write{k.x(1), k.x(2)})}}, nil
}

func tensorArrayRead(k *call) ([]value, error) { return k.element(2, k.x(1)) }

func tensorArrayGather(k *call) ([]value, error) {
	l, err := k.listAt(2)
	if err != nil {
		return nil, err
	}
	return k.gatherFrom(l, k.x(1))
}

func tensorArrayScatter(k *call) ([]value, error) {
	l, err := k.listAt(3)
	if err != nil {
		return nil, err
	}
	t, ok := k.constant(k.x(1))
	inOrder := k.marks[k.x(1)]&markRange != 0
	if ok {
		inOrder = true
		for i, v := range arith.Ints(t) {
			inOrder = inOrder && v == int64(i)
		}
	}
	if !inOrder || l.base != "" || len(l.writes) > 0 {
		return nil, k.unsupportedf("it writes elements in an order that is not known")
	}
	return k.listOf(k.x(2)), nil
}

func tensorArraySize(k *call) ([]value, error) {
	l, err := k.listAt(1)
	if err != nil {
		return nil, err
	}
	return k.length(l)
}
