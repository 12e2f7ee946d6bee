// Package ort is the Engine over ONNX Runtime. Its library is opened at run
// time, once for the process, by the first Engine: only workers and import
// children make one, never the server.
package ort

import (
	"context"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"time"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/blob"
	"github.com/stoa-project/stoa/internal/manifest"
	"github.com/stoa-project/stoa/internal/media"
	"github.com/stoa-project/stoa/internal/tensor"
	"github.com/stoa-project/stoa/internal/worker"
)

// Config is what an Engine needs.
type Config struct {
	Library string         // path of libonnxruntime.so
	Fetcher worker.Fetcher // brings the files of models
	Scratch string         // folder for the Engine alone, on the file system of the fetched files
	Threads int            // within one run; 0 means 1
	// Parallel is how many networks run at once; 0 means one for each processor.
	// More would only push each other's numbers out of the caches; the next call
	// is decoded meanwhile.
	Parallel int
	// Pictures bounds the memory that decoding pictures takes at a time; 0: no bound.
	Pictures int64
}

// Engine runs networks in this process. It holds many; each may run many times
// at once.
type Engine struct {
	cfg     Config
	loading sync.Mutex    // one load at a time, so that its footprint is its own
	turns   chan struct{} // a token for each network that runs
	limits  media.Limits

	mu     sync.Mutex
	models map[string]*model
}

type model struct {
	id      string
	session *session
	adapter *media.Adapter

	// runs holds the session while a run is in flight; Unload takes it whole.
	runs sync.RWMutex
	gone bool
}

var (
	_ worker.Engine    = (*Engine)(nil)
	_ worker.Previewer = (*Engine)(nil)
)

// New opens the library and makes an Engine.
func New(cfg Config) (*Engine, error) {
	if err := open(cfg.Library); err != nil {
		return nil, err
	}
	if cfg.Threads < 1 {
		cfg.Threads = 1
	}
	if cfg.Parallel < 1 {
		cfg.Parallel = runtime.NumCPU()
	}
	e := &Engine{cfg: cfg, turns: make(chan struct{}, cfg.Parallel), models: map[string]*model{}}
	if cfg.Pictures > 0 {
		e.limits.Memory = media.NewBudget(cfg.Pictures)
	}
	return e, nil
}

// Load makes a model ready; see worker.Engine.
func (e *Engine) Load(ctx context.Context, m worker.Model) (worker.Footprint, error) {
	e.loading.Lock()
	defer e.loading.Unlock()
	if e.find(m.ID) != nil {
		return worker.Footprint{}, nil
	}
	if err := ctx.Err(); err != nil {
		return worker.Footprint{}, err
	}
	before := resident()
	loaded, err := e.load(ctx, m)
	if err == nil && ctx.Err() != nil {
		loaded.session.close()
		err = ctx.Err()
	}
	if err != nil {
		trim()
		return worker.Footprint{}, err
	}
	e.mu.Lock()
	e.models[m.ID] = loaded
	e.mu.Unlock()
	return worker.Footprint{Host: max(resident()-before, 0)}, nil
}

func (e *Engine) load(ctx context.Context, m worker.Model) (*model, error) {
	man, err := manifest.FromJSON(m.Manifest)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(e.cfg.Scratch, "load-")
	if err != nil {
		return nil, stoa.Wrap(stoa.Internal, err, "the worker has no folder to load models from")
	}
	// The runtime maps what it needs; the names are not needed afterwards.
	defer func() { _ = os.RemoveAll(dir) }()
	for _, f := range m.Files {
		if err := e.place(ctx, dir, f); err != nil {
			return nil, err
		}
	}
	graph := media.Graph{Inputs: m.Inputs, Outputs: m.Outputs}
	file := func(name string) ([]byte, error) {
		if err := blob.CheckName(name); err != nil {
			return nil, err
		}
		return os.ReadFile(filepath.Join(dir, filepath.FromSlash(name)))
	}
	adapter, err := media.NewAdapter(man.Input, man.Output, graph, file, e.limits)
	if err != nil {
		return nil, err
	}
	s, err := newSession(filepath.Join(dir, worker.ModelFile), graph, e.cfg.Threads)
	if err != nil {
		return nil, err
	}
	return &model{id: m.ID, session: s, adapter: adapter}, nil
}

