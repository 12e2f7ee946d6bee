package shim_test

import (
	"bytes"
	"testing"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/runner"
	"github.com/stoa-project/stoa/internal/worker"
)

// BenchmarkCall is a warm call from the supervisor's end: over the wire to the
// first process, and from there to the program. BenchmarkCall of package runner
// has the second half, and the floor.
func BenchmarkCall(b *testing.B) {
	for _, protocol := range []string{runner.Frames, runner.Pipe} {
		for name, size := range map[string]int{"16": 16, "65536": 64 << 10} {
			b.Run(protocol+"/"+name, func(b *testing.B) {
				r, _ := replica(b)
				load(b, r, worker.Model{ID: "m", Program: echo(protocol)})
				in := []stoa.Value{{Type: stoa.Binary, Data: bytes.Repeat([]byte{'x'}, size)}}
				for b.Loop() {
					if res, err := r.Run(b.Context(), "m", in); err != nil || res[0].Err != nil {
						b.Fatal(res, err)
					}
				}
			})
		}
	}
}

// BenchmarkStart is a cold start without a sandbox: the first process, and a
// program that does nothing but answer.
func BenchmarkStart(b *testing.B) {
	for b.Loop() {
		r, _ := replica(b)
		load(b, r, worker.Model{ID: "m", Program: echo(runner.Frames)})
	}
}
