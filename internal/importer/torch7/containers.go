package torch7

import (
	"fmt"
	"slices"

	"github.com/stoa-project/stoa/internal/onnx"
)

func identity(_ *converter, _ module, in value) (value, error) { return in, nil }

func sequential(c *converter, m module, in value) (value, error) {
	var err error
	for _, k := range m.children() {
		if in, err = c.run(k, in); err != nil {
			return in, err
		}
	}
	return in, nil
}

// dataParallel has a copy of its network for each device; one of them is enough.
func dataParallel(c *converter, m module, in value) (value, error) {
	kids := m.children()
	if len(kids) == 0 {
		return in, c.invalid(m, "it has no module")
	}
	return c.run(kids[0], in)
}

// each runs all modules within on what at gives.
func (c *converter) each(m module, at func(i int) (value, error)) ([]value, error) {
	var out []value
	for i, k := range m.children() {
		in, err := at(i)
		if err != nil {
			return nil, err
		}
		v, err := c.run(k, in)
		if err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	if len(out) == 0 {
		return nil, c.invalid(m, "it has no modules")
	}
	return out, nil
}

func tableOf(vs []value, err error) (value, error) { return value{table: vs, list: true}, err }

func concatTable(c *converter, m module, in value) (value, error) {
	return tableOf(c.each(m, func(int) (value, error) { return in, nil }))
}

func parallelTable(c *converter, m module, in value) (value, error) {
	return tableOf(c.each(m, func(i int) (value, error) {
		if i >= len(in.table) {
			return value{}, c.invalid(m, "it has more modules than the %d values that it is given", len(in.table))
		}
		return in.table[i], nil
	}))
}

// mapTable runs one module on all values.
func mapTable(c *converter, m module, in value) (value, error) {
	kids := m.children()
	if len(kids) == 0 {
		return in, c.invalid(m, "it has no module")
	}
	var out []value
	for _, v := range in.table {
		y, err := c.run(kids[0], v)
		if err != nil {
			return in, err
		}
		out = append(out, y)
	}
	return value{table: out, list: true}, nil
}

// tensors gives the names of a table of tensors.
func (c *converter) tensors(m module, in value) ([]string, error) {
	if !in.list || len(in.table) == 0 {
		return nil, c.invalid(m, "it is given no table of tensors")
	}
	var out []string
	for _, v := range in.table {
		if v.list {
			return nil, c.invalid(m, "it is given tables within a table")
		}
		out = append(out, v.name)
	}
	return out, nil
}

func (c *converter) join(m module, names []string, axis int) string {
	return c.b.Op(m.name(), "Concat", names, onnx.AInt("axis", int64(axis)))
}

func concat(c *converter, m module, in value) (value, error) {
	vs, err := c.each(m, func(int) (value, error) { return in, nil })
	if err != nil {
		return in, err
	}
	names, err := c.tensors(m, value{table: vs, list: true})
	if err != nil {
		return in, err
	}
	axis, err := c.axis(m, m.int("dimension", 1), names[0])
	return one(c.join(m, names, axis)), err
}

// depthConcat pads smaller pictures with zeros so that all lie centred.
func depthConcat(c *converter, m module, in value) (value, error) {
	vs, err := c.each(m, func(int) (value, error) { return in, nil })
	if err != nil {
		return in, err
	}
	names, err := c.tensors(m, value{table: vs, list: true})
	if err != nil {
		return in, err
	}
	axis, err := c.axis(m, m.int("dimension", 1), names[0])
	if err != nil {
		return in, err
	}
	rank := c.rank(names[0])
	largest := make([]int64, rank)
	for _, n := range names {
		if c.rank(n) != rank {
			return in, c.invalid(m, "its modules give arrays of different ranks")
		}
		for i, d := range c.b.Shape(n) {
			largest[i] = max(largest[i], d.Value)
		}
	}
	for k, n := range names {
		pads, some := make([]int64, 2*rank), false
		for i, d := range c.b.Shape(n) {
			if i == axis || largest[i] < 0 {
				continue
			}
			if !d.Known() {
				return in, c.refuse(m, "the sizes of its inputs must be known: %s", shapeAdvice(inputName))
			}
			missing := largest[i] - d.Value
			pads[i], pads[rank+i] = missing/2, missing-missing/2
			some = some || missing > 0
		}
		if some {
			names[k] = c.op2(m, "Pad", n, c.b.Ints(pads...))
		}
	}
	return one(c.join(m, names, axis)), nil
}

// parallel gives each module a slice of one dimension.
func parallel(c *converter, m module, in value) (value, error) {
	if in.list {
		return in, c.invalid(m, "it is given a table and takes a tensor")
	}
	axis, err := c.axis(m, m.int("inputDimension", 1), in.name)
	if err != nil {
		return in, err
	}
	vs, err := c.each(m, func(i int) (value, error) {
		return one(c.op2(m, "Gather", in.name, c.b.Int(int64(i)), onnx.AInt("axis", int64(axis)))), nil
	})
	if err != nil {
		return in, err
	}
	names, err := c.tensors(m, value{table: vs, list: true})
	if err != nil {
		return in, err
	}
	out, err := c.axis(m, m.int("outputDimension", 1), names[0])
	return one(c.join(m, names, out)), err
}

// fold combines the tensors of a table one after the other.
func fold(op string) moduleType {
	return func(c *converter, m module, in value) (value, error) {
		names, err := c.tensors(m, in)
		if err != nil {
			return in, err
		}
		x := names[0]
		for _, y := range names[1:] {
			x = c.op2(m, op, x, y)
		}
		return one(x), nil
	}
}

func joinTable(c *converter, m module, in value) (value, error) {
	names, err := c.tensors(m, in)
	if err != nil {
		return in, err
	}
	axis, err := c.axis(m, m.int("dimension", 1), names[0])
	return one(c.join(m, names, axis)), err
}

func splitTable(c *converter, m module, in value) (value, error) {
	if in.list {
		return in, c.invalid(m, "it is given a table and takes a tensor")
	}
	axis, err := c.axis(m, m.int("dimension", 1), in.name)
	if err != nil {
		return in, err
	}
	d := c.b.Shape(in.name)[axis]
	const most = 4096
	if !d.Known() || d.Value > most {
		return in, c.refuse(m, "it splits a dimension of %s: %s", onnx.DimString([]onnx.Dim{d}), shapeAdvice(inputName))
	}
	var out []value
	for i := range d.Value {
		out = append(out, one(c.op2(m, "Gather", in.name, c.b.Int(i), onnx.AInt("axis", int64(axis)))))
	}
	return value{table: out, list: true}, nil
}

func selectTable(c *converter, m module, in value) (value, error) {
	i := m.int("index", 1)
	if i < 0 {
		i += int64(len(in.table)) + 1
	}
	if i < 1 || i > int64(len(in.table)) {
		return in, c.invalid(m, "it selects value %d of %d", i, len(in.table))
	}
	return in.table[i-1], nil
}

func narrowTable(c *converter, m module, in value) (value, error) {
	from, n := m.int("offset", 1), m.int("length", 1)
	if from < 1 || n < 0 || from-1+n > int64(len(in.table)) {
		return in, c.invalid(m, "it takes values %d to %d of %d", from, from+n-1, len(in.table))
	}
	return value{table: in.table[from-1 : from-1+n], list: true}, nil
}

func flattenTable(_ *converter, _ module, in value) (value, error) {
	var flat func(v value) []value
	flat = func(v value) []value {
		if !v.list {
			return []value{v}
		}
		var out []value
		for _, e := range v.table {
			out = append(out, flat(e)...)
		}
		return out
	}
	return value{table: flat(in), list: true}, nil
}

// graphNode is a node of nngraph while its graph runs.
type graphNode struct {
	data   *table
	inputs map[int]value
}

func fieldsOf(v any) *table {
	switch o := v.(type) {
	case *object:
		return o.fields
	case *table:
		return o
	}
	return nil
}

// graph runs a network of nngraph: its nodes in their order, each giving what it
// made to its children, which know by the node's data which input that is.
func graph(c *converter, m module, in value) (value, error) {
	nodes := fieldsOf(m.fields.get("forwardnodes")).list()
	out := fieldsOf(m.fields.get("outnode"))
	first := fieldsOf(m.fields.get("innode"))
	if len(nodes) == 0 || out == nil || first == nil {
		return in, c.refuse(m, "it has no list of nodes: it was saved by a version of nngraph that is not known")
	}
	state := map[*table]*graphNode{}
	at := func(fields *table) *graphNode {
		data := fieldsOf(fields.get("data"))
		if state[data] == nil {
			state[data] = &graphNode{data: data, inputs: map[int]value{}}
		}
		return state[data]
	}
	at(first).inputs[1] = in
	for i, v := range nodes {
		fields := fieldsOf(v)
		if fields == nil {
			return in, c.invalid(m, "node %d is none", i+1)
		}
		y, err := c.graphNode(m, at(fields), i)
		if err != nil {
			return in, err
		}
		for _, kid := range fieldsOf(fields.get("children")).list() {
			k := at(fieldsOf(kid))
			index := -1
			if indices := fieldsOf(k.data.get("mapindex")); indices != nil {
				for j, key := range indices.keys {
					if f, ok := indices.values[j].(float64); ok && fieldsOf(key) != nil && fieldsOf(key) == at(fields).data {
						index = int(f)
					}
				}
			}
			if index < 1 {
				return in, c.invalid(m, "node %d does not say which input of its child it is", i+1)
			}
			k.inputs[index] = y
		}
	}
	return c.gathered(m, at(out))
}

// gathered gives what came into a node: one value, or a table.
func (c *converter) gathered(m module, n *graphNode) (value, error) {
	v := value{list: true}
	for i := 1; i <= len(n.inputs); i++ {
		in, ok := n.inputs[i]
		if !ok {
			return v, c.invalid(m, "input %d of a node is missing", i)
		}
		v.table = append(v.table, in)
	}
	switch len(v.table) {
	case 0:
		return v, c.invalid(m, "a node has no input")
	case 1:
		return v.table[0], nil
	}
	return v, nil
}

func (c *converter) graphNode(m module, n *graphNode, i int) (value, error) {
	in, err := c.gathered(m, n)
	if err != nil {
		return in, err
	}
	if s, ok := n.data.get("selectindex").(float64); ok {
		if !(s >= 1 && int(s) <= len(in.table)) {
			return in, c.invalid(m, "node %d selects value %g of %d", i+1, s, len(in.table))
		}
		return in.table[int(s)-1], nil
	}
	if o, ok := n.data.get("module").(*object); ok {
		return c.run(module{o, fmt.Sprintf("%s/%d", m.path, i+1)}, in)
	}
	return in, nil
}

// graphModules gives the modules of a network of nngraph, in their order.
func (m module) graphModules() []module {
	var out []module
	for i, v := range fieldsOf(m.fields.get("forwardnodes")).list() {
		if o, ok := fieldsOf(fieldsOf(v).get("data")).get("module").(*object); ok {
			out = append(out, module{o, fmt.Sprintf("%s/%d", m.path, i+1)})
		}
	}
	return slices.Clip(out)
}
