package cntk

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/stoa-project/stoa"
)

// maxFunctions bounds the functions of a network.
const maxFunctions = 200_000

// function is one of the network's primitive functions, or a block of some.
type function struct {
	uid, name string
	op        int64
	inputs    []string
	attrs     dict

	// Of a block only.
	block  string   // what it is called, such as "LSTM"
	root   string   // the function within that makes its outputs
	values []string // what its placeholders stand for, in their order
}

// The kinds of variables.
const (
	kindInput       = 0
	kindParameter   = 2
	kindConstant    = 3
	kindPlaceholder = 4
)

// variable is an input, a parameter, a constant or a placeholder.
type variable struct {
	uid, name string
	kind      int64
	shape     sizes
	axes      []axis // the dynamic ones
	value     *array
	double    bool
	sparse    bool
}

// network is a file's functions and variables by their names.
type network struct {
	file      string
	root      string
	name      string
	functions map[string]*function
	order     []*function // as they stand in the file
	variables map[string]*variable
	inputs    []*variable       // the network's, as they stand in the file
	bound     map[string]string // what a placeholder stands for
}

// ref is what a function gives or takes: an output of a function, or a variable.
type ref struct {
	f   *function
	out int
	v   *variable
}

// parse makes the network of a file's dictionary.
func parse(file string, d dict) (*network, error) {
	n := &network{
		file: file, root: d.str("root"), name: d.str("name"),
		functions: map[string]*function{}, variables: map[string]*variable{}, bound: map[string]string{},
	}
	for _, v := range d.list("inputs") {
		if in, ok := v.(dict); ok {
			v := newVariable(in)
			if n.variables[v.uid] = v; v.kind == kindInput {
				n.inputs = append(n.inputs, v)
			}
		}
	}
	functions := d.list("primitive_functions")
	if len(functions) > maxFunctions {
		return nil, stoa.Errorf(stoa.TooLarge, "%s: the network has over %d functions", file, maxFunctions)
	}
	for _, v := range functions {
		fd, ok := v.(dict)
		if !ok {
			continue
		}
		f, err := n.newFunction(fd)
		if err != nil {
			return nil, err
		}
		n.functions[f.uid] = f
		n.order = append(n.order, f)
	}
	if n.functions[n.root] == nil {
		return nil, stoa.Errorf(stoa.Invalid, "%s: its root function %q is not there", file, n.root)
	}
	return n, nil
}

func newVariable(d dict) *variable {
	v := &variable{
		uid: d.str("uid"), name: d.str("name"), kind: d.int("kind", -1), shape: d.sizes("shape"),
		double: d.int("data_type", dataFloat) == dataDouble, sparse: d.flag("is_sparse"),
	}
	for _, a := range d.list("dynamic_axis") {
		if a, ok := a.(axis); ok {
			v.axes = append(v.axes, a)
		}
	}
	v.value, _ = d["value"].(*array)
	return v
}

func (n *network) newFunction(d dict) (*function, error) {
	f := &function{
		uid: d.str("uid"), name: d.str("name"), op: d.int("op", -1), inputs: d.strings("inputs"), attrs: d.dict("attributes"),
		block: d.str("block_function_op_name"), root: d.dict("block_function_composite").str("root"),
	}
	if kind := d.str("type"); kind != "PrimitiveFunction" {
		// A function written by the user, whose code is not in the file.
		f.op, f.block = opUser, d.dict("user_defined_state").str("op_name")
		if f.block == "" {
			f.block = kind
		}
		return f, nil
	}
	if f.op != opBlock {
		f.block = ""
		return f, nil
	}
	keys := d.strings("block_function_composite_arguments_map_keys")
	f.values = d.strings("block_function_composite_arguments_map_values")
	if len(keys) != len(f.values) {
		return nil, stoa.Errorf(stoa.Invalid, "%s: block %s binds %d placeholders to %d variables", n.file, f.uid, len(keys), len(f.values))
	}
	for i, k := range keys {
		if k != f.values[i] {
			n.bound[k] = f.values[i]
		}
	}
	return f, nil
}

// output finds the function of a name such as "Plus12_Output_0".
func (n *network) output(uid string) (*function, int, bool) {
	i := strings.LastIndex(uid, "_Output_")
	if i < 0 {
		return nil, 0, false
	}
	k, err := strconv.Atoi(uid[i+len("_Output_"):])
	f := n.functions[uid[:i]]
	return f, k, err == nil && f != nil && k >= 0
}

