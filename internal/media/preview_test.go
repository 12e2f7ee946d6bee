package media_test

import (
	"bytes"
	"image"
	"image/color"
	"image/png"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/media"
	"github.com/stoa-project/stoa/internal/tensor"
)

// seen makes a preview and gives its picture too.
func seen(t testing.TB, p media.Picture, spec tensor.Spec, data []byte) (media.Preview, image.Image) {
	t.Helper()
	pr, err := media.NewPreview(t.Context(), media.Input{Picture: &p}, spec, binaryValue(data), media.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	m, err := png.Decode(bytes.NewReader(pr.PNG))
	if err != nil {
		t.Fatal(err)
	}
	return pr, m
}

func pixelAt(m image.Image, x, y int) [3]uint8 {
	c, _ := color.NRGBAModel.Convert(m.At(x, y)).(color.NRGBA)
	return [3]uint8{c.R, c.G, c.B}
}

func TestPreviewShowsKnownPixels(t *testing.T) {
	red, green, blue, white := [3]uint8{255, 0, 0}, [3]uint8{0, 255, 0}, [3]uint8{0, 0, 255}, [3]uint8{255, 255, 255}
	four := func(shape ...int64) tensor.Spec { return tensor.Spec{Name: "x", DType: tensor.Float32, Shape: shape} }
	tests := []struct {
		name    string
		picture media.Picture
		spec    tensor.Spec
		size    [2]int
		// The corners: top left, top right, bottom left, bottom right.
		corners  [4][3]uint8
		channels []media.Channel
	}{
		{
			"rgb",
			media.Picture{},
			four(1, 3, -1, -1),
			[2]int{8, 6},
			[4][3]uint8{red, green, blue, white},
			[]media.Channel{{Name: "red", Max: 255, Mean: 127.5}, {Name: "green", Max: 255, Mean: 127.5}, {Name: "blue", Max: 255, Mean: 127.5}},
		},
		{ // the picture is the same; the network gets blue first
			"bgr with mean and scale",
			media.Picture{Colour: "bgr", Mean: []float64{100, 120, 0}, Scale: []float64{1, 1, 0.5}},
			four(1, 3, 6, 8),
			[2]int{8, 6},
			[4][3]uint8{red, green, blue, white},
			[]media.Channel{{Name: "blue", Min: -100, Mean: 27.5, Max: 155}, {Name: "green", Min: -120, Mean: 7.5, Max: 135}, {Name: "red", Mean: 63.75, Max: 127.5}},
		},
		{
			"nhwc", media.Picture{Layout: "nhwc"}, four(1, 6, 8, 3), [2]int{8, 6}, [4][3]uint8{red, green, blue, white}, nil,
		},
		{
			"grey",
			media.Picture{Colour: "grey", Scale: []float64{1. / 255}},
			four(1, 1, 6, 8),
			[2]int{8, 6},
			[4][3]uint8{{76, 76, 76}, {150, 150, 150}, {29, 29, 29}, white},
			nil,
		},
		{
			"invert",
			media.Picture{Invert: true},
			four(1, 3, 6, 8),
			[2]int{8, 6},
			[4][3]uint8{{0, 255, 255}, {255, 0, 255}, {255, 255, 0}, {}},
			nil,
		},
		{
			"grey, inverted",
			media.Picture{Colour: "grey", Invert: true},
			four(1, 1, 6, 8),
			[2]int{8, 6},
			[4][3]uint8{{179, 179, 179}, {105, 105, 105}, {226, 226, 226}, {}},
			nil,
		},
		{ // above and below, the mean
			"fit",
			media.Picture{Width: 8, Height: 8, Resize: "fit", Mean: []float64{10, 20, 30}},
			four(1, 3, 8, 8),
			[2]int{8, 8},
			[4][3]uint8{{10, 20, 30}, {10, 20, 30}, {10, 20, 30}, {10, 20, 30}},
			nil,
		},
		{ // the overhang left and right is cut
			"cover", media.Picture{Width: 6, Height: 6, Resize: "cover"}, four(1, 3, 6, 6), [2]int{6, 6}, [4][3]uint8{red, green, blue, white}, nil,
		},
		{
			"stretch", media.Picture{Width: 2, Height: 2}, four(1, 3, 2, 2), [2]int{2, 2}, [4][3]uint8{red, green, blue, white}, nil,
		},
		{
			"bytes",
			media.Picture{Width: 2, Height: 2},
			tensor.Spec{Name: "x", DType: tensor.Uint8, Shape: []int64{3, 2, 2}},
			[2]int{2, 2},
			[4][3]uint8{red, green, blue, white},
			nil,
		},
		{ // L is 0 to 100
			"lab-l",
			media.Picture{Colour: "lab-l"},
			four(1, 1, 6, 8),
			[2]int{8, 6},
			[4][3]uint8{{136, 136, 136}, {224, 224, 224}, {82, 82, 82}, white},
			nil,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			pr, m := seen(t, tt.picture, tt.spec, pngOf(t, flagPicture()))
			w, h := m.Bounds().Dx(), m.Bounds().Dy()
			if [2]int{w, h} != tt.size {
				t.Fatalf("%d x %d", w, h)
			}
			got := [4][3]uint8{pixelAt(m, 0, 0), pixelAt(m, w-1, 0), pixelAt(m, 0, h-1), pixelAt(m, w-1, h-1)}
			if d := cmp.Diff(tt.corners, got); d != "" {
				t.Error(d)
			}
			if tt.channels != nil {
				if d := cmp.Diff(tt.channels, pr.Channels); d != "" {
					t.Error(d)
				}
			}
			if want := map[bool]string{true: "nhwc", false: "nchw"}[tt.picture.Layout == "nhwc"]; pr.Layout != want || pr.DType != tt.spec.DType {
				t.Errorf("%s %s", pr.Layout, pr.DType)
			}
		})
	}
}

