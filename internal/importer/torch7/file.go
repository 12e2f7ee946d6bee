package torch7

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/tensor"
)

// The types of values, as Torch7 writes them.
const (
	typeNil      = 0
	typeNumber   = 1
	typeString   = 2
	typeTable    = 3
	typeTorch    = 4
	typeBoolean  = 5
	typeFunction = 6
	typeOldFunc  = 7
	typeFuncRef  = 8
)

const (
	// maxDepth bounds values within values. nngraph links each node to the
	// next, four values deep, so that networks of thousands of nodes pass.
	maxDepth = 20_000
	// maxStrings bounds a string that is no function: names and labels.
	maxString = 1 << 20
	maxRank   = 32
)

// A value is nil, bool, float64, string, *table, *object, *array, *storage or
// function.

// function is code of Lua, which is skipped.
type function struct{}

// table is a table of Lua, in the order of the file.
type table struct{ keys, values []any }

// object is an instance of a class that is no tensor.
type object struct {
	class  string
	fields *table
}

// storage is the memory of tensors: a view of the file where it is binary.
type storage struct {
	dtype tensor.DType
	data  []byte
}

// array is a tensor: a strided view of a storage.
type array struct {
	dtype        tensor.DType
	size, stride []int64
	offset       int64 // of the first element; the file counts from 1
	in           *storage
}

// get finds a field by its name; nil where there is none.
func (t *table) get(name string) any {
	if t == nil {
		return nil
	}
	for i, k := range t.keys {
		if k == name {
			return t.values[i]
		}
	}
	return nil
}

// list gives the elements 1, 2 and so on.
func (t *table) list() []any {
	if t == nil {
		return nil
	}
	at := make(map[float64]any, len(t.keys))
	for i, k := range t.keys {
		if f, ok := k.(float64); ok {
			at[f] = t.values[i]
		}
	}
	var out []any
	for i := 1; ; i++ {
		v, ok := at[float64(i)]
		if !ok {
			return out
		}
		out = append(out, v)
	}
}

// decoder reads the values of a file.
type decoder struct {
	file  string
	data  []byte
	at    int
	ascii bool
	long  int // bytes of Lua's long on the machine that wrote: 8, or 4
	heap  map[int64]any
	depth int
}

// decode reads the first value of a file of either encoding.
func decode(file string, data []byte) (any, error) {
	d := &decoder{file: file, data: data, long: 8, heap: map[int64]any{}}
	d.ascii = len(data) > 1 && data[0] >= '0' && data[0] <= '8' && (data[1] == '\n' || data[1] == '\r')
	v, err := d.value()
	if err == nil || d.ascii {
		return v, err
	}
	// Machines of 32 bits write sizes in four bytes; the file does not say so.
	d = &decoder{file: file, data: data, long: 4, heap: map[int64]any{}}
	if v, again := d.value(); again == nil {
		return v, nil
	}
	return nil, err
}

func (d *decoder) errorf(kind stoa.Kind, format string, args ...any) error {
	return stoa.Errorf(kind, "%s: byte %d: %s", d.file, d.at, fmt.Sprintf(format, args...))
}

func (d *decoder) take(n int64) ([]byte, error) {
	if n < 0 || n > int64(len(d.data)-d.at) {
		return nil, d.errorf(stoa.Invalid, "it claims %d bytes where %d are left", n, len(d.data)-d.at)
	}
	b := d.data[d.at : d.at+int(n)]
	d.at += int(n)
	return b, nil
}

// word gives the next word of a text.
func (d *decoder) word() (string, error) {
	for d.at < len(d.data) && d.data[d.at] <= ' ' {
		d.at++
	}
	begin := d.at
	for d.at < len(d.data) && d.data[d.at] > ' ' {
		d.at++
	}
	if begin == d.at {
		return "", d.errorf(stoa.Invalid, "the file ends within a value")
	}
	return string(d.data[begin:d.at]), nil
}

// int reads a whole number that takes size bytes in the binary encoding.
func (d *decoder) int(size int) (int64, error) {
	if d.ascii {
		w, err := d.word()
		if err != nil {
			return 0, err
		}
		n, err := strconv.ParseInt(w, 10, 64)
		if err != nil {
			return 0, d.errorf(stoa.Invalid, "%.40q is no whole number", w)
		}
		return n, nil
	}
	b, err := d.take(int64(size))
	if err != nil {
		return 0, err
	}
	if size == 4 {
		return int64(int32(binary.LittleEndian.Uint32(b))), nil
	}
	return int64(binary.LittleEndian.Uint64(b)), nil
}

