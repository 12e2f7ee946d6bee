package manifest

import (
	"fmt"
	"strings"

	"github.com/stoa-project/stoa/internal/media"
	"github.com/stoa-project/stoa/internal/tensor"
)

// InferInput is what is known of an algorithm that has no manifest yet.
type InferInput struct {
	Name       string      // of the algorithm; may be empty
	Files      []string    // that hold the model
	Framework  string      // such as "caffe" or "onnx"; "" where it is not known
	Graph      media.Graph // of the network
	LabelsFile string      // a text file of the bundle with one label a line; "" for none
	Labels     int         // how many lines it has
	Sample     string      // a file of the bundle to try; "" for none
}

// Infer makes a manifest out of what is known, and comments that say what was
// guessed. A picture is guessed only where an input clearly is one; all else
// stays an array, which is always right.
func Infer(in InferInput) (*Manifest, Comments) {
	m := &Manifest{Name: in.Name, Kind: "model", Model: &Model{Files: in.Files}}
	c := Comments{"": "What the network's files do not say was guessed: see the remarks. All fields: docs/manifest.md"}
	inferInputs(m, c, in)
	inferOutputs(m, c, in)
	if in.Sample != "" {
		m.Sample = &Sample{File: in.Sample}
	}
	return m, c
}

func inferInputs(m *Manifest, c Comments, in InferInput) {
	several := len(in.Graph.Inputs) > 1
	for i, s := range in.Graph.Inputs {
		at := fmt.Sprintf("input[%d]", i)
		v := media.Input{}
		if several {
			v.Name = s.Name
		}
		shape := tensor.ShapeString(s.Shape)
		p := guessPicture(s)
		if p == nil {
			v.Tensor = &media.Tensor{}
			c[at] = fmt.Sprintf("%s is %s %s: an array, as nested JSON numbers or npy.", s.Name, shape, s.DType)
			m.Input = append(m.Input, v)
			continue
		}
		if in.Framework == "caffe" && p.Colour == "rgb" {
			p.Colour = "bgr"
			c[at+".picture.colour"] = "Guessed: most Caffe networks were trained on blue, green, red. Try rgb where answers are odd."
		}
		if s.DType != tensor.Uint8 {
			// A field without a value would not be written: the remark goes to
			// the last that is.
			field, last := at+".picture.colour", "Not guessed: mean and scale. The network gets (value - mean) * scale of levels from 0 to 255;\n"+
				"add them as it was trained, such as mean: 127.5 and scale: 0.00784313725490196."
			if c[field] != "" {
				last = c[field] + "\n" + last
			}
			c[field] = last
		}
		v.Picture = p
		c[at] = fmt.Sprintf("%s is %s %s, which looks like a picture. An npy array is taken too.", s.Name, shape, s.DType)
		m.Input = append(m.Input, v)
	}
}

// smallestSide is the least size that is taken for a picture's side.
const smallestSide = 8

// guessPicture gives a Picture where an input has one or three channels beside
// two sides, and nil where that is not clear.
func guessPicture(s tensor.Spec) *media.Picture {
	if len(s.Shape) != 4 || s.Shape[0] > 1 || s.DType != tensor.Float32 && s.DType != tensor.Uint8 && s.DType != tensor.Float16 {
		return nil
	}
	side := func(d int64) bool { return d < 0 || d >= smallestSide && d <= 16384 }
	channels := func(d int64) bool { return d == 1 || d == 3 }
	p := &media.Picture{}
	var c, h, w int64
	switch {
	case channels(s.Shape[1]) && side(s.Shape[2]) && side(s.Shape[3]):
		c, h, w = s.Shape[1], s.Shape[2], s.Shape[3]
	case channels(s.Shape[3]) && side(s.Shape[1]) && side(s.Shape[2]):
		c, h, w = s.Shape[3], s.Shape[1], s.Shape[2]
		p.Layout = "nhwc"
	default:
		return nil
	}
	p.Colour = "rgb"
	if c == 1 {
		p.Colour = "grey"
	}
	p.Width, p.Height = int(max(w, 0)), int(max(h, 0))
	return p
}

func inferOutputs(m *Manifest, c Comments, in InferInput) {
	several := len(in.Graph.Outputs) > 1
	for i, s := range in.Graph.Outputs {
		at := fmt.Sprintf("output[%d]", i)
		v := media.Output{}
		if several {
			v.Name = s.Name
		}
		what := fmt.Sprintf("%s is %s %s", s.Name, tensor.ShapeString(s.Shape), s.DType)
		if n := scores(s.Shape); in.LabelsFile != "" && n > 0 && n == int64(in.Labels) {
			v.Labels = &media.Labels{File: in.LabelsFile}
			c[at] = fmt.Sprintf("%s, and %s has as many lines.", what, in.LabelsFile)
			if !looksLikeProbabilities(s.Name) {
				c[at] += "\nWhere the scores are no probabilities yet, add softmax: true."
			}
		} else {
			v.Tensor = &media.Tensor{}
			c[at] = what + ": an array."
			if n > 1 {
				c[at] += fmt.Sprintf("\nWhere these are scores, write labels: {file: labels.txt} for it, with a file of %d names.", n)
			}
		}
		m.Output = append(m.Output, v)
	}
}

// scores gives the length of an output that is one vector for each item, and 0
// for others.
func scores(shape []int64) int64 {
	if len(shape) < 2 {
		return 0
	}
	for _, d := range shape[2:] {
		if d != 1 {
			return 0
		}
	}
	return max(shape[1], 0)
}

func looksLikeProbabilities(name string) bool {
	n := strings.ToLower(name)
	return strings.Contains(n, "prob") || strings.Contains(n, "softmax")
}
