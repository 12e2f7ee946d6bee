package theano

import (
	"fmt"
	"slices"
	"strings"
)

// layer is one entry of lasagne.yaml.
type layer struct {
	kind   string // without "Layer" at the end
	name   string
	line   int
	fields node
	from   []*layer
	shares *layer // whose parameters it uses
}

// network is a description.
type network struct {
	file    string
	weights string
	layers  []*layer
	outputs []*layer
	order   []*layer // as lasagne.layers.get_all_layers gives them
}

const maxLayers = 10_000

// label is what messages call a layer.
func (l *layer) label() string { return fmt.Sprintf("layer %q (%s)", l.name, l.kind) }

func (n *network) errorf(l *layer, format string, args ...any) error {
	return textError(n.file, l.line, "%s: %s", l.label(), fmt.Sprintf(format, args...))
}

// readNetwork reads a description and puts its layers into order.
func readNetwork(file string, data []byte) (*network, error) {
	root, err := readText(file, data)
	if err != nil {
		return nil, err
	}
	if root.kind != isMapping {
		return nil, textError(file, root.line, "it must be a mapping of the fields format and layers")
	}
	n := &network{file: file}
	for _, f := range root.fields {
		switch f.key {
		case "format":
			if f.value.text != "lasagne" {
				return nil, textError(file, f.line, "format is %q, and only lasagne is read", f.value.text)
			}
		case "weights":
			n.weights = f.value.text
			if f.value.kind != isScalar || n.weights == "" {
				return nil, textError(file, f.line, "weights wants the name of a file")
			}
		case "layers", "outputs":
			if f.value.kind != isList || len(f.value.list) > maxLayers {
				return nil, textError(file, f.line, "%s wants a list, not %s", f.key, kindNames[f.value.kind])
			}
		default:
			return nil, textError(file, f.line, "%q is no field: there are format, weights, layers and outputs", f.key)
		}
	}
	layers, _ := root.get("layers")
	if err := n.read(layers.list); err != nil {
		return nil, err
	}
	outputs, _ := root.get("outputs")
	return n, n.finish(outputs.list)
}

// read reads the layers.
func (n *network) read(list []node) error {
	byName := map[string]*layer{}
	for i, e := range list {
		l := &layer{line: e.line, fields: e}
		if e.kind != isMapping {
			return textError(n.file, e.line, "a layer wants a mapping with a type, not %s", kindNames[e.kind])
		}
		kind, _ := e.get("type")
		l.kind = strings.TrimSuffix(kind.text, "Layer")
		if l.kind == "" {
			return textError(n.file, e.line, "a layer has no type")
		}
		if same, ok := aliases[l.kind]; ok {
			l.kind = same
		}
		name, ok := e.get("name")
		l.name = name.text
		if !ok {
			l.name = fmt.Sprintf("%s%d", strings.ToLower(l.kind), i)
		}
		if l.name == "" || byName[l.name] != nil {
			return textError(n.file, e.line, "its name %q is empty, or another layer has it", l.name)
		}
		if err := n.connect(l, byName); err != nil {
			return err
		}
		byName[l.name] = l
		n.layers = append(n.layers, l)
	}
	if len(n.layers) == 0 {
		return textError(n.file, 1, "it has no layers")
	}
	return nil
}

// connect finds what a layer takes: what "of" names, else the layer before it.
func (n *network) connect(l *layer, byName map[string]*layer) error {
	of, ok := l.fields.get("of")
	names := []node{of}
	switch {
	case of.kind == isList:
		names = of.list
	case !ok && l.kind != "Input":
		if len(n.layers) == 0 {
			return n.errorf(l, "nothing stands before it that it could take: the first layer is an Input")
		}
		l.from = []*layer{n.layers[len(n.layers)-1]}
		names = nil
	case !ok:
		names = nil
	}
	for _, name := range names {
		from := byName[name.text]
		if from == nil {
			return textError(n.file, name.line, "%s: it takes %q, and no layer before it is called that", l.label(), name.text)
		}
		l.from = append(l.from, from)
	}
	if share, ok := l.fields.get("share"); ok {
		if l.shares = byName[share.text]; l.shares == nil || l.shares.kind != l.kind {
			return textError(n.file, share.line, "%s: it shares the parameters of %q, and no layer of its kind before it is called that", l.label(), share.text)
		}
	}
	return nil
}

// finish finds the outputs, and the order in which Lasagne lists the layers.
func (n *network) finish(outputs []node) error {
	for _, o := range outputs {
		i := slices.IndexFunc(n.layers, func(l *layer) bool { return l.name == o.text })
		if i < 0 || slices.Contains(n.outputs, n.layers[i]) {
			return textError(n.file, o.line, "outputs names %q, and no layer is called that, or it is named twice", o.text)
		}
		n.outputs = append(n.outputs, n.layers[i])
	}
	if n.outputs == nil {
		n.outputs = n.layers[len(n.layers)-1:]
	}
	// A layer comes after all that it takes, in the order in which it takes them.
	done := map[*layer]bool{}
	type step struct {
		l    *layer
		next int
	}
	for _, o := range n.outputs {
		work := []step{{l: o}}
		for len(work) > 0 {
			top := &work[len(work)-1]
			if !done[top.l] && top.next < len(top.l.from) {
				from := top.l.from[top.next]
				top.next++
				if !done[from] {
					work = append(work, step{l: from})
				}
				continue
			}
			if !done[top.l] {
				done[top.l] = true
				n.order = append(n.order, top.l)
			}
			work = work[:len(work)-1]
		}
	}
	return nil
}

