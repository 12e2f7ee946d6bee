package media

import "math"

// CIE Lab of sRGB under D65, as OpenCV and most of the world compute it: L is
// 0..100, a and b about -128..127. The matrices are those of IEC 61966-2-1, the
// white is (0.950456, 1, 1.088754).

const (
	labEpsilon = 0.008856 // (6/29)^3, to the digits OpenCV has
	labKappa   = 903.3    // (29/3)^3
	whiteX     = 0.950456
	whiteZ     = 1.088754
)

// lightnessSteps is how finely L is tabulated over the luminance 0..1. Linear
// interpolation is then off by less than 1e-4 of L's 100.
const lightnessSteps = 1 << 14

// gammaSteps is how finely sRGB's curve is tabulated over linear light. At the
// dark end a step is a fifth of a level.
const gammaSteps = 1 << 14

type lightnessTables struct {
	r, g, b [256]float32 // share of a level of sRGB in the luminance, times lightnessSteps
	l       [lightnessSteps + 2]float32
	grey    [256]float32 // L of a grey level
}

func makeLightness() *lightnessTables {
	t := new(lightnessTables)
	for i := range 256 {
		v := fromGamma(float64(i)/255) * lightnessSteps
		t.r[i], t.g[i], t.b[i] = float32(0.212671*v), float32(0.715160*v), float32(0.072169*v)
	}
	for i := range t.l {
		t.l[i] = float32(lightness(float64(i) / lightnessSteps))
	}
	for i := range 256 {
		t.grey[i] = float32(lightness(fromGamma(float64(i) / 255)))
	}
	return t
}

func fromGamma(v float64) float64 {
	if v <= 0.04045 {
		return v / 12.92
	}
	return math.Pow((v+0.055)/1.055, 2.4)
}

func toGamma(v float64) float64 {
	if v <= 0.0031308 {
		return v * 12.92
	}
	return 1.055*math.Pow(v, 1/2.4) - 0.055
}

func lightness(y float64) float64 {
	if y > labEpsilon {
		return 116*math.Cbrt(y) - 16
	}
	return labKappa * y
}

// row writes the L of a row of pixels.
func (t *lightnessTables) row(dst []float32, pix []byte, ch int) {
	if ch == 1 {
		for i := range dst {
			dst[i] = t.grey[pix[i]]
		}
		return
	}
	for i := range dst {
		y := t.r[pix[3*i]] + t.g[pix[3*i+1]] + t.b[pix[3*i+2]]
		k := int(y)
		f := y - float32(k)
		dst[i] = t.l[k] + f*(t.l[k+1]-t.l[k])
	}
}

type gammaTable [gammaSteps + 1]byte

func makeGamma() *gammaTable {
	t := new(gammaTable)
	for i := range t {
		t[i] = byte(math.Round(255 * toGamma(float64(i)/gammaSteps)))
	}
	return t
}

// fromLab gives the sRGB levels of a colour, clipped to what sRGB can show.
func (t *gammaTable) fromLab(l, a, b float32) (red, green, blue byte) {
	fy := (l + 16) / 116
	y := fy * fy * fy
	if l <= labKappa*labEpsilon {
		y = l / labKappa
		fy = 7.787*y + 16.0/116
	}
	x := whiteX * labCube(fy+a/500)
	z := whiteZ * labCube(fy-b/200)
	return t.level(3.240479*x - 1.537150*y - 0.498535*z),
		t.level(-0.969256*x + 1.875991*y + 0.041556*z),
		t.level(0.055648*x - 0.204043*y + 1.057311*z)
}

func labCube(f float32) float32 {
	if f <= 6.0/29 {
		return (f - 16.0/116) / 7.787
	}
	return f * f * f
}

func (t *gammaTable) level(v float32) byte {
	if !(v > 0) { // NaN too
		return 0
	}
	return t[int(min(v, 1)*gammaSteps+0.5)]
}

// greyOf gives the luma of Rec. 601 with OpenCV's 15-bit weights.
func greyOf(r, g, b byte) byte {
	return byte((uint32(r)*9798 + uint32(g)*19235 + uint32(b)*3735 + 1<<14) >> 15)
}
