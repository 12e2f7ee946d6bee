package kerasfile

import (
	"math"
	"slices"
	"strconv"

	"github.com/stoa-project/stoa/internal/tensor"
)

// Config is a set of settings, as JSON has them.
type Config map[string]any

// Text gives a setting that is a text; "" where it is none.
func (c Config) Text(name string) string {
	s, _ := c[name].(string)
	return s
}

// First gives the first of several names for one setting that is there: names
// changed between versions.
func (c Config) First(names ...string) any {
	for _, n := range names {
		if v, ok := c[n]; ok && v != nil {
			return v
		}
	}
	return nil
}

// Flag gives a setting that is true or false.
func (c Config) Flag(name string, otherwise bool) bool {
	switch v := c[name].(type) {
	case bool:
		return v
	case float64:
		return v != 0
	}
	return otherwise
}

// Number gives a number as any version of Keras writes it.
func Number(v any) (float64, bool) {
	switch v := v.(type) {
	case float64:
		return v, true
	case bool:
		if v {
			return 1, true
		}
		return 0, true
	case string: // as decode writes what JSON has no number for
		if f, err := strconv.ParseFloat(v, 64); err == nil {
			return f, true
		}
	case map[string]any: // an array of NumPy, or a number of it
		if vs, ok := Floats(v); ok && len(vs) == 1 {
			return vs[0], true
		}
	}
	return 0, false
}

// Num gives a setting that is a number.
func (c Config) Num(name string, otherwise float64) float64 {
	if f, ok := Number(c[name]); ok {
		return f
	}
	return otherwise
}

// Int gives a whole number; what is far from any size is otherwise.
func (c Config) Int(name string, otherwise int64) int64 {
	return Whole(c[name], otherwise)
}

// Whole gives a whole number; what is far from any size is otherwise.
func Whole(v any, otherwise int64) int64 {
	f, ok := Number(v)
	if !ok || !(math.Abs(f) < 1<<40) {
		return otherwise
	}
	return int64(f)
}

// Ints gives a list of n whole numbers, of which one stands for all.
func Ints(v any, n int, otherwise int64) []int64 {
	list, ok := v.([]any)
	if m, isMap := v.(map[string]any); isMap { // a tuple of Keras 3
		list, ok = tuple(m)
	}
	if !ok {
		return slices.Repeat([]int64{Whole(v, otherwise)}, n)
	}
	var out []int64
	for _, e := range list {
		out = append(out, Whole(e, math.MinInt64))
	}
	if len(out) == 1 && n > 1 {
		return slices.Repeat(out, n)
	}
	return out
}

// tuple gives the elements of a tuple as Keras 3 writes it.
func tuple(m map[string]any) ([]any, bool) {
	if m["class_name"] == "__tuple__" {
		list, ok := m["items"].([]any)
		return list, ok
	}
	return nil, false
}

// AsMap gives a map; nil where v is none.
func AsMap(v any) Config {
	m, _ := v.(map[string]any)
	return m
}

// AsList gives a list or a tuple; nil where v is neither.
func AsList(v any) []any {
	if m, ok := v.(map[string]any); ok {
		list, _ := tuple(m)
		return list
	}
	list, _ := v.([]any)
	return list
}

// Floats gives the numbers of a list, of a number, or of an array as Keras 3
// writes it, one after the other.
func Floats(v any) ([]float64, bool) {
	switch v := v.(type) {
	case float64:
		return []float64{v}, true
	case []any:
		out := []float64{}
		for _, e := range v {
			vs, ok := Floats(e)
			if !ok {
				return nil, false
			}
			out = append(out, vs...)
		}
		return out, true
	case map[string]any:
		if c := v["class_name"]; c == "__numpy__" || c == "__tensor__" {
			return Floats(AsMap(v["config"])["value"])
		}
		if list, ok := tuple(v); ok {
			return Floats(list)
		}
	}
	return nil, false
}

// Array makes an array of a constant: a number, lists in lists, or one of NumPy.
func Array(v any) (tensor.Tensor, bool) {
	if m := AsMap(v); m != nil && (m["class_name"] == "__numpy__" || m["class_name"] == "__tensor__") {
		v = AsMap(m["config"])["value"]
	}
	vs, ok := Floats(v)
	if b, isBool := v.(bool); isBool {
		n, _ := Number(b)
		vs, ok = []float64{n}, true
	}
	if !ok {
		return tensor.Tensor{}, false
	}
	shape, at := []int64{}, v
	for {
		list, isList := at.([]any)
		if !isList || len(shape) > 16 {
			break
		}
		shape = append(shape, int64(len(list)))
		if len(list) == 0 {
			break
		}
		at = list[0]
	}
	if n, err := tensor.Elements(shape); err != nil || n != int64(len(vs)) {
		return tensor.Tensor{}, false
	}
	out := make([]float32, len(vs))
	for i, f := range vs {
		out[i] = float32(f)
	}
	return tensor.Of(out, shape...), true
}
