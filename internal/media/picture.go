package media

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"image/gif"
	"image/jpeg"
	"image/png"
	"io"
	"strings"

	"golang.org/x/image/bmp"
	"golang.org/x/image/tiff"
	"golang.org/x/image/webp"

	"github.com/stoa-project/stoa"
)

// picFormat is a file format of pictures.
type picFormat struct {
	name   string
	config func(io.Reader) (image.Config, error)
	decode func(io.Reader) (image.Image, error)
	// perByte is the most pixels that a byte of such a file can stand for: a
	// header that claims more than the file could hold is refused before
	// anything of that size is made. 0 means that there is no useful bound.
	perByte int64
}

// formatOf tells the format by the first bytes; nil where none is known.
func formatOf(data []byte) *picFormat {
	starts := func(s string) bool { return bytes.HasPrefix(data, []byte(s)) }
	switch {
	case starts("\xff\xd8\xff"):
		// A block of 8x8 pixels takes at least a bit.
		return &picFormat{"JPEG", jpeg.DecodeConfig, jpeg.Decode, 512}
	case starts("\x89PNG\r\n\x1a\n"):
		// Deflate grows 1032-fold at most, and a pixel takes at least a bit.
		return &picFormat{"PNG", png.DecodeConfig, png.Decode, 1032 * 8}
	case starts("GIF8"):
		// A code of 12 bits stands for 4096 pixels at most.
		return &picFormat{"GIF", gif.DecodeConfig, gif.Decode, 4096}
	case starts("BM"):
		return &picFormat{"BMP", bmp.DecodeConfig, bmp.Decode, 8}
	case starts("II*\x00"), starts("MM\x00*"):
		return &picFormat{"TIFF", tiff.DecodeConfig, tiff.Decode, 0}
	case starts("RIFF") && len(data) >= 12 && string(data[8:12]) == "WEBP":
		return &picFormat{"WebP", webp.DecodeConfig, webp.Decode, 0}
	}
	return nil
}

// decodePicture reads a picture of any format that formatOf knows, upright.
// channels is 1 where only its grey levels are needed; see toBitmap. What h takes
// is the caller's to release.
func decodePicture(data []byte, channels int, maxPixels int64, h *hold) (m *bitmap, err error) {
	f := formatOf(data)
	if f == nil {
		return nil, inputErrorf(stoa.Invalid, "is no picture that Stoa reads (JPEG, PNG, GIF, BMP, TIFF, WebP): %s", looksLike(data))
	}
	// The decoders are fed by strangers. Should one of them index out of range,
	// this call fails, and not the worker with all its models.
	defer func() {
		if r := recover(); r != nil {
			m, err = nil, damaged(f.name, fmt.Errorf("panic in the decoder: %v", r), "it is damaged")
		}
	}()
	cfg, err := f.config(bytes.NewReader(data))
	if err != nil {
		return nil, damagedBy(f.name, err)
	}
	pixels := int64(cfg.Width) * int64(cfg.Height)
	switch {
	case cfg.Width <= 0 || cfg.Height <= 0:
		return nil, inputErrorf(stoa.Invalid, "is a %s of %d x %d pixels, which is empty", f.name, cfg.Width, cfg.Height)
	case pixels/int64(cfg.Width) != int64(cfg.Height) || pixels > maxPixels:
		return nil, inputErrorf(stoa.TooLarge, "is a %s of %d x %d pixels: at most %d million pixels are read", f.name, cfg.Width, cfg.Height, maxPixels/1_000_000)
	case f.perByte > 0 && pixels/f.perByte > int64(len(data)):
		return nil, inputErrorf(stoa.Invalid, "is a %s that claims %d x %d pixels but has only %d bytes: it is cut short or damaged", f.name, cfg.Width, cfg.Height, len(data))
	}
	if err := h.take(f, cfg, data); err != nil {
		return nil, err
	}
	img, err := f.decode(bytes.NewReader(data))
	if err != nil {
		return nil, damagedBy(f.name, err)
	}
	b := img.Bounds()
	if b.Dx() <= 0 || b.Dy() <= 0 || int64(b.Dx())*int64(b.Dy()) > maxPixels {
		return nil, inputErrorf(stoa.Invalid, "is a damaged %s: its parts contradict each other in size", f.name)
	}
	m = toBitmap(img, channels)
	switch f.name {
	case "JPEG":
		m = upright(m, orientation(data))
	case "GIF":
		m = onCanvas(m, b.Min, cfg.Width, cfg.Height)
	}
	return m, nil
}

