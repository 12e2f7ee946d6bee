// Package shim is the first process of a code replica: it starts the author's
// program and speaks to it (package runner), answers the supervisor as an engine
// of package worker does, collects orphans, and carries connections from the
// loopback address inside to sockets of the server. It is also the first process
// of a build. It is kept small, since every cold start waits for it.
package shim

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"runtime/debug"
	"syscall"
	"time"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/buffer"
	"github.com/stoa-project/stoa/internal/runner"
	"github.com/stoa-project/stoa/internal/wire"
	"github.com/stoa-project/stoa/internal/wire/engine"
)

// Options are those of a replica.
type Options struct {
	Label  string        // whose program it is
	Build  string        // of the server that starts it
	Linger time.Duration // how long it outlives the last connection
	API    string        // unix socket of the API; "" for none
	Egress string        // unix socket of the way out; "" for none
	Memory int64         // bytes that the replica may have; 0 means no limit
	Folder string        // for the program's FIFO or socket; "" is /tmp
	Log    io.Writer     // what is printed in no call
}

// Serve answers the supervisor on a listener until ctx ends, or until nobody has
// been connected for the time of linger. Calls under way end first; then the
// program is stopped.
func Serve(ctx context.Context, ln net.Listener, o Options) error {
	if o.Memory > 0 {
		// The program and we share the limit: garbage of ours must not take it up.
		debug.SetMemoryLimit(max(o.Memory/2, 16<<20))
	}
	keepOut()
	stop, err := forwards(o.API, o.Egress)
	if err != nil {
		return err
	}
	defer stop()
	r := newReaper()
	defer r.watch()()
	p := newPrograms(runner.Config{Folder: o.Folder}, r, o.Log, engine.Hello{Build: o.Build, PID: os.Getpid(), Label: o.Label})
	srv := wire.NewServer(p.handle)
	srv.Sent = func(parts [][]byte) {
		// Each is the reply's alone: a program's answers, above all, which came into
		// memory of package buffer. It leaves alone what is none of its own.
		for _, part := range parts {
			buffer.Put(part)
		}
	}
	err = srv.Loop(ctx, ln, o.Linger)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*runner.StopTime)
	defer cancel()
	p.end(ctx)
	return err
}

// keepOut makes this process one that the program cannot trace, nor take open
// files of, though it has the same user: the supervisor takes our word for what
// the program answers.
func keepOut() {
	const prSetDumpable = 4                                              // prctl(2)
	_, _, _ = syscall.RawSyscall(syscall.SYS_PRCTL, prSetDumpable, 0, 0) // always there
}

func forwards(api, egress string) (stop func(), err error) {
	var stops []func()
	stop = func() {
		for _, s := range stops {
			s()
		}
	}
	for _, f := range []struct{ address, socket string }{{APIAddress, api}, {EgressAddress, egress}} {
		if f.socket == "" {
			continue
		}
		s, err := forward(f.address, f.socket)
		if err != nil {
			stop()
			return nil, err
		}
		stops = append(stops, s)
	}
	return stop, nil
}

// Run runs a command with this process's own streams, and gives its exit status:
// 128 and the signal's number where one has ended it, as shells have it. Signals
// to end are passed on.
func Run(command, env []string, egress string) (status int, err error) {
	keepOut()
	stop, err := forwards("", egress)
	if err != nil {
		return 0, err
	}
	defer stop()
	path, err := runner.LookPath(command[0], env)
	if err != nil {
		return 0, err
	}
	r := newReaper()
	defer r.watch()()
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
	defer signal.Stop(signals)
	c := &exec.Cmd{Path: path, Args: command, Env: env, Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr}
	if err := r.start(c); err != nil {
		return 0, stoa.Wrap(stoa.Failed, err, "%s cannot be started: %v", command[0], err)
	}
	done := make(chan struct{})
	defer close(done)
	go func() {
		for {
			select {
			case s := <-signals:
				_ = c.Process.Signal(s) // it may have ended
			case <-done:
				return
			}
		}
	}()
	err = c.Wait()
	r.ended(c.Process.Pid)
	if err != nil && !errors.As(err, new(*exec.ExitError)) {
		return 0, stoa.Wrap(stoa.Internal, err, "%s cannot be waited for", command[0])
	}
	if ws, ok := c.ProcessState.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
		return 128 + int(ws.Signal()), nil
	}
	return c.ProcessState.ExitCode(), nil
}
