package tensor

import "math"

// ToFloat16 gives the IEEE 754 half-precision bits nearest to f, ties to even;
// what is too large becomes an infinity.
func ToFloat16(f float32) uint16 {
	b := math.Float32bits(f)
	sign := uint16(b>>16) & 0x8000
	exp := int(b>>23) & 0xff
	frac := b & 0x7fffff
	switch {
	case exp == 0xff && frac != 0:
		return sign | 0x7e00 // NaN, quiet
	case exp == 0xff || exp-127 > 15:
		return sign | 0x7c00
	case exp-127 < -25:
		return sign // below half of the smallest subnormal
	case exp-127 < -14: // subnormal: the leading one becomes explicit
		shift := uint(-14 - (exp - 127) + 13)
		return sign | uint16(roundShift(frac|0x800000, shift))
	}
	// A carry out of the fraction moves into the exponent, and from 65504 on
	// into the infinity, as it should.
	return sign | uint16(uint32(exp-127+15)<<10+roundShift(frac, 13))
}

// roundShift shifts right, rounding to the nearest, ties to even.
func roundShift(v uint32, n uint) uint32 {
	half := uint32(1) << (n - 1)
	q, r := v>>n, v&(1<<n-1)
	if r > half || r == half && q&1 == 1 {
		q++
	}
	return q
}

// FromFloat16 gives the value of half-precision bits.
func FromFloat16(h uint16) float32 {
	sign := uint32(h&0x8000) << 16
	exp, frac := uint32(h>>10)&0x1f, uint32(h&0x3ff)
	switch exp {
	case 0:
		v := float32(frac) / (1 << 24)
		if sign != 0 {
			return -v
		}
		return v
	case 0x1f:
		return math.Float32frombits(sign | 0x7f800000 | frac<<13)
	}
	return math.Float32frombits(sign | (exp+127-15)<<23 | frac<<13)
}

// ToBFloat16 gives the bfloat16 bits nearest to f, ties to even.
func ToBFloat16(f float32) uint16 {
	b := math.Float32bits(f)
	if f != f {
		return uint16(b>>16) | 0x40
	}
	return uint16((uint64(b) + 0x7fff + uint64(b>>16&1)) >> 16)
}

// FromBFloat16 gives the value of bfloat16 bits.
func FromBFloat16(h uint16) float32 { return math.Float32frombits(uint32(h) << 16) }
