// Package caffetest makes Caffe weights for tests and benchmarks: the numbers
// that a rule gives, for a description of a network, so that the famous networks
// can be tested without the weights that made them famous. It reads descriptions
// by a small parser of its own, apart from the one that it helps to test.
package caffetest

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"

	"google.golang.org/protobuf/encoding/protowire"
)

// Value gives element i of the sequence of a seed, from -1 up to 1: splitmix64,
// of which the upper 24 bits count.
func Value(seed, i uint64) float32 {
	z := seed + (i+1)*0x9E3779B97F4A7C15
	z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9
	z = (z ^ (z >> 27)) * 0x94D049BB133111EB
	z ^= z >> 31
	return float32(float64(z>>40)/(1<<23) - 1)
}

// Input gives n elements of the input that the expected outputs belong to.
func Input(n int, scale float32) []float32 {
	const seed = 4242
	out := make([]float32, n)
	for i := range out {
		out[i] = Value(seed, uint64(i)) * scale
	}
	return out
}

// Options steer Write.
type Options struct {
	Skip map[string]bool // layers that get no weights
	Hull []float32       // 313 pairs of colours, for the layer class8_ab
}

// Write writes a .caffemodel for a description whose input has the given shape.
func Write(w io.Writer, prototxt string, input []int64, opt Options) error {
	net, err := parse(prototxt)
	if err != nil {
		return err
	}
	buf := bufio.NewWriterSize(w, 1<<20)
	shapes := map[string][]int64{}
	for _, name := range net.all("input") {
		shapes[name.text] = input
	}
	k := 0
	for _, l := range net.all("layer") {
		if l.str("type") == "Input" {
			shapes[l.str("top")] = input
			continue
		}
		blobs, out, err := layerShapes(l, shapes)
		if err != nil {
			return err
		}
		for _, t := range l.all("top") {
			shapes[t.text] = out
		}
		if len(blobs) == 0 {
			continue
		}
		if !opt.Skip[l.str("name")] {
			if err := writeLayer(buf, l, blobs, filling{layer: k, opt: opt}); err != nil {
				return err
			}
		}
		k++
	}
	return buf.Flush()
}

// filling says by which rule a layer's blobs are filled.
type filling struct {
	layer int
	opt   Options
}

func (f filling) value(l *node, blob int, shape []int64) func(i uint64) float32 {
	seed := uint64(1000003*f.layer + 101*blob + 7)
	typ := l.str("type")
	factor, base := float32(0.05), float32(0)
	switch {
	case l.str("name") == "class8_ab" && f.opt.Hull != nil:
		if blob > 0 {
			return func(uint64) float32 { return 0 }
		}
		return func(i uint64) float32 { return f.opt.Hull[i%313*2+i/313] }
	case l.str("name") == "conv8_313_rh":
		return func(uint64) float32 { return 2.606 }
	case blob == 0 && (typ == "Convolution" || typ == "InnerProduct" || typ == "Deconvolution"):
		fan := product(shape[1:])
		if typ == "Deconvolution" {
			fan = shape[0] * shape[2] * shape[3]
		}
		factor = float32(math.Sqrt(6/float64(fan)) * 0.7)
	case typ == "BatchNorm":
		factor = []float32{0.1, 0.3, 0}[blob]
		base = []float32{0, 1, 1}[blob]
	case typ == "Scale":
		factor = []float32{0.2, 0.1}[blob]
		base = []float32{1, 0}[blob]
	case typ == "PReLU":
		base = 0.25
	}
	return func(i uint64) float32 { return base + factor*Value(seed, i) }
}

func writeLayer(w *bufio.Writer, l *node, blobs [][]int64, f filling) error {
	head := protowire.AppendTag(nil, 1, protowire.BytesType)
	head = protowire.AppendString(head, l.str("name"))
	head = protowire.AppendTag(head, 2, protowire.BytesType)
	head = protowire.AppendString(head, l.str("type"))
	size := len(head)
	var heads [][]byte
	for _, shape := range blobs {
		var dims []byte
		for _, d := range shape {
			dims = protowire.AppendVarint(dims, uint64(d))
		}
		inner := protowire.AppendTag(nil, 1, protowire.BytesType)
		inner = protowire.AppendBytes(inner, dims)
		n := int(product(shape)) * 4
		var b []byte
		b = protowire.AppendTag(b, 7, protowire.BytesType)
		b = protowire.AppendBytes(b, inner)
		b = protowire.AppendTag(b, 5, protowire.BytesType)
		b = protowire.AppendVarint(b, uint64(n))
		h := protowire.AppendTag(nil, 7, protowire.BytesType)
		h = protowire.AppendVarint(h, uint64(len(b)+n))
		h = append(h, b...)
		heads = append(heads, h)
		size += len(h) + n
	}
	out := protowire.AppendTag(nil, 100, protowire.BytesType)
	out = protowire.AppendVarint(out, uint64(size))
	_, _ = w.Write(append(out, head...))
	for j, shape := range blobs {
		_, _ = w.Write(heads[j])
		value := f.value(l, j, shape)
		var four [4]byte
		for i := range uint64(product(shape)) {
			binary.LittleEndian.PutUint32(four[:], math.Float32bits(value(i)))
			if _, err := w.Write(four[:]); err != nil {
				return err
			}
		}
	}
	return nil
}

