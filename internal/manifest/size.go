package manifest

import (
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/stoa-project/stoa"
)

// MaxTimeout is the longest that a call may take (Algorithmia's limit).
const MaxTimeout = 3000 * time.Second

// ParseTimeout reads a time limit such as "30s" or "2m".
func ParseTimeout(s string) (time.Duration, error) {
	d, err := time.ParseDuration(s)
	if err != nil {
		return 0, stoa.Errorf(stoa.Invalid, "%.40q is no duration: write it as 30s or 2m", s)
	}
	if d <= 0 || d > MaxTimeout {
		return 0, stoa.Errorf(stoa.Invalid, "%s is out of range: above 0, at most %ds", s, int(MaxTimeout.Seconds()))
	}
	return d, nil
}

var sizeUnits = []struct {
	suffix string
	bytes  float64
}{
	{"KiB", 1 << 10},
	{"MiB", 1 << 20},
	{"GiB", 1 << 30},
	{"TiB", 1 << 40},
	{"kB", 1e3},
	{"KB", 1e3},
	{"MB", 1e6},
	{"GB", 1e9},
	{"TB", 1e12},
	{"B", 1},
}

// ParseSize reads a number of bytes such as "10MiB" or "1.5GB".
func ParseSize(s string) (int64, error) {
	number, unit := strings.TrimSpace(s), 1.0
	for _, u := range sizeUnits {
		if n, ok := strings.CutSuffix(number, u.suffix); ok {
			number, unit = strings.TrimSpace(n), u.bytes
			break
		}
	}
	v, err := strconv.ParseFloat(number, 64)
	if err != nil || strings.ContainsAny(number, "xXpPnN_") {
		return 0, stoa.Errorf(stoa.Invalid, "%.40q is no size: write it as 10MiB or 2GiB", s)
	}
	if v *= unit; !(v >= 1 && v < math.MaxInt64) {
		return 0, stoa.Errorf(stoa.Invalid, "%s is out of range", s)
	}
	return int64(v), nil
}
