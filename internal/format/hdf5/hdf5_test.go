package hdf5_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/format/hdf5"
	"github.com/stoa-project/stoa/internal/onnx"
	"github.com/stoa-project/stoa/internal/tensor"
)

func open(t *testing.T, name string) *hdf5.Object {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	f, err := hdf5.Open(data)
	if err != nil {
		t.Fatal(err)
	}
	root, err := f.Root()
	if err != nil {
		t.Fatal(err)
	}
	return root
}

// files were written by h5py, in the forms of HDF5 1.6, 1.8 and 1.10.
var files = []string{"earliest.h5", "v108.h5", "latest.h5"}

func TestDatasets(t *testing.T) {
	for _, file := range files {
		t.Run(file, func(t *testing.T) {
			root := open(t, file)
			paths := map[string][]int64{
				"chunked/deep/deeper/plain": {5, 7, 3}, "chunked/deep/deeper/gzip": {5, 7, 3},
				"chunked/deep/deeper/shuffle": {5, 7, 3}, "chunked/deep/deeper/fletcher": {5, 7, 3},
				"chunked/deep/deeper/one": {5, 7, 3}, "none": {0, 3}, "types/same": {2, 3},
			}
			if file != "latest.h5" {
				paths["chunked/deep/deeper/growing"] = []int64{5, 7, 3}
			}
			for _, typ := range []string{"lf2", "lf4", "lf8", "bf4", "bi4", "li1", "lu1", "li2", "lu2", "li8", "lu8"} {
				paths["types/x"+typ] = []int64{2, 3}
			}
			for path, shape := range paths {
				o, err := root.Find(path)
				if err != nil || o == nil {
					t.Fatalf("%s: %v %v", path, o, err)
				}
				v, err := o.Read()
				if err != nil {
					t.Fatal(err)
				}
				if err := v.Tensor().Check(); err != nil || !slices.Equal(v.Shape, shape) {
					t.Fatalf("%s: shape %v, want %v: %v", path, v.Shape, shape, err)
				}
				for i, x := range onnx.NewTensor("", v.Tensor()).Floats() {
					if x != float32(i) {
						t.Fatalf("%s (%s): element %d is %g", path, v.DType, i, x)
					}
				}
			}
		})
	}
}

func TestValues(t *testing.T) {
	for _, file := range files {
		t.Run(file, func(t *testing.T) {
			root := open(t, file)
			read := func(path string) hdf5.Value {
				t.Helper()
				o, err := root.Find(path)
				if err != nil || o == nil {
					t.Fatalf("%s: %v %v", path, o, err)
				}
				v, err := o.Read()
				if err != nil {
					t.Fatal(err)
				}
				return v
			}
			if got := tensor.As[float32](read("filled").Tensor()); !slices.Equal(got, []float32{2.5, 2.5, 2.5, 2.5}) {
				t.Errorf("filled: %v", got)
			}
			if v := read("types/scalar"); len(v.Shape) != 0 || tensor.As[float32](v.Tensor())[0] != 7 {
				t.Errorf("scalar: %v", v)
			}
			if v := read("types/words"); !slices.Equal(v.Strings, []string{"one", "three"}) {
				t.Errorf("words: %v", v)
			}
			for i := range 40 {
				if got := tensor.As[float32](read(fmt.Sprintf("many/d%02d", i)).Tensor())[0]; got != float32(i) {
					t.Errorf("many/%d: %g", i, got)
				}
			}
			attributes(t, root)
			if file != "earliest.h5" {
				dense(t, root)
			}
		})
	}
}

