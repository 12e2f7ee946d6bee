package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"

	"github.com/spf13/cobra"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/importer"
	"github.com/stoa-project/stoa/internal/manifest"
	"github.com/stoa-project/stoa/internal/media"
	"github.com/stoa-project/stoa/internal/tensor"
)

func (a *app) previewCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "preview FILE-OR-FOLDER… [PICTURE]",
		Short: "Show what a network will see of a picture",
		Long: `Make a network's input of a picture, as its stoa.yaml says, and turn it back into
a picture for people: cropped, resized, in the network's colours. Without a
stoa.yaml the one that the files suggest is taken; without a picture, the
sample. The table gives the numbers that the network gets, channel by channel.
No server is needed.`,
		Example: `  stoa preview demo/digits -o seen.png
  stoa preview net.prototxt net.caffemodel cat.jpg -o seen.png`,
		Args: cobra.MinimumNArgs(1),
	}
	output := c.Flags().StringP("output", "o", "", "write what the network sees to this PNG file")
	name := c.Flags().String("input", "", "which input of the network; default: the first that takes a picture")
	asJSON := jsonFlag(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		p, err := a.preview(c.Context(), args, *name)
		if err != nil {
			return err
		}
		if *output != "" {
			if err := writeFile(*output, 0o644, p.PNG); err != nil {
				return err
			}
		}
		if *asJSON {
			return printJSON(a.env.Stdout, p)
		}
		if err := printPreview(a.env.Stdout, p); err != nil || *output == "" {
			return err
		}
		fmt.Fprintf(a.env.Stdout, "wrote %s\n", *output)
		return nil
	}
	return c
}

// preview shows the picture among args, or else the sample of their manifest.
func (a *app) preview(ctx context.Context, args []string, name string) (media.Preview, error) {
	picture := ""
	if last := args[len(args)-1]; len(args) > 1 && isPictureFile(last) {
		args, picture = args[:len(args)-1], last
	}
	src, err := openSource(args)
	if err != nil {
		return media.Preview{}, err
	}
	m, report, err := a.manifestOf(ctx, src)
	if err != nil {
		return media.Preview{}, err
	}
	in, spec, err := pictureInput(m, report, name)
	if err != nil {
		return media.Preview{}, err
	}
	var v stoa.Value
	switch {
	case picture != "":
		b, err := os.ReadFile(picture)
		if err != nil {
			return media.Preview{}, stoa.Wrap(stoa.NotFound, err, "%s cannot be read: %v", picture, plainCause(err))
		}
		v = stoa.Value{Type: stoa.Binary, Data: b}
	case m.Sample != nil:
		if v, err = m.Sample.Value(func(name string) ([]byte, error) { return fs.ReadFile(src.fsys(), name) }); err != nil {
			return media.Preview{}, err
		}
	default:
		return media.Preview{}, usagef("there is no sample here: name a picture after the model's files")
	}
	return media.NewPreview(ctx, in, spec, v, media.Limits{})
}

// manifestOf gives the manifest of a source, or the one that its files suggest,
// and the report on its model.
func (a *app) manifestOf(ctx context.Context, src *source) (*manifest.Manifest, importer.Report, error) {
	text, found, err := src.readManifest()
	if err != nil {
		return nil, importer.Report{}, err
	}
	if !found {
		s, err := a.sketch(ctx, src, "", importer.Options{})
		return s.Manifest, s.Report, err
	}
	m, err := manifest.Parse(manifest.FileName, []byte(text))
	if err != nil {
		return nil, importer.Report{}, err
	}
	r, err := a.inspect(ctx, src, importer.OptionsOf(m.Model))
	return m, r, err
}

// pictureInput finds the adapter of an input that takes a picture, and the
// network's input that it is for.
func pictureInput(m *manifest.Manifest, r importer.Report, name string) (media.Input, tensor.Spec, error) {
	i := slices.IndexFunc(m.Input, func(in media.Input) bool { return in.Picture != nil && (name == "" || in.Name == name) })
	if i < 0 && name != "" && len(m.Input) == 1 && m.Input[0].Picture != nil && m.Input[0].Name == "" && len(r.Inputs) == 1 && r.Inputs[0].Name == name {
		i = 0 // the only one need not be named in the manifest
	}
	if i < 0 {
		if name != "" {
			name = " " + name
		}
		return media.Input{}, tensor.Spec{}, stoa.Errorf(stoa.Unsupported, "no input%s takes a picture: give it one in %s (input: - picture: {…})", name, manifest.FileName)
	}
	in := m.Input[i]
	k := slices.IndexFunc(r.Inputs, func(s tensor.Spec) bool { return in.Name == "" || s.Name == in.Name })
	if k < 0 {
		return in, tensor.Spec{}, stoa.Errorf(stoa.Invalid, "input[%d].name: the network has no input %q", i, in.Name)
	}
	return in, r.Inputs[k], nil
}

func isPictureFile(path string) bool {
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	head := make([]byte, 16)
	n, err := io.ReadFull(f, head)
	return (err == nil || errors.Is(err, io.ErrUnexpectedEOF)) && media.IsPicture(head[:n])
}

// printPreview prints the numbers that a network gets.
func printPreview(w io.Writer, p media.Preview) error {
	fmt.Fprintf(w, "%s %s, %s\n", p.DType, tensor.ShapeString(p.Shape), p.Layout)
	rows := [][]string{{"CHANNEL", "MIN", "MEAN", "MAX"}}
	for _, c := range p.Channels {
		rows = append(rows, []string{c.Name, fmt.Sprintf("%.4g", c.Min), fmt.Sprintf("%.4g", c.Mean), fmt.Sprintf("%.4g", c.Max)})
	}
	return table(w, rows)
}
