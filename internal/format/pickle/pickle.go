// Package pickle reads Python pickles, protocols 0 to 5, for those who import
// models and trust none of them. Nothing is ever executed: names of classes and
// functions stay names, calls become inert objects, and only what the caller's
// table gives a meaning becomes something else.
//
// Memory is bounded by a small multiple of the input's real size and by a limit
// on its opcodes. Values may refer to themselves, and lists can be made deep by
// being changed after they were put into others: whoever walks them must bound
// his depth and count his steps.
package pickle

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"

	"github.com/stoa-project/stoa"
)

const (
	// maxOps bounds the opcodes of a pickle: each costs up to about a hundred
	// bytes of memory. The largest lists of tensors have some ten thousand.
	maxOps = 4 << 20
	// maxDepth bounds tuples within tuples, the one nesting that the reader
	// itself can build without changing a value later.
	maxDepth = 1000
	// maxDigits bounds whole numbers, whose text takes quadratic time to read.
	maxDigits = 1000
)

// A value is nil, bool, int64, *big.Int, float64, string, Bytes, Tuple, *List,
// *Dict, *Set, Name, *Object, or what the caller's functions gave.

// Bytes is a byte string, which in pickles of Python 2 is how all plain strings
// are held. It views the input.
type Bytes []byte

// Tuple is a tuple.
type Tuple []any

// List is a list.
type List struct{ Items []any }

// Set is a set or a frozen one.
type Set struct{ Items []any }

// Pair is a key and its value.
type Pair struct{ Key, Value any }

// Dict is a dictionary in the order in which it was filled. A key that was set
// twice is there twice, and the last counts.
type Dict struct{ Pairs []Pair }

// Name is a class or a function, by its name alone.
type Name struct{ Module, Name string }

// String gives the name with its module.
func (n Name) String() string { return n.Module + "." + n.Name }

// Object is what calling a Name would have made.
type Object struct {
	Class  Name // empty where the pickle called something that is no name
	Args   Tuple
	Kwargs any    // of NEWOBJ_EX
	State  any    // of BUILD; nil: none
	Items  []any  // appended, where the class is a kind of list
	Pairs  []Pair // set, where the class is a kind of dictionary
}

// Stateful is a value of the caller's table that takes the state which a pickle
// gives it afterwards.
type Stateful interface{ SetState(state any) error }

// Options say what a pickle's names and persistent ids mean.
type Options struct {
	// Calls gives names, as "module.name", a meaning when they are called.
	// Those that are not in it make an Object.
	Calls map[string]func(args Tuple) (any, error)
	// Persistent gives the value of a persistent id; nil: there can be none.
	Persistent func(id any) (any, error)
}

// Get finds the last value of a key that is a string.
func (d *Dict) Get(key string) (any, bool) {
	for _, p := range slices.Backward(d.Pairs) {
		if k, ok := Text(p.Key); ok && k == key {
			return p.Value, true
		}
	}
	return nil, false
}

// Text gives a string of either kind.
func Text(v any) (string, bool) {
	switch s := v.(type) {
	case string:
		return s, true
	case Bytes:
		return string(s), true
	}
	return "", false
}

// Read reads the pickle at the beginning of data, and tells how many bytes it
// took: more may follow.
func Read(data []byte, opt Options) (value any, n int, err error) {
	r := &reader{data: data, opt: opt, memo: map[uint64]slot{}}
	for ops := 0; !r.done; ops++ {
		r.op = r.at
		if ops == maxOps {
			return nil, 0, r.errorf(stoa.TooLarge, "it has over %d opcodes", maxOps)
		}
		code, err := r.take(1)
		if err != nil {
			return nil, 0, err
		}
		f := opcodes[code[0]]
		if f == nil {
			return nil, 0, r.errorf(stoa.Invalid, "opcode 0x%02x is not known", code[0])
		}
		if err := f(r); err != nil {
			return nil, 0, err
		}
	}
	return r.result, r.at, nil
}

// slot is a value on the stack. A mark is one too.
type slot struct {
	v     any
	depth int
	mark  bool
}

type reader struct {
	data   []byte
	at     int
	op     int // where the current opcode lies
	opt    Options
	stack  []slot
	memo   map[uint64]slot
	done   bool
	result any
}

func (r *reader) errorf(kind stoa.Kind, format string, args ...any) error {
	return stoa.Errorf(kind, "pickle: byte %d: %s", r.op, fmt.Sprintf(format, args...))
}

// take gives the next n bytes, which must be there.
func (r *reader) take(n uint64) ([]byte, error) {
	if n > uint64(len(r.data)-r.at) {
		return nil, r.errorf(stoa.Invalid, "it claims %d bytes where %d are left", n, len(r.data)-r.at)
	}
	b := r.data[r.at : r.at+int(n)]
	r.at += int(n)
	return b, nil
}

// line gives the text up to the end of the line.
func (r *reader) line() (string, error) {
	i := bytes.IndexByte(r.data[r.at:], '\n')
	if i < 0 {
		return "", r.errorf(stoa.Invalid, "its line has no end")
	}
	s := string(r.data[r.at : r.at+i])
	r.at += i + 1
	return strings.TrimSuffix(s, "\r"), nil
}

// uint reads a number of size bytes, little-endian.
func (r *reader) uint(size uint64) (uint64, error) {
	b, err := r.take(size)
	if err != nil {
		return 0, err
	}
	var full [8]byte
	copy(full[:], b)
	return binary.LittleEndian.Uint64(full[:]), nil
}

