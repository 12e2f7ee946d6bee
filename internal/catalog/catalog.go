// Package catalog holds algorithms and their immutable versions: publishing,
// resolving a reference to a version, listing, and who may see what.
package catalog

import (
	"context"
	"encoding/json"
	"io"
	"time"

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
	Tagline   string
	Hash      string          // SHA-256 of the content: manifest (its name and visibility apart) and files
	Manifest  json.RawMessage // the manifest.Manifest as JSON
	Files     []blob.File     // as pushed
	Built     []blob.File     // what a worker loads, as the Builder made it
	Report    json.RawMessage // of the import
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
	// List gives every version of every algorithm whose owner is owner ("" for
	// all), by owner and name, newest number first, without Files and Report.
	List(ctx context.Context, owner string) ([]Version, error)
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
	Store   Store
	Blobs   blob.Store
	Builder Builder
	Staging string           // folder for open pushes; emptied at start
	Now     func() time.Time // nil: time.Now
}

// Catalog is the room.
type Catalog struct{ cfg Config }

// New makes the room.
func New(cfg Config) (*Catalog, error) { panic("BUILDER") }

// Resolve finds the version that a reference means to this caller. It is on
// the path of every call: an algorithm seen before costs one map look-up, and a
// change made through this Catalog is seen at once. ref.Owner may hold an
// algorithm's UUID with an empty Name.
func (c *Catalog) Resolve(ctx context.Context, who stoa.Caller, ref stoa.Ref) (*Version, error) {
	panic("BUILDER")
}

// Query narrows a listing.
type Query struct {
	Owner string // "" for all
	Text  string // words that name, owner, tagline or tags must contain
	Limit int    // 0 means 1000
}

// List gives the version that an unversioned reference means to the caller, of
// each algorithm he may see, by owner and name.
func (c *Catalog) List(ctx context.Context, who stoa.Caller, q Query) ([]*Version, error) {
	panic("BUILDER")
}

// Versions lists those versions of an algorithm that the caller may see,
// newest first; NotFound where there is none.
func (c *Catalog) Versions(ctx context.Context, who stoa.Caller, ref stoa.Ref) ([]*Version, error) {
	panic("BUILDER")
}

// Remove deletes the exact version that ref names, or the whole algorithm where
// it names none. Only the owner and administrators may.
func (c *Catalog) Remove(ctx context.Context, who stoa.Caller, ref stoa.Ref) error { panic("BUILDER") }

// BeginPush checks everything that can be checked before a byte is uploaded:
// the manifest, the names and sizes of the files, that the caller may publish
// there.
func (c *Catalog) BeginPush(ctx context.Context, who stoa.Caller, r PushRequest) (Push, error) {
	panic("BUILDER")
}

// PutBlob takes one of the missing blobs of a push.
func (c *Catalog) PutBlob(ctx context.Context, who stoa.Caller, push string, d blob.Digest, r io.Reader) error {
	panic("BUILDER")
}

// CommitPush builds the bundle and publishes it; created is false where the
// newest version has this very content already. After an error nothing is
// published, no blob is kept, and the push is gone.
func (c *Catalog) CommitPush(ctx context.Context, who stoa.Caller, push string) (v *Version, created bool, err error) {
	panic("BUILDER")
}

// AbortPush forgets a push and what was uploaded for it.
func (c *Catalog) AbortPush(ctx context.Context, who stoa.Caller, push string) error {
	panic("BUILDER")
}

// OpenFile opens a file of a version by its name in the bundle (samples,
// README). The caller closes it.
func (c *Catalog) OpenFile(ctx context.Context, who stoa.Caller, ref stoa.Ref, name string) (blob.Content, error) {
	panic("BUILDER")
}
