// Package manifest reads and checks stoa.yaml, the one file that says all there
// is to say about an algorithm. Its types are nouns that rooms use. What it
// refuses it refuses by file, line, column and field, with the nearest known
// name, and all of it at once.
package manifest

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/media"
)

// FileName is the manifest's name in a bundle.
const FileName = "stoa.yaml"

// The tags doc, enum, min, max and pattern of these types are what Schema and
// the checks read; see package media for those of inputs and outputs.

// Manifest is stoa.yaml.
type Manifest struct {
	Name       string         `json:"name,omitempty" pattern:"^[A-Za-z][A-Za-z0-9_]*(/[A-Za-z][A-Za-z0-9_]*)?$" doc:"owner/name of the algorithm, or its name alone for the caller's own account."`
	Kind       string         `json:"kind" enum:"model|code" doc:"What the algorithm is: model, a trained network; code, a program in some language."`
	Tagline    string         `json:"tagline,omitempty" doc:"One line that says what it does; at most 200 characters."`
	Tags       []string       `json:"tags,omitempty" doc:"Words to find it by; at most 20."`
	Licence    string         `json:"licence,omitempty" doc:"SPDX expression such as Apache-2.0, or a sentence."`
	Visibility string         `json:"visibility,omitempty" enum:"private|public" doc:"Who may see and call it: its owner, or everybody."`
	Model      *Model         `json:"model,omitempty" doc:"The network."`
	Code       *Code          `json:"code,omitempty" doc:"The program."`
	Input      []media.Input  `json:"input,omitempty" doc:"How a call's value becomes the network's inputs. An input that is not listed takes an array."`
	Output     []media.Output `json:"output,omitempty" doc:"How the network's outputs become the answer: only those listed. Left out: all of them, as arrays."`
	Sample     *Sample        `json:"sample,omitempty" doc:"An input that works: it is shown on the page, and tried at every push."`
	Check      []Check        `json:"check,omitempty" doc:"Answers of the framework of origin, with which the imported network is compared at every push."`
	Schema     *SchemaPair    `json:"schema,omitempty" doc:"What a call and its answer look like, as JSON Schema: a call that does not fit is refused at the door."`
	Limits     *Limits        `json:"limits,omitempty" doc:"Bounds of one call, and of a replica."`
	Replicas   *Replicas      `json:"replicas,omitempty" doc:"How many processes run the code, and for how long."`
}

// Model says which files hold the network.
type Model struct {
	Files   []string          `json:"files" doc:"The files of the bundle that hold the network, such as a prototxt and a caffemodel."`
	Inputs  []string          `json:"inputs,omitempty" doc:"Cut the network so that it begins at these tensors."`
	Outputs []string          `json:"outputs,omitempty" doc:"Cut the network so that it ends at these tensors."`
	Blobs   map[string]string `json:"blobs,omitempty" doc:"Caffe: replaces a layer's weights, layer.index to an npy file of the bundle, such as class8_ab.0 to pts_in_hull.npy."`
	// Shapes and the rest are for files that leave something open.
	Shapes    map[string][]int64 `json:"shapes,omitempty" doc:"Shapes of inputs that the files do not tell, such as x: [-1, 3, 224, 224]; -1 is free."`
	Signature string             `json:"signature,omitempty" doc:"TensorFlow: which signature of a SavedModel, where it has several."`
	Training  bool               `json:"training,omitempty" doc:"Torch7 and PyTorch: a network that was saved in training mode computes as it does there, with statistics of the batch."`
}

