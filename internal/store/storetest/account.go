// Package storetest is the conformance kit of the rooms' Stores: every database
// passes it.
package storetest

import (
	"context"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/account"
)

// noon is a time with as many digits as a Store keeps.
var noon = time.Date(2026, 3, 1, 12, 0, 0, 123456000, time.UTC)

// wants fails the test unless err is of that kind.
func wants(t *testing.T, err error, kind stoa.Kind) {
	t.Helper()
	if err == nil || stoa.KindOf(err) != kind {
		t.Errorf("the error is %v, want one of kind %v", err, kind)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func same(t *testing.T, what string, got, want any) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s: want -, got +\n%s", what, diff)
	}
}

// Accounts holds the store that open makes, empty and anew for every test, to
// what account.Store promises.
func Accounts(t *testing.T, open func(t *testing.T) account.Store) {
	for name, test := range map[string]func(*testing.T, account.Store){
		"Users":       users,
		"Keys":        keys,
		"Revoke":      revoke,
		"Cancel":      cancelAccounts,
		"UsersAtOnce": usersAtOnce,
		"KeysAtOnce":  keysAtOnce,
	} {
		t.Run(name, func(t *testing.T) { test(t, open(t)) })
	}
}

func users(t *testing.T, s account.Store) {
	must(t, s.AddUser(t.Context(), account.User{Name: "Ada", Admin: true, Created: noon}))
	must(t, s.AddUser(t.Context(), account.User{Name: "Bob", Created: noon}))
	for _, name := range []string{"Ada", "ada", "ADA"} {
		wants(t, s.AddUser(t.Context(), account.User{Name: name, Created: noon}), stoa.Conflict)
	}
	must(t, s.AddKey(t.Context(), account.Key{ID: "1", User: "ADA", Hash: "h1", Created: noon}))
	must(t, s.AddKey(t.Context(), account.Key{ID: "2", User: "bob", Hash: "h2", Created: noon}))
	_, u, err := s.KeyByHash(t.Context(), "h1")
	must(t, err)
	same(t, "the user of a key", u, account.User{Name: "Ada", Admin: true, Created: noon})
	_, u, err = s.KeyByHash(t.Context(), "h2")
	must(t, err)
	same(t, "the user of the other key", u, account.User{Name: "Bob", Created: noon})
}

func keys(t *testing.T, s account.Store) {
	none, err := s.Keys(t.Context(), "")
	if len(none) != 0 || err != nil {
		t.Errorf("an empty store has keys %v, %v", none, err)
	}
	must(t, s.AddUser(t.Context(), account.User{Name: "Ada", Created: noon}))
	must(t, s.AddUser(t.Context(), account.User{Name: "bob", Created: noon}))
	ks := []account.Key{
		{ID: "z", User: "Ada", Label: "old ✓ 'quoted'", Prefix: "simAB", Hash: "h1", Created: noon},
		{ID: "y", User: "bob", Hash: "h2", Created: noon.Add(time.Second)},
		{ID: "x", User: "Ada", Hash: "h3", Created: noon.Add(2 * time.Second)},
	}
	for _, k := range []account.Key{ks[2], ks[0], ks[1]} {
		must(t, s.AddKey(t.Context(), k))
	}
	wants(t, s.AddKey(t.Context(), account.Key{ID: "w", User: "eve", Hash: "h4"}), stoa.NotFound)
	if err := s.AddKey(t.Context(), account.Key{ID: "v", User: "bob", Hash: "h1"}); err == nil {
		t.Error("a second key of the same hash was kept")
	}
	if err := s.AddKey(t.Context(), account.Key{ID: "z", User: "bob", Hash: "h5"}); err == nil {
		t.Error("a second key of the same id was kept")
	}
	got, err := s.Keys(t.Context(), "")
	must(t, err)
	same(t, "all keys", got, ks)
	got, err = s.Keys(t.Context(), "ADA")
	must(t, err)
	same(t, "the keys of Ada", got, []account.Key{ks[0], ks[2]})
	got, err = s.Keys(t.Context(), "eve")
	if len(got) != 0 || err != nil {
		t.Errorf("the keys of nobody: %v, %v", got, err)
	}
	k, _, err := s.KeyByHash(t.Context(), "h1")
	must(t, err)
	same(t, "a key by its hash", k, ks[0])
	_, _, err = s.KeyByHash(t.Context(), "none")
	wants(t, err, stoa.NotFound)
}

