// Package store keeps what rooms must remember in an SQL database. It promises
// each room's Store: every method is one transaction, which is done wholly or not at
// all. There is one SQL text for all databases; a child of this package opens
// one database and says in a few words how it differs.
package store

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"io/fs"
	"sync"
	"time"

	"github.com/pressly/goose/v3"

	"github.com/stoa-project/stoa"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Dialect is how one database differs from the others.
type Dialect interface {
	// Goose is the database's name for the migrations.
	Goose() goose.Dialect
	// Explain gives an error of the database's driver its kind and a sentence
	// for whoever runs the server; nil where it has nothing to say about it.
	Explain(err error) *stoa.Error
	// FullText is how the database looks through texts.
	FullText() FullText
}

// Config is an open database, and how to let go of it.
type Config struct {
	Write   *sql.DB // whose transactions exclude each other, or are serializable
	Read    *sql.DB // may be the same
	Dialect Dialect
	Close   func() error // called last, after both are closed; may be nil
}

// DB is an open database with the newest tables. Its methods give the Stores of
// the rooms.
type DB struct {
	cfg   Config
	close sync.Once
}

// Open brings the tables up to date. The DB owns what is in cfg, and after an
// error it is closed.
func Open(ctx context.Context, cfg Config) (*DB, error) {
	db := &DB{cfg: cfg}
	if err := db.migrate(ctx); err != nil {
		return nil, errors.Join(db.fail(ctx, err), db.Close())
	}
	return db, nil
}

func (db *DB) migrate(ctx context.Context) error {
	dir, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return err
	}
	p, err := goose.NewProvider(db.cfg.Dialect.Goose(), db.cfg.Write, dir, goose.WithDisableGlobalRegistry(true))
	if err != nil {
		return err
	}
	// The provider is not closed: that would close the database, which is ours.
	have, know, err := p.GetVersions(ctx)
	if err != nil {
		return err
	}
	if have > know {
		return stoa.Errorf(stoa.Unsupported, "the database was written by a newer Stoa (its tables are of version %d, this Stoa knows %d): start that one, or restore a backup", have, know)
	}
	if have < know {
		if _, err = p.Up(ctx); err != nil {
			return err
		}
	}
	return db.index(ctx)
}

// Close waits for the work in hand and closes the database. A second Close does
// nothing.
func (db *DB) Close() error {
	var err error
	db.close.Do(func() {
		err = db.cfg.Read.Close()
		if db.cfg.Write != db.cfg.Read {
			err = errors.Join(err, db.cfg.Write.Close())
		}
		if db.cfg.Close != nil {
			err = errors.Join(err, db.cfg.Close())
		}
	})
	return err
}

// write runs f in a transaction that excludes all other writers.
func (db *DB) write(ctx context.Context, f func(*sql.Tx) error) error {
	return db.within(ctx, db.cfg.Write, f)
}

// read runs f on one unchanging state of the database.
func (db *DB) read(ctx context.Context, f func(*sql.Tx) error) error {
	return db.within(ctx, db.cfg.Read, f)
}

func (db *DB) within(ctx context.Context, in *sql.DB, f func(*sql.Tx) error) error {
	tx, err := in.BeginTx(ctx, nil)
	if err != nil {
		return db.fail(ctx, err)
	}
	if err := f(tx); err != nil {
		return db.fail(ctx, errors.Join(err, ignoreDone(tx.Rollback())))
	}
	return db.fail(ctx, tx.Commit())
}

func ignoreDone(err error) error {
	if errors.Is(err, sql.ErrTxDone) {
		return nil
	}
	return err
}

// fail makes an error fit to cross rooms.
func (db *DB) fail(ctx context.Context, err error) error {
	var e *stoa.Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &e):
		return e
	case ctx.Err() != nil:
		return stoa.AsError(ctx.Err())
	}
	if e := db.cfg.Dialect.Explain(err); e != nil {
		return e
	}
	return stoa.Wrap(stoa.Internal, err, "the database failed")
}

// micros and fromMicros carry times; the zero time is 0.
func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

func fromMicros(n int64) time.Time {
	if n == 0 {
		return time.Time{}
	}
	return time.UnixMicro(n).UTC()
}

// Ping tells whether the database answers.
func (db *DB) Ping(ctx context.Context) error {
	return db.read(ctx, func(tx *sql.Tx) error {
		var one int
		return tx.QueryRowContext(ctx, "SELECT 1").Scan(&one)
	})
}
