package ort

import (
	"context"
	"strings"
	"sync"

	runtime "github.com/yalue/onnxruntime_go"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/media"
	"github.com/stoa-project/stoa/internal/tensor"
)

// The library can be opened once in a process; environment remembers how.
var environment struct {
	sync.Mutex
	library string
}

// open opens the library and sets up what all sessions share: the log level,
// and one arena for the memory of their activations, so that a hundred idle
// models do not each keep their peak.
func open(library string) error {
	environment.Lock()
	defer environment.Unlock()
	if environment.library == library {
		return nil
	}
	if environment.library != "" {
		return stoa.Errorf(stoa.Conflict, "ONNX Runtime is open already, from %s", environment.library)
	}
	runtime.SetSharedLibraryPath(library)
	if err := runtime.InitializeEnvironment(runtime.WithLogLevelError()); err != nil {
		return stoa.Wrap(stoa.Unavailable, err, "ONNX Runtime cannot be opened from %s: run make setup, or give --onnxruntime PATH", library)
	}
	if err := shareArena(); err != nil {
		return stoa.Wrap(stoa.Internal, err, "ONNX Runtime cannot share its arena")
	}
	environment.library = library
	return nil
}

func shareArena() error {
	info, err := runtime.GetMemoryInfo()
	if err != nil {
		return err
	}
	// Chunks of the size asked for (1): growth by powers of two would take up to
	// twice what a model needs.
	cfg, err := runtime.NewArenaCfg(0, 1, -1, -1)
	if err != nil {
		return err
	}
	defer cfg.Destroy()
	return runtime.CreateAndRegisterAllocator(info, cfg)
}

// session is one network in the runtime.
type session struct {
	s     *runtime.DynamicAdvancedSession
	graph media.Graph
}

func newSession(path string, g media.Graph, threads int) (*session, error) {
	opts, err := runtime.NewSessionOptions()
	if err != nil {
		return nil, stoa.Wrap(stoa.Internal, err, "ONNX Runtime gave no session options")
	}
	defer func() { _ = opts.Destroy() }()
	settings := []error{
		opts.SetIntraOpNumThreads(threads),
		opts.SetInterOpNumThreads(1),
		opts.SetGraphOptimizationLevel(runtime.GraphOptimizationLevelEnableAll),
		opts.AddSessionConfigEntry("session.use_env_allocators", "1"),
		// Spinning threads burn the cores that other models need.
		opts.AddSessionConfigEntry("session.intra_op.allow_spinning", "0"),
	}
	for _, err := range settings {
		if err != nil {
			return nil, stoa.Wrap(stoa.Internal, err, "ONNX Runtime refused a session option")
		}
	}
	s, err := runtime.NewDynamicAdvancedSession(path, names(g.Inputs), names(g.Outputs), opts)
	if err != nil {
		return nil, failed(stoa.Invalid, err, "ONNX Runtime cannot load the network")
	}
	return &session{s: s, graph: g}, nil
}

func names(specs []tensor.Spec) []string {
	out := make([]string, len(specs))
	for i, s := range specs {
		out[i] = s.Name
	}
	return out
}

// failed says what the runtime could not do; where it got no memory, only that.
func failed(kind stoa.Kind, err error, what string) error {
	for _, words := range []string{"Failed to allocate memory", "bad_alloc", "bad allocation"} {
		if strings.Contains(err.Error(), words) {
			return stoa.Wrap(stoa.TooLarge, err, "%s: it needs more memory than %s", what, memoryLimit())
		}
	}
	return stoa.Wrap(kind, err, "%s: %s", what, reason(err))
}

// reason takes what the runtime says to its first line, without the paths that
// it mixes in: they mean nothing to the author.
func reason(err error) string {
	msg, _, _ := strings.Cut(err.Error(), "\n")
	words := strings.Fields(msg)
	kept := words[:0]
	for _, w := range words {
		if !strings.HasPrefix(w, "/") {
			kept = append(kept, w)
		}
	}
	return strings.Join(kept, " ")
}

func (s *session) close() { _ = s.s.Destroy() } // fails only when called twice

// run feeds the inputs and gives the outputs, whose memory is Go's. Cancelling
// stops at the next operator.
func (s *session) run(ctx context.Context, in []tensor.Tensor) ([]tensor.Tensor, error) {
	if len(in) != len(s.graph.Inputs) {
		return nil, stoa.Errorf(stoa.Invalid, "the network takes %d inputs, not %d", len(s.graph.Inputs), len(in))
	}
	inputs := make([]runtime.Value, 0, len(in))
	defer func() {
		for _, v := range inputs {
			_ = v.Destroy()
		}
	}()
	for i, t := range in {
		v, err := toValue(t)
		if err != nil {
			return nil, stoa.Wrap(stoa.Invalid, err, "input %q: an array of %s %s cannot be given to the network",
				s.graph.Inputs[i].Name, tensor.ShapeString(t.Shape), t.DType)
		}
		inputs = append(inputs, v)
	}
	outputs := make([]runtime.Value, len(s.graph.Outputs))
	if err := s.runValues(ctx, inputs, outputs); err != nil {
		return nil, err
	}
	results := make([]tensor.Tensor, len(outputs))
	var failed error
	for i, v := range outputs {
		t, err := fromValue(v)
		if err != nil && failed == nil {
			failed = stoa.Wrap(stoa.Unsupported, err, "output %q: %v", s.graph.Outputs[i].Name, err)
		}
		results[i] = t
		_ = v.Destroy()
	}
	return results, failed
}

func (s *session) runValues(ctx context.Context, in, out []runtime.Value) error {
	opts, err := runtime.NewRunOptions()
	if err != nil {
		return stoa.Wrap(stoa.Internal, err, "ONNX Runtime gave no run options")
	}
	var terminated sync.WaitGroup
	terminated.Add(1)
	stop := context.AfterFunc(ctx, func() {
		defer terminated.Done()
		_ = opts.Terminate()
	})
	err = s.s.RunWithOptions(in, out, opts)
	if !stop() {
		terminated.Wait() // the flag must not be set on options that are gone
	}
	_ = opts.Destroy()
	switch {
	case ctx.Err() != nil:
		for _, v := range out {
			if v != nil {
				_ = v.Destroy()
			}
		}
		return ctx.Err()
	case err != nil:
		return failed(stoa.Failed, err, "the network failed")
	}
	return nil
}
