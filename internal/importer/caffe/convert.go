package caffe

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/onnx"
	"github.com/stoa-project/stoa/internal/tensor"
)

// axes is a set of dimensions that callers may choose when they run a network.
type axes uint8

const (
	batch  axes = 1 << iota // the first dimension
	height                  // the third of a picture
	width                   // the fourth
)

// dim is a dimension at the size that the description declares, and what makes
// it differ at another: dyn is empty for one that never changes.
type dim struct {
	n   int64
	dyn axes
}

// value is a tensor of the network being made.
type value struct {
	name  string
	shape []dim
}

func (v value) rank() int { return len(v.shape) }

// sizes gives the declared shape.
func (v value) sizes() []int64 {
	out := make([]int64, len(v.shape))
	for i, d := range v.shape {
		out[i] = d.n
	}
	return out
}

func fixed(sizes ...int64) []dim {
	out := make([]dim, len(sizes))
	for i, n := range sizes {
		out[i].n = n
	}
	return out
}

// converter makes one graph. A layer that needs the number of a dimension that
// callers may choose pins it; the conversion is then made again with that
// dimension at its declared size.
type converter struct {
	net     *net
	weights *weights
	extra   map[string]blob // blobs given by the caller, by "layer.index"
	filled  map[string]bool // layers whose weights came from a filler
	dynamic axes
	pinned  axes

	graph     *onnx.Graph
	current   map[string]value // by blob
	writes    map[string]int   // how many layers have still to write a blob
	names     map[string]bool  // of tensors
	nodes     map[string]bool  // names of nodes
	producer  map[string]*onnx.Node
	used      map[string]bool // tensors that some node reads
	fresh     map[string]bool // tensors that the present layer has made for itself
	read      map[string]bool // blobs whose current value some layer reads
	wrote     map[string]int  // blobs, and when they were last written
	puts      int
	inputs    map[string]bool
	next      map[string]int // by name, the number to try next to make it unique
	room      int64          // numbers that fillers may still make
	missing   []string       // layers without weights
	notes     []string
	layerType string                     // of the present layer
	mapped    map[string]map[string]bool // operators that each type of layer became
}

// convert makes the graph of a network with as many free dimensions as it
// allows.
func convert(n *net, w *weights, extra map[string]blob) (*converter, error) {
	dynamic := freeAxes(n)
	for {
		c := &converter{
			net: n, weights: w, extra: extra, dynamic: dynamic, filled: map[string]bool{},
			graph: &onnx.Graph{Name: cut(n.name)}, current: map[string]value{}, writes: map[string]int{}, names: map[string]bool{},
			nodes: map[string]bool{}, producer: map[string]*onnx.Node{}, used: map[string]bool{}, read: map[string]bool{},
			wrote: map[string]int{}, inputs: map[string]bool{}, next: map[string]int{}, room: maxFiller, mapped: map[string]map[string]bool{},
		}
		if c.graph.Name == "" {
			c.graph.Name = "net"
		}
		if err := c.run(); err != nil {
			return nil, err
		}
		if c.pinned&dynamic == 0 {
			return c, nil
		}
		// Each round pins at least one axis. Height and width go together: a
		// network that needs one of them fixed is not for pictures of any size.
		if c.pinned&(height|width) != 0 {
			c.pinned |= height | width
		}
		dynamic &^= c.pinned
	}
}

// freeAxes gives the axes that callers may choose, as far as inputs and types of
// layers tell: the batch; height and width where the input is one picture and
// no layer has a weight for every place in it.
func freeAxes(n *net) axes {
	free := batch
	for _, in := range n.inputs {
		if len(in.shape) == 0 || len(n.inputs[0].shape) == 0 || in.shape[0] != n.inputs[0].shape[0] {
			free = 0
		}
	}
	if len(n.inputs) != 1 || len(n.inputs[0].shape) != 4 {
		return free
	}
	for _, l := range n.layers {
		if l.typ == "InnerProduct" {
			return free
		}
	}
	return free | height | width
}

func (c *converter) run() error {
	for _, in := range c.net.inputs {
		c.names[in.name], c.inputs[in.name] = true, true
	}
	for _, l := range c.net.layers {
		for _, t := range l.tops {
			c.writes[t]++
			c.names[t] = true
		}
	}
	for _, in := range c.net.inputs {
		if err := c.input(in); err != nil {
			return err
		}
	}
	for _, l := range c.net.layers {
		if err := c.layer(l); err != nil {
			return err
		}
	}
	if len(c.missing) > 0 {
		return c.lacking()
	}
	return c.outputs()
}

