package graphdef

import (
	"slices"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/stoa-project/stoa"
)

// MetaGraph is a graph and how it is meant to be used.
type MetaGraph struct {
	Tags       []string
	Graph      *Graph
	Signatures map[string]*Signature
}

// Signature names tensors of the graph that callers give and take.
type Signature struct {
	Inputs, Outputs map[string]Info
	Method          string
}

// Info is a TensorInfo: the name of a tensor, as in "x:0", and its type.
type Info struct {
	Name  string
	Type  Type
	Shape *Shape
}

// ParseSavedModel reads a saved_model.pb.
func ParseSavedModel(data []byte) ([]*MetaGraph, error) {
	var out []*MetaGraph
	err := fields(data, func(f field) error {
		if f.num != 2 {
			return nil
		}
		m, err := ParseMetaGraph(f.bytes)
		out = append(out, m)
		return err
	})
	if err == nil && len(out) == 0 {
		err = stoa.Errorf(stoa.Invalid, "it holds no graph")
	}
	return out, err
}

// ParseMetaGraph reads a MetaGraphDef: the .meta file of a checkpoint, or a part
// of a SavedModel. Its fields come in any order.
func ParseMetaGraph(data []byte) (*MetaGraph, error) {
	m := &MetaGraph{Signatures: map[string]*Signature{}, Graph: &Graph{}}
	return m, fields(data, func(f field) (err error) {
		switch f.num {
		case 1:
			err = fields(f.bytes, func(f field) error {
				if f.num == 4 {
					m.Tags = append(m.Tags, f.string())
				}
				return nil
			})
		case 2:
			err = m.Graph.read(f.bytes)
		case 5:
			var key string
			var val []byte
			if key, val, err = entry(f.bytes); err == nil {
				m.Signatures[key], err = parseSignature(val)
			}
		}
		return err
	})
}

func parseSignature(data []byte) (*Signature, error) {
	s := &Signature{Inputs: map[string]Info{}, Outputs: map[string]Info{}}
	return s, fields(data, func(f field) error {
		switch f.num {
		case 1, 2:
			key, val, err := entry(f.bytes)
			if err != nil {
				return err
			}
			info, err := parseInfo(val)
			if f.num == 1 {
				s.Inputs[key] = info
			} else {
				s.Outputs[key] = info
			}
			return err
		case 3:
			s.Method = f.string()
		}
		return nil
	})
}

func parseInfo(data []byte) (Info, error) {
	var i Info
	err := fields(data, func(f field) (err error) {
		switch f.num {
		case 1:
			i.Name = f.string()
		case 2:
			i.Type = Type(f.value)
		case 3:
			i.Shape, err = parseShape(f.bytes)
		}
		return err
	})
	return i, err
}

// Checkpoint is the part of a TrackableObjectGraph that says under which key of
// the bundle a variable lies: keys by the variable's full name. A name that
// several variables have is not in it.
func Checkpoint(data []byte) (map[string]string, error) {
	out := map[string]string{}
	var twice []string
	err := fields(data, func(f field) error { // nodes
		if f.num != 1 {
			return nil
		}
		return fields(f.bytes, func(f field) error { // attributes
			if f.num != 2 {
				return nil
			}
			var full, key string
			err := fields(f.bytes, func(f field) error {
				switch f.num {
				case 2:
					full = f.string()
				case 3:
					key = f.string()
				}
				return nil
			})
			if old, ok := out[full]; ok && old != key {
				twice = append(twice, full)
			}
			out[full] = key
			return err
		})
	})
	for _, name := range twice {
		delete(out, name)
	}
	delete(out, "")
	return out, err
}

// Kind says what a file is, by its outermost fields.
type Kind uint8

// The kinds of files.
const (
	KindNone Kind = iota
	KindGraph
	KindSavedModel
	KindMetaGraph
)

// Sight tells what a binary file is. It looks at no more than the fields of the
// outermost message and the first within it.
func Sight(data []byte) Kind {
	if len(data) == 0 {
		return KindNone
	}
	nums, first := outline(data)
	switch {
	case nums == nil:
		return KindNone
	case onlyOf(nums, 1, 2) && (nums[1] == nil || nums[1].typ == protowire.VarintType) && isMetaGraph(nums[2]):
		return KindSavedModel // a number, the version of the schema, and then graphs
	case onlyOf(nums, 1, 2, 3, 4) && first.num == 1 && isNode(first.bytes):
		return KindGraph
	case isMetaGraph(&field{bytes: data}):
		return KindMetaGraph
	}
	return KindNone
}

// outline gives the first field of each number.
func outline(data []byte) (map[int]*field, field) {
	nums := map[int]*field{}
	var first field
	err := fields(data, func(f field) error {
		if len(nums) == 0 {
			first = f
		}
		if nums[int(f.num)] == nil {
			nums[int(f.num)] = &f
		}
		return nil
	})
	if err != nil {
		return nil, first
	}
	return nums, first
}

func onlyOf(nums map[int]*field, allowed ...int) bool {
	for n := range nums {
		if !slices.Contains(allowed, n) {
			return false
		}
	}
	return true
}

// isNode tells whether a message is a node: it has a name, and an operator that
// is a word.
func isNode(data []byte) bool {
	nums, first := outline(data)
	return nums != nil && first.num == 1 && nums[1].bytes != nil && nums[2] != nil && word(nums[2].bytes) &&
		onlyOf(nums, 1, 2, 3, 4, 5, 6, 7)
}

func word(b []byte) bool {
	for _, c := range b {
		if c != '_' && c != '>' && (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') {
			return false
		}
	}
	return len(b) > 0
}

// isMetaGraph tells whether a message has a graph of nodes where a MetaGraphDef
// has it.
func isMetaGraph(f *field) bool {
	if f == nil || len(f.bytes) == 0 {
		return false
	}
	nums, _ := outline(f.bytes)
	if nums == nil || nums[2] == nil || !onlyOf(nums, 1, 2, 3, 4, 5, 6, 7) {
		return false
	}
	graph, first := outline(nums[2].bytes)
	return graph != nil && (first.num == 1 && isNode(first.bytes) || first.num == 2 && onlyOf(graph, 1, 2, 3, 4))
}
