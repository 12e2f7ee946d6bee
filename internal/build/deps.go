package build

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"hash"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/blob"
	"github.com/stoa-project/stoa/internal/format/layer"
)

// store keeps dependency layers by their key:
//
//	DIR/KEY.json   what is kept: digest and size of the layer; its time is the last use
//	DIR/KEY.tar    the layer; not there where it is empty
//	DIR/.new-…     one on its way in
//
// An entry is there when its index is. What does not fit its index is dropped and
// made anew.
type store struct {
	dir   string
	bytes int64 // the least recently used go above this
	now   func() time.Time
	mu    sync.Mutex // of trim
}

// index says what is kept under a key.
type index struct {
	Digest blob.Digest `json:"sha256,omitempty"` // "" where the step made nothing
	Size   int64       `json:"size"`
}

const newFile = ".new-"

func newStore(dir string, bytes int64, now func() time.Time) (*store, error) {
	s := &store{dir: dir, bytes: bytes, now: now}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, blob.WriteError(err)
	}
	list, err := os.ReadDir(dir)
	if err != nil {
		return nil, stoa.Wrap(stoa.Internal, err, "the cache of dependencies cannot be read")
	}
	for _, e := range list {
		if strings.HasPrefix(e.Name(), newFile) || s.orphan(e.Name()) {
			if err := os.Remove(s.path(e.Name())); err != nil {
				return nil, blob.WriteError(err)
			}
		}
	}
	return s, nil
}

// orphan tells a layer that has no index: the server ended between the two.
func (s *store) orphan(name string) bool {
	key, ok := strings.CutSuffix(name, ".tar")
	if !ok {
		return false
	}
	_, err := os.Lstat(s.path(key + ".json"))
	return errors.Is(err, fs.ErrNotExist)
}

func (s *store) path(name string) string { return filepath.Join(s.dir, name) }

// get brings the layer of a key to the file path, and its content, checked, to
// the folder deps. ok is false where there is none, or it is damaged.
func (s *store) get(ctx context.Context, key, path, deps string) (x index, ok bool, err error) {
	b, err := os.ReadFile(s.path(key + ".json"))
	if err != nil || json.Unmarshal(b, &x) != nil {
		return index{}, false, nil //nolint:nilerr // made anew
	}
	now := s.now()
	_ = os.Chtimes(s.path(key+".json"), now, now) // the order of removal is all that it serves
	if x.Digest == "" {
		return x, true, nil
	}
	err = copyOrLink(ctx, s.path(key+".tar"), path)
	if err == nil {
		err = unpack(ctx, path, x, deps)
	}
	if err == nil {
		return x, true, nil
	}
	_ = os.Remove(path) // it may not be there
	if k := stoa.KindOf(err); k == stoa.Canceled || k == stoa.Timeout || k == stoa.NoRoom {
		return index{}, false, err
	}
	s.drop(key)
	return index{}, false, nil
}

func (s *store) drop(key string) {
	_ = os.Remove(s.path(key + ".json")) // what stays is replaced
	_ = os.Remove(s.path(key + ".tar"))
}

// put keeps a layer, or that there is none.
func (s *store) put(ctx context.Context, key, path string, x index) error {
	if x.Digest != "" {
		tmp := s.path(newFile + rand.Text())
		err := copyOrLink(ctx, path, tmp)
		if err == nil {
			err = os.Rename(tmp, s.path(key+".tar"))
		}
		if err != nil {
			_ = os.Remove(tmp)
			return blob.WriteError(err)
		}
	}
	b, err := json.Marshal(x)
	if err != nil {
		return stoa.Wrap(stoa.Internal, err, "a dependency layer cannot be kept")
	}
	tmp := s.path(newFile + rand.Text())
	if err := os.WriteFile(tmp, b, 0o600); err != nil {
		_ = os.Remove(tmp)
		return blob.WriteError(err)
	}
	if err := os.Rename(tmp, s.path(key+".json")); err != nil {
		return blob.WriteError(err)
	}
	return s.trim()
}

