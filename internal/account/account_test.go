package account_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/account"
	"github.com/stoa-project/stoa/internal/store/sqlite"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// counted counts the look-ups that reach the store, and may hold one up.
type counted struct {
	account.Store
	lookups atomic.Int32
	after   func() // runs after a look-up in the store, before its answer is used
}

func (c *counted) KeyByHash(ctx context.Context, hash string) (account.Key, account.User, error) {
	c.lookups.Add(1)
	k, u, err := c.Store.KeyByHash(ctx, hash)
	if c.after != nil {
		c.after()
	}
	return k, u, err
}

// open gives the room over a fresh database, and the administrator's key.
func open(t testing.TB) (*account.Accounts, *counted, string) {
	t.Helper()
	db, err := sqlite.Open(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	s := &counted{Store: db.Accounts()}
	a := account.New(s, db.Accounts())
	key, err := a.Bootstrap(t.Context(), noon)
	if err != nil {
		t.Fatal(err)
	}
	return a, s, key
}

func who(t testing.TB, a *account.Accounts, key string) stoa.Caller {
	t.Helper()
	c, err := a.Authenticate(t.Context(), key)
	if err != nil {
		t.Fatalf("Authenticate: %v", err)
	}
	return c
}

func refused(t *testing.T, a *account.Accounts, key string) {
	t.Helper()
	c, err := a.Authenticate(t.Context(), key)
	if err == nil || stoa.KindOf(err) != stoa.Unauthenticated || stoa.AsError(err).Msg != "authorization required" || c != (stoa.Caller{}) {
		t.Errorf("Authenticate(%.40q) = %v, %v", key, c, err)
	}
}

func wants(t *testing.T, err error, kind stoa.Kind) {
	t.Helper()
	if err == nil || stoa.KindOf(err) != kind {
		t.Errorf("the error is %v, want one of kind %v", err, kind)
	}
}

func TestBootstrap(t *testing.T) {
	a, s, key := open(t)
	c := who(t, a, key)
	if c.Account != "admin" || !c.Admin || c.Key == "" {
		t.Errorf("the first key is of %+v", c)
	}
	again, err := a.Bootstrap(t.Context(), noon)
	if again != "" || err != nil {
		t.Errorf("the second start made key %q, %v", again, err)
	}
	keys, err := s.Keys(t.Context(), "")
	if len(keys) != 1 || err != nil {
		t.Fatalf("the store holds %v, %v", keys, err)
	}
	if k := keys[0]; strings.Contains(k.Hash, key) || len(k.Hash) != 64 || !strings.HasPrefix(key, k.Prefix) || len(k.Prefix) > 8 {
		t.Errorf("the store keeps too much of a key: %+v", k)
	}
}

// A start that was cut off between user and key must not lock everybody out.
func TestBootstrapAfterACut(t *testing.T) {
	db, err := sqlite.Open(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := db.Accounts().AddUser(t.Context(), account.User{Name: "admin", Admin: true}); err != nil {
		t.Fatal(err)
	}
	a := account.New(db.Accounts(), db.Accounts())
	key, err := a.Bootstrap(t.Context(), noon)
	if err != nil {
		t.Fatal(err)
	}
	if c := who(t, a, key); !c.Admin {
		t.Errorf("the key is of %+v", c)
	}
}

func TestKeysLookLikeAlgorithmias(t *testing.T) {
	a, _, key := open(t)
	admin := who(t, a, key)
	seen := map[string]bool{}
	var letters [256]int
	for range 200 {
		_, key, err := a.NewKey(t.Context(), admin, "", "", noon)
		if err != nil {
			t.Fatal(err)
		}
		if len(key) != 28 || key[:3] != "sim" || seen[key] {
			t.Fatalf("the key %q is not of 28 characters, or came twice", key)
		}
		seen[key] = true
		for _, c := range []byte(key[3:]) {
			letters[c]++
		}
	}
	used := 0
	for c, n := range letters {
		if n > 0 {
			used++
			if !strings.ContainsRune("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789", rune(c)) {
				t.Errorf("a key has %q", rune(c))
			}
		}
	}
	if used != 62 {
		t.Errorf("5000 characters use %d of 62", used)
	}
}

func TestAuthenticateRefuses(t *testing.T) {
	a, s, key := open(t)
	for _, bad := range []string{
		"", "sim", key[:27], key + "x", "Sim" + key[3:], key[:27] + "-", key[:27] + "\x00", "Simple " + key, " " + key,
		strings.Repeat("x", 1<<20),
	} {
		refused(t, a, bad)
	}
	if n := s.lookups.Load(); n != 0 {
		t.Errorf("what cannot be a key reached the store %d times", n)
	}
	refused(t, a, "sim"+strings.Repeat("A", 25))
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := a.Authenticate(cancelled, key)
	wants(t, err, stoa.Canceled)
}

func TestAuthenticateRemembers(t *testing.T) {
	a, s, key := open(t)
	for range 10 {
		who(t, a, key)
	}
	if n := s.lookups.Load(); n != 1 {
		t.Errorf("ten calls with one key asked the store %d times", n)
	}
}

// Keys that do not exist may not push the others out, nor fill the memory.
func TestUnknownKeysAreNotRemembered(t *testing.T) {
	a, s, key := open(t)
	who(t, a, key)
	for i := range 5000 {
		refused(t, a, fmt.Sprintf("sim%025d", i))
	}
	before := s.lookups.Load()
	who(t, a, key)
	if s.lookups.Load() != before {
		t.Error("the key was forgotten")
	}
}

func TestRevoke(t *testing.T) {
	a, _, key := open(t)
	admin := who(t, a, key)
	if err := a.AddUser(t.Context(), admin, account.User{Name: "Ada", Created: noon}); err != nil {
		t.Fatal(err)
	}
	adaKey := func() (account.Key, string) {
		k, key, err := a.NewKey(t.Context(), admin, "ada", "laptop", noon)
		if err != nil {
			t.Fatal(err)
		}
		return k, key
	}
	first, firstKey := adaKey()
	ada := who(t, a, firstKey)
	if ada != (stoa.Caller{Account: "Ada", Key: first.ID}) {
		t.Errorf("the key is of %+v", ada)
	}
	for name, id := range map[string]func(account.Key, string) string{
		"by id":     func(k account.Key, _ string) string { return k.ID },
		"by key":    func(_ account.Key, key string) string { return key },
		"by prefix": func(k account.Key, _ string) string { return k.Prefix },
	} {
		k, key := adaKey()
		who(t, a, key)
		if err := a.Revoke(t.Context(), ada, id(k, key), noon); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		refused(t, a, key)
		if err := a.Revoke(t.Context(), ada, k.ID, noon.Add(time.Hour)); err != nil {
			t.Errorf("%s, again: %v", name, err)
		}
	}
	adminKeys, err := a.Keys(t.Context(), admin)
	if err != nil || len(adminKeys) != 1 {
		t.Fatalf("the administrator's keys: %v, %v", adminKeys, err)
	}
	wants(t, a.Revoke(t.Context(), ada, adminKeys[0].ID, noon), stoa.NotFound)
	wants(t, a.Revoke(t.Context(), ada, key, noon), stoa.NotFound)
	wants(t, a.Revoke(t.Context(), ada, "", noon), stoa.NotFound)
	wants(t, a.Revoke(t.Context(), ada, "sim", noon), stoa.NotFound)
	wants(t, a.Revoke(t.Context(), stoa.Caller{}, first.ID, noon), stoa.Unauthenticated)
	wants(t, a.Revoke(t.Context(), admin, adminKeys[0].ID, noon), stoa.Conflict)
	who(t, a, key)
	if err := a.Revoke(t.Context(), admin, first.ID, noon); err != nil {
		t.Errorf("the administrator ends Ada's key: %v", err)
	}
	refused(t, a, firstKey)
	adas, err := a.Keys(t.Context(), ada)
	if err != nil || len(adas) != 4 {
		t.Errorf("Ada's keys: %v, %v", adas, err)
	}
}

// A look-up that began before a revocation may not be remembered after it.
func TestRevokeDuringALookup(t *testing.T) {
	a, s, key := open(t)
	admin := who(t, a, key)
	k, second, err := a.NewKey(t.Context(), admin, "", "", noon)
	if err != nil {
		t.Fatal(err)
	}
	s.after = func() {
		s.after = nil
		if err := a.Revoke(t.Context(), admin, k.ID, noon); err != nil {
			t.Error(err)
		}
	}
	who(t, a, second) // began before
	refused(t, a, second)
}

func TestNewKeyRefuses(t *testing.T) {
	a, _, key := open(t)
	admin := who(t, a, key)
	ada := stoa.Caller{Account: "ada"}
	_, _, err := a.NewKey(t.Context(), ada, "admin", "", noon)
	wants(t, err, stoa.Forbidden)
	_, _, err = a.NewKey(t.Context(), admin, "nobody", "", noon)
	wants(t, err, stoa.NotFound)
	_, _, err = a.NewKey(t.Context(), stoa.Caller{}, "", "", noon)
	wants(t, err, stoa.Unauthenticated)
	_, _, err = a.NewKey(t.Context(), admin, "", strings.Repeat("x", 101), noon)
	wants(t, err, stoa.Invalid)
	_, _, err = a.NewKey(t.Context(), admin, "", "a\x1b[31m", noon)
	wants(t, err, stoa.Invalid)
	_, err = a.Keys(t.Context(), stoa.Caller{})
	wants(t, err, stoa.Unauthenticated)
}

func TestAddUser(t *testing.T) {
	a, _, key := open(t)
	admin := who(t, a, key)
	wants(t, a.AddUser(t.Context(), stoa.Caller{Account: "ada"}, account.User{Name: "bob"}), stoa.Forbidden)
	for _, name := range []string{"", "me", "Me", "1a", "a-b", "a/b", strings.Repeat("a", 31)} {
		wants(t, a.AddUser(t.Context(), admin, account.User{Name: name}), stoa.Invalid)
	}
	wants(t, a.AddUser(t.Context(), admin, account.User{Name: "ADMIN"}), stoa.Conflict)
}

func TestAtOnce(t *testing.T) {
	a, _, key := open(t)
	admin := who(t, a, key)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 10 {
				k, key, err := a.NewKey(t.Context(), admin, "", "", noon)
				if err != nil {
					t.Errorf("NewKey: %v", err)
					return
				}
				if _, err := a.Authenticate(t.Context(), key); err != nil {
					t.Errorf("Authenticate: %v", err)
				}
				if err := a.Revoke(t.Context(), admin, k.ID, noon); err != nil {
					t.Errorf("Revoke: %v", err)
				}
				if _, err := a.Authenticate(t.Context(), key); err == nil {
					t.Error("a revoked key works")
				}
			}
		})
	}
	wg.Wait()
}

func TestAuthenticateDoesNotAllocate(t *testing.T) {
	a, _, key := open(t)
	who(t, a, key)
	if n := testing.AllocsPerRun(100, func() { a.Authenticate(t.Context(), key) }); n > 0 {
		t.Errorf("%v allocations a call, want none", n)
	}
}

func BenchmarkAuthenticate(b *testing.B) {
	a, _, key := open(b)
	who(b, a, key)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := a.Authenticate(b.Context(), key); err != nil {
			b.Fatal(err)
		}
	}
}
