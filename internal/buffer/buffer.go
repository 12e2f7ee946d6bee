// Package buffer lends memory for large bodies and takes it back. Fresh memory
// is cleared by the runtime and collected afterwards, which for bodies of a
// megabyte costs more than copying them.
package buffer

import (
	"math/bits"
	"sync"
)

// Bodies from 64 KiB to 64 MiB are kept for reuse, by powers of two: below, the
// garbage collector is cheaper than a pool; above, memory is too dear to keep.
const minClass, maxClass = 16, 26

// pools hold pointers to slices of a capacity of exactly 1<<class.
var pools [maxClass + 1]sync.Pool

// Get gives n bytes of any content.
func Get(n int) []byte {
	class := bits.Len(uint(max(n, 1) - 1))
	if class < minClass || class > maxClass {
		return make([]byte, n)
	}
	if p, ok := pools[class].Get().(*[]byte); ok {
		return (*p)[:n]
	}
	return make([]byte, n, 1<<class)
}

// Put takes back what Get gave, or any other memory, which is left to the
// collector. Nobody may use b afterwards.
func Put(b []byte) {
	class := bits.Len(uint(cap(b))) - 1
	if class < minClass || class > maxClass || cap(b) != 1<<class {
		return
	}
	b = b[:cap(b)]
	pools[class].Put(&b)
}
