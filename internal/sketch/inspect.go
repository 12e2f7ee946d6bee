package sketch

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/importer"
	"github.com/stoa-project/stoa/internal/manifest"
	"github.com/stoa-project/stoa/internal/media"
)

// Inspection is all that can be said of the files of an algorithm without
// running it.
type Inspection struct {
	Report   *importer.Report   // nil where no model could be read
	Manifest *manifest.Manifest // stoa.yaml's, or what the files suggest; nil where neither is there
	Text     string             // the manifest as stoa.yaml
	Given    bool               // stoa.yaml is among the files, and in order
	Problems []manifest.Problem // what stands in the way of publishing; line 0 where it has none
}

// Inspect looks at the files of src. name is the algorithm's where no stoa.yaml
// gives one; "" takes the model file's.
func Inspect(ctx context.Context, plugs []importer.Plug, src fs.FS, name string) (Inspection, error) {
	var out Inspection
	text, found, err := readManifest(src)
	if err != nil {
		return out, err
	}
	var opt importer.Options
	if found {
		if out.Manifest, err = manifest.Parse(manifest.FileName, []byte(text)); err != nil {
			out.add(err)
		} else {
			out.Given, out.Text = true, text
			if m := out.Manifest.Model; m != nil {
				opt = importer.Options{Files: m.Files, Inputs: m.Inputs, Outputs: m.Outputs, Blobs: m.Blobs}
			}
		}
	}
	r, err := importer.Inspect(ctx, plugs, src, opt)
	if err != nil {
		if ctx.Err() != nil || stoa.KindOf(err) == stoa.Internal {
			return out, err
		}
		out.add(err)
		return out, nil
	}
	out.Report = &r
	for _, u := range r.Unsupported {
		out.Problems = append(out.Problems, manifest.Problem{Msg: "not supported: " + u})
	}
	if out.Given {
		out.fits(src)
		return out, nil
	}
	if name == "" && len(r.Files) > 0 {
		name = strings.TrimSuffix(path.Base(r.Files[0]), path.Ext(r.Files[0]))
	}
	s, err := of(r, src, Name(name))
	if err != nil {
		return out, err
	}
	out.Manifest, out.Text = s.Manifest, s.Text()
	return out, nil
}

// add takes an error as one problem, or as the several that it holds.
func (i *Inspection) add(err error) {
	if p, ok := errors.AsType[*manifest.ParseError](err); ok {
		i.Problems = append(i.Problems, p.Problems...)
		return
	}
	i.Problems = append(i.Problems, manifest.Problem{Msg: stoa.AsError(err).Msg})
}

// fits checks the adapters of a stoa.yaml against the network, and that the
// files which it names are there.
func (i *Inspection) fits(src fs.FS) {
	for _, name := range i.Manifest.FileNames() {
		if _, err := fs.Stat(src, name); err != nil {
			i.Problems = append(i.Problems, manifest.Problem{
				File: manifest.FileName, Msg: fmt.Sprintf("names %.100s, which is not among the files", name),
			})
		}
	}
	if len(i.Problems) > 0 {
		return // the rest follows from these
	}
	file := func(name string) ([]byte, error) {
		f, err := src.Open(name)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		return io.ReadAll(io.LimitReader(f, maxLabels))
	}
	g := media.Graph{Inputs: i.Report.Inputs, Outputs: i.Report.Outputs}
	if _, err := media.NewAdapter(i.Manifest.Input, i.Manifest.Output, g, file, media.Limits{}); err != nil {
		msg := stoa.AsError(err).Msg
		p := manifest.Problem{File: manifest.FileName, Msg: msg}
		if field, _, ok := strings.Cut(msg, ": "); ok && !strings.Contains(field, " ") {
			p.Field = field
			p.Line, p.Column = manifest.Locate([]byte(i.Text), field)
		}
		i.Problems = append(i.Problems, p)
	}
}

// readManifest gives the text of stoa.yaml; found is false where there is none.
func readManifest(src fs.FS) (text string, found bool, err error) {
	f, err := src.Open(manifest.FileName)
	if errors.Is(err, fs.ErrNotExist) {
		return "", false, nil
	}
	if err != nil {
		return "", false, stoa.Wrap(stoa.Invalid, err, "%s cannot be read: %v", manifest.FileName, err)
	}
	defer f.Close()
	const limit = 1<<20 + 1 // one more than Parse takes: it says so
	b, err := io.ReadAll(io.LimitReader(f, limit))
	if err != nil {
		return "", false, stoa.Wrap(stoa.Invalid, err, "%s cannot be read: %v", manifest.FileName, err)
	}
	return string(b), true, nil
}
