package storetest

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/account"
)

// People is both Stores of the account room.
type People interface {
	account.Store
	account.SessionStore
}

// Sessions holds the store that open makes, empty and anew for every test, to
// what account.SessionStore promises.
func Sessions(t *testing.T, open func(t *testing.T) People) {
	for name, test := range map[string]func(*testing.T, People){
		"Sessions":      sessions,
		"SessionExpiry": sessionExpiry,
		"SessionOfAKey": sessionOfAKey,
		"Links":         links,
		"LinkExpiry":    linkExpiry,
		"LinkOfAKey":    linkOfAKey,
		"LinkAtOnce":    linkAtOnce,
		"CancelSession": cancelSession,
	} {
		t.Run(name, func(t *testing.T) {
			s := open(t)
			must(t, s.AddUser(t.Context(), account.User{Name: "Ada", Admin: true, Created: noon}))
			must(t, s.AddKey(t.Context(), account.Key{ID: "k1", User: "Ada", Hash: "key1", Created: noon}))
			test(t, s)
		})
	}
}

func session(hash, user, key string) account.Session {
	return account.Session{Hash: hash, User: user, Key: key, Created: noon, Expires: noon.Add(time.Hour)}
}

// gone fails the test where a session is good at that time.
func gone(t *testing.T, s People, hash string, now time.Time) {
	t.Helper()
	_, _, err := s.SessionByHash(t.Context(), hash, now)
	wants(t, err, stoa.NotFound)
}

func good(t *testing.T, s People, hash string, now time.Time) account.Session {
	t.Helper()
	found, _, err := s.SessionByHash(t.Context(), hash, now)
	must(t, err)
	return found
}

func sessions(t *testing.T, s People) {
	gone(t, s, "h1", noon)
	must(t, s.AddSession(t.Context(), session("h1", "ADA", "k1")))
	must(t, s.AddSession(t.Context(), session("h2", "ada", "")))
	found, u, err := s.SessionByHash(t.Context(), "h1", noon)
	must(t, err)
	same(t, "a session", found, session("h1", "Ada", "k1"))
	same(t, "its user", u, account.User{Name: "Ada", Admin: true, Created: noon})
	same(t, "a session without a key", good(t, s, "h2", noon), session("h2", "Ada", ""))
	wants(t, s.AddSession(t.Context(), session("h3", "nobody", "")), stoa.NotFound)
	wants(t, s.AddSession(t.Context(), session("h3", "Ada", "k9")), stoa.NotFound)
	if err := s.AddSession(t.Context(), session("h1", "Ada", "")); err == nil {
		t.Error("a second session of the same hash was kept")
	}
	must(t, s.EndSession(t.Context(), "h1"))
	must(t, s.EndSession(t.Context(), "h1"))
	gone(t, s, "h1", noon)
	good(t, s, "h2", noon)
}

func sessionExpiry(t *testing.T, s People) {
	must(t, s.AddSession(t.Context(), session("old", "Ada", "")))
	good(t, s, "old", noon.Add(time.Hour-time.Microsecond))
	gone(t, s, "old", noon.Add(time.Hour))
	later := session("new", "Ada", "")
	later.Created, later.Expires = noon.Add(time.Hour), noon.Add(2*time.Hour)
	must(t, s.AddSession(t.Context(), later))
	gone(t, s, "old", noon) // it was swept
	good(t, s, "new", noon.Add(time.Hour))
}

func sessionOfAKey(t *testing.T, s People) {
	must(t, s.AddSession(t.Context(), session("h1", "Ada", "k1")))
	must(t, s.AddSession(t.Context(), session("h2", "Ada", "")))
	must(t, s.RevokeKey(t.Context(), "k1", noon))
	gone(t, s, "h1", noon)
	good(t, s, "h2", noon)
	wants(t, s.AddSession(t.Context(), session("h3", "Ada", "k1")), stoa.NotFound)
}

func links(t *testing.T, s People) {
	wants(t, s.UseLink(t.Context(), "l1", session("h1", "", "")), stoa.NotFound)
	must(t, s.AddLink(t.Context(), session("l1", "ada", "k1"), noon))
	must(t, s.AddLink(t.Context(), session("l2", "ada", ""), noon))
	wants(t, s.AddLink(t.Context(), session("l3", "nobody", ""), noon), stoa.NotFound)
	gone(t, s, "l1", noon) // a link is no session
	must(t, s.UseLink(t.Context(), "l1", session("h1", "", "")))
	same(t, "the session of a link", good(t, s, "h1", noon), session("h1", "Ada", "k1"))
	must(t, s.UseLink(t.Context(), "l2", session("h2", "", "")))
	same(t, "the session of a link without a key", good(t, s, "h2", noon), session("h2", "Ada", ""))
	wants(t, s.UseLink(t.Context(), "l1", session("h3", "", "")), stoa.Conflict)
	gone(t, s, "h3", noon)
}

func linkExpiry(t *testing.T, s People) {
	must(t, s.AddLink(t.Context(), session("l1", "Ada", ""), noon))
	late := session("h1", "", "")
	late.Created, late.Expires = noon.Add(time.Hour), noon.Add(2*time.Hour)
	wants(t, s.UseLink(t.Context(), "l1", late), stoa.NotFound)
	gone(t, s, "h1", noon)
	must(t, s.AddLink(t.Context(), session("l2", "Ada", ""), noon.Add(time.Hour+time.Microsecond)))
	wants(t, s.UseLink(t.Context(), "l1", session("h2", "", "")), stoa.NotFound) // it was swept
}

func linkOfAKey(t *testing.T, s People) {
	must(t, s.AddLink(t.Context(), session("l1", "Ada", "k1"), noon))
	must(t, s.RevokeKey(t.Context(), "k1", noon))
	wants(t, s.UseLink(t.Context(), "l1", session("h1", "", "")), stoa.NotFound)
	gone(t, s, "h1", noon)
	wants(t, s.AddLink(t.Context(), session("l2", "Ada", "k1"), noon), stoa.NotFound)
}

func linkAtOnce(t *testing.T, s People) {
	must(t, s.AddLink(t.Context(), session("l1", "Ada", "k1"), noon))
	var made atomic.Int32
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			err := s.UseLink(t.Context(), "l1", session("h"+string(rune('0'+i)), "", ""))
			switch {
			case err == nil:
				made.Add(1)
			case stoa.KindOf(err) != stoa.Conflict:
				t.Errorf("UseLink: %v", err)
			}
		})
	}
	wg.Wait()
	if made.Load() != 1 {
		t.Errorf("one link made %d sessions", made.Load())
	}
}

func cancelSession(t *testing.T, s People) {
	must(t, s.AddSession(t.Context(), session("h1", "Ada", "")))
	must(t, s.AddLink(t.Context(), session("l1", "Ada", ""), noon))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	wants(t, s.AddSession(ctx, session("h2", "Ada", "")), stoa.Canceled)
	wants(t, s.EndSession(ctx, "h1"), stoa.Canceled)
	wants(t, s.AddLink(ctx, session("l2", "Ada", ""), noon), stoa.Canceled)
	wants(t, s.UseLink(ctx, "l1", session("h3", "", "")), stoa.Canceled)
	_, _, err := s.SessionByHash(ctx, "h1", noon)
	wants(t, err, stoa.Canceled)
	good(t, s, "h1", noon)
	must(t, s.UseLink(t.Context(), "l1", session("h3", "", "")))
}