// place makes a file of the model stand under its name in dir, without a copy
// where the file system allows it.
func (e *Engine) place(ctx context.Context, dir string, f blob.File) error {
	if err := blob.CheckName(f.Name); err != nil {
		return err
	}
	src, err := e.cfg.Fetcher.Fetch(ctx, f)
	if err != nil {
		return err
	}
	dst := filepath.Join(dir, filepath.FromSlash(f.Name))
	if err := os.MkdirAll(filepath.Dir(dst), 0o700); err != nil {
		return stoa.Wrap(stoa.Internal, err, "the worker cannot prepare %s", f.Name)
	}
	if os.Link(src, dst) == nil {
		return nil
	}
	if err := copyFile(dst, src); err != nil {
		return stoa.Wrap(stoa.Internal, err, "the worker cannot read %s", f.Name)
	}
	return nil
}

func (e *Engine) find(id string) *model {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.models[id]
}

// Run answers the items one after the other; see worker.Engine.
func (e *Engine) Run(ctx context.Context, id string, items []stoa.Value) ([]stoa.Result, error) {
	m := e.find(id)
	if m == nil || !m.runs.TryRLock() {
		return nil, notLoaded(id)
	}
	defer m.runs.RUnlock()
	if m.gone {
		return nil, notLoaded(id)
	}
	results := make([]stoa.Result, len(items))
	for i, v := range items {
		start := time.Now()
		out, err := e.one(ctx, m, v)
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		results[i] = stoa.Result{Value: out, Err: err, Usage: stoa.Usage{Compute: max(time.Since(start), 1), BatchSize: 1}}
	}
	return results, nil
}

func notLoaded(id string) error {
	return stoa.Errorf(stoa.NotFound, "model %.80s is not loaded here", id)
}

func (e *Engine) one(ctx context.Context, m *model, v stoa.Value) (stoa.Value, error) {
	item, err := m.adapter.Decode(v)
	if err != nil {
		return stoa.Value{}, err
	}
	select {
	case e.turns <- struct{}{}:
	case <-ctx.Done():
		return stoa.Value{}, ctx.Err()
	}
	outputs, err := m.session.run(ctx, item.Inputs)
	<-e.turns
	if err != nil {
		return stoa.Value{}, err
	}
	return m.adapter.Encode(item, outputs)
}

// Preview shows what a network gets of a picture; see worker.Previewer.
func (e *Engine) Preview(ctx context.Context, j worker.PreviewJob) (media.Preview, error) {
	return j.Render(ctx, e.limits)
}

// Unload drops a model; see worker.Engine.
func (e *Engine) Unload(_ context.Context, id string) error {
	e.mu.Lock()
	m := e.models[id]
	delete(e.models, id)
	e.mu.Unlock()
	if m == nil {
		return nil
	}
	m.runs.Lock() // waits for the runs in flight
	m.gone = true
	m.session.close()
	m.runs.Unlock()
	trim()
	return nil
}

// Stats says how much memory the process uses.
func (e *Engine) Stats(context.Context) (worker.Stats, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return worker.Stats{Resident: resident(), Models: len(e.models)}, nil
}

// Tensors runs a loaded model on arrays, without its adapters: for checks of an
// import in numbers.
func (e *Engine) Tensors(ctx context.Context, id string, in []tensor.Tensor) ([]tensor.Tensor, error) {
	m := e.find(id)
	if m == nil {
		return nil, notLoaded(id)
	}
	m.runs.RLock()
	defer m.runs.RUnlock()
	return m.session.run(ctx, in)
}
