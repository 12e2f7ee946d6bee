// Package manifest reads and checks stoa.yaml, the one file that says all there
// is to say about an algorithm. Its types are nouns that rooms use. What it
// refuses it refuses by file, line, column and field, with the nearest known
// name.
package manifest

import "github.com/stoa-project/stoa/internal/media"

// FileName is the manifest's name in a bundle.
const FileName = "stoa.yaml"

// Manifest is stoa.yaml.
type Manifest struct {
	Name       string         `json:"name,omitempty"` // owner/name, or name alone for the caller's own
	Kind       string         `json:"kind"`           // model
	Tagline    string         `json:"tagline,omitempty"`
	Tags       []string       `json:"tags,omitempty"`
	Licence    string         `json:"licence,omitempty"`    // SPDX expression or free text
	Visibility string         `json:"visibility,omitempty"` // private (default), public
	Model      *Model         `json:"model,omitempty"`
	Input      []media.Input  `json:"input,omitempty"`
	Output     []media.Output `json:"output,omitempty"`
	Sample     *Sample        `json:"sample,omitempty"`
	Limits     *Limits        `json:"limits,omitempty"`
}

// Model says which files hold the network.
type Model struct {
	Files   []string          `json:"files"`             // in the bundle
	Inputs  []string          `json:"inputs,omitempty"`  // cut the network here
	Outputs []string          `json:"outputs,omitempty"` // and here
	Blobs   map[string]string `json:"blobs,omitempty"`   // Caffe: "layer.index": file.npy
}

// Sample is an input that works: for the page, and for the check of a push.
type Sample struct {
	File string `json:"file,omitempty"` // in the bundle
	Text string `json:"text,omitempty"`
	JSON any    `json:"json,omitempty"`
}

// Limits bound one call.
type Limits struct {
	Timeout string `json:"timeout,omitempty"` // such as 30s; at most 3000s
	Memory  string `json:"memory,omitempty"`  // such as 2GiB: of the import and the loaded model
	Body    string `json:"body,omitempty"`    // such as 10MiB: of a request
}
