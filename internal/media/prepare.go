package media

import (
	"math"
	"slices"
	"sync"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/tensor"
)

// picturePlan is a Picture specification compiled against the network's input.
type picturePlan struct {
	w, h      int // 0: the picture's own
	resize    string
	filter    string
	channels  int  // that the network gets
	bgr       bool // blue comes first
	lightness *lightnessTables
	nhwc      bool
	rank      int
	dtype     tensor.DType
	mean      [3]float32 // in the order in which the network gets the channels
	scale     [3]float32
	// levels holds (value - mean) * scale, inverted where that is wanted, for
	// each level, in the order of the source: red, green, blue. It is not for
	// lab-l, whose values are no levels.
	levels [3][256]float32
	work   *sync.Pool // of *scratch
}

// scratch is memory that calls share, one at a time.
type scratch struct{ rows []float32 }

// maxScratch bounds what the pool keeps from one large picture, in numbers.
const maxScratch = 1 << 20

// compilePicture fills in what follows from the specification alone.
func compilePicture(p Picture) *picturePlan {
	pl := &picturePlan{
		w: p.Width, h: p.Height, resize: p.Resize, filter: p.Filter,
		channels: channelsOf(p.Colour), bgr: p.Colour == colourBGR, nhwc: p.Layout == layoutNHWC,
		work: &sync.Pool{New: func() any { return new(scratch) }},
	}
	if p.Colour == colourLabL {
		pl.lightness = makeLightness()
	}
	pl.mean, pl.scale = perChannel(p.Mean, 0), perChannel(p.Scale, 1)
	for c := range 3 {
		to := pl.target(c)
		for v := range 256 {
			level := float32(v)
			if p.Invert {
				level = 255 - level
			}
			pl.levels[c][v] = (level - pl.mean[to]) * pl.scale[to]
		}
	}
	return pl
}

// target gives the network's channel that a channel of the source becomes.
func (p *picturePlan) target(c int) int {
	if p.bgr {
		return 2 - c
	}
	return c
}

func perChannel(v []float64, missing float32) [3]float32 {
	out := [3]float32{missing, missing, missing}
	for c := range out {
		switch len(v) {
		case 0:
		case 1:
			out[c] = float32(v[0])
		default:
			out[c] = float32(v[c])
		}
	}
	return out
}

// tensor makes the network's input of a picture. What the resampling gives is
// rounded to whole levels, as OpenCV and Pillow do and as networks were trained;
// L stays as it is.
func (p *picturePlan) tensor(m *bitmap, maxElements int64) (tensor.Tensor, error) {
	w, h := p.w, p.h
	if w == 0 {
		w = m.w
	}
	if h == 0 {
		h = m.h
	}
	if int64(w)*int64(h)*int64(p.channels) > maxElements {
		return tensor.Tensor{}, inputErrorf(stoa.TooLarge, "is a picture of %d x %d pixels, which makes more than %d numbers", w, h, maxElements)
	}
	if p.channels == 1 && p.lightness == nil {
		m = m.grey()
	}
	place, xs, ys := p.fit(m, w, h)
	ax, ay := newAxis(filterFor(p.filter, xs, ys, place), xs, place.w), newAxis(filterFor(p.filter, xs, ys, place), ys, place.h)
	s, ok := p.work.Get().(*scratch)
	if !ok {
		s = new(scratch)
	}
	r, rows := p.source(m, &ax, ay, s.rows)
	values := make([]float32, w*h*p.channels)
	for y := range place.h {
		p.store(values, r.row(y), placeRow{rect: place, y: y, w: w, h: h})
	}
	if s.rows = rows; cap(rows) > maxScratch {
		s.rows = nil
	}
	p.work.Put(s)
	return p.shaped(values, w, h), nil
}

// rect is where the picture lies in what the network gets.
type rect struct{ x, y, w, h int }

