// Package frameworks proves that networks of other frameworks compute here what
// they compute there: every case of the assets, through importer and ONNX
// Runtime.
package frameworks

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stoa-project/stoa/internal/format/npy"
	"github.com/stoa-project/stoa/internal/importer"
	"github.com/stoa-project/stoa/internal/importer/caffe/caffetest"
	"github.com/stoa-project/stoa/internal/importer/importtest"
	"github.com/stoa-project/stoa/internal/onnx"
	"github.com/stoa-project/stoa/internal/serve"
	"github.com/stoa-project/stoa/internal/tensor"
)

var plugs = serve.Plugs()

// assets is the folder of files that the tests may use, beside the module.
var assets = filepath.Join(root, "../shared/assets")

// meta is a meta.json: the union of the forms that the folders use.
type meta struct {
	Framework string `json:"framework"`
	Name      string `json:"name"`
	Files     []struct {
		File string `json:"file"`
	} `json:"files"`
	Cases []metaCase `json:"cases"`
}

type metaArray struct {
	Name string `json:"name"`
	File string `json:"file"`
}

type metaCase struct {
	ID      string      `json:"id"`
	Inputs  []metaArray `json:"inputs"`
	Outputs []metaArray `json:"outputs"`
	Atol    float64     `json:"atol"`

	// Folders of single layers and of synthetic weights.
	Prototxt   string  `json:"prototxt"`
	Caffemodel *string `json:"caffemodel"`
	Input      string  `json:"input"`
	Output     string  `json:"output"`
	InShape    []int64 `json:"in_shape"`

	InputName   string  `json:"input_name"`
	InputShape  []int64 `json:"input_shape"`
	InputScale  float32 `json:"input_scale"`
	OutputLayer string  `json:"output_layer"`
	OutputShape []int64 `json:"output_shape"`
	Expected    string  `json:"expected"`
	Rtol        float64 `json:"rtol"`
	Std         float64 `json:"std"`
	Params      int64   `json:"params"`

	// The zoo of the ONNX repository.
	Model     string `json:"model"`
	InputRule string `json:"input_rule"`
}

// job is a case in one form.
type job struct {
	name    string
	dir     string
	opt     importer.Options
	prepare func(dir string) error // adds files to a copy of the folder
	inputs  map[string]tensor.Tensor
	want    map[string]tensor.Tensor
	atol    float64
	slow    bool
	steps   bool  // the first axis is steps of a sequence, not a batch
	params  int64 // how many there are; 0 not known
}

// notBuilt names the folders whose framework or form comes later.
var notBuilt = map[string]bool{}

func TestCases(t *testing.T) {
	jobs := allJobs(t)
	start(t)
	count := newTally()
	passed, run := 0, 0
	for _, j := range jobs {
		t.Run(j.name, func(t *testing.T) {
			if j.slow && testing.Short() {
				t.Skip("SKIPPED: slow")
			}
			run++
			worst, err := j.run(t)
			count.add(j.name, err == nil)
			if err != nil {
				t.Fatal(err)
			}
			passed++
			t.Logf("ok, at most %.2g of the tolerance %.2g", worst, j.atol)
		})
	}
	fmt.Fprintf(os.Stdout, "frameworks: %d of %d cases\n", passed, run)
	if run < len(jobs) {
		fmt.Fprintf(os.Stdout, "frameworks: %d slow cases were not run\n", len(jobs)-run)
		return
	}
	count.holdReadme(t)
}

func allJobs(t testing.TB) []job {
	t.Helper()
	var jobs []job
	for _, framework := range []string{"caffe", "cntk", "keras", "onnx", "pytorch", "tensorflow", "theano", "torch7"} {
		files, err := filepath.Glob(filepath.Join(assets, framework, "*", "meta.json"))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			name := framework + "/" + filepath.Base(filepath.Dir(file))
			if notBuilt[name] {
				continue
			}
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			var m meta
			data = bytes.ReplaceAll(data, []byte(": NaN"), []byte(": null")) // which is no JSON
			if err := json.Unmarshal(data, &m); err != nil {
				t.Fatalf("%s: %v", file, err)
			}
			for _, c := range m.Cases {
				j, err := c.job(filepath.Dir(file))
				if err != nil {
					t.Fatalf("%s, case %s: %v", name, c.ID, err)
				}
				j.name = name + "/" + c.ID
				if framework == "pytorch" {
					jobs = append(jobs, torchJobs(t, j)...)
					continue
				}
				jobs = append(jobs, j)
			}
		}
	}
	if len(jobs) == 0 {
		t.Skip("SKIPPED: ../shared/assets is not here")
	}
	return jobs
}