// What is shown is what the adapter feeds: the same numbers, turned back.
func TestPreviewIsWhatTheNetworkGets(t *testing.T) {
	data := jpegOf(t, flagPicture())
	p := media.Picture{Width: 5, Height: 4, Resize: "fit", Filter: "bicubic", Colour: "bgr", Mean: []float64{104, 117, 123}, Scale: []float64{0.017}}
	spec := oneInput(1, 3, 4, 5).Inputs[0]
	pr, m := seen(t, p, spec, data)
	fed := decode(t, adapter(t, []media.Input{{Picture: &p}}, nil, oneInput(1, 3, 4, 5)), binaryValue(data))
	values := tensor.As[float32](fed)
	for i, v := range values {
		c, y, x := i/20, i/5%4, i%5
		want := math.Round(float64(v)/0.017 + p.Mean[c])
		if got := pixelAt(m, x, y)[2-c]; math.Abs(float64(got)-want) > 0 {
			t.Fatalf("channel %d at %d,%d: shown %d, fed %v", c, x, y, got, want)
		}
	}
	for c, ch := range pr.Channels {
		low, high, sum := math.Inf(1), math.Inf(-1), 0.0
		for _, v := range values[c*20 : c*20+20] {
			low, high, sum = min(low, float64(v)), max(high, float64(v)), sum+float64(v)
		}
		if ch.Min != low || ch.Max != high || math.Abs(ch.Mean-sum/20) > 1e-6 {
			t.Errorf("%+v, fed %v %v %v", ch, low, sum/20, high)
		}
	}
	if d := cmp.Diff(fed.Shape, pr.Shape); d != "" {
		t.Error(d)
	}
}

