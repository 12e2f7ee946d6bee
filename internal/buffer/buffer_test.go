package buffer_test

import (
	"testing"

	"github.com/stoa-project/stoa/internal/buffer"
)

func TestGetGivesWhatWasAskedFor(t *testing.T) {
	for _, n := range []int{0, 1, 1 << 16, 1<<16 + 1, 1 << 20, 1<<26 + 1} {
		for range 3 {
			b := buffer.Get(n)
			if len(b) != n {
				t.Fatalf("Get(%d) gave %d bytes", n, len(b))
			}
			buffer.Put(b)
		}
	}
}

func TestPutTakesAnything(t *testing.T) {
	buffer.Put(nil)
	buffer.Put(make([]byte, 100_000)) // of no class: left to the collector
	if b := buffer.Get(100_000); cap(b) != 1<<17 {
		t.Errorf("Get gave memory of capacity %d", cap(b))
	}
}

func BenchmarkGetPut(b *testing.B) {
	for b.Loop() {
		buffer.Put(buffer.Get(1 << 20))
	}
}
