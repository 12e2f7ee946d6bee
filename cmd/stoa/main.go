// Command stoa is the server, the worker and the command line in one program.
// It holds nothing but the way in and out: flags, environment, signals, exit.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"syscall"

	"golang.org/x/term"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/cli"
	"github.com/stoa-project/stoa/internal/serve"
)

func main() {
	os.Exit(run())
}

func run() int {
	// Children of a server have their own ways with signals and none with people.
	if child, err := serve.Child(context.Background(), os.Args[1:], os.Stdin, os.Stdout); child {
		if err != nil {
			fmt.Fprintln(os.Stderr, "stoa:", stoa.AsError(err))
			return cli.ExitFailed
		}
		return cli.ExitOK
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	// A second signal ends the process at once, should the first not do.
	context.AfterFunc(ctx, stop)
	v := version()
	return cli.Run(ctx, os.Args[1:], environment(), dependencies(v, buildID(v), os.Stdin, os.Stdout))
}

// notified tells whether a signal has come before the end of ctx. After that the
// signal does again what it does by itself.
func notified(ctx context.Context, sig os.Signal) func() bool {
	ch := make(chan os.Signal, 1)
	signal.Notify(ch, sig)
	context.AfterFunc(ctx, func() { signal.Stop(ch) })
	return func() bool { return len(ch) > 0 }
}

func environment() cli.Env {
	isTerminal := func(f *os.File) bool { return term.IsTerminal(int(f.Fd())) }
	home, err := os.UserHomeDir()
	if err != nil {
		home = ""
	}
	return cli.Env{
		Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr,
		Getenv: os.Getenv, Home: home, Program: os.Args[0],
		StdinTTY: isTerminal(os.Stdin), StdoutTTY: isTerminal(os.Stdout), StderrTTY: isTerminal(os.Stderr),
		ReadSecret: func(prompt string) (string, error) {
			fmt.Fprint(os.Stderr, prompt)
			b, err := term.ReadPassword(int(os.Stdin.Fd()))
			fmt.Fprintln(os.Stderr)
			return string(b), err
		},
	}
}

// build is set by the Makefile.
var build string

// version gives what the build knows of itself: a tag, or the commit.
func version() string {
	if build != "" {
		return build
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	if v := info.Main.Version; v != "" && v != "(devel)" {
		return v
	}
	var v strings.Builder
	v.WriteString("devel")
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			v.WriteString("-" + s.Value[:min(12, len(s.Value))])
		}
	}
	return v.String()
}
