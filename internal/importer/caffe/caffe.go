// Package caffe reads networks of Caffe: the description in text (.prototxt) or
// in the binary form, of both encodings that Caffe has had, and the weights that
// belong to it (.caffemodel, or .caffemodel.h5 in HDF5). It makes what Caffe
// itself computes when it runs a network, its habits of rounding included.
package caffe

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/format/hdf5"
	"github.com/stoa-project/stoa/internal/format/npy"
	"github.com/stoa-project/stoa/internal/importer"
	"github.com/stoa-project/stoa/internal/onnx"
	"github.com/stoa-project/stoa/internal/tensor"
)

// Plug reads networks of Caffe.
type Plug struct{}

var _ importer.Plug = Plug{}

// Framework gives "caffe".
func (Plug) Framework() string { return "caffe" }

// Operators gives the types of layers, as Caffe writes them.
func (Plug) Operators() []string { return slices.Sorted(maps.Keys(layerTypes)) }

// sighting is what Find sees in a file.
type sighting struct {
	file     string
	deploy   bool   // a description that names its inputs
	trainVal bool   // a description that reads pictures from a disk
	err      error  // a description that does not parse
	form     string // of weights
	whole    bool   // weights that hold the description too
}

// Find pairs descriptions with weights. Where a folder has both the description
// for training and the one for deployment, the latter is taken.
func (Plug) Find(files []*importer.File) []importer.Candidate {
	var texts, binaries []sighting
	for _, f := range files {
		data, err := f.Data()
		if err != nil {
			continue
		}
		switch {
		case isHDF5Weights(data):
			binaries = append(binaries, sighting{file: f.Name, form: "HDF5"})
		case looksLikeText(data):
			if s, ok := sightText(f.Name, data); ok {
				texts = append(texts, s)
			}
		default:
			if s, ok := sightBinary(f.Name, data); ok {
				binaries = append(binaries, s)
			}
		}
	}
	if slices.ContainsFunc(texts, func(s sighting) bool { return s.err == nil }) {
		texts = slices.DeleteFunc(texts, func(s sighting) bool { return s.err != nil })
	}
	if slices.ContainsFunc(texts, func(s sighting) bool { return s.deploy }) {
		texts = slices.DeleteFunc(texts, func(s sighting) bool { return s.trainVal && !s.deploy })
	}
	return candidates(texts, binaries)
}

// maxPairs bounds the candidates, of which only one is ever taken.
const maxPairs = 50

func candidates(texts, binaries []sighting) []importer.Candidate {
	var out []importer.Candidate
	for _, t := range texts {
		for _, b := range binaries {
			if len(out) < maxPairs {
				out = append(out, importer.Candidate{Files: []string{t.file, b.file}, Format: "Caffe " + b.form + ", prototxt", Err: t.err})
			}
		}
		if len(binaries) > 0 || len(out) >= maxPairs {
			continue
		}
		out = append(out, importer.Candidate{Files: []string{t.file}, Format: "Caffe prototxt", Err: t.err})
	}
	if slices.ContainsFunc(out, func(c importer.Candidate) bool { return c.Err == nil }) {
		return out
	}
	for _, b := range binaries[:min(len(binaries), maxPairs)] {
		c := importer.Candidate{Files: []string{b.file}, Format: "Caffe binary"}
		if !b.whole {
			c.Err = stoa.Errorf(stoa.Invalid, "%s holds weights of Caffe: add the description of the network, its deploy .prototxt", b.file)
		}
		out = append(out, c)
	}
	return out
}

func looksLikeText(data []byte) bool {
	head := data[:min(len(data), 4096)]
	if len(head) == 0 || bytes.IndexByte(head, 0) >= 0 {
		return false
	}
	// Caffe's texts are ASCII but for comments, and a cut may split a letter.
	return utf8.Valid(head[:len(head)-min(len(head), 3)]) || bytes.Contains(head, []byte("layer"))
}

// meantAsText finds the beginning of a layer at the beginning of a line, which
// programs and pages about networks do not have.
var meantAsText = regexp.MustCompile(`(?m)^\s*layers?\s*:?\s*\{\s*((name|type|bottom|top)\s*:|$|#|layer\s*\{)`)

// beginsLayer is what only a description has, however early it breaks off.
var beginsLayer = regexp.MustCompile(`\blayers?\s*:?\s*\{`)

// sightText recognises a description by its fields. One that does not parse
// counts where it surely was meant to be one.
func sightText(name string, data []byte) (sighting, bool) {
	s := sighting{file: name}
	m, err := parseText(name, data)
	if err != nil {
		s.err = err
		data := data[:min(len(data), maxText)]
		meant := meantAsText.Match(data) || beginsLayer.Match(data)
		return s, meant && !bytes.HasPrefix(bytes.TrimSpace(data), []byte("<"))
	}
	layers := append(m.all("layer"), m.all("layers")...)
	if len(layers) == 0 || !slices.ContainsFunc(layers, func(e *entry) bool { return e.sub.has("type") || e.sub.has("layer") }) {
		return s, false
	}
	s.deploy = m.has("input")
	for _, l := range layers {
		switch typ := v1Word(l.sub.str("type", "")); {
		case typ == "Input":
			s.deploy = true
		case dataLayers[typ]:
			s.trainVal = true
		}
	}
	return s, true
}

