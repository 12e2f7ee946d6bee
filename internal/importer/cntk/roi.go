package cntk

import (
	"github.com/stoa-project/stoa/internal/onnx"
	"github.com/stoa-project/stoa/internal/tensor"
)

// roiPooling pools each of several rectangles of a picture to one size. ONNX
// takes the rectangles of a whole batch in one list, each with the number of its
// picture before it.
func (c *converter) roiPooling(f *function, in []value) (value, error) {
	x, rois := in[0], in[1]
	size := f.attrs.sizes("roiOutputShape").cOrder()
	if x.rank != 3 || rois.rank != 2 || len(size) != 2 || c.lead(x) != c.lead(rois) || c.lead(x) > 1 {
		return x, c.refuse(f, "it takes a picture and a list of rectangles")
	}
	if f.attrs.int("poolingType", 0) != 0 {
		return x, c.refuse(f, "only the largest value of each part is supported")
	}
	y, err := c.flat(x, func(picture string) (string, error) {
		return c.flat(rois, func(list string) (string, error) {
			batch := c.op(f, "Squeeze", []string{c.size(picture, 0), c.b.Ints(0)})
			numbers := c.float(f, c.op(f, "Range", []string{c.b.Int(0), batch, c.b.Int(1)}))
			shape := c.concat(c.size(picture, 0), c.sizeOf(rois, 0), c.b.Ints(1))
			first := c.op(f, "Expand", []string{c.unsqueeze(numbers, 1, 2), shape})
			all := c.op(f, "Concat", []string{first, list}, onnx.AInt("axis", 2))
			all = c.op(f, "Reshape", []string{all, c.b.Ints(-1, 5)})
			y := c.op(f, "MaxRoiPool", []string{picture, all}, onnx.AInts("pooled_shape", size...), onnx.AFloat("spatial_scale", float32(f.attrs.num("spatialScale", 1))))
			parts := []string{c.size(picture, 0), c.sizeOf(rois, 0), c.sizeOf(x, 0), c.b.Ints(size...)}
			return c.op(f, "Reshape", []string{y, c.concat(parts...)}), nil
		})
	})
	if err != nil {
		return x, err
	}
	out := x
	out.rank = 4
	dims := c.b.Shape(y)
	if dims == nil {
		dims = []onnx.Dim{}
		if c.lead(x) > 0 {
			dims = append(dims, c.shape(x)[0])
		}
		dims = append(dims, c.dims(rois)[0], c.dims(x)[0], onnx.Fixed(size[0]), onnx.Fixed(size[1]))
		c.b.Declare(y, tensor.Float32, dims)
	}
	return out.like(y), nil
}