// counted reads a length of size bytes and as many bytes as it says.
func (r *reader) counted(size uint64) ([]byte, error) {
	n, err := r.uint(size)
	if err != nil {
		return nil, err
	}
	return r.take(n)
}

func (r *reader) push(v any) { r.stack = append(r.stack, slot{v: v, depth: 1}) }

func (r *reader) pop() (slot, error) {
	if len(r.stack) == 0 || r.stack[len(r.stack)-1].mark {
		return slot{}, r.errorf(stoa.Invalid, "the stack is empty")
	}
	s := r.stack[len(r.stack)-1]
	r.stack = r.stack[:len(r.stack)-1]
	return s, nil
}

// top gives the value on top, which stays.
func (r *reader) top() (any, error) {
	if len(r.stack) == 0 || r.stack[len(r.stack)-1].mark {
		return nil, r.errorf(stoa.Invalid, "the stack is empty")
	}
	return r.stack[len(r.stack)-1].v, nil
}

// popMark takes all values above the last mark, and the mark.
func (r *reader) popMark() ([]slot, error) {
	for i, s := range slices.Backward(r.stack) {
		if s.mark {
			out := append([]slot(nil), r.stack[i+1:]...)
			r.stack = r.stack[:i]
			return out, nil
		}
	}
	return nil, r.errorf(stoa.Invalid, "there is no mark on the stack")
}

func values(slots []slot) []any {
	out := make([]any, len(slots))
	for i, s := range slots {
		out[i] = s.v
	}
	return out
}

func (r *reader) pushTuple(slots []slot) error {
	depth := 0
	for _, s := range slots {
		depth = max(depth, s.depth)
	}
	if depth++; depth > maxDepth {
		return r.errorf(stoa.TooLarge, "tuples lie over %d deep in each other", maxDepth)
	}
	r.stack = append(r.stack, slot{v: Tuple(values(slots)), depth: depth})
	return nil
}

// tuple makes the tuple of the n topmost values.
func (r *reader) tuple(n int) error {
	slots := make([]slot, n)
	for i := n - 1; i >= 0; i-- {
		s, err := r.pop()
		if err != nil {
			return err
		}
		slots[i] = s
	}
	return r.pushTuple(slots)
}

// call makes what calling f with args would make: an inert object, or what the
// caller's table says.
func (r *reader) call(f any, args []any, kwargs any) error {
	name, isName := f.(Name)
	if g := r.opt.Calls[name.String()]; isName && g != nil {
		v, err := g(args)
		if err != nil {
			return stoa.Wrap(stoa.KindOf(err), err, "pickle: byte %d: %s: %s", r.op, name, stoa.AsError(err).Msg)
		}
		r.push(v)
		return nil
	}
	r.push(&Object{Class: name, Args: args, Kwargs: kwargs})
	return nil
}

// build gives the object on top its state.
func (r *reader) build() error {
	state, err := r.pop()
	if err != nil {
		return err
	}
	v, err := r.top()
	if err != nil {
		return err
	}
	switch o := v.(type) {
	case *Object:
		o.State = state.v
	case Stateful:
		if err := o.SetState(state.v); err != nil {
			return stoa.Wrap(stoa.KindOf(err), err, "pickle: byte %d: %s", r.op, stoa.AsError(err).Msg)
		}
	}
	return nil
}

// extend adds items to the list, set or object on top.
func (r *reader) extend(items []any) error {
	v, err := r.top()
	if err != nil {
		return err
	}
	switch o := v.(type) {
	case *List:
		o.Items = append(o.Items, items...)
	case *Set:
		o.Items = append(o.Items, items...)
	case *Object:
		o.Items = append(o.Items, items...)
	default:
		return r.errorf(stoa.Invalid, "it adds to a %T, which is no list", v)
	}
	return nil
}

// set puts keys and values, in turn, into the dictionary on top.
func (r *reader) set(items []any) error {
	if len(items)%2 != 0 {
		return r.errorf(stoa.Invalid, "a key has no value")
	}
	v, err := r.top()
	if err != nil {
		return err
	}
	var into *[]Pair
	switch o := v.(type) {
	case *Dict:
		into = &o.Pairs
	case *Object:
		into = &o.Pairs
	default:
		return r.errorf(stoa.Invalid, "it sets keys of a %T, which is no dictionary", v)
	}
	for i := 0; i < len(items); i += 2 {
		*into = append(*into, Pair{items[i], items[i+1]})
	}
	return nil
}

// remember puts the value on top into the memo.
func (r *reader) remember(key uint64) error {
	if _, err := r.top(); err != nil {
		return err
	}
	r.memo[key] = r.stack[len(r.stack)-1]
	return nil
}

func (r *reader) recall(key uint64) error {
	s, ok := r.memo[key]
	if !ok {
		return r.errorf(stoa.Invalid, "there is no memo %d", key)
	}
	r.stack = append(r.stack, s)
	return nil
}

func (r *reader) persistent(id any) error {
	if r.opt.Persistent == nil {
		return r.errorf(stoa.Unsupported, "it refers to something outside of it")
	}
	v, err := r.opt.Persistent(id)
	if err != nil {
		return stoa.Wrap(stoa.KindOf(err), err, "pickle: byte %d: %s", r.op, stoa.AsError(err).Msg)
	}
	r.push(v)
	return nil
}
