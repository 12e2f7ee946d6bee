// Command bench measures Stoa against its limits, as ratios within one run:
// machines are shared and noisy, so that a time alone says little. docs/bench.md
// has the method beside the figures.
//
//	go run ./bench                all
//	go run ./bench latency        one of them: latency throughput jpeg code idle import exporters search pages
package main

import (
	"fmt"
	"io"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
)

type benchmark struct {
	name string
	run  func(w io.Writer, dir string) error
}

var benchmarks = []benchmark{
	{"latency", latency},
	{"throughput", throughputNpy},
	{"jpeg", throughputJPEG},
	{"code", codeCalls},
	{"idle", idle},
	{"import", importVGG},
	{"exporters", exporters},
	{"search", search},
	{"pages", pages},
}

func main() {
	// The baseline has the Go settings of a worker, so that the runtime's own work
	// is the same on both sides.
	debug.SetGCPercent(800)
	runtime.GOMAXPROCS(3 * runtime.NumCPU())
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(names []string) error {
	for _, n := range names {
		if !slices.ContainsFunc(benchmarks, func(b benchmark) bool { return b.name == n }) {
			return fmt.Errorf("no benchmark %q", n)
		}
	}
	for _, b := range benchmarks {
		if len(names) > 0 && !slices.Contains(names, b.name) {
			continue
		}
		dir, err := os.MkdirTemp("", "stoa-bench-")
		if err != nil {
			return err
		}
		fmt.Printf("== %s\n", b.name)
		err = b.run(os.Stdout, dir)
		if rerr := os.RemoveAll(dir); err == nil {
			err = rerr
		}
		if err != nil {
			return fmt.Errorf("%s: %w", b.name, err)
		}
	}
	return nil
}
