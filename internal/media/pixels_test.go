package media

import (
	"image"
	"image/color"
	"testing"
)

// Every kind of picture gives what image.Image's own At says, whatever its size
// and wherever its corner.
func TestRowsAreWhatAtSays(t *testing.T) {
	t.Parallel()
	outer := image.Rect(0, 0, 13, 9)
	fill := func(b []byte) {
		for i := range b {
			b[i] = byte(i*37 + i*i*11)
		}
	}
	var pictures []image.Image
	for _, r := range []image.YCbCrSubsampleRatio{
		image.YCbCrSubsampleRatio444, image.YCbCrSubsampleRatio422, image.YCbCrSubsampleRatio420,
		image.YCbCrSubsampleRatio440, image.YCbCrSubsampleRatio411, image.YCbCrSubsampleRatio410,
	} {
		m := image.NewYCbCr(outer, r)
		fill(m.Y)
		fill(m.Cb)
		fill(m.Cr)
		pictures = append(pictures, m)
		a := image.NewNYCbCrA(outer, r)
		fill(a.Y)
		fill(a.Cb)
		fill(a.A)
		pictures = append(pictures, a)
	}
	grey, deepGrey := image.NewGray(outer), image.NewGray16(outer)
	nrgba, deep := image.NewNRGBA(outer), image.NewNRGBA64(outer)
	cmyk := image.NewCMYK(outer)
	palette := image.NewPaletted(outer, color.Palette{color.NRGBA{1, 2, 3, 4}, color.White, color.NRGBA{9, 8, 7, 255}})
	for _, b := range [][]byte{grey.Pix, deepGrey.Pix, nrgba.Pix, deep.Pix, cmyk.Pix} {
		fill(b)
	}
	for i := range palette.Pix {
		palette.Pix[i] = byte(i % 3)
	}
	rgba, deepRGBA := image.NewRGBA(outer), image.NewRGBA64(outer)
	for y := range 9 {
		for x := range 13 {
			rgba.Set(x, y, nrgba.At(x, y))
			deepRGBA.Set(x, y, deep.At(x, y))
		}
	}
	pictures = append(pictures, grey, deepGrey, nrgba, deep, cmyk, palette, rgba, deepRGBA, image.NewUniform(color.Black))
	for _, whole := range pictures {
		for _, r := range []image.Rectangle{outer, image.Rect(1, 1, 12, 8), image.Rect(2, 3, 7, 4), image.Rect(5, 0, 6, 1)} {
			m := whole
			if s, ok := whole.(interface {
				SubImage(image.Rectangle) image.Image
			}); ok {
				m = s.SubImage(r)
			} else if r != outer {
				continue
			} else {
				m = plainImage{whole, r}
			}
			got := toBitmap(m, 3)
			want := make([]byte, 3)
			for y := range r.Dy() {
				for x := range r.Dx() {
					setOverWhite(want, m.At(r.Min.X+x, r.Min.Y+y))
					p := got.line(y)[x*got.ch : (x+1)*got.ch]
					for c := range 3 {
						// Converting through premultiplied 16-bit levels loses up to
						// two levels, where opacity is low.
						if d := int(p[min(c, got.ch-1)]) - int(want[c]); d < -2 || d > 2 {
							t.Fatalf("%T %v at %d,%d: got %v, want %v", m, r, x, y, p, want)
						}
					}
				}
			}
		}
	}
}

// plainImage hides what kind of picture it is.
type plainImage struct {
	image.Image
	r image.Rectangle
}

func (p plainImage) Bounds() image.Rectangle { return p.r }

func TestOverWhite(t *testing.T) {
	t.Parallel()
	d := []byte{0, 100, 255}
	overWhite(d, 0)
	if d[0] != 255 || d[1] != 255 || d[2] != 255 {
		t.Error(d)
	}
}
