package media

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/tensor"
)

// Adapter is the compiled form of a model's inputs and outputs. What it keeps
// between calls is scratch memory only: all methods may be called at once.
type Adapter struct {
	inputs      []inputPlan  // in the order of Graph.Inputs
	outputs     []outputPlan // those that are wanted, in the order of the specification
	given       int          // how many outputs the network has
	keepPicture bool         // an output is lab
	limits      Limits
}

// inputPlan is how one input of the network is made.
type inputPlan struct {
	spec    tensor.Spec
	picture *picturePlan // nil: the value is an array
}

// outputPlan is how one output of the network is answered.
type outputPlan struct {
	spec   tensor.Spec
	index  int // among Graph.Outputs
	labels *labelsPlan
	lab    *labPlan
	paint  *paintPlan
}

// NewAdapter checks the specifications against the network and each other.
// file opens a file of the bundle (labels); it may be nil where there is none.
// Its errors name the field at fault
// as in "input[0].picture.width".
func NewAdapter(in []Input, out []Output, g Graph, file func(name string) ([]byte, error), lim Limits) (*Adapter, error) {
	if faults := Check(in, out); len(faults) > 0 {
		msgs := make([]string, len(faults))
		for i, f := range faults {
			msgs[i] = f.Field + ": " + f.Msg
		}
		return nil, stoa.Errorf(stoa.Invalid, "%s", strings.Join(msgs, "\n"))
	}
	if len(g.Inputs) == 0 || len(g.Outputs) == 0 {
		return nil, stoa.Errorf(stoa.Invalid, "the network has %d inputs and %d outputs: it needs one of each", len(g.Inputs), len(g.Outputs))
	}
	a := &Adapter{limits: lim.withDefaults(), given: len(g.Outputs)}
	if err := a.compileInputs(in, g.Inputs); err != nil {
		return nil, err
	}
	if err := a.compileOutputs(out, g.Outputs, file); err != nil {
		return nil, err
	}
	return a, nil
}

func (a *Adapter) compileInputs(in []Input, specs []tensor.Spec) error {
	a.inputs = make([]inputPlan, len(specs))
	for i, s := range specs {
		a.inputs[i].spec = s
	}
	for i, v := range in {
		at := fmt.Sprintf("input[%d]", i)
		k, err := find(at, v.Name, "input", specs)
		if err != nil {
			return err
		}
		if v.Picture != nil {
			if a.inputs[k].picture, err = fitPicture(at+".picture", *v.Picture, specs[k]); err != nil {
				return err
			}
		}
	}
	for i, p := range a.inputs {
		if p.picture == nil && p.spec.DType.Size() == 0 {
			return stoa.Errorf(stoa.Unsupported, "input[%d]: the network's input %q is an array of %s, which Stoa does not feed", i, p.spec.Name, p.spec.DType)
		}
	}
	return nil
}

// find gives the place of the input or output that a specification means.
func find(at, name, what string, specs []tensor.Spec) (int, error) {
	if name == "" {
		if len(specs) > 1 {
			return 0, stoa.Errorf(stoa.Invalid, "%s: name is missing: the network has the %ss %s", at, what, nameList(specs))
		}
		return 0, nil
	}
	i := slices.IndexFunc(specs, func(s tensor.Spec) bool { return s.Name == name })
	if i < 0 {
		return 0, stoa.Errorf(stoa.Invalid, "%s.name: the network has no %s %q; it has %s", at, what, name, nameList(specs))
	}
	return i, nil
}

func nameList(specs []tensor.Spec) string {
	names := make([]string, len(specs))
	for i, s := range specs {
		names[i] = fmt.Sprintf("%q", s.Name)
	}
	return strings.Join(names, ", ")
}

// fitPicture compiles a Picture and checks it against the network's input.
func fitPicture(at string, p Picture, spec tensor.Spec) (*picturePlan, error) {
	pl := compilePicture(p)
	pl.dtype, pl.rank = spec.DType, 4
	if !pictureType(spec.DType) {
		return nil, stoa.Errorf(stoa.Invalid, "%s: the network's input %q is an array of %s: a picture does not become that", at, spec.Name, spec.DType)
	}
	shape := spec.Shape
	if shape == nil {
		return pl, nil
	}
	all := tensor.ShapeString(shape)
	switch len(shape) {
	case 3:
		pl.rank = 3
	case 4:
		if shape[0] > 1 {
			return nil, stoa.Errorf(stoa.Invalid, "%s: the network's input %q is %s, a fixed batch of %d: a picture is a batch of one", at, spec.Name, all, shape[0])
		}
		shape = shape[1:]
	default:
		return nil, stoa.Errorf(stoa.Invalid, "%s: the network's input %q is %s, which is no picture (three or four dimensions)", at, spec.Name, all)
	}
	c, h, w := shape[0], shape[1], shape[2]
	if pl.nhwc {
		h, w, c = shape[0], shape[1], shape[2]
	}
	if c >= 0 && c != int64(pl.channels) {
		other, word := shape[2], layoutNHWC
		if pl.nhwc {
			other, word = shape[0], "nchw"
		}
		if other == int64(pl.channels) {
			return nil, stoa.Errorf(stoa.Invalid, "%s.layout: the network's input %q is %s: write %s", at, spec.Name, all, word)
		}
		return nil, stoa.Errorf(stoa.Invalid, "%s.colour: %s has %d channels, but the network's input %q is %s", at, wordOr(p.Colour, "rgb"), pl.channels, spec.Name, all)
	}
	if err := fixSide(at+".width", &pl.w, w, spec); err != nil {
		return nil, err
	}
	return pl, fixSide(at+".height", &pl.h, h, spec)
}

