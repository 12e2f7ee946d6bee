package serve

import (
	"context"
	"encoding/json"
	"slices"
	"sync"
	"time"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/catalog"
	"github.com/stoa-project/stoa/internal/fleet"
	"github.com/stoa-project/stoa/internal/importer"
	"github.com/stoa-project/stoa/internal/invoke"
	"github.com/stoa-project/stoa/internal/manifest"
	"github.com/stoa-project/stoa/internal/worker"
)

// targets turns versions of the catalogue into what invoke can run. A version
// never changes, so that what was made once is kept.
type targets struct {
	catalog *catalog.Catalog
	fleet   *fleet.Fleet
	made    sync.Map // id of a version to *invoke.Target
}

// Target finds what a reference means to a caller; see invoke.Resolver.
func (t *targets) Target(ctx context.Context, who stoa.Caller, ref stoa.Ref) (*invoke.Target, error) {
	v, err := t.catalog.Resolve(ctx, who, ref)
	if err != nil {
		return nil, err
	}
	if x, ok := t.made.Load(v.ID); ok {
		return x.(*invoke.Target), nil //nolint:errcheck,forcetypeassert // only this method stores
	}
	target, err := t.make(v)
	if err != nil {
		return nil, err
	}
	t.made.Store(v.ID, target)
	return target, nil
}

func (t *targets) make(v *catalog.Version) (*invoke.Target, error) {
	m, man, err := model(v)
	if err != nil {
		return nil, err
	}
	work := fleet.Work{Label: v.Owner, Model: m}
	most, err := bodyLimit(man)
	if err != nil {
		return nil, err
	}
	target := &invoke.Target{
		Ref: stoa.Ref{Owner: v.Owner, Name: v.Name, Version: stoa.VersionSpec{Kind: stoa.ExactVersion, Version: v.Number}},
		Run: func(ctx context.Context, in stoa.Value, k invoke.Ticket) stoa.Result {
			if most > 0 && int64(len(in.Data)) > most {
				return stoa.Result{Err: stoa.Errorf(stoa.TooLarge, "the input of %d bytes is over this algorithm's limit of %s", len(in.Data), man.Limits.Body)}
			}
			w := work
			w.Input = in
			return t.fleet.Dispatch(ctx, w)
		},
	}
	if man.Limits != nil && man.Limits.Timeout != "" {
		if target.Timeout, err = time.ParseDuration(man.Limits.Timeout); err != nil {
			return nil, stoa.Wrap(stoa.Internal, err, "%s: limits.timeout", target.Ref)
		}
	}
	return target, nil
}

// bodyLimit gives limits.body in bytes; 0 where there is none.
func bodyLimit(m *manifest.Manifest) (int64, error) {
	if m.Limits == nil || m.Limits.Body == "" {
		return 0, nil
	}
	return manifest.ParseSize(m.Limits.Body)
}

// model gives what a worker loads for a version: the network that the import
// made, and the files that the adapters read.
func model(v *catalog.Version) (worker.Model, *manifest.Manifest, error) {
	var report importer.Report
	if err := json.Unmarshal(v.Report, &report); err != nil {
		return worker.Model{}, nil, stoa.Wrap(stoa.Internal, err, "the import report of %s/%s %s cannot be read", v.Owner, v.Name, v.Number)
	}
	man, err := manifest.FromJSON(v.Manifest)
	if err != nil {
		return worker.Model{}, nil, err
	}
	m := worker.Model{
		ID:       v.Owner + "/" + v.Name + "/" + v.Number.String() + "@" + v.Hash[:12],
		Manifest: v.Manifest,
		Files:    slices.Clone(v.Built),
		Inputs:   report.Inputs,
		Outputs:  report.Outputs,
	}
	wanted := adapterFiles(man)
	for _, f := range v.Files {
		if slices.Contains(wanted, f.Name) {
			m.Files = append(m.Files, f)
		}
	}
	return m, man, nil
}

func adapterFiles(man *manifest.Manifest) []string {
	var names []string
	for _, o := range man.Output {
		if o.Labels != nil && o.Labels.File != "" {
			names = append(names, o.Labels.File)
		}
	}
	return names
}