func TestPreviewOfALargePictureIsThinned(t *testing.T) {
	m := image.NewGray(image.Rect(0, 0, 5000, 10))
	for i := range m.Pix {
		m.Pix[i] = uint8(i % 5000 % 3 * 100)
	}
	pr, shown := seen(t, media.Picture{Colour: "grey"}, tensor.Spec{Shape: []int64{1, 1, -1, -1}, DType: tensor.Float32}, pngOf(t, m))
	if b := shown.Bounds(); b.Dx() != 1667 || b.Dy() != 4 || pixelAt(shown, 1000, 2) != [3]uint8{} {
		t.Errorf("%v, %v", b, pixelAt(shown, 1000, 2))
	}
	if d := cmp.Diff([]int64{1, 1, 10, 5000}, pr.Shape); d != "" || pr.Channels[0].Max != 200 {
		t.Error(d, pr.Channels)
	}
}

func TestPreviewRefuses(t *testing.T) {
	spec := tensor.Spec{Name: "data", DType: tensor.Float32, Shape: []int64{1, 3, 6, 8}}
	picture := pngOf(t, flagPicture())
	tests := []struct {
		name string
		in   media.Input
		spec tensor.Spec
		data []byte
		want string
	}{
		{"no picture", media.Input{Tensor: &media.Tensor{}}, spec, picture, "input.picture is missing"},
		{"a word", media.Input{Picture: &media.Picture{Colour: "red"}}, spec, picture, `input.picture.colour: "red" is not known`},
		{"scale 0", media.Input{Picture: &media.Picture{Scale: []float64{0}}}, spec, picture, "input.picture.scale[0]: must not be 0"},
		{"width", media.Input{Picture: &media.Picture{Width: 7}}, spec, picture, `input.picture.width: 7, but the network's input "data" is 1x3x6x8`},
		{"colour", media.Input{Picture: &media.Picture{Colour: "grey"}}, spec, picture, "input.picture.colour: grey has 1 channels"},
		{"no file of a picture", media.Input{Picture: &media.Picture{}}, spec, []byte("hello"), `input "data" is no picture`},
		{"cut short", media.Input{Picture: &media.Picture{}}, spec, picture[:len(picture)/2], "is a PNG that cannot be read"},
		{"no bytes", media.Input{Picture: &media.Picture{}}, spec, nil, "there are no bytes"},
		{"texts", media.Input{Picture: &media.Picture{}}, tensor.Spec{Name: "data", DType: tensor.String}, picture, "a picture does not become that"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := media.NewPreview(t.Context(), tt.in, tt.spec, binaryValue(tt.data), media.Limits{})
			if stoa.KindOf(err) != stoa.Invalid || !strings.Contains(stoa.AsError(err).Msg, tt.want) {
				t.Errorf("%v", err)
			}
		})
	}
}

// FuzzPreview feeds files, and numbers of a specification, to a preview.
func FuzzPreview(f *testing.F) {
	m := flagPicture()
	f.Add(pngOf(f, m), 8, 6, 1.0, 0.0, byte(0))
	f.Add(jpegOf(f, m), 0, 0, 0.017, 104.0, byte(9))
	f.Add(webpFlag(f), 3, 1, -1e-30, 1e30, byte(30))
	f.Fuzz(func(t *testing.T, data []byte, w, h int, scale, mean float64, words byte) {
		pick := func(n int, of ...string) string { return of[int(words>>n)%len(of)] }
		p := media.Picture{
			Width: w, Height: h, Scale: []float64{scale}, Mean: []float64{mean}, Colour: pick(0, "rgb", "bgr", "grey", "lab-l"),
			Resize: pick(2, "stretch", "fit", "cover"), Layout: pick(4, "nchw", "nhwc"), Invert: words > 127,
		}
		pr, err := media.NewPreview(t.Context(), media.Input{Picture: &p}, tensor.Spec{DType: tensor.Float32}, binaryValue(data),
			media.Limits{Pixels: 1 << 16, Elements: 1 << 18, Memory: media.NewBudget(2 << 20)})
		if err != nil {
			if msg := stoa.AsError(err).Msg; stoa.KindOf(err) == stoa.Internal || strings.Contains(msg, "panic") {
				t.Fatal(err)
			}
			return
		}
		if _, err := png.Decode(bytes.NewReader(pr.PNG)); err != nil {
			t.Fatal(err)
		}
	})
}
