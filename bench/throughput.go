package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/format/npy"
	"github.com/stoa-project/stoa/internal/tensor"
)

const (
	faces   = "../shared/assets/caffe/rfb-320-face"
	clients = 16
	span    = 5 * time.Second
)

const faceManifest = `name: bench/face
kind: model
model:
  files: [RFB-320.prototxt, RFB-320.caffemodel]
`

// facePicture is the preprocessing that the model's authors state.
const facePicture = `input:
  - picture: {width: 320, height: 240, colour: rgb, filter: bilinear, mean: [127], scale: [0.0078125]}
`

// throughputNpy compares requests a second of a face detector at 16
// connections, an array in and arrays out, with ONNX Runtime in process on the
// same processors; the load generator's own processor time is taken off.
func throughputNpy(w io.Writer, dir string) error {
	body, err := os.ReadFile(filepath.Join(faces, "faces13.in.input.npy"))
	if err != nil {
		return err
	}
	in, err := npy.Parse(body)
	if err != nil {
		return err
	}
	return throughput(w, dir, faceManifest, body, func(r *raw) func() error {
		return func() error { return r.run([]tensor.Tensor{in}) }
	})
}

// throughputJPEG does the same with a JPEG in: the baseline decodes and resizes
// it too, by the same code.
func throughputJPEG(w io.Writer, dir string) error {
	body, err := os.ReadFile(filepath.Join(faces, "13.jpg"))
	if err != nil {
		return err
	}
	return throughput(w, dir, faceManifest+facePicture, body, func(r *raw) func() error {
		v := stoa.Value{Type: stoa.Binary, Data: body}
		return func() error { return r.value(v) }
	})
}

func throughput(w io.Writer, dir, man string, body []byte, baseline func(*raw) func() error) error {
	model := filepath.Join(dir, "face")
	if err := copyFace(model, man); err != nil {
		return err
	}
	s, err := startStoa(filepath.Join(dir, "data"))
	if err != nil {
		return err
	}
	defer s.stop()
	if err := s.stoa("push", model); err != nil {
		return err
	}
	var asJSON json.RawMessage = []byte(`{"kind":"model"}`)
	if bytes.Contains([]byte(man), []byte("picture")) {
		asJSON = []byte(`{"kind":"model","input":[{"picture":{"width":320,"height":240,"colour":"rgb","filter":"bilinear","mean":[127],"scale":[0.0078125]}}]}`)
	}
	r, err := newRawWith(dir, model, asJSON)
	if err != nil {
		return err
	}
	req, err := newRequest(s.url+"/v1/algo/bench/face?output=raw", s.key, "application/octet-stream", body)
	if err != nil {
		return err
	}
	if _, _, err := load(req, clients, time.Second); err != nil { // warm
		return err
	}
	run := baseline(r)
	var ratios []float64
	for range rounds {
		base, err := rate(run, span)
		if err != nil {
			return err
		}
		n, cpu, err := load(req, clients, span)
		if err != nil {
			return err
		}
		// What the generator used of the processors was not the server's to use.
		share := 1 - cpu.Seconds()/(span.Seconds()*float64(runtime.NumCPU()))
		mine := float64(n) / span.Seconds() / share
		ratios = append(ratios, mine/base)
		fmt.Fprintf(w, "ONNX Runtime in process %.1f/s, stoa %.1f/s (%.1f/s before the generator's %.0f%% is taken off): %.3f\n",
			base, mine, float64(n)/span.Seconds(), 100*(1-share), mine/base)
	}
	fmt.Fprintf(w, "requests a second over ONNX Runtime in process, median of %d: %.3f (goal: at least 0.90)\n", rounds, median(ratios))
	return nil
}

func copyFace(dst, man string) error {
	if err := os.MkdirAll(dst, 0o700); err != nil {
		return err
	}
	for _, name := range []string{"RFB-320.prototxt", "RFB-320.caffemodel"} {
		b, err := os.ReadFile(filepath.Join(faces, name))
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dst, name), b, 0o600); err != nil {
			return err
		}
	}
	return os.WriteFile(filepath.Join(dst, "stoa.yaml"), []byte(man), 0o600)
}