// Code says what the program is.
type Code struct {
	Language    string      `json:"language,omitempty" doc:"python, javascript, go, or executable: any program that speaks a protocol of docs/runner-protocol.md. Left out: found out from the files."`
	Entry       string      `json:"entry,omitempty" doc:"The file, or the package of it, that holds apply; each language has a default."`
	Command     []string    `json:"command,omitempty" doc:"executable: what to start, such as [./run.sh]; a path is one of the bundle's."`
	Protocol    string      `json:"protocol,omitempty" enum:"pipe|frames" doc:"executable: the protocol that the program speaks. Default pipe."`
	Concurrency int         `json:"concurrency,omitempty" min:"1" max:"1000" doc:"How many calls one process works on at once. Default 1."`
	Ignore      []string    `json:"ignore,omitempty" doc:"Files that do not belong into the bundle, as patterns such as data/*.csv; those of the language (node_modules, __pycache__) never do."`
	Build       *CodeBuild  `json:"build,omitempty" doc:"How it is built."`
	Network     []string    `json:"network,omitempty" doc:"Hosts that the running program may reach, such as api.example.com or *.example.com:443, where the operator allows them too. Left out: none."`
	Models      []CodeModel `json:"models,omitempty" doc:"Files that the program finds in the folder that STOA_MODELS names, checked by their hash."`
}

// CodeBuild says what a build may do.
type CodeBuild struct {
	Network bool `json:"network,omitempty" doc:"The build may fetch dependencies, from the hosts that the operator's settings name."`
}

// CodeModel is a file that a program gets.
type CodeModel struct {
	Name   string `json:"name" doc:"Its name for the program."`
	File   string `json:"file,omitempty" doc:"A file of the bundle, or of the algorithm that from names."`
	From   string `json:"from,omitempty" doc:"An algorithm, owner/name or owner/name/1.0.0, of the same owner or public, whose file it is."`
	SHA256 string `json:"sha256,omitempty" pattern:"^[0-9a-f]{64}$" doc:"The file's SHA-256; a file that has another refuses the push. Needed with from."`
}

// Replicas says how many processes run a version.
type Replicas struct {
	Min  int    `json:"min,omitempty" min:"0" max:"100" doc:"How many are kept warm though nobody calls. Default 0."`
	Max  int    `json:"max,omitempty" min:"1" max:"100" doc:"How many there may be. Default 4."`
	Idle string `json:"idle,omitempty" doc:"How long one is kept without a call, such as 10m. Default 5m."`
}

// SchemaPair is two JSON Schemas.
type SchemaPair struct {
	Input  any `json:"input,omitempty" doc:"Of a call's value; a text is a JSON string."`
	Output any `json:"output,omitempty" doc:"Of the answer. It is shown, and not enforced."`
}

// Sample is an input that works: for the page, and for the check of a push.
// Exactly one of its fields is set.
type Sample struct {
	File string `json:"file,omitempty" doc:"A file of the bundle: .txt is text, .json is JSON, all else is bytes."`
	Text string `json:"text,omitempty" doc:"A text."`
	JSON any    `json:"json,omitempty" doc:"Any JSON value."`
}

// Check is an input with the outputs that the framework of origin gave for it, as
// npy files of the bundle: what the network itself takes and gives, without
// adapters.
type Check struct {
	Input     []string `json:"input" doc:"npy files, one for each input of the network, in its order."`
	Output    []string `json:"output" doc:"npy files, one for each output of the network, in its order."`
	Tolerance float64  `json:"tolerance,omitempty" min:"0" max:"1" doc:"How far an output may be off, as a share of its largest number (or of 1 where that is below 1). Default 0.0001."`
}

// Limits bound one call.
type Limits struct {
	Timeout string `json:"timeout,omitempty" doc:"The longest a call may take, such as 30s; at most 3000s."`
	Memory  string `json:"memory,omitempty" doc:"The most memory that the import and the loaded model may take, such as 2GiB."`
	Body    string `json:"body,omitempty" doc:"The largest request, such as 10MiB."`
	// The rest is for code.
	Output    string  `json:"output,omitempty" doc:"Code: the largest answer, such as 10MiB."`
	CPU       float64 `json:"cpu,omitempty" min:"0" max:"1024" doc:"Code: processors that a replica may use. Default 1."`
	Processes int     `json:"processes,omitempty" min:"0" max:"10000" doc:"Code: processes and threads of a replica. Default 128."`
	Disk      string  `json:"disk,omitempty" doc:"Code: the size of /tmp, which counts as memory. Default 64MiB."`
}

