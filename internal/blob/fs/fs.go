// Package fs keeps blobs as files of this machine. A blob is either there whole
// and durable, under its digest, or not at all: content is written to a
// temporary file, hashed on the way, flushed, and only then given its name.
// One process at a time may have a folder open as a Store.
package fs

import (
	"context"
	"errors"
	"io"
	iofs "io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/blob"
)

// Store keeps blobs below a folder:
//
//	DIR/aa/bb/aabb…   a blob, named by its digest, read-only
//	DIR/tmp/…         content on its way in; emptied by New.
type Store struct {
	dir string
	// create makes a temporary file; tests put a full disk here.
	create func(dir string) (file, error)
}

// file is what Put needs of an *os.File.
type file interface {
	io.WriteCloser
	Name() string
	Chmod(os.FileMode) error
	Sync() error
}

var (
	_ blob.Store  = (*Store)(nil)
	_ blob.Pather = (*Store)(nil)
)

// New opens the store in dir, which it makes where it is missing, and removes
// what an earlier process left half-written there.
func New(dir string) (*Store, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, stoa.Wrap(stoa.Internal, err, "the folder of the blobs has no absolute path")
	}
	s := &Store{dir: dir, create: createTemp}
	if err := os.RemoveAll(s.tmp()); err != nil {
		return nil, openError(err, dir)
	}
	if err := os.MkdirAll(s.tmp(), 0o700); err != nil {
		return nil, openError(err, dir)
	}
	return s, nil
}

func openError(err error, dir string) error {
	e := stoa.AsError(blob.WriteError(err))
	return stoa.Wrap(e.Kind, err, "the folder of the blobs, %s, can not be used", dir)
}

func createTemp(dir string) (file, error) { return os.CreateTemp(dir, "put-*") }

func (s *Store) tmp() string { return filepath.Join(s.dir, "tmp") }

// Path names the file that holds the blob, or would hold it.
func (s *Store) Path(d blob.Digest) string { return PathIn(s.dir, d) }

// PathIn names the file that holds the blob in a store's folder, for a process
// that reads blobs without opening the store.
func PathIn(dir string, d blob.Digest) string {
	if len(d) < 4 { // no digest: a name that no blob has
		return filepath.Join(dir, "none")
	}
	return filepath.Join(dir, string(d[:2]), string(d[2:4]), string(d))
}

// Put reads r to its end and keeps it. Content that is there already is read
// and hashed all the same, but its old file stays.
func (s *Store) Put(ctx context.Context, r io.Reader, want blob.Digest) (blob.Digest, int64, error) {
	if want != "" {
		if _, err := blob.ParseDigest(string(want)); err != nil {
			return "", 0, err
		}
		if s.has(want) {
			d, n, err := blob.Copy(ctx, io.Discard, r, -1)
			return checked(d, n, want, err)
		}
	}
	f, err := s.create(s.tmp())
	if err != nil {
		return "", 0, blob.WriteError(err)
	}
	defer os.Remove(f.Name()) // after a rename there is nothing left to remove
	d, n, err := blob.Copy(ctx, f, r, -1)
	if d, n, err = checked(d, n, want, err); err != nil {
		f.Close()
		return "", 0, err
	}
	if s.has(d) {
		f.Close()
		return d, n, nil
	}
	if err := seal(f); err != nil {
		return "", 0, err
	}
	if err := s.place(f.Name(), d); err != nil {
		return "", 0, err
	}
	return d, n, nil
}

func checked(d blob.Digest, n int64, want blob.Digest, err error) (blob.Digest, int64, error) {
	if err == nil && want != "" && d != want {
		err = stoa.Errorf(stoa.Invalid, "the content's SHA-256 is %s, not %s as said", d, want)
	}
	if err != nil {
		return "", 0, err
	}
	return d, n, nil
}

// seal makes a file read-only and durable, and closes it.
func seal(f file) error {
	err := f.Chmod(0o444)
	if err == nil {
		err = f.Sync()
	}
	return blob.WriteError(errors.Join(err, f.Close()))
}

// place gives a sealed file its name, durably. A blob that came in meanwhile has
// the same content, so that it does not matter which of the two stays.
func (s *Store) place(path string, d blob.Digest) error {
	to := s.Path(d)
	if err := s.makeDir(filepath.Dir(to)); err != nil {
		return err
	}
	if err := os.Rename(path, to); err != nil {
		return blob.WriteError(err)
	}
	if err := syncDir(filepath.Dir(to)); err != nil {
		os.Remove(to)
		return err
	}
	return nil
}

