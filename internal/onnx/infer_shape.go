package onnx

import (
	"math"
	"slices"

	"github.com/stoa-project/stoa/internal/tensor"
)

func (e elem) dim() Dim {
	switch {
	case e.fixed && e.n >= 0:
		return Fixed(e.n)
	case e.param != "":
		return Named(e.param)
	}
	return unknownDim()
}

func dimElem(d Dim) elem {
	return elem{n: d.Value, fixed: d.Known(), param: d.Param}
}

func inferShape(x *inference) error {
	in := x.input(0)
	x.set(0, tensor.Int64, []Dim{unknownDim()})
	if in.shape == nil {
		return nil
	}
	from, to := int64(0), int64(len(in.shape))
	clip := func(v int64) int64 {
		if v < 0 {
			v += int64(len(in.shape))
		}
		return max(0, min(v, int64(len(in.shape))))
	}
	from, to = clip(x.node.Int("start", from)), clip(x.node.Int("end", to))
	from = min(from, to)
	x.set(0, tensor.Int64, []Dim{Fixed(to - from)})
	x.out[0].value = []elem{}
	for _, d := range in.shape[from:to] {
		x.out[0].value = append(x.out[0].value, dimElem(d))
	}
	return nil
}

func inferReshape(x *inference) error {
	in := x.input(0)
	x.set(0, in.dtype, nil)
	want := x.input(1).value
	if a := x.node.Ints("shape"); a != nil { // before opset 5
		for _, v := range a {
			want = append(want, elem{n: v, fixed: true})
		}
	}
	if want == nil {
		if s := x.input(1).shape; len(s) == 1 && s[0].Known() && s[0].Value <= maxRank {
			x.set(0, in.dtype, unknownShape(int(s[0].Value)))
		}
		return nil
	}
	out := make([]Dim, len(want))
	infer := -1
	for i, e := range want {
		switch {
		case e.fixed && e.n == -1:
			infer = i
			out[i] = unknownDim()
		case e.fixed && e.n == 0 && x.node.Int("allowzero", 0) == 0:
			out[i] = unknownDim()
			if i < len(in.shape) {
				out[i] = in.shape[i]
			}
		default:
			out[i] = e.dim()
		}
	}
	if infer >= 0 && in.shape != nil {
		out[infer] = quotient(in.shape, slices.Delete(slices.Clone(out), infer, infer+1))
	}
	x.set(0, in.dtype, out)
	if a, b := mul(in.shape...), mul(out...); in.shape != nil && a.Known() && b.Known() && a.Value != b.Value {
		return mismatch("an input of %s cannot take the shape %s", DimString(in.shape), DimString(out))
	}
	return nil
}

// quotient divides one product of dimensions by another: names that are in both
// cancel out.
func quotient(of, by []Dim) Dim {
	rest := slices.Clone(by)
	known, named := Fixed(1), []Dim{}
	for _, d := range of {
		if i := slices.IndexFunc(rest, func(e Dim) bool { return d.Param != "" && d.same(e) }); i >= 0 {
			rest = slices.Delete(rest, i, i+1)
			continue
		}
		if d.Known() {
			known = mul(known, d)
		} else {
			named = append(named, d)
		}
	}
	below := mul(rest...)
	if !below.Known() || below.Value == 0 || !known.Known() || known.Value%below.Value != 0 {
		return unknownDim()
	}
	return mul(append(named, Fixed(known.Value/below.Value))...)
}

func inferFlatten(x *inference) error {
	in := x.input(0)
	x.set(0, in.dtype, nil)
	if in.shape == nil {
		return nil
	}
	a := x.node.Int("axis", 1)
	if a < 0 {
		a += int64(len(in.shape))
	}
	if a < 0 || a > int64(len(in.shape)) {
		return mismatch("axis %d lies outside an input of %s", a, DimString(in.shape))
	}
	x.set(0, in.dtype, []Dim{mul(in.shape[:a]...), mul(in.shape[a:]...)})
	return nil
}