func product(shape []int64) int64 {
	n := int64(1)
	for _, d := range shape {
		n *= d
	}
	return n
}

// layerShapes gives the shapes of a layer's blobs and of its output.
func layerShapes(l *node, shapes map[string][]int64) (blobs [][]int64, out []int64, err error) {
	var in [][]int64
	for _, b := range l.all("bottom") {
		s, ok := shapes[b.text]
		if !ok {
			return nil, nil, fmt.Errorf("layer %s takes %s, which is not there", l.str("name"), b.text)
		}
		in = append(in, s)
	}
	out = append([]int64{}, in[0]...)
	switch typ := l.str("type"); typ {
	case "Convolution", "Deconvolution":
		p := l.sub("convolution_param")
		n, g := p.int("num_output", 0), p.int("group", 1)
		weight := []int64{n, out[1] / g}
		if typ == "Deconvolution" {
			weight = []int64{out[1], n / g}
		}
		for a, axis := range []string{"h", "w"} {
			k, s, q, d := p.axis("kernel", axis), max(p.axis("stride", axis), 1), p.axis("pad", axis), p.int("dilation", 1)
			weight = append(weight, k)
			if typ == "Convolution" {
				out[2+a] = (out[2+a]+2*q-(d*(k-1)+1))/s + 1
			} else {
				out[2+a] = s*(out[2+a]-1) + d*(k-1) + 1 - 2*q
			}
		}
		out[1] = n
		return withBias(p, weight, n), out, nil
	case "Pooling":
		poolShape(l.sub("pooling_param"), out)
	case "InnerProduct":
		p := l.sub("inner_product_param")
		n := p.int("num_output", 0)
		return withBias(p, []int64{n, product(out[1:])}, n), []int64{out[0], n}, nil
	case "BatchNorm":
		return [][]int64{{out[1]}, {out[1]}, {1}}, out, nil
	case "Scale":
		blobs = [][]int64{{out[1]}}
		if l.sub("scale_param").str("bias_term") == "true" {
			blobs = append(blobs, []int64{out[1]})
		}
		return blobs, out, nil
	case "PReLU":
		return [][]int64{{out[1]}}, out, nil
	case "Concat":
		for _, s := range in[1:] {
			out[1] += s[1]
		}
	case "Flatten":
		return nil, []int64{out[0], product(out[1:])}, nil
	}
	return nil, out, nil
}

func withBias(p *node, weight []int64, n int64) [][]int64 {
	if p.str("bias_term") == "false" {
		return [][]int64{weight}
	}
	return [][]int64{weight, {n}}
}

func poolShape(p *node, out []int64) {
	for a, axis := range []string{"h", "w"} {
		if p.str("global_pooling") == "true" {
			out[2+a] = 1
			continue
		}
		k, s, q := p.axis("kernel", axis), max(p.axis("stride", axis), 1), p.axis("pad", axis)
		in := out[2+a]
		n := (in+2*q-k+s-1)/s + 1
		if q > 0 && (n-1)*s >= in+q {
			n--
		}
		out[2+a] = n
	}
}

// node is a message or a field of a description.
type node struct {
	name string
	text string
	subs []*node
}

func (n *node) all(name string) []*node {
	if n == nil {
		return nil
	}
	var out []*node
	for _, s := range n.subs {
		if s.name == name {
			out = append(out, s)
		}
	}
	return out
}

func (n *node) sub(name string) *node {
	if all := n.all(name); len(all) > 0 {
		return all[0]
	}
	return nil
}

func (n *node) str(name string) string {
	if s := n.sub(name); s != nil {
		return s.text
	}
	return ""
}

func (n *node) int(name string, otherwise int64) int64 {
	if v, err := strconv.ParseInt(n.str(name), 10, 64); err == nil {
		return v
	}
	return otherwise
}

// axis gives kernel_h, or kernel_size, and the like.
func (n *node) axis(what, axis string) int64 {
	both := what
	if what == "kernel" {
		both = "kernel_size"
	}
	return n.int(what+"_"+axis, n.int(both, 0))
}

// parse reads a well-formed description.
func parse(text string) (*node, error) {
	var words []string
	for line := range strings.Lines(text) {
		line, _, _ = strings.Cut(line, "#")
		for _, c := range []string{"{", "}", ":", ",", ";"} {
			line = strings.ReplaceAll(line, c, " "+c+" ")
		}
		words = append(words, strings.Fields(line)...)
	}
	root := &node{}
	stack := []*node{root}
	for i := 0; i < len(words); i++ {
		top := stack[len(stack)-1]
		switch w := words[i]; w {
		case "}":
			if len(stack) == 1 {
				return nil, fmt.Errorf("a } too many")
			}
			stack = stack[:len(stack)-1]
		case ":", ",", ";":
		default:
			n := &node{name: w}
			top.subs = append(top.subs, n)
			if i+1 < len(words) && words[i+1] == ":" {
				i++
			}
			if i+1 >= len(words) {
				return nil, fmt.Errorf("the text is cut off")
			}
			i++
			if words[i] == "{" {
				stack = append(stack, n)
			} else {
				n.text = strings.Trim(words[i], `"'`)
			}
		}
	}
	return root, nil
}
