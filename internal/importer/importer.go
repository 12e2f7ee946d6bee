// Package importer turns model files of any framework into ONNX, and says in a
// report what it found and what it made. Each framework is a Plug; this package
// picks the plug by content, never by name. It reads untrusted bytes: it never
// runs them, never allocates what a header merely claims, and is meant to run in
// a process of its own with a limit on memory.
package importer

import (
	"context"
	"io/fs"

	"github.com/stoa-project/stoa/internal/tensor"
)

// Options steer an import.
type Options struct {
	Files   []string          // which files of the source hold the model; empty: find them
	Inputs  []string          // cut the network at these tensors
	Outputs []string          // and at these
	Blobs   map[string]string // Caffe: "layer.index" to a .npy of the source
}

// Report says what an import found and made. It is stored with the version.
type Report struct {
	Framework   string         `json:"framework"` // caffe, onnx
	Format      string         `json:"format"`    // such as "Caffe V1 binary, prototxt"
	Files       []string       `json:"files"`     // those that hold the model
	Inputs      []tensor.Spec  `json:"inputs"`
	Outputs     []tensor.Spec  `json:"outputs"`
	Layers      map[string]int `json:"layers"`    // source layer types and how many
	Operators   map[string]int `json:"operators"` // ONNX operators and how many
	Parameters  int64          `json:"parameters"`
	MACs        int64          `json:"macs"` // of one item, at the declared size; -1 unknown
	WeightBytes int64          `json:"weight_bytes"`
	MemoryBytes int64          `json:"memory_bytes"` // estimate of weights and the largest live set of activations
	Opset       int64          `json:"opset"`
	Unsupported []string       `json:"unsupported,omitempty"` // layers or operators by name, with where they stand
	Notes       []string       `json:"notes,omitempty"`       // what a person should know: layers dropped, sizes made dynamic
	Seconds     float64        `json:"seconds"`
}

// Imported is a network in ONNX, not yet written.
type Imported struct {
	Report Report
	// BUILDER: the onnx.Model
}

// Import finds the model files in src, reads them and makes the network.
func Import(ctx context.Context, plugs []Plug, src fs.FS, opt Options) (*Imported, error) {
	panic("BUILDER")
}

// Plug reads one framework's files.
type Plug interface {
	// BUILDER
}
