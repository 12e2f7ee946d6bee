package media

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"image"
	"image/jpeg"
	"image/png"
	"math"
	"slices"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/format/npy"
	"github.com/stoa-project/stoa/internal/tensor"
)

// jpegQuality keeps what a JPEG loses below what one sees at the usual sizes.
const jpegQuality = 92

// Encode turns the network's outputs, in the order of Graph.Outputs, into the
// answer: where one output is wanted, its adapter's value; where several are,
// a JSON object (pictures as base64) or, for a call that came as npy and wants
// arrays only, an npz.
func (a *Adapter) Encode(it Item, outputs []tensor.Tensor) (stoa.Value, error) {
	if len(outputs) != a.given {
		return stoa.Value{}, stoa.Errorf(stoa.Internal, "the network gave %d outputs, not %d", len(outputs), a.given)
	}
	if len(a.outputs) == 1 {
		return a.outputs[0].encode(it, outputs[a.outputs[0].index])
	}
	if it.npy && !slices.ContainsFunc(a.outputs, func(o outputPlan) bool { return !o.isTensor() }) {
		names := make([]string, len(a.outputs))
		ts := make([]tensor.Tensor, len(a.outputs))
		for i, o := range a.outputs {
			names[i], ts[i] = o.spec.Name, outputs[o.index]
		}
		data, err := npy.AppendNpz(nil, names, ts)
		return stoa.Value{Type: stoa.Binary, Data: data, MediaType: stoa.NpzMediaType}, err
	}
	it.npy = false
	dst := []byte{'{'}
	for i, o := range a.outputs {
		v, err := o.encode(it, outputs[o.index])
		if err != nil {
			return stoa.Value{}, err
		}
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(appendString(dst, o.spec.Name), ':')
		if v.Type == stoa.Binary {
			dst = append(dst, '"')
			dst = base64.StdEncoding.AppendEncode(dst, v.Data)
			dst = append(dst, '"')
		} else {
			dst = append(dst, v.Data...)
		}
	}
	return stoa.Value{Type: stoa.JSON, Data: append(dst, '}')}, nil
}

func (o outputPlan) isTensor() bool { return o.labels == nil && o.lab == nil && o.paint == nil }

func (o outputPlan) encode(it Item, t tensor.Tensor) (stoa.Value, error) {
	var v stoa.Value
	var err error
	switch {
	case o.labels != nil:
		v, err = o.labels.encode(t)
	case o.lab != nil:
		v, err = o.lab.encode(it.picture, t)
	case o.paint != nil:
		v, err = o.paint.encode(t)
	case t.DType.Size() == 0:
		err = stoa.Errorf(stoa.Unsupported, "is an array of %s, which has no answer's form", t.DType)
	case it.npy:
		v = stoa.Value{Type: stoa.Binary, Data: npy.Append(nil, t), MediaType: stoa.NpyMediaType}
	default:
		v = stoa.Value{Type: stoa.JSON, Data: tensor.AppendJSON(nil, t)}
	}
	if err != nil {
		e := *stoa.AsError(err)
		e.Msg = fmt.Sprintf("output %q %s", o.spec.Name, e.Msg)
		return stoa.Value{}, &e
	}
	return v, nil
}

type labelsPlan struct {
	names     []string
	top       int
	threshold float64
	unsure    string
	softmax   bool
}

func (l *labelsPlan) encode(t tensor.Tensor) (stoa.Value, error) {
	scores, ok := floatsOf[float32](t)
	n := len(l.names)
	if !ok || len(scores) == 0 || len(scores)%n != 0 {
		return stoa.Value{}, stoa.Errorf(stoa.Failed, "is %s %s, which is no %d scores", tensor.ShapeString(t.Shape), t.DType, n)
	}
	if len(scores) == n {
		dst, err := l.append(nil, scores)
		return stoa.Value{Type: stoa.JSON, Data: dst}, err
	}
	dst := []byte{'['}
	for i := 0; i < len(scores); i += n {
		if i > 0 {
			dst = append(dst, ',')
		}
		var err error
		if dst, err = l.append(dst, scores[i:i+n]); err != nil {
			return stoa.Value{}, err
		}
	}
	return stoa.Value{Type: stoa.JSON, Data: append(dst, ']')}, nil
}

func (l *labelsPlan) append(dst []byte, scores []float32) ([]byte, error) {
	if l.softmax {
		scores = softmax(scores)
	}
	for _, s := range scores {
		if math.IsNaN(float64(s)) || math.IsInf(float64(s), 0) {
			return nil, stoa.Errorf(stoa.Failed, "holds %v where a score should be", s)
		}
	}
	best := l.best(scores)
	label := l.names[best[0]]
	if float64(scores[best[0]]) < l.threshold {
		label = l.unsure
	}
	dst = append(dst, `{"label":`...)
	dst = appendString(dst, label)
	dst = append(dst, `,"score":`...)
	dst = tensor.AppendFloat(dst, float64(scores[best[0]]), 32)
	dst = append(dst, `,"labels":[`...)
	for i, k := range best {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, `{"label":`...)
		dst = appendString(dst, l.names[k])
		dst = append(dst, `,"score":`...)
		dst = tensor.AppendFloat(dst, float64(scores[k]), 32)
		dst = append(dst, '}')
	}
	return append(dst, "]}"...), nil
}

// best gives the places of the highest scores, best first; of equal ones, the
// first comes first.
func (l *labelsPlan) best(scores []float32) []int {
	order := make([]int, len(scores))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(scores[b], scores[a]) })
	return order[:l.top]
}

