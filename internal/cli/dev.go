package cli

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/stoa-project/stoa/client"
)

// Server is a server that runs within this process.
type Server struct {
	URL, Key string                          // where it is, and its administrator's key
	Run      func(ctx context.Context) error // serves until ctx ends; then all that it started is gone
}

// devOwner is the account that a folder is published for by stoa dev.
const devOwner = "dev"

// devFlags are those of stoa dev.
type devFlags struct {
	input, inputJSON, file string
	output                 string
	timeout                time.Duration
	secrets                []string // NAME=VALUE or NAME
	also                   []string // folders that are published beside
	once, json             bool
	server                 ServeOptions
}

func (a *app) devCommand() *cobra.Command {
	var f devFlags
	c := &cobra.Command{
		Use:   "dev [DIR]",
		Short: "Build and run a folder as the server would, again at every save",
		Long: `Build a folder of code in the sandbox, start it, call it with its sample, and
print the answer, what the code printed, and how long it took; at every save do
it again. Sandbox, protocol and limits are those of "stoa serve", which runs for
this folder alone, on a port of its own and on a data folder that goes when the
command ends. Other programs may call it meanwhile, at the URL that is printed,
and what it prints then is shown too.

The answer goes to standard output, all else to standard error. Without a sample
in stoa.yaml, and without --input, --input-json or --file, it is built and
started, and not called. Dependencies are kept below the user's cache folder, so
that the next time finds them.`,
		Example: `  stoa dev hello
  stoa dev . --input Ada
  stoa dev . --once --file photo.jpg --output new.jpg
  stoa dev . --secret TOKEN                  # its value is that of the variable TOKEN here
  stoa dev postcard --also demo/places       # what it calls, under its own name`,
		Args: cobra.MaximumNArgs(1),
	}
	fl := c.Flags()
	fl.StringVar(&f.input, "input", "", "call it with this text")
	fl.StringVar(&f.inputJSON, "input-json", "", "call it with this JSON value")
	fl.StringVar(&f.file, "file", "", "call it with this file, whose type is told by its name")
	fl.StringVarP(&f.output, "output", "o", "", "write the answer to this file")
	fl.DurationVar(&f.timeout, "timeout", 0, "the longest a call may take, such as 30s (default: that of stoa.yaml)")
	fl.StringArrayVar(&f.secrets, "secret", nil, "NAME=VALUE, or NAME alone to take it from the environment; once for each")
	fl.StringArrayVar(&f.also, "also", nil, "another folder to publish beside, under the name in its stoa.yaml; once for each")
	fl.BoolVar(&f.once, "once", false, "do it once, and end with a status that says how it went")
	fl.StringVar(&f.server.Listen, "listen", "127.0.0.1:0", "address to listen at; port 0 takes a free one")
	hostFlags(c, &f.server)
	sandboxFlags(c, &f.server)
	fl.BoolVarP(&f.server.Verbose, "verbose", "v", false, "print the server's log too")
	fl.BoolVar(&f.json, "json", false, "print each run as a line of JSON")
	c.MarkFlagsMutuallyExclusive("input", "input-json", "file")
	c.RunE = func(c *cobra.Command, args []string) error {
		return a.dev(c, firstOf(strings.Join(args, ""), "."), f)
	}
	return c
}

// dev is one stoa dev.
type dev struct {
	app    *app
	flags  devFlags
	dir    string
	input  func() (client.Input, error)
	server *Server
	client *client.Client
	watch  watcher
	// What was done already.
	told bool   // where it can be called
	set  bool   // the secrets
	last string // the algorithm that was published last
}

