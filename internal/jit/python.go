package jit

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/tensor"
)

// pythonOps are the operators that also work on numbers, or only on them.
var pythonOps = map[string]bool{
	"add": true, "sub": true, "mul": true, "div": true, "floordiv": true, "floor_divide": true, "remainder": true, "pow": true, "neg": true,
	"eq": true, "ne": true, "lt": true, "le": true, "gt": true, "ge": true, "__and__": true, "__or__": true, "__xor__": true,
	"len": true, "dim": true, "size": true, "format": true, "ceil": true, "floor": true, "round": true, "sqrt": true, "abs": true, "item": true,
	"slice": true, "rsub": true, "__not__": true, "__is__": true, "__isnot__": true, "__contains__": true,
	"prim.max": true, "prim.min": true, "prim.dtype": true, "prim.device": true, "prim.NumToTensor": true, "prim.ImplicitTensorToNum": true,
	"builtin.int": true, "builtin.float": true, "builtin.bool": true, "builtin.len": true, "builtin.str": true, "builtin.range": true,
	"numel": true, "prim.abs": true, "Int": true, "Float": true, "Bool": true, "log": true, "exp": true, "list": true,
	"builtin.max": true, "builtin.min": true, "builtin.abs": true, "builtin.round": true, "prim.ceil": true,
}

// structural calls what works on lists, dictionaries, texts and properties of
// tensors, whatever is in them.
func (c *Converter) structural(name string, args []Value, kwargs map[string]Value) (Value, bool) {
	at := func(i int) Value {
		if i < len(args) {
			return args[i]
		}
		return nil
	}
	_, noValue := at(0).(Unknown)
	if noValue && name != "__is__" && name != "__isnot__" {
		return nil, false
	}
	if l, ok := at(0).(*List); ok {
		if v, ok := c.listOp(l, name, args); ok {
			return v, true
		}
	}
	if d, ok := at(0).(*dict); ok {
		if v, ok := c.dictOp(d, name, args); ok {
			return v, true
		}
	}
	if s, ok := at(0).(string); ok {
		if v, ok := c.textOp(s, name, args); ok {
			return v, true
		}
	}
	if v, ok := environment(name); ok {
		return v, true
	}
	switch name {
	case "prim.RaiseException":
		msg, _ := at(0).(string)
		c.refused(msg)
	case "__is__", "__isnot__":
		a, b := at(0), at(1)
		if _, ok := a.(Unknown); ok && b != nil {
			return a, true
		}
		return (a == nil && b == nil || a != nil && b != nil && same(a, b)) == (name == "__is__"), true
	case "_unwrap_optional", "prim.unchecked_unwrap_optional", "prim.unchecked_cast", "prim.data", "prim.Uninitialized":
		return at(0), true
	case "prim.TupleUnpack", "prim.TupleConstruct", "prim.ListUnpack":
		return at(0), true
	case "builtin.range":
		return c.range_(args), true
	case "__range_length":
		return int64(len(c.range_(args).Items)), true
	case "__derive_index":
		return c.Arithmetic("add", at(1), c.Arithmetic("mul", at(0), at(2))), true
	case "__not__":
		yes, known := c.truth(at(0))
		if !known {
			return Unknown{}, true
		}
		return !yes, true
	case "dict":
		if len(args) == 0 {
			return &dict{}, true
		}
	}
	if t, ok := at(0).(*Tensor); ok {
		return c.property(t, name, args, kwargs)
	}
	return c.countOf(name, at(0))
}

// environment answers what code asks of where it runs.
func environment(name string) (Value, bool) {
	switch name {
	case "warn", "manual_seed", "builtin.print", "prim.Print", "set_grad_enabled", "_set_grad_enabled", "prim.profile":
		return nil, true
	case "is_autocast_enabled":
		return false, true
	case "is_grad_enabled", "prim.requires_grad":
		// So that code takes its plain way, not one for inference alone.
		return true, true
	case "device", "prim.device", "get_device":
		return "cpu", true
	case "prim.is_cuda", "prim.is_quantized", "prim.is_sparse", "prim.is_mkldnn", "prim.is_nested", "prim.is_meta", "is_complex", "prim.is_xpu", "prim.is_mps":
		return false, true
	case "prim.layout":
		return int64(0), true
	}
	return nil, false
}

