package badinput

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"image/png"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/onnx"
	"github.com/stoa-project/stoa/internal/serve"
	"github.com/stoa-project/stoa/internal/tensor"
)

const (
	jsonType = "application/json"
	binType  = "application/octet-stream"
	four     = "/v1/algo/good/four"
)

// pictureNet answers the mean of each channel of a picture of any size.
func pictureNet(t testing.TB) files {
	m := &onnx.Model{
		IRVersion: 8, Opsets: []onnx.OpsetID{{Version: 17}},
		Graph: &onnx.Graph{
			Name:    "mean",
			Inputs:  []*onnx.ValueInfo{{Name: "x", DType: tensor.Float32, Shape: []onnx.Dim{onnx.Fixed(1), onnx.Fixed(3), onnx.Named("H"), onnx.Named("W")}}},
			Outputs: []*onnx.ValueInfo{{Name: "y", DType: tensor.Float32}},
			Nodes: []*onnx.Node{
				(&onnx.Node{Op: "ReduceMean", Inputs: []string{"x"}, Outputs: []string{"y"}}).Set(onnx.AInts("axes", 2, 3)),
			},
		},
	}
	return files{"m.onnx": encode(t, m), "stoa.yaml": "kind: model\nmodel:\n  files: [m.onnx]\ninput:\n  - picture: {width: 32, height: 32}\n"}
}

func flat(w, h int) *image.Paletted {
	return image.NewPaletted(image.Rect(0, 0, w, h), color.Palette{color.White, color.Black})
}

