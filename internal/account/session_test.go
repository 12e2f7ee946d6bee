package account_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/account"
	"github.com/stoa-project/stoa/internal/store/sqlite"
)

// countedSessions counts the look-ups of sessions that reach the store, and may
// hold one up.
type countedSessions struct {
	account.SessionStore
	lookups atomic.Int32
	after   func()
}

func (c *countedSessions) SessionByHash(ctx context.Context, hash string, now time.Time) (account.Session, account.User, error) {
	c.lookups.Add(1)
	s, u, err := c.SessionStore.SessionByHash(ctx, hash, now)
	if c.after != nil {
		c.after()
	}
	return s, u, err
}

func openSessions(t testing.TB) (*account.Accounts, *countedSessions, string) {
	t.Helper()
	db, err := sqlite.Open(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	s := &countedSessions{SessionStore: db.Accounts()}
	a := account.New(db.Accounts(), s)
	key, err := a.Bootstrap(t.Context(), noon)
	if err != nil {
		t.Fatal(err)
	}
	return a, s, key
}

func signIn(t testing.TB, a *account.Accounts, key string) account.Token {
	t.Helper()
	token, err := a.SignIn(t.Context(), key, noon)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// signedOut fails the test where a token is a session's at that time.
func signedOut(t *testing.T, a *account.Accounts, token string, now time.Time) {
	t.Helper()
	c, err := a.Session(t.Context(), token, now)
	if err == nil || stoa.KindOf(err) != stoa.Unauthenticated || stoa.AsError(err).Msg != "authorization required" || c != (stoa.Caller{}) {
		t.Errorf("Session(%.60q) = %v, %v", token, c, err)
	}
}

func signedIn(t testing.TB, a *account.Accounts, token string, now time.Time) stoa.Caller {
	t.Helper()
	c, err := a.Session(t.Context(), token, now)
	if err != nil {
		t.Errorf("Session: %v", err)
	}
	return c
}

func TestSignIn(t *testing.T) {
	a, s, key := openSessions(t)
	token := signIn(t, a, key)
	if len(token.Secret) != 43 || token.Expires != noon.Add(30*24*time.Hour) {
		t.Errorf("the token has %d characters, and is good until %v", len(token.Secret), token.Expires)
	}
	if other := signIn(t, a, key); other.Secret == token.Secret {
		t.Error("two sessions have one token")
	}
	if c := signedIn(t, a, token.Secret, noon); c != who(t, a, key) {
		t.Errorf("signed in as %+v, the key is of %+v", c, who(t, a, key))
	}
	for range 10 {
		signedIn(t, a, token.Secret, noon)
	}
	if n := s.lookups.Load(); n != 1 {
		t.Errorf("eleven requests of one session asked the store %d times", n)
	}
	refused(t, a, token.Secret) // a token is no key
	for _, bad := range []string{"", key, token.Secret[:42], token.Secret + "A", token.Secret[:42] + "\x00"} {
		signedOut(t, a, bad, noon)
	}
	if n := s.lookups.Load(); n != 1 {
		t.Errorf("what cannot be a token reached the store %d times", n-1)
	}
	if _, err := a.SignIn(t.Context(), "sim"+key[:25], noon); stoa.KindOf(err) != stoa.Unauthenticated {
		t.Errorf("with a wrong key: %v", err)
	}
}

func TestSessionsExpire(t *testing.T) {
	a, _, key := openSessions(t)
	token := signIn(t, a, key)
	signedIn(t, a, token.Secret, token.Expires.Add(-time.Second)) // from here on it is remembered
	signedOut(t, a, token.Secret, token.Expires)
	signedOut(t, a, token.Secret, token.Expires.Add(time.Hour))
}

func TestSignOut(t *testing.T) {
	a, _, key := openSessions(t)
	token, other := signIn(t, a, key), signIn(t, a, key)
	signedIn(t, a, token.Secret, noon)
	for range 2 {
		if err := a.SignOut(t.Context(), token.Secret); err != nil {
			t.Error(err)
		}
		signedOut(t, a, token.Secret, noon)
	}
	signedIn(t, a, other.Secret, noon)
	if err := a.SignOut(t.Context(), "none"); err != nil {
		t.Error(err)
	}
}

// A look-up that began before a sign-out may not be remembered after it.
func TestSignOutDuringALookup(t *testing.T) {
	a, s, key := openSessions(t)
	token := signIn(t, a, key)
	s.after = func() {
		s.after = nil
		if err := a.SignOut(t.Context(), token.Secret); err != nil {
			t.Error(err)
		}
	}
	signedIn(t, a, token.Secret, noon) // began before
	signedOut(t, a, token.Secret, noon)
}

func TestARevokedKeyEndsItsSessions(t *testing.T) {
	a, _, key := openSessions(t)
	admin := who(t, a, key)
	k, second, err := a.NewKey(t.Context(), admin, "", "", noon)
	if err != nil {
		t.Fatal(err)
	}
	first, byKey := signIn(t, a, key), signIn(t, a, second)
	link, err := a.NewLink(t.Context(), who(t, a, second), noon)
	if err != nil {
		t.Fatal(err)
	}
	unused, err := a.NewLink(t.Context(), who(t, a, second), noon)
	if err != nil {
		t.Fatal(err)
	}
	byLink, err := a.SignInByLink(t.Context(), link.Secret, noon)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []account.Token{first, byKey, byLink} {
		signedIn(t, a, s.Secret, noon)
	}
	if err := a.Revoke(t.Context(), admin, k.ID, noon); err != nil {
		t.Fatal(err)
	}
	signedIn(t, a, first.Secret, noon)
	signedOut(t, a, byKey.Secret, noon)
	signedOut(t, a, byLink.Secret, noon)
	_, err = a.SignInByLink(t.Context(), unused.Secret, noon)
	wants(t, err, stoa.NotFound)
}

func TestLinks(t *testing.T) {
	a, _, _ := openSessions(t)
	server := stoa.Caller{Account: account.Administrator, Admin: true}
	link, err := a.NewLink(t.Context(), server, noon)
	if err != nil || link.Expires != noon.Add(time.Hour) {
		t.Fatalf("%v, %v", link.Expires, err)
	}
	signedOut(t, a, link.Secret, noon) // a link is no session
	session, err := a.SignInByLink(t.Context(), link.Secret, noon.Add(time.Minute))
	if err != nil || session.Expires != noon.Add(30*24*time.Hour+time.Minute) {
		t.Fatalf("%v, %v", session.Expires, err)
	}
	if c := signedIn(t, a, session.Secret, noon.Add(time.Minute)); c != server {
		t.Errorf("signed in as %+v", c)
	}
	_, err = a.SignInByLink(t.Context(), link.Secret, noon.Add(time.Minute))
	wants(t, err, stoa.Conflict)
	late, err := a.NewLink(t.Context(), server, noon)
	if err != nil {
		t.Fatal(err)
	}
	_, err = a.SignInByLink(t.Context(), late.Secret, noon.Add(time.Hour))
	wants(t, err, stoa.NotFound)
	for _, bad := range []string{"", "x", session.Secret} {
		_, err = a.SignInByLink(t.Context(), bad, noon)
		wants(t, err, stoa.NotFound)
	}
	_, err = a.NewLink(t.Context(), stoa.Caller{}, noon)
	wants(t, err, stoa.Unauthenticated)
}

func TestSessionDoesNotAllocate(t *testing.T) {
	a, _, key := openSessions(t)
	token := signIn(t, a, key)
	signedIn(t, a, token.Secret, noon)
	if n := testing.AllocsPerRun(100, func() { a.Session(t.Context(), token.Secret, noon) }); n > 0 {
		t.Errorf("%v allocations a request, want none", n)
	}
}