// lacking says which layers have no weights.
func (c *converter) lacking() error {
	some := c.missing
	if len(some) > 5 {
		some = append(slices.Clone(some[:5]), fmt.Sprintf("and %d more", len(c.missing)-5))
	}
	list := strings.Join(some, ", ")
	if c.weights == nil {
		return stoa.Errorf(stoa.Invalid, "%s describes a network whose weights are not there: add its .caffemodel (needed by %s)", c.net.doc.file, list)
	}
	return stoa.Errorf(stoa.Invalid, "%s has no weights for %s of %s: the two files do not belong together, or the missing ones must be given as blobs",
		c.weights.file, list, c.net.doc.file)
}

func (c *converter) input(in input) error {
	if len(in.shape) == 0 {
		return c.net.doc.errorf(in.line, "the size of input %q is not in the file: add a layer of type Input with its shape", cut(in.name))
	}
	free := []axes{batch, 0, height, width}
	names := []string{"N", "", "H", "W"}
	v := value{name: in.name, shape: fixed(in.shape...)}
	info := &onnx.ValueInfo{Name: in.name, DType: tensor.Float32, Shape: make([]onnx.Dim, len(in.shape))}
	for i, n := range in.shape {
		info.Shape[i] = onnx.Fixed(n)
		if i < len(free) && free[i]&c.dynamic != 0 {
			v.shape[i].dyn = free[i]
			info.Shape[i] = onnx.Named(names[i])
		}
		if n <= 0 {
			return c.net.doc.errorf(in.line, "input %q has the size %s", cut(in.name), tensor.ShapeString(in.shape))
		}
	}
	c.graph.Inputs = append(c.graph.Inputs, info)
	c.put(in.name, v)
	return nil
}

func (c *converter) put(blob string, v value) {
	c.current[blob] = v
	c.read[blob] = false
	c.puts++
	c.wrote[blob] = c.puts
}

func (c *converter) layer(l *layer) error {
	f, ok := layerTypes[l.typ]
	if !ok {
		return c.unsupported(l)
	}
	for _, b := range l.bottoms {
		if _, ok := c.current[b]; !ok {
			return c.net.doc.errorf(l.line, "%s takes %q, which no layer before it makes", l.at(), cut(b))
		}
		c.read[b] = true
	}
	if len(l.bottoms) < f.bottoms || len(l.tops) == 0 {
		return c.net.doc.errorf(l.line, "%s needs %d bottoms and a top", l.at(), f.bottoms)
	}
	c.attach(l)
	c.layerType = l.typ
	if c.mapped[l.typ] == nil {
		c.mapped[l.typ] = map[string]bool{}
	}
	c.fresh = map[string]bool{}
	err := f.make(c, l)
	if c.net.doc.err != nil { // a setting that was no number explains the rest
		return c.net.doc.err
	}
	return err
}

func (c *converter) unsupported(l *layer) error {
	return stoa.Errorf(stoa.Unsupported, "%s: %s is not supported", c.net.doc.file, l.at())
}

// refuse says what a layer cannot be made of.
func (c *converter) refuse(l *layer, format string, args ...any) error {
	return stoa.Errorf(stoa.Unsupported, "%s: %s: %s", c.net.doc.file, l.at(), fmt.Sprintf(format, args...))
}

// invalid says what of a layer makes no sense.
func (c *converter) invalid(l *layer, format string, args ...any) error {
	return stoa.Errorf(stoa.Invalid, "%s: %s: %s", c.net.doc.file, l.at(), fmt.Sprintf(format, args...))
}

// attach gives a layer its blobs: those of the weights by its name, then those
// that the caller gave.
func (c *converter) attach(l *layer) {
	l.blobs = nil
	if c.weights != nil {
		l.blobs = slices.Clone(c.weights.layers[l.name])
	}
	for i := range 8 { // no layer has more than five
		if b, ok := c.extra[l.name+"."+strconv.Itoa(i)]; ok {
			for len(l.blobs) <= i {
				l.blobs = append(l.blobs, blob{})
			}
			l.blobs[i] = b
		}
	}
}

