package keras

import (
	"bytes"
	"encoding/json"
	"strings"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/format/hdf5"
	"github.com/stoa-project/stoa/internal/format/zip"
	"github.com/stoa-project/stoa/internal/importer"
)

// What a file can be.
const (
	formNone    = ""
	formPlan    = "Keras JSON"
	formWeights = "weights"
	formWhole   = "Keras HDF5"
	formArchive = "Keras archive"
)

// The names within a .keras archive.
const (
	archivePlan    = "config.json"
	archiveMeta    = "metadata.json"
	archiveWeights = "model.weights.h5"
)

// sight says what a file is, by its content.
func sight(data []byte) string {
	switch {
	case hdf5.Is(data):
		return sightHDF5(data)
	case zip.Is(data):
		if a, err := zip.Open(data); err == nil && a.Find(archivePlan) != nil && (a.Find(archiveWeights) != nil || a.Find(archiveMeta) != nil) {
			return formArchive
		}
	case bytes.HasPrefix(bytes.TrimLeft(data[:min(len(data), 64)], " \t\r\n"), []byte("{")):
		// Two words that every architecture has save the reading of others.
		if !bytes.Contains(data, []byte(`"class_name"`)) || !bytes.Contains(data, []byte(`"config"`)) {
			return formNone
		}
		plan, err := decode(data)
		if err == nil && plan.text("class_name") != "" && plan["config"] != nil {
			return formPlan
		}
	}
	return formNone
}

func sightHDF5(data []byte) string {
	f, err := hdf5.Open(data)
	if err != nil {
		return formNone
	}
	root, err := f.Root()
	if err != nil {
		return formNone
	}
	if _, ok, err := root.Attr("model_config"); err == nil && ok {
		return formWhole
	}
	if _, ok, err := root.List("layer_names"); err == nil && ok {
		return formWeights
	}
	names, err := root.Names()
	if err != nil {
		return formNone
	}
	for _, n := range names {
		if n == "layers" || strings.HasPrefix(n, dependencies) || n == "_functional" {
			return formWeights
		}
	}
	return formNone
}

// source is what the files hold: an architecture, and where its weights lie.
type source struct {
	file    string // the one that has the architecture
	plan    config
	version string // of Keras, "" where the files do not say
	theano  bool   // the backend whose convolutions turn their kernels
	legacy  *hdf5.Object
	store   *hdf5.Object // of the form that .keras archives have

	kinds       map[string]*kind
	activations map[string]activation
}

// era gives Keras's first number: by its version, or by how the architecture is
// written.
func (s *source) era() int {
	switch {
	case strings.HasPrefix(s.version, "1."):
		return 1
	case strings.HasPrefix(s.version, "2."):
		return 2
	case s.version != "":
		return 3
	case s.plan["module"] != nil:
		return 3
	}
	return 2
}

func (s *source) format(form string) string {
	if s.version != "" {
		form += ", of Keras " + s.version[:min(len(s.version), 20)]
	}
	return form
}

func open(job importer.Job) (*source, error) {
	names := job.Candidate.Files
	var datas [][]byte
	for _, n := range names {
		f, err := job.Source.Open(n)
		if err != nil {
			return nil, err
		}
		data, err := f.Data()
		if err != nil {
			return nil, err
		}
		datas = append(datas, data)
	}
	s := &source{file: names[0], kinds: allKinds(), activations: activations()}
	switch {
	case len(names) == 2:
		return s, s.openPair(names[1], datas[0], datas[1])
	case zip.Is(datas[0]):
		return s, s.openArchive(datas[0])
	}
	return s, s.openWhole(datas[0])
}

func (s *source) openWhole(data []byte) error {
	root, err := s.hdf5(s.file, data)
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
		return stoa.Errorf(stoa.Invalid, "%s: it has an architecture and no weights: save the whole model with model.save()", s.file)
	}
	s.legacy = group
	return nil
}

// origin reads which Keras wrote a file, on which backend.
func (s *source) origin(root *hdf5.Object) error {
	version, err := root.Text("keras_version")
	if err != nil {
		return s.at(err)
	}
	backend, err := root.Text("backend")
	if err != nil {
		return s.at(err)
	}
	if version != "" {
		s.version = version
	}
	if backend != "" {
		s.theano = backend == "theano"
	}
	return nil
}

func (s *source) openPair(weights string, plan, data []byte) error {
	if err := s.setPlan(plan); err != nil {
		return err
	}
	root, err := s.hdf5(weights, data)
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

func (s *source) openArchive(data []byte) error {
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
			return stoa.Errorf(stoa.Invalid, "%s: %s: %s", s.file, archiveMeta, stoa.AsError(err).Msg)
		}
		s.version = meta.text("keras_version")
	}
	w := a.Find(archiveWeights)
	if w == nil {
		return stoa.Errorf(stoa.Unsupported, "%s: it has no %s; weights in several parts are not supported: save the model without max_shard_size", s.file, archiveWeights)
	}
	body, err := w.Data()
	if err != nil {
		return s.at(err)
	}
	s.store, err = s.hdf5(s.file+": "+archiveWeights, body)
	return err
}

func (s *source) setPlan(text []byte) error {
	plan, err := decode(text)
	if err != nil {
		return stoa.Errorf(stoa.Invalid, "%s: its architecture: %s", s.file, stoa.AsError(err).Msg)
	}
	s.plan = plan
	if v := plan.text("keras_version"); v != "" {
		s.version = v
	}
	s.theano = plan.text("backend") == "theano"
	return nil
}

func (s *source) hdf5(name string, data []byte) (*hdf5.Object, error) {
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
func (s *source) at(err error) error {
	return stoa.Wrap(stoa.KindOf(err), err, "%s: %s", s.file, stoa.AsError(err).Msg)
}

// decode reads JSON as Python writes it, where numbers may be NaN or Infinity:
// those become texts.
func decode(text []byte) (config, error) {
	var c config
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