func attributes(t *testing.T, root *hdf5.Object) {
	t.Helper()
	for name, want := range map[string][]string{
		"text": {"grüße"}, "fixed": {"fixed"}, "list": {"a", "bc", ""}, "fixed_list": {"ab", "cdef"}, "names": {"n0", "m0", "n1", "m1", "n2", "m2"}, "empty": nil,
	} {
		got, ok, err := root.List(name)
		if err != nil || !ok || !slices.Equal(got, want) {
			t.Errorf("attribute %s: %q %v %v, want %q", name, got, ok, err, want)
		}
	}
	for name, want := range map[string]int64{"number": 3, "flag": 1} {
		v, ok, err := root.Attr(name)
		if err != nil || !ok {
			t.Fatal(name, ok, err)
		}
		if got := onnx.NewTensor("", v.Tensor()).Ints(); len(got) != 1 || got[0] != want {
			t.Errorf("attribute %s: %v", name, got)
		}
	}
	if _, ok, err := root.Attr("nowhere"); ok || err != nil {
		t.Errorf("an attribute that is not there: %v %v", ok, err)
	}
}

func dense(t *testing.T, root *hdf5.Object) {
	t.Helper()
	o, err := root.Find("attributes")
	if err != nil {
		t.Fatal(err)
	}
	names, err := o.Attributes()
	if err != nil || len(names) != 30 || names[7] != "a07" {
		t.Fatalf("%v %v", names, err)
	}
	wide, err := root.Find("wide")
	if err != nil {
		t.Fatal(err)
	}
	members, err := wide.Names()
	if err != nil || len(members) != 30 && len(members) != 300 || members[7] != "a rather long name of a member 007" {
		t.Fatalf("%d %v", len(members), err)
	}
}

func TestRefused(t *testing.T) {
	for _, file := range files {
		root := open(t, file)
		if _, err := root.Find("loop"); stoa.KindOf(err) != stoa.Unsupported || !strings.Contains(err.Error(), "/loop is a link by name") {
			t.Errorf("%s: a link by name: %v", file, err)
		}
		o, err := root.Find("chunked/deep/deeper/lzf")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := o.Read(); stoa.KindOf(err) != stoa.Unsupported || !strings.Contains(err.Error(), `HDF5: /chunked/deep/deeper/lzf: the filter "LZF"`) {
			t.Errorf("%s: an unknown filter: %v", file, err)
		}
	}
	if _, err := hdf5.Open([]byte("nothing")); stoa.KindOf(err) != stoa.Invalid {
		t.Error(err)
	}
	data, err := os.ReadFile("testdata/earliest.h5")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := hdf5.Open(data[:len(data)/2]); err == nil || !strings.Contains(err.Error(), "cut off") {
		t.Errorf("half a file: %v", err)
	}
}

// TestViews holds that arrays in one piece are not copied.
func TestViews(t *testing.T) {
	data, err := os.ReadFile("testdata/earliest.h5")
	if err != nil {
		t.Fatal(err)
	}
	f, err := hdf5.Open(data)
	if err != nil {
		t.Fatal(err)
	}
	root, err := f.Root()
	if err != nil {
		t.Fatal(err)
	}
	o, err := root.Find("types/xlf4")
	if err != nil {
		t.Fatal(err)
	}
	v, err := o.Read()
	if err != nil {
		t.Fatal(err)
	}
	before := v.Data[0]
	for i := range data {
		data[i]++
	}
	if v.Data[0] != before+1 {
		t.Error("the array is a copy")
	}
}

// FuzzOpen reads everything of whatever it is given.
func FuzzOpen(f *testing.F) {
	for _, file := range files {
		data, err := os.ReadFile(filepath.Join("testdata", file))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(_ *testing.T, data []byte) {
		file, err := hdf5.Open(data)
		if err != nil {
			return
		}
		root, err := file.Root()
		if err != nil {
			return
		}
		_ = root.Walk(func(o *hdf5.Object) error {
			names, _ := o.Attributes()
			for _, name := range names {
				_, _, _ = o.Attr(name)
			}
			_, _, _ = root.List("names")
			if o.IsDataset() {
				if v, err := o.Read(); err == nil && v.DType != tensor.String {
					if err := v.Tensor().Check(); err != nil {
						panic(err)
					}
				}
			}
			return nil
		})
	})
}