func (d *decoder) number() (float64, error) {
	if d.ascii {
		w, err := d.word()
		if err != nil {
			return 0, err
		}
		return d.parseFloat(w)
	}
	b, err := d.take(8)
	if err != nil {
		return 0, err
	}
	return math.Float64frombits(binary.LittleEndian.Uint64(b)), nil
}

func (d *decoder) parseFloat(w string) (float64, error) {
	f, err := strconv.ParseFloat(strings.TrimPrefix(w, "-"), 64)
	if err != nil && !strings.Contains(err.Error(), "range") {
		return 0, d.errorf(stoa.Invalid, "%.40q is no number", w)
	}
	if strings.HasPrefix(w, "-") {
		f = -f
	}
	return f, nil
}

func (d *decoder) bytes() ([]byte, error) {
	n, err := d.int(4)
	if err != nil {
		return nil, err
	}
	if !d.ascii {
		return d.take(n)
	}
	if d.at < len(d.data) && d.data[d.at] == '\r' {
		d.at++
	}
	if _, err := d.take(1); err != nil { // the end of the length's line
		return nil, err
	}
	return d.take(n)
}

func (d *decoder) string() (string, error) {
	b, err := d.bytes()
	if err == nil && len(b) > maxString {
		return "", d.errorf(stoa.TooLarge, "a string of %d bytes is too long", len(b))
	}
	return string(b), err
}

// value reads a value.
func (d *decoder) value() (any, error) {
	if d.depth++; d.depth > maxDepth {
		return nil, d.errorf(stoa.TooLarge, "values lie over %d deep in each other", maxDepth)
	}
	defer func() { d.depth-- }()
	typ, err := d.int(4)
	if err != nil {
		return nil, err
	}
	switch typ {
	case typeNil:
		return nil, nil
	case typeNumber:
		return d.number()
	case typeString:
		return d.string()
	case typeBoolean:
		n, err := d.int(4)
		return n != 0, err
	case typeTable, typeTorch, typeFunction, typeOldFunc, typeFuncRef:
		return d.shared(typ)
	}
	return nil, d.errorf(stoa.Invalid, "a value of type %d is not known", typ)
}

// shared reads a value that may be met again: an index that is known stands for
// the value that had it.
func (d *decoder) shared(typ int64) (any, error) {
	index, err := d.int(4)
	if err != nil {
		return nil, err
	}
	if v, ok := d.heap[index]; ok {
		return v, nil
	}
	switch typ {
	case typeTable:
		t := &table{}
		d.heap[index] = t
		return t, d.table(t)
	case typeTorch:
		return d.torch(index)
	}
	d.heap[index] = function{}
	if _, err := d.bytes(); err != nil { // its code, which nobody runs
		return nil, err
	}
	_, err = d.value() // the values that it closes over
	return function{}, err
}

func (d *decoder) table(t *table) error {
	n, err := d.int(4)
	if err != nil {
		return err
	}
	for range n {
		k, err := d.value()
		if err != nil {
			return err
		}
		v, err := d.value()
		if err != nil {
			return err
		}
		t.keys, t.values = append(t.keys, k), append(t.values, v)
	}
	return nil
}

// elementTypes are the kinds of tensors and storages, those of CUDA too.
var elementTypes = map[string]tensor.DType{
	"Float": tensor.Float32, "Double": tensor.Float64, "Long": tensor.Int64, "Int": tensor.Int32,
	"Short": tensor.Int16, "Char": tensor.Int8, "Byte": tensor.Uint8, "Half": tensor.Float16,
	"Cuda": tensor.Float32, "CudaDouble": tensor.Float64, "CudaLong": tensor.Int64, "CudaInt": tensor.Int32,
	"CudaShort": tensor.Int16, "CudaChar": tensor.Int8, "CudaByte": tensor.Uint8, "CudaHalf": tensor.Float16,
}