func inferTranspose(x *inference) error {
	in := x.input(0)
	x.set(0, in.dtype, nil)
	if in.shape == nil {
		return nil
	}
	perm := x.node.Ints("perm")
	out := slices.Clone(in.shape)
	if perm == nil {
		slices.Reverse(out)
	} else if len(perm) != len(out) {
		return mismatch("perm has %d numbers for an input of %s", len(perm), DimString(in.shape))
	}
	for i, p := range perm {
		at := axis(p, len(out))
		if at < 0 {
			return mismatch("perm names axis %d of an input of %s", p, DimString(in.shape))
		}
		out[i] = in.shape[at]
	}
	x.set(0, in.dtype, out)
	return nil
}

func inferConcat(x *inference) error {
	in := x.input(0)
	x.set(0, in.dtype, nil)
	if in.shape == nil {
		return nil
	}
	at := axis(x.node.Int("axis", 1), len(in.shape))
	if at < 0 {
		return mismatch("its axis lies outside an input of %s", DimString(in.shape))
	}
	out := slices.Clone(in.shape)
	value := []elem{}
	for i, o := range x.in {
		if o.shape == nil {
			return nil
		}
		if len(o.shape) != len(out) {
			return mismatch("inputs of %s and %s do not fit together", DimString(in.shape), DimString(o.shape))
		}
		for k := range out {
			switch p, q := out[k], o.shape[k]; {
			case k == at && i > 0:
				out[k] = unknownDim()
				if p.Known() && q.Known() {
					out[k] = Fixed(min(p.Value+q.Value, maxDim))
				}
			case k != at && p.Known() && q.Known() && p.Value != q.Value:
				return mismatch("inputs of %s and %s do not fit together", DimString(in.shape), DimString(o.shape))
			case k != at && q.Known():
				out[k] = q
			}
		}
		if value != nil && o.value != nil && len(value)+len(o.value) <= maxValue && len(o.shape) == 1 {
			value = append(value, o.value...)
		} else {
			value = nil
		}
	}
	x.set(0, in.dtype, out)
	x.out[0].value = value
	return nil
}

func inferSplit(x *inference) error {
	in := x.input(0)
	sizes, ok := x.ints(1, "split")
	at := axis(x.node.Int("axis", 0), len(in.shape))
	for i := range x.out {
		if at < 0 {
			x.set(i, in.dtype, nil)
			continue
		}
		out := slices.Clone(in.shape)
		switch {
		case ok && i < len(sizes):
			out[at] = Fixed(max(sizes[i], 0))
		case ok && sizes == nil:
			n := int64(len(x.out))
			out[at] = affine(out[at], func(v int64) int64 {
				each := (v + n - 1) / n
				return max(0, min(each, v-int64(i)*each))
			})
		default:
			out[at] = unknownDim()
		}
		x.set(i, in.dtype, out)
	}
	return nil
}

func inferSlice(x *inference) error {
	in := x.input(0)
	x.set(0, in.dtype, nil)
	if in.shape == nil {
		return nil
	}
	starts, ok1 := x.ints(1, "starts")
	ends, ok2 := x.ints(2, "ends")
	axes, ok3 := x.ints(3, "axes")
	steps, ok4 := x.ints(4, "steps")
	out := slices.Clone(in.shape)
	known := ok1 && ok2 && ok3 && ok4 && len(starts) == len(ends)
	if !known {
		if !ok3 || axes == nil {
			out = unknownShape(len(out))
		}
		for _, a := range axes {
			if at := axis(a, len(out)); at >= 0 {
				out[at] = unknownDim()
			}
		}
		x.set(0, in.dtype, out)
		return nil
	}
	value := in.value
	for i := range starts {
		at, step := i, int64(1)
		if i < len(axes) {
			at = axis(axes[i], len(out))
		}
		if i < len(steps) {
			step = steps[i]
		}
		if at < 0 || at >= len(out) || step == 0 {
			return mismatch("its axes and steps do not fit an input of %s", DimString(in.shape))
		}
		d := in.shape[at]
		if !d.Known() && starts[i] == 0 && step == 1 && ends[i] >= math.MaxInt32 {
			continue // everything
		}
		from, n := sliceRange(d, starts[i], ends[i], step)
		out[at] = n
		if value != nil && n.Known() && step == 1 && from+n.Value <= int64(len(value)) {
			value = value[from : from+n.Value]
		} else {
			value = nil
		}
	}
	x.set(0, in.dtype, out)
	x.out[0].value = value
	return nil
}