func written(t testing.TB, f func(io.Writer) error) string {
	t.Helper()
	var b bytes.Buffer
	if err := f(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// pngOf is a PNG that claims a size; its data are those of 8 x 8 pixels.
func pngOf(t testing.TB, w, h uint32) string {
	b := []byte(written(t, func(w io.Writer) error { return png.Encode(w, flat(8, 8)) }))
	binary.BigEndian.PutUint32(b[16:], w)
	binary.BigEndian.PutUint32(b[20:], h)
	binary.BigEndian.PutUint32(b[29:], crc32.ChecksumIEEE(b[12:29]))
	return string(b)
}

// jpegOf is a JPEG that claims a size.
func jpegOf(t testing.TB, w, h uint16) string {
	b := []byte(written(t, func(w io.Writer) error { return jpeg.Encode(w, flat(8, 8), nil) }))
	at := bytes.Index(b, []byte{0xff, 0xc0})
	binary.BigEndian.PutUint16(b[at+5:], h)
	binary.BigEndian.PutUint16(b[at+7:], w)
	return string(b)
}

func gifOf(t testing.TB, w, h uint16) string {
	b := []byte(written(t, func(w io.Writer) error { return gif.Encode(w, flat(8, 8), nil) }))
	binary.LittleEndian.PutUint16(b[6:], w)
	binary.LittleEndian.PutUint16(b[8:], h)
	at := bytes.IndexByte(b[13:], 0x2c) + 13 // the frame
	binary.LittleEndian.PutUint16(b[at+5:], w)
	binary.LittleEndian.PutUint16(b[at+7:], h)
	return string(b)
}

func bmpOf(w, h uint32) string {
	b := make([]byte, 54+192)
	copy(b, "BM")
	le := binary.LittleEndian
	le.PutUint32(b[10:], 54)
	le.PutUint32(b[14:], 40)
	le.PutUint32(b[18:], w)
	le.PutUint32(b[22:], h)
	le.PutUint16(b[26:], 1)
	le.PutUint16(b[28:], 24)
	return string(b)
}

// tiffOf is a TIFF of one strip, or of tiles where side is not 0.
func tiffOf(w, h, side uint32, compression uint32) string {
	le := binary.LittleEndian
	entries := [][2]uint32{{256, w}, {257, h}, {258, 8}, {259, compression}, {262, 1}, {277, 1}}
	if side > 0 {
		entries = append(entries, [][2]uint32{{322, side}, {323, side}, {324, 8}, {325, 8}}...)
	} else {
		entries = append(entries[:5:5], [][2]uint32{{273, 8}, {277, 1}, {278, h}, {279, 8}}...)
	}
	b := []byte("II*\x00")
	b = le.AppendUint32(b, 8)
	b = le.AppendUint16(b, uint16(len(entries)))
	for _, e := range entries {
		b = le.AppendUint16(b, uint16(e[0]))
		b = le.AppendUint16(b, 4)
		b = le.AppendUint32(b, 1)
		b = le.AppendUint32(b, e[1])
	}
	return string(le.AppendUint32(b, 0))
}

// webpOf is a lossless WebP that claims a size (at most 16384), or an extended
// one (at most 2^24).
func webpOf(w, h uint32) string {
	le := binary.LittleEndian
	bits := 0x2f | uint64(w-1)<<8 | uint64(h-1)<<22
	body := le.AppendUint64(nil, bits)
	chunk := "VP8L" + string(le.AppendUint32(nil, uint32(len(body)))) + string(body)
	return "RIFF" + string(le.AppendUint32(nil, uint32(4+len(chunk)))) + "WEBP" + chunk
}

func vp8xOf(w, h uint32) string {
	le := binary.LittleEndian
	body := []byte{0, 0, 0, 0, byte(w - 1), byte((w - 1) >> 8), byte((w - 1) >> 16), byte(h - 1), byte((h - 1) >> 8), byte((h - 1) >> 16)}
	chunk := "VP8X" + string(le.AppendUint32(nil, uint32(len(body)))) + string(body)
	still := "VP8 " + string(le.AppendUint32(nil, 10)) + string([]byte{0x10, 0, 0, 0x9d, 0x01, 0x2a, byte(w), byte(w >> 8), byte(h), byte(h >> 8)})
	return "RIFF" + string(le.AppendUint32(nil, uint32(4+len(chunk)+len(still)))) + "WEBP" + chunk + still
}

func TestPicturesThatLie(t *testing.T) {
	s := start(t, func(c *serve.Config) { c.WorkerMemory = 1 << 30 })
	s.push(t, "good/mean", pictureNet(t))
	const path = "/v1/algo/good/mean"
	ok := s.send(t, request{path: path, ctype: binType, body: strings.NewReader(pngOf(t, 8, 8))})
	if ok.status != http.StatusOK || ok.msg != "" {
		t.Fatalf("a good picture: %d %.300s", ok.status, ok.body)
	}
	const side = "60000 x 60000 pixels"
	tests := []struct {
		name string
		data string
		kind stoa.Kind
		want []string
	}{
		{"PNG", pngOf(t, 60000, 60000), stoa.TooLarge, []string{`input "x"`, "PNG", side, "50 million"}},
		{"PNG of the largest number", pngOf(t, 1<<31-1, 1<<31-1), stoa.Invalid, []string{`input "x"`, "PNG"}},
		{"PNG within the limit", pngOf(t, 7000, 7000), stoa.Invalid, []string{"PNG", "7000 x 7000"}},
		{"JPEG", jpegOf(t, 60000, 60000), stoa.TooLarge, []string{`input "x"`, "JPEG", side}},
		{"JPEG within the limit", jpegOf(t, 7000, 7000), stoa.Invalid, []string{"JPEG", "7000 x 7000"}},
		{"GIF", gifOf(t, 60000, 60000), stoa.TooLarge, []string{"GIF", side}},
		{"GIF within the limit", gifOf(t, 7000, 7000), stoa.Invalid, []string{"GIF"}},
		{"BMP", bmpOf(60000, 60000), stoa.TooLarge, []string{"BMP", side}},
		{"BMP of the largest number", bmpOf(1<<31-1, 1<<31-1), stoa.Invalid, []string{"BMP"}},
		{"BMP within the limit", bmpOf(7000, 7000), stoa.Invalid, []string{"BMP", "7000 x 7000"}},
		{"TIFF", tiffOf(60000, 60000, 0, 1), stoa.TooLarge, []string{"TIFF", side}},
		{"TIFF of the largest number", tiffOf(1<<32-1, 1<<32-1, 0, 1), stoa.Invalid, []string{"TIFF"}},
		{"TIFF within the limit", tiffOf(7000, 7000, 0, 1), stoa.TooLarge, []string{"TIFF", "MiB"}},
		{"TIFF of one tile", tiffOf(8, 8, 1<<31, 1), stoa.Invalid, []string{"TIFF"}},
		{"TIFF of one deflated tile", tiffOf(8, 8, 1<<20, 8), stoa.Invalid, []string{"TIFF"}},
		{"TIFF of tiles without size", tiffOf(8, 8, 0, 5), stoa.Invalid, []string{"TIFF"}},
		{"WebP", webpOf(16384, 16384), stoa.TooLarge, []string{"WebP", "16384 x 16384 pixels"}},
		{"WebP within the limit", webpOf(7000, 7000), stoa.TooLarge, []string{"WebP", "MiB"}},
		{"WebP, extended", vp8xOf(60000, 30000), stoa.TooLarge, []string{"WebP", "60000 x 30000 pixels"}},
		{"WebP, extended, of the largest number", vp8xOf(60000, 60000), stoa.Invalid, []string{"WebP"}},
		{"WebP, extended, within the limit", vp8xOf(7000, 7000), stoa.TooLarge, []string{"WebP", "MiB"}},
		{"no picture", "not a picture at all", stoa.Invalid, []string{`input "x"`, "no picture"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s.unharmed(t, func() {
				began := time.Now()
				a := s.send(t, request{path: path, ctype: binType, body: strings.NewReader(tt.data)})
				refused(t, tt.name, a, tt.kind, tt.want...)
				text := `"data:;base64,` + base64.StdEncoding.EncodeToString([]byte(tt.data)) + `"`
				refused(t, tt.name+" as a data: URL", s.send(t, request{path: path, ctype: jsonType, body: strings.NewReader(text)}), tt.kind, tt.want...)
				if took := time.Since(began); took > 5*time.Second {
					t.Errorf("it took %s", took)
				}
			})
		})
	}
}

func TestCallsThatAreWrong(t *testing.T) {
	s := start(t, nil)
	s.push(t, "good/small", files{"net.prototxt": smallNet, "w.caffemodel": specimens(t)[0].files["w.caffemodel"]})
	const deep = 100_000
	text := func(v string) io.Reader { return strings.NewReader(v) }
	npy := func(shape string, n int) io.Reader { return strings.NewReader(npyHeader(shape, n)) }
	small := "/v1/algo/good/small"
	tests := []struct {
		name   string
		r      request
		status int
		kind   stoa.Kind
		want   []string
	}{
		{"arrays in arrays", request{"", four, jsonType, io.MultiReader(repeat("[", deep), repeat("]", deep))}, 400, stoa.Invalid, []string{"nested"}},
		{"objects in objects", request{"", four, jsonType, io.MultiReader(repeat(`{"a":`, deep), text("1"), repeat("}", deep))}, 400, stoa.Invalid, []string{"nested"}},
		{"arrays without end", request{"", four, jsonType, repeat("[", 9<<20)}, 400, stoa.Invalid, nil},
		{"deep JSON to another route", request{"", "/v1/pushes", jsonType, io.MultiReader(text(`{"files":`), repeat("[", deep), repeat("]", deep), text("}"))}, 400, stoa.Invalid, []string{"JSON"}},
		{"deep JSON for a key", request{"", "/v1/keys", jsonType, io.MultiReader(text(`{"label":`), repeat("[", 30_000), repeat("]", 30_000), text("}"))}, 400, stoa.Invalid, []string{"JSON"}},
		{"no version", request{"", four + "/9.9.9", jsonType, text("[1,2,3,4]")}, 404, stoa.NotFound, []string{"9.9.9"}},
		{"no such minor version", request{"", four + "/0.7.*", jsonType, text("[1,2,3,4]")}, 404, stoa.NotFound, []string{"0.7"}},
		{"a version that is none", request{"", four + "/1.y", jsonType, text("[1,2,3,4]")}, 400, stoa.Invalid, []string{"1.y"}},
		{"a version of large numbers", request{"", four + "/99999999999999999999.0.0", jsonType, text("[1,2,3,4]")}, 400, stoa.Invalid, []string{"9999999"}},
		{"no algorithm", request{"", "/v1/algo/good/nobody", jsonType, text("1")}, 404, stoa.NotFound, []string{"good/nobody"}},
		{"a name that leads out", request{"", "/v1/algo/good/..%2f..%2fetc", jsonType, text("1")}, 400, stoa.Invalid, nil},
		{"too few numbers", request{"", four, jsonType, text("[1,2]")}, 200, stoa.Invalid, []string{`"data"`, "4", "2"}},
		{"too many dimensions", request{"", four, jsonType, text("[[[1,2,3,4]]]")}, 200, stoa.Invalid, []string{`"data"`, "1x1x4"}},
		{"rows of different length", request{"", small, jsonType, text("[[[[1,2],[3]]]]")}, 200, stoa.Invalid, []string{`"data"`, "byte"}},
		{"the wrong shape", request{"", small, jsonType, text("[[[[1,2],[3,4]]]]")}, 200, stoa.Invalid, []string{`"data"`, "2x6x6", "1x1x2x2"}},
		{"text for numbers", request{"", four, jsonType, text(`["a","b","c","d"]`)}, 200, stoa.Invalid, []string{`"data"`, "row 0"}},
		{"null for a number", request{"", four, jsonType, text("[1,null,3,4]")}, 200, stoa.Invalid, []string{`"data"`, "row 1"}},
		{"an object", request{"", four, jsonType, text(`{"data":[1,2,3,4]}`)}, 200, stoa.Invalid, []string{`"data"`, "an object"}},
		{"null", request{"", four, jsonType, text("null")}, 200, stoa.Invalid, []string{`"data"`}},
		{"NaN", request{"", four, jsonType, text("[1,NaN,3,4]")}, 400, stoa.Invalid, []string{"JSON"}},
		{"Infinity", request{"", four, jsonType, text("[1,-Infinity,3,4]")}, 400, stoa.Invalid, []string{"JSON"}},
		{"a number out of range", request{"", four, jsonType, text("[1,1e999,3,4]")}, 200, stoa.Invalid, []string{`"data"`, "row 1", "1e999"}},
		{"JSON cut off", request{"", four, jsonType, text("[1,2")}, 400, stoa.Invalid, []string{"JSON"}},
		{"two JSON values", request{"", four, jsonType, text("[1,2,3,4] [1]")}, 400, stoa.Invalid, []string{"JSON"}},
		{"no body", request{"", four, jsonType, nil}, 400, stoa.Invalid, []string{"JSON"}},
		{"no bytes", request{"", four, binType, nil}, 200, stoa.Invalid, []string{`"data"`, "nothing"}},
		{"no content type", request{"", four, "", text("[1,2,3,4]")}, 400, stoa.Invalid, []string{"Content-Type", jsonType}},
		{"another content type", request{"", four, "application/xml", text("<a/>")}, 415, stoa.Unsupported, []string{"application/xml", jsonType}},
		{"a form", request{"", four, "application/x-www-form-urlencoded", text("a=1")}, 415, stoa.Unsupported, []string{"curl", jsonType}},
		{"a content type that is none", request{"", four, ";;;", text("1")}, 400, stoa.Invalid, []string{"Content-Type"}},
		{"text that is not UTF-8", request{"", four, "text/plain", text("\xff\xfe\x00")}, 400, stoa.Invalid, []string{"UTF-8"}},
		{"npy that claims 2^60", request{"", four, binType, npy("(1152921504606846976,)", 16)}, 200, stoa.Invalid, []string{`"data"`, "1152921504606846976"}},
		{"npy that claims more than fits", request{"", four, binType, npy("(1152921504606846976, 1152921504606846976)", 16)}, 200, stoa.TooLarge, []string{`"data"`, "too many elements"}},
		{"npy that is short", request{"", four, binType, npy("(1, 4)", 15)}, 200, stoa.Invalid, []string{`"data"`, "15"}},
		{"npy of another shape", request{"", four, binType, npy("(1, 5)", 20)}, 200, stoa.Invalid, []string{`"data"`, "1x5"}},
		{"npy of objects", request{"", four, binType, text(strings.Replace(npyHeader("(4,)", 32), "<f4", "|O8", 1))}, 200, stoa.Unsupported, []string{`"data"`}},
		{"npy with a long header", request{"", four, binType, text("\x93NUMPY\x02\x00\xff\xff\xff\xff{")}, 200, stoa.TooLarge, []string{`"data"`, "4294967295"}},
		{"a timeout that is none", request{"", four + "?timeout=never", jsonType, text("[1,2,3,4]")}, 400, stoa.Invalid, []string{"timeout", "never"}},
		{"another method", request{"PATCH", four, jsonType, text("1")}, 405, stoa.Invalid, []string{"PATCH", "POST"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s.unharmed(t, func() {
				a := s.send(t, tt.r)
				refused(t, tt.name, a, tt.kind, tt.want...)
				if a.status != tt.status {
					t.Errorf("status %d, want %d: %.300s", a.status, tt.status, a.body)
				}
			})
		})
	}
}

// The strings that stand for what JSON cannot write are answered as such.
func TestNumbersThatJSONCannotWrite(t *testing.T) {
	s := start(t, nil)
	a := s.send(t, request{path: four, ctype: jsonType, body: strings.NewReader(`["NaN","Infinity","-Infinity",1]`)})
	if !strings.Contains(a.body, `["NaN","Infinity","-Infinity",3]`) {
		t.Errorf("got %.300s", a.body)
	}
}

func TestABodyOverTheLimit(t *testing.T) {
	s := start(t, nil)
	const over = 10<<20 + 1
	tests := []struct {
		name string
		path string
		body io.Reader
		want string
	}{
		{"with its length", four, repeat("1", over), "10 MiB"},
		{"in chunks", four, io.MultiReader(repeat("1", over)), "10 MiB"},
		{"opening a push", "/v1/pushes", repeat(" ", 4<<20+1), "4 MiB"},
		{"opening a push, in chunks", "/v1/pushes", io.MultiReader(repeat(" ", 4<<20+1)), "4 MiB"},
		{"making a key", "/v1/keys", repeat(" ", 4<<20+1), "KiB"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s.unharmed(t, func() {
				a := s.send(t, request{path: tt.path, ctype: jsonType, body: tt.body})
				refused(t, tt.name, a, stoa.TooLarge, tt.want)
				if a.status != http.StatusRequestEntityTooLarge {
					t.Errorf("status %d", a.status)
				}
			})
		})
	}
	t.Run("that is claimed only", func(t *testing.T) {
		s.unharmed(t, func() {
			for _, length := range []string{"1152921504606846976", "10485761"} {
				head := s.raw(t, "POST "+four+" HTTP/1.1\r\nHost: x\r\nAuthorization: "+s.Key+"\r\nContent-Type: application/json\r\nContent-Length: "+length+"\r\n\r\n[1,")
				if !strings.HasPrefix(head, "HTTP/1.1 413 ") {
					t.Errorf("a claim of %s bytes was answered %.100q", length, head)
				}
			}
		})
	})
}

// raw sends bytes and gives the beginning of what comes back.
func (s *system) raw(t testing.TB, request string) string {
	t.Helper()
	c := s.dial(t)
	defer c.Close()
	if _, err := io.WriteString(c, request); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 4096)
	n, err := c.Read(b)
	if err != nil {
		t.Fatal(err)
	}
	return string(b[:n])
}

