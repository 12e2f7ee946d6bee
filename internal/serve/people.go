package serve

import (
	"context"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/account"
	"github.com/stoa-project/stoa/internal/api"
	"github.com/stoa-project/stoa/internal/api/algorithmia"
	"github.com/stoa-project/stoa/internal/obs"
)

// keylessNone is the Keyless that lets strangers call nothing.
const keylessNone = "none"

// guests makes the rule for calls without a key.
func (s *System) guests() (*account.Guests, error) {
	patterns := s.cfg.Keyless
	if slices.Contains(patterns, keylessNone) {
		if len(patterns) > 1 {
			return nil, stoa.Errorf(stoa.Invalid, "keyless: %q stands alone or not at all", keylessNone)
		}
		patterns = nil
	}
	if s.cfg.KeylessRate < 1 || s.cfg.KeylessBurst < 1 || s.cfg.KeylessAtOnce < 1 {
		return nil, stoa.Errorf(stoa.Invalid, "keyless: the limits are 1 or more; %q lets nothing be called without a key", keylessNone)
	}
	return account.NewGuests(account.GuestConfig{
		Patterns: patterns, PerMinute: s.cfg.KeylessRate, Burst: s.cfg.KeylessBurst, AtOnce: s.cfg.KeylessAtOnce,
	})
}

// guarded counts the requests that a key was refused for.
type guarded struct {
	api.Authenticator
	metrics *obs.Metrics
}

// Authenticate tells who holds a key; see api.Authenticator.
func (g guarded) Authenticate(ctx context.Context, key string) (stoa.Caller, error) {
	c, err := g.Authenticator.Authenticate(ctx, key)
	if err != nil {
		g.metrics.Rejected(stoa.KindOf(err))
	}
	return c, err
}

// countedGuests counts the calls of strangers that were refused.
type countedGuests struct {
	algorithmia.Guests
	metrics *obs.Metrics
}

// Enter lets a stranger's call in; see algorithmia.Guests.
func (g countedGuests) Enter(ref stoa.Ref, from netip.Addr, now time.Time) (leave func(), err error) {
	leave, err = g.Guests.Enter(ref, from, now)
	if err != nil {
		g.metrics.Rejected(stoa.KindOf(err))
	}
	return leave, err
}

// SignInURL makes a link that signs one browser in as the administrator, once.
func (s *System) SignInURL(ctx context.Context) (string, error) {
	t, err := s.people.NewLink(ctx, stoa.Caller{Account: account.Administrator, Admin: true}, time.Now())
	if err != nil {
		return "", err
	}
	base := s.URL()
	if s.cfg.PublicURL != "" {
		base = strings.TrimRight(s.cfg.PublicURL, "/")
	}
	return algorithmia.SignInURL(base, t.Secret), nil
}
