package catalog

import (
	"context"
	"slices"
	"sync"

	"github.com/stoa-project/stoa/internal/blob"
)

// pins counts the open pushes that need a blob. A blob is deleted only under the
// lock, after the Store said that no version holds it, and only where none is
// pinned: a push that pins before it asks what is there can rely on the answer.
type pins struct {
	mu sync.Mutex
	n  map[blob.Digest]int
}

func (p *pins) add(ds []blob.Digest) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.n == nil {
		p.n = map[blob.Digest]int{}
	}
	for _, d := range ds {
		p.n[d]++
	}
}

func (p *pins) drop(ds []blob.Digest) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, d := range ds {
		if p.n[d]--; p.n[d] <= 0 {
			delete(p.n, d)
		}
	}
}

// digests lists the digests of files.
func digests(files ...[]blob.File) []blob.Digest {
	var ds []blob.Digest
	for _, fs := range files {
		for _, f := range fs {
			ds = append(ds, f.Digest)
		}
	}
	return ds
}

// release deletes those blobs that no version holds and no push needs.
func (c *Catalog) release(ctx context.Context, ds []blob.Digest) error {
	if len(ds) == 0 {
		return nil
	}
	ds = slices.Clone(ds)
	slices.Sort(ds)
	ds = slices.Compact(ds)
	c.pins.mu.Lock()
	defer c.pins.mu.Unlock()
	hs, err := c.cfg.Store.Holders(ctx, ds)
	if err != nil {
		return err
	}
	held := map[blob.Digest]bool{}
	for _, h := range hs {
		held[h.Digest] = true
	}
	for _, d := range ds {
		if held[d] || c.pins.n[d] > 0 {
			continue
		}
		if err := c.cfg.Blobs.Delete(ctx, d); err != nil {
			return err
		}
	}
	return nil
}

// Sweep deletes every blob that no version holds and no open push needs: what a
// server that was killed in the midst of a push left behind. It may run beside
// everything else. The blob store must hold nothing but the catalog's.
func (c *Catalog) Sweep(ctx context.Context) error {
	var all []blob.Digest
	err := c.cfg.Blobs.Walk(ctx, func(d blob.Digest) error {
		all = append(all, d)
		return nil
	})
	if err != nil {
		return err
	}
	// In parts, so that pushes wait for one part at most.
	for part := range slices.Chunk(all, 100) {
		if err := c.release(ctx, part); err != nil {
			return err
		}
	}
	return nil
}
