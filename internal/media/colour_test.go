package media

import (
	"math"
	"testing"
)

func TestLightness(t *testing.T) {
	t.Parallel()
	tab := makeLightness()
	row := make([]float32, 1)
	worst := 0.0
	for i := range 1 << 15 {
		p := []byte{byte(i * 7), byte(i >> 3), byte(i * 13 >> 4)}
		tab.row(row, p, 3)
		y := 0.212671*fromGamma(float64(p[0])/255) + 0.715160*fromGamma(float64(p[1])/255) + 0.072169*fromGamma(float64(p[2])/255)
		worst = max(worst, math.Abs(float64(row[0])-lightness(y)))
	}
	if worst > 1e-3 {
		t.Errorf("L is off by %v", worst)
	}
	for v, want := range map[byte]float64{0: 0, 119: 50.03, 255: 100} {
		tab.row(row, []byte{v}, 1)
		if math.Abs(float64(row[0])-want) > 0.01 {
			t.Errorf("L of grey %d is %v, want %v", v, row[0], want)
		}
		tab.row(row, []byte{v, v, v}, 3)
		if math.Abs(float64(row[0])-want) > 0.01 {
			t.Errorf("L of the colour grey %d is %v, want %v", v, row[0], want)
		}
	}
}

// Known colours: red, green, blue, white, black, and greys all the way.
func TestFromLab(t *testing.T) {
	t.Parallel()
	g := makeGamma()
	tests := []struct {
		l, a, b float32
		want    [3]byte
	}{
		{53.24, 80.09, 67.20, [3]byte{255, 0, 0}},
		{87.73, -86.18, 83.18, [3]byte{0, 255, 0}},
		{32.30, 79.19, -107.86, [3]byte{0, 0, 255}},
		{100, 0, 0, [3]byte{255, 255, 255}},
		{0, 0, 0, [3]byte{0, 0, 0}},
		{float32(math.NaN()), 0, 0, [3]byte{0, 0, 0}},
		{50, float32(math.Inf(1)), 0, [3]byte{255, 0, 255}},
	}
	for _, tt := range tests {
		r, gr, b := g.fromLab(tt.l, tt.a, tt.b)
		for c, v := range [3]byte{r, gr, b} {
			if d := int(v) - int(tt.want[c]); d < -1 || d > 1 {
				t.Errorf("Lab %v %v %v is %d %d %d, want %v", tt.l, tt.a, tt.b, r, gr, b, tt.want)
				break
			}
		}
	}
	light := makeLightness()
	for v := range 256 {
		r, gr, b := g.fromLab(light.grey[v], 0, 0)
		if max(int(r)-v, v-int(r), int(gr)-v, v-int(gr), int(b)-v, v-int(b)) > 0 {
			t.Errorf("grey %d becomes %d %d %d", v, r, gr, b)
		}
	}
}
