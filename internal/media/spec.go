// Package media turns what people have (pictures, nested JSON numbers, npy
// files) into the tensors a network takes, and a network's tensors into what
// people want (labels with probabilities, coloured pictures, numbers). It
// trusts no byte of a value: what a header claims is checked against a limit
// before anything is made of that size.
package media

import (
	"github.com/stoa-project/stoa/internal/tensor"
)

// The tags of these types are what Check and the manifest's JSON Schema read:
// doc describes a field, enum lists the words it may hold (the first is the
// default), min and max bound its numbers.

// Input says how one call's value becomes one input of the network. At most one
// of its adapters is set; without any, the value is a tensor.
type Input struct {
	Name    string   `json:"name,omitempty" doc:"Name of the network's input. It may be left out where the network has only one."`
	Picture *Picture `json:"picture,omitempty" doc:"The value is a picture."`
	Tensor  *Tensor  `json:"tensor,omitempty" doc:"The value is an array: nested JSON numbers or an npy file. This is the default; write {}."`
}

// Picture says how a picture becomes a tensor: decode, turn upright, to colours,
// crop, resize, then (value - mean) * scale for every channel.
type Picture struct {
	Width  int       `json:"width,omitempty" min:"0" max:"16384" doc:"Width in pixels that the network gets. Left out: the network's own where it is fixed, else the picture's."`
	Height int       `json:"height,omitempty" min:"0" max:"16384" doc:"Height in pixels that the network gets. Left out: the network's own where it is fixed, else the picture's."`
	Resize string    `json:"resize,omitempty" enum:"stretch|fit|cover" doc:"How the picture gets that size: stretch both sides, fit it inside and pad with the mean, or cover the whole and cut the overhang."`
	Filter string    `json:"filter,omitempty" enum:"area|bilinear|bicubic|nearest" doc:"How pixels are resampled. area averages (OpenCV's INTER_AREA; bilinear where a side grows); bicubic has a = -0.75, as OpenCV."`
	Colour string    `json:"colour,omitempty" enum:"rgb|bgr|grey|lab-l" doc:"Channels and their order. lab-l is the lightness of CIE Lab, 0 to 100."`
	Invert bool      `json:"invert,omitempty" doc:"Use 255 - value, before mean and scale: for networks that want white on black."`
	Mean   []float64 `json:"mean,omitempty" doc:"Taken off every value (0 to 255): one number, or one for each channel in the order of colour."`
	Scale  []float64 `json:"scale,omitempty" doc:"Multiplies every value after the mean was taken off: one number, or one for each channel. Default 1."`
	Layout string    `json:"layout,omitempty" enum:"nchw|nhwc" doc:"Order of the network's dimensions: channels before or after height and width."`
}

// Tensor says that a value is an array. It has no settings.
type Tensor struct{}

// Output says how one output of the network becomes an answer. At most one of
// its adapters is set; without any, the answer is a tensor.
type Output struct {
	Name    string  `json:"name,omitempty" doc:"Name of the network's output. It may be left out where the network has only one."`
	Labels  *Labels `json:"labels,omitempty" doc:"Scores become named labels, best first."`
	Lab     *Lab    `json:"lab,omitempty" doc:"The network's a and b planes join the lightness of the input picture and become a picture of its size."`
	Picture *Paint  `json:"picture,omitempty" doc:"The network's output is a picture."`
	Tensor  *Tensor `json:"tensor,omitempty" doc:"The answer is nested JSON numbers, or npy where the call brought npy. This is the default; write {}."`
}

// Labels turns a vector of scores into named ones, best first:
//
//	{"label":"forest","score":0.83,"labels":[{"label":"forest","score":0.83}, …]}
//
// A batch of several vectors becomes a list of such objects.
type Labels struct {
	File      string   `json:"file,omitempty" doc:"A file of the bundle with one name a line."`
	Names     []string `json:"names,omitempty" doc:"The names themselves, in the order of the scores."`
	Top       int      `json:"top,omitempty" min:"0" max:"1000" doc:"How many labels are listed. Default 5."`
	Threshold float64  `json:"threshold,omitempty" min:"0" max:"1" doc:"Where the best score is below this, label says what unsure says."`
	Unsure    string   `json:"unsure,omitempty" doc:"What label says below the threshold. Default \"not sure\"."`
	Softmax   bool     `json:"softmax,omitempty" doc:"The network gives logits: turn them into probabilities first."`
}

// Lab joins the network's a and b planes, resized to the whole picture, with
// the L of the input picture at its full size.
type Lab struct {
	Format string `json:"format,omitempty" enum:"png|jpeg" doc:"File format of the answer."`
}

// Paint turns a CHW or HWC tensor into a picture: value / scale + mean, clipped
// to 0..255.
type Paint struct {
	Colour string    `json:"colour,omitempty" enum:"rgb|bgr|grey" doc:"Channels and their order."`
	Mean   []float64 `json:"mean,omitempty" doc:"Added to every value after the division by scale: one number, or one for each channel."`
	Scale  []float64 `json:"scale,omitempty" doc:"Divides every value: one number, or one for each channel. Default 1; a network that gives 0 to 1 has 0.00392156862745098."`
	Layout string    `json:"layout,omitempty" enum:"nchw|nhwc" doc:"Order of the network's dimensions: channels before or after height and width."`
	Format string    `json:"format,omitempty" enum:"png|jpeg" doc:"File format of the answer."`
}

// Limits bound what an untrusted value may cost. Zero means the default.
type Limits struct {
	Pixels   int64 // of a picture, by its header; default 50 million
	Elements int64 // of a tensor; default 64 million
	// Memory is shared by all adapters of a process; nil is no bound.
	Memory *Budget
}

const (
	defaultPixels   = 50_000_000
	defaultElements = 64_000_000
	defaultTop      = 5
	defaultUnsure   = "not sure"
)

func (l Limits) withDefaults() Limits {
	if l.Pixels <= 0 {
		l.Pixels = defaultPixels
	}
	if l.Elements <= 0 {
		l.Elements = defaultElements
	}
	return l
}

// Graph is what the adapters must know of the network. A Spec whose Shape is
// nil is of unknown shape.
type Graph struct {
	Inputs  []tensor.Spec
	Outputs []tensor.Spec
}
