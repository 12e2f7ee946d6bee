package account

import (
	"net/netip"
	"strings"
	"sync/atomic"
	"time"

	"github.com/stoa-project/stoa"
)

// GuestConfig says what strangers may call without a key.
type GuestConfig struct {
	Patterns  []string // owner/* or owner/name; none: strangers may call nothing
	PerMinute int      // calls of one address
	Burst     int      // of those, at once after a rest
	AtOnce    int      // calls of all strangers together, so that they leave room for those with keys
}

// Guests is the rule for calls without a key. Whether an algorithm is public is
// the catalogue's to say.
type Guests struct {
	owners     map[string]bool // in lower case
	algorithms map[string]bool // as Ref.Key gives them
	limiter    *Limiter
	atOnce     int64
	running    atomic.Int64
}

// NewGuests reads the patterns; Invalid where one is none.
func NewGuests(cfg GuestConfig) (*Guests, error) {
	g := &Guests{
		owners: map[string]bool{}, algorithms: map[string]bool{},
		limiter: NewLimiter(cfg.PerMinute, cfg.Burst), atOnce: int64(max(cfg.AtOnce, 1)),
	}
	for _, p := range cfg.Patterns {
		if owner, ok := strings.CutSuffix(p, "/*"); ok && stoa.IsName(owner, maxName) {
			g.owners[strings.ToLower(owner)] = true
			continue
		}
		ref, err := stoa.ParseRef(p)
		if err != nil || !ref.Version.IsZero() || p != ref.String() {
			return nil, stoa.Errorf(stoa.Invalid, "%.200q names nothing that may be called without a key: write owner/name, or owner/* for all of an owner's", p)
		}
		g.algorithms[ref.Key()] = true
	}
	return g, nil
}

// Names tells whether strangers may call an algorithm, where it is public. One
// that is called by its UUID is not for them: its name is what the operator has
// named.
func (g *Guests) Names(ref stoa.Ref) bool {
	return ref.Name != "" && (g.owners[strings.ToLower(ref.Owner)] || g.algorithms[ref.Key()])
}

// Enter lets a stranger's call in, and gives what to do at its end.
// Unauthenticated, in the words for a wrong key, where nothing of that name is
// for strangers; Busy where there were too many calls.
func (g *Guests) Enter(ref stoa.Ref, from netip.Addr, now time.Time) (leave func(), err error) {
	if !g.Names(ref) {
		return nil, unauthenticated(nil)
	}
	if err := g.limiter.Take(from, now); err != nil {
		return nil, err
	}
	if g.running.Add(1) > g.atOnce {
		g.running.Add(-1)
		return nil, &stoa.Error{Kind: stoa.Busy, Msg: "too many calls without a key are under way: try again shortly", RetryAfter: time.Second}
	}
	return func() { g.running.Add(-1) }, nil
}
