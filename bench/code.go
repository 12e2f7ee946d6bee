package main

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// The goals of code: a warm call over (floor + the same function over a bare
// pipe), and what a cold one adds to the interpreter alone.
const (
	goalGo     = 1.5
	goalPython = 2.0
	goalCold   = 40 * time.Millisecond
)

// codeCalls compares warm calls of echoes in Go and Python with the floor plus
// the same function over a bare pipe, one connection, interleaved; and 64 KiB of
// bytes with the same. Then cold starts.
func codeCalls(w io.Writer, dir string) error {
	floorURL, stopFloor, err := startFloor(dir)
	if err != nil {
		return err
	}
	defer stopFloor()
	s, err := startStoa(filepath.Join(dir, "data"))
	if err != nil {
		return err
	}
	defer s.stop()
	python, err := interpreter()
	if err != nil {
		return err
	}
	for _, name := range []string{"echo_go", "echo_py"} {
		if err := s.stoa("push", "bench/"+name, "--as", "bench/"+name); err != nil {
			return err
		}
	}
	for _, c := range []codeCase{
		{"Go, 5 bytes", "echo_go", []string{filepath.Join(dir, "floor"), "pipe", "-"}, 5, goalGo},
		{"Python, 5 bytes", "echo_py", []string{python, "-c", pipeEcho}, 5, goalPython},
		{"Go, 64 KiB", "echo_go", []string{filepath.Join(dir, "floor"), "pipe", "-"}, 64 << 10, 0},
		{"Python, 64 KiB", "echo_py", []string{python, "-c", pipeEcho}, 64 << 10, 0},
	} {
		if err := c.run(w, s, floorURL); err != nil {
			return err
		}
	}
	return coldCode(w, s, python)
}

// pipeEcho answers messages of four bytes of length and as many bytes.
const pipeEcho = `
import sys
r, w = sys.stdin.buffer, sys.stdout.buffer
while True:
    head = r.read(4)
    if not head:
        break
    w.write(head + r.read(int.from_bytes(head, "little")))
    w.flush()
`

// interpreter gives the program that python3 is: PATH may have a script.
func interpreter() (string, error) {
	out, err := exec.Command("python3", "-c", "import os, sys; print(os.path.realpath(sys.executable))").Output()
	if err != nil {
		return "", fmt.Errorf("python3 is needed: %w", err)
	}
	return strings.TrimSpace(string(out)), nil
}

// codeCase is one echo with bodies of one size.
type codeCase struct {
	name, algorithm string
	pipe            []string // the same function over a bare pipe
	size            int
	goal            float64 // 0: none
}

func (c codeCase) run(w io.Writer, s *server, floorURL string) error {
	body := bytes.Repeat([]byte("x"), c.size)
	pipe, err := startPipe(c.pipe)
	if err != nil {
		return err
	}
	defer pipe.stop()
	floorReq, err := newRequest(floorURL, "", "application/octet-stream", body)
	if err != nil {
		return err
	}
	stoaReq, err := newRequest(s.url+"/v1/algo/bench/"+c.algorithm+"?output=raw", s.key, "application/octet-stream", body)
	if err != nil {
		return err
	}
	if _, err := latencies(stoaReq, requests/4); err != nil { // warm
		return err
	}
	var ratios []float64
	for range rounds {
		floor, err := latencies(floorReq, requests)
		if err != nil {
			return err
		}
		mine, err := latencies(stoaReq, requests)
		if err != nil {
			return err
		}
		bare, err := pipe.times(body, requests)
		if err != nil {
			return err
		}
		f, m, p := median(floor), median(mine), median(bare)
		ratio := float64(m) / float64(f+p)
		ratios = append(ratios, ratio)
		fmt.Fprintf(w, "%s: floor %v, bare pipe %v, stoa %v: %.2f times\n", c.name, f, p, m, ratio)
	}
	slices.Sort(ratios)
	fmt.Fprintf(w, "%s: p50 of a warm call over (floor + bare pipe), median of %d: %.2f, %.2f to %.2f", c.name, rounds, median(ratios), ratios[0], ratios[len(ratios)-1])
	if c.goal > 0 {
		fmt.Fprintf(w, " (goal: at most %.1f)", c.goal)
	}
	fmt.Fprintln(w)
	return nil
}

// barePipe is a process that echoes messages.
type barePipe struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
}

func startPipe(command []string) (*barePipe, error) {
	cmd := exec.Command(command[0], command[1:]...)
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	return &barePipe{cmd, in, bufio.NewReaderSize(out, 1<<20)}, cmd.Start()
}

func (p *barePipe) stop() {
	_ = p.in.Close()
	_ = p.cmd.Wait() // how it ends does not matter
}

func (p *barePipe) times(body []byte, n int) ([]time.Duration, error) {
	message := append(binary.LittleEndian.AppendUint32(nil, uint32(len(body))), body...)
	back := make([]byte, len(message))
	out := make([]time.Duration, n)
	for i := range out {
		start := time.Now()
		if _, err := p.in.Write(message); err != nil {
			return nil, err
		}
		if _, err := io.ReadFull(p.out, back); err != nil {
			return nil, err
		}
		out[i] = time.Since(start)
	}
	return out, nil
}

// starts is how many cold starts are measured.
const starts = 15

// coldCode compares the first call of a Python echo whose replica ended after its idle
// time with a warm one and with the interpreter alone, in turn.
func coldCode(w io.Writer, s *server, python string) error {
	if err := s.stoa("push", "bench/cold_py", "--as", "bench/cold_py"); err != nil {
		return err
	}
	req, err := newRequest(s.url+"/v1/algo/bench/cold_py", s.key, "text/plain", []byte("World"))
	if err != nil {
		return err
	}
	if _, err := latencies(req, 1); err != nil { // its layers are unpacked
		return err
	}
	var added, alone []time.Duration
	idle := time.NewTicker(2500 * time.Millisecond) // the replica's idle time is one second
	defer idle.Stop()
	for range starts {
		<-idle.C
		start := time.Now()
		if err := exec.Command(python, "-c", "pass").Run(); err != nil {
			return err
		}
		bare := time.Since(start)
		first, err := latencies(req, 2)
		if err != nil {
			return err
		}
		alone = append(alone, bare)
		added = append(added, first[0]-bare)
	}
	slices.Sort(added)
	fmt.Fprintf(w, "cold start of Python hello: python3 alone %v, the first call %v more (median of %d; %v to %v), goal: at most %v more\n",
		median(alone), median(added), starts, added[0], added[len(added)-1], goalCold)
	return nil
}
