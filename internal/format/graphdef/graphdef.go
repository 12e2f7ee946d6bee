// Package graphdef reads the messages in which TensorFlow describes networks:
// graphs with their libraries of functions, SavedModels and the .meta files of
// checkpoints, in the binary form and as text. Arrays and strings are views of
// what was read. It takes memory in proportion to the bytes it is given, and a
// bounded depth, whatever they claim; what a field means is left to others.
package graphdef

import (
	"strings"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/tensor"
)

// Graph is a GraphDef.
type Graph struct {
	Nodes     []*Node
	Functions []*Function
}

// Node is one operation. Its Inputs are as they stand in the file: "name",
// "name:1", "^name" for an order in time, and within functions
// "name:output:0".
type Node struct {
	Name   string
	Op     string
	Inputs []string
	Attrs  map[string]*Attr
}

// Function is a FunctionDef: a graph with arguments.
type Function struct {
	Name    string
	Inputs  []Arg
	Outputs []Arg
	Nodes   []*Node
	Returns map[string]string // by output, "node:output:0" or an argument
}

// Arg is an argument or an output of a function.
type Arg struct {
	Name string
	Type Type
}

// Attr is an attribute. Exactly one member was set in the file; a list has its
// members in the plural fields.
type Attr struct {
	S      []byte
	I      int64
	F      float32
	B      bool
	Type   Type
	Shape  *Shape
	Tensor *Tensor
	Func   *FuncRef

	Strings [][]byte
	Ints    []int64
	Floats  []float32
	Types   []Type
	Shapes  []*Shape
	Funcs   []*FuncRef
}

// FuncRef names a function.
type FuncRef struct{ Name string }

// Shape is a TensorShapeProto: sizes, -1 where one is not known. Unknown says
// that not even the count of dimensions is.
type Shape struct {
	Dims    []int64
	Unknown bool
}

// Type is TensorFlow's number of an element type.
type Type int32

// The types that are no numbers, or that others ask for by name.
const (
	TypeFloat    Type = 1
	TypeInt32    Type = 3
	TypeString   Type = 7
	TypeInt64    Type = 9
	TypeBool     Type = 10
	TypeResource Type = 20
	TypeVariant  Type = 21
	refTypes     Type = 100 // added to the type of a reference to a variable
)

var dtypes = map[Type]tensor.DType{
	1: tensor.Float32, 2: tensor.Float64, 3: tensor.Int32, 4: tensor.Uint8, 5: tensor.Int16, 6: tensor.Int8,
	7: tensor.String, 9: tensor.Int64, 10: tensor.Bool, 11: tensor.Int8, 12: tensor.Uint8, 13: tensor.Int32,
	14: tensor.BFloat16, 15: tensor.Int16, 16: tensor.Uint16, 17: tensor.Uint16, 19: tensor.Float16,
	22: tensor.Uint32, 23: tensor.Uint64,
}

// DType gives the element type; tensor.Undefined where there is none such, as
// for resources and complex numbers.
func (t Type) DType() tensor.DType {
	if t > refTypes {
		t -= refTypes
	}
	return dtypes[t]
}

// maxRank bounds the dimensions of a shape.
const maxRank = 64

// ParseGraph reads a GraphDef.
func ParseGraph(data []byte) (*Graph, error) {
	g := &Graph{}
	return g, g.read(data)
}

func (g *Graph) read(data []byte) error {
	return fields(data, func(f field) error {
		switch f.num {
		case 1:
			n, err := parseNode(f.bytes)
			if err != nil {
				return err
			}
			g.Nodes = append(g.Nodes, n)
		case 2:
			return fields(f.bytes, func(f field) error {
				if f.num != 1 {
					return nil
				}
				fn, err := parseFunction(f.bytes)
				g.Functions = append(g.Functions, fn)
				return err
			})
		}
		return nil
	})
}

func parseNode(data []byte) (*Node, error) {
	n := &Node{Attrs: map[string]*Attr{}}
	err := fields(data, func(f field) error {
		switch f.num {
		case 1:
			n.Name = f.string()
		case 2:
			n.Op = f.string()
		case 3:
			n.Inputs = append(n.Inputs, f.string())
		case 5:
			key, val, err := entry(f.bytes)
			if err != nil || strings.HasPrefix(key, "_class") {
				return err
			}
			n.Attrs[key], err = parseAttr(val)
			return err
		}
		return nil
	})
	return n, err
}

func parseFunction(data []byte) (*Function, error) {
	fn := &Function{Returns: map[string]string{}}
	return fn, fields(data, func(f field) error {
		switch f.num {
		case 1:
			return fn.signature(f.bytes)
		case 3:
			n, err := parseNode(f.bytes)
			fn.Nodes = append(fn.Nodes, n)
			return err
		case 4:
			key, val, err := entry(f.bytes)
			fn.Returns[key] = string(val)
			return err
		}
		return nil
	})
}

