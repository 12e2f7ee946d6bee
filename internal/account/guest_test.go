package account_test

import (
	"encoding/binary"
	"net/netip"
	"testing"
	"time"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/account"
)

var home = netip.MustParseAddr("192.0.2.1")

func ref(t testing.TB, s string) stoa.Ref {
	t.Helper()
	r, err := stoa.ParseRef(s)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func guests(t *testing.T, cfg account.GuestConfig) *account.Guests {
	t.Helper()
	g, err := account.NewGuests(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func TestGuestsCallWhatIsNamed(t *testing.T) {
	g := guests(t, account.GuestConfig{Patterns: []string{"demo/*", "Ada/Net"}, PerMinute: 100, Burst: 100, AtOnce: 1})
	for name, may := range map[string]bool{
		"demo/digits": true, "DEMO/Anything": true, "demo/digits/1.0.0": true, "ada/net": true, "ADA/NET/latest": true,
		"ada/nets": false, "bob/net": false, "demos/net": false,
	} {
		leave, err := g.Enter(ref(t, name), home, noon)
		switch {
		case may && err != nil:
			t.Errorf("%s: %v", name, err)
		case !may:
			wants(t, err, stoa.Unauthenticated)
			if stoa.AsError(err).Msg != "authorization required" {
				t.Errorf("%s: %v", name, err)
			}
		default:
			leave()
		}
	}
	_, err := g.Enter(stoa.Ref{Owner: "2938ca9f-54c8-4000-8000-000000000001"}, home, noon)
	wants(t, err, stoa.Unauthenticated)
	_, err = guests(t, account.GuestConfig{}).Enter(ref(t, "demo/digits"), home, noon)
	wants(t, err, stoa.Unauthenticated)
}

func TestGuestsRefusePatterns(t *testing.T) {
	for _, p := range []string{"", "demo", "*", "*/*", "*/net", "demo/", "/demo/net", "demo/net/1.0.0", "demo/**", "de mo/*", "algo://demo/net", "1/*"} {
		_, err := account.NewGuests(account.GuestConfig{Patterns: []string{p}})
		wants(t, err, stoa.Invalid)
	}
}

func TestGuestsLeaveRoom(t *testing.T) {
	g := guests(t, account.GuestConfig{Patterns: []string{"demo/*"}, PerMinute: 100, Burst: 100, AtOnce: 2})
	first, err := g.Enter(ref(t, "demo/net"), home, noon)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := g.Enter(ref(t, "demo/net"), netip.MustParseAddr("192.0.2.2"), noon); err != nil {
		t.Fatal(err)
	}
	_, err = g.Enter(ref(t, "demo/net"), netip.MustParseAddr("192.0.2.3"), noon)
	wants(t, err, stoa.Busy)
	if stoa.AsError(err).RetryAfter <= 0 {
		t.Errorf("%v does not say when to come back", err)
	}
	first()
	if _, err := g.Enter(ref(t, "demo/net"), home, noon); err != nil {
		t.Error(err)
	}
}

func TestLimiter(t *testing.T) {
	l := account.NewLimiter(30, 3)
	now := noon
	for range 3 {
		if err := l.Take(home, now); err != nil {
			t.Fatal(err)
		}
	}
	err := l.Take(home, now)
	wants(t, err, stoa.Busy)
	if d := stoa.AsError(err).RetryAfter; d != 2*time.Second {
		t.Errorf("come back after %v, want 2 s", d)
	}
	if err := l.Take(netip.MustParseAddr("192.0.2.2"), now); err != nil {
		t.Errorf("another address: %v", err)
	}
	now = now.Add(2 * time.Second)
	if err := l.Take(home, now); err != nil {
		t.Errorf("after 2 s: %v", err)
	}
	wants(t, l.Take(home, now), stoa.Busy)
	wants(t, l.Take(home, now.Add(-time.Hour)), stoa.Busy) // the clock was set back
	l.GiveBack(home, now)
	if err := l.Take(home, now); err != nil {
		t.Errorf("after one was given back: %v", err)
	}
	now = now.Add(time.Hour)
	for range 3 {
		if err := l.Take(home, now); err != nil {
			t.Errorf("after a rest: %v", err)
		}
	}
	wants(t, l.Take(home, now), stoa.Busy)
}

// A line is given a /64; an IPv4 address written as IPv6 is the same.
func TestLimiterTakesANetworkForOneAddress(t *testing.T) {
	l := account.NewLimiter(1, 1)
	for _, pair := range [][2]string{{"2001:db8:1:2::1", "2001:db8:1:2:ffff::9"}, {"192.0.2.7", "::ffff:192.0.2.7"}, {"fe80::1%eth0", "fe80::1%eth1"}} {
		if err := l.Take(netip.MustParseAddr(pair[0]), noon); err != nil {
			t.Fatal(err)
		}
		wants(t, l.Take(netip.MustParseAddr(pair[1]), noon), stoa.Busy)
	}
	if err := l.Take(netip.MustParseAddr("2001:db8:1:3::1"), noon); err != nil {
		t.Errorf("the next network: %v", err)
	}
	if err := l.Take(netip.Addr{}, noon); err != nil {
		t.Errorf("no address: %v", err)
	}
	wants(t, l.Take(netip.Addr{}, noon), stoa.Busy)
}

func address(i int) netip.Addr {
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], uint32(i))
	return netip.AddrFrom4(b)
}

// Many addresses neither fill the memory nor take long.
func TestLimiterIsBounded(t *testing.T) {
	l := account.NewLimiter(1, 1)
	for i := range 50_000 {
		if err := l.Take(address(i), noon.Add(time.Duration(i)*time.Millisecond)); err != nil {
			t.Fatal(err)
		}
	}
	if n := account.Remembered(l); n > 10_000 {
		t.Errorf("%d addresses are remembered", n)
	}
}
