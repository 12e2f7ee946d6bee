package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// idle measures a server with the three demos published: its resident memory
// without a worker, and the time from its start to the first answer, which
// includes starting the worker and loading the model.
func idle(w io.Writer, dir string) error {
	data := filepath.Join(dir, "data")
	s, err := startStoa(data)
	if err != nil {
		return err
	}
	for _, demo := range []string{"digits", "colorize", "places"} {
		if err := s.stoa("push", "demo/"+demo); err != nil {
			s.stop()
			return err
		}
	}
	s.stop()

	var starts []time.Duration
	var resident []float64
	body, err := os.ReadFile(firstFile("demo/digits/samples/*.png"))
	if err != nil {
		return err
	}
	for range rounds {
		began := time.Now()
		s, err := startStoa(data)
		if err != nil {
			return err
		}
		mb, err := residentMB(s.cmd.Process.Pid)
		if err != nil {
			s.stop()
			return err
		}
		req, err := newRequest(s.url+"/v1/algo/demo/digits", s.key, "application/octet-stream", body)
		if err == nil {
			_, err = latencies(req, 1)
		}
		took := time.Since(began)
		s.stop()
		if err != nil {
			return err
		}
		starts, resident = append(starts, took), append(resident, mb)
		fmt.Fprintf(w, "idle %.1f MB, first answer after %v\n", mb, took.Round(time.Millisecond))
	}
	fmt.Fprintf(w, "resident memory of an idle server, median of %d: %.1f MB (goal: under 40); start to first answer: %v (goal: under 500ms)\n",
		rounds, median(resident), median(starts).Round(time.Millisecond))
	return nil
}

func firstFile(pattern string) string {
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) == 0 {
		return pattern
	}
	return files[0]
}

func residentMB(pid int) (float64, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(b)) {
		var kb float64
		if n, _ := fmt.Sscanf(line, "VmRSS: %f kB", &kb); n == 1 {
			return kb / 1024, nil
		}
	}
	return 0, fmt.Errorf("process %d has no VmRSS", pid)
}
