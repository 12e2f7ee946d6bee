package media_test

import (
	"bytes"
	"encoding/binary"
	"image"
	"image/color"
	"image/gif"
	"strings"
	"testing"

	"golang.org/x/image/bmp"
	"golang.org/x/image/tiff"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/format/npy"
	"github.com/stoa-project/stoa/internal/media"
	"github.com/stoa-project/stoa/internal/tensor"
)

// FuzzDecodePicture feeds files to a picture's input: an answer of the right
// size or an InputError, whatever the bytes.
func FuzzDecodePicture(f *testing.F) {
	m := flagPicture()
	palette := image.NewPaletted(m.Rect, color.Palette{color.Black, color.White})
	f.Add(pngOf(f, m))
	f.Add(jpegOf(f, m))
	f.Add(withOrientation(jpegOf(f, m), 6, binary.BigEndian))
	f.Add(withOrientation(jpegOf(f, m), 7, binary.LittleEndian))
	f.Add(webpFlag(f))
	f.Add(encoded(f, func(b *bytes.Buffer) error { return gif.Encode(b, palette, nil) }))
	f.Add(encoded(f, func(b *bytes.Buffer) error { return bmp.Encode(b, m) }))
	f.Add(encoded(f, func(b *bytes.Buffer) error { return tiff.Encode(b, m, &tiff.Options{Compression: tiff.Deflate}) }))
	f.Add(encoded(f, func(b *bytes.Buffer) error { return tiff.Encode(b, palette, nil) }))
	g := oneInput(1, 3, 4, 5)
	a, err := media.NewAdapter([]media.Input{{Picture: &media.Picture{}}}, nil, g, nil, media.Limits{Pixels: 1 << 16, Memory: media.NewBudget(2 << 20)})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		it, err := a.Decode(binaryValue(data))
		if err != nil {
			if e := stoa.AsError(err); e.Type != "InputError" || strings.Contains(e.Msg, "panic") {
				t.Fatalf("%#v", e)
			}
			return
		}
		if err := it.Inputs[0].Check(); err != nil || len(it.Inputs[0].Data) != 240 {
			t.Fatal(err, len(it.Inputs[0].Data))
		}
	})
}

// FuzzDecodeValue feeds text and JSON to a network of two inputs and to a
// picture's input.
func FuzzDecodeValue(f *testing.F) {
	f.Add([]byte(`{"data":[1,2],"b":[[1]]}`), true)
	f.Add([]byte(`"data:image/png;base64,iVBORw0KGgo="`), true)
	f.Add([]byte(`data:;base64,AA-_`), false)
	f.Add([]byte(`[[1,2]]`), false)
	f.Add(npy.Append(nil, tensor.Of([]float64{1, 2}, 2)), false)
	g := oneInput(-1, 2)
	g.Inputs = append(g.Inputs, tensor.Spec{Name: "b", DType: tensor.Int32, Shape: []int64{1, -1}})
	two := adapter(f, nil, nil, g)
	one := adapter(f, nil, nil, oneInput(-1, 2))
	pic := adapter(f, []media.Input{{Picture: &media.Picture{}}}, nil, oneInput(-1, 3, 2, 2))
	f.Fuzz(func(t *testing.T, data []byte, isJSON bool) {
		v := stoa.Value{Type: stoa.Text, Data: data}
		if isJSON {
			v.Type = stoa.JSON
		}
		for _, a := range []*media.Adapter{two, one, pic} {
			for _, v := range []stoa.Value{v, binaryValue(data)} {
				it, err := a.Decode(v)
				if err != nil {
					if e := stoa.AsError(err); e.Type != "InputError" {
						t.Fatalf("%#v", e)
					}
					continue
				}
				for _, x := range it.Inputs {
					if err := x.Check(); err != nil {
						t.Fatal(err)
					}
				}
			}
		}
	})
}
