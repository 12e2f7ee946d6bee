package serve

import (
	"context"
	"encoding/json"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/catalog"
	"github.com/stoa-project/stoa/internal/fleet"
	"github.com/stoa-project/stoa/internal/importer"
	"github.com/stoa-project/stoa/internal/invoke"
	"github.com/stoa-project/stoa/internal/logbook"
	"github.com/stoa-project/stoa/internal/manifest"
	"github.com/stoa-project/stoa/internal/schema"
	"github.com/stoa-project/stoa/internal/worker"
)

// targets turns versions of the catalogue into what invoke can run. A version
// never changes, so that what was made once is kept.
type targets struct {
	catalog *catalog.Catalog
	fleet   *fleet.Fleet
	codes   *codes
	book    *logbook.Book
	log     *slog.Logger
	made    sync.Map // id of a version to *target
}

// target is a version that was made ready.
type target struct {
	invoke.Target
	work fleet.Work // but for its input
}

// Target finds what a reference means to a caller; see invoke.Resolver.
func (t *targets) Target(ctx context.Context, who stoa.Caller, ref stoa.Ref) (*invoke.Target, error) {
	v, err := t.catalog.Resolve(ctx, who, ref)
	if err != nil {
		return nil, err
	}
	if x, ok := t.made.Load(v.ID); ok {
		return &x.(*target).Target, nil //nolint:errcheck,forcetypeassert // only find stores
	}
	made, err := t.find(ctx, v)
	if err != nil {
		return nil, err
	}
	return &made.Target, nil
}

// find makes a version ready, or gives what was made of it before.
func (t *targets) find(ctx context.Context, v *catalog.Version) (*target, error) {
	if x, ok := t.made.Load(v.ID); ok {
		return x.(*target), nil //nolint:errcheck,forcetypeassert // only the line below stores
	}
	made, err := t.make(ctx, v)
	if err != nil {
		return nil, err
	}
	t.made.Store(v.ID, made)
	return made, nil
}

func (t *targets) make(ctx context.Context, v *catalog.Version) (*target, error) {
	man, err := manifest.FromJSON(v.Manifest)
	if err != nil {
		return nil, err
	}
	out := &target{}
	out.Ref = stoa.Ref{Owner: v.Owner, Name: v.Name, Version: stoa.VersionSpec{Kind: stoa.ExactVersion, Version: v.Number}}
	if out.Code = man.Kind == manifest.KindCode; out.Code {
		out.work, err = t.codes.work(ctx, v, man)
	} else {
		out.work.Label = v.Owner
		out.work.Model, err = model(v, man)
	}
	if err != nil {
		return nil, err
	}
	if out.Check, err = checks(man); err != nil {
		return nil, err
	}
	if man.Limits != nil && man.Limits.Timeout != "" {
		if out.Timeout, err = time.ParseDuration(man.Limits.Timeout); err != nil {
			return nil, stoa.Wrap(stoa.Internal, err, "%s: limits.timeout", out.Ref)
		}
	}
	out.Run = func(ctx context.Context, in stoa.Value, k invoke.Ticket) stoa.Result {
		w := out.work
		w.Input = in
		if out.Code {
			w.Call = worker.Call{Token: k.Token, Request: k.Request}
		}
		res := t.fleet.Dispatch(ctx, w)
		if res.Stdout != "" || res.Stderr != "" {
			t.keep(ctx, out.Ref, k, &res)
		}
		return res
	}
	return out, nil
}

// keep writes what a call printed into the logbook.
func (t *targets) keep(ctx context.Context, ref stoa.Ref, k invoke.Ticket, res *stoa.Result) {
	version := ref.Version.Version.String()
	err := t.book.Add(ref,
		logbook.Entry{Version: version, Request: k.Request, Stream: logbook.Stdout, Text: res.Stdout},
		logbook.Entry{Version: version, Request: k.Request, Stream: logbook.Stderr, Text: res.Stderr})
	if err != nil { // the call was answered all the same
		t.log.WarnContext(ctx, "what a call printed is lost", "algorithm", ref.String(), "cause", err)
	}
}

// checks gives what an input is held to before it is run.
func checks(man *manifest.Manifest) (func(stoa.Value) error, error) {
	most, err := bodyLimit(man)
	if err != nil {
		return nil, err
	}
	var fits *schema.Schema
	if man.Schema != nil {
		if fits, err = schema.Compile("schema.input", man.Schema.Input); err != nil {
			return nil, err
		}
	}
	if most == 0 && fits == nil {
		return nil, nil
	}
	return func(in stoa.Value) error {
		if most > 0 && int64(len(in.Data)) > most {
			return stoa.Errorf(stoa.TooLarge, "the input of %d bytes is over this algorithm's limit of %s", len(in.Data), man.Limits.Body)
		}
		return fits.Check(in)
	}, nil
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
func model(v *catalog.Version, man *manifest.Manifest) (worker.Model, error) {
	var report importer.Report
	if err := json.Unmarshal(v.Report, &report); err != nil {
		return worker.Model{}, stoa.Wrap(stoa.Internal, err, "the import report of %s/%s %s cannot be read", v.Owner, v.Name, v.Number)
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
	return m, nil
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

// changed is told of an algorithm whose versions or secrets changed. Replicas of
// its older versions finish what they have and end; those that its newest wants
// kept warm are; all that start from now on have its present secrets.
func (t *targets) changed(ref stoa.Ref) {
	ctx := context.Background()
	t.made.Range(func(id, x any) bool {
		made, ok := x.(*target)
		if ok && made.Code && strings.EqualFold(made.Ref.Owner, ref.Owner) && strings.EqualFold(made.Ref.Name, ref.Name) {
			t.made.Delete(id)
			t.fleet.Retire(made.work.Label)
		}
		return true
	})
	vs, err := t.catalog.Versions(ctx, stoa.Caller{Admin: true}, ref)
	if err != nil {
		return // it is gone
	}
	if err := t.warm(ctx, vs[0]); err != nil {
		t.log.WarnContext(ctx, "replicas not kept warm", "algorithm", ref.String(), "cause", err)
	}
}

// warm keeps as many replicas of a version as its manifest asks for.
func (t *targets) warm(ctx context.Context, v *catalog.Version) error {
	if v.Kind != manifest.KindCode {
		return nil
	}
	made, err := t.find(ctx, v)
	if err != nil || made.work.Policy.Min == 0 {
		return err
	}
	return t.fleet.Keep(made.work)
}

// warmAll keeps replicas of all algorithms whose newest version asks for it.
func (t *targets) warmAll(ctx context.Context) error {
	q := catalog.Query{Kind: manifest.KindCode, Limit: 1000}
	for {
		found, err := t.catalog.Search(ctx, stoa.Caller{Admin: true}, q)
		if err != nil {
			return err
		}
		for _, v := range found.Versions {
			if err := t.warm(ctx, v); err != nil {
				t.log.WarnContext(ctx, "replicas not kept warm", "algorithm", v.Owner+"/"+v.Name, "cause", err)
			}
		}
		if q.Offset += len(found.Versions); len(found.Versions) == 0 || q.Offset >= found.Total {
			return nil
		}
	}
}
