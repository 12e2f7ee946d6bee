package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/blob"
	"github.com/stoa-project/stoa/internal/importer"
	"github.com/stoa-project/stoa/internal/serve"
	"github.com/stoa-project/stoa/internal/tensor"
	"github.com/stoa-project/stoa/internal/worker"
	"github.com/stoa-project/stoa/internal/worker/ort"
)

// raw is ONNX Runtime in this process, one thread a run: what a call would cost
// if there were no server.
type raw struct {
	engine *ort.Engine
	report importer.Report
}

// folder finds a model's files by their names.
type folder []string

func (f folder) Fetch(_ context.Context, file blob.File) (string, error) {
	for _, dir := range f {
		if path := filepath.Join(dir, file.Name); exists(path) {
			return path, nil
		}
	}
	return "", fmt.Errorf("no file %s", file.Name)
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

func newRaw(dir, model string) (*raw, error) {
	return newRawWith(dir, model, json.RawMessage(`{"kind":"model"}`))
}

func newRawWith(dir, model string, man json.RawMessage) (*raw, error) {
	src, err := importer.Dir(model)
	if err != nil {
		return nil, err
	}
	defer src.Close()
	imported, err := importer.Import(context.Background(), serve.Plugs(), src, importer.Options{})
	if err != nil {
		return nil, err
	}
	defer imported.Close()
	out, err := os.MkdirTemp(dir, "raw-")
	if err != nil {
		return nil, err
	}
	names, err := imported.Write(out)
	if err != nil {
		return nil, err
	}
	engine, err := ort.New(ort.Config{Library: serve.FindLibrary("bin"), Fetcher: folder{out, model}, Scratch: out})
	if err != nil {
		return nil, err
	}
	m := worker.Model{ID: "raw", Manifest: man, Inputs: imported.Report.Inputs, Outputs: imported.Report.Outputs}
	for _, n := range names {
		m.Files = append(m.Files, blob.File{Name: n})
	}
	_, err = engine.Load(context.Background(), m)
	return &raw{engine, imported.Report}, err
}

func (r *raw) run(in []tensor.Tensor) error {
	_, err := r.engine.Tensors(context.Background(), "raw", in)
	return err
}

// value runs a whole value: decode, network, encode.
func (r *raw) value(v stoa.Value) error {
	res, err := r.engine.Run(context.Background(), "raw", []stoa.Value{v})
	if err != nil {
		return err
	}
	return res[0].Err
}

// rate runs do on every processor at once for a time, and gives runs a second.
func rate(do func() error, d time.Duration) (float64, error) {
	var (
		wg    sync.WaitGroup
		count atomic.Int64
		fail  atomic.Pointer[error]
		end   = time.Now().Add(d)
	)
	for range runtime.NumCPU() {
		wg.Go(func() {
			for time.Now().Before(end) {
				if err := do(); err != nil {
					fail.Store(&err)
					return
				}
				count.Add(1)
			}
		})
	}
	wg.Wait()
	if p := fail.Load(); p != nil {
		return 0, *p
	}
	return float64(count.Load()) / d.Seconds(), nil
}
