package tensorflow

import (
	"strconv"
	"strings"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/format/graphdef"
	"github.com/stoa-project/stoa/internal/tensor"
)

// scope is a graph or a function: its nodes, tied to each other.
type scope struct {
	name    string
	nodes   []*node
	byName  map[string]*node
	args    []*node // of a function
	returns []ref   // of a function
	frames  map[string]*frame
	reach   map[*node]bool // what its outputs depend on
}

// node is an operation and what it takes.
type node struct {
	*graphdef.Node
	inputs  []ref
	control []*node // those that it only has to wait for
	arg     int     // of a function's argument, its number
	scope   *scope
}

// ref is an output of a node.
type ref struct {
	node *node
	out  int
}

// opArg is the operator of a function's arguments, which are nodes here.
const opArg = "_Arg"

// newScope ties the nodes of a graph.
func (c *converter) newScope(name string, nodes []*graphdef.Node, fn *graphdef.Function) (*scope, error) {
	s := &scope{name: name, byName: make(map[string]*node, len(nodes)), frames: map[string]*frame{}}
	if fn != nil {
		for i, a := range fn.Inputs {
			n := &node{Node: &graphdef.Node{Name: a.Name, Op: opArg, Attrs: map[string]*graphdef.Attr{"T": {Type: a.Type}}}, arg: i, scope: s}
			s.args = append(s.args, n)
			s.byName[a.Name] = n
		}
	}
	for _, d := range nodes {
		n := &node{Node: d, scope: s}
		if s.byName[d.Name] != nil {
			return nil, stoa.Errorf(stoa.Invalid, "%s: two nodes are called %q", c.model.file, d.Name)
		}
		s.nodes = append(s.nodes, n)
		s.byName[d.Name] = n
	}
	for _, n := range s.nodes {
		for _, in := range n.Inputs {
			if after, ok := strings.CutPrefix(in, "^"); ok {
				if m := s.byName[after]; m != nil {
					n.control = append(n.control, m)
				}
				continue
			}
			r, err := c.ref(s, in)
			if err != nil {
				return nil, stoa.Errorf(stoa.Invalid, "%s: node %q (%s) takes %s", c.model.file, n.Name, n.Op, stoa.AsError(err).Msg)
			}
			n.inputs = append(n.inputs, r)
		}
	}
	s.findFrames()
	if fn == nil {
		return s, nil
	}
	for _, o := range fn.Outputs {
		r, err := c.ref(s, fn.Returns[o.Name])
		if err != nil {
			return nil, stoa.Errorf(stoa.Invalid, "%s: function %q gives %s", c.model.file, fn.Name, stoa.AsError(err).Msg)
		}
		s.returns = append(s.returns, r)
	}
	s.reach = reachable(s.returns)
	return s, nil
}

// ref finds an output by its name: "node", "node:1", or "node:output:1".
func (c *converter) ref(s *scope, name string) (ref, error) {
	head, rest, _ := strings.Cut(name, ":")
	n := s.byName[head]
	if n == nil {
		return ref{}, stoa.Errorf(stoa.Invalid, "%q, which is not there", name)
	}
	arg, index, named := strings.Cut(rest, ":")
	if !named {
		arg, index = "", rest
	}
	k := 0
	if index != "" {
		var err error
		if k, err = strconv.Atoi(index); err != nil || k < 0 || k > 1<<20 {
			return ref{}, stoa.Errorf(stoa.Invalid, "%q, which is no output of a node", name)
		}
	}
	return ref{n, c.firstOutput(n.Op, arg) + k}, nil
}

// firstOutput gives the number of the first output of a name.
func (c *converter) firstOutput(op, arg string) int {
	if arg == "" {
		return 0
	}
	if fn := c.definition(op); fn != nil {
		for i, o := range fn.Outputs {
			if o.Name == arg {
				return i
			}
		}
	}
	for i, name := range strings.Fields(outputNames[op]) {
		if name == arg {
			return i
		}
	}
	return 0
}

