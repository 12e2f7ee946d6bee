package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"time"

	"github.com/stoa-project/stoa/internal/tensor"
)

const (
	rounds   = 5
	requests = 2000 // a round, of each
)

// latency compares the p50 of a call to a model of four floats with the floor
// plus ONNX Runtime in process: same body, one connection, interleaved, the
// median of the rounds.
func latency(w io.Writer, dir string) error {
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
	if err := s.stoa("push", "bench/four", "--as", "bench/four"); err != nil {
		return err
	}
	raw, err := newRaw(dir, "bench/four")
	if err != nil {
		return err
	}
	body := []byte("[1.5,-2.25,3.125,4]")
	floorReq, err := newRequest(floorURL, "", "application/json", body)
	if err != nil {
		return err
	}
	stoaReq, err := newRequest(s.url+"/v1/algo/bench/four", s.key, "application/json", body)
	if err != nil {
		return err
	}
	in := []tensor.Tensor{tensor.Of([]float32{1.5, -2.25, 3.125, 4}, 1, 4)}
	if _, err := latencies(stoaReq, requests); err != nil { // warm
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
		ort, err := raw.times(in, requests)
		if err != nil {
			return err
		}
		f, m, o := median(floor), median(mine), median(ort)
		ratio := float64(m) / float64(f+o)
		ratios = append(ratios, ratio)
		fmt.Fprintf(w, "floor %v, ONNX Runtime %v, stoa %v: %.2f times\n", f, o, m, ratio)
	}
	fmt.Fprintf(w, "p50 of a call over (floor + ONNX Runtime in process), median of %d: %.2f (goal: at most 1.5)\n", rounds, median(ratios))
	return serverTiming(w, s, body)
}

// serverTiming says where the server itself puts the time.
func serverTiming(w io.Writer, s *server, body []byte) error {
	var queue, compute []float64
	for range 200 {
		req, err := http.NewRequestWithContext(context.Background(), http.MethodPost, s.url+"/v1/algo/bench/four", strings.NewReader(string(body)))
		if err != nil {
			return err
		}
		req.Header.Set("Authorization", s.key)
		req.Header.Set("Content-Type", "application/json")
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			return err
		}
		var a struct{ Metadata struct{ Duration float64 } }
		err = json.NewDecoder(res.Body).Decode(&a)
		res.Body.Close()
		if err != nil {
			return err
		}
		for part := range strings.SplitSeq(res.Header.Get("Server-Timing"), ",") {
			name, value, _ := strings.Cut(strings.TrimSpace(part), ";dur=")
			var ms float64
			if _, err := fmt.Sscan(value, &ms); err != nil {
				continue
			}
			switch name {
			case "queue":
				queue = append(queue, ms*1000)
			case "compute":
				compute = append(compute, ms*1000)
			}
		}
	}
	if len(queue) > 0 && len(compute) > 0 {
		fmt.Fprintf(w, "of which, by Server-Timing (median): queue %.0f µs, decode + run + encode in the worker %.0f µs\n", median(queue), median(compute))
	}
	return nil
}

// times runs the network n times, one after the other.
func (r *raw) times(in []tensor.Tensor, n int) ([]time.Duration, error) {
	out := make([]time.Duration, n)
	for i := range out {
		start := time.Now()
		if err := r.run(in); err != nil {
			return nil, err
		}
		out[i] = time.Since(start)
	}
	return out, nil
}
