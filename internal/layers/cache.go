// Package layers keeps layers unpacked on the machine that runs them: each one
// once, in a folder named by its digest, for as long as somebody holds it and
// then for as long as there is room. A folder is there whole, with the content
// that its digest names, or not at all. Nobody writes into one; whoever mounts it
// mounts it read-only.
package layers

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/blob"
	"github.com/stoa-project/stoa/internal/format/layer"
)

// DefaultBytes is how much a cache holds: some hundred versions whose
// dependencies are of ordinary size.
const DefaultBytes = 20 << 30

// Config says where a cache lies and what it may hold.
type Config struct {
	Dir    string
	Blobs  blob.Store
	Bytes  int64 // what nobody holds is removed above this, the least recently used first; default DefaultBytes
	Limits layer.Limits
	Now    func() time.Time // default time.Now; may be called from many goroutines
	// Boot names the start of the machine. Folders of another start are removed,
	// since what was written just before a power failure may be there in name only:
	// to unpack again is cheaper than to flush each file. "" asks the system.
	Boot string
}

// Cache unpacks layers. Below Config.Dir:
//
//	DIR/aabb…         a layer, by its digest; read-only by agreement, mode 0755
//	DIR/.unpacking-…  one on its way in (see layer.Temporary)
//	DIR/.removing-…   one on its way out
//	DIR/boot          the start of the machine that all of this is of
//
// A layer's life: unpacking → held → idle → held … → removed. Only an idle one is
// removed. One process at a time may have a folder open as a Cache.
type Cache struct {
	cfg     Config
	mu      sync.Mutex
	entries map[blob.Digest]*entry
	bytes   int64 // of those that are unpacked
}

type entry struct {
	done chan struct{} // closed when unpacking ended, well or not
	err  error         // how; read after done
	size int64
	held int       // by how many; guarded by Cache.mu, like the next
	used time.Time // when last held
}

const (
	removing = ".removing-"
	bootFile = "boot"
)

// New opens the cache in cfg.Dir, which it makes where it is missing. Whole
// layers of an earlier process are kept; those half unpacked and those whose blob
// is gone are removed. Replicas that an earlier process left running hold nothing
// until Path is called for them: call it before anything else is.
func New(ctx context.Context, cfg Config) (*Cache, error) {
	if cfg.Bytes == 0 {
		cfg.Bytes = DefaultBytes
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Boot == "" {
		b, _ := os.ReadFile("/proc/sys/kernel/random/boot_id") // not there: nothing is kept
		cfg.Boot = strings.TrimSpace(string(b))
	}
	c := &Cache{cfg: cfg, entries: map[blob.Digest]*entry{}}
	if err := os.MkdirAll(cfg.Dir, 0o755); err != nil {
		return nil, blob.WriteError(err)
	}
	list, err := os.ReadDir(cfg.Dir)
	if err != nil {
		return nil, stoa.Wrap(stoa.Internal, err, "the folder of unpacked layers cannot be read")
	}
	marker := filepath.Join(cfg.Dir, bootFile)
	last, _ := os.ReadFile(marker) // not there: of no start
	take := c.remove
	if cfg.Boot != "" && string(last) == cfg.Boot {
		take = c.find
	}
	for _, e := range list {
		if err := take(ctx, e); err != nil {
			return nil, err
		}
	}
	if err := os.WriteFile(marker, []byte(cfg.Boot), 0o600); err != nil { //nolint:gosec // the operator's own folder
		return nil, blob.WriteError(err)
	}
	return c, c.trim()
}

// ours tells a layer of the folder by its name.
func ours(e fs.DirEntry) (d blob.Digest, ok bool) {
	d, err := blob.ParseDigest(e.Name())
	return d, err == nil && e.IsDir()
}

// remove removes an entry of the folder; a stranger's stays.
func (c *Cache) remove(_ context.Context, e fs.DirEntry) error {
	_, ok := ours(e)
	if ok || strings.HasPrefix(e.Name(), layer.Temporary) || strings.HasPrefix(e.Name(), removing) {
		return remove(filepath.Join(c.cfg.Dir, e.Name()))
	}
	return nil
}

// find takes a layer of the folder over; what is none goes the way of remove.
func (c *Cache) find(ctx context.Context, e fs.DirEntry) error {
	d, ok := ours(e)
	if !ok {
		return c.remove(ctx, e)
	}
	size, err := c.cfg.Blobs.Size(ctx, d)
	if err != nil {
		if stoa.KindOf(err) == stoa.NotFound {
			return c.remove(ctx, e)
		}
		return err
	}
	info, err := e.Info()
	if err != nil {
		return stoa.Wrap(stoa.Internal, err, "an unpacked layer cannot be read")
	}
	done := make(chan struct{})
	close(done)
	c.entries[d] = &entry{done: done, size: size, used: info.ModTime()}
	c.bytes += size
	return nil
}

func remove(path string) error {
	if err := os.RemoveAll(path); err != nil {
		return stoa.Wrap(stoa.Internal, err, "an unpacked layer cannot be removed")
	}
	return nil
}

// Path gives the folder of a layer, which is unpacked first where it is not
// there. It stays until release was called, once or more often. Many at once
// wait for the first; where that one is given up, another goes on in its place.
func (c *Cache) Path(ctx context.Context, f blob.File) (dir string, release func(), err error) {
	if _, err := blob.ParseDigest(string(f.Digest)); err != nil {
		return "", nil, err
	}
	for {
		e, first := c.enter(f.Digest)
		if first {
			e.size, e.err = c.unpack(ctx, f.Digest)
			c.unpacked(f.Digest, e)
		}
		select {
		case <-e.done:
		case <-ctx.Done():
			c.leave(e)
			return "", nil, stoa.AsError(ctx.Err())
		}
		if e.err == nil {
			// What is over the bound and cannot be removed is tried again next time: this
			// layer is there all the same.
			_ = c.trim()
			return c.path(f.Digest), sync.OnceFunc(func() { c.release(f.Digest, e) }), nil
		}
		c.leave(e)
		if k := stoa.KindOf(e.err); first || (k != stoa.Canceled && k != stoa.Timeout) {
			return "", nil, e.err
		}
	}
}

func (c *Cache) path(d blob.Digest) string { return filepath.Join(c.cfg.Dir, string(d)) }

func (c *Cache) enter(d blob.Digest) (e *entry, first bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e = c.entries[d]
	if e == nil {
		e, first = &entry{done: make(chan struct{})}, true
		c.entries[d] = e
	}
	e.held++
	return e, first
}

func (c *Cache) leave(e *entry) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e.held--
	e.used = c.cfg.Now()
}