func softmax(logits []float32) []float32 {
	top := float64(slices.Max(logits))
	out := make([]float32, len(logits))
	var sum float64
	for _, v := range logits {
		sum += math.Exp(float64(v) - top)
	}
	for i, v := range logits {
		out[i] = float32(math.Exp(float64(v)-top) / sum)
	}
	return out
}

// appendString appends a JSON string.
func appendString(dst []byte, s string) []byte {
	plain := true
	for i := range len(s) {
		if c := s[i]; c < ' ' || c == '"' || c == '\\' || c >= 0x7f {
			plain = false
		}
	}
	if plain {
		return append(append(append(dst, '"'), s...), '"')
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if enc.Encode(s) != nil { //nolint:errchkjson // it is looked at
		return append(dst, `""`...)
	}
	return append(dst, bytes.TrimRight(b.Bytes(), "\n")...)
}

type labPlan struct {
	format    string
	lightness *lightnessTables
	gamma     *gammaTable
}

// encode joins the picture's L with the network's a and b, which bicubic
// resampling brings to the picture's size.
func (l *labPlan) encode(m *bitmap, t tensor.Tensor) (stoa.Value, error) {
	shape := t.Shape
	if len(shape) == 4 && shape[0] == 1 {
		shape = shape[1:]
	}
	values, ok := floatsOf[float32](t)
	if !ok || len(shape) != 3 || shape[0] != 2 || len(values) == 0 {
		return stoa.Value{}, stoa.Errorf(stoa.Failed, "is %s %s, which is no a and b plane", tensor.ShapeString(t.Shape), t.DType)
	}
	if m == nil {
		return stoa.Value{}, stoa.Errorf(stoa.Internal, "has no picture to join")
	}
	h, w := int(shape[1]), int(shape[2])
	const filter = "bicubic"
	ax := newAxis(filter, whole(w), m.w)
	as := plane(values[:w*h], w, h, &ax, newAxis(filter, whole(h), m.h))
	bs := plane(values[w*h:], w, h, &ax, newAxis(filter, whole(h), m.h))
	img := image.NewRGBA(image.Rect(0, 0, m.w, m.h))
	light := make([]float32, m.w)
	for y := range m.h {
		l.lightness.row(light, m.line(y), m.ch)
		ra, rb := as.row(y), bs.row(y)
		out := img.Pix[y*img.Stride : y*img.Stride+4*m.w]
		for x, v := range light {
			d := out[4*x : 4*x+4 : 4*x+4]
			d[0], d[1], d[2] = l.gamma.fromLab(v, ra[x], rb[x])
			d[3] = 255
		}
	}
	return encodePicture(img, l.format)
}

func encodePicture(img image.Image, format string) (stoa.Value, error) {
	var b bytes.Buffer
	var err error
	media := "image/png"
	if format == formatJPEG {
		media = "image/jpeg"
		err = jpeg.Encode(&b, img, &jpeg.Options{Quality: jpegQuality})
	} else {
		// The picture is made for one answer: time counts for more than size.
		enc := png.Encoder{CompressionLevel: png.BestSpeed}
		err = enc.Encode(&b, img)
	}
	if err != nil {
		return stoa.Value{}, stoa.Wrap(stoa.Failed, err, "is a picture that cannot be written")
	}
	return stoa.Value{Type: stoa.Binary, Data: b.Bytes(), MediaType: media}, nil
}

type paintPlan struct {
	channels    int
	bgr, nhwc   bool
	mean, scale [3]float32
	format      string
}

// size reads the shape of a picture; its error goes on after the output's name.
func (p *paintPlan) size(shape []int64) (w, h int64, err error) {
	bad := stoa.Errorf(stoa.Failed, "is %s, which is no picture of %d channels", tensor.ShapeString(shape), p.channels)
	s := shape
	if len(s) == 4 {
		if s[0] > 1 {
			return 0, 0, bad
		}
		s = s[1:]
	}
	if len(s) == 2 && p.channels == 1 {
		return s[1], s[0], nil
	}
	if len(s) != 3 {
		return 0, 0, bad
	}
	c, h, w := s[0], s[1], s[2]
	if p.nhwc {
		h, w, c = s[0], s[1], s[2]
	}
	if c >= 0 && c != int64(p.channels) {
		return 0, 0, bad
	}
	return w, h, nil
}

func (p *paintPlan) encode(t tensor.Tensor) (stoa.Value, error) {
	w64, h64, err := p.size(t.Shape)
	if err != nil {
		return stoa.Value{}, err
	}
	values, ok := floatsOf[float32](t)
	w, h := int(w64), int(h64)
	if !ok || w <= 0 || h <= 0 || len(values) != w*h*p.channels {
		return stoa.Value{}, stoa.Errorf(stoa.Failed, "is %s %s, which is no picture", tensor.ShapeString(t.Shape), t.DType)
	}
	step, plane := 1, w*h
	if p.nhwc {
		step, plane = p.channels, 1
	}
	if p.channels == 1 {
		img := image.NewGray(image.Rect(0, 0, w, h))
		for i, v := range values {
			img.Pix[i] = roundLevel(v/p.scale[0] + p.mean[0])
		}
		return encodePicture(img, p.format)
	}
	img := image.NewRGBA(image.Rect(0, 0, w, h))
	for c := range 3 {
		to := c
		if p.bgr {
			to = 2 - c
		}
		for i := range w * h {
			img.Pix[4*i+to] = roundLevel(values[c*plane+i*step]/p.scale[c] + p.mean[c])
		}
	}
	for i := 3; i < len(img.Pix); i += 4 {
		img.Pix[i] = 255
	}
	return encodePicture(img, p.format)
}
