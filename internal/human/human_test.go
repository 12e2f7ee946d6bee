package human_test

import (
	"testing"

	"github.com/stoa-project/stoa/internal/human"
)

func TestBytes(t *testing.T) {
	for n, want := range map[int64]string{-1: "", 0: "0 B", 1023: "1023 B", 1536: "1.5 KiB", 5 << 20: "5.0 MiB", 1<<63 - 1: "8.0 EiB"} {
		if got := human.Bytes(n); got != want {
			t.Errorf("%d: %q", n, got)
		}
	}
}

func TestCount(t *testing.T) {
	for n, want := range map[int64]string{-1: "", 0: "0", 9999: "9999", 12_345: "12.3 k", 1_040_000: "1.0 M", 121e9: "121.0 G"} {
		if got := human.Count(n); got != want {
			t.Errorf("%d: %q", n, got)
		}
	}
}

func TestSeconds(t *testing.T) {
	for s, want := range map[float64]string{0: "0.0 ms", 0.0084: "8.4 ms", 2.25: "2.2 s"} {
		if got := human.Seconds(s); got != want {
			t.Errorf("%g: %q", s, got)
		}
	}
}