// count counts the layers by kind.
func (n *network) count() map[string]int {
	out := map[string]int{}
	for _, l := range n.layers {
		out[l.kind]++
	}
	return out
}

// unsupported names all layers that are not supported.
func (n *network) unsupported() []string {
	types := layerTypes()
	var out []string
	for _, l := range n.order {
		t, ok := types[l.kind]
		if ok {
			if problem := t.check(l); problem != "" {
				out = append(out, fmt.Sprintf("%s:%d: %s: %s", n.file, l.line, l.label(), problem))
			}
			continue
		}
		why := refused[l.kind]
		if why == "" {
			why = "no layer of Lasagne that is known here is called so"
		}
		out = append(out, fmt.Sprintf("%s:%d: %s: %s", n.file, l.line, l.label(), why))
	}
	return out
}

// The getters below read a field of a layer, and note what is wrong with it.

// settings reads the fields of one layer; the first error sticks.
type settings struct {
	n   *network
	l   *layer
	err error
}

func (s *settings) fail(n node, key, wants string) {
	if s.err == nil {
		s.err = textError(s.n.file, n.line, "%s: %s wants %s", s.l.label(), key, wants)
	}
}

func (s *settings) has(key string) bool { _, ok := s.l.fields.get(key); return ok }

func (s *settings) int(key string, otherwise int64) int64 {
	n, ok := s.l.fields.get(key)
	if !ok {
		return otherwise
	}
	v, ok := n.int()
	const most = 1 << 30
	if !ok || v > most || v < -most {
		s.fail(n, key, "a whole number")
		return otherwise
	}
	return v
}

// need is int for a field that must be there and above 0.
func (s *settings) need(key string) int64 {
	v := s.int(key, 0)
	if v < 1 {
		s.fail(s.l.fields, key, "a number above 0")
		return 1
	}
	return v
}

func (s *settings) float(key string, otherwise float64) float64 {
	n, ok := s.l.fields.get(key)
	if !ok {
		return otherwise
	}
	v, ok := n.float()
	if !ok {
		s.fail(n, key, "a number")
	}
	return v
}

func (s *settings) flag(key string, otherwise bool) bool {
	n, ok := s.l.fields.get(key)
	if !ok {
		return otherwise
	}
	v, ok := n.bool()
	if !ok {
		s.fail(n, key, "true or false")
	}
	return v
}

func (s *settings) word(key, otherwise string, words ...string) string {
	n, ok := s.l.fields.get(key)
	if !ok {
		return otherwise
	}
	if n.kind != isScalar || len(words) > 0 && !slices.Contains(words, n.text) {
		s.fail(n, key, "one of "+strings.Join(words, ", "))
		return otherwise
	}
	return n.text
}

// ints gives one number for each of so many axes: a list of as many, or one for
// all of them.
func (s *settings) ints(key string, axes int, otherwise []int64) []int64 {
	n, ok := s.l.fields.get(key)
	if !ok {
		return otherwise
	}
	const most = 1 << 20
	if v, ok := n.int(); ok && v >= -most && v <= most {
		return slices.Repeat([]int64{v}, axes)
	}
	var out []int64
	for _, e := range n.list {
		v, ok := e.int()
		if !ok || v < -most || v > most {
			s.fail(e, key, "whole numbers")
			return slices.Repeat([]int64{1}, axes)
		}
		out = append(out, v)
	}
	if n.kind != isList || len(out) != axes {
		s.fail(n, key, fmt.Sprintf("a whole number, or a list of %d", axes))
		return slices.Repeat([]int64{1}, axes)
	}
	return out
}

// list gives a list of whole numbers; a number alone is a list of one.
func (s *settings) list(key string) []int64 {
	n, ok := s.l.fields.get(key)
	if !ok {
		return nil
	}
	if v, ok := n.int(); ok {
		return []int64{v}
	}
	out := []int64{}
	for _, e := range n.list {
		v, ok := e.int()
		if !ok {
			s.fail(e, key, "whole numbers")
		}
		out = append(out, v)
	}
	if n.kind != isList {
		s.fail(n, key, "a list of whole numbers")
	}
	return out
}

// unknown gives the first field that a kind of layer does not have.
func (l *layer) unknown(known []string) string {
	for _, f := range l.fields.fields {
		if !slices.Contains(known, f.key) && !slices.Contains([]string{"type", "name", "of", "share"}, f.key) {
			return f.key
		}
	}
	return ""
}