// fit says where the picture goes, and which part of it. Outside of the place
// the values are zero, which is what the mean becomes.
func (p *picturePlan) fit(m *bitmap, w, h int) (place rect, xs, ys span) {
	place, xs, ys = rect{0, 0, w, h}, whole(m.w), whole(m.h)
	sx, sy := float64(w)/float64(m.w), float64(h)/float64(m.h)
	switch p.resize {
	case resizeFit:
		s := min(sx, sy)
		place.w = min(max(int(math.Round(s*float64(m.w))), 1), w)
		place.h = min(max(int(math.Round(s*float64(m.h))), 1), h)
		place.x, place.y = (w-place.w)/2, (h-place.h)/2
	case resizeCover:
		s := max(sx, sy)
		xs.extent, ys.extent = min(float64(w)/s, float64(m.w)), min(float64(h)/s, float64(m.h))
		xs.off, ys.off = (float64(m.w)-xs.extent)/2, (float64(m.h)-ys.extent)/2
	}
	return place, xs, ys
}

// filterFor replaces area by bilinear where a side grows.
func filterFor(filter string, xs, ys span, to rect) string {
	area := filter == "" || filter == "area"
	if area && (!xs.shrinks(to.w) || !ys.shrinks(to.h)) {
		return "bilinear"
	}
	return filter
}

// source makes the resampler over the picture's levels, or over its L.
func (p *picturePlan) source(m *bitmap, ax *axis, ay axis, rows []float32) (*resampler, []float32) {
	w := len(ax.start)
	switch {
	case p.lightness != nil:
		l := make([]float32, m.w)
		return newResampler(ay, w, rows, func(y int, dst []float32) {
			p.lightness.row(l, m.line(y), m.ch)
			across1(dst, l, ax)
		})
	case m.ch == 1:
		return newResampler(ay, w, rows, func(y int, dst []float32) { across1(dst, m.line(y), ax) })
	}
	return newResampler(ay, 3*w, rows, func(y int, dst []float32) { across3(dst, m.line(y), ax) })
}

// placeRow is one row of the picture in the whole that the network gets.
type placeRow struct {
	rect
	y    int
	w, h int // of the whole
}

// store writes a row of the resized picture into the network's input.
func (p *picturePlan) store(values, row []float32, at placeRow) {
	step, plane := 1, at.w*at.h
	if p.nhwc {
		step, plane = p.channels, 1
	}
	first := ((at.rect.y+at.y)*at.w + at.x) * step
	if p.lightness != nil {
		for x, v := range row {
			values[first+x*step] = (v - p.mean[0]) * p.scale[0]
		}
		return
	}
	from := len(row) / at.rect.w // channels of the source
	for c := range p.channels {
		out := values[first+p.target(c)*plane:]
		levels := &p.levels[c]
		if p.channels == 1 {
			out, levels = values[first:], &p.levels[p.target(0)]
		}
		k := min(c, from-1)
		for x := range at.rect.w {
			out[x*step] = levels[roundLevel(row[x*from+k])]
		}
	}
}

// roundLevel rounds to the nearest level, ties to even as OpenCV does: adding
// and taking off 1.5 * 2^23 leaves no room for a fraction.
func roundLevel(v float32) byte {
	const magic = 12582912
	if !(v > 0) { // NaN too
		return 0
	}
	sum := min(v, 255) + magic
	return byte(int32(sum - magic))
}

// shaped makes a tensor of the network's type and rank.
func (p *picturePlan) shaped(values []float32, w, h int) tensor.Tensor {
	shape := []int64{1, int64(p.channels), int64(h), int64(w)}
	if p.nhwc {
		shape = []int64{1, int64(h), int64(w), int64(p.channels)}
	}
	if p.rank == 3 {
		shape = shape[1:]
	}
	t := tensor.Of(values, shape...)
	if p.dtype != tensor.Float32 {
		t = roundTo(t, p.dtype)
	}
	return t
}

// plane resizes one float plane to a picture's size, a row at a time.
func plane(values []float32, w, h int, ax *axis, ay axis) *resampler {
	values = slices.Clip(values[:w*h])
	r, _ := newResampler(ay, len(ax.start), nil, func(y int, dst []float32) {
		across1(dst, values[y*w:(y+1)*w], ax)
	})
	return r
}
