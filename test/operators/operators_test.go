// Package operators proves each layer and operator that an importer maps: a
// folder for each framework holds small models and arrays that the framework
// itself wrote, and the script make.py that had it write them. No framework is
// needed to run the cases.
//
// A case NAME is a folder NAME with the model's files, the archive NAME.npz with
// arrays in/INPUT and out/OUTPUT, and, where there is something to say, NAME.json
// (see settings).
package operators

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stoa-project/stoa/internal/format/npy"
	"github.com/stoa-project/stoa/internal/importer"
	"github.com/stoa-project/stoa/internal/importer/importtest"
	"github.com/stoa-project/stoa/internal/serve"
	"github.com/stoa-project/stoa/internal/tensor"
)

var update = flag.Bool("update", false, "write without.txt again")

// settings is NAME.json.
type settings struct {
	Atol    float64            `json:"atol"`    // as a share of the largest number wanted, or of 1; 0: 1e-4
	Files   []string           `json:"files"`   // those of the model, where others lie beside them
	Inputs  []string           `json:"inputs"`  // cut the network at these tensors
	Outputs []string           `json:"outputs"` // and at these
	Shapes  map[string][]int64 `json:"shapes"`
	// Single says that what the source computes is for a batch of one size only,
	// so that two items in place of one are not tried, and why.
	Single string `json:"single"`
}

func TestOperators(t *testing.T) {
	importtest.Start(t)
	plugs := map[string]importer.Plug{}
	for _, p := range serve.Plugs() {
		plugs[p.Framework()] = p
	}
	covered := map[string]map[string]bool{}
	for framework, cases := range allCases(t) {
		plug := plugs[framework]
		if plug == nil {
			t.Errorf("there is a folder %s and no such framework", framework)
			continue
		}
		covered[framework] = map[string]bool{}
		passed := 0
		for _, name := range cases {
			t.Run(framework+"/"+name, func(t *testing.T) {
				report := runCase(t, filepath.Join(framework, name))
				for layer := range report.Layers {
					covered[framework][layer] = true
				}
				passed++
			})
		}
		fmt.Fprintf(os.Stdout, "operators: %s: %d of %d cases\n", framework, passed, len(cases))
	}
	if f := flag.Lookup("test.run"); f.Value.String() == "" || *update {
		holdWithout(t, plugs, covered)
	}
}

// allCases gives the names of cases by framework.
func allCases(t *testing.T) map[string][]string {
	t.Helper()
	found, err := filepath.Glob("*/*.npz")
	if err != nil {
		t.Fatal(err)
	}
	out := map[string][]string{}
	for _, path := range found {
		framework := filepath.Dir(path)
		out[framework] = append(out[framework], strings.TrimSuffix(filepath.Base(path), ".npz"))
	}
	return out
}

func runCase(t *testing.T, path string) importer.Report {
	t.Helper()
	var set settings
	if data, err := os.ReadFile(path + ".json"); err == nil {
		d := json.NewDecoder(bytes.NewReader(data))
		d.DisallowUnknownFields()
		if err := d.Decode(&set); err != nil {
			t.Fatalf("%s.json: %v", path, err)
		}
	}
	opt := importer.Options{Files: set.Files, Inputs: set.Inputs, Outputs: set.Outputs, Shapes: set.Shapes}
	net, err := importtest.Import(t.Context(), serve.Plugs(), path, t.TempDir(), opt)
	if err != nil {
		t.Fatal(err)
	}
	in, out := arrays(t, path+".npz")
	tolerance := set.Atol
	if tolerance == 0 {
		tolerance = importer.Tolerance
	}
	compare(t, net.Path, in, out, tolerance)
	open := func(s tensor.Spec) bool { return len(s.Shape) > 0 && s.Shape[0] < 0 }
	if set.Single != "" || !slices.ContainsFunc(net.Report.Inputs, open) || slices.ContainsFunc(net.Report.Inputs, func(s tensor.Spec) bool { return !open(s) }) {
		return net.Report
	}
	for _, list := range []map[string]tensor.Tensor{in, out} {
		for name, a := range list {
			list[name] = importtest.Twice(a)
		}
	}
	compare(t, net.Path, in, out, tolerance)
	return net.Report
}

func compare(t *testing.T, path string, in, out map[string]tensor.Tensor, tolerance float64) {
	t.Helper()
	var names []string
	for name := range out {
		names = append(names, name)
	}
	got, err := importtest.Run(path, in, names)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range out {
		d, err := importtest.Difference(got[name], want)
		if limit := tolerance * importtest.Scale(want); err != nil || d > limit {
			t.Errorf("output %s differs by %g, and %g is allowed: %v", name, d, limit, err)
		}
	}
}

// arrays reads the archive of a case.
func arrays(t *testing.T, path string) (in, out map[string]tensor.Tensor) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	names, ts, err := npy.ParseNpz(data)
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	in, out = map[string]tensor.Tensor{}, map[string]tensor.Tensor{}
	for i, name := range names {
		switch side, rest, _ := strings.Cut(name, "/"); side {
		case "in":
			in[rest] = ts[i]
		case "out":
			out[rest] = ts[i]
		default:
			t.Fatalf("%s: array %q is neither in/… nor out/…", path, name)
		}
	}
	if len(out) == 0 {
		t.Fatalf("%s has no array out/…", path)
	}
	return in, out
}

// holdWithout holds without.txt to the code: it lists the operators that are
// mapped and have no case here. It may only shrink by adding cases, and whoever
// adds an operator without one has to write it down.
func holdWithout(t *testing.T, plugs map[string]importer.Plug, covered map[string]map[string]bool) {
	t.Helper()
	var lines []string
	for _, framework := range slices.Sorted(maps.Keys(plugs)) {
		if framework == "onnx" {
			continue // those networks stay as they are
		}
		for _, op := range plugs[framework].Operators() {
			if !covered[framework][op] {
				lines = append(lines, framework+" "+op)
			}
		}
	}
	want := head + strings.Join(append(lines, ""), "\n")
	if *update {
		if err := os.WriteFile("without.txt", []byte(want), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	have, err := os.ReadFile("without.txt")
	if err != nil {
		t.Fatal(err)
	}
	if string(have) != want {
		t.Errorf("without.txt does not list the operators that have no case: write a case, or run go test ./test/operators -update and say in the change why there is none\nmissing or to be gone: %v",
			differing(strings.Split(string(have), "\n"), strings.Split(want, "\n")))
	}
}

const head = "# Operators that an importer maps and that have no case in this folder. Those of Caffe and\n" +
	"# Torch7 are proven by the cases of test/frameworks alone, since neither runs any more.\n"

func differing(a, b []string) []string {
	var out []string
	for _, s := range slices.Concat(a, b) {
		if slices.Contains(a, s) != slices.Contains(b, s) {
			out = append(out, s)
		}
	}
	return out
}
