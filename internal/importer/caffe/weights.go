package caffe

import (
	"fmt"
	"math"
	"slices"

	"github.com/stoa-project/stoa/internal/tensor"
)

// need gives a layer's blob i, which must have as many numbers as shape says. A
// layer without blobs is noted as missing and gets none.
func (c *converter) need(l *layer, i int, what string, shape ...int64) (tensor.Tensor, bool, error) {
	if len(l.blobs) == 0 {
		c.lack(l)
		return tensor.Tensor{}, false, nil
	}
	if i >= len(l.blobs) {
		return tensor.Tensor{}, false, c.invalid(l, "its %s is missing: %s has %d arrays for it", what, c.weights.name(), len(l.blobs))
	}
	b := l.blobs[i]
	n, err := tensor.Elements(shape)
	if err != nil || n != b.elements() || b.given && !slices.Equal(squeezed(b.shape), squeezed(shape)) {
		if t, ok := transposed(b, shape); ok {
			c.notes = append(c.notes, fmt.Sprintf("the %s given for %s was turned from %s to %s", what, l.at(), tensor.ShapeString(b.shape), tensor.ShapeString(shape)))
			return t, true, nil
		}
		return tensor.Tensor{}, false, c.invalid(l, "its %s has the shape %s, and the description asks for %s",
			what, tensor.ShapeString(b.shape), tensor.ShapeString(shape))
	}
	return b.tensor(shape...), true, nil
}

// squeezed gives a shape without its ones.
func squeezed(shape []int64) []int64 {
	return slices.DeleteFunc(slices.Clone(shape), func(d int64) bool { return d == 1 })
}

// transposed turns a matrix that the caller gave the other way round, as
// pts_in_hull.npy is: 313 rows of two, for a layer that wants two of 313.
func transposed(b blob, shape []int64) (tensor.Tensor, bool) {
	want := squeezed(shape)
	if !b.given || len(b.shape) != 2 || len(want) != 2 || b.shape[0] != want[1] || b.shape[1] != want[0] {
		return tensor.Tensor{}, false
	}
	in := b.floats()
	out := make([]float32, len(in))
	rows, cols := int(b.shape[0]), int(b.shape[1])
	for i, v := range in {
		out[i%cols*rows+i/cols] = v
	}
	return tensor.Of(out, shape...), true
}

func (c *converter) lack(l *layer) {
	if !c.filled[l.name] {
		c.filled[l.name] = true
		c.missing = append(c.missing, l.at())
	}
}

func (w *weights) name() string {
	if w == nil {
		return "the weights"
	}
	return w.file
}

// maxFiller bounds what a filler makes, for which the file has no bytes.
const maxFiller = 1 << 24

// needOr is need for an array that Caffe can make itself: from a filler that
// gives one number everywhere. The default filler gives otherwise.
func (c *converter) needOr(l *layer, i int, filler *message, otherwise float64, shape ...int64) (tensor.Tensor, bool, error) {
	if i < len(l.blobs) && l.blobs[i].data != nil {
		return c.need(l, i, "array", shape...)
	}
	if filler.str("type", "constant") != "constant" {
		c.lack(l)
		return tensor.Tensor{}, false, nil
	}
	n, err := tensor.Elements(shape)
	if err != nil || n > maxFiller {
		return tensor.Tensor{}, false, c.invalid(l, "it asks for an array of %s", tensor.ShapeString(shape))
	}
	v := filler.float("value", otherwise)
	if filler != nil && !filler.has("value") {
		v = 0
	}
	out := make([]float32, n)
	for k := range out {
		out[k] = float32(v)
	}
	return tensor.Of(out, shape...), true, nil
}

// bilinear makes the weights by which a Deconvolution enlarges a picture, as
// Caffe's filler of that name does: channel by channel.
func bilinear(shape []int64) tensor.Tensor {
	k := shape[len(shape)-1]
	f := math.Ceil(float64(k) / 2)
	centre := (2*f - 1 - math.Mod(f, 2)) / (2 * f)
	n, _ := tensor.Elements(shape)
	out := make([]float32, n)
	for i := range out {
		x, y := float64(int64(i)%k), float64(int64(i)/k%shape[len(shape)-2])
		out[i] = float32((1 - math.Abs(x/f-centre)) * (1 - math.Abs(y/f-centre)))
	}
	return tensor.Of(out, shape...)
}
