package keras

import (
	"math"
	"slices"
	"strconv"
)

// config is a set of settings, as JSON has them.
type config map[string]any

func (c config) text(name string) string {
	s, _ := c[name].(string)
	return s
}

// first gives the first of several names for one setting that is there: names
// changed between versions.
func (c config) first(names ...string) any {
	for _, n := range names {
		if v, ok := c[n]; ok && v != nil {
			return v
		}
	}
	return nil
}

func (c config) flag(name string, otherwise bool) bool {
	switch v := c[name].(type) {
	case bool:
		return v
	case float64:
		return v != 0
	}
	return otherwise
}

func number(v any) (float64, bool) {
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
		if vs, ok := floats(v); ok && len(vs) == 1 {
			return vs[0], true
		}
	}
	return 0, false
}

func (c config) num(name string, otherwise float64) float64 {
	if f, ok := number(c[name]); ok {
		return f
	}
	return otherwise
}

// int gives a whole number; what is far from any size is otherwise.
func (c config) int(name string, otherwise int64) int64 {
	return whole(c[name], otherwise)
}

func whole(v any, otherwise int64) int64 {
	f, ok := number(v)
	if !ok || !(math.Abs(f) < 1<<40) {
		return otherwise
	}
	return int64(f)
}

// ints gives a list of n whole numbers, of which one stands for all.
func ints(v any, n int, otherwise int64) []int64 {
	list, ok := v.([]any)
	if m, isMap := v.(map[string]any); isMap { // a tuple of Keras 3
		list, ok = tuple(m)
	}
	if !ok {
		return slices.Repeat([]int64{whole(v, otherwise)}, n)
	}
	var out []int64
	for _, e := range list {
		out = append(out, whole(e, math.MinInt64))
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

func asMap(v any) config {
	m, _ := v.(map[string]any)
	return m
}

func asList(v any) []any {
	if m, ok := v.(map[string]any); ok {
		list, _ := tuple(m)
		return list
	}
	list, _ := v.([]any)
	return list
}

// floats gives the numbers of a list, of a number, or of an array as Keras 3
// writes it, one after the other.
func floats(v any) ([]float64, bool) {
	switch v := v.(type) {
	case float64:
		return []float64{v}, true
	case []any:
		out := []float64{}
		for _, e := range v {
			vs, ok := floats(e)
			if !ok {
				return nil, false
			}
			out = append(out, vs...)
		}
		return out, true
	case map[string]any:
		if c := v["class_name"]; c == "__numpy__" || c == "__tensor__" {
			return floats(asMap(v["config"])["value"])
		}
		if list, ok := tuple(v); ok {
			return floats(list)
		}
	}
	return nil, false
}
