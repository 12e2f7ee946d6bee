// Command stoa-init is the first process in a sandbox:
//
//	stoa-init serve [--label L] [--build B] [--linger 60s] [--api SOCKET] [--egress SOCKET] [--memory BYTES] [--folder DIR]
//	stoa-init run [--egress SOCKET] -- COMMAND…
//	stoa-init stage|confine …
//
// serve is a code replica, and answers the supervisor on the listener that it
// inherits as descriptor 3. run is a build. stage and confine are the
// steps before and at the beginning of a sandbox (package stage). It is static and small: it is there
// whatever the sandbox holds, and every cold start waits for it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/shim"
	"github.com/stoa-project/stoa/internal/stage"
)

// The exit statuses of its own; others are those of the command that it ran.
const (
	exitFailed = 125 // as other programs that run programs have it
	exitUsage  = 2
)

func main() { os.Exit(run(os.Args[1:])) }

func run(args []string) int {
	status, err := 0, errUsage
	if len(args) > 0 {
		switch args[0] {
		case "serve":
			err = serve(args[1:])
		case "run":
			status, err = command(args[1:])
		case stage.Stage, stage.Confine: // steps on the way into the sandbox
			return stage.Main(args)
		}
	}
	switch {
	case errors.Is(err, errUsage):
		fmt.Fprintln(os.Stderr, "stoa-init: serve [FLAGS], or run [FLAGS] -- COMMAND…")
		return exitUsage
	case err != nil:
		fmt.Fprintln(os.Stderr, "stoa-init:", stoa.AsError(err))
		return exitFailed
	}
	return status
}

var errUsage = errors.New("usage")

func flags(name string) *flag.FlagSet {
	f := flag.NewFlagSet(name, flag.ContinueOnError)
	f.SetOutput(io.Discard)
	return f
}

// listener is the descriptor of the listener that serve inherits.
const listener = 3

func serve(args []string) error {
	o := shim.Options{Log: os.Stderr}
	f := flags("serve")
	f.StringVar(&o.Label, "label", "", "")
	f.StringVar(&o.Build, "build", "", "")
	f.DurationVar(&o.Linger, "linger", time.Minute, "")
	f.StringVar(&o.API, "api", "", "")
	f.StringVar(&o.Egress, "egress", "", "")
	f.Int64Var(&o.Memory, "memory", 0, "")
	f.StringVar(&o.Folder, "folder", "", "")
	if err := f.Parse(args); err != nil || f.NArg() > 0 {
		return errUsage
	}
	file := os.NewFile(listener, "listener")
	ln, err := net.FileListener(file)
	_ = file.Close() // the listener has its own
	if err != nil {
		return stoa.Wrap(stoa.Internal, err, "there is no listener at descriptor %d", listener)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	return shim.Serve(ctx, ln, o)
}

func command(args []string) (int, error) {
	var egress string
	f := flags("run")
	f.StringVar(&egress, "egress", "", "")
	if err := f.Parse(args); err != nil || f.NArg() == 0 {
		return 0, errUsage
	}
	return shim.Run(f.Args(), os.Environ(), egress)
}
