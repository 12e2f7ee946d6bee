// Package logbook keeps what algorithms print, and how their builds went: a file
// of JSON lines for each algorithm and day, for a stated time and up to a stated
// size. Followers hear of entries as they come.
package logbook

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/stoa-project/stoa"
)

// Streams of an entry.
const (
	Stdout = "stdout"
	Stderr = "stderr"
	System = "system" // Stoa's own words: a replica died, lines were skipped
)

// Entry is what was printed on one stream in one call.
type Entry struct {
	Time    time.Time `json:"time"`
	Version string    `json:"version,omitempty"`
	Request string    `json:"request,omitempty"` // id of the call; "" for what belongs to none
	Stream  string    `json:"stream"`
	Text    string    `json:"text"`
}

// Config is what a Book needs. Zero values mean the defaults.
type Config struct {
	Dir  string
	Keep time.Duration    // how long entries are kept, to the day; default 7 days
	Max  int64            // bytes of one algorithm's files of one day; default 64 MiB
	Now  func() time.Time // nil: time.Now
}

// Book is the room.
type Book struct {
	cfg Config

	mu        sync.Mutex
	sizes     map[string]int64 // of today's files, by path
	followers map[string][]*Follower
}

// New makes a Book, and its folder.
func New(cfg Config) (*Book, error) {
	if cfg.Keep == 0 {
		cfg.Keep = 7 * 24 * time.Hour
	}
	if cfg.Max == 0 {
		cfg.Max = 64 << 20
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if err := os.MkdirAll(cfg.Dir, 0o700); err != nil {
		return nil, stoa.Wrap(stoa.Internal, err, "the folder for logs cannot be made: %s", cfg.Dir)
	}
	return &Book{cfg: cfg, sizes: map[string]int64{}, followers: map[string][]*Follower{}}, nil
}

// Keep tells how long entries are kept.
func (b *Book) Keep() time.Duration { return b.cfg.Keep }

const dayFormat = "2006-01-02"

// folder gives the folder of an algorithm. A Ref's owner and name are letters,
// digits and underscores.
func (b *Book) folder(ref stoa.Ref) string {
	return filepath.Join(b.cfg.Dir, strings.ToLower(ref.Owner), strings.ToLower(ref.Name))
}

// Add writes entries of an algorithm, and tells its followers. Entries without a
// text are passed over; one without a time gets the present. Of a day that is
// full only the followers hear.
func (b *Book) Add(ref stoa.Ref, entries ...Entry) error {
	now := b.cfg.Now().UTC()
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	kept := entries[:0:0]
	for _, e := range entries {
		if e.Text == "" {
			continue
		}
		if e.Time.IsZero() {
			e.Time = now
		}
		kept = append(kept, e)
		if err := enc.Encode(e); err != nil {
			return stoa.Wrap(stoa.Internal, err, "the log of %s cannot be written", ref)
		}
	}
	if len(kept) == 0 {
		return nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, f := range b.followers[plain(ref).Key()] {
		f.push(kept)
	}
	return b.write(ref, now, out.Bytes())
}

func plain(ref stoa.Ref) stoa.Ref { return stoa.Ref{Owner: ref.Owner, Name: ref.Name} }

// write appends to today's file. The caller holds mu.
func (b *Book) write(ref stoa.Ref, now time.Time, data []byte) error {
	path := filepath.Join(b.folder(ref), now.Format(dayFormat)+".jsonl")
	size, known := b.sizes[path]
	if !known {
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return stoa.Wrap(stoa.Internal, err, "the log of %s cannot be written", ref)
		}
		if st, err := os.Stat(path); err == nil {
			size = st.Size()
			data = append([]byte("\n"), data...) // a crash may have cut the last line short
		}
	}
	if size+int64(len(data)) > b.cfg.Max {
		b.sizes[path] = b.cfg.Max
		return nil
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return stoa.Wrap(stoa.Internal, err, "the log of %s cannot be written", ref)
	}
	_, err = f.Write(data)
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return stoa.Wrap(stoa.Internal, err, "the log of %s cannot be written", ref)
	}
	b.sizes[path] = size + int64(len(data))
	return nil
}

// Query says which entries are wanted.
type Query struct {
	Since   time.Time // none before; zero: all
	Version string    // of this version only; "": of all
	Tail    int       // the last so many; 0: all
}

func (q Query) wants(e Entry) bool {
	return !e.Time.Before(q.Since) && (q.Version == "" || e.Version == q.Version)
}

// maxTail bounds what an answer holds.
const maxTail = 100_000

// Read gives the kept entries of an algorithm, the oldest first.
func (b *Book) Read(ctx context.Context, ref stoa.Ref, q Query) ([]Entry, error) {
	if q.Tail <= 0 || q.Tail > maxTail {
		q.Tail = maxTail
	}
	days, err := os.ReadDir(b.folder(ref))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, stoa.Wrap(stoa.Internal, err, "the log of %s cannot be read", ref)
	}
	var out []Entry // of later days after those of earlier ones
	for _, d := range slices.Backward(days) {
		if len(out) >= q.Tail || d.Name() < q.Since.UTC().Format(dayFormat) {
			break
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		day, err := readDay(filepath.Join(b.folder(ref), d.Name()), q, q.Tail-len(out))
		if err != nil {
			return nil, stoa.Wrap(stoa.Internal, err, "the log of %s cannot be read", ref)
		}
		out = append(day, out...)
	}
	return out, nil
}

// readDay gives the last entries of a file that are wanted. A line that was cut
// short by a crash is passed over.
func readDay(path string, q Query, most int) ([]Entry, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 64<<20)
	var out []Entry
	for lines.Scan() {
		var e Entry
		if json.Unmarshal(lines.Bytes(), &e) != nil || !q.wants(e) {
			continue
		}
		out = append(out, e)
		if len(out) >= 2*most {
			out = append(out[:0], out[len(out)-most:]...)
		}
	}
	return out[max(len(out)-most, 0):], lines.Err()
}

// Sweep removes the days that are older than entries are kept.
func (b *Book) Sweep() error {
	oldest := b.cfg.Now().UTC().Add(-b.cfg.Keep).Format(dayFormat)
	b.mu.Lock()
	clear(b.sizes)
	b.mu.Unlock()
	files, err := filepath.Glob(filepath.Join(b.cfg.Dir, "*", "*", "*.jsonl"))
	if err != nil {
		return err
	}
	var first error
	for _, path := range files {
		if strings.TrimSuffix(filepath.Base(path), ".jsonl") >= oldest {
			continue
		}
		if err := os.Remove(path); err != nil && first == nil {
			first = stoa.Wrap(stoa.Internal, err, "an old log cannot be removed")
		}
	}
	return first
}

// Forget removes all that was kept of an algorithm.
func (b *Book) Forget(ref stoa.Ref) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	clear(b.sizes)
	return os.RemoveAll(b.folder(ref))
}
