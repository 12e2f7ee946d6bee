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
	"github.com/stoa-project/stoa/internal/build"
	"github.com/stoa-project/stoa/internal/importer"
	"github.com/stoa-project/stoa/internal/manifest"
)

func (a *app) pushCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "push PATHS…",
		Short: "Publish a model or code as a new version of an algorithm",
		Long: `Publish a folder with a stoa.yaml, or one without: what can be found out from the
files of a model, from Algorithmia's algorithmia.conf, or from a folder of code
is written into a manifest, which is printed.

Of a model are sent the files that stoa.yaml names, README, LICENSE and NOTICE
files, and samples/; of code the whole folder, without what code.ignore names
and what the language never takes along (node_modules, __pycache__, venv).
Hidden files stay. Content that the server has already is not sent again, and
the same content twice makes no new version.

The server imports the model, or builds the code, whose log is printed as it
comes, and tries the sample: what fails is not published. All of that runs in
the server's sandbox, and so do the calls later: "stoa doctor" on the server's
machine says what that protects.`,
		Example: `  stoa push demo/digits
  stoa push net.prototxt net.caffemodel --as me/net
  stoa push hello                            # a folder of code with a stoa.yaml
  stoa push old-algorithm --as me/old        # of Algorithmia, or plain code
  stoa push . --bump revision`,
		Args: cobra.MinimumNArgs(1),
	}
	as := c.Flags().String("as", "", "publish as this algorithm, owner/name; owner me is you")
	bump := c.Flags().String("bump", "", "which part of the version to raise: major, minor (default) or revision")
	quiet := c.Flags().BoolP("quiet", "q", false, "print neither progress nor the log of a build")
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
		r, m, err := a.collect(c.Context(), args, naming{as: *as})
		if err != nil {
			return err
		}
		r.As, r.Bump = *as, *bump
		cl, err := a.client()
		if err != nil {
			return err
		}
		t := teller{w: a.env.Stderr, bars: a.env.StderrTTY && !*quiet, log: !*quiet && !*asJSON, code: m.Kind == manifest.KindCode}
		r.Progress = t.told
		p, err := cl.Push(c.Context(), r)
		t.end()
		if err != nil {
			return t.failed(err)
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

// naming says what an algorithm may be called.
type naming struct {
	as    string // whatever its manifest says; "" for that
	name  string // where neither its manifest nor its files say it; "" is a mistake of the command line then
	quiet bool   // do not show a manifest that was made
}

// collect gives the bundle that paths name, checked as far as this machine can,
// and its manifest.
func (a *app) collect(ctx context.Context, paths []string, n naming) (client.PushRequest, *manifest.Manifest, error) {
	src, err := openSource(paths)
	if err != nil {
		return client.PushRequest{}, nil, err
	}
	text, found, err := src.readManifest()
	if err != nil {
		return client.PushRequest{}, nil, err
	}
	if !found {
		if text, err = a.guessed(ctx, src, paths[0], n); err != nil {
			return client.PushRequest{}, nil, err
		}
	}
	name := manifest.FileName
	if src.dir != "" {
		name = filepath.Join(src.dir, name)
	}
	m, err := manifest.Parse(name, []byte(text))
	if err != nil {
		return client.PushRequest{}, nil, err
	}
	if m.Name == "" && n.as == "" && n.name == "" {
		return client.PushRequest{}, nil, usagef("%s has no name: add one there, or --as owner/name", name)
	}
	files, err := src.filesOf(m)
	if err != nil {
		return client.PushRequest{}, nil, err
	}
	r := client.PushRequest{Manifest: text}
	for _, n := range slices.Sorted(maps.Keys(files)) {
		r.Files = append(r.Files, client.PushFile{Name: n, Path: files[n]})
	}
	return r, m, nil
}

// guessed makes a manifest where there is none, and shows it.
func (a *app) guessed(ctx context.Context, src *source, path string, n naming) (string, error) {
	conf, err := src.conf()
	if err != nil {
		return "", err
	}
	name := strings.TrimPrefix(n.as, "me/")
	if conf == nil { // it has a name of its own
		name = firstOf(name, n.name)
	}
	if name == "" && conf == nil {
		return "", usagef("%s has no %s: add --as owner/name to publish the model or code alone, or make one with stoa init", path, manifest.FileName)
	}
	text, from, err := a.guess(ctx, src, name, importer.Options{})
	if err != nil {
		return "", err
	}
	if n.quiet {
		return text, nil
	}
	fmt.Fprintf(a.env.Stderr, "no %s, so this one was made from %s (stoa init would keep it):\n\n%s\n", manifest.FileName, from, text)
	return text, nil
}

// filesOf gives the files of the bundle that a manifest makes of the source.
func (s *source) filesOf(m *manifest.Manifest) (map[string]string, error) {
	if m.Kind == manifest.KindCode {
		return s.codeFiles(m)
	}
	return s.bundleFiles(m.FileNames())
}

// teller tells how a push goes.
type teller struct {
	w    io.Writer
	bars bool // on a terminal
	log  bool // what the build prints, wherever it is read
	code bool

	bar  *progressbar.ProgressBar
	step string
	said string // the end of the log, as it came
}

// told takes one thing more.
func (t *teller) told(p client.Progress) {
	if p.Step != t.step {
		t.end()
		t.step = p.Step
		switch {
		case !t.bars:
		case p.Step != client.Building:
			t.bar = newBar(t.w, p)
		case t.code:
			fmt.Fprintln(t.w, "the server builds the code and tries it …")
		default:
			fmt.Fprintln(t.w, "the server imports the model and tries it …")
		}
	}
	if t.bar != nil {
		_ = t.bar.Set64(p.Done) // a bar that cannot be drawn is no failure
	}
	if !t.log {
		return
	}
	const most = 64 << 10 // above the longest message of a failed build
	t.said += p.Log
	t.said = t.said[max(0, len(t.said)-most):]
	for line := range strings.Lines(p.Log) {
		fmt.Fprintln(t.w, printable(strings.TrimRight(line, "\r\n")))
	}
}

// failed gives the error of a push without the end of the log, where that was
// told already.
func (t *teller) failed(err error) error {
	e := stoa.AsError(err)
	if e == nil || e.Type != build.BuildError {
		return err
	}
	what, end, _ := strings.Cut(e.Msg, "\n")
	if end = strings.TrimSpace(end); end == "" || !strings.HasSuffix(strings.TrimSpace(t.said), end) {
		return err
	}
	short := *e
	short.Msg = strings.TrimSuffix(what, "; the log ends with:")
	return &short
}

// end takes the bar away.
func (t *teller) end() {
	if t.bar != nil {
		_ = t.bar.Finish() // as above
		t.bar = nil
	}
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
