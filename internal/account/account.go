// Package account knows who there is: users, and the keys by which they are
// known. A key is shown once, when it is made, and stored as its SHA-256.
package account

import (
	"context"
	"time"

	"github.com/stoa-project/stoa"
)

// User is somebody who may own algorithms and hold keys.
type User struct {
	Name    string // case is kept, and does not matter when matching
	Admin   bool   // may act for any owner
	Created time.Time
}

// Key is what is kept of an API key: everything but the key.
type Key struct {
	ID      string // random, shown in listings
	User    string
	Label   string // what its owner calls it
	Prefix  string // the first characters of the key, to recognise it by
	Hash    string // SHA-256 of the key, hexadecimal
	Created time.Time
	Revoked time.Time // zero while the key works
}

// Store keeps users and keys; each method is one transaction.
type Store interface {
	// AddUser keeps a user; Conflict where the name is taken, in any case.
	AddUser(ctx context.Context, u User) error
	// AddKey keeps a key; NotFound where its user does not exist.
	AddKey(ctx context.Context, k Key) error
	// KeyByHash finds a key that is not revoked, and its user; NotFound.
	KeyByHash(ctx context.Context, hash string) (Key, User, error)
	// Keys lists the keys of a user, revoked ones too, oldest first; of
	// everybody where user is "".
	Keys(ctx context.Context, user string) ([]Key, error)
	// RevokeKey ends a key; NotFound where there is none of that id. A key that
	// is revoked already stays so.
	RevokeKey(ctx context.Context, id string, now time.Time) error
}

// Accounts answers who a key belongs to, and makes and ends keys.
type Accounts struct {
	store Store
	// BUILDER: cache of authenticated keys by hash; revocation is seen at once on this server.
}

// New makes the room over its store.
func New(store Store) *Accounts { return &Accounts{store: store} }

// Bootstrap makes the user admin with a full key where there is no user yet,
// and gives that key; "" where there was one already.
func (a *Accounts) Bootstrap(ctx context.Context, now time.Time) (key string, err error) {
	panic("BUILDER")
}

// Authenticate tells who holds the key: Unauthenticated with the message
// "authorization required" for none, a wrong or a revoked one. It is on the
// path of every call, so that a key seen before costs one SHA-256 and one map
// look-up.
func (a *Accounts) Authenticate(ctx context.Context, key string) (stoa.Caller, error) {
	panic("BUILDER")
}

// NewKey makes a key for a user, who is the caller unless he is an
// administrator. The key itself is in the second result, and nowhere else.
func (a *Accounts) NewKey(ctx context.Context, c stoa.Caller, user, label string, now time.Time) (Key, string, error) {
	panic("BUILDER")
}

// Keys lists the caller's keys.
func (a *Accounts) Keys(ctx context.Context, c stoa.Caller) ([]Key, error) { panic("BUILDER") }

// Revoke ends one of the caller's keys, or anybody's for an administrator;
// NotFound where it is none of his. id may also be the whole key or its prefix.
func (a *Accounts) Revoke(ctx context.Context, c stoa.Caller, id string, now time.Time) error {
	panic("BUILDER")
}
