package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/importer"
)

// importFlags are those of stoa import.
type importFlags struct {
	out             string
	inputs, outputs []string
	checks          []string
	checkWith       string
	blobs           []string
	open            openFlags
}

// openFlags say what a model's files leave open.
type openFlags struct {
	shapes    []string
	signature string
	training  bool
}

func (f *openFlags) add(c *cobra.Command) {
	fl := c.Flags()
	fl.StringArrayVar(&f.shapes, "shape", nil, "INPUT=SIZES: the shape of an input that the files do not tell, such as x=-1,3,224,224 where -1 is free; may be repeated")
	fl.StringVar(&f.signature, "signature", "", "which signature of a SavedModel, where it has several (TensorFlow)")
	fl.BoolVar(&f.training, "training", false, "compute as in training, with statistics of the batch, where the network was saved so (Torch7, PyTorch)")
}

// set lets the flags that are there override what a manifest said.
func (f *openFlags) set(o *importer.Options) error {
	for _, s := range f.shapes {
		name, sizes, ok := strings.Cut(s, "=")
		var shape []int64
		for word := range strings.SplitSeq(sizes, ",") {
			n, err := strconv.ParseInt(strings.TrimSpace(word), 10, 64)
			ok = ok && err == nil && (n > 0 || n == -1)
			shape = append(shape, n)
		}
		if !ok || name == "" {
			return usagef("--shape %s: write INPUT=SIZES, such as x=-1,3,224,224 where -1 is free", s)
		}
		if o.Shapes == nil {
			o.Shapes = map[string][]int64{}
		}
		o.Shapes[name] = shape
	}
	if f.signature != "" {
		o.Signature = f.signature
	}
	o.Training = o.Training || f.training
	return nil
}

func (a *app) importCommand() *cobra.Command {
	var f importFlags
	c := &cobra.Command{
		Use:   "import FILE-OR-FOLDER…",
		Short: "Turn a model of any framework into ONNX",
		Long: `Read a model's files and write the same network as ONNX, with a report. A folder
may hold other files too: the model's are picked out. No server is needed. What
is not supported is listed, all of it, and nothing is written: status 2.

--check runs the result on arrays and compares its outputs with those that the
framework of origin gave, within 1e-4 of the largest number. --check-with makes
arrays of random numbers and lets a command say what is right: sh runs it with
two folders added. In the first is NAME.npy for each input of the network; into
the second it writes NAME.npy for each output. In names, what is no letter, digit,
dot, dash or underscore is an underscore.`,
		Example: `  stoa import net.prototxt net.caffemodel -o net.onnx
  stoa import mynet/ -o net.onnx --output prob --check in.npy=out.npy
  stoa import mynet/ -o net.onnx --check ids.npy,mask.npy=scores.npy
  stoa import mynet/ -o net.onnx --check-with 'python3 old_framework.py'`,
		Args: cobra.MinimumNArgs(1),
	}
	fl := c.Flags()
	fl.StringVarP(&f.out, "out", "o", "", "the ONNX file to write")
	fl.StringArrayVar(&f.inputs, "input", nil, "begin the network at this tensor; may be repeated")
	fl.StringArrayVar(&f.outputs, "output", nil, "end the network at this tensor; may be repeated")
	fl.StringArrayVar(&f.checks, "check", nil, "IN.npy=OUT.npy: run the result on IN and compare with OUT; several inputs or outputs with commas, in the network's order; may be repeated")
	fl.StringVar(&f.checkWith, "check-with", "", "COMMAND that computes what is right: it reads npy files and writes npy files")
	fl.StringArrayVar(&f.blobs, "blob", nil, "LAYER.INDEX=FILE.npy: replace a layer's weights (Caffe); may be repeated")
	f.open.add(c)
	asJSON := jsonFlag(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		done, err := a.importAndCheck(c.Context(), args, f)
		if refused, ok := errors.AsType[*importer.RefusedError](err); ok {
			if *asJSON {
				if err := printJSON(a.env.Stdout, refused.Report); err != nil {
					return err
				}
			}
			return a.refused(refused)
		}
		if err != nil {
			return err
		}
		if *asJSON {
			err = printJSON(a.env.Stdout, done)
		} else {
			err = done.print(a.env.Stdout)
		}
		if off := done.off(); err == nil && len(off) > 0 {
			fmt.Fprintf(a.env.Stderr, "stoa: the network's answers are not those wanted: %s\n", strings.Join(off, "; "))
			return silentError{}
		}
		return err
	}
	return c
}