// onCanvas lays the first frame of a GIF on its screen, which is white where
// the frame does not reach.
func onCanvas(m *bitmap, at image.Point, w, h int) *bitmap {
	if m.w == w && m.h == h || at.X < 0 || at.Y < 0 || at.X+m.w > w || at.Y+m.h > h {
		return m
	}
	out := &bitmap{w: w, h: h, ch: m.ch, pix: bytes.Repeat([]byte{255}, w*h*m.ch)}
	for y := range m.h {
		copy(out.line(at.Y + y)[at.X*m.ch:], m.line(y))
	}
	return out
}

// damagedBy says what is wrong with a picture in the words of its decoder,
// which speak of the bytes only.
func damagedBy(format string, err error) error {
	why := err.Error()
	for _, prefix := range []string{"jpeg: ", "png: ", "gif: ", "bmp: ", "tiff: ", "webp: ", "vp8: ", "vp8l: ", "riff: ", "invalid JPEG format: ", "invalid format: ", "unsupported JPEG feature: ", "unsupported feature: "} {
		why = strings.TrimPrefix(why, prefix)
	}
	switch {
	case isCutShort(err):
		why = "it is cut short"
	case isUnsupported(err):
		why = "it has a feature that is not supported: " + why
	default:
		why = "it is damaged: " + why
	}
	return damaged(format, err, why)
}

func isCutShort(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, png.FormatError(io.ErrUnexpectedEOF.Error())) // as its zlib reader's errors become
}

func isUnsupported(err error) bool {
	var j jpeg.UnsupportedError
	var p png.UnsupportedError
	var t tiff.UnsupportedError
	return errors.As(err, &j) || errors.As(err, &p) || errors.As(err, &t) || errors.Is(err, bmp.ErrUnsupported)
}

func damaged(format string, err error, why string) error {
	e := inputErrorf(stoa.Invalid, "is a %s that cannot be read: %.200s", format, why)
	e.Err = err
	return e
}

// looksLike helps with what people send by mistake.
func looksLike(data []byte) string {
	head := data[:min(len(data), 256)]
	has := func(s string) bool { return bytes.Contains(head, []byte(s)) }
	switch {
	case len(data) == 0:
		return "there are no bytes"
	case len(head) >= 12 && string(head[4:8]) == "ftyp":
		if has("avif") || has("avis") {
			return "it looks like AVIF"
		}
		return "it looks like HEIC or a film"
	case bytes.HasPrefix(head, []byte("%PDF")):
		return "it looks like a PDF"
	case has("<svg"):
		return "it looks like SVG"
	case has("<html"), has("<!DOCTYPE"):
		return "it looks like a web page"
	case bytes.HasPrefix(head, []byte("PK\x03\x04")):
		return "it looks like a zip file"
	case bytes.HasPrefix(head, []byte("--")) && has("Content-Disposition"):
		return "it looks like a form upload; send the file itself as the body (curl --data-binary @FILE)"
	}
	return fmt.Sprintf("it begins with %.8q", data)
}

// inputErrorf makes an error about a caller's value. The messages of this room
// about one value begin with a verb: its name goes before them.
func inputErrorf(kind stoa.Kind, format string, args ...any) *stoa.Error {
	e := stoa.Errorf(kind, format, args...)
	e.Type = "InputError"
	return e
}