// outputs names the blobs that nobody reads, in the order in which they are made.
func (c *converter) outputs() error {
	blobs := slices.SortedFunc(maps.Keys(c.wrote), func(a, b string) int { return cmp.Compare(c.wrote[a], c.wrote[b]) })
	for _, b := range blobs {
		v := c.current[b]
		if c.read[b] || c.inputs[b] && v.name == b {
			continue
		}
		if v.name != b && c.producer[b] == nil && !c.inputs[b] {
			c.emit("Identity", b, []string{v.name})
			v.name = b
		}
		c.graph.Outputs = append(c.graph.Outputs, &onnx.ValueInfo{Name: v.name, DType: tensor.Float32})
	}
	if len(c.graph.Outputs) == 0 {
		return stoa.Errorf(stoa.Invalid, "%s: the network has no output", c.net.doc.file)
	}
	return nil
}

// pin takes the number of a dimension for good: it may not change any more.
func (c *converter) pin(d dim) int64 {
	c.pinned |= d.dyn
	return d.n
}

// pinAll takes the numbers of all dimensions.
func (c *converter) pinAll(ds []dim) []int64 {
	out := make([]int64, len(ds))
	for i, d := range ds {
		out[i] = c.pin(d)
	}
	return out
}

// in gives the value of a layer's bottom i.
func (c *converter) in(l *layer, i int) value { return c.current[l.bottoms[i]] }

// unique finds a name for a tensor.
func (c *converter) unique(base string) string { return c.free(base, c.names) }

// free takes a name that is not taken yet: base, or base with a number.
func (c *converter) free(base string, taken map[string]bool) string {
	name := base
	for taken[name] {
		c.next[base]++
		name = base + "_" + strconv.Itoa(c.next[base])
	}
	taken[name] = true
	return name
}

// op adds a node and gives the name of its output, which is good for this layer.
func (c *converter) op(l *layer, op string, inputs []string, attrs ...onnx.Attribute) string {
	out := c.unique(l.name + "/" + op)
	c.emit(op, out, inputs, attrs...)
	c.fresh[out] = true
	return out
}

func (c *converter) emit(op, out string, inputs []string, attrs ...onnx.Attribute) *onnx.Node {
	n := &onnx.Node{Name: out, Op: op, Inputs: inputs, Outputs: []string{out}, Attrs: attrs}
	for _, i := range inputs {
		c.used[i] = true
	}
	c.producer[out] = n
	if c.layerType != "" {
		c.mapped[c.layerType][op] = true
	}
	c.graph.Nodes = append(c.graph.Nodes, n)
	return n
}

// set makes a tensor the new value of a layer's top i. A tensor that this layer
// has just made takes the blob's name where that is its last value.
func (c *converter) set(l *layer, i int, name string, shape []dim) {
	if i >= len(l.tops) {
		return
	}
	top := l.tops[i]
	c.writes[top]--
	last := c.writes[top] == 0 && c.producer[top] == nil && !c.inputs[top]
	if n := c.producer[name]; n != nil && c.fresh[name] && !c.used[name] && n.Outputs[0] == name {
		to := top
		if !last {
			to = c.unique(top + "@" + l.name)
		}
		delete(c.producer, name)
		delete(c.fresh, name)
		n.Outputs[0] = to
		n.Name = c.free(l.name, c.nodes)
		c.producer[to] = n
		name = to
	}
	c.put(top, value{name: name, shape: shape})
}

// constant adds an initializer and gives its name.
func (c *converter) constant(l *layer, what string, t tensor.Tensor) string {
	name := c.unique(l.name + "." + what)
	c.graph.Initializers = append(c.graph.Initializers, onnx.NewTensor(name, t))
	return name
}

// scalar adds a number.
func (c *converter) scalar(l *layer, what string, v float64) string {
	return c.constant(l, what, tensor.Of([]float32{float32(v)}, []int64{}...))
}

// list adds a list of integers.
func (c *converter) list(l *layer, what string, vs ...int64) string {
	return c.constant(l, what, tensor.Of(slices.Clone(vs), int64(len(vs))))
}

// axis reads an axis, which counts from the end where it is negative.
func (c *converter) axis(l *layer, axis int64, rank int) (int, error) {
	if axis < 0 {
		axis += int64(rank)
	}
	if axis < 0 || axis >= int64(rank) {
		return 0, c.invalid(l, "its axis lies outside its input of %d dimensions", rank)
	}
	return int(axis), nil
}

// product multiplies dimensions; sizes that do not fit are refused where they
// meet an array.
func product(ds []dim) dim {
	out := dim{n: 1}
	for _, d := range ds {
		if d.n != 0 && out.n > (1<<62)/d.n {
			out.n = 1 << 62
		} else {
			out.n *= d.n
		}
		out.dyn |= d.dyn
	}
	return out
}
