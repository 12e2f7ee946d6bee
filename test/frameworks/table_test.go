package frameworks

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the table of cases into README.md")

// tally counts the cases of each framework.
type tally struct{ passed, run map[string]int }

func newTally() *tally { return &tally{map[string]int{}, map[string]int{}} }

func (c *tally) add(job string, passed bool) {
	framework, _, _ := strings.Cut(job, "/")
	c.run[framework]++
	if passed {
		c.passed[framework]++
	}
}

// table gives what stands between the marks in README.md.
func (c *tally) table() string {
	var b strings.Builder
	b.WriteString("| Framework | What is read | Cases passed |\n|---|---|---|\n")
	for _, f := range []struct{ name, title, reads string }{
		{"keras", "Keras 1, 2, 3", "`.keras`, `.h5`, JSON with weights; those that ran on Theano too"},
		{"tensorflow", "TensorFlow 1, 2", "SavedModel, frozen graph, checkpoint with its `.meta`; loops and conditions"},
		{"pytorch", "PyTorch", "TorchScript, scripted and traced"},
		{"caffe", "Caffe", "prototxt and caffemodel, text and binary, V1 and V2 layers, weights in HDF5"},
		{"torch7", "Torch7", "binary and text files of nn, cudnn and nngraph"},
		{"cntk", "CNTK 2", "`.model`, `.dnn`, `.cmf`; recurrent networks and sequences"},
		{"theano", "Theano", "Lasagne's parameters with a `lasagne.yaml`"},
		{"onnx", "ONNX", "weights inside or beside the file"},
	} {
		fmt.Fprintf(&b, "| %s | %s | %d of %d |\n", f.title, f.reads, c.passed[f.name], c.run[f.name])
	}
	return b.String()
}

const tableBegin, tableEnd = "<!-- cases -->\n", "<!-- /cases -->"

// holdReadme compares the table in README.md with what has just been counted.
func (c *tally) holdReadme(t *testing.T) {
	t.Helper()
	path := filepath.Join(root, "README.md")
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, found := strings.Cut(string(b), tableBegin)
	got, after, closed := strings.Cut(rest, tableEnd)
	if !found || !closed {
		t.Fatalf("README.md has no %q and %q", strings.TrimSpace(tableBegin), tableEnd)
	}
	if got == c.table() {
		return
	}
	if !*update {
		t.Errorf("the table in README.md is out of date: run make generate\n%s", c.table())
		return
	}
	if err := os.WriteFile(path, []byte(before+tableBegin+c.table()+tableEnd+after), 0o644); err != nil {
		t.Fatal(err)
	}
}
