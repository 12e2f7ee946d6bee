package workertest

import (
	"bytes"
	"context"
	"image"
	"image/png"
	"sync"
	"testing"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/media"
	"github.com/stoa-project/stoa/internal/tensor"
	"github.com/stoa-project/stoa/internal/worker"
)

// Double is an Engine that does what a test tells it. Without being told, it
// loads anything and answers each item with the item.
type Double struct {
	// OnLoad and OnRun replace what it does; nil keeps it. OnRun answers one item.
	OnLoad func(ctx context.Context, m worker.Model) error
	OnRun  func(ctx context.Context, id string, v stoa.Value) (stoa.Value, error)

	// OnPreview answers previews; nil: the pictures of package media, which need
	// no engine.
	OnPreview func(ctx context.Context, j worker.PreviewJob) (media.Preview, error)

	mu     sync.Mutex
	loaded map[string]*sync.RWMutex // held for reading by runs
	loads  int
}

var (
	_ worker.Engine    = (*Double)(nil)
	_ worker.Previewer = (*Double)(nil)
)

// Load makes a model ready; see worker.Engine.
func (d *Double) Load(ctx context.Context, m worker.Model) (worker.Footprint, error) {
	d.mu.Lock()
	_, there := d.loaded[m.ID]
	d.loads++
	d.mu.Unlock()
	if there {
		return worker.Footprint{}, nil
	}
	if err := ctx.Err(); err != nil {
		return worker.Footprint{}, err
	}
	if d.OnLoad != nil {
		if err := d.OnLoad(ctx, m); err != nil {
			return worker.Footprint{}, err
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.loaded == nil {
		d.loaded = map[string]*sync.RWMutex{}
	}
	d.loaded[m.ID] = new(sync.RWMutex)
	return worker.Footprint{Host: 1}, nil
}

// Run answers the items; see worker.Engine.
func (d *Double) Run(ctx context.Context, id string, items []stoa.Value) ([]stoa.Result, error) {
	d.mu.Lock()
	runs := d.loaded[id]
	if runs == nil || !runs.TryRLock() {
		d.mu.Unlock()
		return nil, stoa.Errorf(stoa.NotFound, "model %s is not loaded here", id)
	}
	d.mu.Unlock()
	defer runs.RUnlock()
	results := make([]stoa.Result, len(items))
	for i, v := range items {
		out, err := v, error(nil)
		if d.OnRun != nil {
			out, err = d.OnRun(ctx, id, v)
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if err != nil {
			out = stoa.Value{}
		}
		results[i] = stoa.Result{Value: out, Err: err, Usage: stoa.Usage{Compute: 1, BatchSize: 1}}
	}
	return results, nil
}

// Preview shows a picture; see worker.Previewer.
func (d *Double) Preview(ctx context.Context, j worker.PreviewJob) (media.Preview, error) {
	if d.OnPreview != nil {
		return d.OnPreview(ctx, j)
	}
	return j.Render(ctx, media.Limits{})
}

// Unload drops a model; see worker.Engine.
func (d *Double) Unload(_ context.Context, id string) error {
	d.mu.Lock()
	runs := d.loaded[id]
	delete(d.loaded, id)
	d.mu.Unlock()
	if runs != nil {
		runs.Lock() // waits for the runs in flight, and keeps later ones out
	}
	return nil
}

// Loads tells how often Load was called.
func (d *Double) Loads() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.loads
}

// PreviewJob is a preview that every Engine can make: a grey picture of 2 x 2
// pixels.
func PreviewJob(t testing.TB) worker.PreviewJob {
	t.Helper()
	var b bytes.Buffer
	if err := png.Encode(&b, image.NewGray(image.Rect(0, 0, 2, 2))); err != nil {
		t.Fatal(err)
	}
	return worker.PreviewJob{
		Input: []byte(`{"picture":{"colour":"grey"}}`), Spec: tensor.Spec{Name: "x", DType: tensor.Float32, Shape: []int64{1, 1, 2, 2}},
		Value: stoa.Value{Type: stoa.Binary, Data: b.Bytes()},
	}
}
