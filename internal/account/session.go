package account

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"time"

	"github.com/stoa-project/stoa"
)

// How long a browser stays signed in, and how long a link that signs one in may
// lie about. linkMemory is how long afterwards a link is still told from one
// that never was.
const (
	sessionLife = 30 * 24 * time.Hour
	linkLife    = time.Hour
	linkMemory  = 24 * time.Hour
)

// Session is what is kept of a browser's session, or of a link that makes one:
// everything but its token.
type Session struct {
	Hash    string // SHA-256 of the token, hexadecimal
	User    string
	Key     string // id of the key with which it was made; "" for none
	Created time.Time
	Expires time.Time
}

// SessionStore keeps sessions and sign-in links; each method is one
// transaction. What was made with a key ends when that is revoked.
type SessionStore interface {
	// AddSession keeps a session, and forgets those that have expired by its
	// Created. NotFound where its user does not exist, or its key does not or is
	// revoked.
	AddSession(ctx context.Context, s Session) error
	// SessionByHash finds a session that is good at that time, and its user;
	// NotFound.
	SessionByHash(ctx context.Context, hash string, now time.Time) (Session, User, error)
	// EndSession forgets a session; one that is not there is no error.
	EndSession(ctx context.Context, hash string) error
	// AddLink keeps a link, as AddSession does a session, and forgets those that
	// have expired before that time.
	AddLink(ctx context.Context, l Session, before time.Time) error
	// UseLink spends a link and keeps the session, whose User and Key become the
	// link's. NotFound where the link does not exist, has expired by the
	// session's Created or lost its key, Conflict where it was used.
	UseLink(ctx context.Context, hash string, s Session) error
}

// Token is what its holder shows to be let in, and until when it is good. It is
// nowhere else.
type Token struct {
	Secret  string
	Expires time.Time
}

// tokenLen is that of 32 random bytes in base64url.
const tokenLen = 43

func newToken() string {
	var b [32]byte
	rand.Read(b[:])
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// isToken tells whether s can be a token at all, and keeps what cannot be one
// away from the store. A key is shorter, so that neither passes for the other.
func isToken(s string) bool {
	if len(s) != tokenLen {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') && c != '-' && c != '_' {
			return false
		}
	}
	return true
}

// tokenHash gives the SHA-256 of a well-formed token, without allocating.
func tokenHash(token string) [sha256.Size]byte {
	var b [tokenLen]byte
	copy(b[:], token)
	return sha256.Sum256(b[:])
}

// newSession makes a token and what is kept of it.
func newSession(who stoa.Caller, now time.Time, life time.Duration) (Session, Token) {
	t := Token{Secret: newToken(), Expires: now.Add(life)}
	sum := tokenHash(t.Secret)
	return Session{Hash: hex.EncodeToString(sum[:]), User: who.Account, Key: who.Key, Created: now, Expires: t.Expires}, t
}

// SignIn exchanges a key for a session, which ends with it: Unauthenticated
// where the key is wrong.
func (a *Accounts) SignIn(ctx context.Context, key string, now time.Time) (Token, error) {
	who, err := a.Authenticate(ctx, key)
	if err != nil {
		return Token{}, err
	}
	s, t := newSession(who, now, sessionLife)
	err = a.sessions.AddSession(ctx, s)
	if err != nil {
		if stoa.KindOf(err) == stoa.NotFound { // revoked meanwhile
			return Token{}, unauthenticated(err)
		}
		return Token{}, err
	}
	return t, nil
}

// NewLink makes the token of a link that signs one browser in as the caller.
// The session lives as long as the key with which the link was made, lest a
// stolen key outlive its end.
func (a *Accounts) NewLink(ctx context.Context, c stoa.Caller, now time.Time) (Token, error) {
	if c.Account == "" {
		return Token{}, unauthenticated(nil)
	}
	l, t := newSession(c, now, linkLife)
	if err := a.sessions.AddLink(ctx, l, now.Add(-linkMemory)); err != nil {
		return Token{}, err
	}
	return t, nil
}

// SignInByLink exchanges the token of a link for a session: NotFound where the
// link is wrong or has expired, Conflict where it was used.
func (a *Accounts) SignInByLink(ctx context.Context, token string, now time.Time) (Token, error) {
	if !isToken(token) {
		return Token{}, stoa.Errorf(stoa.NotFound, "there is no such link")
	}
	sum := tokenHash(token)
	s, t := newSession(stoa.Caller{}, now, sessionLife)
	if err := a.sessions.UseLink(ctx, hex.EncodeToString(sum[:]), s); err != nil {
		return Token{}, err
	}
	return t, nil
}

// Session tells who is signed in by a token: Unauthenticated for none, one that
// has expired, or one whose key was revoked. Like Authenticate it costs one
// SHA-256 and one map look-up for a token seen before.
func (a *Accounts) Session(ctx context.Context, token string, now time.Time) (stoa.Caller, error) {
	if !isToken(token) {
		return stoa.Caller{}, unauthenticated(nil)
	}
	sum := tokenHash(token)
	known, epoch, ok := a.known.get(sum)
	if ok && now.Before(known.expires) {
		return known.who, nil
	}
	s, u, err := a.sessions.SessionByHash(ctx, hex.EncodeToString(sum[:]), now)
	if err != nil {
		if stoa.KindOf(err) == stoa.NotFound {
			return stoa.Caller{}, unauthenticated(err)
		}
		return stoa.Caller{}, err
	}
	who := stoa.Caller{Account: u.Name, Key: s.Key, Admin: u.Admin}
	a.known.put(sum, holder{who, s.Expires}, epoch)
	return who, nil
}

// SignOut ends a session at once. A token that is none is no error.
func (a *Accounts) SignOut(ctx context.Context, token string) error {
	if !isToken(token) {
		return nil
	}
	sum := tokenHash(token)
	err := a.sessions.EndSession(ctx, hex.EncodeToString(sum[:]))
	a.known.forget(sum) // after an error too: it may have been done all the same
	return err
}
