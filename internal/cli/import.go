package cli

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/stoa-project/stoa/internal/importer"
)

func (a *app) importCommand() *cobra.Command {
	var out string
	var inputs, outputs, checks, blobs []string
	c := &cobra.Command{
		Use:   "import FILE-OR-FOLDER…",
		Short: "Turn a model of any framework into ONNX",
		Long: `Read a model's files and write the same network as ONNX, with a report. A folder
may hold other files too: the model's are picked out. No server is needed.

--check runs the result on an array and compares its answer with another.`,
		Example: `  stoa import net.prototxt net.caffemodel -o net.onnx
  stoa import mynet/ -o net.onnx --output prob --check in.npy=out.npy`,
		Args: cobra.MinimumNArgs(1),
	}
	fl := c.Flags()
	fl.StringVarP(&out, "out", "o", "", "the ONNX file to write")
	fl.StringArrayVar(&inputs, "input", nil, "begin the network at this tensor; may be repeated")
	fl.StringArrayVar(&outputs, "output", nil, "end the network at this tensor; may be repeated")
	fl.StringArrayVar(&checks, "check", nil, "IN.npy=OUT.npy: run the result on IN and compare with OUT; may be repeated")
	fl.StringArrayVar(&blobs, "blob", nil, "LAYER.INDEX=FILE.npy: replace a layer's weights (Caffe); may be repeated")
	asJSON := jsonFlag(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		if out == "" {
			return usagef("say where to write the network: add -o net.onnx")
		}
		pairs, err := parsePairs(checks)
		if err != nil {
			return err
		}
		if len(pairs) > 0 && a.deps.CheckONNX == nil {
			return missing("ONNX Runtime, which --check needs")
		}
		src, opt, err := importSource(args)
		if err != nil {
			return err
		}
		if err := setImportOptions(&opt, inputs, outputs, blobs); err != nil {
			return err
		}
		r, err := a.importTo(c.Context(), src, opt, out)
		if err != nil {
			return err
		}
		var checked *ONNXCheckResult
		if len(pairs) > 0 {
			res, err := a.deps.CheckONNX(c.Context(), ONNXCheck{Model: out, Pairs: pairs})
			if err != nil {
				return err
			}
			checked = &res
		}
		done := imported{r, out, checked}
		if *asJSON {
			err = printJSON(a.env.Stdout, done)
		} else {
			err = done.print(a.env.Stdout)
		}
		if err == nil && checked != nil && !checked.OK {
			fmt.Fprintf(a.env.Stderr, "stoa: the network's answer is not the one given with --check (largest difference %.3g)\n", checked.MaxDiff)
			return silentError{}
		}
		return err
	}
	return c
}

// imported is what import tells.
type imported struct {
	importer.Report
	Out   string           `json:"out"`
	Check *ONNXCheckResult `json:"check,omitempty"`
}

func (i *imported) print(w io.Writer) error {
	err := printReport(w, &i.Report)
	fmt.Fprintf(w, "wrote %s\n", i.Out)
	if i.Check != nil {
		fmt.Fprintf(w, "check: largest difference %.3g %s\n", i.Check.MaxDiff, i.Check.Notes)
	}
	return err
}

// importTo writes a model as ONNX and gives its report.
func (a *app) importTo(ctx context.Context, src *source, opt importer.Options, out string) (importer.Report, error) {
	if len(a.deps.Plugs) == 0 {
		return importer.Report{}, missing("importer")
	}
	fsys, done, err := src.models()
	if err != nil {
		return importer.Report{}, err
	}
	defer done()
	im, err := importer.Import(ctx, a.deps.Plugs, fsys, opt)
	if err != nil {
		return importer.Report{}, err
	}
	defer im.Close()
	return im.Report, im.WriteFile(out)
}

// setImportOptions lets flags override what a manifest said.
func setImportOptions(o *importer.Options, inputs, outputs, blobs []string) error {
	if len(inputs) > 0 {
		o.Inputs = inputs
	}
	if len(outputs) > 0 {
		o.Outputs = outputs
	}
	for _, b := range blobs {
		layer, file, ok := strings.Cut(b, "=")
		if !ok || layer == "" || file == "" {
			return usagef("--blob %s: write LAYER.INDEX=FILE.npy, such as class8_ab.0=pts_in_hull.npy", b)
		}
		if o.Blobs == nil {
			o.Blobs = map[string]string{}
		}
		o.Blobs[layer] = file
	}
	return nil
}

func parsePairs(checks []string) ([]Pair, error) {
	var out []Pair
	for _, c := range checks {
		in, want, ok := strings.Cut(c, "=")
		if !ok || in == "" || want == "" {
			return nil, usagef("--check %s: write IN.npy=OUT.npy", c)
		}
		out = append(out, Pair{Input: in, Want: want})
	}
	return out, nil
}
