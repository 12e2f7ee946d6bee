package tensor_test

import (
	"bytes"
	"encoding/json"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/tensor"
)

func TestParseJSON(t *testing.T) {
	t.Parallel()
	tests := []struct {
		in   string
		want tensor.Tensor
	}{
		{`[1,2.5,-3e2,4]`, tensor.Of([]float32{1, 2.5, -300, 4}, 4)},
		{" [ [ 1 , 2 ] ,\n[3,4],[5,6] ] ", tensor.Of([]float32{1, 2, 3, 4, 5, 6}, 3, 2)},
		{`[[[[7]]]]`, tensor.Of([]float32{7}, 1, 1, 1, 1)},
		{`42`, tensor.Of([]float32{42}, []int64{}...)},
		{`["Infinity","-Infinity",0]`, tensor.Of([]float32{float32(math.Inf(1)), float32(math.Inf(-1)), 0}, 3)},
		{`[255,0,2.0,1e1]`, tensor.Of([]uint8{255, 0, 2, 10}, 4)},
		{`[-9223372036854775808,9223372036854775807]`, tensor.Of([]int64{math.MinInt64, math.MaxInt64}, 2)},
		{`[18446744073709551615]`, tensor.Of([]uint64{math.MaxUint64}, 1)},
		{`[-32768,5]`, tensor.Of([]int16{-32768, 5}, 2)},
		{`[1e300]`, tensor.Of([]float64{1e300}, 1)},
		{`[]`, tensor.Tensor{DType: tensor.Float32, Shape: []int64{0}, Data: []byte{}}},
		{`[[],[]]`, tensor.Tensor{DType: tensor.Float32, Shape: []int64{2, 0}, Data: []byte{}}},
		{`[true,false,1,0]`, tensor.Tensor{DType: tensor.Bool, Shape: []int64{4}, Data: []byte{1, 0, 1, 0}}},
		{`[1,-2]`, tensor.Tensor{DType: tensor.Float16, Shape: []int64{2}, Data: []byte{0, 0x3c, 0, 0xc0}}},
		{`[1,-2]`, tensor.Tensor{DType: tensor.BFloat16, Shape: []int64{2}, Data: []byte{0x80, 0x3f, 0, 0xc0}}},
	}
	for _, tt := range tests {
		got, err := tensor.ParseJSON([]byte(tt.in), tt.want.DType, 0)
		if err != nil {
			t.Errorf("%s as %s: %v", tt.in, tt.want.DType, err)
			continue
		}
		if d := cmp.Diff(tt.want, got); d != "" {
			t.Errorf("%s as %s (-want +got):\n%s", tt.in, tt.want.DType, d)
		}
	}
}

