package build

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/blob"
)

// scratch keeps the folders that builds see as /cache, one for each owner and
// language. What is in one was written by its owner's code, so that no other
// owner's build ever sees it.
//
//	DIR/HASH       the folder; HASH is of owner and language, which may be any text
//	DIR/….old      one on its way out
type scratch struct {
	dir   string
	bytes int64 // of one folder: a larger one is emptied
	most  int   // folders: the least recently used go above this
	now   func() time.Time

	mu   sync.Mutex
	used map[string]int // by how many builds
}

const oldFolder = ".old"

func newScratch(dir string, bytes int64, most int, now func() time.Time) (*scratch, error) {
	s := &scratch{dir: dir, bytes: bytes, most: most, now: now, used: map[string]int{}}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, blob.WriteError(err)
	}
	list, err := os.ReadDir(dir)
	if err != nil {
		return nil, stoa.Wrap(stoa.Internal, err, "the caches of builds cannot be read")
	}
	for _, e := range list {
		if strings.HasSuffix(e.Name(), oldFolder) {
			_ = removeAll(filepath.Join(dir, e.Name())) // what stays goes with the next start
		}
	}
	return s, nil
}

// open gives the folder of an owner and a language, for a build to write to.
func (s *scratch) open(owner, language string) (dir string, done func(ctx context.Context), err error) {
	sum := sha256.Sum256([]byte(owner + "\x00" + language))
	name := hex.EncodeToString(sum[:16])
	dir = filepath.Join(s.dir, name)
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, os.ErrExist) {
		return "", nil, blob.WriteError(err)
	}
	s.used[name]++
	return dir, func(ctx context.Context) { s.close(ctx, name) }, nil
}

// close measures the folder where it was the last build that used it, and makes
// room.
func (s *scratch) close(ctx context.Context, name string) {
	dir := filepath.Join(s.dir, name)
	q := quota{what: "its cache", dirs: []string{dir}, bytes: s.bytes, entries: maxScratchEntries}
	over := q.check(ctx)
	s.mu.Lock()
	s.used[name]--
	now := s.now()
	_ = os.Chtimes(dir, now, now) // the order of removal is all that it serves
	var gone []string
	if s.used[name] == 0 {
		delete(s.used, name)
		if over != nil && stoa.KindOf(over) == stoa.Invalid {
			gone = append(gone, s.retire(name))
		}
	}
	gone = append(gone, s.oldest()...)
	s.mu.Unlock()
	for _, old := range gone {
		if old != "" {
			_ = removeAll(old) // what stays goes with the next start
		}
	}
}

// maxScratchEntries is some ten times what the caches of clients have been seen
// to hold.
const maxScratchEntries = 500_000

// retire takes a folder's name away, so that the next build begins with an empty
// one; "" where that was not to be had, and the next build's end tries again.
func (s *scratch) retire(name string) string {
	old := filepath.Join(s.dir, name+"-"+rand.Text()+oldFolder)
	if os.Rename(filepath.Join(s.dir, name), old) != nil {
		return ""
	}
	return old
}

// oldest retires what is above the bound and nobody uses.
func (s *scratch) oldest() []string {
	list, err := os.ReadDir(s.dir)
	if err != nil {
		return nil
	}
	times := map[string]time.Time{}
	var names []string
	for _, e := range list {
		info, err := e.Info()
		if err == nil && !strings.HasSuffix(e.Name(), oldFolder) {
			names = append(names, e.Name())
			times[e.Name()] = info.ModTime()
		}
	}
	slices.SortFunc(names, func(a, b string) int { return times[a].Compare(times[b]) })
	var gone []string
	for _, n := range names {
		if len(names)-len(gone) <= s.most {
			break
		}
		if s.used[n] == 0 {
			gone = append(gone, s.retire(n))
		}
	}
	return gone
}
