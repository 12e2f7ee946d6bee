// Package catalog holds algorithms and their immutable versions: publishing,
// resolving a reference to a version, listing, and who may see what.
package catalog

import (
	"context"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/blob"
)

// Version is an immutable version of an algorithm. Nobody changes one that was
// published.
type Version struct {
	ID        string `json:"id"`        // unique for ever
	Algorithm string `json:"algorithm"` // UUID of the algorithm
	Owner     string `json:"owner"`     // in the case in which it was first published
	Name      string `json:"name"`
	Number    stoa.Version
	Public    bool
	Kind      string // model
	Framework string // of origin, from the report; "" where it is unknown
	Tagline   string
	Hash      string          // SHA-256 of the content: manifest (its name and visibility apart) and files
	Manifest  json.RawMessage // the manifest.Manifest as JSON
	Files     []blob.File     // as pushed
	Built     []blob.File     // what a worker loads, as the Builder made it
	Report    json.RawMessage // of the import
	Readme    string          // its text, to be looked through; only what is given to Publish has it
	Creator   string
	Created   time.Time
}

// Store keeps algorithms and versions; each method is one transaction.
type Store interface {
	// Publish adds v as the next version of its algorithm by bump, and makes the
	// algorithm (and its UUID) where it is new. Number, Algorithm, ID and the
	// canonical Owner and Name are filled in; Created is v's own. Where the algorithm's newest version of the
	// same visibility has the same Hash, that one is given and created is false.
	Publish(ctx context.Context, v Version, bump stoa.Bump) (out Version, created bool, err error)
	// Versions lists the versions of an algorithm, newest number first. key is
	// a Ref's Key or an algorithm's UUID. NotFound where there is none.
	Versions(ctx context.Context, key string) ([]Version, error)
	// Search finds what s means, in the order that Catalog.Search promises.
	Search(ctx context.Context, s Sought) (Found, error)
	// Remove deletes one version, or the algorithm where number is nil; NotFound
	// where there is none. The number of a version that was removed is not given
	// again while its algorithm is there.
	Remove(ctx context.Context, key string, number *stoa.Version) error
	// Holders tells whose versions hold each of these blobs, as pushed or as
	// built; a blob that none holds is not in the answer.
	Holders(ctx context.Context, ds []blob.Digest) ([]Holder, error)
}

// Holder says that some version of an owner, public or not, holds a blob.
type Holder struct {
	Digest blob.Digest
	Owner  string
	Public bool
}

// Builder turns the files of a bundle into what a worker loads. It is the
// importer in a process of its own, then a first run of the sample.
type Builder interface {
	// Build reads dir, which holds the bundle's files under their names, and
	// writes what a worker loads into out, an empty folder. It changes nothing
	// in dir. An error is what the author should read.
	Build(ctx context.Context, j BuildJob) (BuildResult, error)
}

// BuildJob is one bundle to build.
type BuildJob struct {
	Dir      string          // the bundle's files under their names
	Out      string          // empty folder for the result
	Manifest json.RawMessage // a manifest.Manifest
	Owner    string          // of the algorithm
	Name     string
	Log      io.Writer // gets what the build prints, as it comes
}

// BuildResult says what a Builder made.
type BuildResult struct {
	Files  []string        // names, below Out
	Report json.RawMessage // an importer.Report
}

// PushRequest opens a push.
type PushRequest struct {
	As       string      `json:"as,omitempty"`   // owner/name; overrides the manifest's name; owner "me" is the caller
	Bump     string      `json:"bump,omitempty"` // major, minor (default), revision
	Manifest string      `json:"manifest"`       // the text of stoa.yaml
	Files    []blob.File `json:"files"`
}

// Push is an open push: which blobs the server still lacks.
type Push struct {
	ID      string        `json:"id"`
	Ref     string        `json:"ref"` // owner/name
	Missing []blob.Digest `json:"missing"`
}

// Config is what a Catalog needs.
type Config struct {
	Store     Store
	Blobs     blob.Store
	Builder   Builder
	Inspector Inspector        // of drafts; nil: none are inspected
	Staging   string           // folder for open pushes and drafts; emptied at start
	Changed   func(stoa.Ref)   // told of an algorithm after a version came or went; nil: nobody is
	Now       func() time.Time // nil: time.Now
	MaxBytes  int64            // of the files of one push or draft, together; 0: 16 GiB
}

// defaultMaxBytes is far above the models that one machine runs on its CPU, and
// far below the disk that holds them.
const defaultMaxBytes = 16 << 30

// Catalog is the room.
type Catalog struct {
	cfg   Config
	known cache
	pins  pins

	mu     sync.Mutex // guards pushes and drafts, and the changing fields of each
	pushes map[string]*push
	drafts map[string]*draft
}