func TestParseJSONRefuses(t *testing.T) {
	t.Parallel()
	tests := []struct {
		in   string
		d    tensor.DType
		kind stoa.Kind
		want string // part of the message
	}{
		{`[[1,2,3,4],[1,2,3,4],[1,2,3,4],[1,2]]`, tensor.Float32, stoa.Invalid, "row 3 has 2 numbers, row 0 has 4"},
		{`[[[1],[2]],[[3],[4,5]]]`, tensor.Float32, stoa.Invalid, "[1][1] has 2 numbers, [0][0] has 1"},
		{`[[[1],[2]],[[3]]]`, tensor.Float32, stoa.Invalid, "row 1 has 1 rows, row 0 has 2"},
		{`[1,[2]]`, tensor.Float32, stoa.Invalid, "row 1 is an array, but row 0 is a number"},
		{`[[1],2]`, tensor.Float32, stoa.Invalid, "row 1 is a number, but row 0 is an array"},
		{`[[],[[]]]`, tensor.Float32, stoa.Invalid, "is an array"},
		{`[256]`, tensor.Uint8, stoa.Invalid, "row 0 is 256, which is no uint8"},
		{`[-1]`, tensor.Uint64, stoa.Invalid, "no uint64"},
		{`[1.5]`, tensor.Int32, stoa.Invalid, "no int32"},
		{`[1e39]`, tensor.Float32, stoa.Invalid, "no float32"},
		{`[70000]`, tensor.Float16, stoa.Invalid, "no float16"},
		{`[9223372036854775808]`, tensor.Int64, stoa.Invalid, "no int64"},
		{`[9.3e18]`, tensor.Int64, stoa.Invalid, "no int64"},
		{`[2]`, tensor.Bool, stoa.Invalid, "no bool"},
		{`[true]`, tensor.Float32, stoa.Invalid, "row 0 is true"},
		{`[null]`, tensor.Float32, stoa.Invalid, "row 0 is null"},
		{`["cat"]`, tensor.Float32, stoa.Invalid, `the text "cat"`},
		{`["NaN"]`, tensor.Int8, stoa.Invalid, `the text "NaN"`},
		{`[{"a":1}]`, tensor.Float32, stoa.Invalid, "expected a number"},
		{`[01]`, tensor.Float32, stoa.Invalid, "no JSON number"},
		{`[.5]`, tensor.Float32, stoa.Invalid, "expected a number"},
		{`[0x10]`, tensor.Float32, stoa.Invalid, "comma"},
		{`[1,]`, tensor.Float32, stoa.Invalid, "expected a number"},
		{`[1 2]`, tensor.Float32, stoa.Invalid, "comma"},
		{`[1]]`, tensor.Float32, stoa.Invalid, "follows"},
		{`[1`, tensor.Float32, stoa.Invalid, "ends too early"},
		{`["Na`, tensor.Float32, stoa.Invalid, "the text"},
		{`["a\`, tensor.Float32, stoa.Invalid, "the text"},
		{``, tensor.Float32, stoa.Invalid, "ends too early"},
		{`[1,2,3,4]`, tensor.Float32, stoa.TooLarge, "more than 3"},
		{`["a"]`, tensor.String, stoa.Unsupported, "string"},
		{strings.Repeat("[", 100_000), tensor.Float32, stoa.Invalid, "nested deeper than 16"},
	}
	for _, tt := range tests {
		limit := int64(1000)
		if tt.kind == stoa.TooLarge {
			limit = 3
		}
		_, err := tensor.ParseJSON([]byte(tt.in), tt.d, limit)
		if stoa.KindOf(err) != tt.kind || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%.50s as %s: got %v, want %v with %q", tt.in, tt.d, err, tt.kind, tt.want)
		}
	}
}

func TestAppendJSON(t *testing.T) {
	t.Parallel()
	nan := float32(math.NaN())
	tests := []struct {
		in   tensor.Tensor
		want string
	}{
		{tensor.Of([]float32{1, 0.1, -2.5e-9, 3e30, nan}, 5), `[1,0.1,-2.5e-9,3e+30,"NaN"]`},
		{tensor.Of([]float64{0.1, math.Inf(1), math.Inf(-1), 1e-7}, 2, 2), `[[0.1,"Infinity"],["-Infinity",1e-7]]`},
		{tensor.Of([]int64{-5, 6}, 2, 1), `[[-5],[6]]`},
		{tensor.Of([]uint8{200}, []int64{}...), `200`},
		{tensor.Tensor{DType: tensor.Bool, Shape: []int64{2}, Data: []byte{1, 0}}, `[true,false]`},
		{tensor.Tensor{DType: tensor.Float16, Shape: []int64{2}, Data: []byte{0, 0x3c, 0x66, 0x2e}}, `[1,0.099975586]`},
		{tensor.Tensor{DType: tensor.Float32, Shape: []int64{2, 0}}, `[[],[]]`},
		{tensor.Tensor{DType: tensor.Float32, Shape: []int64{1 << 40, 0}}, `[]`},
		{tensor.Tensor{DType: tensor.Float32, Shape: []int64{0, 1 << 60}}, `[]`},
	}
	for _, tt := range tests {
		if got := string(tensor.AppendJSON(nil, tt.in)); got != tt.want {
			t.Errorf("%s %s: got %s, want %s", tensor.ShapeString(tt.in.Shape), tt.in.DType, got, tt.want)
		}
	}
}

func TestHalf(t *testing.T) {
	t.Parallel()
	for h := range 1 << 16 {
		f := tensor.FromFloat16(uint16(h))
		if f != f {
			if back := tensor.FromFloat16(tensor.ToFloat16(f)); back == back {
				t.Fatalf("%#x: NaN became %v", h, back)
			}
		} else if back := tensor.ToFloat16(f); back != uint16(h) {
			t.Fatalf("float16 %#x is %v, and back %#x", h, f, back)
		}
		b := tensor.FromBFloat16(uint16(h))
		if b == b && tensor.ToBFloat16(b) != uint16(h) {
			t.Fatalf("bfloat16 %#x is %v, and back %#x", h, b, tensor.ToBFloat16(b))
		}
	}
	tests := []struct {
		f    float32
		want uint16
	}{
		{65519, 0x7bff},
		{65520, 0x7c00},
		{1e9, 0x7c00},
		{2.9e-8, 0},
		{3e-8, 1},
		{1 + 1.0/2048, 0x3c00},
		{1 + 3.0/2048, 0x3c02},
		{float32(math.Ldexp(1, -25)), 0},
		{float32(math.Ldexp(3, -26)), 1},
	}
	for _, tt := range tests {
		if got := tensor.ToFloat16(tt.f); got != tt.want {
			t.Errorf("ToFloat16(%v) = %#x, want %#x", tt.f, got, tt.want)
		}
	}
}

func FuzzParseJSON(f *testing.F) {
	for _, s := range []string{`[1,2.5]`, `[[1],[2]]`, `["NaN",-0]`, `[[[]]]`, `5`, `[true]`, `[1e5,"Infinity"]`, `[[1,2],[3]]`} {
		f.Add([]byte(s), uint8(1))
		f.Add([]byte(s), uint8(7))
		f.Add([]byte(s), uint8(10))
	}
	f.Fuzz(func(t *testing.T, data []byte, d uint8) {
		x, err := tensor.ParseJSON(data, tensor.DType(d), 1<<20)
		if err != nil {
			return
		}
		if err := x.Check(); err != nil {
			t.Fatalf("%q: %v", data, err)
		}
		if !json.Valid(data) {
			t.Fatalf("%q was read but is no JSON", data)
		}
		text := tensor.AppendJSON(nil, x)
		if !json.Valid(text) {
			t.Fatalf("%q became %q, which is no JSON", data, text)
		}
		again, err := tensor.ParseJSON(text, x.DType, 1<<20)
		if err != nil {
			t.Fatalf("%q became %q, which does not read: %v", data, text, err)
		}
		if !bytes.Equal(again.Data, x.Data) {
			t.Fatalf("%q became %q, which is another array", data, text)
		}
	})
}

func TestParseJSONDeepIsFast(t *testing.T) {
	t.Parallel()
	start := time.Now()
	if _, err := tensor.ParseJSON(bytes.Repeat([]byte("["), 10<<20), tensor.Float32, 0); err == nil {
		t.Fatal("read")
	}
	if d := time.Since(start); d > time.Second {
		t.Errorf("10 MiB of brackets took %v", d)
	}
}

func BenchmarkParseJSON4(b *testing.B) {
	in := []byte(`[[5.1,3.5,1.4,0.2]]`)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := tensor.ParseJSON(in, tensor.Float32, 1000); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkParseJSONLarge(b *testing.B) {
	vals := make([]float32, 100_000)
	for i := range vals {
		vals[i] = float32(i) * 0.001234
	}
	in := tensor.AppendJSON(nil, tensor.Of(vals, 10, 10_000))
	b.SetBytes(int64(len(in)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := tensor.ParseJSON(in, tensor.Float32, 0); err != nil {
			b.Fatal(err)
		}
	}
}