// outputNames are the outputs of the operators that have several.
var outputNames = map[string]string{
	"BlockLSTM": "i cs f o ci co h", "BlockLSTMV2": "i cs f o ci co h", "LSTMBlockCell": "i cs f o ci co h", "GRUBlockCell": "r u c h",
	"CudnnRNN": "output output_h output_c reserve_space", "CudnnRNNV2": "output output_h output_c reserve_space host_reserved", "CudnnRNNV3": "output output_h output_c reserve_space host_reserved",
	"FusedBatchNorm":        "y batch_mean batch_variance reserve_space_1 reserve_space_2",
	"FusedBatchNormV2":      "y batch_mean batch_variance reserve_space_1 reserve_space_2",
	"FusedBatchNormV3":      "y batch_mean batch_variance reserve_space_1 reserve_space_2 reserve_space_3",
	"MaxPoolWithArgmax":     "output argmax",
	"Merge":                 "output value_index",
	"NonMaxSuppressionV4":   "selected_indices valid_outputs",
	"NonMaxSuppressionV5":   "selected_indices selected_scores valid_outputs",
	"Switch":                "output_false output_true",
	"TensorArrayConcatV3":   "value lengths",
	"TensorArrayV3":         "handle flow",
	"TensorListConcatV2":    "tensor lengths",
	"TensorListPopBack":     "output_handle tensor",
	"TopK":                  "values indices",
	"TopKV2":                "values indices",
	"Unique":                "y idx",
	"UniqueWithCounts":      "y idx count",
	"ListDiff":              "out idx",
	"BroadcastGradientArgs": "r0 r1",
	"Qr":                    "q r",
	"Svd":                   "s u v",
}

func (n *node) input(i int) ref {
	if i < len(n.inputs) {
		return n.inputs[i]
	}
	return ref{}
}

// through follows nodes that give what they take.
func through(r ref) ref {
	for range 1000 {
		if r.node == nil || len(r.node.inputs) == 0 {
			return r
		}
		switch r.node.Op {
		case "Identity", "Enter", "RefEnter", "StopGradient", "Snapshot", "EnsureShape", "CheckNumerics", "ReadVariableOp":
			r = r.node.inputs[0]
		case "IdentityN":
			r = r.node.input(r.out)
		default:
			return r
		}
	}
	return r
}

// reachable gives the nodes that others depend on, those in branches that may
// turn out never to be taken too, and what lies before the ends not.
func reachable(from []ref, ends ...*node) map[*node]bool {
	seen := map[*node]bool{}
	for _, n := range ends {
		seen[n] = true
	}
	var todo []*node
	push := func(n *node) {
		if n != nil && !seen[n] {
			seen[n] = true
			todo = append(todo, n)
		}
	}
	for _, r := range from {
		push(r.node)
	}
	for len(todo) > 0 {
		n := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		for _, r := range n.inputs {
			push(r.node)
		}
	}
	return seen
}

// Attributes, with what TensorFlow takes where a graph does not name one: old
// graphs leave out what newer versions added.

func (n *node) int(name string, otherwise int64) int64 {
	if a := n.Attrs[name]; a != nil {
		return a.I
	}
	return otherwise
}

func (n *node) float(name string, otherwise float32) float32 {
	if a := n.Attrs[name]; a != nil {
		return a.F
	}
	return otherwise
}

func (n *node) flag(name string, otherwise bool) bool {
	if a := n.Attrs[name]; a != nil {
		return a.B
	}
	return otherwise
}

func (n *node) text(name, otherwise string) string {
	if a := n.Attrs[name]; a != nil && len(a.S) > 0 {
		return string(a.S)
	}
	return otherwise
}

func (n *node) ints(name string) []int64 {
	if a := n.Attrs[name]; a != nil {
		return a.Ints
	}
	return nil
}

func (n *node) dtype(name string, otherwise tensor.DType) tensor.DType {
	if a := n.Attrs[name]; a != nil && a.Type != 0 {
		return a.Type.DType()
	}
	return otherwise
}

func (n *node) funcName(name string) string {
	if a := n.Attrs[name]; a != nil && a.Func != nil {
		return a.Func.Name
	}
	return ""
}

// shape gives an attribute that is a shape; nil where not even the number of
// dimensions is known.
func (n *node) shape(name string) []int64 {
	a := n.Attrs[name]
	if a == nil || a.Shape == nil || a.Shape.Unknown {
		return nil
	}
	return append([]int64{}, a.Shape.Dims...)
}

func copyAttrs(m map[string]*graphdef.Attr) map[string]*graphdef.Attr {
	out := make(map[string]*graphdef.Attr, len(m)+2)
	for k, v := range m {
		out[k] = v
	}
	return out
}

func attrInts(vs []int64) *graphdef.Attr { return &graphdef.Attr{Ints: vs} }
