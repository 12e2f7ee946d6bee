// Command stoa is the server, the worker and the command line in one program.
// It holds nothing but the way in and out: flags, environment, signals, exit.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"golang.org/x/term"

	"github.com/stoa-project/stoa/internal/cli"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// A second signal ends the process at once, should the first not do.
	context.AfterFunc(ctx, stop)
	code := cli.Run(ctx, os.Args[1:], environment(), dependencies(version()))
	stop()
	os.Exit(code)
}

func environment() cli.Env {
	isTerminal := func(f *os.File) bool { return term.IsTerminal(int(f.Fd())) }
	home, err := os.UserHomeDir()
	if err != nil {
		home = ""
	}
	return cli.Env{
		Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr,
		Getenv: os.Getenv, Home: home,
		StdinTTY: isTerminal(os.Stdin), StdoutTTY: isTerminal(os.Stdout), StderrTTY: isTerminal(os.Stderr),
		ReadSecret: func(prompt string) (string, error) {
			fmt.Fprint(os.Stderr, prompt)
			b, err := term.ReadPassword(int(os.Stdin.Fd()))
			fmt.Fprintln(os.Stderr)
			return string(b), err
		},
	}
}

// version gives what the build knows of itself: a tag, or the commit.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	if v := info.Main.Version; v != "" && v != "(devel)" {
		return v
	}
	v := "devel"
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			v += "-" + s.Value[:min(12, len(s.Value))]
		}
	}
	return v
}
