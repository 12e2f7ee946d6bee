package media

import "encoding/binary"

// orientation gives the EXIF orientation of a JPEG, 1 to 8; 1 where there is
// none that makes sense. It looks no further than the first scan, and at no
// more entries than a camera writes.
func orientation(jpeg []byte) int {
	const (
		soi, sos, app1 = 0xd8, 0xda, 0xe1
		exif           = "Exif\x00\x00"
	)
	b := jpeg
	if len(b) < 4 || b[0] != 0xff || b[1] != soi {
		return 1
	}
	for b = b[2:]; len(b) >= 4 && b[0] == 0xff; {
		marker := b[1]
		if marker == 0xff { // fill
			b = b[1:]
			continue
		}
		if marker == sos {
			return 1
		}
		n := int(binary.BigEndian.Uint16(b[2:]))
		if n < 2 || n+2 > len(b) {
			return 1
		}
		if seg := b[4 : 2+n]; marker == app1 && len(seg) > len(exif) && string(seg[:len(exif)]) == exif {
			return tiffOrientation(seg[len(exif):])
		}
		b = b[2+n:]
	}
	return 1
}

func tiffOrientation(b []byte) int {
	const (
		maxEntries = 256
		tag        = 0x0112
		short      = 3
	)
	if len(b) < 8 {
		return 1
	}
	var order binary.ByteOrder = binary.LittleEndian
	switch string(b[:4]) {
	case "II*\x00":
	case "MM\x00*":
		order = binary.BigEndian
	default:
		return 1
	}
	at := uint64(order.Uint32(b[4:]))
	if at+2 > uint64(len(b)) {
		return 1
	}
	n := int(order.Uint16(b[at:]))
	entries := b[at+2:]
	for range min(n, maxEntries) {
		if len(entries) < 12 {
			return 1
		}
		if order.Uint16(entries) == tag && order.Uint16(entries[2:]) == short {
			if v := int(order.Uint16(entries[8:])); v >= 1 && v <= 8 {
				return v
			}
			return 1
		}
		entries = entries[12:]
	}
	return 1
}

// upright turns a picture that was stored by an EXIF orientation.
func upright(m *bitmap, orientation int) *bitmap {
	if orientation <= 1 || orientation > 8 {
		return m
	}
	w, h := m.w, m.h
	if orientation >= 5 {
		w, h = h, w
	}
	out := &bitmap{w: w, h: h, ch: m.ch, pix: make([]byte, len(m.pix))}
	// Where the pixel at (0, 0) of the result comes from, and the steps in the
	// source that x and y of the result take.
	right, down := m.ch, m.w*m.ch
	origin, dx, dy := 0, right, down
	lastX, lastY := (m.w-1)*right, (m.h-1)*down
	switch orientation {
	case 2: // mirrored
		origin, dx, dy = lastX, -right, down
	case 3: // upside down
		origin, dx, dy = lastX+lastY, -right, -down
	case 4: // upside down, mirrored
		origin, dx, dy = lastY, right, -down
	case 5: // transposed
		origin, dx, dy = 0, down, right
	case 6: // turn right
		origin, dx, dy = lastY, -down, right
	case 7: // transposed, upside down
		origin, dx, dy = lastX+lastY, -down, -right
	case 8: // turn left
		origin, dx, dy = lastX, down, -right
	}
	i := 0
	for y := range h {
		at := origin + y*dy
		for range w {
			copy(out.pix[i:i+m.ch], m.pix[at:at+m.ch])
			i += m.ch
			at += dx
		}
	}
	return out
}