func (a *app) dev(c *cobra.Command, dir string, f devFlags) (err error) {
	if a.deps.Start == nil {
		return missing("server")
	}
	if err := f.server.check(); err != nil {
		return err
	}
	if f.secrets, err = a.devSecrets(f.secrets); err != nil {
		return err
	}
	d := &dev{app: a, flags: f}
	for _, name := range []string{"input", "input-json", "file"} {
		if c.Flags().Changed(name) {
			d.input = func() (client.Input, error) { return devInput(c, f) }
		}
	}
	if d.dir, err = devDir(dir); err != nil {
		return err
	}
	d.watch = watcher{dir: d.dir, every: watchEvery}
	d.watch.ignoring(nil)
	a.warnSandbox(f.server.Sandbox)
	folder, err := openDevFolder(a.devCache())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, folder.close()) }()
	if folder.lock == nil {
		fmt.Fprintln(a.env.Stderr, "dependencies are not kept: there is no cache folder that is free")
	}
	f.server.Data = folder.path
	if d.server, err = a.deps.Start(c.Context(), f.server); err != nil {
		return startFailed(err)
	}
	ctx, cancel := context.WithCancel(c.Context())
	defer cancel()
	served := make(chan error, 1)
	go func() {
		served <- d.server.Run(ctx)
		cancel()
	}()
	if d.client, err = client.New(d.server.URL, d.server.Key, client.Options{}); err == nil {
		err = d.work(ctx)
	}
	cancel()
	return errors.Join(err, <-served)
}

// devCache gives the folder whose folders stoa dev takes; "" where there is none.
func (a *app) devCache() string {
	cache := a.env.Getenv("XDG_CACHE_HOME")
	if !filepath.IsAbs(cache) { // which the standard says to pass over
		if a.env.Home == "" {
			return ""
		}
		cache = filepath.Join(a.env.Home, ".cache")
	}
	return filepath.Join(cache, "stoa", devOwner)
}

// devDir refuses what is no folder.
func devDir(dir string) (string, error) {
	src, err := openSource([]string{dir})
	if err != nil {
		return "", err
	}
	if src.dir == "" {
		return "", usagef("%s is no folder: name the one that holds the code", dir)
	}
	return src.dir, nil
}

// devSecrets completes secrets that are named alone.
func (a *app) devSecrets(list []string) ([]string, error) {
	var out []string
	for _, s := range list {
		name, value, given := strings.Cut(s, "=")
		if !given {
			value = a.env.Getenv(name)
		}
		if name == "" || value == "" {
			return nil, usagef("--secret %s: write NAME=VALUE, or NAME alone of a variable that is set here", name)
		}
		out = append(out, name+"="+value)
	}
	return out, nil
}

// devInput gives the input that the flags name, anew for each call.
func devInput(c *cobra.Command, f devFlags) (client.Input, error) {
	switch {
	case c.Flags().Changed("file"):
		return fileInput(f.file)
	case c.Flags().Changed("input-json"):
		return jsonInput("--input-json", f.inputJSON)
	}
	return textInput(f.input), nil
}

// work runs the folder, and runs it again at every change, unless it is to be run
// once.
func (d *dev) work(ctx context.Context) error {
	if err := d.publishOthers(ctx); err != nil {
		return err
	}
	for {
		was, err := d.round(ctx)
		if d.flags.once {
			return err
		}
		if ctx.Err() != nil {
			return nil //nolint:nilerr // that is how it ends
		}
		if err != nil && !d.flags.json { // whose line has it
			printError(ctx, d.app.env.Stderr, err)
		}
		d.say("watching %s: save a file to run it again, Ctrl-C ends it", d.dir)
		stop := d.follow(ctx)
		changed := d.watch.changed(ctx, was)
		stop()
		if !changed {
			return nil
		}
	}
}

// follow prints what the code prints in calls of others, until stop, which waits
// for the end.
func (d *dev) follow(ctx context.Context) (stop func()) {
	if d.last == "" || d.flags.json {
		return func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	since := time.Now()
	var wg sync.WaitGroup
	wg.Go(func() {
		q := client.LogQuery{Follow: true, Since: since.UTC().Format(time.RFC3339Nano)}
		// It ends with an error always: that of its end.
		_ = d.client.Logs(ctx, d.last, q, func(e client.LogEntry) error {
			d.entry(e)
			return nil
		})
	})
	return func() {
		cancel()
		wg.Wait()
	}
}

// entry prints what the code printed.
func (d *dev) entry(e client.LogEntry) {
	for line := range strings.Lines(e.Text) {
		d.say("%s | %s", e.Stream, printable(strings.TrimRight(line, "\r\n")))
	}
}

// say prints a line for people.
func (d *dev) say(format string, args ...any) {
	if !d.flags.json {
		fmt.Fprintf(d.app.env.Stderr, format+"\n", args...)
	}
}
