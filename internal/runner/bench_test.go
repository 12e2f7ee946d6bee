package runner_test

import (
	"bytes"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/buffer"
	"github.com/stoa-project/stoa/internal/runner"
)

// bareEnv makes the test binary a program that echoes messages of so many bytes:
// the floor beneath every protocol.
const bareEnv = "STOA_TEST_BARE"

// bare copies messages of a size from in to out, each when it is there as a
// whole, as an answer would be.
func bare(size int, in io.Reader, out io.Writer) {
	buf := make([]byte, size)
	for {
		if _, err := io.ReadFull(in, buf); err != nil {
			return
		}
		if _, err := out.Write(buf); err != nil {
			return
		}
	}
}

// BenchmarkCall compares a warm call of either protocol with the same bytes
// through bare pipes, and through a bare unix socket, to a program that sends
// them back.
func BenchmarkCall(b *testing.B) {
	for _, size := range []int{16, 64 << 10} {
		data := bytes.Repeat([]byte{'x'}, size)
		n := strconv.Itoa(size)
		b.Run("bare pipe/"+n, func(b *testing.B) {
			cmd := exec.Command(os.Args[0])
			cmd.Env = []string{bareEnv + "=" + n}
			in, err := cmd.StdinPipe()
			if err != nil {
				b.Fatal(err)
			}
			out, err := cmd.StdoutPipe()
			if err != nil {
				b.Fatal(err)
			}
			roundTrips(b, cmd, data, in, out)
			in.Close()
		})
		b.Run("bare socket/"+n, func(b *testing.B) {
			path := filepath.Join(b.TempDir(), "s")
			ln, err := net.Listen("unix", path)
			if err != nil {
				b.Fatal(err)
			}
			defer ln.Close()
			cmd := exec.Command(os.Args[0])
			cmd.Env = []string{bareEnv + "=" + n, "STOA_SOCKET=" + path}
			if err := cmd.Start(); err != nil {
				b.Fatal(err)
			}
			conn, err := ln.Accept()
			if err != nil {
				b.Fatal(err)
			}
			roundTrips(b, nil, data, conn, conn)
			conn.Close()
			_ = cmd.Wait()
		})
		for _, protocol := range []string{runner.Frames, runner.Pipe} {
			b.Run(protocol+"/"+n, func(b *testing.B) {
				p := program(protocol)
				p.Concurrency = 1
				r := begin(b, p, runner.Config{})
				for b.Loop() {
					if got := r.Run(b.Context(), runner.Call{Input: stoa.Value{Type: stoa.Binary, Data: data}}); got.Err != nil {
						b.Fatal(got.Err)
					} else {
						buffer.Put(got.Value.Data) // as the first process does
					}
				}
			})
		}
	}
}

func roundTrips(b *testing.B, cmd *exec.Cmd, data []byte, in io.Writer, out io.Reader) {
	b.Helper()
	if cmd != nil {
		if err := cmd.Start(); err != nil {
			b.Fatal(err)
		}
		defer func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }()
	}
	back := make([]byte, len(data))
	for b.Loop() {
		if _, err := in.Write(data); err != nil {
			b.Fatal(err)
		}
		if _, err := io.ReadFull(out, back); err != nil {
			b.Fatal(err)
		}
	}
}
