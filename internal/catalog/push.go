package catalog

import (
	"context"
	"crypto/rand"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/blob"
	"github.com/stoa-project/stoa/internal/manifest"
)

// A push that nothing was done with for pushLife is dropped, and an account has
// at most maxOpen pushes open.
const (
	pushLife = time.Hour
	maxOpen  = 32
)

// push is an open push. Its life:
//
//	open      in Catalog.pushes; uploads enter and leave
//	ended     by commit, abort, a full disk, or age: not in pushes, nobody enters
//	cleaned   ended, and the last one has left: its folder and pins are gone.
type push struct {
	*bundle
	id      string
	account string
	dir     string                // DIR/blobs/… what was uploaded
	sizes   map[blob.Digest]int64 // of all files
	lacking map[blob.Digest]bool  // what the server lacked at the beginning

	// Guarded by Catalog.mu.
	staged  map[blob.Digest]bool
	inside  int // uploads and commits at work
	ended   bool
	touched time.Time

	built []blob.File // written by the commit alone
}

func (p *push) stagedPath(d blob.Digest) string { return filepath.Join(p.dir, "blobs", string(d)) }

// BeginPush checks everything that can be checked before a byte is uploaded:
// the manifest, the names and sizes of the files, that the caller may publish
// there. A blob counts as lacking, though the server has it, where no version
// that the caller may see holds it: who knows a digest alone gets no content.
func (c *Catalog) BeginPush(ctx context.Context, who stoa.Caller, r PushRequest) (Push, error) {
	c.dropOld(ctx)
	b, err := newBundle(who, r, c.cfg.MaxBytes)
	if err != nil {
		return Push{}, err
	}
	p := &push{
		bundle: b, id: rand.Text(), account: who.Account,
		sizes: map[blob.Digest]int64{}, lacking: map[blob.Digest]bool{}, staged: map[blob.Digest]bool{},
		touched: c.cfg.Now(),
	}
	p.dir = filepath.Join(c.cfg.Staging, p.id)
	for _, f := range b.files {
		p.sizes[f.Digest] = f.Size
	}
	c.pins.add(digests(b.files))
	missing, err := c.missing(ctx, who, p)
	if err == nil {
		err = blob.WriteError(os.MkdirAll(filepath.Join(p.dir, "blobs"), 0o700))
	}
	if err == nil {
		err = c.open(p)
	}
	if err != nil {
		c.clean(ctx, p)
		return Push{}, err
	}
	return Push{ID: p.id, Ref: p.ref().String(), Missing: missing}, nil
}

// missing finds what the push must bring, in the order of its files.
func (c *Catalog) missing(ctx context.Context, who stoa.Caller, p *push) ([]blob.Digest, error) {
	hs, err := c.cfg.Store.Holders(ctx, digests(p.files))
	if err != nil {
		return nil, err
	}
	held := map[blob.Digest]bool{}
	for _, h := range hs {
		if h.Public || sightOf(who, h.Owner) == everything {
			held[h.Digest] = true
		}
	}
	out := []blob.Digest{}
	asked := map[blob.Digest]bool{}
	for _, f := range p.files {
		if f.Name == manifest.FileName {
			asked[f.Digest] = true // its text came with the request
		}
	}
	for _, f := range p.files {
		if asked[f.Digest] {
			continue
		}
		asked[f.Digest] = true
		if held[f.Digest] {
			size, err := c.cfg.Blobs.Size(ctx, f.Digest)
			switch {
			case err == nil && size != f.Size:
				return nil, stoa.Errorf(stoa.Invalid, "file %.120q: size %d is not that of its content", f.Name, f.Size)
			case err == nil:
				continue
			case stoa.KindOf(err) != stoa.NotFound: // lost: the push brings it back
				return nil, err
			}
		}
		p.lacking[f.Digest] = true
		out = append(out, f.Digest)
	}
	return out, nil
}

func (c *Catalog) open(p *push) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := 0
	for _, other := range c.pushes {
		if other.account == p.account {
			n++
		}
	}
	if n >= maxOpen {
		return &stoa.Error{
			Kind: stoa.Busy, RetryAfter: time.Minute,
			Msg: "you have too many pushes open: let them end first; one that is left alone ends after an hour",
		}
	}
	c.pushes[p.id] = p
	return nil
}

// dropOld ends the pushes that nobody does anything with.
func (c *Catalog) dropOld(ctx context.Context) {
	now := c.cfg.Now()
	var old []*push
	c.mu.Lock()
	for _, p := range c.pushes {
		if p.expired(now) {
			old = append(old, p)
		}
	}
	c.mu.Unlock()
	for _, p := range old {
		c.end(ctx, p)
	}
}

func (p *push) expired(now time.Time) bool { return p.inside == 0 && now.Sub(p.touched) > pushLife }

