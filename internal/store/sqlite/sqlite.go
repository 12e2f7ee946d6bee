// Package sqlite opens the store in one file of a data directory, which belongs
// to one server at a time.
package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/pressly/goose/v3"
	"modernc.org/sqlite" // registers the driver, too
	lib "modernc.org/sqlite/lib"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/blob"
	"github.com/stoa-project/stoa/internal/store"
)

// The files in the data directory.
const (
	lockName = "lock"
	dataName = "stoa.db" // beside it SQLite keeps stoa.db-wal and stoa.db-shm
)

// readers is how many queries may read at once. Reads are short and mostly
// answered by caches; each connection costs up to cacheKiB.
const readers = 2

// cacheKiB is the page cache of a connection. SQLite's own default is 2,000; an
// idle server is to stay lean, and the system caches the file anyway.
const cacheKiB = 512

// Open opens the database in dir, which it makes where it is missing, and takes
// the lock on dir: Conflict where another server has it. The lock is let go by
// Close, or with the process.
func Open(ctx context.Context, dir string) (*store.DB, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, diskError(err, dir)
	}
	lock, err := takeLock(dir)
	if err != nil {
		return nil, err
	}
	path := filepath.Join(dir, dataName)
	if err := checkFile(path); err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	write, err := connect(path, 1, "immediate")
	if err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	read, err := connect(path, readers, "deferred")
	if err != nil {
		return nil, errors.Join(err, write.Close(), lock.Close())
	}
	return store.Open(ctx, store.Config{Write: write, Read: read, Dialect: dialect{path}, Close: lock.Close})
}

func diskError(err error, dir string) error {
	e := stoa.AsError(blob.WriteError(err))
	return stoa.Wrap(e.Kind, err, "the data directory %s can not be used: it must be a folder that this user may write to", dir)
}

// takeLock locks the directory by a file in it. The lock is the system's, on the
// open file: it ends with the process, however that ends, and children do not
// inherit it.
func takeLock(dir string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, lockName), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, diskError(err, dir)
	}
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if err == nil {
		_ = note(f) // a full disk is no reason not to start: it is how room is made
		return f, nil
	}
	defer f.Close()
	if !errors.Is(err, syscall.EWOULDBLOCK) {
		return nil, diskError(err, dir)
	}
	who := ""
	var b [20]byte
	if n, _ := f.ReadAt(b[:], 0); n > 0 {
		if pid, err := strconv.Atoi(strings.TrimSpace(string(b[:n]))); err == nil {
			who = " (process " + strconv.Itoa(pid) + ")"
		}
	}
	return nil, stoa.Errorf(stoa.Conflict, "another stoa server uses %s%s", dir, who)
}

// note writes who has the lock, for people.
func note(f *os.File) error {
	if err := f.Truncate(0); err != nil {
		return err
	}
	_, err := f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	return err
}

// checkFile finds out before SQLite does what it would say in its own words.
func checkFile(path string) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		e := stoa.AsError(blob.WriteError(err))
		return stoa.Wrap(e.Kind, err, "the database %s can not be opened for writing: this user must own it", path)
	}
	return f.Close()
}

// connect makes a pool of so many connections; none is opened yet.
func connect(path string, conns int, lock string) (*sql.DB, error) {
	q := url.Values{"_txlock": {lock}, "_pragma": {
		// Waits for another process that looks into the file, such as a backup.
		"busy_timeout(5000)",
		"journal_mode(wal)",
		// FULL and not NORMAL: in WAL mode NORMAL may lose the last commits when the
		// power fails, and a push or a revoked key that was answered must stay.
		// It costs one fsync a commit, and commits are rare: one a push or key.
		"synchronous(full)",
		"foreign_keys(1)",
		"cache_size(-" + strconv.Itoa(cacheKiB) + ")",
		"trusted_schema(0)",
	}}
	dsn := url.URL{Scheme: "file", Opaque: (&url.URL{Path: path}).EscapedPath(), RawQuery: q.Encode()}
	db, err := sql.Open("sqlite", dsn.String())
	if err != nil {
		return nil, stoa.Wrap(stoa.Internal, err, "the database %s can not be opened", path)
	}
	db.SetMaxOpenConns(conns)
	db.SetMaxIdleConns(conns)
	return db, nil
}

// dialect says what SQLite's errors mean.
type dialect struct{ path string }

func (dialect) Goose() goose.Dialect { return goose.DialectSQLite3 }

func (d dialect) Explain(err error) *stoa.Error {
	var e *sqlite.Error
	if !errors.As(err, &e) {
		return nil
	}
	switch e.Code() & 0xff { // the rest is detail
	case lib.SQLITE_CORRUPT, lib.SQLITE_NOTADB:
		return stoa.Wrap(stoa.Internal, err, "the database %s is damaged: stop the server and restore a backup", d.path)
	case lib.SQLITE_READONLY, lib.SQLITE_CANTOPEN, lib.SQLITE_PERM:
		return stoa.Wrap(stoa.Unavailable, err, "the database %s can not be written to: this user must own it and its folder", d.path)
	case lib.SQLITE_FULL:
		return stoa.Wrap(stoa.NoRoom, err, "the server's disk is full: nothing was stored")
	case lib.SQLITE_IOERR:
		return stoa.Wrap(stoa.Internal, err, "the disk under the database %s fails", d.path)
	case lib.SQLITE_BUSY, lib.SQLITE_LOCKED:
		return stoa.Wrap(stoa.Unavailable, err, "the database %s is locked by another program", d.path)
	}
	return nil
}