// makeDir makes DIR/aa/bb, durably: a new folder's own name is in its parent.
func (s *Store) makeDir(dir string) error {
	if _, err := os.Stat(dir); err == nil {
		return nil
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return blob.WriteError(err)
	}
	if err := syncDir(filepath.Dir(dir)); err != nil {
		return err
	}
	return syncDir(s.dir)
}

func syncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return blob.WriteError(err)
	}
	defer f.Close()
	return blob.WriteError(f.Sync())
}

// Adopt moves the file at path, whose digest the caller has taken himself, into
// the store: without a copy where it is on the same file system. path is gone
// afterwards; after an error it may still be there.
func (s *Store) Adopt(ctx context.Context, path string, d blob.Digest) error {
	if _, err := blob.ParseDigest(string(d)); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return stoa.AsError(err)
	}
	if s.has(d) {
		return blob.WriteError(os.Remove(path))
	}
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NOFOLLOW, 0)
	if err != nil {
		return blob.WriteError(err)
	}
	if err := seal(f); err != nil {
		return err
	}
	err = s.place(path, d)
	if !errors.Is(err, syscall.EXDEV) {
		return err
	}
	return s.copyIn(ctx, path, d)
}

func (s *Store) copyIn(ctx context.Context, path string, d blob.Digest) error {
	f, err := os.Open(path)
	if err != nil {
		return blob.WriteError(err)
	}
	defer f.Close()
	if _, _, err := s.Put(ctx, f, d); err != nil {
		return err
	}
	return blob.WriteError(os.Remove(path))
}

func (s *Store) has(d blob.Digest) bool {
	info, err := os.Stat(s.Path(d))
	return err == nil && info.Mode().IsRegular()
}

// Open gives the content; NotFound where there is none.
func (s *Store) Open(ctx context.Context, d blob.Digest) (blob.Content, error) {
	if err := ctx.Err(); err != nil {
		return nil, stoa.AsError(err)
	}
	if _, err := blob.ParseDigest(string(d)); err != nil {
		return nil, err
	}
	f, err := os.Open(s.Path(d))
	if err != nil {
		return nil, readError(err, d)
	}
	return f, nil
}

// Size gives the length of the content; NotFound where there is none.
func (s *Store) Size(ctx context.Context, d blob.Digest) (int64, error) {
	if err := ctx.Err(); err != nil {
		return 0, stoa.AsError(err)
	}
	if _, err := blob.ParseDigest(string(d)); err != nil {
		return 0, err
	}
	info, err := os.Stat(s.Path(d))
	if err != nil {
		return 0, readError(err, d)
	}
	return info.Size(), nil
}

func readError(err error, d blob.Digest) error {
	if errors.Is(err, iofs.ErrNotExist) {
		return stoa.Wrap(stoa.NotFound, err, "there is no blob %s", d)
	}
	return stoa.Wrap(stoa.Internal, err, "blob %s can not be read", d)
}

// Delete forgets a blob; one that is not there is no error. Who has it open
// reads it to the end.
func (s *Store) Delete(ctx context.Context, d blob.Digest) error {
	if err := ctx.Err(); err != nil {
		return stoa.AsError(err)
	}
	if _, err := blob.ParseDigest(string(d)); err != nil {
		return err
	}
	if err := os.Remove(s.Path(d)); err != nil && !errors.Is(err, iofs.ErrNotExist) {
		return stoa.Wrap(stoa.Internal, err, "blob %s can not be deleted", d)
	}
	return nil
}

// Walk calls f for every blob, in no order, until f returns an error. A file
// that is no blob is passed over; a blob that comes or goes meanwhile may or may
// not be among them.
func (s *Store) Walk(ctx context.Context, f func(blob.Digest) error) error {
	return filepath.WalkDir(s.dir, func(path string, e iofs.DirEntry, err error) error {
		switch {
		case ctx.Err() != nil:
			return stoa.AsError(ctx.Err())
		case errors.Is(err, iofs.ErrNotExist):
			return nil
		case err != nil:
			return stoa.Wrap(stoa.Internal, err, "the blobs can not be listed")
		case path == s.tmp():
			return filepath.SkipDir
		case !e.Type().IsRegular():
			return nil
		}
		if d, err := blob.ParseDigest(e.Name()); err == nil && s.Path(d) == path {
			return f(d)
		}
		return nil // a stranger's file
	})
}
