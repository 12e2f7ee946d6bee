package build_test

import (
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"slices"
	"testing"

	"github.com/stoa-project/stoa/internal/stage"
)

// TestMain makes this binary the stage of its sandboxes, and the first process in
// them: a stand-in for stoa-init that hands connections on to the way out.
func TestMain(m *testing.M) {
	switch {
	case len(os.Args) > 1 && (os.Args[1] == stage.Stage || os.Args[1] == stage.Confine):
		os.Exit(stage.Main(os.Args[1:]))
	case len(os.Args) > 1 && os.Args[1] == "run":
		os.Exit(initRun(os.Args[2:]))
	}
	os.Exit(m.Run())
}

func initRun(args []string) int {
	at := slices.Index(args, "--")
	if at == 2 && args[0] == "--egress" {
		ln, err := net.Listen("tcp", "127.0.0.1:9001")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 2
		}
		go handOn(ln, args[1])
	}
	cmd := exec.Command(args[at+1], args[at+2:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	err := cmd.Run()
	if cmd.ProcessState == nil {
		fmt.Fprintln(os.Stderr, err)
		return 2
	}
	if code := cmd.ProcessState.ExitCode(); code >= 0 {
		return code
	}
	return 137
}

func handOn(ln net.Listener, socket string) {
	for {
		in, err := ln.Accept()
		if err != nil {
			return
		}
		go func() {
			defer in.Close()
			out, err := net.Dial("unix", socket)
			if err != nil {
				fmt.Fprintln(os.Stderr, err)
				return
			}
			defer out.Close()
			go func() {
				io.Copy(out, in)
				out.(*net.UnixConn).CloseWrite()
			}()
			io.Copy(in, out)
		}()
	}
}