func revoke(t *testing.T, s account.Store) {
	must(t, s.AddUser(t.Context(), account.User{Name: "ada", Created: noon}))
	must(t, s.AddKey(t.Context(), account.Key{ID: "1", User: "ada", Hash: "h1", Created: noon}))
	must(t, s.AddKey(t.Context(), account.Key{ID: "2", User: "ada", Hash: "h2", Created: noon}))
	must(t, s.RevokeKey(t.Context(), "1", noon.Add(time.Hour)))
	must(t, s.RevokeKey(t.Context(), "1", noon.Add(2*time.Hour)))
	wants(t, s.RevokeKey(t.Context(), "3", noon), stoa.NotFound)
	_, _, err := s.KeyByHash(t.Context(), "h1")
	wants(t, err, stoa.NotFound)
	_, _, err = s.KeyByHash(t.Context(), "h2")
	must(t, err)
	got, err := s.Keys(t.Context(), "ada")
	must(t, err)
	same(t, "the keys", got, []account.Key{
		{ID: "1", User: "ada", Hash: "h1", Created: noon, Revoked: noon.Add(time.Hour)},
		{ID: "2", User: "ada", Hash: "h2", Created: noon},
	})
}

func cancelAccounts(t *testing.T, s account.Store) {
	must(t, s.AddUser(t.Context(), account.User{Name: "ada", Created: noon}))
	must(t, s.AddKey(t.Context(), account.Key{ID: "1", User: "ada", Hash: "h1", Created: noon}))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	wants(t, s.AddUser(ctx, account.User{Name: "bob", Created: noon}), stoa.Canceled)
	wants(t, s.AddKey(ctx, account.Key{ID: "2", User: "ada", Hash: "h2", Created: noon}), stoa.Canceled)
	wants(t, s.RevokeKey(ctx, "1", noon), stoa.Canceled)
	_, err := s.Keys(ctx, "ada")
	wants(t, err, stoa.Canceled)
	_, _, err = s.KeyByHash(ctx, "h1")
	wants(t, err, stoa.Canceled)
	got, err := s.Keys(t.Context(), "")
	must(t, err)
	same(t, "what is there afterwards", got, []account.Key{{ID: "1", User: "ada", Hash: "h1", Created: noon}})
	must(t, s.AddUser(t.Context(), account.User{Name: "bob", Created: noon}))
}

func usersAtOnce(t *testing.T, s account.Store) {
	var made atomic.Int32
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			err := s.AddUser(t.Context(), account.User{Name: "ada", Created: noon})
			switch {
			case err == nil:
				made.Add(1)
			case stoa.KindOf(err) != stoa.Conflict:
				t.Errorf("AddUser: %v", err)
			}
		})
	}
	wg.Wait()
	if made.Load() != 1 {
		t.Errorf("the same user was made %d times", made.Load())
	}
}

func keysAtOnce(t *testing.T, s account.Store) {
	must(t, s.AddUser(t.Context(), account.User{Name: "ada", Created: noon}))
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			id := strconv.Itoa(i)
			if err := s.AddKey(t.Context(), account.Key{ID: id, User: "ada", Hash: id, Created: noon}); err != nil {
				t.Errorf("AddKey: %v", err)
			}
			if _, _, err := s.KeyByHash(t.Context(), id); err != nil {
				t.Errorf("KeyByHash: %v", err)
			}
			if err := s.RevokeKey(t.Context(), id, noon); err != nil {
				t.Errorf("RevokeKey: %v", err)
			}
		})
	}
	wg.Wait()
	got, err := s.Keys(t.Context(), "ada")
	must(t, err)
	if len(got) != 16 {
		t.Errorf("%d keys, want 16", len(got))
	}
	for _, k := range got {
		if k.Revoked.IsZero() {
			t.Errorf("key %s is not revoked", k.ID)
		}
	}
}
