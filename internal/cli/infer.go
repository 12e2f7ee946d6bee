package cli

import (
	"context"
	"strings"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/importer"
	"github.com/stoa-project/stoa/internal/sketch"
)

// sketch makes the manifest that a model's files suggest. A network that is not
// supported in all its parts is refused.
func (a *app) sketch(ctx context.Context, src *source, name string, opt importer.Options) (sketch.Sketch, error) {
	if len(a.deps.Plugs) == 0 {
		return sketch.Sketch{}, missing("importer")
	}
	fsys, done, err := src.models()
	if err != nil {
		return sketch.Sketch{}, err
	}
	defer done()
	opt.Files = src.candidates()
	s, err := sketch.Of(ctx, a.deps.Plugs, fsys, sketch.Options{Name: name, Import: opt})
	if err != nil {
		return s, err
	}
	if un := s.Report.Unsupported; len(un) > 0 {
		return s, stoa.Errorf(stoa.Unsupported, "%s: not supported: %s", strings.Join(s.Report.Files, ", "), strings.Join(un, "; "))
	}
	return s, nil
}