func outputOf(uid string, k int) string { return fmt.Sprintf("%s_Output_%d", uid, k) }

// step follows a name one step, through what only passes values on: blocks that
// are opened, combinations, and placeholders. It is false at the end.
func (n *network) step(uid string) (next string, ok bool, err error) {
	f, k, ok := n.output(uid)
	switch {
	case !ok:
		next, ok = n.bound[uid]
		return next, ok, nil
	case f.op == opBlock && !keptBlock(f):
		return outputOf(f.root, k), true, nil
	case f.op == opCombine && k < len(f.inputs):
		return f.inputs[k], true, nil
	case f.op == opCombine:
		return "", false, stoa.Errorf(stoa.Invalid, "%s: function %s has no output %d", n.file, f.uid, k)
	case passes[f.op] && len(f.inputs) > 0:
		return f.inputs[0], true, nil
	}
	return uid, false, nil
}

// resolve finds what a name stands for.
func (n *network) resolve(uid string) (ref, error) {
	for range len(n.functions) + len(n.bound) + 1 {
		next, more, err := n.step(uid)
		if err != nil {
			return ref{}, err
		}
		if more {
			uid = next
			continue
		}
		if f, k, ok := n.output(uid); ok {
			return ref{f: f, out: k}, nil
		}
		if v := n.variables[uid]; v != nil {
			if v.kind == kindPlaceholder {
				return ref{}, stoa.Errorf(stoa.Invalid, "%s: placeholder %s stands for nothing: save the function after it was given its arguments", n.file, uid)
			}
			return ref{v: v}, nil
		}
		return ref{}, stoa.Errorf(stoa.Invalid, "%s: %q is used and is not there", n.file, uid)
	}
	return ref{}, stoa.Errorf(stoa.Invalid, "%s: %s stands for itself", n.file, uid)
}

// needs gives what a function takes, without what does not matter here.
func (n *network) needs(f *function) ([]ref, error) {
	inputs := f.inputs
	if f.op == opBlock {
		inputs = f.values
	}
	if f.op == opToSequence || f.op == opToSequenceLike {
		inputs = inputs[:min(1, len(inputs))] // lengths of sequences, which are all the same here
	}
	out := make([]ref, len(inputs))
	for i, uid := range inputs {
		r, err := n.resolve(uid)
		if err != nil {
			return nil, err
		}
		out[i] = r
	}
	return out, nil
}

// result is an output of the network.
type result struct {
	name string
	ref  ref
}

// results gives the network's outputs, without those that only training needs.
func (n *network) results() (out []result, dropped []string, err error) {
	root := n.functions[n.root]
	uids := []string{outputOf(n.root, 0)}
	for root.op == opBlock && n.functions[root.root] != nil && n.functions[root.root] != root && n.functions[root.root].op == opCombine {
		root = n.functions[root.root]
	}
	if root.op == opCombine {
		uids = root.inputs
	} else if two := twoOutputs[root.op]; two && !root.attrs.flag("sequenceUnpackSuppressMaskOutput") {
		uids = append(uids, outputOf(n.root, 1))
	}
	var losses []string
	for _, uid := range uids {
		if loss, err := n.isLoss(uid); err != nil {
			return nil, nil, err
		} else if loss != nil {
			losses = append(losses, uid)
			dropped = append(dropped, fmt.Sprintf("%s (%s)", n.nameOf(uid), opName(loss)))
			continue
		}
		r, err := n.resolve(uid)
		if err != nil {
			return nil, nil, err
		}
		out = append(out, result{n.nameOf(uid), r})
	}
	if len(uids) == 1 && n.name != "" && len(out) == 1 {
		out[0].name = n.name
	}
	if len(out) == 0 {
		out, err = n.beforeLoss(losses)
	}
	n.unique(out)
	return out, dropped, err
}

func (n *network) unique(out []result) {
	seen := map[string]bool{}
	for i := range out {
		for j := 1; seen[out[i].name]; j++ {
			out[i].name = fmt.Sprintf("%s_%d", out[i].name, j)
		}
		seen[out[i].name] = true
	}
}

