package media_test

import (
	"compress/gzip"
	"encoding/json"
	"fmt"
	"image"
	"image/color"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/stoa-project/stoa/internal/media"
	"github.com/stoa-project/stoa/internal/tensor"
)

// pattern is a picture with fine detail in every channel. testdata/resize.json.gz
// holds what OpenCV 4.12 (and for nearest Pillow 13) make of it: "filter width
// height" to the bytes of red, green, blue.
func pattern() *image.NRGBA {
	m := image.NewNRGBA(image.Rect(0, 0, 53, 37))
	for y := range 37 {
		for x := range 53 {
			m.SetNRGBA(x, y, color.NRGBA{uint8(x*7 + y*13 + (x*y)%17*9), uint8(x*x + 3*y), uint8(200 - x*3 + y*y), 255})
		}
	}
	return m
}

func TestResizeIsOpenCVs(t *testing.T) {
	t.Parallel()
	f, err := os.Open(filepath.Join("testdata", "resize.json.gz"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	var cases map[string][]byte
	if err := json.NewDecoder(z).Decode(&cases); err != nil {
		t.Fatal(err)
	}
	file := binaryValue(pngOf(t, pattern()))
	for name, want := range cases {
		p := media.Picture{Layout: "nhwc"}
		if _, err := fmt.Sscan(name, &p.Filter, &p.Width, &p.Height); err != nil {
			t.Fatal(err)
		}
		if p.Filter == "grey" {
			p.Filter, p.Colour = "", "grey"
		}
		got := tensor.As[float32](decode(t, ownSize(t, p), file))
		if len(got) != len(want) {
			t.Fatalf("%s: %d numbers, want %d", name, len(got), len(want))
		}
		differ, most := 0, 0.0
		for i, v := range got {
			if d := math.Abs(float64(v) - float64(want[i])); d > 0 {
				differ++
				most = max(most, d)
			}
		}
		share := float64(differ) / float64(len(got))
		t.Logf("%s: %.2f %% differ, by %v at most", name, share*100, most)
		// OpenCV's bilinear works on levels in fixed point, which is off by one
		// here and there; all else is the same to the bit.
		if allowed := map[string]float64{"bilinear": 0.15}[p.Filter]; most > 1 || share > allowed {
			t.Errorf("%s: %.2f %% differ, by %v at most", name, share*100, most)
		}
	}
}