// refused lists what of a network is not supported, a line each.
func (a *app) refused(r *importer.RefusedError) error {
	fmt.Fprintf(a.env.Stderr, "stoa: %s: nothing was written, since this is not supported:\n", strings.Join(r.Report.Files, ", "))
	for _, what := range r.Report.Unsupported {
		fmt.Fprintf(a.env.Stderr, "  %s\n", what)
	}
	return unsupportedError{silentError{}}
}

// importAndCheck does the whole of stoa import.
func (a *app) importAndCheck(ctx context.Context, args []string, f importFlags) (*imported, error) {
	if f.out == "" {
		return nil, usagef("say where to write the network: add -o net.onnx")
	}
	cases, err := parseCases(f.checks)
	if err != nil {
		return nil, err
	}
	if (len(cases) > 0 || f.checkWith != "") && a.deps.CheckONNX == nil {
		return nil, missing("ONNX Runtime, which --check needs")
	}
	src, opt, err := importSource(args)
	if err != nil {
		return nil, err
	}
	if err := setImportOptions(&opt, f); err != nil {
		return nil, err
	}
	r, err := a.importTo(ctx, src, opt, f.out)
	if err != nil {
		return nil, err
	}
	if f.checkWith != "" {
		made, done, err := a.ask(ctx, f.checkWith, &r)
		if err != nil {
			return nil, err
		}
		defer done()
		cases = append(cases, made)
	}
	if len(cases) > 0 {
		compared, err := a.deps.CheckONNX(ctx, f.out, cases)
		if err != nil {
			return nil, err
		}
		r.Check = &importer.Check{Compared: compared}
	}
	return &imported{r, f.out}, nil
}

// imported is what import tells.
type imported struct {
	importer.Report
	Out string `json:"out"`
}

func (i *imported) print(w io.Writer) error {
	err := printReport(w, &i.Report)
	fmt.Fprintf(w, "wrote %s\n", i.Out)
	return err
}

// off names the outputs that are not what they should be.
func (i *imported) off() []string {
	if i.Check == nil {
		return nil
	}
	var out []string
	for _, c := range i.Check.Compared {
		if !c.OK {
			out = append(out, fmt.Sprintf("%s is off by %.3g of its scale, over %.3g (%s)", c.Output, c.MaxRel, c.Tolerance, c.Wanted))
		}
	}
	return out
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
		if stoa.KindOf(err) == stoa.Unsupported && !errors.As(err, new(*importer.RefusedError)) {
			err = unsupportedError{err}
		}
		return importer.Report{}, err
	}
	defer im.Close()
	return im.Report, im.WriteFile(out)
}

// setImportOptions lets flags override what a manifest said.
func setImportOptions(o *importer.Options, f importFlags) error {
	if len(f.inputs) > 0 {
		o.Inputs = f.inputs
	}
	if len(f.outputs) > 0 {
		o.Outputs = f.outputs
	}
	for _, b := range f.blobs {
		layer, file, ok := strings.Cut(b, "=")
		if !ok || layer == "" || file == "" {
			return usagef("--blob %s: write LAYER.INDEX=FILE.npy, such as class8_ab.0=pts_in_hull.npy", b)
		}
		if o.Blobs == nil {
			o.Blobs = map[string]string{}
		}
		o.Blobs[layer] = file
	}
	return f.open.set(o)
}

func parseCases(checks []string) ([]importer.Case, error) {
	var out []importer.Case
	for _, c := range checks {
		in, want, ok := strings.Cut(c, "=")
		one := importer.Case{Inputs: strings.Split(in, ","), Outputs: strings.Split(want, ",")}
		if !ok || slices.Contains(one.Inputs, "") || slices.Contains(one.Outputs, "") {
			return nil, usagef("--check %s: write IN.npy=OUT.npy, or IN1.npy,IN2.npy=OUT.npy", c)
		}
		out = append(out, one)
	}
	return out, nil
}
