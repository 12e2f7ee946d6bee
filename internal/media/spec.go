// Package media turns what people have (pictures, nested JSON numbers, npy
// files) into the tensors a network takes, and a network's tensors into what
// people want (labels with probabilities, coloured pictures, numbers).
package media

import (
	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/tensor"
)

// Input says how one call's value becomes one input of the network. At most one
// of its adapters is set; without any, the value is a tensor.
type Input struct {
	Name    string   `json:"name,omitempty"`    // of the network's input; may be left out where it has only one
	Picture *Picture `json:"picture,omitempty"` // the value is a picture
	Tensor  *Tensor  `json:"tensor,omitempty"`  // the value is an array: nested JSON or npy
}

// Picture says how a picture becomes a tensor: decode, turn upright, to colours,
// crop, resize, then (value - mean) * scale for every channel.
type Picture struct {
	Width  int       `json:"width,omitempty"`  // 0: the picture's own
	Height int       `json:"height,omitempty"` // 0: the picture's own
	Resize string    `json:"resize,omitempty"` // stretch (default), fit (pad with the mean), cover (cut the overhang)
	Filter string    `json:"filter,omitempty"` // area (default), bilinear, bicubic, nearest
	Colour string    `json:"colour,omitempty"` // rgb (default), bgr, grey, lab-l (CIE L, 0 to 100)
	Invert bool      `json:"invert,omitempty"` // 255 - value, before mean and scale
	Mean   []float64 `json:"mean,omitempty"`   // one number, or one a channel in the order of colour
	Scale  []float64 `json:"scale,omitempty"`  // one number, or one a channel; default 1
	Layout string    `json:"layout,omitempty"` // nchw (default), nhwc
}

// Tensor says that a value is an array. It has no settings.
type Tensor struct{}

// Output says how one output of the network becomes an answer. At most one of
// its adapters is set; without any, the answer is a tensor.
type Output struct {
	Name    string  `json:"name,omitempty"`    // of the network's output; may be left out where it has only one
	Labels  *Labels `json:"labels,omitempty"`  // scores become labels
	Lab     *Lab    `json:"lab,omitempty"`     // a, b planes join the input's L and become a picture
	Picture *Paint  `json:"picture,omitempty"` // the tensor is a picture
	Tensor  *Tensor `json:"tensor,omitempty"`  // nested JSON, or npy when the call came as npy
}

// Labels turns a vector of scores into named ones, best first:
//
//	{"label":"forest","score":0.83,"labels":[{"label":"forest","score":0.83}, …]}
type Labels struct {
	File      string   `json:"file,omitempty"`      // in the bundle, one name a line
	Names     []string `json:"names,omitempty"`     // or the names themselves
	Top       int      `json:"top,omitempty"`       // how many are listed; default 5
	Threshold float64  `json:"threshold,omitempty"` // below it, "label" is Unsure
	Unsure    string   `json:"unsure,omitempty"`    // default "not sure"
	Softmax   bool     `json:"softmax,omitempty"`   // the network gives logits
}

// Lab joins the network's a and b planes, resized to the whole picture, with
// the L of the input picture at its full size.
type Lab struct {
	Format string `json:"format,omitempty"` // png (default), jpeg
}

// Paint turns a CHW or HWC tensor into a picture: value / scale + mean, clipped
// to 0..255.
type Paint struct {
	Colour string    `json:"colour,omitempty"` // rgb (default), bgr, grey
	Mean   []float64 `json:"mean,omitempty"`
	Scale  []float64 `json:"scale,omitempty"`
	Layout string    `json:"layout,omitempty"`
	Format string    `json:"format,omitempty"` // png (default), jpeg
}

// Limits bound what an untrusted value may cost. Zero means the default.
type Limits struct {
	Pixels   int64 // of a picture, by its header; default 50 million
	Elements int64 // of a tensor; default 64 million
}

// Graph is what the adapters must know of the network.
type Graph struct {
	Inputs  []tensor.Spec
	Outputs []tensor.Spec
}

// Adapter is the compiled form of a model's inputs and outputs. It has no
// state: all methods may be called at once.
type Adapter struct{}

// NewAdapter checks the specifications against the network and each other.
// file opens a file of the bundle (labels). Its errors name the field at fault
// as in "input[0].picture.width".
func NewAdapter(in []Input, out []Output, g Graph, file func(name string) ([]byte, error), lim Limits) (*Adapter, error) {
	panic("BUILDER")
}

// Item is one decoded value: the tensors in the order of Graph.Inputs, and what
// Encode needs of the value.
type Item struct {
	Inputs []tensor.Tensor
	// BUILDER: private fields: the decoded picture for Lab, whether the call was npy
}

// Decode turns a call's value into tensors. Where the network has one input,
// the value is that input; where it has several, the value is a JSON object
// with a member for each. A picture may come as raw bytes, as a JSON or plain
// text of base64 or a data: URL; an array as nested JSON, or npy bytes.
func (a *Adapter) Decode(v stoa.Value) (Item, error) { panic("BUILDER") }

// Encode turns the network's outputs, in the order of Graph.Outputs, into the
// answer: where one output is wanted, its adapter's value; where several are,
// a JSON object (pictures as base64) or, for a call that came as npy, an npz.
func (a *Adapter) Encode(it Item, outputs []tensor.Tensor) (stoa.Value, error) { panic("BUILDER") }
