package safetensors

import (
	"encoding/binary"
	"slices"
	"testing"

	"github.com/stoa-project/stoa/internal/tensor"
)

func file(header string, body ...byte) []byte {
	return append(append(binary.LittleEndian.AppendUint64(nil, uint64(len(header))), header...), body...)
}

func TestParse(t *testing.T) {
	data := file(`{"__metadata__":{"format":"pt"},"b":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"a":{"dtype":"U8","shape":[],"data_offsets":[8,9]},"c":{"dtype":"F8_E4M3","shape":[3],"data_offsets":[9,12]}}`,
		0, 0, 128, 63, 0, 0, 0, 64, 7, 1, 2, 3)
	if !Is(data) {
		t.Error("it is not recognised")
	}
	f, err := Parse(data)
	if err != nil {
		t.Fatal(err)
	}
	if f.Metadata["format"] != "pt" || len(f.Tensors) != 3 || f.Tensors[0].Name != "a" || f.Tensors[0].Data[0] != 7 {
		t.Errorf("%+v", f)
	}
	if got := tensor.As[float32](f.Tensors[1].Tensor); !slices.Equal(got, []float32{1, 2}) {
		t.Errorf("numbers %v", got)
	}
	if f.Tensors[2].DType != tensor.Undefined || f.Tensors[2].String() != "c F8_E4M3 3" {
		t.Errorf("%v", f.Tensors[2])
	}
}

func TestParseRefuses(t *testing.T) {
	for _, data := range [][]byte{
		nil,
		{1, 2},
		file("{"), file("[]"), binary.LittleEndian.AppendUint64(nil, 1<<60),
		file(`{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}}`, 1, 2, 3, 4),
		file(`{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,8]}}`, 1, 2, 3, 4),
		file(`{"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}}`, 1, 2, 3, 4),
		file(`{"a":{"dtype":"F32","shape":[9223372036854775807,4],"data_offsets":[0,4]}}`, 1, 2, 3, 4),
		file(`{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,0]}}`, 1, 2, 3, 4),
		file(`{"a":3}`),
	} {
		if _, err := Parse(data); err == nil {
			t.Errorf("%q is read", data)
		}
	}
	if Is([]byte("PK\x03\x04 and so on")) || Is(file("[1]")) {
		t.Error("what is none is recognised")
	}
}

func FuzzParse(f *testing.F) {
	f.Add(file(`{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"__metadata__":{}}`, 1, 2, 3, 4))
	f.Add(file(`{}`))
	f.Fuzz(func(_ *testing.T, data []byte) {
		Is(data)
		if f, err := Parse(data); err == nil {
			for _, t := range f.Tensors {
				_ = t.String()
			}
		}
	})
}
