package caffe

import (
	"fmt"
	"slices"
	"strings"
)

// v1Types names the layer types that the encoding of before 2015 numbers.
var v1Types = map[uint64]string{
	1: "Accuracy", 2: "BNLL", 3: "Concat", 4: "Convolution", 5: "Data", 6: "Dropout", 7: "EuclideanLoss", 8: "Flatten",
	9: "HDF5Data", 10: "HDF5Output", 11: "Im2col", 12: "ImageData", 13: "InfogainLoss", 14: "InnerProduct", 15: "LRN",
	16: "MultinomialLogisticLoss", 17: "Pooling", 18: "ReLU", 19: "Sigmoid", 20: "Softmax", 21: "SoftmaxWithLoss",
	22: "Split", 23: "TanH", 24: "WindowData", 25: "Eltwise", 26: "Power", 27: "SigmoidCrossEntropyLoss",
	28: "HingeLoss", 29: "MemoryData", 30: "ArgMax", 31: "Threshold", 32: "DummyData", 33: "Slice", 34: "MVN",
	35: "AbsVal", 36: "Silence", 37: "ContrastiveLoss", 38: "Exp", 39: "Deconvolution",
}

// v1Words gives the types as texts of before 2015 spell them, by the modern
// spelling in capitals without underscores: SOFTMAX_LOSS is the one exception.
func v1Word(word string) string {
	plain := strings.ReplaceAll(word, "_", "")
	if plain == "SOFTMAXLOSS" {
		return "SoftmaxWithLoss"
	}
	for _, t := range v1Types {
		if strings.EqualFold(t, plain) {
			return t
		}
	}
	return word
}

// net is a network as described: inputs and layers, those of training apart.
type net struct {
	doc    *document
	name   string
	inputs []input
	layers []*layer
	source map[string]int // layer types of the file and how many, all phases
	notes  []string
	v1     bool
}

// input is a blob that callers fill. A nil shape is not known.
type input struct {
	name  string
	shape []int64
	line  int
	from  *layer // the data layer it comes from; nil for a declared one
}

// layer is one layer that takes part in inference.
type layer struct {
	name    string
	typ     string
	line    int
	bottoms []string
	tops    []string
	msg     *message
	blobs   []blob
}

// at says where a layer stands, for messages.
func (l *layer) at() string {
	if l.line > 0 {
		return fmt.Sprintf("layer %q (%s, line %d)", cut(l.name), cut(l.typ), l.line)
	}
	return fmt.Sprintf("layer %q (%s)", cut(l.name), cut(l.typ))
}

// dataLayers bring pictures in while training, and stand for the input.
var dataLayers = map[string]bool{
	"Data": true, "ImageData": true, "MemoryData": true, "HDF5Data": true, "WindowData": true, "AnnotatedData": true,
}

// droppedLayers say nothing about what the network answers.
var droppedLayers = map[string]bool{
	"Accuracy": true, "EuclideanLoss": true, "HingeLoss": true, "InfogainLoss": true, "ContrastiveLoss": true,
	"MultinomialLogisticLoss": true, "Silence": true, "HDF5Output": true, "SmoothL1Loss": true, "MultiBoxLoss": true,
	"DetectionEvaluate": true, "TripletLoss": true, "CenterLoss": true,
}

// describe makes a net of a description, text or binary.
func describe(m *message) (*net, error) {
	n := &net{doc: m.doc, name: m.str("name", ""), source: map[string]int{}}
	if err := n.declaredInputs(m); err != nil {
		return nil, err
	}
	all := m.all("layer")
	if old := m.all("layers"); len(old) > 0 {
		if len(all) > 0 {
			return nil, m.doc.errorf(old[0].line, "the file has both layer { } and layers { }; upgrade the old ones")
		}
		all, n.v1 = old, true
	}
	stages := deployStages(all)
	var fallback []*layer
	for _, e := range all {
		if e.sub == nil {
			return nil, m.doc.errorf(e.line, "%s must be a message in { }", e.name)
		}
		l, err := readLayer(e)
		if err != nil {
			return nil, err
		}
		n.source[l.typ]++
		switch {
		case !included(l.msg, stages):
			if dataLayers[l.typ] {
				fallback = append(fallback, l)
			} else {
				n.notes = append(n.notes, fmt.Sprintf("%s is for training only and was dropped", l.at()))
			}
		case l.typ == "Input":
			if err := n.inputLayer(l); err != nil {
				return nil, err
			}
		case dataLayers[l.typ]:
			n.dataLayer(l)
		default:
			n.layers = append(n.layers, l)
		}
	}
	n.adopt(fallback)
	n.dropTraining()
	return n, m.doc.err
}

// declaredInputs reads input with input_shape, or with four input_dim each.
func (n *net) declaredInputs(m *message) error {
	names := m.all("input")
	shapes := m.all("input_shape")
	dims := m.ints("input_dim")
	for i, e := range names {
		in := input{name: e.text, line: e.line}
		switch {
		case i < len(shapes):
			in.shape = shapes[i].sub.ints("dim")
		case len(dims) >= 4*(i+1):
			in.shape = slices.Clone(dims[4*i : 4*i+4])
		default:
			return m.doc.errorf(e.line, "input %q has no size: add input_shape { dim: … }", cut(e.text))
		}
		n.inputs = append(n.inputs, in)
	}
	return m.doc.err
}