func (c metaCase) job(dir string) (job, error) {
	switch {
	case c.Expected != "":
		return c.synthetic(dir)
	case c.Prototxt != "":
		return c.layer(dir)
	case c.InputRule != "":
		return c.light(dir)
	case c.InShape != nil && fromTensorFlow(dir):
		return c.tensorflow(dir)
	case c.InShape != nil:
		return c.torch7(dir)
	}
	j := job{dir: dir, atol: c.Atol, inputs: map[string]tensor.Tensor{}, want: map[string]tensor.Tensor{}}
	// One folder holds the same network in ONNX too.
	if filepath.Base(dir) == "rfb-320-face" {
		j.opt.Files = []string{"RFB-320.prototxt", "RFB-320.caffemodel"}
	}
	j.steps = filepath.Base(dir) == "atis-slot-lstm-v2"
	for _, in := range c.Inputs {
		a, err := array(dir, in.File)
		if err != nil {
			return j, err
		}
		j.inputs[in.Name] = a
	}
	for _, out := range c.Outputs {
		a, err := array(dir, out.File)
		if err != nil {
			return j, err
		}
		j.want[out.Name] = a
	}
	j.fitTensorFlow()
	return j.keras().theano(), nil
}

// layer is a network of one layer or a few, with arrays by Caffe itself.
func (c metaCase) layer(dir string) (job, error) {
	j := job{dir: dir, atol: c.Atol, opt: importer.Options{Files: []string{c.Prototxt}}}
	if c.Caffemodel != nil {
		j.opt.Files = append(j.opt.Files, *c.Caffemodel)
	}
	in, err := array(dir, c.Input)
	if err != nil {
		return j, err
	}
	out, err := array(dir, c.Output)
	j.inputs, j.want = map[string]tensor.Tensor{"input": in}, map[string]tensor.Tensor{"output": out}
	return j, err
}

// synthetic is a famous network with weights made by a rule.
func (c metaCase) synthetic(dir string) (job, error) {
	j := job{dir: dir, atol: c.Rtol * c.Std, params: c.Params}
	want, err := array(dir, c.Expected)
	if err != nil {
		return j, err
	}
	want.Shape = c.OutputShape
	n, err := tensor.Elements(c.InputShape)
	if err != nil {
		return j, err
	}
	j.inputs = map[string]tensor.Tensor{c.InputName: tensor.Of(caffetest.Input(int(n), c.InputScale), c.InputShape...)}
	j.want = map[string]tensor.Tensor{c.OutputLayer: want}
	j.slow = strings.Contains(c.ID, "vgg16") || strings.Contains(c.ID, "resnet152") || strings.Contains(c.ID, "alexnet")
	j.opt.Files = []string{c.Prototxt, "synthetic.caffemodel"}
	colour := c.ID == "colorization_v2"
	if colour {
		// As published: the programs around it give the colours, and one
		// layer has its number in the description only.
		j.opt.Blobs = map[string]string{"class8_ab.0": "pts_in_hull.npy"}
	}
	j.prepare = func(to string) error {
		text, err := os.ReadFile(filepath.Join(dir, c.Prototxt))
		if err != nil {
			return err
		}
		var opt caffetest.Options
		if colour {
			opt.Skip = map[string]bool{"class8_ab": true, "conv8_313_rh": true}
		}
		f, err := os.Create(filepath.Join(to, "synthetic.caffemodel"))
		if err != nil {
			return err
		}
		defer f.Close()
		return caffetest.Write(f, string(text), c.InputShape, opt)
	}
	return j, nil
}

