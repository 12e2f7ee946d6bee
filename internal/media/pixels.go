package media

import (
	"image"
	"image/color"
)

// bitmap is a picture of 8-bit levels: one channel of grey, or interleaved red,
// green and blue.
type bitmap struct {
	w, h, ch int
	pix      []byte
}

func (m *bitmap) line(y int) []byte { return m.pix[y*m.w*m.ch : (y+1)*m.w*m.ch] }

// grey gives the picture with one channel.
func (m *bitmap) grey() *bitmap {
	if m.ch == 1 {
		return m
	}
	out := &bitmap{w: m.w, h: m.h, ch: 1, pix: make([]byte, m.w*m.h)}
	for i := range out.pix {
		p := m.pix[3*i : 3*i+3 : 3*i+3]
		out.pix[i] = greyOf(p[0], p[1], p[2])
	}
	return out
}

// toBitmap turns a decoded picture into levels, what is transparent over white.
// channels is what the caller will need: with 1, the luma of a JPEG is taken as
// it is stored. The hot kinds of pictures are read without going through
// image.Image's At, which costs an interface call and an allocation a pixel.
func toBitmap(img image.Image, channels int) *bitmap {
	b := img.Bounds()
	m := &bitmap{w: b.Dx(), h: b.Dy(), ch: 3}
	switch p := img.(type) {
	case *image.Gray:
		m.ch = 1
		m.pix = make([]byte, m.w*m.h)
		copyRows(m.pix, p.Pix[p.PixOffset(b.Min.X, b.Min.Y):], p.Stride, m.w)
		return m
	case *image.Gray16:
		m.ch = 1
		m.pix = make([]byte, m.w*m.h)
		for y := range m.h {
			src := p.Pix[p.PixOffset(b.Min.X, b.Min.Y+y):]
			for x, dst := 0, m.line(y); x < m.w; x++ {
				dst[x] = src[2*x]
			}
		}
		return m
	case *image.Paletted:
		m.pix = make([]byte, 3*m.w*m.h)
		fromPalette(m, p)
		return m
	case *image.YCbCr:
		if channels == 1 {
			m.ch = 1
			m.pix = make([]byte, m.w*m.h)
			copyRows(m.pix, p.Y[p.YOffset(b.Min.X, b.Min.Y):], p.YStride, m.w)
			return m
		}
	}
	m.pix = make([]byte, 3*m.w*m.h)
	for y := range m.h {
		rowOf(img, y+b.Min.Y, m.line(y))
	}
	return m
}

func copyRows(dst, src []byte, stride, w int) {
	for len(dst) > 0 {
		copy(dst[:w], src[:w])
		dst = dst[w:]
		if len(dst) > 0 {
			src = src[stride:]
		}
	}
}

// rowOf writes a row of a picture as red, green and blue.
func rowOf(img image.Image, y int, dst []byte) {
	b := img.Bounds()
	switch p := img.(type) {
	case *image.YCbCr:
		rowYCbCr(p, y, dst)
	case *image.NYCbCrA:
		rowYCbCr(&p.YCbCr, y, dst)
		a := p.A[p.AOffset(b.Min.X, y):]
		for x := range b.Dx() {
			overWhite(dst[3*x:3*x+3:3*x+3], a[x])
		}
	case *image.NRGBA:
		src := p.Pix[p.PixOffset(b.Min.X, y):]
		for x := range b.Dx() {
			s, d := src[4*x:4*x+4:4*x+4], dst[3*x:3*x+3:3*x+3]
			d[0], d[1], d[2] = s[0], s[1], s[2]
			if s[3] != 255 {
				overWhite(d, s[3])
			}
		}
	case *image.RGBA:
		src := p.Pix[p.PixOffset(b.Min.X, y):]
		for x := range b.Dx() {
			s, d := src[4*x:4*x+4:4*x+4], dst[3*x:3*x+3:3*x+3]
			white := 255 - s[3]
			d[0], d[1], d[2] = addClipped(s[0], white), addClipped(s[1], white), addClipped(s[2], white)
		}
	case *image.NRGBA64:
		src := p.Pix[p.PixOffset(b.Min.X, y):]
		for x := range b.Dx() {
			s, d := src[8*x:8*x+8:8*x+8], dst[3*x:3*x+3:3*x+3]
			d[0], d[1], d[2] = s[0], s[2], s[4]
			overWhite(d, s[6])
		}
	case *image.RGBA64:
		src := p.Pix[p.PixOffset(b.Min.X, y):]
		for x := range b.Dx() {
			s, d := src[8*x:8*x+8:8*x+8], dst[3*x:3*x+3:3*x+3]
			white := 255 - s[6]
			d[0], d[1], d[2] = addClipped(s[0], white), addClipped(s[2], white), addClipped(s[4], white)
		}
	case *image.CMYK:
		src := p.Pix[p.PixOffset(b.Min.X, y):]
		for x := range b.Dx() {
			s, d := src[4*x:4*x+4:4*x+4], dst[3*x:3*x+3:3*x+3]
			d[0], d[1], d[2] = color.CMYKToRGB(s[0], s[1], s[2], s[3])
		}
	default:
		for x := range b.Dx() {
			setOverWhite(dst[3*x:3*x+3:3*x+3], img.At(b.Min.X+x, y))
		}
	}
}

