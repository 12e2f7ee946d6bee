// Package safetensors reads files of named tensors as the program of that name
// writes them: a length, a header of JSON, and the numbers. Tensors are views of
// the file. Sizes are held to the file's real length.
package safetensors

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/tensor"
)

// maxHeader bounds the header; that of the format's own reader is the same.
const maxHeader = 100 << 20

// File is what a file holds.
type File struct {
	Tensors  []Tensor // by name
	Metadata map[string]string
}

// Tensor is a named tensor. DType is tensor.Undefined where Type is none that is
// known here; Data is its bytes all the same.
type Tensor struct {
	Name string
	Type string // as written, such as F32
	tensor.Tensor
}

// types are the names of element types.
var types = map[string]tensor.DType{
	"F64": tensor.Float64, "F32": tensor.Float32, "F16": tensor.Float16, "BF16": tensor.BFloat16, "I64": tensor.Int64, "I32": tensor.Int32,
	"I16": tensor.Int16, "I8": tensor.Int8, "U64": tensor.Uint64, "U32": tensor.Uint32, "U16": tensor.Uint16, "U8": tensor.Uint8, "BOOL": tensor.Bool,
}

// Is tells whether data begins as such a file does: with a length that fits, and
// a header.
func Is(data []byte) bool {
	h, err := header(data)
	return err == nil && bytes.HasPrefix(h, []byte("{")) && (bytes.HasPrefix(bytes.TrimLeft(h[1:], " \n\r\t"), []byte(`"`)) || strings.TrimSpace(string(h[:min(len(h), 64)])) == "{}")
}

func header(data []byte) ([]byte, error) {
	if len(data) < 8 {
		return nil, stoa.Errorf(stoa.Invalid, "safetensors: it has no header")
	}
	n := binary.LittleEndian.Uint64(data)
	if n > maxHeader || n < 2 || n > uint64(len(data)-8) {
		return nil, stoa.Errorf(stoa.Invalid, "safetensors: a header of %d bytes is claimed", n)
	}
	return data[8 : 8+n], nil
}

type entry struct {
	DType   string   `json:"dtype"`
	Shape   []int64  `json:"shape"`
	Offsets []uint64 `json:"data_offsets"`
}

// Parse reads a file, which it views from then on.
func Parse(data []byte) (*File, error) {
	h, err := header(data)
	if err != nil {
		return nil, err
	}
	var raw map[string]json.RawMessage
	if err := json.Unmarshal(h, &raw); err != nil {
		return nil, stoa.Errorf(stoa.Invalid, "safetensors: its header is no JSON of tensors: %v", err)
	}
	body := data[8+len(h):]
	f := &File{}
	for name, text := range raw {
		if name == "__metadata__" {
			if err := json.Unmarshal(text, &f.Metadata); err != nil {
				return nil, stoa.Errorf(stoa.Invalid, "safetensors: its metadata are no texts")
			}
			continue
		}
		t, err := one(text, body)
		if err != nil {
			return nil, stoa.Errorf(stoa.KindOf(err), "safetensors: tensor %.100q: %s", name, stoa.AsError(err).Msg)
		}
		t.Name = name
		f.Tensors = append(f.Tensors, t)
	}
	slices.SortFunc(f.Tensors, func(a, b Tensor) int { return strings.Compare(a.Name, b.Name) })
	return f, nil
}

func one(text json.RawMessage, body []byte) (Tensor, error) {
	var e entry
	if err := json.Unmarshal(text, &e); err != nil || len(e.Offsets) != 2 || len(e.Shape) > 64 {
		return Tensor{}, stoa.Errorf(stoa.Invalid, "it is not described by dtype, shape and data_offsets")
	}
	from, to := e.Offsets[0], e.Offsets[1]
	if from > to || to > uint64(len(body)) {
		return Tensor{}, stoa.Errorf(stoa.Invalid, "its data from %d to %d lie outside of the file", from, to)
	}
	t := Tensor{Type: e.DType, Tensor: tensor.Tensor{DType: types[e.DType], Shape: e.Shape, Data: body[from:to:to]}}
	if t.Shape == nil {
		t.Shape = []int64{}
	}
	if t.DType == tensor.Undefined {
		_, err := tensor.Elements(t.Shape)
		return t, err
	}
	return t, t.Check()
}

// String gives the tensor's name, type and shape.
func (t Tensor) String() string {
	return fmt.Sprintf("%.100s %.20s %s", t.Name, t.Type, tensor.ShapeString(t.Shape))
}