// isLoss gives the function that makes a tensor where that is of training only.
func (n *network) isLoss(uid string) (*function, error) {
	for range len(n.functions) + len(n.bound) + 1 {
		f, _, ok := n.output(uid)
		if ok && (f.op == opBlock && lossBlocks[f.block] || lossOps[f.op]) {
			return f, nil
		}
		next, more, err := n.step(uid)
		if err != nil {
			return nil, err
		}
		whole := ok && (f.op == opSumAll || f.op == opReduce && slices.ContainsFunc(f.attrs.axes("axis", "axisVec"), func(a axis) bool { return a.index == axisAll }))
		switch {
		case more:
			uid = next
		case whole && len(f.inputs) == 1:
			uid = f.inputs[0]
		default:
			return nil, nil
		}
	}
	return nil, nil
}

// beforeLoss gives what a network of nothing but losses compares with labels.
func (n *network) beforeLoss(losses []string) ([]result, error) {
	for _, uid := range losses {
		f, err := n.isLoss(uid)
		if err != nil {
			return nil, err
		}
		inputs := f.inputs
		if f.op == opBlock {
			inputs = f.values
		}
		var found []result
		for _, in := range inputs {
			r, err := n.resolve(in)
			if err != nil {
				return nil, err
			}
			if r.f != nil {
				found = append(found, result{n.nameOf(in), r})
			}
		}
		if len(found) == 1 {
			return found, nil
		}
	}
	return nil, stoa.Errorf(stoa.Invalid, "%s: all its outputs are losses: save the function that they are made of, as in z.save(\"model.dnn\")", n.file)
}

// nameOf gives what people call a tensor: the name of the function or the block
// that makes it, else its own.
func (n *network) nameOf(uid string) string {
	first := uid
	for range len(n.functions) + len(n.bound) + 1 {
		if f, k, ok := n.output(uid); ok && f.name != "" {
			if k > 0 {
				return fmt.Sprintf("%s_%d", f.name, k)
			}
			return f.name
		}
		next, more, err := n.step(uid)
		if err != nil || !more {
			break
		}
		uid = next
	}
	return first
}

// reached gives the functions that the outputs need, in the order in which they
// can be made. Those that need each other stand together.
func (n *network) reached(out []result) ([][]*function, error) {
	t := &tarjan{net: n, index: map[*function]int{}, low: map[*function]int{}, on: map[*function]bool{}}
	for _, r := range out {
		if r.ref.f != nil && t.index[r.ref.f] == 0 {
			if err := t.visit(r.ref.f); err != nil {
				return nil, err
			}
		}
	}
	return t.groups, nil
}

// tarjan finds the strongly connected parts of a network, without recursion:
// files may have long chains.
type tarjan struct {
	net        *network
	index, low map[*function]int
	on         map[*function]bool
	stack      []*function
	groups     [][]*function
	count      int
}

type frame struct {
	f    *function
	todo []ref
}

func (t *tarjan) enter(f *function) (frame, error) {
	needs, err := t.net.needs(f)
	t.count++
	t.index[f], t.low[f] = t.count, t.count
	t.stack, t.on[f] = append(t.stack, f), true
	return frame{f, needs}, err
}

func (t *tarjan) visit(f *function) error {
	first, err := t.enter(f)
	if err != nil {
		return err
	}
	work := []frame{first}
	for len(work) > 0 {
		top := &work[len(work)-1]
		if len(top.todo) > 0 {
			next := top.todo[0].f
			top.todo = top.todo[1:]
			switch {
			case next == nil:
			case t.index[next] == 0:
				fr, err := t.enter(next)
				if err != nil {
					return err
				}
				work = append(work, fr)
			case t.on[next]:
				t.low[top.f] = min(t.low[top.f], t.index[next])
			}
			continue
		}
		done := top.f
		work = work[:len(work)-1]
		if len(work) > 0 {
			above := work[len(work)-1].f
			t.low[above] = min(t.low[above], t.low[done])
		}
		if t.low[done] == t.index[done] {
			t.group(done)
		}
	}
	return nil
}

func (t *tarjan) group(f *function) {
	at := slices.Index(t.stack, f)
	group := slices.Clone(t.stack[at:])
	t.stack = t.stack[:at]
	for _, g := range group {
		t.on[g] = false
	}
	t.groups = append(t.groups, group)
}
