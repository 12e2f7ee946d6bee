package media_test

import (
	"bytes"
	"image"
	"image/jpeg"
	"testing"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/format/npy"
	"github.com/stoa-project/stoa/internal/media"
	"github.com/stoa-project/stoa/internal/tensor"
)

// The picture's decoder is what the others are to be compared with.
func BenchmarkJPEGDecodeAlone(b *testing.B) {
	file := photo(b)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := jpeg.Decode(bytes.NewReader(file)); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDecodePicture(b *testing.B) {
	file := binaryValue(photo(b))
	for _, bb := range []struct {
		name string
		p    media.Picture
		c    int64
	}{{"area96", media.Picture{}, 3}, {"bilinear96", media.Picture{Filter: "bilinear"}, 3}, {"grey96", media.Picture{Colour: "grey"}, 1}, {"lab96", media.Picture{Colour: "lab-l"}, 1}} {
		b.Run(bb.name, func(b *testing.B) {
			a := adapter(b, []media.Input{{Picture: &bb.p}}, nil, oneInput(1, bb.c, 96, 96))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := a.Decode(file); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkEncodeLab(b *testing.B) {
	for _, format := range []string{"png", "jpeg"} {
		b.Run(format, func(b *testing.B) {
			a := adapter(b, []media.Input{{Picture: &media.Picture{Colour: "lab-l"}}}, []media.Output{{Lab: &media.Lab{Format: format}}}, oneInput(1, 1, 96, 96))
			it, err := a.Decode(binaryValue(photo(b)))
			if err != nil {
				b.Fatal(err)
			}
			ab := make([]float32, 2*24*24)
			for i := range ab {
				ab[i] = float32(i%40 - 20)
			}
			out := []tensor.Tensor{tensor.Of(ab, 1, 2, 24, 24)}
			b.ReportAllocs()
			for b.Loop() {
				if _, err := a.Encode(it, out); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkFourFloats(b *testing.B) {
	a := adapter(b, nil, nil, oneInput(-1, 4))
	out := []tensor.Tensor{tensor.Of([]float32{0.1, 0.2, 0.7}, 1, 3)}
	for name, v := range map[string]stoa.Value{
		"json": {Type: stoa.JSON, Data: []byte("[[5.1,3.5,1.4,0.2]]")},
		"npy":  binaryValue(npy.Append(nil, tensor.Of([]float32{5.1, 3.5, 1.4, 0.2}, 1, 4))),
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				it, err := a.Decode(v)
				if err != nil {
					b.Fatal(err)
				}
				if _, err := a.Encode(it, out); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// photo is a JPEG of 640x480 with 4:2:0 chroma, as cameras write.
func photo(b *testing.B) []byte {
	b.Helper()
	m := image.NewRGBA(image.Rect(0, 0, 640, 480))
	for i := range m.Pix {
		x, y := i/4%640, i/4/640
		m.Pix[i] = byte(x*(i%4+1)/3 + y*y/300 + (x*y)%7*3)
	}
	return encoded(b, func(w *bytes.Buffer) error { return jpeg.Encode(w, m, &jpeg.Options{Quality: 85}) })
}
