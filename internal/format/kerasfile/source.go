// Package kerasfile reads the files of Keras 1, 2 and 3: whole models in HDF5,
// .keras archives, and an architecture in JSON beside its weights. It gives
// layers, their settings, how they call each other, and their weights as views of
// the file where it can; it does not know what layers compute. Nothing that a
// file holds is run.
package kerasfile

import (
	"bytes"
	"encoding/json"
	"strings"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/format/hdf5"
	"github.com/stoa-project/stoa/internal/format/zip"
)

// What a file can be, as Sight says.
const (
	None       = ""
	Plan       = "Keras JSON"
	Weights    = "weights"
	WholeModel = "Keras HDF5"
	Archive    = "Keras archive"
)

// The names within a .keras archive.
const (
	archivePlan    = "config.json"
	archiveMeta    = "metadata.json"
	archiveWeights = "model.weights.h5"
)

// Sight says what a file is, by its content.
func Sight(data []byte) string {
	switch {
	case hdf5.Is(data):
		return sightHDF5(data)
	case zip.Is(data):
		if a, err := zip.Open(data); err == nil && a.Find(archivePlan) != nil && (a.Find(archiveWeights) != nil || a.Find(archiveMeta) != nil) {
			return Archive
		}
	case bytes.HasPrefix(bytes.TrimLeft(data[:min(len(data), 64)], " \t\r\n"), []byte("{")):
		// Two words that every architecture has save the reading of others.
		if !bytes.Contains(data, []byte(`"class_name"`)) || !bytes.Contains(data, []byte(`"config"`)) {
			return None
		}
		plan, err := decode(data)
		if err == nil && plan.Text("class_name") != "" && plan["config"] != nil {
			return Plan
		}
	}
	return None
}

func sightHDF5(data []byte) string {
	f, err := hdf5.Open(data)
	if err != nil {
		return None
	}
	root, err := f.Root()
	if err != nil {
		return None
	}
	if _, ok, err := root.Attr("model_config"); err == nil && ok {
		return WholeModel
	}
	if _, ok, err := root.List("layer_names"); err == nil && ok {
		return Weights
	}
	names, err := root.Names()
	if err != nil {
		return None
	}
	for _, n := range names {
		if n == "layers" || strings.HasPrefix(n, dependencies) || n == "_functional" {
			return Weights
		}
	}
	return None
}

// Source is what the files hold: an architecture, and where its weights lie.
type Source struct {
	File    string // the one that has the architecture
	Plan    Config
	Version string // of Keras, "" where the files do not say
	Backend string // such as "theano", "" where the files do not say
	legacy  *hdf5.Object
	store   *hdf5.Object // of the form that .keras archives have

	size    int64 // of all files
	classes Classes
}

// Classes says what a reader knows of layers.
type Classes struct {
	// Known tells whether a class, or a function of keras.ops behind "ops.", is
	// known by that name.
	Known func(kind string) bool
	// Slots gives the names of a layer's own weights in Keras's order. Those that
	// training does not change begin with "~"; those of an object within the layer
	// have its name and a slash before their own.
	Slots func(l *Layer) []string
}

// File is a file of a model.
type File struct {
	Name string
	Data []byte
}

// Era gives Keras's first number: by its version, or by how the architecture is
// written.
func (s *Source) Era() int {
	switch {
	case strings.HasPrefix(s.Version, "1."):
		return 1
	case strings.HasPrefix(s.Version, "2."):
		return 2
	case s.Version != "":
		return 3
	case s.Plan["module"] != nil:
		return 3
	}
	return 2
}

// Format adds the version of Keras to the name of a form.
func (s *Source) Format(form string) string {
	if s.Version != "" {
		form += ", of Keras " + s.Version[:min(len(s.Version), 20)]
	}
	return form
}

// Open reads a whole model, an archive, or an architecture and its weights.
func Open(classes Classes, files ...File) (*Source, error) {
	if len(files) == 0 {
		return nil, stoa.Errorf(stoa.Internal, "a model of Keras without files")
	}
	s := &Source{File: files[0].Name, classes: classes}
	for _, f := range files {
		s.size += int64(len(f.Data))
	}
	switch {
	case len(files) == 2:
		return s, s.openPair(files[1], files[0].Data)
	case zip.Is(files[0].Data):
		return s, s.openArchive(files[0].Data)
	}
	return s, s.openWhole(files[0].Data)
}

func (s *Source) openWhole(data []byte) error {
	root, err := s.hdf5(s.File, data)
	if err != nil {
		return err
	}
	text, err := root.Text("model_config")
	if err != nil {
		return s.at(err)
	}
	if err := s.setPlan([]byte(text)); err != nil {
		return err
	}
	if err := s.origin(root); err != nil {
		return err
	}
	group, err := root.Member("model_weights")
	if err != nil {
		return s.at(err)
	}
	if group == nil {
		return stoa.Errorf(stoa.Invalid, "%s: it has an architecture and no weights: save the whole model with model.save()", s.File)
	}
	s.legacy = group
	return nil
}

