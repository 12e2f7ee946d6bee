package logbook

import (
	"context"
	"fmt"
	"slices"

	"github.com/stoa-project/stoa"
)

// maxWaiting bounds what waits for a follower: one that is slower than the log
// misses entries, and is told how many.
const maxWaiting = 4096

// Follower hears of an algorithm's entries as they come. Close must follow.
type Follower struct {
	book *Book
	key  string
	wake chan struct{} // holds a token while there is something to take

	// Guarded by book.mu.
	waiting []Entry
	missed  int
}

// Follow begins to listen: nothing that is added from now on is missed.
func (b *Book) Follow(ref stoa.Ref) *Follower {
	f := &Follower{book: b, key: plain(ref).Key(), wake: make(chan struct{}, 1)}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.followers[f.key] = append(b.followers[f.key], f)
	return f
}

// push gives a follower entries. The caller holds book.mu.
func (f *Follower) push(entries []Entry) {
	room := maxWaiting - len(f.waiting)
	if len(entries) > room {
		f.missed += len(entries) - room
		entries = entries[:room]
	}
	f.waiting = append(f.waiting, entries...)
	select {
	case f.wake <- struct{}{}:
	default:
	}
}

// Next waits for entries; its error is the context's.
func (f *Follower) Next(ctx context.Context) ([]Entry, error) {
	select {
	case <-f.wake:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	f.book.mu.Lock()
	defer f.book.mu.Unlock()
	out := f.waiting
	if f.missed > 0 {
		out = append(out, Entry{Time: f.book.cfg.Now().UTC(), Stream: System, Text: fmt.Sprintf("%d entries came faster than they were read, and are not shown here\n", f.missed)})
	}
	f.waiting, f.missed = nil, 0
	return out, nil
}

// Close ends listening.
func (f *Follower) Close() {
	f.book.mu.Lock()
	defer f.book.mu.Unlock()
	list := f.book.followers[f.key]
	if i := slices.Index(list, f); i >= 0 {
		list = slices.Delete(list, i, i+1)
	}
	if len(list) == 0 {
		delete(f.book.followers, f.key)
		return
	}
	f.book.followers[f.key] = list
}