// release ends a hold. The folder's time tells the next process when.
func (c *Cache) release(d blob.Digest, e *entry) {
	now := c.cfg.Now()
	_ = os.Chtimes(c.path(d), now, now) // it serves the order of removal only
	c.leave(e)
}

func (c *Cache) unpacked(d blob.Digest, e *entry) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e.err != nil {
		delete(c.entries, d)
	} else {
		c.bytes += e.size
	}
	close(e.done)
}

func (c *Cache) unpack(ctx context.Context, d blob.Digest) (int64, error) {
	src, err := c.cfg.Blobs.Open(ctx, d)
	if err != nil {
		return 0, err
	}
	defer src.Close()
	r := newChecked(src, d)
	if _, err := layer.Unpack(ctx, r, c.path(d), c.cfg.Limits); err != nil {
		e := stoa.AsError(err)
		return 0, &stoa.Error{Kind: e.Kind, Err: err, Msg: "the layer " + string(d[:12]) + " cannot be unpacked: " + e.Msg}
	}
	return r.n, nil
}

// Sweep removes what nobody holds and keep does not want.
func (c *Cache) Sweep(keep func(blob.Digest) bool) error {
	var errs []error
	for d, e := range c.idle() {
		if !keep(d) {
			errs = append(errs, c.drop(d, e))
		}
	}
	return errors.Join(errs...)
}

// idle gives what nobody holds now.
func (c *Cache) idle() map[blob.Digest]*entry {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := map[blob.Digest]*entry{}
	for d, e := range c.entries {
		if e.held == 0 {
			out[d] = e
		}
	}
	return out
}

// trim removes the least recently used of what nobody holds until the rest is
// within the bound. What is held stays, though it be more than that.
func (c *Cache) trim() error {
	for {
		d, e := c.oldest()
		if e == nil {
			return nil
		}
		if err := c.drop(d, e); err != nil {
			return err
		}
	}
}

func (c *Cache) oldest() (d blob.Digest, e *entry) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.bytes <= c.cfg.Bytes {
		return "", nil
	}
	for k, x := range c.entries {
		if x.held == 0 && (e == nil || x.used.Before(e.used)) {
			d, e = k, x
		}
	}
	return d, e
}

// drop removes a layer that nobody holds. It loses its name first, so that it is
// never there in part.
func (c *Cache) drop(d blob.Digest, e *entry) error {
	c.mu.Lock()
	if e.held > 0 || c.entries[d] != e {
		c.mu.Unlock()
		return nil
	}
	// A name of its own, for one that could not be removed may lie there still.
	to := filepath.Join(c.cfg.Dir, removing+string(d)+"-"+c.cfg.Now().UTC().Format("150405.000000000"))
	err := os.Rename(c.path(d), to)
	if err == nil || errors.Is(err, fs.ErrNotExist) {
		delete(c.entries, d)
		c.bytes -= e.size
	}
	c.mu.Unlock()
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return stoa.Wrap(stoa.Internal, err, "an unpacked layer cannot be removed")
	}
	return remove(to)
}
