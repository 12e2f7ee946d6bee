package catalog

import (
	"sync"

	"github.com/stoa-project/stoa"
)

// cacheBytes bounds what is remembered of versions, by about the memory they
// take: 8 MiB is some thousand versions, beside an idle server of 40.
const cacheBytes = 8 << 20

// cache remembers the versions of algorithms, by owner/name in lower case and by
// UUID. What does not exist is not remembered. Its epoch makes a change seen at
// once: what was read from the Store before a drop may not be put after it.
type cache struct {
	mu    sync.RWMutex
	known map[string]*entry
	bytes int
	epoch uint64
}

// entry is one algorithm, in the map under both keys.
type entry struct {
	versions  []*Version
	key, uuid string
	bytes     int
}

// get gives the versions, or the epoch with which to put them.
func (c *cache) get(key []byte) ([]*Version, uint64, bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	if e := c.known[string(key)]; e != nil {
		return e.versions, c.epoch, true
	}
	return nil, c.epoch, false
}

func (c *cache) put(vs []*Version, epoch uint64) {
	e := &entry{versions: vs, key: keyOf(vs[0]), uuid: vs[0].Algorithm}
	for _, v := range vs {
		e.bytes += 512 + len(v.Manifest) + len(v.Report) + len(v.Tagline)
		for _, f := range v.Files {
			e.bytes += 128 + len(f.Name)
		}
		for _, f := range v.Built {
			e.bytes += 128 + len(f.Name)
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if epoch != c.epoch {
		return
	}
	c.remove(c.known[e.key])
	// The new one is kept even where it alone is over the bound: it is in use.
	for _, old := range c.known {
		if c.bytes+e.bytes <= cacheBytes {
			break
		}
		c.remove(old)
	}
	if c.known == nil {
		c.known = map[string]*entry{}
	}
	c.known[e.key], c.known[e.uuid] = e, e
	c.bytes += e.bytes
}

// drop forgets the algorithm of a version.
func (c *cache) drop(v *Version) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.epoch++
	c.remove(c.known[keyOf(v)])
}

func (c *cache) remove(e *entry) {
	if e == nil || c.known[e.key] != e {
		return
	}
	delete(c.known, e.key)
	delete(c.known, e.uuid)
	c.bytes -= e.bytes
}

func keyOf(v *Version) string { return stoa.Ref{Owner: v.Owner, Name: v.Name}.Key() }
