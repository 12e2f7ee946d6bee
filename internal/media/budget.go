package media

import (
	"bytes"
	"context"
	"encoding/binary"
	"image"
	"image/color"

	"golang.org/x/sync/semaphore"

	"github.com/stoa-project/stoa"
)

// Budget bounds the memory that pictures take while they are decoded, all those
// of a process together: a file of a few bytes may stand for fifty million
// pixels, and a process that runs out of memory takes all its models with it.
// Those that find no room wait for the others. nil is no bound.
type Budget struct {
	size int64
	room *semaphore.Weighted
}

// NewBudget makes a Budget of so many bytes.
func NewBudget(size int64) *Budget { return &Budget{size: size, room: semaphore.NewWeighted(size)} }

// hold is one picture's part of a Budget.
type hold struct {
	budget *Budget
	taken  int64
}

// take waits for room, or refuses what could never have any.
func (h *hold) take(f *picFormat, cfg image.Config, data []byte) error {
	n := f.memory(cfg, data)
	const small = 1 << 20 // not worth the wait
	if h.budget == nil || n < small {
		return nil
	}
	if n > h.budget.size {
		return inputErrorf(stoa.TooLarge, "is a %s of %d x %d pixels, which takes %d MiB of memory to read: this server has %d MiB for it",
			f.name, cfg.Width, cfg.Height, n>>20, h.budget.size>>20)
	}
	// Those who have room give it back soon, so that this wait needs no end of its
	// own; it fails only by one.
	if h.budget.room.Acquire(context.Background(), n) == nil {
		h.taken = n
	}
	return nil
}

func (h *hold) release() {
	if h.taken > 0 {
		h.budget.room.Release(h.taken)
		h.taken = 0
	}
}

// Bytes of memory for a pixel, beside the file: of our bitmap, which is copied
// once where it is turned, and of the decoders, where their sources allocate.
const (
	bitmapBytes    = 2 * 3
	jpegBytes      = 4     // three or four planes
	coefficients   = 4 * 4 // progressive: an int32 for each plane's pixel
	pngBytes       = 4 + 2 // an interlaced one is held once more, in parts
	png16Bytes     = 8 + 4
	paletteBytes   = 1
	bmpBytes       = 4
	tiffBytes      = 8 + 8 // the pixels, and one strip of all of them
	webpBytes      = 4 + 4 + 4
	unknownDecoder = 16
)

// memory estimates what decoding takes, at the most.
func (f *picFormat) memory(cfg image.Config, data []byte) int64 {
	per := int64(unknownDecoder)
	switch f.name {
	case "JPEG":
		if per = jpegBytes; isProgressive(data) {
			per += coefficients
		}
	case "PNG":
		if per = pngBytes; cfg.ColorModel == color.RGBA64Model || cfg.ColorModel == color.NRGBA64Model {
			per = png16Bytes
		}
	case "GIF":
		per = paletteBytes
	case "BMP":
		per = bmpBytes
	case "TIFF":
		per = tiffBytes
	case "WebP":
		per = webpBytes
	}
	return int64(cfg.Width) * int64(cfg.Height) * (per + bitmapBytes)
}

// isProgressive tells whether the frame of a JPEG is progressive. What it cannot
// follow it takes for one.
func isProgressive(jpeg []byte) bool {
	const sof0, sof1, sof2, fill = 0xc0, 0xc1, 0xc2, 0xff
	for b := jpeg[2:]; ; {
		at := bytes.IndexByte(b, 0xff) // decoders pass over what stands between segments
		if at < 0 || len(b) < at+4 {
			return true
		}
		b = b[at:]
		switch b[1] {
		case sof0, sof1:
			return false
		case sof2:
			return true
		case fill, 0:
			b = b[1:]
			continue
		}
		n := 2 + int(binary.BigEndian.Uint16(b[2:]))
		if n > len(b) {
			return true
		}
		b = b[n:]
	}
}