// countOf is len of what is neither a list nor a tensor.
func (c *Converter) countOf(name string, v Value) (Value, bool) {
	if name != "len" && name != "builtin.len" {
		return nil, false
	}
	vs, ok := Items(v)
	return int64(len(vs)), ok
}

// property gives what a tensor is, apart from its content.
func (c *Converter) property(t *Tensor, name string, args []Value, _ map[string]Value) (Value, bool) {
	switch name {
	case "dim", "prim.ndim", "ndimension":
		return int64(c.Rank(t)), true
	case "size", "prim.shape", "sym_size":
		if len(args) > 1 {
			return c.Shape(t)[c.axis(c.Lift(args[1]).N[0], c.Rank(t))], true
		}
		return &List{slices.Clone(c.Shape(t))}, true
	case "len", "builtin.len":
		return c.Dim(t, 0), true
	case "numel":
		out := Value(int64(1))
		for _, d := range c.Shape(t) {
			out = c.Arithmetic("mul", out, d)
		}
		return out, true
	case "prim.dtype":
		return dtypeNumber(c.Dtype(t)), true
	case "is_floating_point":
		return Category(c.Dtype(t)) == 2, true
	case "is_contiguous", "is_non_overlapping_and_dense":
		return true, true
	case "is_same_size":
		if len(args) == 2 {
			if o, ok := args[1].(*Tensor); ok {
				return c.equalLists(c.Shape(t), c.Shape(o)), true
			}
		}
	case "prim.name", "prim.grad", "prim.names":
		return nil, true
	case "prim.itemsize", "element_size":
		return c.Dtype(t).Size(), true
	}
	return nil, false
}

func (c *Converter) equalLists(a, b []Value) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		x, isList := Items(a[i])
		y, isList2 := Items(b[i])
		switch {
		case isList && isList2:
			if !c.equalLists(x, y) {
				return false
			}
		case IsNumber(a[i]) && IsNumber(b[i]):
			if !c.compare("eq", a[i], b[i]) {
				return false
			}
		case !same(a[i], b[i]):
			return false
		}
	}
	return true
}

// IsNumber tells whether a value is a number.
func IsNumber(v Value) bool {
	switch v.(type) {
	case int64, float64, bool, *Num:
		return true
	}
	return false
}

