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

const outputAdvice = "name the tensors that are wanted (model.outputs in stoa.yaml, --output NAME on the command line)"

// ports finds the inputs and outputs: those that were asked for, else those of a
// signature, else what nothing in the graph reads.
func (c *converter) ports(main *flow.Scope) (ports, error) {
	var p ports
	sig, err := c.model.Signature(c.opt.Signature, c.opt.Outputs)
	for _, text := range c.model.Notes {
		c.note("%s", text)
	}
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

// signed gives the ports of a signature, in the order of the graph.
func (c *converter) signed(main *flow.Scope, s *graphdef.Signature) (ports, error) {
	var p ports
	for side, infos := range []map[string]graphdef.Info{s.Inputs, s.Outputs} {
		var list []port
		for _, name := range slices.Sorted(maps.Keys(infos)) {
			info := infos[name]
			if info.Name == "" {
				return p, stoa.Errorf(stoa.Unsupported, "%s: %q of the signature is no plain tensor (a sparse or a composite one)", c.model.File, name)
			}
			r, err := main.Ref(info.Name)
			if err != nil {
				return p, stoa.Errorf(stoa.Invalid, "%s: the signature's %q is %s", c.model.File, name, stoa.AsError(err).Msg)
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
			return nil, stoa.Errorf(stoa.Invalid, "%s: the network has no tensor %q", c.model.File, name)
		}
		out = append(out, port{name: name, ref: r})
	}
	return out, nil
}

// leaves gives what depends on an input and is read by nothing, apart from what
// only training, saving and watching need.
func (c *converter) leaves(main *flow.Scope) ([]port, error) {
	supported := func(op string) bool { return c.ops[op] != nil || c.definition(op) != nil }
	out, odd := main.Leaves(supported, c.model.Vars != nil)
	if len(out) == 0 {
		out, odd = odd, nil
	}
	if len(out) == 0 {
		return nil, stoa.Errorf(stoa.Invalid, "%s: nothing in the graph depends on an input: %s", c.model.File, outputAdvice)
	}
	if len(out) > 1 {
		c.note("the outputs are what nothing in the graph reads: %s; to have others, %s", nodeNames(out), outputAdvice)
	}
	if len(odd) > 0 {
		c.note("left out, since they take operators that are not supported: %s", nodeNames(odd))
	}
	var ports []port
	for _, n := range out {
		ports = append(ports, port{name: n.Name, ref: flow.Ref{Node: n}, guessed: true})
	}
	return ports, nil
}

func nodeNames(ps []*flow.Node) string {
	const most = 8
	var names []string
	for _, p := range ps[:min(len(ps), most)] {
		names = append(names, p.Name)
	}
	if len(ps) > most {
		names = append(names, fmt.Sprintf("and %d more", len(ps)-most))
	}
	return strings.Join(names, ", ")
}
