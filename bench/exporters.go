package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	goruntime "runtime"
	"slices"
	"time"

	runtime "github.com/yalue/onnxruntime_go"
	"golang.org/x/sys/unix"

	"github.com/stoa-project/stoa/internal/format/npy"
	"github.com/stoa-project/stoa/internal/importer"
	"github.com/stoa-project/stoa/internal/importer/importtest"
	"github.com/stoa-project/stoa/internal/serve"
	"github.com/stoa-project/stoa/internal/tensor"
)

// exported are the networks that the frameworks' own exporters write too:
// tf2onnx and torch.onnx. make zoo installs the frameworks, each under its name.
var exported = []struct{ framework, form, python string }{
	{"keras", "keras", ".zoo/tensorflow/bin/python"},
	{"tensorflow", "savedmodel", ".zoo/tensorflow/bin/python"},
	{"torch", "traced", "/usr/bin/python3"},
}

var exportedArchitectures = []string{"lstm", "mobilenetv2", "resnet50", "densenet121"}

// exporters measures networks as imported here against the same networks as
// the framework's own exporter wrote them, both in ONNX Runtime on one thread, in
// turn, on a batch of one.
func exporters(w io.Writer, dir string) error {
	done, err := importtest.Open(importtest.Library())
	if err != nil {
		return err
	}
	defer done()
	for _, e := range exported {
		if _, err := os.Stat(e.python); err != nil {
			fmt.Fprintf(w, "%s is left out: %s is not here; make zoo installs it\n", e.framework, e.python)
			continue
		}
		for _, arch := range exportedArchitectures {
			to := filepath.Join(dir, e.framework+"-"+arch)
			if err := os.Mkdir(to, 0o755); err != nil {
				return err
			}
			cmd := exec.Command(e.python, filepath.Join("test/zoo", "save_"+e.framework+".py"), arch, to, "--onnx")
			if out, err := cmd.CombinedOutput(); err != nil {
				return fmt.Errorf("%s %s: %w: %s", e.framework, arch, err, out)
			}
			r, err := againstExporter(filepath.Join(to, arch+"."+e.form), filepath.Join(to, arch+".onnx"), to)
			if err != nil {
				return fmt.Errorf("%s %s: %w", e.framework, arch, err)
			}
			fmt.Fprintf(w, "%-12s %-12s imported takes %.2f times what the exporter's takes, %.2f to %.2f; %s against %s a run (goal: at most 1.05)\n",
				e.framework, arch, r.ratio, r.low, r.high, r.imported, r.exporter)
			if err := os.RemoveAll(to); err != nil {
				return err
			}
		}
	}
	return nil
}

type race struct {
	ratio, low, high   float64
	imported, exporter time.Duration
}

func againstExporter(model, theirs, dir string) (race, error) {
	files, err := modelFiles(model)
	if err != nil {
		return race{}, err
	}
	ours := filepath.Join(dir, "imported")
	if err := os.Mkdir(ours, 0o755); err != nil {
		return race{}, err
	}
	net, err := importtest.Import(context.Background(), serve.Plugs(), model, ours, importer.Options{Files: files})
	if err != nil {
		return race{}, err
	}
	in, err := archive(filepath.Join(model, "in1.npz"))
	if err != nil {
		return race{}, err
	}
	a, err := oneThread(net.Path, in)
	if err != nil {
		return race{}, err
	}
	defer a.Close()
	b, err := oneThread(theirs, in)
	if err != nil {
		return race{}, err
	}
	defer b.Close()
	return inTurn(a, b)
}

// inTurn runs both sessions in turn, in rounds that are long enough to time, and
// gives the median round.
func inTurn(a, b *importtest.Session) (race, error) {
	const rounds, round = 11, 300 * time.Millisecond
	first, err := each(b, 3)
	if err != nil {
		return race{}, err
	}
	if _, err := each(a, 3); err != nil {
		return race{}, err
	}
	n := max(3, int(round/first))
	var ratios []float64
	var ours, theirs []time.Duration
	for range rounds {
		x, err := each(a, n)
		if err != nil {
			return race{}, err
		}
		y, err := each(b, n)
		if err != nil {
			return race{}, err
		}
		ours, theirs, ratios = append(ours, x), append(theirs, y), append(ratios, float64(x)/float64(y))
	}
	slices.Sort(ours)
	slices.Sort(theirs)
	slices.Sort(ratios)
	return race{ratios[rounds/2], ratios[0], ratios[rounds-1], ours[rounds/2].Round(time.Microsecond), theirs[rounds/2].Round(time.Microsecond)}, nil
}

// each gives the processor time of a run. The runtime has one thread, which is
// the caller's: what other processes do meanwhile is not counted.
func each(s *importtest.Session, n int) (time.Duration, error) {
	goruntime.LockOSThread()
	defer goruntime.UnlockOSThread()
	var from, to unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &from); err != nil {
		return 0, err
	}
	for range n {
		if _, err := s.Run(); err != nil {
			return 0, err
		}
	}
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &to); err != nil {
		return 0, err
	}
	return time.Duration(to.Nano()-from.Nano()) / time.Duration(n), nil
}

// oneThread loads a network with all its outputs; its inputs are those of the
// archive in their order, whatever the network calls them.
func oneThread(path string, in []tensor.Tensor) (*importtest.Session, error) {
	inputs, outputs, err := runtime.GetInputOutputInfo(path)
	if err != nil {
		return nil, err
	}
	if len(inputs) != len(in) {
		return nil, fmt.Errorf("%s takes %d inputs, and there are %d", path, len(inputs), len(in))
	}
	named := map[string]tensor.Tensor{}
	for i, info := range inputs {
		named[info.Name] = in[i]
	}
	names := make([]string, len(outputs))
	for i, info := range outputs {
		names[i] = info.Name
	}
	options, err := runtime.NewSessionOptions()
	if err != nil {
		return nil, err
	}
	defer func() { _ = options.Destroy() }()
	if err := errors.Join(options.SetIntraOpNumThreads(1), options.SetInterOpNumThreads(1)); err != nil {
		return nil, err
	}
	return importtest.Load(path, named, names, options)
}

func archive(path string) ([]tensor.Tensor, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	_, ts, err := npy.ParseNpz(data)
	return ts, err
}

// modelFiles lists the files of a folder but for arrays.
func modelFiles(dir string) ([]string, error) {
	var out []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() && filepath.Ext(path) != ".npz" {
			name, rerr := filepath.Rel(dir, path)
			out, err = append(out, name), rerr
		}
		return err
	})
	return out, err
}