// listOp is an operation on a list.
func (c *Converter) listOp(l *List, name string, args []Value) (Value, bool) {
	switch name {
	case "append", "push":
		if len(l.Items) >= maxItems {
			c.Fail(stoa.TooLarge, "a list grows over %d elements", maxItems)
		}
		l.Items = append(l.Items, args[1])
		return l, true
	case "extend":
		vs, _ := Items(args[1])
		if len(l.Items)+len(vs) > maxItems {
			c.Fail(stoa.TooLarge, "a list grows over %d elements", maxItems)
		}
		l.Items = append(l.Items, vs...)
		return nil, true
	case "insert":
		i := int(min(max(c.Lift(args[1]).N[0], 0), int64(len(l.Items))))
		l.Items = slices.Insert(l.Items, i, args[2])
		return nil, true
	case "pop":
		i := len(l.Items) - 1
		if len(args) > 1 {
			i = c.position(args[1], len(l.Items))
		}
		v := l.Items[i]
		l.Items = slices.Delete(l.Items, i, i+1)
		return v, true
	case "clear":
		l.Items = nil
		return nil, true
	case "reverse":
		slices.Reverse(l.Items)
		return nil, true
	case "copy", "list", "builtin.list":
		return &List{slices.Clone(l.Items)}, true
	case "len", "builtin.len":
		return int64(len(l.Items)), true
	case "__getitem__", "select":
		return l.Items[c.position(args[1], len(l.Items))], true
	case "_set_item":
		l.Items[c.position(args[1], len(l.Items))] = args[2]
		return l, true
	case "__contains__":
		return slices.ContainsFunc(l.Items, func(v Value) bool { return c.equalLists([]Value{v}, []Value{args[1]}) }), true
	case "index":
		return int64(slices.IndexFunc(l.Items, func(v Value) bool { return c.equalLists([]Value{v}, []Value{args[1]}) })), true
	case "slice":
		return c.sliceList(l, args), true
	case "add", "add_":
		if o, ok := args[1].(*List); ok && len(l.Items)+len(o.Items) <= maxItems {
			return &List{slices.Concat(l.Items, o.Items)}, true
		}
	case "mul":
		n := c.Lift(args[1]).N[0]
		if n > int64(maxItems/max(len(l.Items), 1)) {
			c.Fail(stoa.TooLarge, "a list grows over %d elements", maxItems)
		}
		return &List{slices.Repeat(l.Items, int(max(n, 0)))}, true
	case "eq", "ne":
		if o, ok := Items(args[1]); ok {
			return c.equalLists(l.Items, o) == (name == "eq"), true
		}
	case "prim.max", "prim.min", "builtin.max", "builtin.min", "sum", "builtin.sum":
		return c.foldList(l, name[strings.LastIndexByte(name, '.')+1:], args), true
	case "all", "any":
		return c.everyOne(l, name)
	}
	return nil, false
}

func (c *Converter) everyOne(l *List, name string) (Value, bool) {
	for _, v := range l.Items {
		if IsTensor(v) {
			return nil, false
		}
		yes, known := c.truth(v)
		if !known {
			return Unknown{}, true
		}
		if yes == (name == "any") {
			return yes, true
		}
	}
	return name == "all", true
}

func (c *Converter) foldList(l *List, op string, args []Value) Value {
	if len(args) > 1 {
		return &List{[]Value{c.Arithmetic(op, args[0], args[1])}}
	}
	out := Value(int64(0))
	for i, v := range l.Items {
		switch {
		case op == "sum":
			out = c.Arithmetic("add", out, v)
		case i == 0:
			out = v
		default:
			out = c.Arithmetic(op, out, v)
		}
	}
	return out
}

func (c *Converter) sliceList(l *List, args []Value) Value {
	from, to, by := int64(0), int64(len(l.Items)), int64(1)
	for i, p := range []*int64{&from, &to, &by} {
		if i+1 < len(args) && args[i+1] != nil {
			*p = c.Lift(args[i+1]).N[0]
		}
	}
	n := int64(len(l.Items))
	clip := func(v int64) int64 {
		if v < 0 {
			v += n
		}
		return min(max(v, 0), n)
	}
	out := &List{}
	for i := clip(from); by > 0 && i < clip(to); i += min(by, n) {
		out.Items = append(out.Items, l.Items[i])
	}
	return out
}

func (c *Converter) dictOp(d *dict, name string, args []Value) (Value, bool) {
	switch name {
	case "keys":
		return &List{slices.Clone(d.keys)}, true
	case "values":
		return &List{slices.Clone(d.values)}, true
	case "items":
		out := &List{}
		for i := range d.keys {
			out.Items = append(out.Items, Tuple{d.keys[i], d.values[i]})
		}
		return out, true
	case "len", "builtin.len":
		return int64(len(d.keys)), true
	case "__contains__":
		return d.find(args[1]) >= 0, true
	case "__getitem__":
		return c.element(d, args[1]), true
	case "get":
		if i := d.find(args[1]); i >= 0 {
			return d.values[i], true
		}
		if len(args) > 2 {
			return args[2], true
		}
		return nil, true
	case "_set_item":
		if len(d.keys) > maxItems/64 { // finding a key takes as long as there are keys
			c.Fail(stoa.TooLarge, "a dictionary grows over %d keys", maxItems/64)
		}
		d.set(args[1], args[2])
		return nil, true
	case "copy", "dict":
		return &dict{slices.Clone(d.keys), slices.Clone(d.values)}, true
	case "update":
		if o, ok := args[1].(*dict); ok {
			for i := range o.keys {
				d.set(o.keys[i], o.values[i])
			}
		}
		return nil, true
	case "pop":
		i := d.find(args[1])
		if i < 0 {
			return nil, true
		}
		v := d.values[i]
		d.keys, d.values = slices.Delete(d.keys, i, i+1), slices.Delete(d.values, i, i+1)
		return v, true
	}
	return nil, false
}

