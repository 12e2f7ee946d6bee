package theano

import (
	"bytes"
	"slices"
	"strconv"
	"strings"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/format/npy"
	"github.com/stoa-project/stoa/internal/format/pickle"
	"github.com/stoa-project/stoa/internal/format/zip"
	"github.com/stoa-project/stoa/internal/tensor"
)

// parameters are the arrays of a file, in the order of
// lasagne.layers.get_all_param_values.
type parameters struct {
	file   string
	form   string
	arrays []tensor.Tensor
}

// maxArrays bounds the arrays of a file; networks have some hundred.
const maxArrays = 100_000

// readParameters reads a file of parameters; nil where it is none.
func readParameters(file string, data []byte) (*parameters, error) {
	switch {
	case zip.Is(data):
		return readNpz(file, data)
	case isPickle(data):
		return readPickle(file, data)
	}
	return nil, nil
}

// readNpz reads what np.savez(file, *values) wrote: arr_0, arr_1 and so on.
func readNpz(file string, data []byte) (*parameters, error) {
	// A look at the list of names first, which stands at the end: other archives,
	// which may be large, are not for this package.
	const listBytes, arr = 1 << 20, "arr_0.npy"
	if !bytes.Contains(data[max(0, len(data)-listBytes):], []byte(arr)) {
		return nil, nil
	}
	names, ts, err := npy.ParseNpz(data)
	if err != nil {
		return nil, stoa.Wrap(stoa.KindOf(err), err, "%s: %s", file, stoa.AsError(err).Msg)
	}
	p := &parameters{file: file, form: "npz", arrays: make([]tensor.Tensor, len(ts))}
	for i, name := range names {
		k, err := strconv.Atoi(strings.TrimPrefix(name, "arr_"))
		if err != nil || !strings.HasPrefix(name, "arr_") || k < 0 || k >= len(ts) || p.arrays[k].Shape != nil {
			return nil, stoa.Errorf(stoa.Unsupported, "%s: array %q is none of arr_0 to arr_%d, which np.savez(file, *get_all_param_values(network)) writes", file, name, len(ts)-1)
		}
		if ts[i].Shape == nil {
			ts[i].Shape = []int64{}
		}
		p.arrays[k] = ts[i]
	}
	return p, nil
}

// isPickle tells whether data begins as a pickle of protocol 2 or later does, or
// as a list or a dictionary of an earlier one.
func isPickle(data []byte) bool {
	if len(data) < 4 {
		return false
	}
	if data[0] == 0x80 && data[1] >= 2 && data[1] <= 5 {
		return true
	}
	return data[0] == '(' && (data[1] == 'l' || data[1] == 'd')
}

// array is a numpy array of a pickle; its numbers come with its state.
type array struct {
	t     tensor.Tensor
	ready bool
}

// dtype is a numpy type.
type dtype struct {
	code string // such as f4
	big  bool
}

// SetState takes the byte order.
func (d *dtype) SetState(state any) error {
	t, ok := state.(pickle.Tuple)
	if !ok || len(t) < 2 {
		return stoa.Errorf(stoa.Invalid, "the state of a numpy type is no tuple")
	}
	order, _ := pickle.Text(t[1])
	d.big = order == ">"
	return nil
}

// SetState takes version, shape, type, order and numbers.
func (a *array) SetState(state any) error {
	t, ok := state.(pickle.Tuple)
	if !ok || len(t) != 5 {
		return stoa.Errorf(stoa.Invalid, "the state of a numpy array is no tuple of five")
	}
	d, ok := t[2].(*dtype)
	if !ok {
		return stoa.Errorf(stoa.Unsupported, "a numpy array has no type of numbers")
	}
	if err := a.fill(t[1], d, t[4]); err != nil {
		return err
	}
	if fortran, _ := t[3].(bool); fortran {
		a.fromFortran()
	}
	return nil
}

// codes are numpy's names of the types that parameters may have.
var codes = map[string]tensor.DType{
	"f2": tensor.Float16, "f4": tensor.Float32, "f8": tensor.Float64, "i1": tensor.Int8, "i2": tensor.Int16, "i4": tensor.Int32, "i8": tensor.Int64,
	"u1": tensor.Uint8, "b1": tensor.Bool,
}

// fill makes the array: a view of its numbers where they lie as they are used.
func (a *array) fill(shape any, d *dtype, numbers any) error {
	sizes, ok := shape.(pickle.Tuple)
	raw, isBytes := numbers.(pickle.Bytes)
	if !ok || !isBytes {
		return stoa.Errorf(stoa.Unsupported, "a numpy array holds objects, not numbers")
	}
	const maxRank = 32
	t := tensor.Tensor{DType: codes[d.code], Shape: []int64{}, Data: raw}
	for _, s := range sizes {
		n, ok := s.(int64)
		if !ok || n < 0 || len(sizes) > maxRank {
			return stoa.Errorf(stoa.Invalid, "a numpy array has a shape that makes no sense")
		}
		t.Shape = append(t.Shape, n)
	}
	if t.DType == tensor.Undefined {
		return stoa.Errorf(stoa.Unsupported, "a numpy array has elements of type %.20q", d.code)
	}
	if err := t.Check(); err != nil {
		return err
	}
	if size := int(t.DType.Size()); d.big && size > 1 {
		t.Data = slices.Clone(t.Data)
		for i := 0; i < len(t.Data); i += size {
			slices.Reverse(t.Data[i : i+size])
		}
	}
	a.t, a.ready = t, true
	return nil
}

// fromFortran brings elements whose first index runs fastest into C order.
func (a *array) fromFortran() {
	slices.Reverse(a.t.Shape)
	perm := make([]int, len(a.t.Shape))
	for i := range perm {
		perm[i] = len(perm) - 1 - i
	}
	a.t = tensor.Permute(a.t, perm...)
}

