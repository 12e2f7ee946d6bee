package arith

import "github.com/stoa-project/stoa/internal/format/graphdef"

// FarEnd is beyond the end of any axis.
const FarEnd = 1 << 40

// Stride is what a StridedSlice does along one axis.
type Stride struct {
	At         int // in its lists
	All        bool
	Gone       bool // one element is taken, and the axis goes
	Begin, End bool // from the beginning, to the end
}

// Strides reads the masks of a StridedSlice: what becomes of each axis of the input, and where the
// output has new axes of one.
func Strides(n *graphdef.Node, entries, rank int) (axes []Stride, added []int64, ok bool) {
	mask := func(name string, i int) bool { return n.Int(name, 0)>>i&1 != 0 }
	fresh := 0
	for i := range entries {
		if mask("new_axis_mask", i) && !mask("ellipsis_mask", i) {
			fresh++
		}
	}
	out, sawDots := 0, false
	for i := range entries {
		switch {
		case mask("ellipsis_mask", i):
			if sawDots {
				return nil, nil, false
			}
			sawDots = true
			for range rank - (entries - 1 - fresh) {
				axes = append(axes, Stride{All: true})
				out++
			}
		case mask("new_axis_mask", i):
			added = append(added, int64(out))
			out++
		default:
			gone := mask("shrink_axis_mask", i)
			axes = append(axes, Stride{At: i, Gone: gone, Begin: mask("begin_mask", i), End: mask("end_mask", i)})
			if !gone {
				out++
			}
		}
	}
	if len(axes) > rank {
		return nil, nil, false
	}
	return axes, added, true
}

// Ends gives where an axis is sliced, from the lists of numbers; nil
// where one is not known.
func (a Stride) Ends(begins, ends []int64, by int64) (from, to, step int64) {
	from, to, step = 0, FarEnd, by
	if step < 0 {
		from, to = FarEnd, -FarEnd
	}
	if begins != nil && (!a.Begin || a.Gone) {
		from = begins[a.At]
	}
	if ends != nil && !a.End {
		to = ends[a.At]
	}
	if a.Gone {
		if to = from + 1; to == 0 {
			to = FarEnd
		}
		step = 1
	}
	return from, to, step
}