// FileNames gives the files of the bundle that the manifest names, each once:
// the model's, its blobs, labels, the sample, those of checks.
func (m *Manifest) FileNames() []string {
	var out []string
	add := func(names ...string) {
		for _, n := range names {
			if n != "" && !slices.Contains(out, n) {
				out = append(out, n)
			}
		}
	}
	if m.Model != nil {
		add(m.Model.Files...)
		for _, k := range slices.Sorted(maps.Keys(m.Model.Blobs)) {
			add(m.Model.Blobs[k])
		}
	}
	for _, o := range m.Output {
		if o.Labels != nil {
			add(o.Labels.File)
		}
	}
	if m.Code != nil {
		for _, f := range m.Code.Models {
			if f.From == "" {
				add(f.File)
			}
		}
	}
	if m.Sample != nil {
		add(m.Sample.File)
	}
	for _, c := range m.Check {
		add(c.Input...)
		add(c.Output...)
	}
	return out
}

// Holds tells whether a file of an author's folder belongs into the bundle: of
// code all but what it ignores; of a model those that the manifest names, README,
// licence and notice files, and the samples. Hidden files never do.
func (m *Manifest) Holds(name string) bool {
	if m.Kind == KindCode {
		var ignore []string
		if m.Code != nil {
			ignore = m.Code.Ignore
		}
		return !IgnoredByCode(name, ignore)
	}
	return !IsHidden(name) && (slices.Contains(m.FileNames(), name) || IsPaper(name) || strings.HasPrefix(name, "samples/"))
}

// IsPaper tells whether a file is a README, a licence or a notice of a bundle.
func IsPaper(name string) bool {
	upper := strings.ToUpper(name)
	return !strings.Contains(name, "/") && slices.ContainsFunc([]string{"README", "LICENSE", "LICENCE", "NOTICE"},
		func(p string) bool { return strings.HasPrefix(upper, p) })
}

// IsHidden tells whether a file, or a folder that it is in, begins with a dot.
func IsHidden(name string) bool {
	return slices.ContainsFunc(strings.Split(name, "/"), func(part string) bool { return strings.HasPrefix(part, ".") })
}

// Public tells whether everybody may see and call the algorithm.
func (m *Manifest) Public() bool { return m.Visibility == "public" }

// JSON gives the manifest as FromJSON reads it.
func (m *Manifest) JSON() (json.RawMessage, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(m); err != nil {
		return nil, stoa.Wrap(stoa.Internal, err, "the manifest cannot be written as JSON")
	}
	return bytes.TrimRight(b.Bytes(), "\n"), nil
}

// FromJSON reads what JSON gave. It is for manifests that Parse has passed: it
// refuses unknown fields, and checks nothing else.
func FromJSON(data []byte) (*Manifest, error) {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	dec.UseNumber()
	m := new(Manifest)
	if err := dec.Decode(m); err != nil {
		return nil, stoa.Wrap(stoa.Invalid, err, "the manifest is not valid")
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, stoa.Errorf(stoa.Invalid, "the manifest is followed by something")
	}
	return m, nil
}

// Value gives the sample as the value of a call. file opens a file of the
// bundle. The zero Value is given where there is no sample.
func (s *Sample) Value(file func(name string) ([]byte, error)) (stoa.Value, error) {
	switch {
	case s == nil:
		return stoa.Value{}, nil
	case s.Text != "":
		return stoa.Value{Type: stoa.Text, Data: []byte(s.Text)}, nil
	case s.File == "":
		data, err := json.Marshal(s.JSON)
		if err != nil {
			return stoa.Value{}, stoa.Wrap(stoa.Invalid, err, "sample.json cannot be written as JSON")
		}
		return stoa.Value{Type: stoa.JSON, Data: data}, nil
	}
	data, err := file(s.File)
	if err != nil {
		return stoa.Value{}, stoa.Wrap(stoa.Invalid, err, "sample.file: %s cannot be read", s.File)
	}
	v := stoa.Value{Type: stoa.Binary, Data: data}
	switch strings.ToLower(path.Ext(s.File)) {
	case ".txt":
		v.Type = stoa.Text
	case ".json":
		v.Type = stoa.JSON
	case ".npy":
		v.MediaType = stoa.NpyMediaType
	}
	return v, nil
}