func (fn *Function) signature(data []byte) error {
	return fields(data, func(f field) error {
		switch f.num {
		case 1:
			fn.Name = f.string()
		case 2, 3:
			var a Arg
			err := fields(f.bytes, func(f field) error {
				switch f.num {
				case 1:
					a.Name = f.string()
				case 3:
					a.Type = Type(f.value)
				}
				return nil
			})
			if f.num == 2 {
				fn.Inputs = append(fn.Inputs, a)
			} else {
				fn.Outputs = append(fn.Outputs, a)
			}
			return err
		}
		return nil
	})
}

func parseAttr(data []byte) (*Attr, error) {
	a := &Attr{}
	err := fields(data, func(f field) (err error) {
		switch f.num {
		case 1:
			return a.list(f.bytes)
		case 2:
			a.S = f.bytes
		case 3:
			a.I = int64(f.value)
		case 4:
			a.F = f.float()
		case 5:
			a.B = f.value != 0
		case 6:
			a.Type = Type(f.value)
		case 7:
			a.Shape, err = parseShape(f.bytes)
		case 8:
			a.Tensor, err = parseTensor(f.bytes)
		case 10:
			a.Func, err = parseFunc(f.bytes)
		}
		return err
	})
	return a, err
}

func (a *Attr) list(data []byte) error {
	return fields(data, func(f field) (err error) {
		switch f.num {
		case 2:
			a.Strings = append(a.Strings, f.bytes)
		case 3:
			err = f.varints(func(v uint64) { a.Ints = append(a.Ints, int64(v)) })
		case 4:
			err = f.fixed32(func(v float32) { a.Floats = append(a.Floats, v) })
		case 6:
			err = f.varints(func(v uint64) { a.Types = append(a.Types, Type(v)) })
		case 7:
			var s *Shape
			s, err = parseShape(f.bytes)
			a.Shapes = append(a.Shapes, s)
		case 9:
			var fn *FuncRef
			fn, err = parseFunc(f.bytes)
			a.Funcs = append(a.Funcs, fn)
		}
		return err
	})
}

func parseFunc(data []byte) (*FuncRef, error) {
	fn := &FuncRef{}
	return fn, fields(data, func(f field) error {
		if f.num == 1 {
			fn.Name = f.string()
		}
		return nil
	})
}

// ParseShape reads a TensorShapeProto.
func ParseShape(data []byte) (*Shape, error) { return parseShape(data) }

func parseShape(data []byte) (*Shape, error) {
	s := &Shape{}
	return s, fields(data, func(f field) error {
		switch f.num {
		case 2:
			if len(s.Dims) == maxRank {
				return stoa.Errorf(stoa.Invalid, "a shape has over %d dimensions", maxRank)
			}
			var size int64
			err := fields(f.bytes, func(f field) error {
				if f.num == 1 {
					size = int64(f.value)
				}
				return nil
			})
			s.Dims = append(s.Dims, max(size, -1))
			return err
		case 3:
			s.Unknown = f.value != 0
		}
		return nil
	})
}

// field is one field of a message. Of a number, value has the bits; of what has
// a length, bytes has the content.
type field struct {
	num   protowire.Number
	typ   protowire.Type
	value uint64
	bytes []byte
}

func (f field) string() string { return string(f.bytes) }

func errDamaged() error {
	return stoa.Errorf(stoa.Invalid, "it is cut off, or no message of TensorFlow")
}

// fields calls f for every field of a message.
func fields(data []byte, f func(field) error) error {
	for len(data) > 0 {
		num, typ, n := protowire.ConsumeTag(data)
		if n < 0 {
			return errDamaged()
		}
		data = data[n:]
		v := field{num: num, typ: typ}
		switch typ {
		case protowire.VarintType:
			v.value, n = protowire.ConsumeVarint(data)
		case protowire.Fixed32Type:
			var u uint32
			u, n = protowire.ConsumeFixed32(data)
			v.value = uint64(u)
		case protowire.Fixed64Type:
			v.value, n = protowire.ConsumeFixed64(data)
		case protowire.BytesType:
			v.bytes, n = protowire.ConsumeBytes(data)
		default:
			n = protowire.ConsumeFieldValue(num, typ, data)
		}
		if n < 0 {
			return errDamaged()
		}
		data = data[n:]
		if err := f(v); err != nil {
			return err
		}
	}
	return nil
}

// entry reads an entry of a map whose keys are strings.
func entry(data []byte) (key string, val []byte, err error) {
	err = fields(data, func(f field) error {
		switch f.num {
		case 1:
			key = f.string()
		case 2:
			val = f.bytes
		}
		return nil
	})
	return key, val, err
}
