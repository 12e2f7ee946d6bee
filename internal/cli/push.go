package cli

import (
	"context"
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/client"
	"github.com/stoa-project/stoa/internal/importer"
	"github.com/stoa-project/stoa/internal/manifest"
)

func (a *app) pushCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "push PATHS…",
		Short: "Publish a model as a new version of an algorithm",
		Long: `Publish a folder with a stoa.yaml, or the files of a model without one: what can
be found out from them is written into a manifest, which is printed.

Everything is checked before it is sent, and the server tries the model before
it publishes it. What is sent: the files that stoa.yaml names, README, LICENSE
and NOTICE files, and samples/. Hidden files are not. Content that the server
has already is not sent again, and the same content twice makes no new version.

Publish only files that you trust: workers are not sandboxed yet.`,
		Example: `  stoa push demo/digits
  stoa push net.prototxt net.caffemodel --as me/net
  stoa push . --bump revision`,
		Args: cobra.MinimumNArgs(1),
	}
	as := c.Flags().String("as", "", "publish as this algorithm, owner/name; owner me is you")
	bump := c.Flags().String("bump", "", "which part of the version to raise: major, minor (default) or revision")
	asJSON := jsonFlag(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		if *as != "" {
			if ref, err := stoa.ParseRef(*as); err != nil || !ref.Version.IsZero() {
				return usagef("--as %s: write owner/name, such as me/net", *as)
			}
		}
		if _, err := stoa.ParseBump(*bump); err != nil {
			return usagef("--%s", stoa.AsError(err).Msg)
		}
		r, err := a.collect(c.Context(), args, *as)
		if err != nil {
			return err
		}
		r.As, r.Bump = *as, *bump
		cl, err := a.client()
		if err != nil {
			return err
		}
		progress, done := a.progress()
		r.Progress = progress
		p, err := cl.Push(c.Context(), r)
		done()
		if err != nil {
			return err
		}
		if *asJSON {
			return printJSON(a.env.Stdout, p)
		}
		news := "is new"
		if !p.New {
			news = "is there already, with this very content"
		}
		fmt.Fprintf(a.env.Stdout, "%s/%s %s %s (%s)\n%s\n", p.Owner, p.Name, p.Version, news, p.Visibility, p.URL)
		return nil
	}
	return c
}

// collect gives the bundle that paths name, checked as far as this machine can.
func (a *app) collect(ctx context.Context, paths []string, as string) (client.PushRequest, error) {
	src, err := openSource(paths)
	if err != nil {
		return client.PushRequest{}, err
	}
	text, found, err := src.readManifest()
	if err != nil {
		return client.PushRequest{}, err
	}
	if !found {
		if as == "" {
			return client.PushRequest{}, usagef("%s has no %s: add --as owner/name to publish the model alone, or make one with stoa init", paths[0], manifest.FileName)
		}
		if text, err = a.infer(ctx, src, strings.TrimPrefix(as, "me/"), importer.Options{}); err != nil {
			return client.PushRequest{}, err
		}
		fmt.Fprintf(a.env.Stderr, "no %s, so this one was made (stoa init would keep it):\n\n%s\n", manifest.FileName, text)
	}
	name := manifest.FileName
	if src.dir != "" {
		name = filepath.Join(src.dir, name)
	}
	m, err := manifest.Parse(name, []byte(text))
	if err != nil {
		return client.PushRequest{}, err
	}
	if m.Name == "" && as == "" {
		return client.PushRequest{}, usagef("%s has no name: add one there, or --as owner/name", name)
	}
	files, err := src.bundleFiles(m.FileNames())
	if err != nil {
		return client.PushRequest{}, err
	}
	r := client.PushRequest{Manifest: text}
	for _, n := range slices.Sorted(maps.Keys(files)) {
		r.Files = append(r.Files, client.PushFile{Name: n, Path: files[n]})
	}
	return r, nil
}

// progress gives what tells a push's progress on a terminal, and what ends the
// telling. Elsewhere both do nothing.
func (a *app) progress() (func(client.Progress), func()) {
	if !a.env.StderrTTY {
		return nil, func() {}
	}
	var bar *progressbar.ProgressBar
	step := ""
	end := func() {
		if bar != nil {
			_ = bar.Finish() // a bar that cannot be drawn is no failure
			bar = nil
		}
	}
	return func(p client.Progress) {
		if p.Step != step {
			end()
			step = p.Step
			if p.Step == client.Building {
				fmt.Fprintln(a.env.Stderr, "the server imports the model and tries it …")
				return
			}
			bar = newBar(a.env.Stderr, p)
		}
		if bar != nil {
			_ = bar.Set64(p.Done) // as above
		}
	}, end
}

func newBar(w io.Writer, p client.Progress) *progressbar.ProgressBar {
	name := map[string]string{client.Hashing: "reading  ", client.Uploading: "uploading"}[p.Step]
	return progressbar.NewOptions64(p.Total,
		progressbar.OptionSetWriter(w),
		progressbar.OptionSetDescription(name),
		progressbar.OptionShowBytes(true),
		progressbar.OptionSetWidth(30),
		progressbar.OptionClearOnFinish(),
	)
}
