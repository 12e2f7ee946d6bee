package torch7

import (
	"slices"

	"github.com/stoa-project/stoa/internal/onnx"
	"github.com/stoa-project/stoa/internal/tensor"
)

// itemSize multiplies the dimensions after the first n; ok is false where one is
// not known.
func itemSize(shape []onnx.Dim, n int) (size int64, ok bool) {
	size = 1
	for _, d := range shape[min(n, len(shape)):] {
		if !d.Known() || d.Value > 0 && size > 1<<40/d.Value {
			return 0, false
		}
		size *= d.Value
	}
	return size, true
}

// perItem makes each item of a batch the given shape, and remembers how many
// elements an item then must have.
func (c *converter) perItem(m module, x string, sizes []int64) (string, error) {
	n, free := int64(1), 0
	for _, s := range sizes {
		switch {
		case s == -1:
			free++
		case s < 1 || s > 1<<40 || n > 1<<40/s:
			return "", c.invalid(m, "its sizes %s make no sense", tensor.ShapeString(sizes))
		default:
			n *= s
		}
	}
	have, known := itemSize(c.b.Shape(x), 1)
	if free == 0 {
		if known && have != n {
			// What is more than an item's becomes part of the batch.
			return c.op2(m, "Reshape", x, c.b.Ints(append([]int64{-1}, sizes...)...)), nil
		}
		if !known {
			c.needs = append(c.needs, need{x, n})
		}
	}
	return c.op2(m, "Reshape", x, c.b.Ints(append([]int64{0}, sizes...)...)), nil
}

// view tells the batch from the rest as nn.View does: by how many elements its
// sizes take, or by how many dimensions an item has.
func (c *converter) view(m module, x string) (string, error) {
	sizes := ints(m.fields.get("size"))
	if sizes == nil {
		sizes = ints(m.fields.get("sizes"))
	}
	if len(sizes) == 0 || len(sizes) > maxRank {
		return "", c.invalid(m, "it has no sizes")
	}
	dims := int(m.int("numInputDims", 0))
	rank := c.rank(x)
	if dims > 0 && dims == rank {
		return c.op2(m, "Reshape", x, c.b.Ints(sizes...)), nil
	}
	if dims > 0 && dims == rank-1 || !slices.Contains(sizes, -1) {
		return c.perItem(m, x, sizes)
	}
	// Without a hint, -1 takes the batch too. As the first size it is the batch
	// where the rest are an item's.
	if rest := sizes[1:]; sizes[0] == -1 && len(rest) > 0 && !slices.Contains(rest, -1) {
		n := int64(1)
		for _, s := range rest {
			n *= max(s, 1)
		}
		if have, known := itemSize(c.b.Shape(x), 1); !known || have == n {
			return c.perItem(m, x, rest)
		}
	}
	return c.op2(m, "Reshape", x, c.b.Ints(sizes...)), nil
}

// reshape keeps the batch, unless it is told not to, or the sizes take all
// elements of an input that is known.
func (c *converter) reshape(m module, x string) (string, error) {
	sizes := ints(m.fields.get("size"))
	if len(sizes) == 0 || len(sizes) > maxRank {
		return "", c.invalid(m, "it has no sizes")
	}
	shape := c.b.Shape(x)
	whole := false
	if m.fields.get("batchMode") == nil {
		all, known := itemSize(shape, 0)
		n, _ := tensor.Elements(sizes)
		whole = known && all == n && len(shape) > 0 && shape[0].Value != 1
	} else {
		whole = !m.flag("batchMode")
	}
	if whole {
		return c.op2(m, "Reshape", x, c.b.Ints(sizes...)), nil
	}
	return c.perItem(m, x, sizes)
}

func (c *converter) squeeze(m module, x string) (string, error) {
	if m.fields.get("dim") == nil {
		var axes []int64
		for i, d := range c.b.Shape(x) {
			if d.Known() && d.Value == 1 && i > 0 {
				axes = append(axes, int64(i))
			}
		}
		if len(axes) == 0 {
			return x, nil
		}
		return c.op2(m, "Squeeze", x, c.b.Ints(axes...)), nil
	}
	axis, err := c.axis(m, m.int("dim", 1), x)
	if err != nil {
		return "", err
	}
	if d := c.b.Shape(x)[axis]; d.Known() && d.Value != 1 {
		return x, nil
	}
	return c.op2(m, "Squeeze", x, c.b.Ints(int64(axis))), nil
}

func (c *converter) unsqueeze(m module, x string) (string, error) {
	at := m.int("pos", 1)
	if n := m.int("numInputDims", 0); n > 0 && int64(c.rank(x)) == n+1 {
		at++
	}
	if at < 1 || at > int64(c.rank(x))+1 {
		return "", c.invalid(m, "its position %d is none of its input's", at)
	}
	return c.op2(m, "Unsqueeze", x, c.b.Ints(at-1)), nil
}

// sel takes one element of a dimension, which goes away.
func (c *converter) sel(m module, x string) (string, error) {
	axis, err := c.axis(m, m.int("dimension", 1), x)
	if err != nil {
		return "", err
	}
	i := m.int("index", 1)
	if i > 0 {
		i-- // those below zero count from the end in both
	}
	return c.op2(m, "Gather", x, c.b.Int(i), onnx.AInt("axis", int64(axis))), nil
}

func (c *converter) narrow(m module, x string) (string, error) {
	axis, err := c.axis(m, m.int("dimension", 1), x)
	if err != nil {
		return "", err
	}
	from, n := m.int("index", 1), m.int("length", 1)
	if from < 1 {
		return "", c.refuse(m, "an index below 1 is not supported")
	}
	to := from - 1 + n
	if n < 0 { // counted from the end
		if to = n + 1; to == 0 {
			to = 1 << 62
		}
	}
	return c.b.Op(m.name(), "Slice", []string{x, c.b.Ints(from - 1), c.b.Ints(to), c.b.Ints(int64(axis))}), nil
}