// torch reads an object of a class. Files of before Torch7's first version of
// its format have no version before the class's name.
func (d *decoder) torch(index int64) (any, error) {
	class, err := d.string()
	if err != nil {
		return nil, err
	}
	if strings.HasPrefix(class, "V ") {
		if class, err = d.string(); err != nil {
			return nil, err
		}
	}
	if len(class) > 200 {
		return nil, d.errorf(stoa.Invalid, "a class has a name of %d letters", len(class))
	}
	kind, isTorch := strings.CutPrefix(class, "torch.")
	if kind, ok := strings.CutSuffix(kind, "Tensor"); ok && isTorch && elementTypes[kind] != 0 {
		a := &array{dtype: elementTypes[kind]}
		d.heap[index] = a
		return a, d.array(a)
	}
	if kind, ok := strings.CutSuffix(kind, "Storage"); ok && isTorch && elementTypes[kind] != 0 {
		s := &storage{dtype: elementTypes[kind]}
		d.heap[index] = s
		return s, d.storage(s)
	}
	o := &object{class: class, fields: &table{}}
	d.heap[index] = o
	switch class {
	case "tds.Hash":
		return o, d.hash(o.fields, true)
	case "tds.Vec":
		return o, d.hash(o.fields, false)
	}
	v, err := d.value()
	if err != nil {
		return nil, err
	}
	if t, ok := v.(*table); ok {
		o.fields = t
	}
	return o, nil
}

// hash reads the tables of the package tds, which live outside of Lua's memory.
func (d *decoder) hash(t *table, keyed bool) error { //nolint:revive // two forms of one layout
	n, err := d.int(d.long)
	if err != nil {
		return err
	}
	for i := range n {
		var k any = float64(i + 1)
		if keyed {
			if k, err = d.value(); err != nil {
				return err
			}
		}
		v, err := d.value()
		if err != nil {
			return err
		}
		t.keys, t.values = append(t.keys, k), append(t.values, v)
	}
	return nil
}

func (d *decoder) array(a *array) error {
	n, err := d.int(4)
	if err != nil {
		return err
	}
	if n < 0 || n > maxRank {
		return d.errorf(stoa.Invalid, "a tensor has %d dimensions", n)
	}
	for _, to := range []*[]int64{&a.size, &a.stride} {
		for range n {
			v, err := d.int(d.long)
			if err != nil {
				return err
			}
			*to = append(*to, v)
		}
	}
	if a.offset, err = d.int(d.long); err != nil {
		return err
	}
	a.offset--
	v, err := d.value()
	if err != nil {
		return err
	}
	switch s := v.(type) {
	case nil:
	case *storage:
		a.in = s
	default:
		return d.errorf(stoa.Invalid, "a tensor lies in a %T, which is no storage", v)
	}
	return nil
}

func (d *decoder) storage(s *storage) error {
	n, err := d.int(d.long)
	if err != nil {
		return err
	}
	size := s.dtype.Size()
	if n < 0 || n > int64(len(d.data)) {
		return d.errorf(stoa.Invalid, "a storage claims %d elements where %d bytes are left", n, len(d.data)-d.at)
	}
	if !d.ascii {
		if s.dtype == tensor.Int64 && d.long == 4 {
			return d.shortLongs(s, n)
		}
		s.data, err = d.take(n * size)
		return err
	}
	if size == 1 { // bytes are bytes in both encodings
		if n == 0 {
			return nil
		}
		if _, err = d.take(1); err != nil {
			return err
		}
		s.data, err = d.take(n)
		return err
	}
	return d.words(s, n)
}

// words reads the elements of a storage from text.
func (d *decoder) words(s *storage, n int64) error {
	var b bytes.Buffer
	le := binary.LittleEndian
	for range n {
		w, err := d.word()
		if err != nil {
			return err
		}
		f, err := d.parseFloat(w)
		if err != nil {
			return err
		}
		switch s.dtype {
		case tensor.Float32:
			b.Write(le.AppendUint32(b.AvailableBuffer(), math.Float32bits(float32(f))))
		case tensor.Float64:
			b.Write(le.AppendUint64(b.AvailableBuffer(), math.Float64bits(f)))
		case tensor.Float16:
			b.Write(le.AppendUint16(b.AvailableBuffer(), tensor.ToFloat16(float32(f))))
		case tensor.Int64:
			b.Write(le.AppendUint64(b.AvailableBuffer(), uint64(int64(f))))
		case tensor.Int32:
			b.Write(le.AppendUint32(b.AvailableBuffer(), uint32(int64(f))))
		default:
			b.Write(le.AppendUint16(b.AvailableBuffer(), uint16(int64(f))))
		}
	}
	s.data = b.Bytes()
	return nil
}

// shortLongs widens the longs of a machine of 32 bits.
func (d *decoder) shortLongs(s *storage, n int64) error {
	b, err := d.take(4 * n)
	if err != nil {
		return err
	}
	for i := range int(n) {
		s.data = binary.LittleEndian.AppendUint64(s.data, uint64(int64(int32(binary.LittleEndian.Uint32(b[4*i:])))))
	}
	return nil
}