// enter finds an open push of the caller and keeps its folder until leave.
func (c *Catalog) enter(who stoa.Caller, id string) (*push, error) {
	now := c.cfg.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	p := c.pushes[id]
	if p == nil || p.account != who.Account || p.expired(now) {
		return nil, stoa.Errorf(stoa.NotFound, "there is no open push %.40q of yours: it was committed or dropped; push again", id)
	}
	p.inside++
	p.touched = now
	return p, nil
}

func (c *Catalog) leave(ctx context.Context, p *push) {
	now := c.cfg.Now()
	c.mu.Lock()
	p.inside--
	p.touched = now
	last := p.ended && p.inside == 0
	c.mu.Unlock()
	if last {
		c.clean(ctx, p)
	}
}

// end closes a push to everybody. Its folder goes now, or with the last who is
// inside. A second end does nothing. It gives how many are inside.
func (c *Catalog) end(ctx context.Context, p *push) int {
	c.mu.Lock()
	was, inside := p.ended, p.inside
	p.ended = true
	delete(c.pushes, p.id)
	c.mu.Unlock()
	if !was && inside == 0 {
		c.clean(ctx, p)
	}
	return inside
}

// clean removes what a push left behind: its folder, its pins, and the blobs
// that it brought and no version uses. What cannot be removed now is by the next
// start and Sweep, so that the errors say nothing to the caller.
func (c *Catalog) clean(ctx context.Context, p *push) {
	_ = os.RemoveAll(p.dir)
	ds := digests(p.files, p.built)
	c.pins.drop(ds)
	_ = c.release(context.WithoutCancel(ctx), ds)
}

// PutBlob takes one of the missing blobs of a push. One that is there already
// is not read. After an error nothing of the blob is kept; a full disk ends the
// push, so that the room it took is free again.
func (c *Catalog) PutBlob(ctx context.Context, who stoa.Caller, push string, d blob.Digest, r io.Reader) error {
	p, err := c.enter(who, push)
	if err != nil {
		return err
	}
	defer c.leave(ctx, p)
	size, ok := p.sizes[d]
	if !ok {
		return stoa.Errorf(stoa.Invalid, "blob %.64s is none of the files of this push", d)
	}
	if !p.lacking[d] || c.isStaged(p, d) {
		return nil
	}
	err = p.stage(ctx, d, &openReader{c, p, r}, size)
	if err != nil {
		e := *stoa.AsError(err)
		e.Msg = p.fileOf(d) + ": " + e.Msg
		if e.Kind == stoa.NoRoom {
			c.end(ctx, p)
		}
		return &e
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if p.ended {
		return droppedMeanwhile()
	}
	p.staged[d] = true
	return nil
}

func droppedMeanwhile() error {
	return stoa.Errorf(stoa.Conflict, "the push was dropped meanwhile")
}

func (c *Catalog) isStaged(p *push, d blob.Digest) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return p.staged[d]
}

func (c *Catalog) hasEnded(p *push) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return p.ended
}

// openReader reads on while the push is open.
type openReader struct {
	c *Catalog
	p *push
	r io.Reader
}

func (o *openReader) Read(b []byte) (int, error) {
	if o.c.hasEnded(o.p) {
		return 0, droppedMeanwhile()
	}
	return o.r.Read(b)
}

// fileOf gives the name of a file of that content.
func (p *push) fileOf(d blob.Digest) string {
	for _, f := range p.files {
		if f.Digest == d {
			return f.Name
		}
	}
	return string(d)
}

// stage writes a blob into the push's folder, whole or not at all.
func (p *push) stage(ctx context.Context, d blob.Digest, r io.Reader, size int64) error {
	f, err := os.CreateTemp(p.dir, "part-*")
	if err != nil {
		return blob.WriteError(err)
	}
	defer os.Remove(f.Name()) // after a rename there is nothing left to remove
	got, n, err := blob.Copy(ctx, f, r, size)
	if cerr := f.Close(); err == nil {
		err = blob.WriteError(cerr)
	}
	switch {
	case err != nil:
		return err
	case n != size:
		return stoa.Errorf(stoa.Invalid, "%d bytes came, %d were declared", n, size)
	case got != d:
		return stoa.Errorf(stoa.Invalid, "the content's SHA-256 is %s, not %s as declared", got, d)
	}
	return blob.WriteError(os.Rename(f.Name(), p.stagedPath(d)))
}

// AbortPush forgets a push and what was uploaded for it.
func (c *Catalog) AbortPush(ctx context.Context, who stoa.Caller, push string) error {
	p, err := c.enter(who, push)
	if err != nil {
		return err
	}
	defer c.leave(ctx, p)
	c.end(ctx, p)
	return nil
}

// lacks names the files that were not uploaded.
func (c *Catalog) lacks(p *push) []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var names []string
	for _, f := range p.files {
		if p.lacking[f.Digest] && !p.staged[f.Digest] {
			names = append(names, f.Name+" ("+strings.ToLower(string(f.Digest[:12]))+"…)")
		}
	}
	return names
}
