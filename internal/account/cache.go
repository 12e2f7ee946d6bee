package account

import (
	"crypto/sha256"
	"sync"

	"github.com/stoa-project/stoa"
)

// cacheLen bounds the keys that are remembered: about 200 bytes each, so under
// a megabyte. Keys that do not exist are never remembered.
const cacheLen = 4096

// cache remembers who holds a key. Its epoch makes a revocation seen at once: a
// look-up in the store that began before a drop may not be remembered after it.
type cache struct {
	mu    sync.RWMutex
	known map[[sha256.Size]byte]stoa.Caller
	epoch uint64
}

// get gives the holder, or the epoch with which to put him.
func (c *cache) get(sum [sha256.Size]byte) (stoa.Caller, uint64, bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	who, ok := c.known[sum]
	return who, c.epoch, ok
}

func (c *cache) put(sum [sha256.Size]byte, who stoa.Caller, epoch uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if epoch != c.epoch {
		return
	}
	if c.known == nil {
		c.known = map[[sha256.Size]byte]stoa.Caller{}
	}
	for old := range c.known {
		if len(c.known) < cacheLen {
			break
		}
		delete(c.known, old) // any: which one makes no difference that can be seen
	}
	c.known[sum] = who
}

// drop forgets a key by its id.
func (c *cache) drop(id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.epoch++
	for sum, who := range c.known {
		if who.Key == id {
			delete(c.known, sum)
		}
	}
}
