// Package worker says what runs models and code for the fleet: the Engine
// contract, and the two ends of it that speak over a connection, so that an
// Engine in another process looks like one in this. Engines never see paths or
// tables of the server: a Model names its blobs by digest and a Fetcher brings
// them.
package worker

import (
	"context"
	"encoding/json"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/blob"
	"github.com/stoa-project/stoa/internal/runner"
	"github.com/stoa-project/stoa/internal/tensor"
	"github.com/stoa-project/stoa/internal/wire/engine"
)

// Model is what an Engine loads. ID is unique among the models of an Engine;
// the same ID always means the same content.
type Model struct {
	ID       string          `json:"id"`
	Manifest json.RawMessage `json:"manifest"` // a manifest.Manifest as JSON
	Files    []blob.File     `json:"files"`    // ModelFile, its weights, and what the adapters name
	Inputs   []tensor.Spec   `json:"inputs"`   // of the network, in its order
	Outputs  []tensor.Spec   `json:"outputs"`
	// Program is of code, which has nothing else but an ID; nil for a network.
	Program *runner.Program `json:"program,omitempty"`
}

// ModelFile is the name of the network, in ONNX, among a model's files. Weights
// that it keeps outside stand beside it.
const ModelFile = "model.onnx"

// Footprint is the memory that a loaded model was seen to take, in bytes.
type Footprint = engine.Footprint

// Call says on whose behalf a run is made; see WithCall.
type Call = engine.Call

type callKey struct{}

// WithCall says on whose behalf the runs under a context are made. It crosses
// the wire with them.
func WithCall(ctx context.Context, c Call) context.Context {
	if c == (Call{}) {
		return ctx
	}
	return context.WithValue(ctx, callKey{}, c)
}

// CallOf tells on whose behalf a run is made; the zero Call where nobody said.
func CallOf(ctx context.Context) Call {
	c, _ := ctx.Value(callKey{}).(Call)
	return c
}

// Engine runs models. All methods may be called at once from many goroutines.
type Engine interface {
	// Load makes a model ready to run. Loading what is loaded already is no
	// error and changes nothing. A Load that fails or is cancelled leaves
	// nothing behind: the model is not there, and its memory is free.
	Load(ctx context.Context, m Model) (Footprint, error)
	// Run answers each item by the result at the same index. The error is not
	// nil only where no item could be run at all: NotFound where the model is
	// not loaded. A bad item fails alone, in its own Result. Cancelling stops
	// at the next operator of the network.
	Run(ctx context.Context, id string, items []stoa.Value) ([]stoa.Result, error)
	// Unload waits for the runs in flight, then drops the model and gives its
	// memory back. Unloading what is not loaded is no error.
	Unload(ctx context.Context, id string) error
}

// Fetcher brings the content of a model's files into reach of an Engine.
type Fetcher interface {
	// Fetch gives the path of a file that holds the blob. Nobody may change it.
	Fetch(ctx context.Context, f blob.File) (string, error)
}