// origin reads which Keras wrote a file, on which backend.
func (s *Source) origin(root *hdf5.Object) error {
	version, err := root.Text("keras_version")
	if err != nil {
		return s.at(err)
	}
	backend, err := root.Text("backend")
	if err != nil {
		return s.at(err)
	}
	if version != "" {
		s.Version = version
	}
	if backend != "" {
		s.Backend = backend
	}
	return nil
}

func (s *Source) openPair(weights File, plan []byte) error {
	if err := s.setPlan(plan); err != nil {
		return err
	}
	root, err := s.hdf5(weights.Name, weights.Data)
	if err != nil {
		return err
	}
	if _, ok, err := root.List("layer_names"); err != nil {
		return s.at(err)
	} else if !ok {
		s.store = root
		return nil
	}
	s.legacy = root
	return s.origin(root)
}

func (s *Source) openArchive(data []byte) error {
	a, err := zip.Open(data)
	if err != nil {
		return s.at(err)
	}
	plan, err := a.Find(archivePlan).Data()
	if err != nil {
		return s.at(err)
	}
	if err := s.setPlan(plan); err != nil {
		return err
	}
	if m := a.Find(archiveMeta); m != nil {
		text, err := m.Data()
		if err != nil {
			return s.at(err)
		}
		meta, err := decode(text)
		if err != nil {
			return stoa.Errorf(stoa.Invalid, "%s: %s: %s", s.File, archiveMeta, stoa.AsError(err).Msg)
		}
		s.Version = meta.Text("keras_version")
	}
	w := a.Find(archiveWeights)
	if w == nil {
		return stoa.Errorf(stoa.Unsupported, "%s: it has no %s; weights in several parts are not supported: save the model without max_shard_size", s.File, archiveWeights)
	}
	body, err := w.Data()
	if err != nil {
		return s.at(err)
	}
	s.store, err = s.hdf5(s.File+": "+archiveWeights, body)
	return err
}

func (s *Source) setPlan(text []byte) error {
	plan, err := decode(text)
	if err != nil {
		return stoa.Errorf(stoa.Invalid, "%s: its architecture: %s", s.File, stoa.AsError(err).Msg)
	}
	s.Plan = plan
	if v := plan.Text("keras_version"); v != "" {
		s.Version = v
	}
	s.Backend = plan.Text("backend")
	return nil
}

func (s *Source) hdf5(name string, data []byte) (*hdf5.Object, error) {
	f, err := hdf5.Open(data)
	if err != nil {
		return nil, stoa.Wrap(stoa.KindOf(err), err, "%s: %s", name, stoa.AsError(err).Msg)
	}
	root, err := f.Root()
	if err != nil {
		return nil, stoa.Wrap(stoa.KindOf(err), err, "%s: %s", name, stoa.AsError(err).Msg)
	}
	return root, nil
}

// at says in which file an error stands.
func (s *Source) at(err error) error {
	return stoa.Wrap(stoa.KindOf(err), err, "%s: %s", s.File, stoa.AsError(err).Msg)
}

// decode reads JSON as Python writes it, where numbers may be NaN or Infinity:
// those become texts.
func decode(text []byte) (Config, error) {
	var c Config
	err := json.Unmarshal(text, &c)
	if err != nil && (bytes.Contains(text, []byte("NaN")) || bytes.Contains(text, []byte("Infinity"))) {
		c = nil
		err = json.Unmarshal(quoted(text), &c)
	}
	if err != nil {
		return nil, stoa.Errorf(stoa.Invalid, "it is no JSON: %.200s", err.Error())
	}
	return c, nil
}

// quoted puts quotes around NaN, Infinity and -Infinity where they are no part
// of a text.
func quoted(text []byte) []byte {
	out := make([]byte, 0, len(text)+64)
	inside := false
	for i := 0; i < len(text); i++ {
		ch := text[i]
		switch {
		case inside && ch == '\\' && i+1 < len(text):
			out = append(out, ch)
			i++
			ch = text[i]
		case ch == '"':
			inside = !inside
		case !inside:
			word := ""
			for _, w := range []string{"NaN", "Infinity", "-Infinity"} {
				if bytes.HasPrefix(text[i:], []byte(w)) {
					word = w
				}
			}
			if word != "" {
				out = append(append(append(out, '"'), word...), '"')
				i += len(word) - 1
				continue
			}
		}
		out = append(out, ch)
	}
	return out
}
