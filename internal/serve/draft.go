package serve

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/catalog"
	"github.com/stoa-project/stoa/internal/fleet"
	"github.com/stoa-project/stoa/internal/importer"
	"github.com/stoa-project/stoa/internal/manifest"
	"github.com/stoa-project/stoa/internal/media"
	"github.com/stoa-project/stoa/internal/schema"
	"github.com/stoa-project/stoa/internal/sketch"
	"github.com/stoa-project/stoa/internal/worker"
	"github.com/stoa-project/stoa/internal/worker/langpack"
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

// Inspect says what the files of a draft are; see catalog.Inspector. Of code it
// reads stoa.yaml and the names of the files; for all else it runs an import
// child that only looks, and what that knows nothing of may be code that has no
// stoa.yaml yet.
func (i *inspector) Inspect(ctx context.Context, j catalog.InspectJob) (catalog.Inspection, error) {
	if in, is, err := i.givenCode(j.Dir); is || err != nil {
		return in, err
	}
	in, err := i.look(ctx, j)
	if err != nil || in.Report != nil || in.Manifest != nil || !unrecognised(in.Problems) {
		return in, err
	}
	return i.foundCode(j, in)
}

// look runs an import child. One that dies of the files is a problem of theirs,
// and no failure.
func (i *inspector) look(ctx context.Context, j catalog.InspectJob) (catalog.Inspection, error) {
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

// unrecognised tells whether an import child knew nothing among the files.
func unrecognised(all []manifest.Problem) bool {
	return len(all) == 1 && strings.HasPrefix(all[0].Msg, "no model was recognised")
}

// kindCode finds the kind in a stoa.yaml that cannot be read.
var kindCode = regexp.MustCompile(`(?m)^kind:[ \t]*["']?code\b`)

// givenCode reads the stoa.yaml of a draft; is tells whether it is one of code.
func (i *inspector) givenCode(dir string) (in catalog.Inspection, is bool, err error) {
	f, err := os.Open(filepath.Join(dir, manifest.FileName))
	if errors.Is(err, fs.ErrNotExist) {
		return in, false, nil
	}
	if err != nil {
		return in, false, stoa.Wrap(stoa.Internal, err, "%s of the draft cannot be read", manifest.FileName)
	}
	defer f.Close()
	const most = 1<<20 + 1 // one more than Parse takes: it says so
	text, err := io.ReadAll(io.LimitReader(f, most))
	if err != nil {
		return in, false, stoa.Wrap(stoa.Internal, err, "%s of the draft cannot be read", manifest.FileName)
	}
	m, err := manifest.Parse(manifest.FileName, text)
	if p, ok := errors.AsType[*manifest.ParseError](err); ok && kindCode.Match(text) {
		return catalog.Inspection{Problems: p.Problems}, true, nil
	}
	if err != nil || m.Kind != manifest.KindCode {
		return in, false, nil // the import child has the words for it
	}
	in = catalog.Inspection{YAML: string(text), Given: true}
	if in.Manifest, err = m.JSON(); err != nil {
		return in, true, err
	}
	in.Problems = i.codeProblems(dir, text, m)
	return in, true, nil
}

// codeProblems tells what stands in the way of building code, as far as that can
// be told from its manifest and the names of its files.
func (i *inspector) codeProblems(dir string, text []byte, m *manifest.Manifest) []manifest.Problem {
	src := os.DirFS(dir)
	out := manifest.Fit(text, m, media.Graph{}, manifest.Files{Has: func(name string) bool {
		_, err := fs.Stat(src, name)
		return err == nil
	}})
	add := func(err error) {
		if err != nil {
			out = append(out, manifest.Problem{Msg: stoa.AsError(err).Msg})
		}
	}
	add(i.build.mayReach(m))
	if m.Schema != nil {
		for _, s := range []struct {
			field string
			value any
		}{{"schema.input", m.Schema.Input}, {"schema.output", m.Schema.Output}} {
			_, err := schema.Compile(s.field, s.value)
			add(err)
		}
	}
	lang, err := langpack.Detect(src, m)
	if err == nil {
		_, err = lang.Recipe(m, src)
	}
	add(err)
	return out
}

// foundCode makes the manifest of source that has none, where its files tell the
// language. none is what is said where they do not.
func (i *inspector) foundCode(j catalog.InspectJob, none catalog.Inspection) (catalog.Inspection, error) {
	src := os.DirFS(j.Dir)
	lang, err := langpack.Detect(src, nil)
	if err != nil {
		if msg := stoa.AsError(err).Msg; strings.HasPrefix(msg, "no language is recognised") {
			none.Problems[0].Msg += "; nor is it code in a language that is known here: stoa init --language LANGUAGE NAME begins that"
		} else {
			none.Problems = append(none.Problems, manifest.Problem{Msg: "as code: " + msg})
		}
		return none, nil
	}
	m := &manifest.Manifest{Name: j.Name, Kind: manifest.KindCode, Code: &manifest.Code{Language: lang.Name()}}
	if conf, err := langpack.ReadConf(src); err == nil && conf != nil && conf.Name != "" {
		m.Name = conf.Name
	}
	if m.Name == "" {
		m.Name = lang.Name()
	}
	m.Name = sketch.Name(m.Name)
	comments := manifest.Comments{"": "What this algorithm is, as its files suggest it. See docs/manifest.md.", "code.language": "found out from the files"}
	in := catalog.Inspection{}
	if r, err := lang.Recipe(m, src); err != nil {
		in.Problems = append(in.Problems, manifest.Problem{Msg: stoa.AsError(err).Msg})
	} else if anyThere(src, r.Locks) {
		m.Code.Build = &manifest.CodeBuild{Network: true}
		comments["code.build"] = "the build fetches the dependencies that the files name"
	}
	text := manifest.Marshal(m, comments)
	in.YAML = string(text)
	in.Manifest, err = m.JSON()
	return in, err
}

// anyThere tells whether a file has the name of one of the patterns.
func anyThere(src fs.FS, patterns []string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool {
		found, err := fs.Glob(src, p)
		return err == nil && len(found) > 0
	})
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