// New makes the room and empties the staging folder. It is best on the file
// system of the blobs: what was staged is then moved into the store, not copied.
func New(cfg Config) (*Catalog, error) {
	if cfg.Store == nil || cfg.Blobs == nil || cfg.Builder == nil || cfg.Staging == "" {
		return nil, stoa.Errorf(stoa.Internal, "a catalog needs a Store, a blob store, a Builder and a staging folder")
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Changed == nil {
		cfg.Changed = func(stoa.Ref) {}
	}
	if cfg.MaxBytes == 0 {
		cfg.MaxBytes = defaultMaxBytes
	}
	if err := emptyFolder(cfg.Staging); err != nil {
		e := stoa.AsError(blob.WriteError(err))
		return nil, stoa.Wrap(e.Kind, err, "the staging folder %s can not be used", cfg.Staging)
	}
	return &Catalog{cfg: cfg, pushes: map[string]*push{}, drafts: map[string]*draft{}}, nil
}

func emptyFolder(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	old, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range old {
		if err := os.RemoveAll(filepath.Join(dir, e.Name())); err != nil {
			return err
		}
	}
	return nil
}

// Resolve finds the version that a reference means to this caller. It is on
// the path of every call: an algorithm seen before costs one map look-up, and a
// change made through this Catalog is seen at once. ref.Owner may hold an
// algorithm's UUID with an empty Name.
func (c *Catalog) Resolve(ctx context.Context, who stoa.Caller, ref stoa.Ref) (*Version, error) {
	vs, err := c.find(ctx, ref)
	if err != nil {
		return nil, err
	}
	s := sightOf(who, vs[0].Owner)
	if v := choose(vs, s, ref.Version); v != nil {
		return v, nil
	}
	return nil, noVersion(vs, s, ref)
}

// find gives the versions of an algorithm, newest first, at least one.
func (c *Catalog) find(ctx context.Context, ref stoa.Ref) ([]*Version, error) {
	var buf [160]byte // room for the longest Ref, so that a hit allocates nothing
	key := appendKey(buf[:0], ref)
	vs, epoch, ok := c.known.get(key)
	if ok {
		return vs, nil
	}
	if ref.Name == "" && !isUUID(ref.Owner) {
		return nil, noAlgorithm(ref)
	}
	list, err := c.cfg.Store.Versions(ctx, string(key))
	if err != nil {
		if stoa.KindOf(err) == stoa.NotFound {
			return nil, noAlgorithm(ref)
		}
		return nil, err
	}
	vs = make([]*Version, len(list))
	for i := range list {
		vs[i] = &list[i]
	}
	c.known.put(vs, epoch)
	return vs, nil
}

// appendKey appends what finds an algorithm in cache and Store: ref.Key(), or
// the UUID.
func appendKey(b []byte, ref stoa.Ref) []byte {
	b = appendLower(b, ref.Owner)
	if ref.Name == "" {
		return b
	}
	return appendLower(append(b, '/'), ref.Name)
}

func appendLower(b []byte, s string) []byte {
	for i := range len(s) {
		c := s[i]
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		b = append(b, c)
	}
	return b
}

// isUUID tells whether s has the form of a UUID: only then may it name an
// algorithm alone.
func isUUID(s string) bool { return len(s) == 36 && uuid.Validate(s) == nil }

// Versions lists those versions of an algorithm that the caller may see,
// newest first; NotFound where there is none.
func (c *Catalog) Versions(ctx context.Context, who stoa.Caller, ref stoa.Ref) ([]*Version, error) {
	vs, err := c.find(ctx, ref)
	if err != nil {
		return nil, err
	}
	seen := visible(vs, sightOf(who, vs[0].Owner))
	if len(seen) == 0 {
		return nil, noAlgorithm(ref)
	}
	return seen, nil
}

// Remove deletes the exact version that ref names, or the whole algorithm where
// it names none. Only the owner and administrators may. Blobs that no version
// uses any more go with it.
func (c *Catalog) Remove(ctx context.Context, who stoa.Caller, ref stoa.Ref) error {
	if k := ref.Version.Kind; !ref.Version.IsZero() && k != stoa.ExactVersion {
		return stoa.Errorf(stoa.Invalid, "version %s: to remove one, name it exactly, such as 1.0.2", ref.Version)
	}
	vs, err := c.find(ctx, ref)
	if err != nil {
		return err
	}
	s := sightOf(who, vs[0].Owner)
	if len(visible(vs, s)) == 0 {
		return noAlgorithm(ref)
	}
	if s != everything {
		return stoa.Errorf(stoa.Forbidden, "only %s and administrators may remove %s/%s", vs[0].Owner, vs[0].Owner, vs[0].Name)
	}
	var number *stoa.Version
	gone := vs
	if !ref.Version.IsZero() {
		v := choose(vs, s, ref.Version)
		if v == nil {
			return noVersion(vs, s, ref)
		}
		number, gone = &v.Number, []*Version{v}
	}
	err = c.cfg.Store.Remove(ctx, vs[0].Algorithm, number)
	c.known.drop(vs[0]) // after an error too: it may have been done all the same
	if err != nil {
		if stoa.KindOf(err) == stoa.NotFound { // somebody else was first
			return noVersion(nil, s, ref)
		}
		return err
	}
	var ds []blob.Digest
	for _, v := range gone {
		ds = append(ds, digests(v.Files, v.Built)...)
	}
	c.cfg.Changed(stoa.Ref{Owner: vs[0].Owner, Name: vs[0].Name})
	// What cannot be deleted now stays until a Sweep: the version is gone.
	_ = c.release(context.WithoutCancel(ctx), ds)
	return nil
}

// OpenFile opens a file of a version by its name in the bundle (samples,
// README). The caller closes it.
func (c *Catalog) OpenFile(ctx context.Context, who stoa.Caller, ref stoa.Ref, name string) (blob.Content, error) {
	v, err := c.Resolve(ctx, who, ref)
	if err != nil {
		return nil, err
	}
	for _, f := range v.Files {
		if f.Name == name {
			return c.cfg.Blobs.Open(ctx, f.Digest)
		}
	}
	return nil, stoa.Errorf(stoa.NotFound, "%s/%s/%s has no file %.120q", v.Owner, v.Name, v.Number, name)
}