func fromPalette(m *bitmap, p *image.Paletted) {
	// An index beyond the palette, which a damaged file may hold, is white.
	var levels [256][3]byte
	for i := range levels {
		levels[i] = [3]byte{255, 255, 255}
		if i < len(p.Palette) {
			setOverWhite(levels[i][:], p.Palette[i])
		}
	}
	for y := range m.h {
		src, dst := p.Pix[p.PixOffset(p.Rect.Min.X, p.Rect.Min.Y+y):], m.line(y)
		for x := range m.w {
			*(*[3]byte)(dst[3*x:]) = levels[src[x]]
		}
	}
}

// rowYCbCr writes a row with JFIF's matrix in 16-bit fixed point, as
// color.YCbCrToRGB does. Where chroma is halved, as in most JPEGs, a pair of
// pixels shares what follows from it.
func rowYCbCr(p *image.YCbCr, y int, dst []byte) {
	b := p.Rect
	w := b.Dx()
	luma := p.Y[p.YOffset(b.Min.X, y):][:w]
	at := p.COffset(b.Min.X, y)
	halved := p.SubsampleRatio == image.YCbCrSubsampleRatio420 || p.SubsampleRatio == image.YCbCrSubsampleRatio422
	switch {
	case halved && b.Min.X%2 == 0:
		cbs, crs := p.Cb[at:][:(w+1)/2], p.Cr[at:][:(w+1)/2]
		for i, cb := range cbs {
			c := chromaOf(cb, crs[i])
			x := 2 * i
			c.pixel(dst[3*x:3*x+3:3*x+3], luma[x])
			if x++; x < w {
				c.pixel(dst[3*x:3*x+3:3*x+3], luma[x])
			}
		}
	case p.SubsampleRatio == image.YCbCrSubsampleRatio444:
		cbs, crs := p.Cb[at:][:w], p.Cr[at:][:w]
		for x, cb := range cbs {
			c := chromaOf(cb, crs[x])
			c.pixel(dst[3*x:3*x+3:3*x+3], luma[x])
		}
	default:
		for x := range w {
			at := p.COffset(b.Min.X+x, y)
			c := chromaOf(p.Cb[at], p.Cr[at])
			c.pixel(dst[3*x:3*x+3:3*x+3], luma[x])
		}
	}
}

// chroma is what a pixel's Cb and Cr add to its luma.
type chroma struct{ r, g, b int32 }

func chromaOf(cb, cr byte) chroma {
	u, v := int32(cb)-128, int32(cr)-128
	return chroma{91881 * v, -22554*u - 46802*v, 116130 * u}
}

func (c chroma) pixel(d []byte, luma byte) {
	y := int32(luma) * 0x10101
	d[0], d[1], d[2] = level16(y+c.r), level16(y+c.g), level16(y+c.b)
}

func level16(v int32) byte {
	if uint32(v)&0xff000000 == 0 {
		return byte(v >> 16)
	}
	return byte(^(v >> 31)) // 0 below, 255 above
}

// overWhite lays a colour of the given opacity over white.
func overWhite(d []byte, alpha byte) {
	a := uint32(alpha)
	for i := range d {
		d[i] = byte((uint32(d[i])*a + 255*(255-a) + 127) / 255)
	}
}

func setOverWhite(d []byte, c color.Color) {
	n, ok := color.NRGBAModel.Convert(c).(color.NRGBA)
	if !ok {
		return
	}
	d[0], d[1], d[2] = n.R, n.G, n.B
	overWhite(d, n.A)
}

func addClipped(a, b byte) byte { return byte(min(uint32(a)+uint32(b), 255)) }