func readLayer(e *entry) (*layer, error) {
	m := e.sub
	if m.has("layer") { // V0LayerParameter, of before 2014
		return nil, m.doc.errorf(e.line, "layers { layer { } } is the form of 2013; upgrade it with Caffe's upgrade_net_proto_text")
	}
	l := &layer{
		name: m.str("name", ""), typ: m.str("type", ""), line: e.line,
		bottoms: m.strs("bottom"), tops: m.strs("top"), msg: m,
	}
	if e.name == "layers" {
		l.typ = v1Word(l.typ)
	}
	if l.typ == "" {
		return nil, m.doc.errorf(e.line, "layer %q has no type", cut(l.name))
	}
	return l, m.doc.err
}

// deployStages gives the stage "deploy" where some rule names it, as the files
// of NVIDIA DIGITS do: they hold training and deployment side by side.
func deployStages(layers []*entry) map[string]bool {
	for _, l := range layers {
		for _, rule := range append(l.sub.all("include"), l.sub.all("exclude")...) {
			if slices.Contains(append(rule.sub.strs("stage"), rule.sub.strs("not_stage")...), "deploy") {
				return map[string]bool{"deploy": true}
			}
		}
	}
	return nil
}

// included tells whether a layer takes part in the phase TEST at level 0.
func included(m *message, stages map[string]bool) bool {
	meets := func(e *entry) bool {
		r := e.sub
		switch r.str("phase", "TEST") {
		case "TEST", "1":
		default:
			return false
		}
		if r.int("min_level", 0) > 0 || r.int("max_level", 0) < 0 {
			return false
		}
		for _, s := range r.strs("stage") {
			if !stages[s] {
				return false
			}
		}
		return !slices.ContainsFunc(r.strs("not_stage"), func(s string) bool { return stages[s] })
	}
	if rules := m.all("include"); len(rules) > 0 {
		return slices.ContainsFunc(rules, meets)
	}
	return !slices.ContainsFunc(m.all("exclude"), meets)
}

func (n *net) inputLayer(l *layer) error {
	shapes := l.msg.sub("input_param").all("shape")
	for i, top := range l.tops {
		if len(shapes) == 0 {
			return n.doc.errorf(l.line, "%s has no size: add input_param { shape { dim: … } }", l.at())
		}
		n.inputs = append(n.inputs, input{name: top, shape: shapes[min(i, len(shapes)-1)].sub.ints("dim"), line: l.line})
	}
	return nil
}

// dataLayer takes a layer that reads pictures from a disk as the input, where
// no input of that name was declared.
func (n *net) dataLayer(l *layer) {
	for i, top := range l.tops {
		if slices.ContainsFunc(n.inputs, func(in input) bool { return in.name == top }) {
			continue
		}
		in := input{name: top, line: l.line, from: l}
		if p := l.msg.sub("memory_data_param"); p != nil && i == 0 {
			in.shape = []int64{p.int("batch_size", 1), p.int("channels", 0), p.int("height", 0), p.int("width", 0)}
		}
		n.inputs = append(n.inputs, in)
	}
}

// adopt takes data layers of the training phase as inputs, for files that have
// no other: their tops are wanted, and nothing makes them.
func (n *net) adopt(layers []*layer) {
	made := map[string]bool{}
	for _, in := range n.inputs {
		made[in.name] = true
	}
	wanted := map[string]bool{}
	for _, l := range n.layers {
		for _, b := range l.bottoms {
			wanted[b] = wanted[b] || !made[b]
		}
		for _, t := range l.tops {
			made[t] = true
		}
	}
	for _, l := range layers {
		if slices.ContainsFunc(l.tops, func(t string) bool { return wanted[t] }) {
			n.dataLayer(l)
		} else {
			n.notes = append(n.notes, fmt.Sprintf("%s is for training only and was dropped", l.at()))
		}
	}
}

// dropTraining drops the layers that only measure, turns losses that hold an
// activation into it, and forgets the inputs that nothing needs any more.
func (n *net) dropTraining() {
	kept := n.layers[:0]
	for _, l := range n.layers {
		switch {
		case droppedLayers[l.typ]:
			if l.typ != "Silence" {
				n.notes = append(n.notes, fmt.Sprintf("%s is for training only and was dropped", l.at()))
			}
			continue
		case l.typ == "SoftmaxWithLoss" || l.typ == "SigmoidCrossEntropyLoss":
			to := map[string]string{"SoftmaxWithLoss": "Softmax", "SigmoidCrossEntropyLoss": "Sigmoid"}[l.typ]
			n.notes = append(n.notes, fmt.Sprintf("%s became %s: its labels are for training", l.at(), to))
			l.typ, l.bottoms = to, l.bottoms[:min(1, len(l.bottoms))]
			if len(l.tops) == 0 {
				l.tops = []string{l.name}
			}
			l.tops = l.tops[:1]
		}
		kept = append(kept, l)
	}
	n.layers = kept
	used := map[string]bool{}
	for _, l := range n.layers {
		for _, b := range l.bottoms {
			used[b] = true
		}
	}
	n.inputs = slices.DeleteFunc(n.inputs, func(in input) bool { return !used[in.name] })
}