// calls gives the functions of pickled arrays a meaning. Nothing else has one.
func calls() map[string]func(pickle.Tuple) (any, error) {
	reconstruct := func(pickle.Tuple) (any, error) { return &array{}, nil }
	newType := func(args pickle.Tuple) (any, error) {
		if len(args) == 0 {
			return nil, stoa.Errorf(stoa.Invalid, "a numpy type has no name")
		}
		code, _ := pickle.Text(args[0])
		code = strings.TrimLeft(code, "<>=|")
		big := false
		if text, _ := pickle.Text(args[0]); strings.HasPrefix(text, ">") {
			big = true
		}
		return &dtype{code: code, big: big}, nil
	}
	fromBuffer := func(args pickle.Tuple) (any, error) {
		if len(args) != 4 {
			return nil, stoa.Errorf(stoa.Invalid, "_frombuffer takes four arguments")
		}
		d, ok := args[1].(*dtype)
		if !ok {
			return nil, stoa.Errorf(stoa.Unsupported, "a numpy array has no type of numbers")
		}
		order, _ := pickle.Text(args[3])
		a := &array{}
		if err := a.fill(args[2], d, args[0]); err != nil {
			return nil, err
		}
		if order == "F" {
			a.fromFortran()
		}
		return a, nil
	}
	same := func(args pickle.Tuple) (any, error) { // arrays of a GPU, which are kept as plain ones
		if len(args) == 0 {
			return nil, stoa.Errorf(stoa.Invalid, "an array of a GPU has no numbers")
		}
		return args[0], nil
	}
	return map[string]func(pickle.Tuple) (any, error){
		"numpy.core.multiarray._reconstruct": reconstruct, "numpy._core.multiarray._reconstruct": reconstruct,
		"numpy.dtype":                    newType,
		"numpy.core.numeric._frombuffer": fromBuffer, "numpy._core.numeric._frombuffer": fromBuffer,
		"_codecs.encode": encode,
		"theano.sandbox.cuda.type.CudaNdarray_unpickler": same,
	}
}

// encode makes bytes of the text that Python 3 writes for them in protocol 2.
func encode(args pickle.Tuple) (any, error) {
	if len(args) == 0 {
		return nil, stoa.Errorf(stoa.Invalid, "_codecs.encode has no text")
	}
	text, ok := pickle.Text(args[0])
	if !ok {
		return nil, stoa.Errorf(stoa.Invalid, "_codecs.encode is given no text")
	}
	out := make([]byte, 0, len(text))
	for _, r := range text {
		if r > 0xff {
			return nil, stoa.Errorf(stoa.Invalid, "a text has letters that are no bytes")
		}
		out = append(out, byte(r))
	}
	return pickle.Bytes(out), nil
}

// listKeys are the names under which scripts keep a list of parameters.
var listKeys = []string{"param values", "values", "params", "param_values", "weights"}

// readPickle reads a pickled list of arrays, or a dictionary that has one. It is
// nil where the pickle is something else that is not of Theano.
func readPickle(file string, data []byte) (*parameters, error) {
	v, _, err := pickle.Read(data, pickle.Options{Calls: calls()})
	if err != nil {
		if mentions(data) {
			return nil, stoa.Wrap(stoa.KindOf(err), err, "%s: %s", file, stoa.AsError(err).Msg)
		}
		return nil, nil
	}
	if d, ok := v.(*pickle.Dict); ok {
		for _, key := range listKeys {
			if l, ok := d.Get(key); ok {
				v = l
				break
			}
		}
	}
	if items, ok := itemsOf(v); ok {
		p := &parameters{file: file, form: "pickle"}
		for _, e := range items {
			a, ok := e.(*array)
			if !ok || !a.ready {
				return nil, unwelcome(file, e)
			}
			p.arrays = append(p.arrays, a.t)
		}
		if len(p.arrays) > 0 && len(p.arrays) <= maxArrays {
			return p, nil
		}
	}
	if mentions(data) {
		return nil, unwelcome(file, v)
	}
	return nil, nil
}

func itemsOf(v any) ([]any, bool) {
	switch v := v.(type) {
	case *pickle.List:
		// A list with no array in it is somebody else's.
		return v.Items, slices.ContainsFunc(v.Items, func(e any) bool { _, ok := e.(*array); return ok })
	case pickle.Tuple:
		return v, slices.ContainsFunc([]any(v), func(e any) bool { _, ok := e.(*array); return ok })
	}
	return nil, false
}

// mentions tells whether a pickle has objects of Theano or Lasagne near its
// beginning.
func mentions(data []byte) bool {
	const near = 1 << 20
	data = data[:min(len(data), near)]
	return bytes.Contains(data, []byte("theano.")) || bytes.Contains(data, []byte("lasagne."))
}

// unwelcome says what to do with a pickle that is no list of arrays.
func unwelcome(file string, v any) error {
	const advice = `run nothing of it here: in the program that made it, save the parameters alone, as in np.savez("model.npz", *lasagne.layers.get_all_param_values(network)), and write lasagne.yaml beside them`
	if o, ok := v.(*pickle.Object); ok && o.Class.Name != "" {
		what := "an object of class " + o.Class.String()
		if strings.HasPrefix(o.Class.String(), "theano.compile") {
			what = "a compiled theano.function, which only the same version of Theano can load"
		}
		return stoa.Errorf(stoa.Unsupported, "%s: it is %s; %s", file, what, advice)
	}
	return stoa.Errorf(stoa.Unsupported, "%s: it is no list of arrays; %s", file, advice)
}
