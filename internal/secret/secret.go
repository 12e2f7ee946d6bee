// Package secret keeps what an algorithm's code must know and nobody may read:
// environment variables, set once, encrypted at rest, given to replicas and
// never shown again.
package secret

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/stoa-project/stoa"
)

// Bounds of an algorithm's secrets.
const (
	MaxValue = 32 << 10 // bytes of a value
	maxNames = 100
)

// Name is what is told of a secret.
type Name struct {
	Name string    `json:"name"`
	By   string    `json:"by"` // who set it
	Set  time.Time `json:"set"`
}

// Sealed is a secret as it is kept.
type Sealed struct {
	Name
	Box []byte // nonce and AES-256-GCM of the value
}

// Store keeps sealed secrets; key is a Ref's Key.
type Store interface {
	PutSecret(ctx context.Context, key string, s Sealed, most int) error // Conflict where there are most already
	Secrets(ctx context.Context, key string) ([]Sealed, error)           // by name
	RemoveSecret(ctx context.Context, key, name string) error            // NotFound where there is none
}

// Vault is the room.
type Vault struct {
	store Store
	aead  cipher.AEAD
	// changed is told of an algorithm whose secrets changed, so that its replicas
	// start again with them.
	changed func(ref stoa.Ref)
}

// New opens the vault with the key in a file, which it makes at the first start.
// Whoever has the database alone reads no secret.
func New(store Store, keyFile string, changed func(stoa.Ref)) (*Vault, error) {
	key, err := loadKey(keyFile)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, stoa.Wrap(stoa.Internal, err, "%s is no key of 32 bytes", keyFile)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return nil, stoa.Wrap(stoa.Internal, err, "secrets cannot be encrypted here")
	}
	return &Vault{store, aead, changed}, nil
}

const keySize = 32

func loadKey(path string) ([]byte, error) {
	key, err := os.ReadFile(path)
	switch {
	case err == nil && len(key) == keySize:
		return key, nil
	case err == nil:
		return nil, stoa.Errorf(stoa.Internal, "%s has %d bytes, and is no key: bring it back from a copy, since without it no secret can be read", path, len(key))
	case !errors.Is(err, fs.ErrNotExist):
		return nil, stoa.Wrap(stoa.Internal, err, "the key of the secrets cannot be read: %s", path)
	}
	key = make([]byte, keySize)
	_, _ = rand.Read(key) // it never fails
	f, err := os.CreateTemp(filepath.Dir(path), ".secret-*")
	if err != nil {
		return nil, stoa.Wrap(stoa.Internal, err, "the key of the secrets cannot be written: %s", path)
	}
	defer os.Remove(f.Name()) // after the rename there is nothing left to remove
	_, err = f.Write(key)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return nil, stoa.Wrap(stoa.Internal, err, "the key of the secrets cannot be written: %s", path)
	}
	return key, nil
}

var names = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]{0,99}$`)

// ours begin the names that replicas get from Stoa, or that would change how a
// program starts.
var ours = []string{"STOA_", "ALGORITHMIA_API", "LD_"}

func checkName(name string) error {
	if !names.MatchString(name) {
		return stoa.Errorf(stoa.Invalid, "secret %.100q: letters, digits and underscores, no digit first, as of an environment variable", name)
	}
	upper := strings.ToUpper(name)
	for _, p := range ours {
		if strings.HasPrefix(upper, p) {
			return stoa.Errorf(stoa.Invalid, "secret %.100q: names that begin with %s are taken", name, p)
		}
	}
	switch upper {
	case "PATH", "HOME", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY":
		return stoa.Errorf(stoa.Invalid, "secret %.100q: this name is taken", name)
	}
	return nil
}

// Set keeps a secret of an algorithm, in the place of one of that name.
func (v *Vault) Set(ctx context.Context, ref stoa.Ref, name, value, by string, now time.Time) error { //nolint:revive // what there is to say of a secret
	if err := checkName(name); err != nil {
		return err
	}
	switch {
	case value == "":
		return stoa.Errorf(stoa.Invalid, "secret %s: the value is empty; to end a secret, remove it", name)
	case len(value) > MaxValue:
		return stoa.Errorf(stoa.TooLarge, "secret %s: the value has %d bytes, at most %d", name, len(value), MaxValue)
	case strings.ContainsRune(value, 0):
		return stoa.Errorf(stoa.Invalid, "secret %s: the value holds a NUL, which no environment variable can", name)
	}
	nonce := make([]byte, v.aead.NonceSize())
	_, _ = rand.Read(nonce) // it never fails
	s := Sealed{Name: Name{Name: name, By: by, Set: now.UTC().Truncate(time.Microsecond)}}
	s.Box = v.aead.Seal(nonce, nonce, []byte(value), bound(ref, name))
	if err := v.store.PutSecret(ctx, ref.Key(), s, maxNames); err != nil {
		return err
	}
	v.changed(ref)
	return nil
}

// bound ties a box to its algorithm and name: one that is moved to another row
// opens no more.
func bound(ref stoa.Ref, name string) []byte { return []byte(ref.Key() + "\x00" + name) }

// Names lists the secrets of an algorithm.
func (v *Vault) Names(ctx context.Context, ref stoa.Ref) ([]Name, error) {
	list, err := v.store.Secrets(ctx, ref.Key())
	if err != nil {
		return nil, err
	}
	out := make([]Name, len(list))
	for i, s := range list {
		out[i] = s.Name
	}
	return out, nil
}

// Remove ends a secret.
func (v *Vault) Remove(ctx context.Context, ref stoa.Ref, name string) error {
	if err := v.store.RemoveSecret(ctx, ref.Key(), name); err != nil {
		return err
	}
	v.changed(ref)
	return nil
}

// Env gives the secrets of an algorithm as NAME=VALUE, for a replica and nobody
// else.
func (v *Vault) Env(ctx context.Context, ref stoa.Ref) ([]string, error) {
	list, err := v.store.Secrets(ctx, ref.Key())
	if err != nil {
		return nil, err
	}
	out := make([]string, 0, len(list))
	for _, s := range list {
		n := v.aead.NonceSize()
		if len(s.Box) < n {
			return nil, stoa.Errorf(stoa.Internal, "secret %s of %s is damaged", s.Name.Name, ref)
		}
		value, err := v.aead.Open(nil, s.Box[:n], s.Box[n:], bound(ref, s.Name.Name))
		if err != nil {
			return nil, stoa.Wrap(stoa.Internal, err, "secret %s of %s cannot be opened: was it kept under another key?", s.Name.Name, ref)
		}
		out = append(out, s.Name.Name+"="+string(value))
	}
	return out, nil
}
