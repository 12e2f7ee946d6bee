package serve

import (
	"context"
	"encoding/json"
	"time"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/catalog"
	"github.com/stoa-project/stoa/internal/fleet"
	"github.com/stoa-project/stoa/internal/importer"
	"github.com/stoa-project/stoa/internal/manifest"
	"github.com/stoa-project/stoa/internal/media"
	"github.com/stoa-project/stoa/internal/sketch"
	"github.com/stoa-project/stoa/internal/worker"
)

// inspector is the catalog's Inspector: a look at a draft by an import child,
// since the server itself reads no model.
type inspector struct {
	build *builder
	turns chan struct{} // a token for each look at work
}

// looks is how many drafts are looked at, at a time: the page asks again with
// every file that is dropped, and each look may take the memory of an import.
const looks = 2

func newInspector(b *builder) *inspector {
	return &inspector{build: b, turns: make(chan struct{}, looks)}
}

// Inspect runs an import child that only looks; see catalog.Inspector. A child
// that dies of the files is a problem of theirs, and no failure.
func (i *inspector) Inspect(ctx context.Context, j catalog.InspectJob) (catalog.Inspection, error) {
	ctx, cancel := context.WithTimeout(ctx, i.build.cfg.ImportTime)
	defer cancel()
	select {
	case i.turns <- struct{}{}:
		defer func() { <-i.turns }()
	case <-ctx.Done():
		return catalog.Inspection{}, stoa.AsError(ctx.Err())
	}
	a, err := i.build.child(ctx, childJob{Look: true, Name: j.Name, Dir: j.Dir, Out: j.Out, Memory: i.build.cfg.ImportMemory})
	switch {
	case err == nil && a.Inspection == nil:
		return catalog.Inspection{}, stoa.Errorf(stoa.Internal, "the look at the draft gave no answer")
	case err == nil:
		return *a.Inspection, nil
	}
	switch e := stoa.AsError(err); e.Kind {
	case stoa.Invalid, stoa.Unsupported, stoa.TooLarge, stoa.NotFound:
		return catalog.Inspection{Problems: []manifest.Problem{{Msg: e.Msg}}}, nil
	default:
		return catalog.Inspection{}, e
	}
}

// runLook is the work of an import child that only looks.
func runLook(ctx context.Context, job childJob) (childAnswer, error) {
	src, err := importer.Dir(job.Dir)
	if err != nil {
		return childAnswer{}, err
	}
	defer src.Close()
	found, err := sketch.Inspect(ctx, Plugs(), src, job.Name)
	if err != nil {
		return childAnswer{}, err
	}
	out := &catalog.Inspection{YAML: found.Text, Given: found.Given, Problems: found.Problems}
	if found.Report != nil {
		if out.Report, err = json.Marshal(found.Report); err != nil {
			return childAnswer{}, stoa.Wrap(stoa.Internal, err, "the report cannot be written")
		}
	}
	if found.Manifest != nil {
		if out.Manifest, err = found.Manifest.JSON(); err != nil {
			return childAnswer{}, err
		}
	}
	return childAnswer{Inspection: out}, nil
}

// previews asks the worker of an account's own models, which decodes pictures as
// it does for calls.
type previews struct{ fleet *fleet.Fleet }

// previewTime bounds a preview: that of a large picture takes a second.
const previewTime = time.Minute

// Preview shows a picture as a network gets it.
func (p previews) Preview(ctx context.Context, who stoa.Caller, j worker.PreviewJob) (media.Preview, error) {
	ctx, cancel := context.WithTimeout(ctx, previewTime)
	defer cancel()
	return p.fleet.Preview(ctx, who.Account, j)
}