// sightBinary recognises weights by their first fields, for the rest may be cut
// off: names, inputs, then layers that have a name and a type.
func sightBinary(name string, data []byte) (sighting, bool) {
	s := sighting{file: name}
	inputs := false
	for range 256 {
		num, typ, n := protowire.ConsumeTag(data)
		if n < 0 || typ == protowire.StartGroupType || typ == protowire.EndGroupType {
			return s, false
		}
		if (num == 2 || num == 100) && typ == protowire.BytesType {
			at := v2Fields
			if s.form = "V2 binary"; num == 2 {
				at, s.form = v1Fields, "V1 binary"
			}
			length, m := protowire.ConsumeVarint(data[n:])
			if m < 0 {
				return s, false
			}
			body := data[n+m:]
			body = body[:min(uint64(len(body)), length)]
			wired, ok := sightLayer(body, at)
			s.whole = wired || inputs
			return s, ok
		}
		if num > 8 || typ == protowire.BytesType && num != 1 && num != 3 && num != 4 && num != 6 && num != 8 {
			return s, false
		}
		inputs = inputs || num == 3
		m := protowire.ConsumeFieldValue(num, typ, data[n:])
		if m < 0 {
			return s, false
		}
		data = data[n+m:]
	}
	return s, false
}

// sightLayer tells whether the first fields are those of a layer, and whether
// they say where its input comes from or goes to.
func sightLayer(data []byte, at layerFields) (wired, ok bool) {
	named, typed := false, false
	for range 64 {
		num, typ, n := protowire.ConsumeTag(data)
		if n < 0 {
			break
		}
		named = named || num == at.name && typ == protowire.BytesType
		typed = typed || num == at.typ && typ == at.typeKind
		wired = wired || num == at.top && typ == protowire.BytesType
		m := protowire.ConsumeFieldValue(num, typ, data[n:])
		if m < 0 {
			break
		}
		data = data[n+m:]
	}
	return wired, named && typed
}

// Import reads a description and the weights that go with it.
func (Plug) Import(ctx context.Context, job importer.Job) (*importer.Network, error) {
	files := job.Candidate.Files
	out := &importer.Network{Files: slices.Clone(files), Format: job.Candidate.Format, Fold: true, Bind: map[string]int64{}}
	desc, w, err := read(job)
	if err != nil {
		return nil, err
	}
	n, err := describe(desc)
	if err != nil {
		return nil, alone(desc, err)
	}
	out.Layers = n.source
	if out.Unsupported = unsupported(n); len(out.Unsupported) > 0 {
		out.Notes = n.notes
		return out, nil
	}
	if err := ctx.Err(); err != nil {
		return nil, stoa.AsError(err)
	}
	if err := n.sizes(w); err != nil {
		return nil, err
	}
	out.Notes = n.notes
	extra, err := extraBlobs(job, n, out)
	if err != nil {
		return nil, err
	}
	c, err := convert(n, w, extra)
	if err != nil && stoa.KindOf(err) == stoa.Unsupported {
		out.Unsupported = []string{strings.TrimPrefix(stoa.AsError(err).Msg, desc.doc.file+": ")}
		return out, nil
	}
	if err != nil {
		return nil, alone(desc, err)
	}
	c.finish(out, desc)
	return out, nil
}

// read reads the files of a candidate: a text and perhaps weights, or weights
// that hold the description too.
func read(job importer.Job) (*message, *weights, error) {
	files := job.Candidate.Files
	first, err := open(job.Source, files[0])
	if err != nil {
		return nil, nil, err
	}
	if !looksLikeText(first) {
		desc, err := parseBinary(files[0], first)
		if err != nil {
			return nil, nil, err
		}
		desc.doc.binary = true
		w, err := readWeights(files[0], first)
		return desc, w, err
	}
	desc, err := parseText(files[0], first)
	if err != nil || len(files) == 1 {
		return desc, nil, err
	}
	second, err := open(job.Source, files[1])
	if err != nil {
		return nil, nil, err
	}
	if hdf5.Is(second) {
		w, err := readHDF5(files[1], second)
		return desc, w, err
	}
	w, err := readWeights(files[1], second)
	return desc, w, err
}

