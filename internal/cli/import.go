package cli

import (
	"fmt"
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
		j, err := importJob(args)
		if err != nil {
			return err
		}
		j.Out = out
		if err := setImportOptions(&j.Options, inputs, outputs, blobs); err != nil {
			return err
		}
		r, err := a.runImport(c.Context(), j)
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
		return a.printImport(r, out, checked, *asJSON)
	}
	return c
}

func (a *app) printImport(r importer.Report, out string, checked *ONNXCheckResult, asJSON bool) error { //nolint:revive // the flag is the user's
	var err error
	if asJSON {
		err = printJSON(a.env.Stdout, struct {
			importer.Report
			Out   string           `json:"out"`
			Check *ONNXCheckResult `json:"check,omitempty"`
		}{r, out, checked})
	} else {
		err = printReport(a.env.Stdout, &r)
		fmt.Fprintf(a.env.Stdout, "wrote %s\n", out)
		if checked != nil {
			fmt.Fprintf(a.env.Stdout, "check: largest difference %.3g %s\n", checked.MaxDiff, checked.Notes)
		}
	}
	if err == nil && checked != nil && !checked.OK {
		fmt.Fprintf(a.env.Stderr, "stoa: the network's answer is not the one given with --check (largest difference %.3g)\n", checked.MaxDiff)
		return silentError{}
	}
	return err
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
