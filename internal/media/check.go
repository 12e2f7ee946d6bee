package media

import (
	"fmt"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// Fault is one thing that is wrong with a specification. Field is its place,
// such as "input[0].picture.width".
type Fault struct {
	Field string
	Msg   string
}

// Check looks for what is wrong with the specifications by themselves, without
// the network: words that are not known, numbers out of range, contradictions.
func Check(in []Input, out []Output) []Fault {
	var c checker
	for i := range in {
		c.input(fmt.Sprintf("input[%d]", i), in[i], len(in))
	}
	for i := range out {
		c.output(fmt.Sprintf("output[%d]", i), out[i], len(out))
	}
	seen := map[string]bool{}
	for i, v := range in {
		c.twice(fmt.Sprintf("input[%d].name", i), v.Name, seen)
	}
	seen = map[string]bool{}
	for i, o := range out {
		if o.Lab != nil {
			c.lab(fmt.Sprintf("output[%d].lab", i), in)
		}
		c.twice(fmt.Sprintf("output[%d].name", i), o.Name, seen)
	}
	return c.faults
}

type checker struct{ faults []Fault }

func (c *checker) add(field, format string, args ...any) {
	c.faults = append(c.faults, Fault{field, fmt.Sprintf(format, args...)})
}

func (c *checker) twice(field, name string, seen map[string]bool) {
	if name != "" && seen[name] {
		c.add(field, "%q is there twice", name)
	}
	seen[name] = true
}

func (c *checker) input(at string, in Input, of int) {
	if of > 1 && in.Name == "" {
		c.add(at, "name is missing: with several inputs each needs one")
	}
	if in.Picture != nil && in.Tensor != nil {
		c.add(at+".tensor", "contradicts picture: an input is one or the other")
	}
	if p := in.Picture; p != nil {
		at += ".picture"
		c.tags(at, reflect.ValueOf(*p))
		c.channels(at+".mean", p.Mean, channelsOf(p.Colour), p.Colour)
		c.channels(at+".scale", p.Scale, channelsOf(p.Colour), p.Colour)
		c.noZero(at+".scale", p.Scale)
		if p.Invert && p.Colour == colourLabL {
			c.add(at+".invert", "has no meaning for the colour lab-l")
		}
	}
}

func (c *checker) output(at string, out Output, of int) {
	if of > 1 && out.Name == "" {
		c.add(at, "name is missing: with several outputs each needs one")
	}
	var set []string
	for _, a := range []struct {
		name string
		is   bool
	}{{"labels", out.Labels != nil}, {"lab", out.Lab != nil}, {"picture", out.Picture != nil}, {"tensor", out.Tensor != nil}} {
		if a.is {
			set = append(set, a.name)
		}
	}
	if len(set) > 1 {
		c.add(at+"."+set[1], "contradicts %s: an output is one or the other", set[0])
	}
	if l := out.Labels; l != nil {
		c.labels(at+".labels", *l)
	}
	if l := out.Lab; l != nil {
		c.tags(at+".lab", reflect.ValueOf(*l))
	}
	if p := out.Picture; p != nil {
		at += ".picture"
		c.tags(at, reflect.ValueOf(*p))
		c.channels(at+".mean", p.Mean, channelsOf(p.Colour), p.Colour)
		c.channels(at+".scale", p.Scale, channelsOf(p.Colour), p.Colour)
		c.noZero(at+".scale", p.Scale)
	}
}

func (c *checker) labels(at string, l Labels) {
	c.tags(at, reflect.ValueOf(l))
	switch {
	case l.File == "" && len(l.Names) == 0:
		c.add(at, "needs file or names")
	case l.File != "" && len(l.Names) > 0:
		c.add(at+".names", "contradicts file: give one or the other")
	}
	for i, n := range l.Names {
		if strings.TrimSpace(n) == "" {
			c.add(fmt.Sprintf("%s.names[%d]", at, i), "is empty")
		}
	}
	if l.Unsure != "" && l.Threshold == 0 {
		c.add(at+".unsure", "has no effect without threshold")
	}
}

// lab checks that there is one picture whose lightness the planes can join.
func (c *checker) lab(at string, in []Input) {
	n := 0
	for i, v := range in {
		if v.Picture == nil {
			continue
		}
		n++
		if v.Picture.Resize != "" && v.Picture.Resize != resizeStretch {
			c.add(fmt.Sprintf("input[%d].picture.resize", i), "must be stretch where an output is lab: the planes cover the whole picture")
		}
	}
	if n != 1 {
		c.add(at, "needs exactly one picture input, and there are %d", n)
	}
}

func (c *checker) channels(field string, v []float64, channels int, colour string) {
	if colour == "" {
		colour = "rgb"
	}
	if len(v) > 1 && len(v) != channels {
		c.add(field, "has %d numbers: give one, or %d for the colour %s", len(v), channels, colour)
	}
	for i, x := range v {
		if math.IsNaN(x) || math.IsInf(x, 0) {
			c.add(fmt.Sprintf("%s[%d]", field, i), "is no finite number")
		}
	}
}

func (c *checker) noZero(field string, v []float64) {
	for i, x := range v {
		if x == 0 {
			c.add(fmt.Sprintf("%s[%d]", field, i), "must not be 0")
		}
	}
}

// tags checks the fields of a struct against their enum, min and max.
func (c *checker) tags(at string, v reflect.Value) {
	for i := range v.NumField() {
		f, val := v.Type().Field(i), v.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		field := at + "." + name
		if enum := f.Tag.Get("enum"); enum != "" {
			words := strings.Split(enum, "|")
			if s := val.String(); s != "" && !slices.Contains(words, s) {
				c.add(field, "%.40q is not known: write %s", s, orList(words))
			}
		}
		minTag, maxTag := f.Tag.Get("min"), f.Tag.Get("max")
		if minTag == "" {
			continue
		}
		var x float64
		if val.CanInt() {
			x = float64(val.Int())
		} else {
			x = val.Float()
		}
		low, _ := strconv.ParseFloat(minTag, 64)
		high, _ := strconv.ParseFloat(maxTag, 64)
		if !(x >= low && x <= high) {
			c.add(field, "%v is out of range: %s to %s", val.Interface(), minTag, maxTag)
		}
	}
}

// orList writes words as in "a, b or c".
func orList(words []string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	return strings.Join(words[:len(words)-1], ", ") + " or " + words[len(words)-1]
}

// The words of the specifications that code asks for.
const (
	colourBGR     = "bgr"
	colourGrey    = "grey"
	colourLabL    = "lab-l"
	resizeStretch = "stretch"
	resizeFit     = "fit"
	resizeCover   = "cover"
	layoutNHWC    = "nhwc"
	formatJPEG    = "jpeg"
)

func channelsOf(colour string) int {
	if colour == colourGrey || colour == colourLabL {
		return 1
	}
	return 3
}
