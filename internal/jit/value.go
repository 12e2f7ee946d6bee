package jit

import (
	"github.com/stoa-project/stoa/internal/format/torchscript"
	"github.com/stoa-project/stoa/internal/onnx"
	"github.com/stoa-project/stoa/internal/tensor"
)

// Value is what a variable of the code holds: nil, bool, int64, float64, string,
// *num, *ten, *list, *dict, tuple, *record, *obj, *fn, *opaque, *weight or
// unknown.
type Value any

type (
	// Tuple is a tuple.
	Tuple []Value
	// List is a list.
	List struct{ Items []Value }
	dict struct{ keys, values []Value }
	// record is a named tuple.
	record struct {
		class *torchscript.Class
		items []Value
	}
	// obj is a module or another object with fields.
	obj struct {
		class  string // its full name
		path   string // where it stands in the network, such as "layer1.0.conv1"
		fields map[string]Value
	}
	// fn is a function of the code.
	fn struct{ def *torchscript.Func }
	// enum is a member of an enumeration.
	enum struct {
		class, name string
		v           Value
	}
	// Unknown is what an operator that is not supported gives: whatever is made
	// of it is unknown too, so that all such operators are found in one go.
	Unknown struct{}
)

// probes is how many sizes of each free dimension are followed at once. What is
// the same for all of them does not depend on the dimension.
const probes = 6

// Num is a number that depends on the sizes of inputs. A number that does not is
// a plain int64 or float64.
type Num struct {
	Float bool
	N     [probes]int64
	f     [probes]float64
	Make  func() string // adds the nodes that compute it and gives a tensor of shape [1]
	name  string        // that tensor, once it was made
	loose bool          // it is a remainder, which chance may make the same for all sizes that are tried
}

// Tensor is a tensor. Operations in place change its name, and all who hold it see
// that.
type Tensor struct {
	Name string
	// scalar is the value of a tensor without dimensions, where it is known: it
	// becomes a tensor of the graph only when it must. Its name is "" until then.
	Scalar Value
	Dtype  tensor.DType // of a scalar

	Blank int // 1 + the input whose shape nobody told; 0: none

	version int
	view    *view
	Zero    bool // all its elements are nought
}

// view says of which tensor another is a part, and how to take it and put it
// back.
type view struct {
	base    *Tensor
	version int // of the base, when the part was taken
	take    func() string
	put     func(part string) string // gives the changed base
}

// IsTensor tells whether a value is a tensor.
func IsTensor(v Value) bool { _, ok := v.(*Tensor); return ok }

// KindOf names a value's kind for messages.
func KindOf(v Value) string {
	switch x := v.(type) {
	case nil:
		return "None"
	case bool:
		return "bool"
	case int64:
		return "int"
	case float64:
		return "float"
	case *Num:
		if x.Float {
			return "float"
		}
		return "int"
	case string:
		return "str"
	case *Tensor:
		return "Tensor"
	case *List:
		return "List"
	case *dict:
		return "Dict"
	case Tuple, *record:
		return "Tuple"
	case *obj:
		return x.class
	case *fn:
		return "function"
	}
	return "object"
}

// Items gives the elements of a list or a tuple.
func Items(v Value) ([]Value, bool) {
	switch x := v.(type) {
	case *List:
		return x.Items, true
	case Tuple:
		return x, true
	case *record:
		return x.items, true
	}
	return nil, false
}

// hasUnknown tells whether a value is, or holds, what is not known.
func hasUnknown(v Value, depth int) bool {
	if _, ok := v.(Unknown); ok {
		return true
	}
	vs, _ := Items(v)
	if depth > 4 {
		return false
	}
	for _, e := range vs {
		if hasUnknown(e, depth+1) {
			return true
		}
	}
	return false
}

// Dtypes are PyTorch's numbers of element types.
var Dtypes = map[int64]tensor.DType{
	0: tensor.Uint8, 1: tensor.Int8, 2: tensor.Int16, 3: tensor.Int32, 4: tensor.Int64, 5: tensor.Float16, 6: tensor.Float32,
	7: tensor.Float64, 11: tensor.Bool, 15: tensor.BFloat16,
}

func dtypeNumber(t tensor.DType) int64 {
	for n, d := range Dtypes {
		if d == t {
			return n
		}
	}
	return 6
}

// Category orders types as promotion does: bool, whole numbers, floats.
func Category(t tensor.DType) int {
	switch t {
	case tensor.Undefined:
		return -1
	case tensor.Bool:
		return 0
	case tensor.Float16, tensor.Float32, tensor.Float64, tensor.BFloat16:
		return 2
	default:
		return 1
	}
}

// Wider gives the type that holds both.
func Wider(a, b tensor.DType) tensor.DType {
	switch {
	case a == tensor.Undefined || a == b:
		return b
	case b == tensor.Undefined:
		return a
	case Category(a) != Category(b):
		if Category(a) > Category(b) {
			return a
		}
		return b
	case a == tensor.Uint8 && b == tensor.Int8 || a == tensor.Int8 && b == tensor.Uint8:
		return tensor.Int16
	case a.Size() >= b.Size():
		return a
	}
	return b
}

// combine lets tensors with dimensions decide over those without, and these over
// plain numbers, unless the others are of a higher category.
func combine(higher, lower tensor.DType) tensor.DType {
	switch {
	case Category(higher) == 2:
		return higher
	case higher == tensor.Bool || Category(lower) == 2:
		return Wider(higher, lower)
	case higher != tensor.Undefined:
		return higher
	}
	return lower
}

// Weight is a tensor of the file.
type Weight struct {
	Dtype  tensor.DType
	Size   []int64
	ID     string // the same for the same numbers
	Why    string // why it cannot be used; "" where it can
	Source any    // where it lies, for the source alone
}

// opaque is a value of the file that nothing here has a meaning for.
type opaque struct{ class string }

// Source gives what an archive holds beside its pickles.
type Source interface {
	// Code gives the code of a namespace such as "__torch__.torch.nn"; nil
	// where there is none.
	Code(namespace string) (*torchscript.File, error)
	// Array gives the numbers of a weight.
	Array(w *Weight) (tensor.Tensor, error)
}

// Job is a network to convert.
type Job struct {
	File            string // for messages
	Root, Constants any    // what data.pkl and constants.pkl hold
	Source          Source
	Shapes          map[string][]int64 // of inputs, by name; -1 is free
	Training        bool               // keep it in training mode
	Done            func() error       // an error where the caller has given up
	Ops             map[string]Operator
}

// Result is a converted network. Model is nil where Unsupported says why.
type Result struct {
	Model       *onnx.Model
	Layers      map[string]int
	Mapped      map[string][]string
	Unsupported []string
	Notes       []string
	Parameters  int64
	Bind        map[string]int64
}
