package cli

import (
	"context"
	"slices"
	"strings"

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
	asJSON := jsonFlag(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		j, err := importJob(args)
		if err != nil {
			return err
		}
		r, err := a.runImport(c.Context(), j)
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

func (a *app) runImport(ctx context.Context, j ImportJob) (importer.Report, error) {
	if a.deps.Import == nil {
		return importer.Report{}, missing("importer")
	}
	return a.deps.Import(ctx, j)
}

// importJob makes a job of the paths of a command line. Where they are a folder
// with a manifest, that says which files are the model's.
func importJob(paths []string) (ImportJob, error) {
	src, err := openSource(paths)
	if err != nil {
		return ImportJob{}, err
	}
	j := ImportJob{Source: src.fsys()}
	if src.dir == "" {
		for n := range src.files {
			j.Options.Files = append(j.Options.Files, n)
		}
		slices.SortFunc(j.Options.Files, strings.Compare)
		return j, nil
	}
	text, found, err := src.readManifest()
	if err != nil || !found {
		return j, err
	}
	m, err := manifest.Parse(manifest.FileName, []byte(text))
	if err != nil {
		return j, err
	}
	if m.Model != nil {
		j.Options = importer.Options{Files: m.Model.Files, Inputs: m.Model.Inputs, Outputs: m.Model.Outputs, Blobs: m.Model.Blobs}
	}
	return j, nil
}
