package keras

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/importer"
)

// cases holds models that Keras wrote.
const cases = "../../../test/operators/keras"

func content(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(cases, name))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// within imports an architecture of one layer behind an input of four numbers,
// with weights that are of another model.
func within(t *testing.T, layers string) (importer.Report, error) {
	t.Helper()
	plan := `{"class_name": "Sequential", "keras_version": "2.2.4", "backend": "tensorflow", "config": {"name": "net", "layers": [
		{"class_name": "InputLayer", "config": {"name": "x", "batch_input_shape": [null, 4]}}, ` + layers + `]}}`
	src := fstest.MapFS{"net.json": {Data: []byte(plan)}, "net.h5": {Data: content(t, "k2_sequential/net.h5")}}
	im, err := importer.Import(t.Context(), []importer.Plug{Plug{}}, src, importer.Options{})
	if err != nil {
		return importer.Report{}, err
	}
	defer im.Close()
	return im.Report, nil
}

func TestRefused(t *testing.T) {
	tests := []struct {
		name, layers string
		want         []string
	}{
		{"code", `{"class_name": "Lambda", "config": {"name": "l1", "function": ["4wEAAAA="]}}`, []string{"net.json", "l1", "Lambda", "not run"}},
		{"own class", `{"class_name": "Mine", "registered_name": "shop>Mine", "config": {"name": "m"}}`, []string{"shop>Mine", "code is not in the file"}},
		{"own class of a known name", `{"class_name": "Dense", "registered_name": "shop>Dense", "config": {"name": "m", "units": 2}}`, []string{"shop>Dense"}},
		{"setting", `{"class_name": "Flatten", "config": {"name": "f", "order": "Z"}}`, []string{"layer f (Flatten)", "order"}},
		{"function", `{"class_name": "Activation", "config": {"name": "a", "activation": "wobble"}}`, []string{"wobble"}},
		{"state", `{"class_name": "LSTM", "config": {"name": "a", "units": 3, "stateful": true}}`, []string{"stateful"}},
		{
			"all at once", `{"class_name": "Lambda", "config": {"name": "l1"}}, {"class_name": "Fancy", "config": {"name": "f1"}}, {"class_name": "Activation", "config": {"name": "a1", "activation": "wobble"}}`,
			[]string{"l1", "f1", "a1", "wobble"},
		},
		{"what shapes tell", `{"class_name": "MaxPooling2D", "config": {"name": "p", "pool_size": [2, 2]}}`, []string{"layer p (MaxPooling2D)", "4 axes"}},
		{"no weights", `{"class_name": "Dense", "config": {"name": "q", "units": 3}}`, []string{"not of one model"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := within(t, tt.layers)
			if err == nil {
				t.Fatal("it was imported")
			}
			for _, w := range tt.want {
				if !strings.Contains(err.Error(), w) {
					t.Errorf("%v does not name %s", err, w)
				}
			}
			if kind := stoa.KindOf(err); kind != stoa.Unsupported && kind != stoa.Invalid {
				t.Errorf("kind %v", kind)
			}
		})
	}
}

// Half of a pair of files says what the other half is.
func TestHalves(t *testing.T) {
	tests := []struct {
		name string
		src  fstest.MapFS
		want string
	}{
		{"weights", fstest.MapFS{"w.h5": {Data: content(t, "k2_sequential/net.h5")}}, "model.to_json()"},
		{"weights of Keras 3", fstest.MapFS{"w.weights.h5": {Data: content(t, "activations/model.weights.h5")}}, "model.to_json()"},
		{"architecture", fstest.MapFS{"net.json": {Data: content(t, "k2_sequential/net.json")}}, "model.save_weights()"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := importer.Import(t.Context(), []importer.Plug{Plug{}}, tt.src, importer.Options{})
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want a word of %s", err, tt.want)
			}
		})
	}
}

// A size that nothing needs is open, and the report has the file's.
func TestOpenSizes(t *testing.T) {
	tests := []struct {
		name string
		open bool
	}{{"norms", false}, {"conv2d_deep", true}, {"sequential", false}}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			src, err := importer.Dir(filepath.Join(cases, tt.name))
			if err != nil {
				t.Fatal(err)
			}
			defer src.Close()
			r, err := importer.Inspect(t.Context(), []importer.Plug{Plug{}}, src, importer.Options{})
			if err != nil {
				t.Fatal(err)
			}
			in := r.Inputs[0].Shape
			if open := in[1] < 0; open != tt.open {
				t.Errorf("its input is %v", in)
			}
			if tt.open && (r.Declared == nil || r.Declared[0].Shape[1] != 7) {
				t.Errorf("declared are %v", r.Declared)
			}
		})
	}
}

// FuzzImport holds the importer to errors in place of panics, whatever the bytes.
func FuzzImport(f *testing.F) {
	for _, name := range []string{"dense/model.keras", "gru/model.keras", "k1_sequential/model.h5", "k2_nested/model.h5", "masks/model.h5", "tk_sequential/model.keras", "nested_frozen/model.h5"} {
		f.Add(content(f, name))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		im, err := importer.Import(t.Context(), []importer.Plug{Plug{}}, fstest.MapFS{"m": {Data: data}}, importer.Options{})
		if err == nil {
			_ = im.Close()
		}
	})
}

// FuzzPlan does the same for architectures beside weights that are sound.
func FuzzPlan(f *testing.F) {
	for _, name := range []string{"k2_sequential/net.json", "k1_pictures_tf/net.json", "nested_json/model.json", "tk_json/net.json", "activations/model.json"} {
		f.Add(content(f, name))
	}
	weights := content(f, "k2_sequential/net.h5")
	other := content(f, "nested_json/model.weights.h5")
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, w := range [][]byte{weights, other} {
			im, err := importer.Import(t.Context(), []importer.Plug{Plug{}}, fstest.MapFS{"m.json": {Data: data}, "m.h5": {Data: w}}, importer.Options{})
			if err == nil {
				_ = im.Close()
			}
		}
	})
}
