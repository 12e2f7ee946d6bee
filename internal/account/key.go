package account

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"unicode"
	"unicode/utf8"
)

// A key is "sim" and 25 letters and digits: Algorithmia's clients insist on the
// three letters and on 28 characters. 62^25 is close to 149 bits, so that a
// plain SHA-256 without salt is enough to store it by.
const (
	keyStart  = "sim"
	keyLen    = 28
	prefixLen = 8 // of a key, shown in listings: 5 random characters of 25
	alphabet  = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
)

// newKey makes a key from the system's random numbers, which never fail.
func newKey() string {
	key := make([]byte, 0, keyLen)
	key = append(key, keyStart...)
	var b [64]byte
	for {
		rand.Read(b[:])
		for _, c := range b {
			if int(c) >= 4*len(alphabet) { // 248 of 256: else the first letters would come more often
				continue
			}
			key = append(key, alphabet[int(c)%len(alphabet)])
			if len(key) == keyLen {
				return string(key)
			}
		}
	}
}

// newID makes the id of a key: 80 random bits.
func newID() string {
	var b [10]byte
	rand.Read(b[:])
	return hex.EncodeToString(b[:])
}

// wellFormed tells whether s can be a key at all. That says nothing secret, and
// keeps what cannot be a key away from the store.
func wellFormed(s string) bool {
	if len(s) != keyLen || s[:len(keyStart)] != keyStart {
		return false
	}
	for i := len(keyStart); i < keyLen; i++ {
		c := s[i]
		if (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') {
			return false
		}
	}
	return true
}

// hash gives the SHA-256 of a well-formed key, without allocating.
func hash(key string) [sha256.Size]byte {
	var b [keyLen]byte
	copy(b[:], key)
	return sha256.Sum256(b[:])
}

func hexHash(sum [sha256.Size]byte) string { return hex.EncodeToString(sum[:]) }

func isControl(r rune) bool { return unicode.IsControl(r) || r == utf8.RuneError }
