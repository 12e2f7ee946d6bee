// Package flow ties the nodes of TensorFlow's graphs and functions to each other,
// and finds the loops and conditions that TensorFlow 1 writes as nodes.
package flow

import (
	"strconv"
	"strings"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/format/graphdef"
)

// Scope is a graph or a function: its nodes, tied to each other.
type Scope struct {
	Name    string
	Nodes   []*Node
	ByName  map[string]*Node
	Args    []*Node        // of a function
	Returns []Ref          // of a function
	Reach   map[*Node]bool // what its outputs depend on

	frames  map[string]*Frame
	library map[string]*graphdef.Function
}

// Node is an operation and what it takes.
type Node struct {
	*graphdef.Node
	In      []Ref
	Control []*Node // those that it only has to wait for
	Arg     int     // of a function's argument, its number
	Scope   *Scope
}

// Ref is an output of a node.
type Ref struct {
	Node *Node
	Out  int
}

// OpArg is the operator of a function's arguments, which are nodes here.
const OpArg = "_Arg"

// New ties the nodes of a graph, or of a function of a library.
func New(name string, nodes []*graphdef.Node, fn *graphdef.Function, library map[string]*graphdef.Function) (*Scope, error) {
	s := &Scope{Name: name, ByName: make(map[string]*Node, len(nodes)), frames: map[string]*Frame{}, library: library}
	if fn != nil {
		for i, a := range fn.Inputs {
			n := &Node{Node: &graphdef.Node{Name: a.Name, Op: OpArg, Attrs: map[string]*graphdef.Attr{"T": {Type: a.Type}}}, Arg: i, Scope: s}
			s.Args = append(s.Args, n)
			s.ByName[a.Name] = n
		}
	}
	for _, d := range nodes {
		n := &Node{Node: d, Scope: s}
		if s.ByName[d.Name] != nil {
			return nil, stoa.Errorf(stoa.Invalid, "two nodes are called %q", d.Name)
		}
		s.Nodes = append(s.Nodes, n)
		s.ByName[d.Name] = n
	}
	for _, n := range s.Nodes {
		for _, in := range n.Inputs {
			if after, ok := strings.CutPrefix(in, "^"); ok {
				if m := s.ByName[after]; m != nil {
					n.Control = append(n.Control, m)
				}
				continue
			}
			r, err := s.Ref(in)
			if err != nil {
				return nil, stoa.Errorf(stoa.Invalid, "node %q (%s) takes %s", n.Name, n.Op, stoa.AsError(err).Msg)
			}
			n.In = append(n.In, r)
		}
	}
	s.findFrames()
	if fn == nil {
		return s, nil
	}
	for _, o := range fn.Outputs {
		r, err := s.Ref(fn.Returns[o.Name])
		if err != nil {
			return nil, stoa.Errorf(stoa.Invalid, "function %q gives %s", fn.Name, stoa.AsError(err).Msg)
		}
		s.Returns = append(s.Returns, r)
	}
	s.Reach = Reachable(s.Returns)
	return s, nil
}

// Ref finds an output by its name: "node", "node:1", or "node:output:1".
func (s *Scope) Ref(name string) (Ref, error) {
	head, rest, _ := strings.Cut(name, ":")
	n := s.ByName[head]
	if n == nil {
		return Ref{}, stoa.Errorf(stoa.Invalid, "%q, which is not there", name)
	}
	arg, index, named := strings.Cut(rest, ":")
	if !named {
		arg, index = "", rest
	}
	k := 0
	if index != "" {
		var err error
		if k, err = strconv.Atoi(index); err != nil || k < 0 || k > 1<<20 {
			return Ref{}, stoa.Errorf(stoa.Invalid, "%q, which is no output of a node", name)
		}
	}
	return Ref{n, s.firstOutput(n.Op, arg) + k}, nil
}

// firstOutput gives the number of the first output of a name.
func (s *Scope) firstOutput(op, arg string) int {
	if arg == "" {
		return 0
	}
	if fn := s.library[op]; fn != nil {
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

// Input gives what a node takes; nothing where it takes less.
func (n *Node) Input(i int) Ref {
	if i < len(n.In) {
		return n.In[i]
	}
	return Ref{}
}

// Through follows nodes that give what they take.
func Through(r Ref) Ref {
	for range 1000 {
		if r.Node == nil || len(r.Node.In) == 0 {
			return r
		}
		switch r.Node.Op {
		case "Identity", "Enter", "RefEnter", "StopGradient", "Snapshot", "EnsureShape", "CheckNumerics", "ReadVariableOp":
			r = r.Node.In[0]
		case "IdentityN":
			if r.Out >= len(r.Node.In) {
				return r
			}
			r = r.Node.In[r.Out]
		default:
			return r
		}
	}
	return r
}

// Reachable gives the nodes that others depend on, those in branches that may
// turn out never to be taken too, and what lies before the ends not.
func Reachable(from []Ref, ends ...*Node) map[*Node]bool {
	seen := map[*Node]bool{}
	for _, n := range ends {
		seen[n] = true
	}
	var todo []*Node
	push := func(n *Node) {
		if n != nil && !seen[n] {
			seen[n] = true
			todo = append(todo, n)
		}
	}
	for _, r := range from {
		push(r.Node)
	}
	for len(todo) > 0 {
		n := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		for _, r := range n.In {
			push(r.Node)
		}
	}
	return seen
}
