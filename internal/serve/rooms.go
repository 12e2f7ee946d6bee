package serve

import (
	"context"
	"os"
	"path/filepath"
	"time"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/api"
	"github.com/stoa-project/stoa/internal/blob"
	blobfs "github.com/stoa-project/stoa/internal/blob/fs"
	"github.com/stoa-project/stoa/internal/build"
	"github.com/stoa-project/stoa/internal/catalog"
	"github.com/stoa-project/stoa/internal/fleet/process"
	"github.com/stoa-project/stoa/internal/invoke"
	"github.com/stoa-project/stoa/internal/layers"
	"github.com/stoa-project/stoa/internal/logbook"
	"github.com/stoa-project/stoa/internal/sandbox"
	"github.com/stoa-project/stoa/internal/secret"
)

// openSandbox makes the sandbox that all children of the server run in, and tries
// it: what is missing refuses to start.
func (s *System) openSandbox() (err error) {
	s.box, err = sandbox.New(sandbox.Config{
		Mode: s.cfg.Sandbox, Dir: filepath.Join(s.cfg.Data, sandboxDir), Init: s.cfg.Init, Bwrap: s.cfg.Bwrap, Cgroup: s.cfg.Cgroup, Log: s.cfg.Log,
	})
	if err != nil {
		return err
	}
	for _, p := range s.box.Report() {
		level := s.cfg.Log.Info
		if p.State != sandbox.InPlace {
			level = s.cfg.Log.Warn
		}
		level("protection", "name", p.Name, "state", p.State, "detail", p.Detail)
	}
	return nil
}

// openCode makes the rooms that code needs: unpacked layers, secrets, the logbook.
func (s *System) openCode(ctx context.Context, blobs blob.Store) (err error) {
	if s.layers, err = layers.New(ctx, layers.Config{Dir: filepath.Join(s.cfg.Data, layersDir), Blobs: blobs}); err != nil {
		return err
	}
	if s.book, err = logbook.New(logbook.Config{Dir: filepath.Join(s.cfg.Data, logsDir), Keep: s.cfg.LogKeep}); err != nil {
		return err
	}
	s.vault, err = secret.New(s.db.Secrets(), filepath.Join(s.cfg.Data, secretKeyFile), func(ref stoa.Ref) { s.targets.changed(ref) })
	return err
}

// openDriver gives the driver of all replicas, after ending what an earlier server
// has started and did not live to write down.
func (s *System) openDriver(ctx context.Context) (*process.Driver, error) {
	d, err := process.New(process.Config{
		Command: append(append([]string{}, s.cfg.Self...), workerWord,
			"--blobs", filepath.Join(s.cfg.Data, blobsDir), "--onnxruntime", s.cfg.Library),
		Dir: filepath.Join(s.cfg.Data, workersDir), Build: s.cfg.Build, Memory: s.cfg.WorkerMemory,
		Sandbox: s.box, Mounts: append(s.cfg.seen(), sandbox.Mount{Source: filepath.Join(s.cfg.Data, blobsDir), Target: filepath.Join(s.cfg.Data, blobsDir)}),
		Code: s.codeDriver(s.layers.Path),
	})
	if err != nil {
		return nil, err
	}
	return d, d.Sweep(ctx)
}

// codeDriver is what replicas of code need; layer finds their layers.
func (s *System) codeDriver(layer func(context.Context, blob.File) (string, func(), error)) *process.Code {
	return &process.Code{
		Sandbox: s.box, Layer: layer, Blob: s.blobPath,
		Open: func(d process.Doors) func() { return s.gateway.open(d) },
	}
}

func (s *System) blobPath(f blob.File) (string, error) {
	return blobfs.PathIn(filepath.Join(s.cfg.Data, blobsDir), f.Digest), nil
}

// newBuilder makes what builds models and code.
func (s *System) newBuilder(blobs blob.Store) (*builder, error) {
	b := &builder{
		cfg: &s.cfg, box: s.box, dir: filepath.Join(s.cfg.Data, buildsDir), blobs: blobs, codes: s.codeDriver, secrets: s.vault.Env,
		catalog: func() *catalog.Catalog { return s.catalog },
	}
	if err := os.MkdirAll(b.dir, 0o700); err != nil {
		return nil, stoa.Wrap(stoa.Internal, err, "the folder for builds cannot be made: %s", b.dir)
	}
	var err error
	b.local, err = build.New(build.Config{
		Dir: b.dir, Cache: filepath.Join(s.cfg.Data, cacheDir), Sandbox: s.box, Hosts: s.cfg.BuildHosts, Env: s.cfg.Env,
		Upstream: upstream,
		Limits:   build.Limits{Time: s.cfg.BuildTime},
	})
	return b, err
}

// openGateway makes the door that replicas of code have.
func (s *System) openGateway(calls *invoke.Service, door api.Door) (err error) {
	s.gateway, err = newGateway(gateway{calls: calls, people: s.people, hosts: s.cfg.CodeHosts, log: s.cfg.Log}, door, callPath)
	return err
}

// callPath is the pattern of the route of calls in the native door.
const callPath = "/v1/algo/"

// sweepEvery is how often old logs are looked for.
const sweepEvery = time.Hour

// tend does what must be done now and then, until ctx ends.
func (s *System) tend(ctx context.Context) {
	if err := s.targets.warmAll(ctx); err != nil && ctx.Err() == nil {
		s.cfg.Log.WarnContext(ctx, "replicas not kept warm", "cause", err)
	}
	every := time.NewTicker(sweepEvery)
	defer every.Stop()
	for {
		if err := s.book.Sweep(); err != nil {
			s.cfg.Log.WarnContext(ctx, "logs not swept", "cause", err)
		}
		select {
		case <-every.C:
		case <-ctx.Done():
			return
		}
	}
}