// alone says what to do where weights that came without a description turned
// out to hold none that is good for running the network.
func alone(desc *message, err error) error {
	if !desc.doc.binary {
		return err
	}
	e := stoa.AsError(err)
	return stoa.Wrap(e.Kind, err, "%s holds weights of Caffe, and what it says of the network is not enough to run it: add the deploy .prototxt (%s)",
		desc.doc.file, strings.TrimPrefix(e.Msg, desc.doc.file+": "))
}

func open(s *importer.Source, name string) ([]byte, error) {
	f, err := s.Open(name)
	if err != nil {
		return nil, err
	}
	return f.Data()
}

// unsupported lists the layers that nothing can be made of.
func unsupported(n *net) []string {
	var out []string
	for _, l := range n.layers {
		if _, ok := layerTypes[l.typ]; !ok {
			out = append(out, l.at())
		}
	}
	return out
}

// extraBlobs reads the arrays that the caller gives for layers, as the programs
// around some networks do: the colours of the famous colorization network come
// from a file of their own.
func extraBlobs(job importer.Job, n *net, out *importer.Network) (map[string]blob, error) {
	extra := map[string]blob{}
	for key, file := range job.Options.Blobs {
		dot := strings.LastIndexByte(key, '.')
		index, err := strconv.Atoi(key[dot+1:])
		if dot < 1 || err != nil || index < 0 || index > 7 {
			return nil, stoa.Errorf(stoa.Invalid, "blob %q: write the name of a layer, a dot, and which of its arrays, from 0 on", key)
		}
		if !slices.ContainsFunc(n.layers, func(l *layer) bool { return l.name == key[:dot] }) {
			return nil, stoa.Errorf(stoa.Invalid, "blob %q: the network has no layer %q", key, key[:dot])
		}
		data, err := open(job.Source, file)
		if err != nil {
			return nil, err
		}
		t, err := npy.Parse(data)
		if err != nil {
			return nil, stoa.Wrap(stoa.KindOf(err), err, "blob %q: %s: %s", key, file, stoa.AsError(err).Msg)
		}
		if t.DType != tensor.Float32 {
			f := onnx.NewTensor("", t).Floats()
			if f == nil {
				return nil, stoa.Errorf(stoa.Unsupported, "blob %q: %s holds %s", key, file, t.DType)
			}
			t = tensor.Of(f, t.Shape...)
		}
		extra[key] = blob{shape: t.Shape, data: t.Data, given: true}
		out.Notes = append(out.Notes, fmt.Sprintf("array %s was taken from %s", key, file))
		out.Files = append(out.Files, file)
	}
	return extra, nil
}

// sizes finds the size of inputs that a data layer brings in: the crop that it
// makes, and as many channels as the first convolution takes.
func (n *net) sizes(w *weights) error {
	for i := range n.inputs {
		in := &n.inputs[i]
		if in.shape != nil || in.from == nil {
			continue
		}
		crop := in.from.msg.sub("transform_param").int("crop_size", in.from.msg.sub("data_param").int("crop_size", 0))
		channels := int64(0)
		for _, l := range n.layers {
			if l.typ == "Convolution" && slices.Contains(l.bottoms, in.name) && w != nil && len(w.layers[l.name]) > 0 {
				if s := w.layers[l.name][0].shape; len(s) == 4 {
					channels = s[1] * l.msg.sub("convolution_param").int("group", 1)
				}
				break
			}
		}
		if crop > 0 && channels > 0 {
			in.shape = []int64{1, channels, crop, crop}
			n.notes = append(n.notes, fmt.Sprintf("%s stands for the input %q of %dx%dx%d", in.from.at(), cut(in.name), channels, crop, crop))
		}
	}
	return n.doc.err
}

// finish hands over the graph, and what a person should know of it.
func (c *converter) finish(out *importer.Network, desc *message) {
	out.Model = &onnx.Model{
		IRVersion: onnx.IRVersion, Opsets: []onnx.OpsetID{{Version: onnx.Opset}}, Producer: "stoa", Graph: c.graph,
	}
	for _, l := range c.net.layers {
		for _, b := range l.blobs {
			out.Parameters += b.elements()
		}
	}
	// Layers without weights of their own leave some that nobody reads.
	out.Model.Graph.Prune()
	for _, in := range c.net.inputs {
		if len(in.shape) == 4 && c.dynamic&height != 0 {
			out.Bind["H"], out.Bind["W"] = in.shape[2], in.shape[3]
			out.Notes = append(out.Notes, fmt.Sprintf("height and width of the input %q may be any; the file says %dx%d", cut(in.name), in.shape[2], in.shape[3]))
		}
	}
	if c.dynamic&batch == 0 {
		out.Notes = append(out.Notes, "the network is for one number of items only, the one that the file says")
	}
	out.Notes = append(out.Notes, c.notes...)
	out.Mapped = map[string][]string{}
	for layer, ops := range c.mapped {
		out.Mapped[layer] = slices.Sorted(maps.Keys(ops))
	}
	out.Notes = append(out.Notes, c.unread(desc)...)
}
