package tensorflow

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/format/graphdef"
	"github.com/stoa-project/stoa/internal/format/graphdef/flow"
	"github.com/stoa-project/stoa/internal/tensor"
)

// port is an input or an output of the network.
type port struct {
	name  string
	ref   flow.Ref
	dtype tensor.DType
	shape []int64 // of an input, as a signature says it; nil: it does not
	// guessed: nothing names it as an output.
	guessed bool
}

// ports are those between which the network lies. Inputs that are not listed are
// the placeholders that the outputs depend on.
type ports struct{ inputs, outputs []port }

const (
	outputAdvice = "name the tensors that are wanted (model.outputs in stoa.yaml, --output NAME on the command line)"
	initOp       = "__saved_model_init_op"
	trainOp      = "__saved_model_train_op"
	preferred    = "serving_default"
)

// ports finds the inputs and outputs: those that were asked for, else those of a
// signature, else what nothing in the graph reads.
func (c *converter) ports(main *flow.Scope) (ports, error) {
	var p ports
	sig, err := c.signature()
	if err != nil {
		return p, err
	}
	switch {
	case sig != nil:
		p, err = c.signed(main, sig)
	case len(c.opt.Outputs) > 0:
		p.outputs, err = c.named(main, c.opt.Outputs)
	default:
		p.outputs, err = c.leaves(main)
	}
	if err != nil {
		return p, err
	}
	if len(c.opt.Inputs) > 0 {
		var rest []string
		p.inputs = slices.DeleteFunc(p.inputs, func(in port) bool { return !slices.Contains(c.opt.Inputs, in.name) })
		for _, name := range c.opt.Inputs {
			if !slices.ContainsFunc(p.inputs, func(in port) bool { return in.name == name }) {
				rest = append(rest, name)
			}
		}
		more, err := c.named(main, rest)
		if err != nil {
			return p, err
		}
		p.inputs = append(p.inputs, more...)
	}
	c.wanted = map[string]bool{}
	var ends []*flow.Node
	for _, in := range p.inputs {
		c.wanted[in.name] = true
		ends = append(ends, in.ref.Node)
	}
	var refs []flow.Ref
	for _, o := range p.outputs {
		refs = append(refs, o.ref)
	}
	main.Reach = flow.Reachable(refs, ends...)
	return p, nil
}

// signature chooses a signature: the one that was asked for, or whose outputs
// were, else serving_default, else the first. It is nil where there is none, or where other
// tensors of the graph were asked for.
func (c *converter) signature() (*graphdef.Signature, error) {
	var names []string
	for name, s := range c.model.signatures {
		if name != initOp && name != trainOp && len(s.Outputs) > 0 {
			names = append(names, name)
		}
	}
	slices.SortFunc(names, func(a, b string) int {
		if (a == preferred) != (b == preferred) {
			if a == preferred {
				return -1
			}
			return 1
		}
		return cmp.Compare(a, b)
	})
	if len(names) == 0 && c.opt.Signature == "" {
		if c.model.saved && len(c.opt.Outputs) == 0 && len(c.definitions) > 0 {
			return nil, stoa.Errorf(stoa.Unsupported, "%s: the SavedModel has no signature, so that nothing says what goes in and out: save it with one, as in tf.saved_model.save(model, folder, signatures=model.call.get_concrete_function(tf.TensorSpec(...)))", c.model.file)
		}
		return nil, nil
	}
	if want := c.opt.Signature; want != "" {
		if !slices.Contains(names, want) {
			return nil, stoa.Errorf(stoa.Invalid, "%s: it has no signature %q, but %s", c.model.file, want, cmp.Or(strings.Join(names, ", "), "none at all"))
		}
		names = []string{want}
	}
	if len(names) > 1 {
		c.note("the file has the signatures %s; another is had with model.signature in stoa.yaml, or --signature %s", strings.Join(names, ", "), names[1])
	}
	if len(c.opt.Outputs) == 0 {
		c.note("the network is that of the signature %s", names[0])
		return c.model.signatures[names[0]], nil
	}
	for _, name := range names {
		s := c.model.signatures[name]
		if !slices.ContainsFunc(c.opt.Outputs, func(o string) bool { _, ok := s.Outputs[strings.TrimPrefix(o, name+":")]; return !ok }) {
			c.note("the network is that of the signature %s", name)
			return c.restrict(name, s), nil
		}
	}
	return nil, nil
}

// restrict leaves the outputs of a signature that were asked for, under the name
// by which they were.
func (c *converter) restrict(name string, s *graphdef.Signature) *graphdef.Signature {
	out := &graphdef.Signature{Inputs: s.Inputs, Outputs: map[string]graphdef.Info{}, Method: s.Method}
	for _, o := range c.opt.Outputs {
		key, ok := strings.CutPrefix(o, name+":")
		if !ok {
			key = o
		}
		out.Outputs[o] = s.Outputs[key]
	}
	return out
}