// light is a network of the ONNX repository whose weights are made by nodes.
func (c metaCase) light(dir string) (job, error) {
	// The shipped outputs are by the same kernels: probabilities of about 1e-3.
	j := job{dir: dir, atol: 1e-6, opt: importer.Options{Files: []string{c.Model}}}
	shape := []int64{1, 3, 224, 224}
	if c.InputRule != "arange(n)/n float32 reshaped to [1, 3, 224, 224]" {
		return j, fmt.Errorf("input rule %q is not known", c.InputRule)
	}
	in := make([]float32, 3*224*224)
	for i := range in {
		in[i] = float32(i) / float32(len(in))
	}
	data, err := os.ReadFile(filepath.Join(dir, c.Output))
	if err != nil {
		return j, err
	}
	out, err := onnx.ReadTensor(data)
	if err != nil {
		return j, err
	}
	j.inputs = map[string]tensor.Tensor{"": tensor.Of(in, shape...)}
	j.want = map[string]tensor.Tensor{"": out.Tensor}
	return j, nil
}

func array(dir, file string) (tensor.Tensor, error) {
	data, err := os.ReadFile(filepath.Join(dir, file))
	if err != nil {
		return tensor.Tensor{}, err
	}
	return npy.Parse(data)
}

// run imports the network, writes it as workers take it, runs it and compares.
// It gives the largest difference.
func (j job) run(t *testing.T) (float64, error) {
	dir := j.dir
	if j.prepare != nil {
		dir = t.TempDir()
		if err := copyFolder(j.dir, dir); err != nil {
			return 0, err
		}
		if err := j.prepare(dir); err != nil {
			return 0, err
		}
	}
	src, err := importer.Dir(dir)
	if err != nil {
		return 0, err
	}
	defer src.Close()
	im, err := importer.Import(t.Context(), plugs, src, j.opt)
	if err != nil {
		return 0, err
	}
	defer im.Close()
	// The published weights of the colorization network lack those of two layers.
	if j.params > 0 && j.opt.Blobs == nil && im.Report.Parameters != j.params {
		return 0, fmt.Errorf("%d parameters, want %d", im.Report.Parameters, j.params)
	}
	out := t.TempDir()
	if _, err := im.Write(out); err != nil {
		return 0, err
	}
	if err := importtest.Keep(im, j.name); err != nil {
		return 0, err
	}
	// Some cases do not say what the file calls its one input and output.
	j.inputs = onlyName(j.inputs, im.Report.Inputs)
	if _, ok := j.want[""]; ok {
		j.want = onlyName(j.want, im.Report.Outputs)
	}
	var names []string
	for name := range j.want {
		names = append(names, name)
	}
	got, err := runModel(filepath.Join(out, importer.ModelFile), j.inputs, names)
	if err != nil {
		return 0, err
	}
	worst, err := j.compare(got)
	if err != nil || j.slow || j.steps || slices.ContainsFunc(im.Report.Inputs, func(s tensor.Spec) bool { return s.Shape[0] >= 0 }) {
		return worst, err
	}
	// Where the batch is free, two items give what each gives alone.
	for name, a := range j.inputs {
		j.inputs[name] = twice(a)
	}
	for name, a := range j.want {
		j.want[name] = twice(a)
	}
	if got, err = runModel(filepath.Join(out, importer.ModelFile), j.inputs, names); err != nil {
		return 0, err
	}
	if _, err := j.compare(got); err != nil {
		return 0, fmt.Errorf("with two items: %w", err)
	}
	return worst, nil
}

// compare gives the largest difference from what is wanted.
func (j job) compare(got map[string]tensor.Tensor) (float64, error) {
	worst := 0.0
	for name, want := range j.want {
		d, err := difference(got[name], want)
		if err != nil {
			return 0, fmt.Errorf("output %s: %w", name, err)
		}
		worst = max(worst, d)
	}
	if !(worst <= j.atol) {
		return worst, fmt.Errorf("differs by %g, and %g is allowed", worst, j.atol)
	}
	return worst, nil
}

// onlyName gives the one array of a case the one name of the network.
func onlyName(arrays map[string]tensor.Tensor, specs []tensor.Spec) map[string]tensor.Tensor {
	if len(arrays) != 1 || len(specs) != 1 {
		return arrays
	}
	for _, a := range arrays {
		return map[string]tensor.Tensor{specs[0].Name: a}
	}
	return arrays
}

func copyFolder(from, to string) error {
	entries, err := os.ReadDir(from)
	if err != nil {
		return err
	}
	for _, e := range entries {
		data, err := os.ReadFile(filepath.Join(from, e.Name()))
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(to, e.Name()), data, 0o600); err != nil {
			return err
		}
	}
	return nil
}
