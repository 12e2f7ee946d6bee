// Package account knows who there is: users, the keys and sessions by which they
// are known, and what strangers may do. A key, a session's token or a link's is
// shown once, when it is made, and stored as its SHA-256.
package account

import (
	"context"
	"strings"
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
	// AddKey keeps a key; NotFound where its user does not exist. The key is
	// its user's under the name as the user wrote it, whatever the case of k.User.
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

// Administrator is the user that the first start makes.
const Administrator = "admin"

// The longest name and label.
const (
	maxName  = 30 // of an owner, as in stoa.Ref
	maxLabel = 100
)

// Accounts answers who a key or a session belongs to, and makes and ends them.
type Accounts struct {
	store    Store
	sessions SessionStore
	known    cache
}

// New makes the room over its stores.
func New(store Store, sessions SessionStore) *Accounts {
	return &Accounts{store: store, sessions: sessions}
}

// Bootstrap makes the user admin with a full key where there is no user yet,
// and gives that key; "" where there was one already.
func (a *Accounts) Bootstrap(ctx context.Context, now time.Time) (key string, err error) {
	err = a.store.AddUser(ctx, User{Name: Administrator, Admin: true, Created: now})
	if err != nil {
		if stoa.KindOf(err) != stoa.Conflict {
			return "", err
		}
		// A start that was cut off between the two transactions left the user
		// without any key, which nothing else can: make it now.
		keys, err := a.store.Keys(ctx, Administrator)
		if err != nil || len(keys) > 0 {
			return "", err
		}
	}
	_, key, err = a.addKey(ctx, Administrator, "first start", now)
	return key, err
}

// Authenticate tells who holds the key: Unauthenticated with the message
// "authorization required" for none, a wrong or a revoked one. It is on the
// path of every call, so that a key seen before costs one SHA-256 and one map
// look-up.
func (a *Accounts) Authenticate(ctx context.Context, key string) (stoa.Caller, error) {
	if !wellFormed(key) {
		return stoa.Caller{}, unauthenticated(nil)
	}
	sum := hash(key)
	known, epoch, ok := a.known.get(sum)
	if ok {
		return known.who, nil
	}
	k, u, err := a.store.KeyByHash(ctx, hexHash(sum))
	if err != nil {
		if stoa.KindOf(err) == stoa.NotFound {
			return stoa.Caller{}, unauthenticated(err)
		}
		return stoa.Caller{}, err
	}
	who := stoa.Caller{Account: u.Name, Key: k.ID, Admin: u.Admin}
	a.known.put(sum, holder{who: who}, epoch)
	return who, nil
}

func unauthenticated(cause error) error {
	return &stoa.Error{Kind: stoa.Unauthenticated, Msg: "authorization required", Err: cause}
}

// AddUser makes a user; only administrators may.
func (a *Accounts) AddUser(ctx context.Context, c stoa.Caller, u User) error {
	if !c.Admin {
		return stoa.Errorf(stoa.Forbidden, "only an administrator may add users")
	}
	if !stoa.IsName(u.Name, maxName) || strings.EqualFold(u.Name, "me") {
		return stoa.Errorf(stoa.Invalid, "user name %.100q: a letter, then at most %d letters, digits or underscores, and not \"me\"", u.Name, maxName-1)
	}
	return a.store.AddUser(ctx, u)
}

// NewKey makes a key for a user, who is the caller unless he is an
// administrator; "" and "me" are the caller. The key itself is in the second
// result, and nowhere else.
func (a *Accounts) NewKey(ctx context.Context, c stoa.Caller, user, label string, now time.Time) (Key, string, error) {
	if c.Account == "" {
		return Key{}, "", unauthenticated(nil)
	}
	if user == "" || strings.EqualFold(user, "me") {
		user = c.Account
	}
	if !c.Admin && !strings.EqualFold(user, c.Account) {
		return Key{}, "", stoa.Errorf(stoa.Forbidden, "only an administrator may make keys for %.100q: leave the user out for a key of your own", user)
	}
	if err := checkLabel(label); err != nil {
		return Key{}, "", err
	}
	return a.addKey(ctx, user, label, now)
}

func checkLabel(label string) error {
	if len(label) > maxLabel {
		return stoa.Errorf(stoa.Invalid, "the label of the key is longer than %d bytes", maxLabel)
	}
	if strings.ContainsFunc(label, isControl) {
		return stoa.Errorf(stoa.Invalid, "label %.100q: it has a control character or is no UTF-8", label)
	}
	return nil
}

// addKey makes a key and keeps all of it but the key.
func (a *Accounts) addKey(ctx context.Context, user, label string, now time.Time) (Key, string, error) {
	key := newKey()
	k := Key{
		ID: newID(), User: user, Label: label, Prefix: key[:prefixLen], Hash: hexHash(hash(key)),
		Created: now,
	}
	if err := a.store.AddKey(ctx, k); err != nil {
		return Key{}, "", err
	}
	return k, key, nil
}

// Keys lists the caller's keys.
func (a *Accounts) Keys(ctx context.Context, c stoa.Caller) ([]Key, error) {
	if c.Account == "" {
		return nil, unauthenticated(nil)
	}
	return a.store.Keys(ctx, c.Account)
}

// Revoke ends one of the caller's keys, or anybody's for an administrator;
// NotFound where it is none of his. id may also be the whole key or its prefix.
// An administrator's own last key is not ended, as nobody could get in again:
// Conflict. The sessions that were made with the key end with it.
func (a *Accounts) Revoke(ctx context.Context, c stoa.Caller, id string, now time.Time) error {
	if c.Account == "" {
		return unauthenticated(nil)
	}
	user := c.Account
	if c.Admin {
		user = ""
	}
	keys, err := a.store.Keys(ctx, user)
	if err != nil {
		return err
	}
	k, err := findKey(keys, id)
	if err != nil {
		return err
	}
	if c.Admin && isLast(keys, k, c.Account) {
		return stoa.Errorf(stoa.Conflict, "key %s is the administrator's last: make another first (stoa keys new)", k.ID)
	}
	err = a.store.RevokeKey(ctx, k.ID, now)
	a.known.drop(k.ID) // after an error too: it may have been done all the same
	return err
}

// findKey gives the one key of a list that id means.
func findKey(keys []Key, id string) (Key, error) {
	sum := ""
	if wellFormed(id) {
		sum = hexHash(hash(id))
	}
	var found []Key
	for _, k := range keys {
		if k.ID == id || k.Hash == sum {
			return k, nil
		}
		if k.Prefix == id && k.Revoked.IsZero() {
			found = append(found, k)
		}
	}
	switch {
	case len(found) == 1:
		return found[0], nil
	case len(found) > 1:
		return Key{}, stoa.Errorf(stoa.Conflict, "%d keys start with %s: name the one by its id (stoa keys ls)", len(found), id)
	case sum != "": // a whole key is never shown
		return Key{}, stoa.Errorf(stoa.NotFound, "there is no such key")
	}
	return Key{}, stoa.Errorf(stoa.NotFound, "there is no key %.40q", id)
}

func isLast(keys []Key, k Key, account string) bool {
	if !k.Revoked.IsZero() || !strings.EqualFold(k.User, account) {
		return false
	}
	for _, other := range keys {
		if other.ID != k.ID && other.Revoked.IsZero() && strings.EqualFold(other.User, account) {
			return false
		}
	}
	return true
}
