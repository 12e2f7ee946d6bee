package onnx

import (
	"slices"
	"strings"

	"github.com/stoa-project/stoa/internal/tensor"
)

// Operators that work with places in a tensor, and sums that are written as an
// equation.

// inferOneHot gives the indices one more axis, as long as the depth says.
func inferOneHot(x *inference) error {
	in, depth := x.input(0), x.input(1)
	x.set(0, x.input(2).dtype, nil)
	if in.shape == nil {
		return nil
	}
	at := axis(x.node.Int("axis", -1), len(in.shape)+1)
	if at < 0 {
		return mismatch("axis %d lies outside of its output of %d axes", x.node.Int("axis", -1), len(in.shape)+1)
	}
	long := unknownDim()
	if len(depth.value) == 1 {
		long = depth.value[0].dim()
	}
	x.set(0, x.input(2).dtype, slices.Insert(slices.Clone(in.shape), at, long))
	return nil
}

// inferMaxUnpool takes the sizes from the third input, or else undoes the
// windows of a pooling.
func inferMaxUnpool(x *inference) error {
	in := x.input(0)
	x.set(0, in.dtype, nil)
	if in.shape == nil {
		return nil
	}
	out := unknownShape(len(in.shape))
	copy(out, in.shape[:min(2, len(in.shape))])
	if v := x.input(2).value; len(v) == len(out) {
		for i, e := range v {
			out[i] = e.dim()
		}
	}
	x.set(0, in.dtype, out)
	return nil
}

func inferEyeLike(x *inference) error {
	in := x.input(0)
	t := tensor.DType(x.node.Int("dtype", int64(in.dtype)))
	x.set(0, t, in.shape)
	return nil
}

// inferNonZero gives a list of places, as many as there are, one row an axis.
func inferNonZero(x *inference) error {
	x.set(0, tensor.Int64, []Dim{unknownDim(), unknownDim()})
	if in := x.input(0).shape; in != nil {
		x.out[0].shape[0] = Fixed(int64(len(in)))
	}
	return nil
}

// inferGatherND replaces the axes that an index names by those of the list of
// indices.
func inferGatherND(x *inference) error {
	in, index := x.input(0), x.input(1)
	x.set(0, in.dtype, nil)
	batch := int(min(max(x.node.Int("batch_dims", 0), 0), maxRank))
	if in.shape == nil || len(index.shape) == 0 {
		return nil
	}
	named := index.shape[len(index.shape)-1]
	if !named.Known() || named.Value < 0 || int64(batch)+named.Value > int64(len(in.shape)) {
		return nil
	}
	x.set(0, in.dtype, slices.Concat(index.shape[:len(index.shape)-1], in.shape[batch+int(named.Value):]))
	return nil
}

// inferEinsum reads the sizes of the letters off the inputs.
func inferEinsum(x *inference) error {
	x.set(0, x.input(0).dtype, nil)
	equation := strings.ReplaceAll(x.node.Str("equation"), " ", "")
	left, right, explicit := strings.Cut(equation, "->")
	terms := strings.Split(left, ",")
	if !explicit || len(terms) != len(x.in) {
		return nil
	}
	dots := 0
	for i, term := range terms {
		if x.in[i].shape == nil {
			return nil
		}
		if strings.Contains(term, "...") {
			dots = max(dots, len(x.in[i].shape)-len(term)+len("..."))
		}
	}
	if dots > maxRank {
		return nil
	}
	sizes := map[rune]Dim{}
	for i, term := range terms {
		shape := x.in[i].shape
		letters := spellDots(term, len(shape)-len(term)+len("..."))
		if len(shape) != len(letters) {
			return mismatch("%q names %d axes of input %d, which has %d", term, len(letters), i, len(shape))
		}
		for k, letter := range letters {
			if have, ok := sizes[letter]; !ok || !have.Known() || have.Value == 1 {
				sizes[letter] = shape[k]
			}
		}
	}
	var out []Dim
	for _, letter := range spellDots(right, dots) {
		d, ok := sizes[letter]
		if !ok {
			return mismatch("the output names %q, which no input has", string(letter))
		}
		out = append(out, d)
	}
	x.set(0, x.input(0).dtype, append([]Dim{}, out...))
	return nil
}

// spellDots gives the letters of a term, with as many letters of their own in
// the place of the dots. They count from the last axis that the dots stand for,
// since those of several terms are laid over one another as in broadcasting.
func spellDots(term string, dots int) []rune {
	before, behind, found := strings.Cut(term, "...")
	out := []rune(before)
	if found {
		const private = '\uE000' // no letter of an equation
		for i := range max(dots, 0) {
			out = append(out, private+rune(dots-i))
		}
	}
	return append(out, []rune(behind)...)
}
