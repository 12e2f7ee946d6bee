package savedmodel

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/format/graphdef"
	"github.com/stoa-project/stoa/internal/tensor"
)

const cases = "../../../test/operators/tensorflow"

func opener(dir string) func(string) ([]byte, error) {
	return func(name string) ([]byte, error) { return os.ReadFile(filepath.Join(cases, dir, name)) }
}

func TestOpen(t *testing.T) {
	for dir, file := range map[string]string{"tf1_saved": "saved_model.pb", "tf1_saved_resource": "saved_model.pb", "tf1_checkpoint": "model.ckpt.meta"} {
		m, err := Open(file, opener(dir))
		if err != nil {
			t.Fatalf("%s: %v", dir, err)
		}
		key, ok := m.Vars.Key("a/w", "")
		v, err := m.Vars.Value(key)
		if !ok || err != nil || !slices.Equal(v.Shape, []int64{3, 4}) || v.DType != tensor.Float32 || len(m.Files) != 3 {
			t.Errorf("%s: a/w is %v %v, %v, of %v", dir, v.DType, v.Shape, err, m.Files)
		}
	}
	if _, err := Open("graph.pb", opener("relu")); err != nil {
		t.Error(err)
	}
	// The data is not there.
	_, err := Open("model.ckpt.meta", func(name string) ([]byte, error) {
		if strings.Contains(name, ".data-") {
			return nil, os.ErrNotExist
		}
		return opener("tf1_checkpoint")(name)
	})
	if err == nil || !strings.Contains(stoa.AsError(err).Msg, ".data-00000-of-00001") {
		t.Errorf("without data: %v", err)
	}
}

// TestValue holds that what an index claims is bounded by the data.
func TestValue(t *testing.T) {
	m, err := Open("saved_model.pb", opener("tf1_saved"))
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(v *Variables){
		"outside": func(v *Variables) { e := v.index.Entries["a/w"]; e.Offset = 1 << 40; v.index.Entries["a/w"] = e },
		"shard":   func(v *Variables) { e := v.index.Entries["a/w"]; e.Shard = 7; v.index.Entries["a/w"] = e },
		"misfit":  func(v *Variables) { e := v.index.Entries["a/w"]; e.Shape = []int64{5}; v.index.Entries["a/w"] = e },
		"parts":   func(v *Variables) { e := v.index.Entries["a/w"]; e.Slices = 2; v.index.Entries["a/w"] = e },
		"text":    func(v *Variables) { e := v.index.Entries["a/w"]; e.Type = 7; v.index.Entries["a/w"] = e },
	} {
		before := m.Vars.index.Entries["a/w"]
		change(m.Vars)
		if _, err := m.Vars.Value("a/w"); err == nil || stoa.AsError(err).Msg == "" {
			t.Errorf("%s: %v", name, err)
		}
		m.Vars.index.Entries["a/w"] = before
	}
}

func TestSignature(t *testing.T) {
	sig := func(out string) *graphdef.Signature {
		return &graphdef.Signature{Outputs: map[string]graphdef.Info{out: {Name: out + ":0"}}}
	}
	m := func() *Model {
		return &Model{File: "f", Graph: &graphdef.Graph{}, Signatures: map[string]*graphdef.Signature{"zeta": sig("z"), "serving_default": sig("y"), "alpha": sig("a"), initOp: sig("none")}}
	}
	for _, c := range []struct {
		name    string
		outputs []string
		want    string
	}{{"", nil, "y"}, {"alpha", nil, "a"}, {"", []string{"z"}, "z"}, {"", []string{"other"}, ""}} {
		s, err := m().Signature(c.name, c.outputs)
		got := ""
		if s != nil {
			for got = range s.Outputs {
			}
		}
		if err != nil || got != c.want {
			t.Errorf("%+v: %q, %v", c, got, err)
		}
	}
	if _, err := m().Signature("beta", nil); err == nil || !strings.Contains(stoa.AsError(err).Msg, "serving_default, alpha, zeta") {
		t.Error(err)
	}
}