// signed gives the ports of a signature, in the order of the graph.
func (c *converter) signed(main *flow.Scope, s *graphdef.Signature) (ports, error) {
	var p ports
	for side, infos := range []map[string]graphdef.Info{s.Inputs, s.Outputs} {
		var list []port
		for _, name := range slices.Sorted(maps.Keys(infos)) {
			info := infos[name]
			if info.Name == "" {
				return p, stoa.Errorf(stoa.Unsupported, "%s: %q of the signature is no plain tensor (a sparse or a composite one)", c.model.file, name)
			}
			r, err := main.Ref(info.Name)
			if err != nil {
				return p, stoa.Errorf(stoa.Invalid, "%s: the signature's %q is %s", c.model.file, name, stoa.AsError(err).Msg)
			}
			in := port{name: name, ref: r, dtype: info.Type.DType()}
			if info.Shape != nil && !info.Shape.Unknown {
				in.shape = append([]int64{}, info.Shape.Dims...)
			}
			list = append(list, in)
		}
		if side == 0 {
			p.inputs = list
		} else {
			p.outputs = list
		}
	}
	at := map[*flow.Node]int{}
	for i, n := range main.Nodes {
		at[n] = i
	}
	order := func(a, b port) int {
		return cmp.Or(cmp.Compare(at[a.ref.Node], at[b.ref.Node]), cmp.Compare(a.ref.Out, b.ref.Out))
	}
	slices.SortStableFunc(p.inputs, order)
	slices.SortStableFunc(p.outputs, order)
	return p, nil
}

// named finds tensors of the graph by name.
func (c *converter) named(main *flow.Scope, names []string) ([]port, error) {
	var out []port
	for _, name := range names {
		r, err := main.Ref(strings.TrimPrefix(name, "^"))
		if err != nil {
			return nil, stoa.Errorf(stoa.Invalid, "%s: the network has no tensor %q", c.model.file, name)
		}
		out = append(out, port{name: name, ref: r})
	}
	return out, nil
}

// leaves gives what depends on an input and is read by nothing, apart from what
// only training, saving and watching need.
func (c *converter) leaves(main *flow.Scope) ([]port, error) {
	read := map[*flow.Node]bool{}
	for _, n := range main.Nodes {
		if !c.idle(n) {
			for _, r := range n.In {
				read[r.Node] = true
			}
			// Identities of a Switch are there to be waited for in a branch.
			for _, m := range n.Control {
				read[m] = read[m] || m.Op == "Identity" && m.Input(0).Node != nil && flow.IsSwitch(m.Input(0).Node)
			}
		}
	}
	var out, odd []port
	for _, n := range main.Nodes {
		if read[n] || c.idle(n) || isSource(n) {
			continue
		}
		reach := flow.Reachable([]flow.Ref{{Node: n, Out: 0}})
		fed, sound := false, true
		for m := range reach {
			fed = fed || isInput(m)
			sound = sound && (c.ops[m.Op] != nil || c.definition(m.Op) != nil)
		}
		switch p := (port{name: n.Name, ref: flow.Ref{Node: n}, guessed: true}); {
		case !fed:
		case sound:
			out = append(out, p)
		default:
			odd = append(odd, p)
		}
	}
	if len(out) == 0 {
		out, odd = odd, nil
	}
	if len(out) == 0 {
		return nil, stoa.Errorf(stoa.Invalid, "%s: nothing in the graph depends on an input: %s", c.model.file, outputAdvice)
	}
	if len(out) > 1 {
		c.note("the outputs are what nothing in the graph reads: %s; to have others, %s", portNames(out), outputAdvice)
	}
	if len(odd) > 0 {
		c.note("left out, since they take operators that are not supported: %s", portNames(odd))
	}
	return out, nil
}

func portNames(ps []port) string {
	const most = 8
	var names []string
	for _, p := range ps[:min(len(ps), most)] {
		names = append(names, p.name)
	}
	if len(ps) > most {
		names = append(names, fmt.Sprintf("and %d more", len(ps)-most))
	}
	return strings.Join(names, ", ")
}

// isInput tells whether a node stands for what a caller gives.
func isInput(n *flow.Node) bool {
	switch n.Op {
	case "Placeholder", "PlaceholderV2", "PlaceholderWithDefault", "IteratorGetNext", flow.OpArg:
		return true
	}
	return false
}

// isSource tells whether a node computes nothing of anything.
func isSource(n *flow.Node) bool {
	switch n.Op {
	case "Const", "VariableV2", "Variable", "VarHandleOp", "NoOp", "AutoReloadVariable":
		return true
	}
	return isInput(n)
}

// idle tells whether a node is there for training, saving or watching only.
func (c *converter) idle(n *flow.Node) bool {
	if c.model.vars != nil {
		first, _, _ := strings.Cut(n.Name, "/")
		for _, p := range []string{"gradients", "save", "report_uninitialized", "init", "train"} {
			if strings.HasPrefix(first, p) {
				return true
			}
		}
	}
	for _, p := range []string{"Apply", "Assign", "Save", "Restore", "ResourceApply", "ScatterUpdate"} {
		if strings.HasPrefix(n.Op, p) {
			return true
		}
	}
	switch n.Op {
	case "NoOp", "Assert", "PrintV2", "IsVariableInitialized", "VarIsInitializedOp", "QueueEnqueueV2", "QueueCloseV2", "MergeV2Checkpoints", "ShardedFilename":
		return true
	}
	return strings.HasSuffix(n.Op, "Summary") || strings.HasSuffix(n.Op, "SummaryV2")
}
