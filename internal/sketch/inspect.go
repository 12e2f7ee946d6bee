package sketch

import (
	"context"
	"errors"
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
			opt = importer.OptionsOf(out.Manifest.Model)
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
	s, err := of(r, src, Options{Name: Name(name), Import: opt})
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

// fits checks a stoa.yaml that was given beside its files and the network.
func (i *Inspection) fits(src fs.FS) {
	if len(i.Problems) > 0 {
		return // the rest follows from these
	}
	i.Problems = manifest.Fit([]byte(i.Text), i.Manifest, media.Graph{Inputs: i.Report.Inputs, Outputs: i.Report.Outputs}, manifest.Files{
		Has: func(name string) bool {
			_, err := fs.Stat(src, name)
			return err == nil
		},
		Read: func(name string) ([]byte, error) {
			f, err := src.Open(name)
			if err != nil {
				return nil, err
			}
			defer f.Close()
			return io.ReadAll(io.LimitReader(f, maxLabels))
		},
	})
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
