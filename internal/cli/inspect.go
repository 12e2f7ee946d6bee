package cli

import (
	"context"
	"slices"

	"github.com/spf13/cobra"

	"github.com/stoa-project/stoa/internal/importer"
	"github.com/stoa-project/stoa/internal/manifest"
)

func (a *app) inspectCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "inspect FILE-OR-FOLDER…",
		Short: "Say what a model is, without running it",
		Long: `Say of a model's files what format they have (by their content, not their names),
what goes in and out, its layers, parameters, work and memory, and what of it is
not supported. No server is needed.`,
		Example: `  stoa inspect net.prototxt net.caffemodel
  stoa inspect model.onnx --json`,
		Args: cobra.MinimumNArgs(1),
	}
	var open openFlags
	open.add(c)
	asJSON := jsonFlag(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		src, opt, err := importSource(args)
		if err != nil {
			return err
		}
		if err := open.set(&opt); err != nil {
			return err
		}
		r, err := a.inspect(c.Context(), src, opt)
		if err != nil {
			return err
		}
		if *asJSON {
			return printJSON(a.env.Stdout, r)
		}
		return printReport(a.env.Stdout, &r)
	}
	return c
}

// inspect reads a model and gives its report, which lists what is not supported.
func (a *app) inspect(ctx context.Context, src *source, opt importer.Options) (importer.Report, error) {
	if len(a.deps.Plugs) == 0 {
		return importer.Report{}, missing("importer")
	}
	fsys, done, err := src.models()
	if err != nil {
		return importer.Report{}, err
	}
	defer done()
	return importer.Inspect(ctx, a.deps.Plugs, fsys, opt)
}

// importSource gives the source that a command line names. Where it is a folder
// with a manifest, that says which files are the model's.
func importSource(paths []string) (*source, importer.Options, error) {
	src, err := openSource(paths)
	if err != nil {
		return nil, importer.Options{}, err
	}
	if src.dir == "" {
		return src, importer.Options{Files: src.candidates()}, nil
	}
	text, found, err := src.readManifest()
	if err != nil || !found {
		return src, importer.Options{}, err
	}
	m, err := manifest.Parse(manifest.FileName, []byte(text))
	if err != nil || m.Model == nil {
		return src, importer.Options{}, err
	}
	return src, importer.OptionsOf(m.Model), nil
}

// candidates are the files, of those that were named singly, that may hold the
// model.
func (s *source) candidates() []string {
	var out []string
	for n := range s.files {
		if !manifest.IsPaper(n) && !manifest.IsHidden(n) {
			out = append(out, n)
		}
	}
	slices.Sort(out)
	return out
}