func (c *Converter) textOp(s, name string, args []Value) (Value, bool) {
	other := ""
	if len(args) > 1 {
		other, _ = args[1].(string)
	}
	switch name {
	case "format":
		for _, a := range args[1:] {
			s = strings.Replace(s, "{}", c.Print(a), 1)
		}
		return s[:min(len(s), 10_000)], true
	case "add":
		return (s + other)[:min(len(s)+len(other), 10_000)], true
	case "eq", "ne":
		return (args[0] == args[1]) == (name == "eq"), true
	case "lower":
		return strings.ToLower(s), true
	case "upper":
		return strings.ToUpper(s), true
	case "strip":
		return strings.TrimSpace(s), true
	case "find":
		return int64(strings.Index(s, other)), true
	case "startswith":
		return strings.HasPrefix(s, other), true
	case "endswith":
		return strings.HasSuffix(s, other), true
	case "__contains__":
		return strings.Contains(s, other), true
	case "len", "builtin.len":
		return int64(len(s)), true
	case "str", "builtin.str":
		return s, true
	case "join", "percentFormat", "replace", "split":
		return s, true // of messages only
	}
	return nil, false
}

// Print writes a value for a message of the code.
func (c *Converter) Print(v Value) string {
	switch x := v.(type) {
	case *Num:
		return fmt.Sprint(x.N[0])
	case *Tensor:
		return "a tensor"
	case int64, float64, bool, string:
		return fmt.Sprint(x)
	}
	if vs, ok := Items(v); ok && len(vs) < 20 {
		var out []string
		for _, e := range vs {
			out = append(out, c.Print(e))
		}
		return "[" + strings.Join(out, ", ") + "]"
	}
	return KindOf(v)
}

// numeric computes with numbers, and with tensors of one number that is known:
// those are tensors again then.
func (c *Converter) numeric(op string, args []Value, kwargs map[string]Value) (Value, bool) {
	if a, ok := conversion(op, args); ok {
		return c.convert(op, a)
	}
	if !pythonOps[op] && op != "prim.NumToTensor" || len(args) == 0 || len(args) > 3 {
		return nil, false
	}
	for _, a := range args {
		if _, isNumberLike := a.(*Tensor); !isNumberLike && !IsNumber(a) {
			if s, ok := a.(string); !ok || s == "" {
				return nil, false
			}
		}
	}
	vs, tensors, ok := c.scalars(args)
	if !ok {
		return nil, false
	}
	out, ok := c.calculate(op, vs, kwargs)
	if !ok {
		return nil, false
	}
	if !tensors {
		return out, true
	}
	return &Tensor{Scalar: out, Dtype: c.resultType(op, args, out)}, true
}

// resultType gives the type of a tensor that was computed of known ones.
func (c *Converter) resultType(op string, args []Value, out Value) tensor.DType {
	if _, ok := out.(bool); ok {
		return tensor.Bool
	}
	t := c.Promote(args...)
	if op == "div" && Category(t) < 2 && ScalarType(out) == tensor.Float32 {
		return tensor.Float32
	}
	return t
}