// trim removes the least recently used above the bound. A layer that somebody is
// reading goes on for him: it has another name in his folder.
func (s *store) trim() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	type kept struct {
		key  string
		size int64
		used time.Time
	}
	list, err := os.ReadDir(s.dir)
	if err != nil {
		return stoa.Wrap(stoa.Internal, err, "the cache of dependencies cannot be read")
	}
	var all []kept
	var sum int64
	for _, e := range list {
		key, ok := strings.CutSuffix(e.Name(), ".json")
		info, err := e.Info()
		if !ok || err != nil {
			continue
		}
		k := kept{key: key, used: info.ModTime()}
		if info, err := os.Stat(s.path(key + ".tar")); err == nil {
			k.size = info.Size()
		}
		sum += k.size
		all = append(all, k)
	}
	slices.SortFunc(all, func(a, b kept) int { return a.used.Compare(b.used) })
	for _, k := range all {
		if sum <= s.bytes {
			break
		}
		s.drop(k.key)
		sum -= k.size
	}
	return nil
}

// copyOrLink gives a file another name, or makes a copy where the folders lie on
// two file systems. Neither is ever written to.
func copyOrLink(ctx context.Context, from, to string) error {
	err := os.Link(from, to)
	if err == nil || errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrExist) {
		return err
	}
	src, err := os.Open(from)
	if err != nil {
		return err
	}
	defer src.Close()
	dst, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, _, err = blob.Copy(ctx, dst, src, -1)
	if cerr := dst.Close(); err == nil {
		err = cerr
	}
	return err
}

// pack makes a layer of a folder in the file path.
func pack(ctx context.Context, dir, path string, l layer.Limits) (index, layer.Summary, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return index{}, layer.Summary{}, blob.WriteError(err)
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return index{}, layer.Summary{}, blob.WriteError(err)
	}
	h := &hashing{w: f, sum: sha256.New()}
	s, err := layer.Pack(ctx, dir, h, l)
	if cerr := f.Close(); err == nil {
		err = blob.WriteError(cerr)
	}
	return index{Digest: h.digest(), Size: h.n}, s, err
}

// unpack makes a folder of a layer, where its content is what the index says.
func unpack(ctx context.Context, path string, x index, dir string) error {
	f, err := os.Open(path)
	if err != nil {
		return stoa.Wrap(stoa.Internal, err, "a dependency layer cannot be read")
	}
	defer f.Close()
	h := &hashing{r: f, sum: sha256.New()}
	if _, err := layer.Unpack(ctx, h, dir, layer.Limits{}); err != nil {
		return err
	}
	if h.digest() != x.Digest {
		return errors.Join(stoa.Errorf(stoa.Internal, "a dependency layer is damaged"), removeAll(dir))
	}
	return nil
}

// hashing takes the digest of what goes through it.
type hashing struct {
	w   io.Writer
	r   io.Reader
	sum hash.Hash
	n   int64
}

func (h *hashing) Write(b []byte) (int, error) {
	n, err := h.w.Write(b)
	h.take(b[:n])
	return n, err
}

func (h *hashing) Read(b []byte) (int, error) {
	n, err := h.r.Read(b)
	h.take(b[:n])
	return n, err
}

func (h *hashing) take(b []byte) {
	h.sum.Write(b)
	h.n += int64(len(b))
}

func (h *hashing) digest() blob.Digest { return blob.Digest(hex.EncodeToString(h.sum.Sum(nil))) }

// platform is what a compiled dependency is made for.
const platform = runtime.GOOS + "/" + runtime.GOARCH

// locks let one at a time do something under a name.
type locks struct {
	mu   sync.Mutex
	held map[string]chan struct{} // closed when it is free again
}

// take waits for a name. release gives it back.
func (l *locks) take(ctx context.Context, name string) (release func(), err error) {
	for {
		l.mu.Lock()
		c := l.held[name]
		if c == nil {
			c = make(chan struct{})
			if l.held == nil {
				l.held = map[string]chan struct{}{}
			}
			l.held[name] = c
			l.mu.Unlock()
			return func() {
				l.mu.Lock()
				delete(l.held, name)
				l.mu.Unlock()
				close(c)
			}, nil
		}
		l.mu.Unlock()
		select {
		case <-c:
		case <-ctx.Done():
			return nil, stoa.AsError(ctx.Err())
		}
	}
}
