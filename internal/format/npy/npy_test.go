package npy

import (
	"archive/zip"
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"unsafe"

	"github.com/google/go-cmp/cmp"

	"github.com/stoa-project/stoa/internal/tensor"
)

func file(version byte, dict string, body []byte) []byte {
	out := []byte(magic)
	out = append(out, version, 0, byte(len(dict)), 0)
	if version > 1 {
		out = append(out, 0, 0)
	}
	return append(append(out, dict...), body...)
}

func TestParse(t *testing.T) {
	f32 := []byte{0, 0, 128, 63, 0, 0, 0, 64, 0, 0, 64, 64, 0, 0, 128, 64, 0, 0, 160, 64, 0, 0, 192, 64}
	be := []byte{0, 1, 0, 2, 0, 3, 0, 4, 0, 5, 0, 6}
	tests := []struct {
		name string
		data []byte
		want tensor.Tensor
	}{
		{"v1", file(1, "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }\n", f32), tensor.Of([]float32{1, 2, 3, 4, 5, 6}, 2, 3)},
		{"v2", file(2, "{'descr':'<f4','fortran_order':False,'shape':(6,)}", f32), tensor.Of([]float32{1, 2, 3, 4, 5, 6}, 6)},
		{"v3 long", file(3, "{'descr':'<f4','fortran_order':False,'shape':(6L,)}", f32), tensor.Of([]float32{1, 2, 3, 4, 5, 6}, 6)},
		{"fortran", file(1, "{'descr':'<f4','fortran_order':True,'shape':(2,3)}", f32), tensor.Of([]float32{1, 3, 5, 2, 4, 6}, 2, 3)},
		{"big-endian", file(1, "{'descr':'>i2','fortran_order':False,'shape':(3,2)}", be), tensor.Of([]int16{1, 2, 3, 4, 5, 6}, 3, 2)},
		{"big-endian fortran", file(1, "{'descr':'>i2','fortran_order':True,'shape':(3,2)}", be), tensor.Of([]int16{1, 4, 2, 5, 3, 6}, 3, 2)},
		{"scalar", file(1, "{'descr':'|u1','fortran_order':False,'shape':()}", []byte{7}), tensor.Of([]uint8{7}, []int64{}...)},
		{"trailing", file(1, "{'descr':'|u1','fortran_order':False,'shape':(1,)}", []byte{7, 8}), tensor.Of([]uint8{7}, 1)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := Parse(tt.data)
			if err != nil {
				t.Fatal(err)
			}
			if got.DType != tt.want.DType || tensor.ShapeString(got.Shape) != tensor.ShapeString(tt.want.Shape) || !bytes.Equal(got.Data, tt.want.Data) {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}

func TestParseRefuses(t *testing.T) {
	tests := map[string][]byte{
		"empty":      nil,
		"magic only": []byte(magic),
		"version":    file(9, "{}", nil),
		"no members": file(1, "{}", nil),
		"huge":       file(1, "{'descr':'<f4','fortran_order':False,'shape':(1152921504606846976,1152921504606846976)}", nil),
		"claims":     file(1, "{'descr':'<f4','fortran_order':False,'shape':(1152921504606846976,)}", []byte{1}),
		"negative":   file(1, "{'descr':'<f4','fortran_order':False,'shape':(-1,)}", []byte{1}),
		"object":     file(1, "{'descr':'|O','fortran_order':False,'shape':(1,)}", []byte{1}),
		"record":     file(1, "{'descr':[('a','<f4')],'fortran_order':False,'shape':(1,)}", []byte{1}),
		"short":      file(1, "{'descr':'<f8','fortran_order':False,'shape':(1,)}", []byte{1}),
		"header len": []byte(magic + "\x02\x00\xff\xff\xff\x7f{}"),
		"unclosed":   file(1, "{'descr':'<f8", nil),
	}
	for name, data := range tests {
		t.Run(name, func(t *testing.T) {
			if got, err := Parse(data); err == nil {
				t.Errorf("Parse gave %v, want an error", got)
			}
		})
	}
}

func TestParseDoesNotCopy(t *testing.T) {
	data := Append(nil, tensor.Of([]float32{1, 2, 3}, 3))
	got, err := Parse(data)
	if err != nil {
		t.Fatal(err)
	}
	if unsafe.SliceData(got.Data) != &data[len(data)-12] {
		t.Error("the array was copied")
	}
}

func TestRoundTrip(t *testing.T) {
	for d := tensor.Float32; d <= tensor.Uint64; d++ {
		if d == tensor.String {
			continue
		}
		in := tensor.Tensor{DType: d, Shape: []int64{2, 3}, Data: make([]byte, 6*d.Size())}
		got, err := Parse(Append(nil, in))
		if err != nil {
			t.Fatalf("%s: %v", d, err)
		}
		if diff := cmp.Diff(in, got); diff != "" {
			t.Errorf("%s: %s", d, diff)
		}
	}
}

func TestNpz(t *testing.T) {
	names := []string{"a", "conv4-2"}
	ts := []tensor.Tensor{tensor.Of([]float32{1, 2}, 2), tensor.Of([]int64{3}, 1, 1)}
	data, err := AppendNpz([]byte("prefix"), names, ts)
	if err != nil {
		t.Fatal(err)
	}
	gotNames, got, err := ParseNpz(data)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(names, gotNames) + cmp.Diff(ts, got); diff != "" {
		t.Error(diff)
	}
	if _, err := AppendNpz(nil, []string{"a", "a"}, ts); err == nil {
		t.Error("two arrays of one name were written")
	}
	data[len("prefix")+200] ^= 1
	if _, _, err := ParseNpz(data); err == nil {
		t.Error("a wrong checksum was not seen")
	}
}

func TestNpzCompressed(t *testing.T) {
	var buf bytes.Buffer
	w := zip.NewWriter(&buf)
	f, _ := w.Create("x.npy")
	_, _ = f.Write(Append(nil, tensor.Of(make([]float32, 1000), 1000)))
	_ = w.Close()
	names, ts, err := ParseNpz(buf.Bytes())
	if err != nil || len(ts) != 1 || names[0] != "x" || len(ts[0].Data) != 4000 {
		t.Errorf("got %v, %d arrays, %v", names, len(ts), err)
	}
}

// The arrays of the assets were written by NumPy itself.
func TestAssets(t *testing.T) {
	files, _ := filepath.Glob("../../../../shared/assets/*/*/*.npy")
	if len(files) == 0 {
		t.Skip("SKIPPED: ../shared/assets is not here")
	}
	for _, name := range files {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		a, err := Parse(data)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if b, err := Parse(Append(nil, a)); err != nil || a.DType != b.DType || !cmp.Equal(a.Shape, b.Shape) || !bytes.Equal(a.Data, b.Data) {
			t.Errorf("%s: changed by writing and reading: %v", name, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(Append(nil, tensor.Of([]float32{1, 2, 3, 4}, 2, 2)))
	f.Add(file(2, "{'descr':'>i2','fortran_order':True,'shape':(3,2)}", make([]byte, 12)))
	z, _ := AppendNpz(nil, []string{"a"}, []tensor.Tensor{tensor.Of([]float32{1}, 1)})
	f.Add(z)
	f.Fuzz(func(t *testing.T, data []byte) {
		if a, err := Parse(data); err == nil {
			if err := a.Check(); err != nil {
				t.Fatal(err)
			}
		}
		_, ts, err := ParseNpz(data)
		for _, a := range ts {
			if err == nil && a.Check() != nil {
				t.Fatal(a.Check())
			}
		}
	})
}
