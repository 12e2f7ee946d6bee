package media

import "math"

// axis says, for every place of the result along one side, which places of the
// source it is made of: those from start[i] on, by weights[from[i]:from[i+1]].
type axis struct {
	start   []int32
	from    []int32
	weights []float32
	most    int // the largest number of weights of one place
}

// span is the part of a side of the source that is used; fractions are meant.
type span struct {
	length int     // of the whole side
	off    float64 // where the part begins
	extent float64 // how long it is
}

func whole(length int) span { return span{length, 0, float64(length)} }

// shrinks tells whether area averaging is defined for this side.
func (s span) shrinks(n int) bool { return s.extent >= float64(n) }

// newAxis makes the weights to resample a span to n places. The definitions:
//
//   - area: the mean over the source interval that a place covers, as OpenCV's
//     INTER_AREA (which leaves out slivers thinner than 1e-3);
//   - bilinear, bicubic: half-pixel centres, edges repeated, no smoothing when
//     shrinking, as OpenCV's INTER_LINEAR and INTER_CUBIC (a = -0.75);
//   - nearest: the source pixel under the centre, as Pillow's NEAREST.
func newAxis(filter string, s span, n int) axis {
	a := axis{start: make([]int32, n), from: make([]int32, n+1)}
	scale := s.extent / float64(n)
	var taps [4]float32
	for i := range n {
		lo := s.off + float64(i)*scale
		centre := lo + scale/2
		switch filter {
		case "nearest":
			taps[0] = 1
			a.add(i, s.length, int(math.Floor(centre)), taps[:1])
		case "bilinear":
			first := math.Floor(centre - 0.5)
			f := float32(centre - 0.5 - first)
			taps[0], taps[1] = 1-f, f
			a.add(i, s.length, int(first), taps[:2])
		case "bicubic":
			first := math.Floor(centre - 0.5)
			cubic(centre-0.5-first, &taps)
			a.add(i, s.length, int(first)-1, taps[:4])
		default:
			a.addArea(i, s.length, lo, lo+scale)
		}
	}
	return a
}

// cubic gives the weights of the four neighbours of a place f beyond the second.
func cubic(f float64, w *[4]float32) {
	const a = -0.75
	w[0] = float32(((a*(f+1)-5*a)*(f+1)+8*a)*(f+1) - 4*a)
	w[1] = float32(((a+2)*f-(a+3))*f*f + 1)
	w[2] = float32(((a+2)*(1-f)-(a+3))*(1-f)*(1-f) + 1)
	w[3] = 1 - w[0] - w[1] - w[2]
}

// add appends the weights of place i; those beyond an edge go to the edge.
func (a *axis) add(i, length, first int, taps []float32) {
	low := min(max(first, 0), length-1)
	high := min(max(first+len(taps)-1, 0), length-1)
	base := len(a.weights)
	for range high - low + 1 {
		a.weights = append(a.weights, 0)
	}
	for k, w := range taps {
		a.weights[base+min(max(first+k, low), high)-low] += w
	}
	a.end(i, low)
}

// addArea appends the weights of the interval that place i covers.
func (a *axis) addArea(i, length int, lo, hi float64) {
	const sliver = 1e-3
	hi = min(hi, float64(length))
	first, last := int(math.Ceil(lo)), min(int(math.Floor(hi)), length-1)
	first = min(first, last)
	width := hi - lo
	start := first
	if head := float64(first) - lo; head > sliver && first > 0 {
		start--
		a.weights = append(a.weights, float32(head/width))
	}
	for range last - first {
		a.weights = append(a.weights, float32(1/width))
	}
	if tail := hi - float64(last); tail > sliver {
		a.weights = append(a.weights, float32(min(tail, 1, width)/width))
	}
	if int(a.from[i]) == len(a.weights) { // all slivers: the nearest
		a.weights = append(a.weights, 1)
	}
	a.end(i, start)
}

func (a *axis) end(i, start int) {
	a.start[i] = int32(start)
	a.from[i+1] = int32(len(a.weights))
	a.most = max(a.most, int(a.from[i+1]-a.from[i]))
}

func (a *axis) at(i int) (start int, weights []float32) {
	return int(a.start[i]), a.weights[a.from[i]:a.from[i+1]]
}

// resampler makes the rows of the resized picture, top to bottom, from rows of
// the source that were resized along x. It keeps only as many of those as one
// row of the result is made of.
type resampler struct {
	y     axis
	fetch func(sy int, dst []float32) // writes source row sy, resized along x
	width int                         // numbers in a row
	ring  []float32
	have  []int // which source row is in each place of the ring; -1 none
	out   []float32
}

// newResampler takes a buffer to work in, and gives it back enlarged.
func newResampler(y axis, width int, buf []float32, fetch func(int, []float32)) (*resampler, []float32) {
	need := width * (y.most + 1)
	if cap(buf) < need {
		buf = make([]float32, need)
	}
	buf = buf[:need]
	r := &resampler{y: y, fetch: fetch, width: width, ring: buf[width:], out: buf[:width], have: make([]int, y.most)}
	for i := range r.have {
		r.have[i] = -1
	}
	return r, buf
}

// row gives row i of the result; it is valid until the next call.
func (r *resampler) row(i int) []float32 {
	start, weights := r.y.at(i)
	if len(weights) == 1 {
		return r.source(start) // its weight is 1
	}
	for k, w := range weights {
		src := r.source(start + k)
		if k == 0 {
			for x, v := range src {
				r.out[x] = w * v
			}
			continue
		}
		out := r.out[:len(src)]
		for x, v := range src {
			out[x] += w * v
		}
	}
	return r.out
}

func (r *resampler) source(sy int) []float32 {
	k := sy % len(r.have)
	row := r.ring[k*r.width : (k+1)*r.width]
	if r.have[k] != sy {
		r.fetch(sy, row)
		r.have[k] = sy
	}
	return row
}

// across1 resizes a row of one channel along x.
func across1[T byte | float32](dst []float32, src []T, x *axis) {
	for i := range dst {
		start, weights := x.at(i)
		s := src[start : start+len(weights)]
		var v float32
		for k, w := range weights {
			v += w * float32(s[k])
		}
		dst[i] = v
	}
}

// across3 resizes a row of three interleaved channels along x.
func across3(dst []float32, src []byte, x *axis) {
	for i := range len(dst) / 3 {
		start, weights := x.at(i)
		s := src[3*start : 3*(start+len(weights))]
		var r, g, b float32
		for k, w := range weights {
			p := s[3*k : 3*k+3 : 3*k+3]
			r += w * float32(p[0])
			g += w * float32(p[1])
			b += w * float32(p[2])
		}
		d := dst[3*i : 3*i+3 : 3*i+3]
		d[0], d[1], d[2] = r, g, b
	}
}