func wordOr(s, missing string) string {
	if s == "" {
		return missing
	}
	return s
}

// fixSide takes a side's length from the network where it is left out.
func fixSide(field string, have *int, want int64, spec tensor.Spec) error {
	const maxSide = 16384 // as the field's own limit
	switch {
	case want < 0:
		return nil
	case *have == 0 && want > 0 && want <= maxSide:
		*have = int(want)
		return nil
	case int64(*have) != want:
		return stoa.Errorf(stoa.Invalid, "%s: %d, but the network's input %q is %s", field, *have, spec.Name, tensor.ShapeString(spec.Shape))
	}
	return nil
}

func (a *Adapter) compileOutputs(out []Output, specs []tensor.Spec, file func(string) ([]byte, error)) error {
	if len(out) == 0 {
		for i, s := range specs {
			a.outputs = append(a.outputs, outputPlan{spec: s, index: i})
		}
		return nil
	}
	for i, v := range out {
		at := fmt.Sprintf("output[%d]", i)
		k, err := find(at, v.Name, "output", specs)
		if err != nil {
			return err
		}
		pl := outputPlan{spec: specs[k], index: k}
		switch {
		case v.Labels != nil:
			pl.labels, err = compileLabels(at+".labels", *v.Labels, specs[k], file)
		case v.Lab != nil:
			pl.lab, err = compileLab(at+".lab", *v.Lab, specs[k])
			a.keepPicture = true
		case v.Picture != nil:
			pl.paint, err = compilePaint(at+".picture", *v.Picture, specs[k])
		}
		if err != nil {
			return err
		}
		a.outputs = append(a.outputs, pl)
	}
	return nil
}

func compileLabels(at string, l Labels, spec tensor.Spec, file func(string) ([]byte, error)) (*labelsPlan, error) {
	names := l.Names
	if l.File != "" {
		if file == nil {
			return nil, stoa.Errorf(stoa.Invalid, "%s.file: %s: there are no files here", at, l.File)
		}
		data, err := file(l.File)
		if err != nil {
			return nil, stoa.Wrap(stoa.Invalid, err, "%s.file: %s cannot be read", at, l.File)
		}
		if !utf8.Valid(data) {
			return nil, stoa.Errorf(stoa.Invalid, "%s.file: %s is not UTF-8 text", at, l.File)
		}
		names = lines(data)
		at += ".file"
	}
	if len(names) == 0 {
		return nil, stoa.Errorf(stoa.Invalid, "%s: there are no names", at)
	}
	if n, ok := itemSize(spec.Shape); ok && n != int64(len(names)) {
		return nil, stoa.Errorf(stoa.Invalid, "%s: %d names for %d scores", at, len(names), n)
	}
	pl := &labelsPlan{names: names, top: l.Top, threshold: l.Threshold, unsure: wordOr(l.Unsure, defaultUnsure), softmax: l.Softmax}
	if pl.top == 0 {
		pl.top = defaultTop
	}
	pl.top = min(pl.top, len(names))
	return pl, nil
}

// lines gives the lines of a file of labels, without those that are empty at
// its end.
func lines(data []byte) []string {
	text := strings.TrimRight(string(bytes.TrimPrefix(data, []byte("\ufeff"))), " \t\r\n")
	if text == "" {
		return nil
	}
	out := strings.Split(text, "\n")
	for i, s := range out {
		out[i] = strings.TrimSpace(s)
	}
	return out
}

// itemSize gives the elements of one item of a batch, where they are known: of
// a shape of one dimension all of them, else all but the first dimension.
func itemSize(shape []int64) (int64, bool) {
	if len(shape) == 0 {
		return 0, false
	}
	rest := shape
	if len(shape) > 1 {
		rest = shape[1:]
	}
	if slices.ContainsFunc(rest, func(d int64) bool { return d < 0 }) {
		return 0, false
	}
	n, err := tensor.Elements(rest)
	return n, err == nil
}

func compileLab(at string, l Lab, spec tensor.Spec) (*labPlan, error) {
	if s := spec.Shape; s != nil {
		planes := s
		if len(s) == 4 {
			planes = s[1:]
		}
		if len(planes) != 3 || planes[0] >= 0 && planes[0] != 2 || len(s) == 4 && s[0] > 1 {
			return nil, stoa.Errorf(stoa.Invalid, "%s: the network's output %q is %s: an a and a b plane are 1x2xHxW", at, spec.Name, tensor.ShapeString(s))
		}
	}
	return &labPlan{format: l.Format, lightness: makeLightness(), gamma: makeGamma()}, nil
}

func compilePaint(at string, p Paint, spec tensor.Spec) (*paintPlan, error) {
	pl := &paintPlan{
		channels: channelsOf(p.Colour), bgr: p.Colour == colourBGR, nhwc: p.Layout == layoutNHWC, format: p.Format,
		mean: perChannel(p.Mean, 0), scale: perChannel(p.Scale, 1),
	}
	if spec.Shape != nil {
		if _, _, err := pl.size(spec.Shape); err != nil {
			return nil, stoa.Errorf(stoa.Invalid, "%s: the network's output %q %s", at, spec.Name, stoa.AsError(err).Msg)
		}
	}
	return pl, nil
}
