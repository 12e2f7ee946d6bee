package account

import (
	"net/netip"
	"sync"
	"time"

	"github.com/stoa-project/stoa"
)

// limiterLen bounds the addresses that a Limiter remembers: about 100 bytes
// each, so a megabyte.
const limiterLen = 10_000

// Limiter lets each address do something so often: a token bucket for each. A
// whole /64 of IPv6 is one address, since that is what one line is given.
type Limiter struct {
	every time.Duration // in which one token comes
	burst float64

	mu      sync.Mutex
	buckets map[netip.Prefix]bucket
	swept   time.Time
}

// bucket is what is left to an address. One that is full again is as good as
// none.
type bucket struct {
	tokens float64
	at     time.Time
}

// NewLimiter makes a Limiter of so many a minute, and of so many at once after
// a rest. Both are at least one.
func NewLimiter(perMinute, burst int) *Limiter {
	return &Limiter{
		every: time.Minute / time.Duration(max(perMinute, 1)), burst: float64(max(burst, 1)),
		buckets: map[netip.Prefix]bucket{},
	}
}

// Take takes a token of an address: Busy, with when to come back, where it has
// none left.
func (l *Limiter) Take(from netip.Addr, now time.Time) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	key := network(from)
	b := l.filled(key, now)
	if b.tokens < 1 {
		wait := time.Duration((1 - b.tokens) * float64(l.every))
		return &stoa.Error{Kind: stoa.Busy, Msg: "too many requests from this address: try again shortly", RetryAfter: wait}
	}
	b.tokens--
	l.buckets[key] = b
	return nil
}

// GiveBack gives back a token that was taken.
func (l *Limiter) GiveBack(from netip.Addr, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	key := network(from)
	b := l.filled(key, now)
	b.tokens = min(b.tokens+1, l.burst)
	l.buckets[key] = b
}

// filled gives an address's bucket as it is now, with room to keep it.
func (l *Limiter) filled(key netip.Prefix, now time.Time) bucket {
	b, ok := l.buckets[key]
	if !ok {
		l.makeRoom(now)
		return bucket{l.burst, now}
	}
	if past := now.Sub(b.at); past > 0 { // a clock that was set back gives nothing
		b = bucket{min(b.tokens+float64(past)/float64(l.every), l.burst), now}
	}
	return b
}

// makeRoom forgets addresses where there are too many: those whose buckets are
// full again, looked for once in the time that this takes, else any.
func (l *Limiter) makeRoom(now time.Time) {
	if len(l.buckets) < limiterLen {
		return
	}
	if full := time.Duration(l.burst * float64(l.every)); now.Sub(l.swept) >= full {
		l.swept = now
		for key, b := range l.buckets {
			if now.Sub(b.at) >= full {
				delete(l.buckets, key)
			}
		}
	}
	for key := range l.buckets {
		if len(l.buckets) < limiterLen {
			return
		}
		delete(l.buckets, key)
	}
}

// network gives what counts as one address.
func network(a netip.Addr) netip.Prefix {
	a = a.Unmap().WithZone("")
	bits := 64
	if a.Is4() {
		bits = 32
	}
	p, err := a.Prefix(bits)
	if err != nil {
		return netip.Prefix{} // no address at all: these share a bucket
	}
	return p
}