func (s *system) dial(t testing.TB) net.Conn {
	t.Helper()
	c, err := new(net.Dialer).DialContext(t.Context(), "tcp", strings.TrimPrefix(s.URL(), "http://"))
	if err != nil {
		t.Fatal(err)
	}
	if err := c.SetDeadline(time.Now().Add(deadline)); err != nil {
		t.Fatal(err)
	}
	return c
}

// A client of one byte at a time keeps nobody waiting, however many there are,
// and is answered in the end.
func TestASlowClientBlocksNobody(t *testing.T) {
	s := start(t, nil)
	const clients = 100
	s.unharmed(t, func() {
		body := "[1,2,3,4]"
		var conns []net.Conn
		for range clients {
			c := s.dial(t)
			defer c.Close()
			fmt.Fprintf(c, "POST %s HTTP/1.1\r\nHost: x\r\nAuthorization: %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n", four, s.Key, len(body))
			conns = append(conns, c)
		}
		for i := range body {
			for _, c := range conns {
				if _, err := c.Write([]byte{body[i]}); err != nil {
					t.Fatal(err)
				}
			}
			began := time.Now()
			s.good(t)
			if took := time.Since(began); took > 2*time.Second {
				t.Errorf("with %d slow clients a call took %s", clients, took)
			}
		}
		for _, c := range conns {
			b := make([]byte, 4096)
			n, err := c.Read(b)
			if err != nil || !strings.HasPrefix(string(b[:n]), "HTTP/1.1 200 ") {
				t.Fatalf("a slow client got %.100q, %v", b[:n], err)
			}
		}
	})
}

// Who claims a large body and sends little costs little, however many there are.
func TestClaimsOfLargeBodiesCostLittle(t *testing.T) {
	s := start(t, nil)
	s.unharmed(t, func() {
		for range 50 {
			c := s.dial(t)
			defer c.Close()
			fmt.Fprintf(c, "POST %s HTTP/1.1\r\nHost: x\r\nAuthorization: %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n[1,", four, s.Key, 10<<20)
		}
		s.good(t)
	})
}

// A client that goes away in its body, or while its call runs, takes nothing with it.
func TestAClientThatHangsUpInACall(t *testing.T) {
	s := start(t, nil)
	s.push(t, "bad/endless", files{"m.onnx": encode(t, endless())})
	s.unharmed(t, func() {
		for _, part := range []string{"[1,2", "[1e12,0,0,0]"} { // in the body, in the run
			c := s.dial(t)
			fmt.Fprintf(c, "POST /v1/algo/bad/endless HTTP/1.1\r\nHost: x\r\nAuthorization: %s\r\nContent-Type: application/json\r\nContent-Length: 12\r\n\r\n%s", s.Key, part)
			c.Close()
			s.good(t)
		}
	})
}
