// Command zoo has real frameworks build whole architectures with random weights,
// imports them, runs both batch sizes that the framework ran, and compares. It
// writes what it found into results.json beside it and into docs/coverage.md. One
// model at a time, deleted afterwards; what is in results.json already is not
// made again.
//
//	go run ./test/zoo                       what results.json does not have yet
//	go run ./test/zoo -again keras/lstm     these once more: by the beginning of their names
//
// make zoo installs the frameworks first; see zoo.sh.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/stoa-project/stoa/internal/format/npy"
	"github.com/stoa-project/stoa/internal/importer"
	"github.com/stoa-project/stoa/internal/importer/importtest"
	"github.com/stoa-project/stoa/internal/serve"
	"github.com/stoa-project/stoa/internal/tensor"
)

// architectures are those that each framework builds.
var architectures = []string{"resnet50", "mobilenetv2", "densenet121", "efficientnetb0", "lstm", "bigru", "unet", "transformer"}

// frameworks are the scripts beside this file, and what each saves.
var frameworks = []struct {
	name  string
	forms []string
}{
	{"keras", []string{"h5", "keras"}},
	{"tensorflow", []string{"savedmodel"}},
	{"torch", []string{"scripted", "traced"}},
}

// result is what came of one model in one form.
type result struct {
	Name       string  `json:"name"`           // framework/architecture.form
	Framework  string  `json:"framework"`      // with its version, as the script says
	Parameters int64   `json:"parameters"`     //
	MaxRel     float64 `json:"max_rel"`        // the largest difference as a share of the output's scale, of batch sizes 1 and 3
	Transposes int     `json:"transposes"`     // left in the graph
	Operators  int     `json:"operators"`      // in the graph
	Seconds    float64 `json:"import_seconds"` //
	Error      string  `json:"error,omitempty"`
}

func main() {
	var again string
	pythons := map[string]*string{}
	flag.StringVar(&again, "again", "", "make these again: the beginning of their names")
	for _, f := range frameworks {
		pythons[f.name] = flag.String(f.name, "", "the Python that has "+f.name+"; without it its models are left out")
	}
	flag.Parse()
	if err := run(again, pythons); err != nil {
		fmt.Fprintln(os.Stderr, "zoo:", err)
		os.Exit(1)
	}
}

func run(again string, pythons map[string]*string) error {
	lib := importtest.Library()
	if lib == "" {
		return errors.New("ONNX Runtime is not here: run make setup")
	}
	done, err := importtest.Open(lib)
	if err != nil {
		return err
	}
	defer done()
	results, err := read()
	if err != nil {
		return err
	}
	if again != "" {
		results = slices.DeleteFunc(results, func(r result) bool { return strings.HasPrefix(r.Name, again) })
	}
	for _, f := range frameworks {
		for _, arch := range architectures {
			has := func(form string) bool {
				return slices.ContainsFunc(results, func(r result) bool { return r.Name == f.name+"/"+arch+"."+form })
			}
			if *pythons[f.name] == "" || !slices.ContainsFunc(f.forms, func(form string) bool { return !has(form) }) {
				continue
			}
			made, err := model(*pythons[f.name], f.name, arch, f.forms)
			if err != nil {
				return err
			}
			for _, r := range made {
				fmt.Printf("%-36s %.2g of its scale, %d transposes of %d operators, %.1f s%s\n", r.Name, r.MaxRel, r.Transposes, r.Operators, r.Seconds, failed(r))
				results = slices.DeleteFunc(results, func(old result) bool { return old.Name == r.Name })
			}
			results = append(results, made...)
			if err := write(results); err != nil {
				return err
			}
		}
	}
	return report(results)
}

func failed(r result) string {
	if r.Error == "" {
		return ""
	}
	return ": FAILED: " + r.Error
}

// model has a framework write one architecture in all its forms, and tries each.
func model(python, framework, arch string, forms []string) ([]result, error) {
	dir, err := os.MkdirTemp("", "stoa-zoo-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	cmd := exec.Command(python, filepath.Join("test/zoo", "save_"+framework+".py"), arch, dir)
	cmd.Stderr = os.Stderr
	version, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("%s: %s: %w", framework, arch, err)
	}
	var out []result
	for _, form := range forms {
		r := result{Name: framework + "/" + arch + "." + form, Framework: lastLine(version)}
		if err := r.try(filepath.Join(dir, arch+"."+form), dir); err != nil {
			r.Error = err.Error()
		}
		out = append(out, r)
	}
	return out, nil
}

func lastLine(b []byte) string {
	lines := strings.Split(strings.TrimSpace(string(b)), "\n")
	return strings.TrimSpace(lines[len(lines)-1])
}

// try imports the model in from, once, and runs it on each pair of archives
// there: in1.npz with out1.npz, in3.npz with out3.npz.
func (r *result) try(from, scratch string) error {
	onnx, err := os.MkdirTemp(scratch, "onnx-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(onnx)
	began := time.Now()
	files, err := modelFiles(from)
	if err != nil {
		return err
	}
	net, err := importtest.Import(context.Background(), serve.Plugs(), from, onnx, importer.Options{Files: files})
	if err != nil {
		return err
	}
	r.Seconds = time.Since(began).Seconds()
	r.Parameters, r.Transposes = net.Report.Parameters, net.Report.Operators["Transpose"]
	for _, n := range net.Report.Operators {
		r.Operators += n
	}
	for _, batch := range []string{"1", "3"} {
		worst, err := compare(net.Path, filepath.Join(from, "in"+batch+".npz"), filepath.Join(from, "out"+batch+".npz"))
		if err != nil {
			return fmt.Errorf("batch of %s: %w", batch, err)
		}
		r.MaxRel = max(r.MaxRel, worst)
	}
	if r.MaxRel > importer.Tolerance {
		return fmt.Errorf("differs by %.3g of its scale", r.MaxRel)
	}
	return nil
}

// modelFiles lists the files of a model's folder but for the arrays.
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

func compare(path, in, out string) (float64, error) {
	inputs, err := arrays(in)
	if err != nil {
		return 0, err
	}
	wanted, err := arrays(out)
	if err != nil {
		return 0, err
	}
	var names []string
	for name := range wanted {
		names = append(names, name)
	}
	got, err := importtest.Run(path, inputs, names)
	if err != nil {
		return 0, err
	}
	worst := 0.0
	for name, want := range wanted {
		d, err := importtest.Difference(got[name], want)
		if err != nil {
			return 0, fmt.Errorf("output %s: %w", name, err)
		}
		worst = max(worst, d/importtest.Largest(want))
	}
	return worst, nil
}

func arrays(path string) (map[string]tensor.Tensor, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	names, ts, err := npy.ParseNpz(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	out := map[string]tensor.Tensor{}
	for i, name := range names {
		out[name] = ts[i]
	}
	return out, nil
}

const resultsFile, coverageFile = "test/zoo/results.json", "docs/coverage.md"

func read() ([]result, error) {
	data, err := os.ReadFile(resultsFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var out []result
	return out, json.Unmarshal(data, &out)
}

// write keeps the results, so that a run that was broken off goes on from there.
func write(results []result) error {
	slices.SortFunc(results, func(a, b result) int { return strings.Compare(a.Name, b.Name) })
	data, err := json.MarshalIndent(results, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(resultsFile, append(data, '\n'), 0o644)
}
