package media

import (
	"context"
	"image"
	"math"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/tensor"
)

// Preview is what a network gets of a picture, for people to look at.
type Preview struct {
	// PNG is the network's input turned back into levels: value / scale + mean,
	// clipped. Of a side that is longer than 2048 it has every second pixel, or
	// every third, and so on.
	PNG      []byte       `json:"png"`
	Channels []Channel    `json:"channels"` // in the network's order
	DType    tensor.DType `json:"dtype"`
	Shape    []int64      `json:"shape"`
	Layout   string       `json:"layout"` // nchw or nhwc
}

// Channel sums up the numbers that the network gets of one channel.
type Channel struct {
	Name string  `json:"name"` // red, green, blue, grey or L
	Min  float64 `json:"min"`
	Mean float64 `json:"mean"`
	Max  float64 `json:"max"`
}

// previewSide bounds the picture of a Preview: no page shows more, and a network
// that takes pictures of any size may get one of fifty million pixels.
const previewSide = 2048

// NewPreview makes the network's input of a picture, by the very plan that feeds
// the network, and shows it. in must have a picture adapter; spec is the
// network's input that it is for, and its shape may be nil. Errors about the
// specification name their field, as in "input.picture.width"; those about the
// value are of type "InputError".
func NewPreview(ctx context.Context, in Input, spec tensor.Spec, v stoa.Value, lim Limits) (Preview, error) {
	if in.Picture == nil {
		return Preview{}, stoa.Errorf(stoa.Invalid, "input.picture is missing: only a picture can be shown")
	}
	if faults := Check([]Input{in}, nil); len(faults) > 0 {
		f := faults[0]
		return Preview{}, stoa.Errorf(stoa.Invalid, "input%s: %s", f.Field[len("input[0]"):], f.Msg)
	}
	if spec.DType == tensor.Undefined {
		spec.DType = tensor.Float32
	}
	if spec.Name == "" {
		spec.Name = wordOr(in.Name, "picture")
	}
	plan, err := fitPicture("input.picture", *in.Picture, spec)
	if err != nil {
		return Preview{}, err
	}
	a := &Adapter{inputs: []inputPlan{{spec: spec, picture: plan}}, limits: lim.withDefaults()}
	it, err := a.Decode(v)
	if err != nil {
		return Preview{}, err
	}
	if err := ctx.Err(); err != nil {
		return Preview{}, stoa.AsError(err)
	}
	return plan.show(it.Inputs[0], *in.Picture)
}

// show turns the network's input back into a picture, and sums up its numbers.
func (p *picturePlan) show(t tensor.Tensor, spec Picture) (Preview, error) {
	out := Preview{DType: t.DType, Shape: t.Shape, Layout: wordOr(spec.Layout, "nchw")}
	w, h, ok := p.sides(t.Shape)
	values, isNumber := floatsOf[float32](t)
	if !ok || !isNumber || len(values) == 0 {
		return out, inputErrorf(stoa.Invalid, "is %s %s, which is no picture of %d channels", tensor.ShapeString(t.Shape), t.DType, p.channels)
	}
	step, plane := 1, w*h
	if p.nhwc {
		step, plane = p.channels, 1
	}
	names := channelNames(spec.Colour)
	every := (max(w, h) + previewSide - 1) / previewSide
	img := image.NewRGBA(image.Rect(0, 0, (w+every-1)/every, (h+every-1)/every))
	for c := range p.channels {
		channel := values[c*plane:]
		out.Channels = append(out.Channels, sumUp(names[c], channel, step, w*h))
		p.paint(img, channel, placed{channel: c, step: step, every: every, w: w})
	}
	png, err := encodePicture(img, "")
	out.PNG = png.Data
	return out, err
}

// sides reads the sides of the network's input, whose batch must be one.
func (p *picturePlan) sides(shape []int64) (w, h int, ok bool) {
	if len(shape) == 4 {
		if shape[0] != 1 {
			return 0, 0, false
		}
		shape = shape[1:]
	}
	if len(shape) != 3 {
		return 0, 0, false
	}
	c, y, x := shape[0], shape[1], shape[2]
	if p.nhwc {
		y, x, c = shape[0], shape[1], shape[2]
	}
	return int(x), int(y), c == int64(p.channels)
}

// placed is one channel of a picture that is painted.
type placed struct{ channel, step, every, w int }

// paint writes a channel of the network's input into a picture: into its own
// colour, or into all three where it is the only one.
func (p *picturePlan) paint(img *image.RGBA, values []float32, at placed) {
	bounds := img.Bounds()
	white := float32(1)
	if p.lightness != nil {
		white = 255.0 / 100
	}
	for y := range bounds.Dy() {
		row := img.Pix[y*img.Stride:]
		for x := range bounds.Dx() {
			v := values[(y*at.every*at.w+x*at.every)*at.step]
			level := roundLevel((v/p.scale[at.channel] + p.mean[at.channel]) * white)
			pixel := row[4*x : 4*x+4 : 4*x+4]
			pixel[3] = 255
			if p.channels == 1 {
				pixel[0], pixel[1], pixel[2] = level, level, level
			} else {
				pixel[p.target(at.channel)] = level // red and blue change places, or none do
			}
		}
	}
}

// sumUp gives the least, the mean and the greatest of a channel's numbers.
// Numbers that JSON cannot hold are passed over.
func sumUp(name string, values []float32, step, n int) Channel {
	c := Channel{Name: name}
	sum, count := 0.0, 0
	for i := range n {
		v := float64(values[i*step])
		if math.IsNaN(v) || math.IsInf(v, 0) {
			continue
		}
		if count == 0 {
			c.Min, c.Max = v, v
		}
		c.Min, c.Max = min(c.Min, v), max(c.Max, v)
		sum += v
		count++
	}
	if count > 0 {
		c.Mean = sum / float64(count)
	}
	return c
}

// channelNames names the channels in the network's order.
func channelNames(colour string) []string {
	switch colour {
	case colourBGR:
		return []string{"blue", "green", "red"}
	case colourGrey:
		return []string{"grey"}
	case colourLabL:
		return []string{"L"}
	}
	return []string{"red", "green", "blue"}
}

// IsPicture tells by its first bytes whether a file is a picture that Stoa
// reads; sixteen of them are enough.
func IsPicture(head []byte) bool { return formatOf(head) != nil }
