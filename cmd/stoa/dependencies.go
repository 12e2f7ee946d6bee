package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"syscall"
	"time"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/cli"
	"github.com/stoa-project/stoa/internal/importer"
	"github.com/stoa-project/stoa/internal/sandbox"
	"github.com/stoa-project/stoa/internal/serve"
)

// dependencies gives the commands what the rooms beneath do for them.
func dependencies(version, build string, stdin io.Reader, stdout io.Writer) cli.Deps {
	library := func() string { return serve.FindLibrary(binDir()) }
	return cli.Deps{
		Version: version,
		Build:   build,
		Serve: func(ctx context.Context, o cli.ServeOptions) error {
			return runServer(ctx, o, build)
		},
		Start: func(ctx context.Context, o cli.ServeOptions) (*cli.Server, error) {
			return startServer(ctx, o, build)
		},
		Worker: func(ctx context.Context, o cli.WorkerOptions) error {
			_, err := serve.Child(ctx, append([]string{"worker"}, o.Args...), stdin, stdout)
			return err
		},
		Plugs: serve.Plugs(),
		CheckONNX: func(ctx context.Context, model string, cases []importer.Case) ([]importer.Comparison, error) {
			return serve.Check(ctx, library(), model, cases)
		},
		Protections: protections,
		Checks: []cli.Check{
			{Name: "ONNX Runtime", Run: func(context.Context) cli.Finding {
				if path := library(); path != "" {
					return cli.Finding{State: cli.Good, Text: "found at " + path}
				}
				return cli.Finding{State: cli.Bad, Text: "its library is not there", Remedy: "put it into the folder lib beside the program (a release has it there, make setup fetches it), or give stoa serve --onnxruntime PATH"}
			}},
		},
	}
}

// protections makes a sandbox as a server would, which tries it, and tells what it
// is. It is gone afterwards.
func protections(_ context.Context, o cli.ServeOptions) []cli.Row {
	bad := func(err error) []cli.Row {
		name, text, ok := strings.Cut(stoa.AsError(err).Msg, ": ")
		if !ok {
			name, text = "sandbox", name
		}
		return []cli.Row{{Name: name, Finding: cli.Finding{State: cli.Bad, Text: text, Remedy: "until then no server starts here"}}}
	}
	dir, err := os.MkdirTemp("", "stoa-doctor-")
	if err != nil {
		return bad(err)
	}
	defer os.RemoveAll(dir)
	init := o.Init
	if init == "" {
		init = serve.FindInit(binDir())
	}
	box, err := sandbox.New(sandbox.Config{Mode: sandbox.Mode(o.Sandbox), Dir: dir, Init: init, Bwrap: o.Bwrap, Cgroup: o.Cgroup})
	if err != nil {
		return bad(err)
	}
	defer box.Close()
	var rows []cli.Row
	for _, p := range box.Report() {
		f := cli.Finding{State: cli.Good, Text: p.Detail, Remedy: p.Remedy}
		switch {
		case box.Mode() == sandbox.None:
			f.State = cli.Bad
		case p.State != sandbox.InPlace:
			f.State, f.Text = cli.Warn, fmt.Sprintf("%s: %s", p.State, p.Detail)
		}
		rows = append(rows, cli.Row{Name: p.Name, Finding: f})
	}
	return rows
}

func runServer(ctx context.Context, o cli.ServeOptions, build string) error {
	level := slog.LevelInfo
	if o.Verbose {
		level = slog.LevelDebug
	}
	// The heap of an idle server is a few megabytes: collecting it at every
	// doubling, as is usual, would be a tenth of the work under load.
	debug.SetGCPercent(400)
	// Ctrl-C ends the workers too; SIGTERM, as a service manager sends it before a
	// restart, leaves them for the next server.
	interrupted := notified(ctx, os.Interrupt)
	cfg := config(o, build)
	cfg.Log = slog.New(slog.NewJSONHandler(os.Stderr, &slog.HandlerOptions{Level: level}))
	cfg.StopWorkers = interrupted
	s, err := serve.New(ctx, cfg)
	if err != nil {
		return err
	}
	if s.AdminKey != "" {
		fmt.Printf("The administrator's key, shown this once: %s\nIt is also in %s\n", s.AdminKey, filepath.Join(o.Data, "admin-key"))
	}
	// A full disk is no reason not to start: it is how room is made.
	if link, err := s.SignInURL(ctx); err == nil {
		fmt.Printf("Page: %s (opens the page signed in; works once, for an hour)\n", link)
	} else {
		fmt.Fprintln(os.Stderr, "stoa: no sign-in link could be made:", stoa.AsError(err))
	}
	fmt.Printf("Stoa is at %s\n", s.URL())
	return s.Run(ctx)
}

// devDrain is for calls under way when a developer ends his server: he waits.
const devDrain = time.Second

// startServer starts a server for stoa dev, which ends with all that it started.
func startServer(ctx context.Context, o cli.ServeOptions, build string) (*cli.Server, error) {
	level := slog.LevelError
	switch {
	case o.Verbose:
		level = slog.LevelInfo
	case o.Sandbox != string(sandbox.None): // of which the command has warned
		level = slog.LevelWarn
	}
	cfg := config(o, build)
	cfg.Log = slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: level}))
	cfg.StopWorkers = func() bool { return true }
	cfg.DrainTime = devDrain
	s, err := serve.New(ctx, cfg)
	if err != nil {
		return nil, err
	}
	return &cli.Server{URL: s.URL(), Key: s.AdminKey, Run: s.Run}, nil
}

// config gives the server's configuration by the options of a command.
func config(o cli.ServeOptions, build string) serve.Config {
	return serve.Config{
		Data: o.Data, Listen: o.Listen, PublicURL: o.PublicURL, Library: o.ONNXRuntime, Build: build,
		Keyless: o.Keyless, KeylessRate: o.KeylessRate, Forwarded: o.Forwarded,
		Sandbox: sandbox.Mode(o.Sandbox), Init: o.Init, Bwrap: o.Bwrap, Cgroup: o.Cgroup, Env: os.Environ(),
		BuildHosts: o.BuildHosts, CodeHosts: o.CodeHosts, LogKeep: o.KeepLogs,
	}
}

func binDir() string {
	self, err := os.Executable()
	if err != nil {
		return "."
	}
	return filepath.Dir(self)
}

// buildID tells two builds of the same version apart, so that a worker of
// another is not adopted: by the time and size of the program's file.
func buildID(version string) string {
	self, err := os.Executable()
	if err != nil {
		return version
	}
	var st syscall.Stat_t
	if err := syscall.Stat(self, &st); err != nil {
		return version
	}
	return fmt.Sprintf("%s-%x-%x", version, st.Mtim.Nano(), st.Size)
}
