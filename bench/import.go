package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"github.com/stoa-project/stoa/internal/importer/caffe/caffetest"
)

const vgg = "../shared/assets/caffe/zoo-prototxts-synthetic-weights/places365_vgg16.prototxt"

// importVGG measures the peak memory of stoa import on the VGG-16 of the
// assets, whose weights are made here, over the size of the model. Mapped pages
// of the model count.
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
	start := time.Now()
	cmd := exec.Command("bin/stoa", "import", model, filepath.Join(dir, "net.prototxt"), "-o", filepath.Join(dir, "net.onnx"))
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("stoa import: %w: %s", err, out)
	}
	usage, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage)
	if !ok {
		return errors.New("the system does not say how much memory a process took")
	}
	fmt.Fprintf(w, "VGG-16 of %d MB imported in %v; peak memory %d MB, %.2f times the model (goal: at most 2.2)\n",
		st.Size()>>20, time.Since(start).Round(time.Millisecond), usage.Maxrss>>10, float64(usage.Maxrss<<10)/float64(st.Size()))
	return nil
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