// sliceRange gives where a slice begins and how many places it has.
func sliceRange(d Dim, start, end, step int64) (int64, Dim) {
	if !d.Known() {
		return 0, unknownDim()
	}
	lo, hi := int64(0), d.Value
	if step < 0 {
		lo, hi = -1, d.Value-1
	}
	clip := func(v int64) int64 {
		if v < 0 {
			v = max(v, math.MinInt64+maxDim) + d.Value
		}
		return max(lo, min(v, hi))
	}
	start, end = clip(start), clip(end)
	var n int64
	if step > 0 && end > start {
		n = (end - start + step - 1) / step
	} else if step < 0 && end < start {
		n = (start-end-1)/(-max(step, -maxDim)) + 1
	}
	return start, Fixed(max(n, 0))
}

func inferSqueeze(x *inference) error {
	in := x.input(0)
	x.set(0, in.dtype, nil)
	axes, ok := x.ints(1, "axes")
	if in.shape == nil || !ok {
		return nil
	}
	drop := make([]bool, len(in.shape))
	for i, d := range in.shape {
		drop[i] = axes == nil && d.Known() && d.Value == 1
		if axes == nil && !d.Known() {
			return nil
		}
	}
	for _, a := range axes {
		at := axis(a, len(in.shape))
		if at < 0 {
			return mismatch("axis %d lies outside an input of %s", a, DimString(in.shape))
		}
		drop[at] = true
	}
	out := []Dim{}
	for i, d := range in.shape {
		if !drop[i] {
			out = append(out, d)
		}
	}
	x.set(0, in.dtype, out)
	x.out[0].value = in.value
	return nil
}

func inferUnsqueeze(x *inference) error {
	in := x.input(0)
	x.set(0, in.dtype, nil)
	axes, ok := x.ints(1, "axes")
	if in.shape == nil || !ok || len(in.shape)+len(axes) > maxRank {
		return nil
	}
	out := make([]Dim, len(in.shape)+len(axes))
	one := make([]bool, len(out))
	for _, a := range axes {
		at := axis(a, len(out))
		if at < 0 || one[at] {
			return mismatch("axis %d does not fit an input of %s", a, DimString(in.shape))
		}
		one[at], out[at] = true, Fixed(1)
	}
	rest := in.shape
	for i := range out {
		if !one[i] {
			out[i], rest = rest[0], rest[1:]
		}
	}
	x.set(0, in.dtype, out)
	if len(out) == 1 {
		x.out[0].value = in.value
	}
	return nil
}

func inferGather(x *inference) error {
	in, index := x.input(0), x.input(1)
	x.set(0, in.dtype, nil)
	if in.shape == nil || index.shape == nil {
		return nil
	}
	at := axis(x.node.Int("axis", 0), len(in.shape))
	if at < 0 || len(in.shape)+len(index.shape) > maxRank {
		return mismatch("its axis lies outside an input of %s", DimString(in.shape))
	}
	out := append(append(append([]Dim{}, in.shape[:at]...), index.shape...), in.shape[at+1:]...)
	x.set(0, in.dtype, out)
	if in.value == nil || index.value == nil || len(in.shape) != 1 {
		return nil
	}
	value := []elem{}
	for _, e := range index.value {
		k := axis(e.n, len(in.value))
		if !e.fixed || k < 0 {
			return nil
		}
		value = append(value, in.value[k])
	}
	x.out[0].value = value
	return nil
}
