package kerasfile

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestSnake(t *testing.T) {
	for class, want := range map[string]string{
		"Conv2D": "conv2d", "Conv2DTranspose": "conv2d_transpose", "ReLU": "re_lu", "LSTM": "lstm", "GRU": "gru", "PReLU": "p_re_lu",
		"SeparableConv2D": "separable_conv2d", "BatchNormalization": "batch_normalization", "LSTMCell": "lstm_cell", "MaxPooling2D": "max_pooling2d",
	} {
		if got := snake(class); got != want {
			t.Errorf("%s is %s, want %s", class, got, want)
		}
	}
}

// Python writes numbers that JSON does not have.
func TestDecode(t *testing.T) {
	c, err := decode([]byte(`{"a": NaN, "b": [-Infinity, 1], "c": "NaN \" Infinity"}`))
	if err != nil {
		t.Fatal(err)
	}
	want := Config{"a": "NaN", "b": []any{"-Infinity", 1.0}, "c": `NaN " Infinity`}
	if diff := cmp.Diff(want, c); diff != "" {
		t.Error(diff)
	}
}

// Calls are counted from one where a model was used before, and by Keras 3 in the
// list of outputs only.
func TestCount(t *testing.T) {
	inner := func() *Layer { return &Layer{Name: "m", Model: &Model{}, Calls: make([]CallSite, 2)} }
	tests := []struct {
		name    string
		new3    bool
		within  []int // calls of m that other layers name
		out     int   // the call that is an output
		offset  int
		outCall int
	}{
		{"Keras 2", false, []int{1, 2}, 2, 1, 2},
		{"Keras 2, from nought", false, []int{0, 1}, 1, 0, 1},
		{"Keras 3", true, []int{0, 1}, 1, 0, 0},
		{"Keras 3, second", true, []int{0}, 2, 0, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m := &Model{ByName: map[string]*Layer{}, Outs: []Ref{{"m", tt.out, 0}}}
			k := inner()
			user := &Layer{Name: "u"}
			for _, c := range tt.within {
				user.Calls = append(user.Calls, CallSite{Args: []any{Ref{"m", c, 0}}, new3: tt.new3})
			}
			m.Layers, m.ByName["m"] = []*Layer{k, user}, k
			m.count()
			if k.Offset != tt.offset || m.Outs[0].Call != tt.outCall {
				t.Errorf("offset %d, output of call %d", k.Offset, m.Outs[0].Call)
			}
		})
	}
}

func FuzzOpen(f *testing.F) {
	const cases = "../../../test/operators/keras"
	for _, name := range []string{"dense/model.keras", "k1_merges/model.h5", "tk_archive/model.keras", "nested/model.h5"} {
		data, err := os.ReadFile(filepath.Join(cases, name))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	classes := Classes{
		Known: func(string) bool { return false },
		Slots: func(l *Layer) []string { return []string{"kernel", "~" + l.Kind, "part/bias"} },
	}
	f.Fuzz(func(_ *testing.T, data []byte) {
		if Sight(data) == None {
			return
		}
		s, err := Open(classes, File{"m", data})
		if err != nil {
			return
		}
		if root, err := s.Parse(); err == nil {
			_, _ = s.Bind(root)
		}
	})
}
