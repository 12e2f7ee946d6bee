package importer

import (
	"slices"
	"strings"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/manifest"
)

// Options steer an import.
type Options struct {
	Files   []string          // which files of the source hold the model; empty: find them
	Inputs  []string          // cut the network at these tensors
	Outputs []string          // and at these
	Blobs   map[string]string // Caffe: "layer.index" to a .npy of the source
	// Shapes are those of inputs whose shape is not in the file; -1 is free.
	Shapes map[string][]int64
	// Signature names one of several that a SavedModel has; "" takes the one
	// for serving.
	Signature string
	// Training keeps a network that was saved in training mode so, where the
	// framework then computes something else: statistics of the batch.
	Training bool
}

// OptionsOf gives the options that a manifest asks for; m may be nil.
func OptionsOf(m *manifest.Model) Options {
	if m == nil {
		return Options{}
	}
	return Options{
		Files: m.Files, Inputs: m.Inputs, Outputs: m.Outputs, Blobs: m.Blobs,
		Shapes: m.Shapes, Signature: m.Signature, Training: m.Training,
	}
}

// fits refuses options that mean nothing to a framework, since they would be
// passed over without a word.
func (o Options) fits(framework string) error {
	for _, only := range []struct {
		given bool
		field string
		means []string
	}{
		{o.Signature != "", "signature", []string{"tensorflow"}},
		{o.Training, "training", []string{"torch7", "pytorch"}},
		{len(o.Blobs) > 0, "blobs", []string{"caffe"}},
	} {
		if only.given && !slices.Contains(only.means, framework) {
			return stoa.Errorf(stoa.Invalid, "model.%s is for models of %s, and this is one of %s", only.field, strings.Join(only.means, " and "), framework)
		}
	}
	return nil
}

// Set puts the options that an import was made with into a manifest, but for the
// files, so that a push repeats it.
func (o Options) Set(m *manifest.Model) {
	m.Inputs, m.Outputs, m.Blobs = o.Inputs, o.Outputs, o.Blobs
	m.Shapes, m.Signature, m.Training = o.Shapes, o.Signature, o.Training
}
