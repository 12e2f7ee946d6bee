package torch

import (
	"github.com/stoa-project/stoa/internal/format/torchscript"
	"github.com/stoa-project/stoa/internal/onnx"
	"github.com/stoa-project/stoa/internal/tensor"
)

// value is what a variable of the code holds: nil, bool, int64, float64, string,
// *num, *ten, *list, *dict, tuple, *record, *obj, *fn, *opaque, *weight or
// unknown.
type value any

type (
	tuple []value
	list  struct{ items []value }
	dict  struct{ keys, values []value }
	// record is a named tuple.
	record struct {
		class *torchscript.Class
		items []value
	}
	// obj is a module or another object with fields.
	obj struct {
		class  string // its full name
		path   string // where it stands in the network, such as "layer1.0.conv1"
		fields map[string]value
	}
	// fn is a function of the code.
	fn struct{ def *torchscript.Func }
	// enum is a member of an enumeration.
	enum struct {
		class, name string
		v           value
	}
	// unknown is what an operator that is not supported gives: whatever is made
	// of it is unknown too, so that all such operators are found in one go.
	unknown struct{}
)

// probes is how many sizes of each free dimension are followed at once. What is
// the same for all of them does not depend on the dimension.
const probes = 6

// num is a number that depends on the sizes of inputs. A number that does not is
// a plain int64 or float64.
type num struct {
	float bool
	n     [probes]int64
	f     [probes]float64
	make  func() string // adds the nodes that compute it and gives a tensor of shape [1]
	name  string        // that tensor, once it was made
	loose bool          // it is a remainder, which chance may make the same for all sizes that are tried
}

// ten is a tensor. Operations in place change its name, and all who hold it see
// that.
type ten struct {
	name string
	// scalar is the value of a tensor without dimensions, where it is known: it
	// becomes a tensor of the graph only when it must. Its name is "" until then.
	scalar value
	dtype  tensor.DType // of a scalar

	blank int // 1 + the input whose shape nobody told; 0: none

	version int
	view    *view
	zero    bool // all its elements are nought
}

// view says of which tensor another is a part, and how to take it and put it
// back.
type view struct {
	base    *ten
	version int // of the base, when the part was taken
	take    func() string
	put     func(part string) string // gives the changed base
}

func isTen(v value) bool { _, ok := v.(*ten); return ok }

// kindOf names a value's kind for messages.
func kindOf(v value) string {
	switch x := v.(type) {
	case nil:
		return "None"
	case bool:
		return "bool"
	case int64:
		return "int"
	case float64:
		return "float"
	case *num:
		if x.float {
			return "float"
		}
		return "int"
	case string:
		return "str"
	case *ten:
		return "Tensor"
	case *list:
		return "List"
	case *dict:
		return "Dict"
	case tuple, *record:
		return "Tuple"
	case *obj:
		return x.class
	case *fn:
		return "function"
	}
	return "object"
}

// items gives the elements of a list or a tuple.
func items(v value) ([]value, bool) {
	switch x := v.(type) {
	case *list:
		return x.items, true
	case tuple:
		return x, true
	case *record:
		return x.items, true
	}
	return nil, false
}

// hasUnknown tells whether a value is, or holds, what is not known.
func hasUnknown(v value, depth int) bool {
	if _, ok := v.(unknown); ok {
		return true
	}
	vs, _ := items(v)
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

// dtypes are PyTorch's numbers of element types.
var dtypes = map[int64]tensor.DType{
	0: tensor.Uint8, 1: tensor.Int8, 2: tensor.Int16, 3: tensor.Int32, 4: tensor.Int64, 5: tensor.Float16, 6: tensor.Float32,
	7: tensor.Float64, 11: tensor.Bool, 15: tensor.BFloat16,
}

func dtypeNumber(t tensor.DType) int64 {
	for n, d := range dtypes {
		if d == t {
			return n
		}
	}
	return 6
}

// category orders types as promotion does: bool, whole numbers, floats.
func category(t tensor.DType) int {
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

// wider gives the type that holds both.
func wider(a, b tensor.DType) tensor.DType {
	switch {
	case a == tensor.Undefined || a == b:
		return b
	case b == tensor.Undefined:
		return a
	case category(a) != category(b):
		if category(a) > category(b) {
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
	case category(higher) == 2:
		return higher
	case higher == tensor.Bool || category(lower) == 2:
		return wider(higher, lower)
	case higher != tensor.Undefined:
		return higher
	}
	return lower
}

// weight is a tensor of the file.
type weight struct {
	dtype  tensor.DType
	size   []int64
	id     string // the same for the same numbers
	why    string // why it cannot be used; "" where it can
	source any    // where it lies, for the source alone
}

// opaque is a value of the file that nothing here has a meaning for.
type opaque struct{ class string }

// source gives what an archive holds beside its pickles.
type source interface {
	// findCode gives the code of a namespace such as "__torch__.torch.nn"; nil
	// where there is none.
	findCode(namespace string) (*torchscript.File, error)
	// array gives the numbers of a weight.
	array(w *weight) (tensor.Tensor, error)
}

// job is a network to convert.
type job struct {
	file            string // for messages
	root, constants any    // what data.pkl and constants.pkl hold
	source          source
	shapes          map[string][]int64 // of inputs, by name; -1 is free
	training        bool               // keep it in training mode
	done            func() error       // an error where the caller has given up
	ops             map[string]operator
}

// result is a converted network. Model is nil where Unsupported says why.
type result struct {
	model       *onnx.Model
	layers      map[string]int
	mapped      map[string][]string
	unsupported []string
	notes       []string
	parameters  int64
	bind        map[string]int64
}
