package media_test

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"image"
	"image/color"
	"image/draw"
	"image/gif"
	"image/jpeg"
	"image/png"
	"math"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/image/bmp"
	"golang.org/x/image/tiff"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/format/npy"
	"github.com/stoa-project/stoa/internal/media"
	"github.com/stoa-project/stoa/internal/tensor"
)

// flag is a picture whose corners tell how it was turned: red, green, blue and
// white, each 4x3 pixels of the 8x6.
func flagPicture() *image.NRGBA {
	m := image.NewNRGBA(image.Rect(0, 0, 8, 6))
	for y := range 6 {
		for x := range 8 {
			c := [2][2]color.NRGBA{{{255, 0, 0, 255}, {0, 255, 0, 255}}, {{0, 0, 255, 255}, {255, 255, 255, 255}}}[y/3][x/4]
			m.SetNRGBA(x, y, c)
		}
	}
	return m
}

func encoded(t testing.TB, write func(*bytes.Buffer) error) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := write(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func pngOf(t testing.TB, m image.Image) []byte {
	return encoded(t, func(b *bytes.Buffer) error { return png.Encode(b, m) })
}

func jpegOf(t testing.TB, m image.Image) []byte {
	return encoded(t, func(b *bytes.Buffer) error { return jpeg.Encode(b, m, &jpeg.Options{Quality: 100}) })
}

// ownSize takes a picture at its own size, as floats of levels.
func ownSize(t testing.TB, p media.Picture) *media.Adapter {
	t.Helper()
	channels := int64(3)
	if p.Colour == "grey" || p.Colour == "lab-l" {
		channels = 1
	}
	shape := []int64{-1, channels, -1, -1}
	if p.Layout == "nhwc" {
		shape = []int64{-1, -1, -1, channels}
	}
	return adapter(t, []media.Input{{Picture: &p}}, nil, oneInput(shape...))
}

func decode(t testing.TB, a *media.Adapter, v stoa.Value) tensor.Tensor {
	t.Helper()
	it, err := a.Decode(v)
	if err != nil {
		t.Fatal(err)
	}
	if err := it.Inputs[0].Check(); err != nil {
		t.Fatal(err)
	}
	return it.Inputs[0]
}

func TestFormats(t *testing.T) {
	t.Parallel()
	m := flagPicture()
	want := make([]float32, 0, 144)
	for y := range 6 {
		for x := range 8 {
			c := m.NRGBAAt(x, y)
			want = append(want, float32(c.R), float32(c.G), float32(c.B))
		}
	}
	opaque := image.NewRGBA(m.Rect)
	draw.Draw(opaque, m.Rect, m, image.Point{}, draw.Src)
	deep := image.NewNRGBA64(m.Rect)
	draw.Draw(deep, m.Rect, m, image.Point{}, draw.Src)
	palette := image.NewPaletted(m.Rect, color.Palette{color.NRGBA{255, 0, 0, 255}, color.NRGBA{0, 255, 0, 255}, color.NRGBA{0, 0, 255, 255}, color.White})
	draw.Draw(palette, m.Rect, m, image.Point{}, draw.Src)
	files := map[string][]byte{
		"png":         pngOf(t, m),
		"png 16 bit":  pngOf(t, deep),
		"png palette": pngOf(t, palette),
		"gif":         encoded(t, func(b *bytes.Buffer) error { return gif.Encode(b, palette, nil) }),
		"bmp":         encoded(t, func(b *bytes.Buffer) error { return bmp.Encode(b, opaque) }),
		"tiff":        encoded(t, func(b *bytes.Buffer) error { return tiff.Encode(b, opaque, &tiff.Options{Compression: tiff.Deflate}) }),
		"tiff 16":     encoded(t, func(b *bytes.Buffer) error { return tiff.Encode(b, deep, nil) }),
		"webp":        webpFlag(t),
	}
	a := ownSize(t, media.Picture{Layout: "nhwc"})
	for name, file := range files {
		x := decode(t, a, binaryValue(file))
		if d := cmp.Diff([]int64{1, 6, 8, 3}, x.Shape); d != "" {
			t.Errorf("%s: %s", name, d)
		}
		if d := cmp.Diff(want, tensor.As[float32](x)); d != "" {
			t.Errorf("%s: %s", name, d)
		}
	}
	x := decode(t, a, binaryValue(jpegOf(t, m)))
	if mean, _ := differences(t, tensor.As[float32](x), want); mean > 30 { // 4:2:0 blurs the borders
		t.Errorf("jpeg differs by %.1f", mean)
	}
}

func binaryValue(b []byte) stoa.Value { return stoa.Value{Type: stoa.Binary, Data: b} }

// webpFlag is flagPicture written by cwebp -lossless.
func webpFlag(t testing.TB) []byte {
	t.Helper()
	data, err := base64.StdEncoding.DecodeString(webpFlagBase64)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestAlphaOverWhite(t *testing.T) {
	t.Parallel()
	m := image.NewNRGBA(image.Rect(0, 0, 3, 1))
	m.SetNRGBA(0, 0, color.NRGBA{100, 0, 50, 0})
	m.SetNRGBA(1, 0, color.NRGBA{0, 0, 0, 128})
	m.SetNRGBA(2, 0, color.NRGBA{10, 20, 30, 255})
	deep := image.NewNRGBA64(m.Rect)
	for x := range 3 {
		c := m.NRGBAAt(x, 0)
		deep.SetNRGBA64(x, 0, color.NRGBA64{uint16(c.R) * 257, uint16(c.G) * 257, uint16(c.B) * 257, uint16(c.A) * 257})
	}
	want := []float32{255, 255, 255, 127, 127, 127, 10, 20, 30}
	for _, file := range [][]byte{pngOf(t, m), pngOf(t, deep)} {
		got := tensor.As[float32](decode(t, ownSize(t, media.Picture{Layout: "nhwc"}), binaryValue(file)))
		if d := cmp.Diff(want, got); d != "" {
			t.Error(d)
		}
	}
}

func TestGIFOnItsScreen(t *testing.T) {
	t.Parallel()
	frame := image.NewPaletted(image.Rect(1, 1, 2, 2), color.Palette{color.Black, color.White})
	file := encoded(t, func(b *bytes.Buffer) error {
		return gif.EncodeAll(b, &gif.GIF{Image: []*image.Paletted{frame}, Delay: []int{0}, Config: image.Config{Width: 3, Height: 2, ColorModel: frame.Palette}})
	})
	got := tensor.As[float32](decode(t, ownSize(t, media.Picture{Colour: "grey"}), binaryValue(file)))
	if d := cmp.Diff([]float32{255, 255, 255, 255, 0, 255}, got); d != "" {
		t.Error(d)
	}
}

// withOrientation puts an EXIF block with nothing but an orientation into a JPEG.
func withOrientation(file []byte, o uint16, order binary.ByteOrder) []byte {
	mark := "II*\x00"
	if order == binary.BigEndian {
		mark = "MM\x00*"
	}
	b := []byte("Exif\x00\x00" + mark)
	put := func(n int, v uint32) {
		var buf [4]byte
		if n == 2 {
			order.PutUint16(buf[:], uint16(v))
		} else {
			order.PutUint32(buf[:], v)
		}
		b = append(b, buf[:n]...)
	}
	put(4, 8)
	put(2, 1)
	put(2, 0x0112)
	put(2, 3)
	put(4, 1)
	put(2, uint32(o))
	put(2, 0)
	put(4, 0)
	out := append([]byte{}, file[:2]...)
	out = append(out, 0xff, 0xe1, byte((len(b)+2)>>8), byte(len(b)+2))
	return append(append(out, b...), file[2:]...)
}

func TestOrientation(t *testing.T) {
	t.Parallel()
	// A picture of 16 pixel blocks, so that JPEG's chroma keeps to them.
	m := image.NewNRGBA(image.Rect(0, 0, 48, 32))
	levels := [2][3]uint8{{10, 60, 110}, {160, 210, 250}}
	for y := range 32 {
		for x := range 48 {
			v := levels[y/16][x/16]
			m.SetNRGBA(x, y, color.NRGBA{v, v, v, 255})
		}
	}
	file := jpegOf(t, m)
	want := map[uint16][]float32{
		1: {10, 60, 110, 160, 210, 250}, 2: {110, 60, 10, 250, 210, 160}, 3: {250, 210, 160, 110, 60, 10}, 4: {160, 210, 250, 10, 60, 110},
		5: {10, 160, 60, 210, 110, 250}, 6: {160, 10, 210, 60, 250, 110}, 7: {250, 110, 210, 60, 160, 10}, 8: {110, 250, 60, 210, 10, 160},
		0: {10, 60, 110, 160, 210, 250}, 9: {10, 60, 110, 160, 210, 250},
	}
	for o, levels := range want {
		w, h := 3, 2
		if o >= 5 && o <= 8 {
			w, h = 2, 3
		}
		for _, order := range []binary.ByteOrder{binary.LittleEndian, binary.BigEndian} {
			a := ownSize(t, media.Picture{Colour: "grey", Width: w, Height: h})
			got := tensor.As[float32](decode(t, a, binaryValue(withOrientation(file, o, order))))
			if _, most := differences(t, got, levels); most > 2 {
				t.Errorf("orientation %d: got %v, want %v", o, got, levels)
			}
		}
	}
}

func TestPictureLayouts(t *testing.T) {
	t.Parallel()
	m := image.NewNRGBA(image.Rect(0, 0, 2, 1))
	m.SetNRGBA(0, 0, color.NRGBA{10, 20, 30, 255})
	m.SetNRGBA(1, 0, color.NRGBA{40, 50, 60, 255})
	file := binaryValue(pngOf(t, m))
	grey := image.NewGray(m.Rect)
	grey.Pix = []byte{7, 9}
	greyFile := binaryValue(pngOf(t, grey))
	tests := []struct {
		p    media.Picture
		v    stoa.Value
		want []float32
	}{
		{media.Picture{}, file, []float32{10, 40, 20, 50, 30, 60}},
		{media.Picture{Colour: "bgr"}, file, []float32{30, 60, 20, 50, 10, 40}},
		{media.Picture{Layout: "nhwc"}, file, []float32{10, 20, 30, 40, 50, 60}},
		{media.Picture{Layout: "nhwc", Colour: "bgr"}, file, []float32{30, 20, 10, 60, 50, 40}},
		{media.Picture{Colour: "grey"}, file, []float32{18, 48}},
		{media.Picture{Invert: true}, file, []float32{245, 215, 235, 205, 225, 195}},
		{media.Picture{Mean: []float64{1, 2, 3}, Scale: []float64{1, 10, 100}}, file, []float32{9, 39, 180, 480, 2700, 5700}},
		{media.Picture{Colour: "bgr", Mean: []float64{1, 2, 3}, Scale: []float64{1, 10, 100}}, file, []float32{29, 59, 180, 480, 700, 3700}},
		{media.Picture{Mean: []float64{10}, Scale: []float64{0.5}}, file, []float32{0, 15, 5, 20, 10, 25}},
		{media.Picture{}, greyFile, []float32{7, 9, 7, 9, 7, 9}},
		{media.Picture{Colour: "bgr", Mean: []float64{1, 2, 3}}, greyFile, []float32{6, 8, 5, 7, 4, 6}},
		{media.Picture{Colour: "grey"}, greyFile, []float32{7, 9}},
		{media.Picture{Width: 4, Height: 4, Resize: "fit", Filter: "nearest", Mean: []float64{5}}, greyFile, fitted(2, 2, 4, 4)},
		{media.Picture{Width: 1, Height: 1, Resize: "cover"}, greyFile, []float32{8, 8, 8}},
		{media.Picture{Width: 2, Height: 2, Resize: "cover", Filter: "nearest", Colour: "grey"}, greyFile, []float32{7, 9, 7, 9}},
	}
	for _, tt := range tests {
		got := tensor.As[float32](decode(t, ownSize(t, tt.p), tt.v))
		if d := cmp.Diff(tt.want, got); d != "" {
			t.Errorf("%+v (-want +got):\n%s", tt.p, d)
		}
	}
}

// fitted is three planes of a 4x4 square with the given rows in the middle.
func fitted(rows ...float32) []float32 {
	zero := []float32{0, 0, 0, 0}
	var out []float32
	for range 3 {
		out = append(append(append(append(out, zero...), rows...), rows...), zero...)
	}
	return out
}

func TestElementTypes(t *testing.T) {
	t.Parallel()
	m := image.NewGray(image.Rect(0, 0, 2, 1))
	m.Pix = []byte{3, 200}
	for d, want := range map[tensor.DType][]byte{
		tensor.Uint8: {3, 200}, tensor.Int8: {3, 127}, tensor.Uint16: {3, 0, 200, 0}, tensor.Int32: {3, 0, 0, 0, 200, 0, 0, 0},
		tensor.Float16: {0x00, 0x42, 0x40, 0x5a}, tensor.BFloat16: {0x40, 0x40, 0x48, 0x43},
		tensor.Float64: tensor.Of([]float64{3, 200}, 2).Data, tensor.Int64: tensor.Of([]int64{3, 200}, 2).Data,
	} {
		g := oneInput(1, 1, 1, 2)
		g.Inputs[0].DType = d
		a := adapter(t, []media.Input{{Picture: &media.Picture{Colour: "grey"}}}, nil, g)
		x := decode(t, a, binaryValue(pngOf(t, m)))
		if x.DType != d || !bytes.Equal(x.Data, want) {
			t.Errorf("%s: got %s %v, want %v", d, x.DType, x.Data, want)
		}
	}
}

func TestPictureForms(t *testing.T) {
	t.Parallel()
	m := image.NewGray(image.Rect(0, 0, 40, 40))
	for i := range m.Pix {
		m.Pix[i] = byte(i * 7)
	}
	file := pngOf(t, m)
	std := base64.StdEncoding.EncodeToString(file)
	url := base64.RawURLEncoding.EncodeToString(file)
	var broken strings.Builder
	for i := 0; i < len(std); i += 76 {
		broken.WriteString(std[i:min(i+76, len(std))] + "\r\n")
	}
	a := ownSize(t, media.Picture{Colour: "grey"})
	want := decode(t, a, binaryValue(file))
	quoted := func(s string) string { b, _ := json.Marshal(s); return string(b) }
	for name, v := range map[string]stoa.Value{
		"text":           {Type: stoa.Text, Data: []byte(std)},
		"json":           {Type: stoa.JSON, Data: []byte(` "` + std + `" `)},
		"json escaped":   {Type: stoa.JSON, Data: []byte(`"` + strings.ReplaceAll(std, "/", `\/`) + `"`)},
		"line breaks":    {Type: stoa.JSON, Data: []byte(quoted(broken.String()))},
		"spaces":         {Type: stoa.Text, Data: []byte("  " + strings.ReplaceAll(broken.String(), "\r\n", " \t") + "\n")},
		"url alphabet":   {Type: stoa.Text, Data: []byte(url)},
		"no padding":     {Type: stoa.Text, Data: []byte(strings.TrimRight(std, "="))},
		"data url":       {Type: stoa.JSON, Data: []byte(`"data:image/png;base64,` + std + `"`)},
		"data url bare":  {Type: stoa.Text, Data: []byte(`DATA:;base64,` + std)},
		"data url param": {Type: stoa.Text, Data: []byte(`data:image/png;name=a.png;base64,` + url)},
	} {
		if d := cmp.Diff(want, decode(t, a, v)); d != "" {
			t.Errorf("%s: another picture", name)
		}
	}
}

// claim writes over the size in a PNG's header, and mends its checksum.
func claim(file []byte, w, h uint32) []byte {
	out := bytes.Clone(file)
	binary.BigEndian.PutUint32(out[16:], w)
	binary.BigEndian.PutUint32(out[20:], h)
	binary.BigEndian.PutUint32(out[29:], crc32.ChecksumIEEE(out[12:29]))
	return out
}

func TestDecodeRefuses(t *testing.T) {
	t.Parallel()
	file := pngOf(t, flagPicture())
	jpg := jpegOf(t, flagPicture())
	text := func(s string) stoa.Value { return stoa.Value{Type: stoa.Text, Data: []byte(s)} }
	asJSON := func(s string) stoa.Value { return stoa.Value{Type: stoa.JSON, Data: []byte(s)} }
	picture := ownSize(t, media.Picture{})
	array := adapter(t, nil, nil, oneInput(-1, 1, 28, 28))
	ints := oneInput(2)
	ints.Inputs[0].DType = tensor.Uint8
	bytesInput := adapter(t, nil, nil, ints)
	g := oneInput(2)
	g.Inputs = append(g.Inputs, tensor.Spec{Name: "b", DType: tensor.Float32, Shape: []int64{1}})
	two := adapter(t, nil, nil, g)
	lab := adapter(t, []media.Input{{Picture: &media.Picture{Colour: "lab-l"}}}, []media.Output{{Lab: &media.Lab{}}}, oneInput(1, 1, 8, 8))
	tests := []struct {
		name string
		a    *media.Adapter
		v    stoa.Value
		kind stoa.Kind
		want string
	}{
		{"60,000 x 60,000", picture, binaryValue(claim(file, 60000, 60000)), stoa.TooLarge, `input "data" is a PNG of 60000 x 60000 pixels: at most 50 million`},
		{"lying", picture, binaryValue(claim(file, 7000, 7000)), stoa.Invalid, "claims 7000 x 7000 pixels but has only"},
		{"negative", picture, binaryValue(claim(file, 1<<31, 4)), stoa.Invalid, "PNG that cannot be read"},
		{"empty size", picture, binaryValue(claim(file, 0, 4)), stoa.Invalid, "PNG"},
		{"cut png", picture, binaryValue(file[:len(file)-20]), stoa.Invalid, "is a PNG that cannot be read: it is cut short"},
		{"cut jpeg", picture, binaryValue(jpg[:len(jpg)/2]), stoa.Invalid, "is a JPEG that cannot be read"},
		{"head only", picture, binaryValue(jpg[:4]), stoa.Invalid, "is a JPEG that cannot be read: it is cut short"},
		{"nothing", picture, binaryValue(nil), stoa.Invalid, "there are no bytes"},
		{"void", picture, stoa.Value{Type: stoa.Void}, stoa.Invalid, "got nothing"},
		{"pdf", picture, binaryValue([]byte("%PDF-1.4")), stoa.Invalid, "it looks like a PDF"},
		{"heic", picture, binaryValue([]byte("\x00\x00\x00\x18ftypheic\x00\x00")), stoa.Invalid, "HEIC"},
		{"form", picture, binaryValue([]byte("--x\r\nContent-Disposition: form-data")), stoa.Invalid, "form upload"},
		{"url", picture, asJSON(`"https://example.com/a.png"`), stoa.Invalid, "does not fetch"},
		{"url text", picture, text(" HTTP://example.com/a.png"), stoa.Invalid, "does not fetch"},
		{"word", picture, text("a cat!"), stoa.Invalid, "neither base64 nor a data: URL"},
		{"data url", picture, text("data:image/svg+xml,<svg/>"), stoa.Invalid, "not base64"},
		{"base64 of nothing", picture, text("AAAA"), stoa.Invalid, "is no picture that Stoa reads"},
		{"object", picture, asJSON(`{"image": "x"}`), stoa.Invalid, "got an object"},
		{"number", picture, asJSON(`5`), stoa.Invalid, "got a number"},
		{"bad json", picture, asJSON(`"a`), stoa.Invalid, "not JSON"},
		{"shape", array, asJSON(`[[1,2,3],[4,5,6]]`), stoa.Invalid, `input "data" wants ?x1x28x28 float32, got 2x3`},
		{"ragged", array, asJSON(`[[1,2,3],[4,5]]`), stoa.Invalid, `input "data" cannot be read: the rows differ in length: row 1 has 2 numbers, row 0 has 3`},
		{"not json", array, asJSON(`hello`), stoa.Invalid, "no JSON number"},
		{"string", array, asJSON(`"x"`), stoa.Invalid, "got a text"},
		{"picture", array, binaryValue(file), stoa.Invalid, "got a PNG"},
		{"npy cut", array, binaryValue(npy.Append(nil, tensor.Of([]float32{1, 2}, 2))[:130]), stoa.Invalid, "cannot be read"},
		{"npy float to int", bytesInput, binaryValue(npy.Append(nil, tensor.Of([]float32{1, 2}, 2))), stoa.Invalid, `wants 2 uint8, got 2 float32, which is not converted`},
		{"npy too big", bytesInput, binaryValue(npy.Append(nil, tensor.Of([]int64{1, 300}, 2))), stoa.Invalid, `wants 2 uint8, got 2 int64 with 300 in it, which does not fit`},
		{"json too big", bytesInput, asJSON(`[1,300]`), stoa.Invalid, "no uint8"},
		{"two: text", two, text("x"), stoa.Invalid, `give a JSON object with "data", "b"`},
		{"two: array", two, asJSON("[1]"), stoa.Invalid, `not an array`},
		{"two: null", two, asJSON("null"), stoa.Invalid, `not null`},
		{"two: missing", two, asJSON(`{"data":[1,2]}`), stoa.Invalid, `input "b" is missing`},
		{"two: unknown", two, asJSON(`{"data":[1,2],"b":[1],"c":1}`), stoa.Invalid, `input "c" is not known`},
		{"two: bad", two, asJSON(`{"data":[1,2],"b":[1,2]}`), stoa.Invalid, `input "b" wants 1 float32, got 2`},
		{"two: syntax", two, asJSON(`{"data":`), stoa.Invalid, `not JSON`},
		{"deep", array, asJSON(strings.Repeat("[", 100_000)), stoa.Invalid, "nested deeper"},
		{"two: deep", two, asJSON(`{"data":` + strings.Repeat("[", 100_000)), stoa.Invalid, "not JSON"},
		{"lab: array", lab, asJSON(`[[[[1]]]]`), stoa.Invalid, "wants a picture, since the answer is made of it"},
	}
	for _, tt := range tests {
		_, err := tt.a.Decode(tt.v)
		e := stoa.AsError(err)
		if e == nil || e.Kind != tt.kind || e.Type != "InputError" || !strings.Contains(e.Msg, tt.want) {
			t.Errorf("%s: got %#v, want %v %q", tt.name, e, tt.kind, tt.want)
		}
	}
}

func TestArrays(t *testing.T) {
	t.Parallel()
	f := tensor.Of([]float32{1, 2, 3}, 1, 3)
	tests := []struct {
		name  string
		dtype tensor.DType
		shape []int64
		v     stoa.Value
		want  tensor.Tensor
	}{
		{"json", tensor.Float32, []int64{-1, 3}, stoa.Value{Type: stoa.JSON, Data: []byte("[[1,2,3]]")}, f},
		{"text", tensor.Float32, []int64{-1, 3}, stoa.Value{Type: stoa.Text, Data: []byte("[[1,2,3]]")}, f},
		{"batch axis", tensor.Float32, []int64{-1, 3}, stoa.Value{Type: stoa.JSON, Data: []byte("[1,2,3]")}, f},
		{"batch axis of 1", tensor.Float32, []int64{1, 3}, stoa.Value{Type: stoa.JSON, Data: []byte("[1,2,3]")}, f},
		{"unknown shape", tensor.Float32, nil, stoa.Value{Type: stoa.JSON, Data: []byte("[[1,2,3]]")}, f},
		{"npy", tensor.Float32, []int64{-1, 3}, binaryValue(npy.Append(nil, f)), f},
		{"float64", tensor.Float32, []int64{-1, 3}, binaryValue(npy.Append(nil, tensor.Of([]float64{1, 2, 3}, 3))), f},
		{"uint8", tensor.Float32, []int64{-1, 3}, binaryValue(npy.Append(nil, tensor.Of([]uint8{1, 2, 3}, 1, 3))), f},
		{"int64 to int32", tensor.Int32, []int64{3}, binaryValue(npy.Append(nil, tensor.Of([]int64{-1, 2, 3}, 3))), tensor.Of([]int32{-1, 2, 3}, 3)},
		{"float16", tensor.Float32, []int64{2}, binaryValue(npy.Append(nil, tensor.Tensor{DType: tensor.Float16, Shape: []int64{2}, Data: []byte{0, 0x3c, 0, 0xc0}})), tensor.Of([]float32{1, -2}, 2)},
		{"to float16", tensor.Float16, []int64{2}, binaryValue(npy.Append(nil, tensor.Of([]float32{1, -2}, 2))), tensor.Tensor{DType: tensor.Float16, Shape: []int64{2}, Data: []byte{0, 0x3c, 0, 0xc0}}},
	}
	for _, tt := range tests {
		g := oneInput(tt.shape...)
		if tt.shape == nil {
			g.Inputs[0].Shape = nil
		}
		g.Inputs[0].DType = tt.dtype
		if d := cmp.Diff(tt.want, decode(t, adapter(t, nil, nil, g), tt.v)); d != "" {
			t.Errorf("%s: %s", tt.name, d)
		}
	}
	// An array may stand in for a picture.
	a := adapter(t, []media.Input{{Picture: &media.Picture{}}}, nil, oneInput(-1, 3, 1, 1))
	for _, v := range []stoa.Value{binaryValue(npy.Append(nil, tensor.Of([]float32{1, 2, 3}, 1, 3, 1, 1))), {Type: stoa.JSON, Data: []byte(" [[[1]],[[2]],[[3]]]")}} {
		if d := cmp.Diff(tensor.Of([]float32{1, 2, 3}, 1, 3, 1, 1), decode(t, a, v)); d != "" {
			t.Error(d)
		}
	}
}

func TestNpyIsNotCopied(t *testing.T) {
	t.Parallel()
	file := npy.Append(nil, tensor.Of([]float32{1, 2, 3}, 3))
	x := decode(t, adapter(t, nil, nil, oneInput(3)), binaryValue(file))
	if &x.Data[0] != &file[len(file)-12] {
		t.Error("the array was copied")
	}
}

func TestEncode(t *testing.T) {
	t.Parallel()
	probabilities := tensor.Of([]float32{0.1, 0.7, 0.2}, 1, 3)
	names := []string{"a", `b"<é`, "c"}
	graph := func(outs ...tensor.Spec) media.Graph {
		g := oneInput(1)
		g.Outputs = outs
		return g
	}
	y := tensor.Spec{Name: "y", DType: tensor.Float32}
	z := tensor.Spec{Name: "z", DType: tensor.Float32}
	input := stoa.Value{Type: stoa.JSON, Data: []byte("[1]")}
	asNpy := binaryValue(npy.Append(nil, tensor.Of([]float32{1}, 1)))
	npz, err := npy.AppendNpz(nil, []string{"y", "z"}, []tensor.Tensor{probabilities, probabilities})
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name  string
		out   []media.Output
		g     media.Graph
		in    stoa.Value
		outs  []tensor.Tensor
		want  string
		media string
	}{
		{
			"labels",
			[]media.Output{{Labels: &media.Labels{Names: names, Top: 2}}},
			graph(y), input,
			[]tensor.Tensor{probabilities},
			`{"label":"b\"<é","score":0.7,"labels":[{"label":"b\"<é","score":0.7},{"label":"c","score":0.2}]}`, "",
		},
		{
			"unsure",
			[]media.Output{{Labels: &media.Labels{Names: names, Top: 1, Threshold: 0.8}}},
			graph(y), input,
			[]tensor.Tensor{probabilities},
			`{"label":"not sure","score":0.7,"labels":[{"label":"b\"<é","score":0.7}]}`, "",
		},
		{
			"softmax",
			[]media.Output{{Labels: &media.Labels{Names: names[:2], Softmax: true, Threshold: 0.9, Unsure: "?"}}},
			graph(y), input,
			[]tensor.Tensor{tensor.Of([]float32{1000, 1000}, 2)},
			`{"label":"?","score":0.5,"labels":[{"label":"a","score":0.5},{"label":"b\"<é","score":0.5}]}`, "",
		},
		{
			"batch",
			[]media.Output{{Labels: &media.Labels{Names: names, Top: 1}}},
			graph(y), input,
			[]tensor.Tensor{tensor.Of([]float64{1, 0, 0, 0, 0, 1}, 2, 3, 1, 1)},
			`[{"label":"a","score":1,"labels":[{"label":"a","score":1}]},{"label":"c","score":1,"labels":[{"label":"c","score":1}]}]`, "",
		},
		{"tensor", nil, graph(y), input, []tensor.Tensor{probabilities}, `[[0.1,0.7,0.2]]`, ""},
		{"npy", []media.Output{{Tensor: &media.Tensor{}}}, graph(y), asNpy, []tensor.Tensor{probabilities}, string(npy.Append(nil, probabilities)), stoa.NpyMediaType},
		{"two", nil, graph(y, z), input, []tensor.Tensor{probabilities, tensor.Of([]int64{5}, 1)}, `{"y":[[0.1,0.7,0.2]],"z":[5]}`, ""},
		{"npz", nil, graph(y, z), asNpy, []tensor.Tensor{probabilities, probabilities}, string(npz), stoa.NpzMediaType},
		{"one of two", []media.Output{{Name: "z"}}, graph(y, z), input, []tensor.Tensor{probabilities, tensor.Of([]int64{5}, 1)}, `[5]`, ""},
		{
			"npy mixed",
			[]media.Output{{Name: "z"}, {Name: "y", Labels: &media.Labels{Names: names, Top: 1}}},
			graph(y, z), asNpy,
			[]tensor.Tensor{probabilities, tensor.Of([]int64{5}, 1)},
			`{"z":[5],"y":{"label":"b\"<é","score":0.7,"labels":[{"label":"b\"<é","score":0.7}]}}`, "",
		},
	}
	for _, tt := range tests {
		a := adapter(t, nil, tt.out, tt.g)
		it, err := a.Decode(tt.in)
		if err != nil {
			t.Fatal(err)
		}
		v, err := a.Encode(it, tt.outs)
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		if string(v.Data) != tt.want || v.MediaType != tt.media {
			t.Errorf("%s: got %s %q, want %s %q", tt.name, v.MediaType, v.Data, tt.media, tt.want)
		}
		if v.Type == stoa.JSON && !json.Valid(v.Data) {
			t.Errorf("%s: %s is no JSON", tt.name, v.Data)
		}
	}
}

func TestEncodeRefuses(t *testing.T) {
	t.Parallel()
	a := adapter(t, nil, []media.Output{{Labels: &media.Labels{Names: []string{"a", "b"}}}}, oneInput(1))
	paint := adapter(t, nil, []media.Output{{Picture: &media.Paint{}}}, oneInput(1))
	tests := []struct {
		name string
		a    *media.Adapter
		out  tensor.Tensor
		want string
	}{
		{"nan", a, tensor.Of([]float32{1, float32(math.NaN())}, 2), `output "out" holds NaN`},
		{"count", a, tensor.Of([]float32{1, 2, 3}, 3), `output "out" is 3 float32, which is no 2 scores`},
		{"none", a, tensor.Of([]float32{}, 0), `no 2 scores`},
		{"paint", paint, tensor.Of([]float32{1, 2, 3}, 3), "no picture"},
		{"paint grey", paint, tensor.Of([]float32{1}, 1, 1, 1, 1), "no picture"},
		{"paint empty", paint, tensor.Of([]float32{}, 3, 0, 5), "no picture"},
	}
	for _, tt := range tests {
		if _, err := tt.a.Encode(media.Item{}, []tensor.Tensor{tt.out}); stoa.KindOf(err) != stoa.Failed || !strings.Contains(stoa.AsError(err).Msg, tt.want) {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
	if _, err := a.Encode(media.Item{}, nil); stoa.KindOf(err) != stoa.Internal {
		t.Errorf("no outputs: %v", err)
	}
}

func TestPaint(t *testing.T) {
	t.Parallel()
	m := flagPicture()
	levelsOf := levels(t, pngOf(t, m))
	for _, p := range []media.Picture{{}, {Colour: "bgr", Layout: "nhwc", Mean: []float64{104, 117, 123}, Scale: []float64{0.5, 0.25, 0.125}}, {Mean: []float64{127.5}, Scale: []float64{1 / 127.5}}} {
		g := oneInput(-1, 3, -1, -1)
		if p.Layout == "nhwc" {
			g = oneInput(-1, -1, -1, 3)
		}
		a := adapter(t, []media.Input{{Picture: &p}}, []media.Output{{Picture: &media.Paint{Colour: p.Colour, Layout: p.Layout, Mean: p.Mean, Scale: p.Scale}}}, g)
		it, err := a.Decode(binaryValue(pngOf(t, m)))
		if err != nil {
			t.Fatal(err)
		}
		v, err := a.Encode(it, it.Inputs)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(levelsOf, levels(t, v.Data)); d != "" || v.MediaType != "image/png" {
			t.Errorf("%+v: %s %s", p, v.MediaType, d)
		}
	}
	a := adapter(t, nil, []media.Output{{Picture: &media.Paint{Colour: "grey", Format: "jpeg", Scale: []float64{1.0 / 255}}}}, oneInput(1))
	v, err := a.Encode(media.Item{}, []tensor.Tensor{tensor.Of([]float32{0, 1, float32(math.NaN()), 7}, 2, 2)})
	if err != nil || v.MediaType != "image/jpeg" {
		t.Fatalf("%s, %v", v.MediaType, err)
	}
}

func TestNewAdapterRefuses(t *testing.T) {
	t.Parallel()
	spec := func(name string, shape ...int64) tensor.Spec {
		return tensor.Spec{Name: name, DType: tensor.Float32, Shape: shape}
	}
	one := media.Graph{Inputs: []tensor.Spec{spec("data", -1, 3, 96, 96)}, Outputs: []tensor.Spec{spec("prob", -1, 6)}}
	two := media.Graph{Inputs: []tensor.Spec{spec("a", 1), spec("b", 1)}, Outputs: []tensor.Spec{spec("x", 1), spec("y", 1)}}
	with := func(shape ...int64) media.Graph {
		return media.Graph{Inputs: []tensor.Spec{spec("data", shape...)}, Outputs: one.Outputs}
	}
	text := with(1)
	text.Inputs[0].DType = tensor.String
	files := func(name string) ([]byte, error) {
		switch name {
		case "labels.txt":
			return []byte("\ufeffa\r\nb\n\n"), nil
		case "binary":
			return []byte{0xff, 0xfe}, nil
		case "empty":
			return nil, nil
		}
		return nil, fmt.Errorf("no file %s", name)
	}
	picture := func(p media.Picture) []media.Input { return []media.Input{{Picture: &p}} }
	labels := func(l media.Labels) []media.Output { return []media.Output{{Labels: &l}} }
	tests := []struct {
		name string
		in   []media.Input
		out  []media.Output
		g    media.Graph
		want string
	}{
		{"labels", nil, labels(media.Labels{Names: strings.Fields("0 1 2 3 4 5 6 7 8 9")}), one, "output[0].labels: 10 names for 6 scores"},
		{"labels file", nil, labels(media.Labels{File: "labels.txt"}), one, "output[0].labels.file: 2 names for 6 scores"},
		{"labels gone", nil, labels(media.Labels{File: "gone"}), one, "output[0].labels.file: gone cannot be read"},
		{"labels binary", nil, labels(media.Labels{File: "binary"}), one, "not UTF-8"},
		{"labels empty", nil, labels(media.Labels{File: "empty"}), one, "there are no names"},
		{"width", picture(media.Picture{Width: 100}), nil, one, `input[0].picture.width: 100, but the network's input "data" is ?x3x96x96`},
		{"height", picture(media.Picture{Height: 1}), nil, one, "input[0].picture.height: 1, but"},
		{"channels", picture(media.Picture{Colour: "grey"}), nil, one, `input[0].picture.colour: grey has 1 channels`},
		{"layout", picture(media.Picture{}), nil, with(1, 224, 224, 3), "input[0].picture.layout: "},
		{"layout back", picture(media.Picture{Layout: "nhwc"}), nil, one, "write nchw"},
		{"batch", picture(media.Picture{}), nil, with(64, 3, 28, 28), "a fixed batch of 64"},
		{"rank", picture(media.Picture{}), nil, with(1, 4), "which is no picture"},
		{"unknown input", []media.Input{{Name: "dta"}}, nil, one, `input[0].name: the network has no input "dta"; it has "data"`},
		{"unknown output", nil, []media.Output{{Name: "x"}}, one, `output[0].name: the network has no output "x"; it has "prob"`},
		{"name", []media.Input{{}}, nil, two, `input[0]: name is missing: the network has the inputs "a", "b"`},
		{"text", nil, nil, text, "an array of string"},
		{"lab shape", picture(media.Picture{}), []media.Output{{Lab: &media.Lab{}}}, one, "an a and a b plane are 1x2xHxW"},
		{"paint shape", nil, []media.Output{{Picture: &media.Paint{}}}, one, "no picture of 3 channels"},
		{"no outputs", nil, nil, media.Graph{Inputs: one.Inputs}, "0 outputs"},
		{"static", picture(media.Picture{Filter: "best"}), nil, one, "input[0].picture.filter: \"best\" is not known"},
		{"word", picture(media.Picture{Mean: []float64{math.NaN()}}), nil, one, "input[0].picture.mean[0]: is no finite number"},
	}
	for _, tt := range tests {
		_, err := media.NewAdapter(tt.in, tt.out, tt.g, files, media.Limits{})
		if err == nil || !strings.Contains(stoa.AsError(err).Msg, tt.want) {
			t.Errorf("%s: got %v, want %q", tt.name, err, tt.want)
		}
	}
}

func TestLimits(t *testing.T) {
	t.Parallel()
	g := oneInput(-1)
	a, err := media.NewAdapter(nil, nil, g, nil, media.Limits{Elements: 3})
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range []stoa.Value{{Type: stoa.JSON, Data: []byte("[1,2,3,4]")}, binaryValue(npy.Append(nil, tensor.Of([]float32{1, 2, 3, 4}, 4)))} {
		if _, err := a.Decode(v); stoa.KindOf(err) != stoa.TooLarge {
			t.Error(err)
		}
	}
	a, err = media.NewAdapter([]media.Input{{Picture: &media.Picture{}}}, nil, oneInput(-1, 3, -1, -1), nil, media.Limits{Pixels: 47})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.Decode(binaryValue(pngOf(t, flagPicture()))); stoa.KindOf(err) != stoa.TooLarge {
		t.Error(err)
	}
}

// All methods may be called at once.
func TestAtOnce(t *testing.T) {
	t.Parallel()
	a := ownSize(t, media.Picture{Width: 5, Height: 4})
	file := binaryValue(pngOf(t, flagPicture()))
	want := decode(t, a, file)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 20 {
				it, err := a.Decode(file)
				if err != nil || !bytes.Equal(it.Inputs[0].Data, want.Data) {
					t.Error("another picture", err)
				}
			}
		})
	}
	wg.Wait()
}
