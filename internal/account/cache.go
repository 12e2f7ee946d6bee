package account

import (
	"crypto/sha256"
	"sync"
	"time"

	"github.com/stoa-project/stoa"
)

// cacheLen bounds the keys and sessions that are remembered: about 200 bytes
// each, so under a megabyte. Those that do not exist are never remembered.
const cacheLen = 4096

// holder is who holds a key or a session; expires is a session's.
type holder struct {
	who     stoa.Caller
	expires time.Time
}

// cache remembers who holds a key or a session, under the SHA-256 of it. Its epoch makes a revocation seen at once: a
// look-up in the store that began before a drop may not be remembered after it.
type cache struct {
	mu    sync.RWMutex
	known map[[sha256.Size]byte]holder
	epoch uint64
}

// get gives the holder, or the epoch with which to put him.
func (c *cache) get(sum [sha256.Size]byte) (holder, uint64, bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	h, ok := c.known[sum]
	return h, c.epoch, ok
}

func (c *cache) put(sum [sha256.Size]byte, h holder, epoch uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if epoch != c.epoch {
		return
	}
	if c.known == nil {
		c.known = map[[sha256.Size]byte]holder{}
	}
	for old := range c.known {
		if len(c.known) < cacheLen {
			break
		}
		delete(c.known, old) // any: which one makes no difference that can be seen
	}
	c.known[sum] = h
}

// drop forgets a key by its id, and the sessions that were made with it.
func (c *cache) drop(id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.epoch++
	for sum, h := range c.known {
		if h.who.Key == id {
			delete(c.known, sum)
		}
	}
}

// forget forgets one session.
func (c *cache) forget(sum [sha256.Size]byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.epoch++
	delete(c.known, sum)
}
