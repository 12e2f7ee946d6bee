package jit

import (
	"fmt"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/format/pickle"
)

// loader turns what a pickle holds into values of the code: the same object each
// time that it is the same in the pickle.
type loader struct {
	file  string
	objs  map[*pickle.Object]*obj
	lists map[*pickle.List]*List
	dicts map[*pickle.Dict]*dict
	names map[*Weight]string // of tensors, by where they stand first
	steps int
}

const (
	// maxLoad bounds the values of a pickle, each time that one is used.
	maxLoad = 4 << 20
	// maxLoadDepth bounds modules within modules.
	maxLoadDepth = 200
)

func newLoader(file string) *loader {
	return &loader{
		file: file, objs: map[*pickle.Object]*obj{}, lists: map[*pickle.List]*List{}, dicts: map[*pickle.Dict]*dict{},
		names: map[*Weight]string{},
	}
}

// value turns a value; path says where it stands.
func (l *loader) value(v any, path string, depth int) (Value, error) {
	if l.steps++; l.steps > maxLoad || depth > maxLoadDepth {
		return nil, stoa.Errorf(stoa.TooLarge, "%s: its objects are too many, or too deep in each other", l.file)
	}
	switch x := v.(type) {
	case nil, bool, int64, float64, string:
		return x, nil
	case pickle.Bytes:
		return string(x), nil
	case *Weight:
		if _, ok := l.names[x]; !ok {
			l.names[x] = path
		}
		return x, nil
	case pickle.Tuple:
		out := make(Tuple, len(x))
		err := l.all(x, out, path, depth)
		return out, err
	case *pickle.List:
		if old := l.lists[x]; old != nil {
			return old, nil
		}
		out := &List{make([]Value, len(x.Items))}
		l.lists[x] = out
		return out, l.all(x.Items, out.Items, path, depth)
	case *pickle.Dict:
		if old := l.dicts[x]; old != nil {
			return old, nil
		}
		out := &dict{}
		l.dicts[x] = out
		return out, l.pairs(x.Pairs, out, path, depth)
	case *pickle.Object:
		return l.object(x, path, depth)
	}
	return &opaque{fmt.Sprintf("%T", v)}, nil
}

func (l *loader) all(from []any, to []Value, path string, depth int) (err error) {
	for i, e := range from {
		if to[i], err = l.value(e, Join(path, fmt.Sprint(i)), depth+1); err != nil {
			return err
		}
	}
	return nil
}

func (l *loader) pairs(from []pickle.Pair, to *dict, path string, depth int) error {
	for _, p := range from {
		k, err := l.value(p.Key, path, depth+1)
		if err != nil {
			return err
		}
		v, err := l.value(p.Value, Join(path, fmt.Sprint(k)), depth+1)
		if err != nil {
			return err
		}
		to.keys, to.values = append(to.keys, k), append(to.values, v)
	}
	return nil
}

// Join puts a name behind a path.
func Join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

func (l *loader) object(x *pickle.Object, path string, depth int) (Value, error) {
	if old := l.objs[x]; old != nil {
		return old, nil
	}
	if x.Class.String() == "collections.OrderedDict" {
		out := &dict{}
		return out, l.pairs(x.Pairs, out, path, depth)
	}
	state, ok := x.State.(*pickle.Dict)
	if !ok || len(x.Class.Module) < len("__torch__") || x.Class.Module[:len("__torch__")] != "__torch__" {
		return &opaque{x.Class.String()}, nil
	}
	out := &obj{class: x.Class.String(), path: path, fields: make(map[string]Value, len(state.Pairs))}
	l.objs[x] = out
	for _, p := range state.Pairs {
		name, ok := pickle.Text(p.Key)
		if !ok {
			return nil, stoa.Errorf(stoa.Invalid, "%s: a field of %.200s has no name", l.file, out.class)
		}
		v, err := l.value(p.Value, Join(path, name), depth+1)
		if err != nil {
			return nil, err
		}
		out.fields[name] = v
	}
	return out, nil
}