func (c *Converter) calculate(op string, vs []Value, kwargs map[string]Value) (Value, bool) {
	a := vs[0]
	if len(vs) == 1 {
		switch op {
		case "neg":
			return c.Neg(a), true
		case "ceil", "prim.ceil":
			return c.Whole(a, math.Ceil, "Ceil"), true
		case "floor":
			return c.Whole(a, math.Floor, "Floor"), true
		case "round":
			return c.Whole(a, math.RoundToEven, "Round"), true
		case "sqrt":
			return c.Single(a, math.Sqrt, "Sqrt"), true
		case "exp":
			return c.Single(a, math.Exp, "Exp"), true
		case "log":
			return c.Single(a, math.Log, "Log"), true
		case "abs", "prim.abs":
			if c.Lift(a).Float {
				return c.Single(a, math.Abs, "Abs"), true
			}
			return c.Whole(a, math.Abs, "Abs"), true
		}
		return nil, false
	}
	b := vs[1]
	if alpha, ok := kwargs["alpha"]; ok && (op == "add" || op == "sub") {
		b = c.Arithmetic("mul", b, alpha)
	}
	if op == "rsub" {
		return c.Arithmetic("sub", b, a), true
	}
	switch op {
	case "add", "sub", "mul", "pow", "remainder", "floordiv":
		return c.Arithmetic(op, a, b), true
	case "floor_divide":
		return c.Arithmetic("floordiv", a, b), true
	case "prim.max", "prim.min", "builtin.max", "builtin.min":
		return c.Arithmetic(op[strings.LastIndexByte(op, '.')+1:], a, b), true
	case "div":
		mode, _ := kwargs["rounding_mode"].(string)
		if mode == "floor" || mode == "trunc" {
			return c.Arithmetic("floordiv", a, b), true
		}
		return c.Arithmetic("div", a, b), true
	case "eq", "ne", "lt", "le", "gt", "ge":
		return c.compare(op, a, b), true
	case "__and__", "__or__", "__xor__":
		return c.bits(op, a, b)
	}
	return nil, false
}

func (c *Converter) bits(op string, a, b Value) (Value, bool) {
	x, isBool := a.(bool)
	y, isBool2 := b.(bool)
	if isBool && isBool2 {
		switch op {
		case "__and__":
			return x && y, true
		case "__or__":
			return x || y, true
		}
		return x != y, true
	}
	m, ok := a.(int64)
	n, ok2 := b.(int64)
	if !ok || !ok2 {
		return nil, false
	}
	switch op {
	case "__and__":
		return m & n, true
	case "__or__":
		return m | n, true
	}
	return m ^ n, true
}

// conversion tells whether an operator turns a tensor into a number or a number
// into another.
func conversion(op string, args []Value) (Value, bool) {
	switch op {
	case "Int", "Float", "Bool", "item", "IntImplicit", "FloatImplicit", "ScalarImplicit", "prim.ImplicitTensorToNum", "builtin.int",
		"builtin.float", "builtin.bool", "prim.NumToTensor", "scalar_tensor", "is_nonzero", "Scalar", "builtin.str", "str":
		return args[0], len(args) > 0
	}
	return nil, false
}

func (c *Converter) convert(op string, v Value) (Value, bool) {
	if t, ok := v.(*Tensor); ok {
		if v, ok = c.Content(t); !ok {
			c.unsupport(OpName(op), "the code takes a number out of a tensor that is known only when the network runs")
			return Unknown{}, true
		}
	}
	switch op {
	case "prim.NumToTensor", "scalar_tensor":
		return &Tensor{Scalar: v, Dtype: ScalarType(v)}, true
	case "Int", "IntImplicit", "builtin.int":
		if c.Lift(v).Float {
			return c.Whole(v, math.Trunc), true
		}
		return c.Settle(c.Lift(v)), true
	case "Float", "FloatImplicit", "builtin.float":
		if !c.Lift(v).Float {
			return c.Single(v, func(f float64) float64 { return f }), true
		}
	case "Bool", "builtin.bool", "is_nonzero":
		yes, _ := c.truth(v)
		return yes, true
	case "builtin.str", "str":
		return c.Print(v), true
	}
	return v, true
}
