package main

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"github.com/stoa-project/stoa/internal/importer/caffe/caffetest"
)

const vgg = "../shared/assets/caffe/zoo-prototxts-synthetic-weights/places365_vgg16.prototxt"

// importVGG measures stoa import on the VGG-16 of the assets, whose weights are
// made here: its peak memory over the size of the model, where mapped pages of the
// model count, and its time over that of copying the model to the same disk and
// hashing it, the two in turn, three times.
func importVGG(w io.Writer, dir string) error {
	text, err := os.ReadFile(vgg)
	if err != nil {
		return err
	}
	model := filepath.Join(dir, "net.caffemodel")
	if err := writeVGG(model, string(text)); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "net.prototxt"), text, 0o600); err != nil {
		return err
	}
	st, err := os.Stat(model)
	if err != nil {
		return err
	}
	var peak int64
	var times, ratios []float64
	for range 3 {
		start := time.Now()
		if err := copyAndHash(model, filepath.Join(dir, "copy")); err != nil {
			return err
		}
		floor := time.Since(start).Seconds()
		start = time.Now()
		used, err := importOnce(dir, model, filepath.Join(dir, "net.prototxt"))
		if err != nil {
			return err
		}
		times = append(times, time.Since(start).Seconds())
		ratios = append(ratios, time.Since(start).Seconds()/floor)
		peak = max(peak, used)
	}
	slices.Sort(times)
	slices.Sort(ratios)
	fmt.Fprintf(w, "VGG-16 of %d MB: peak memory %d MB, %.2f times the model (goal: at most 2.2)\n", st.Size()>>20, peak>>20, float64(peak)/float64(st.Size()))
	fmt.Fprintf(w, "imported in %.2f s, %.2f times copying and hashing it, %.2f to %.2f (goal: at most 5)\n", times[1], ratios[1], ratios[0], ratios[2])
	return nil
}

// importOnce runs stoa import, and gives the peak of its memory in bytes.
func importOnce(dir string, files ...string) (int64, error) {
	cmd := exec.Command("bin/stoa", append(append([]string{"import"}, files...), "-o", filepath.Join(dir, "net.onnx"))...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return 0, fmt.Errorf("stoa import: %w: %s", err, out)
	}
	usage, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage)
	if !ok {
		return 0, errors.New("the system does not say how much memory a process took")
	}
	return usage.Maxrss << 10, nil
}

func copyAndHash(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.Create(to)
	if err != nil {
		return err
	}
	defer out.Close()
	if _, err := io.Copy(io.MultiWriter(out, sha256.New()), in); err != nil {
		return err
	}
	return out.Close()
}

func writeVGG(path, prototxt string) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := caffetest.Write(f, prototxt, []int64{1, 3, 224, 224}, caffetest.Options{}); err != nil {
		return err
	}
	return f.Close()
}
