package store

import (
	"context"
	"database/sql"
	"encoding/base64"
	"errors"
	"strings"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/secret"
)

// Secrets is the Store of package secret.
type Secrets struct{ db *DB }

var _ secret.Store = (*Secrets)(nil)

// Secrets gives the store of secrets.
func (db *DB) Secrets() *Secrets { return &Secrets{db} }

// PutSecret keeps a secret, in the place of one of that name.
func (s *Secrets) PutSecret(ctx context.Context, key string, x secret.Sealed, most int) error {
	return s.db.write(ctx, func(tx *sql.Tx) error {
		var (
			algorithm string
			others    int
		)
		err := tx.QueryRowContext(ctx,
			`SELECT a.id, (SELECT COUNT(*) FROM secrets s WHERE s.algorithm = a.id AND s.name <> $2) FROM algorithms a WHERE a.key = $1`,
			strings.ToLower(key), x.Name.Name).Scan(&algorithm, &others)
		switch {
		case errors.Is(err, sql.ErrNoRows):
			return notFound(key)
		case err != nil:
			return err
		case others >= most:
			return stoa.Errorf(stoa.Conflict, "%s has %d secrets, and may have no more: remove one first", key, others)
		}
		_, err = tx.ExecContext(ctx,
			`INSERT INTO secrets (algorithm, name, box, set_by, set_at) VALUES ($1, $2, $3, $4, $5)
			ON CONFLICT (algorithm, name) DO UPDATE SET box = excluded.box, set_by = excluded.set_by, set_at = excluded.set_at`,
			algorithm, x.Name.Name, base64.StdEncoding.EncodeToString(x.Box), x.By, micros(x.Set))
		return err
	})
}

// Secrets lists the secrets of an algorithm, by name.
func (s *Secrets) Secrets(ctx context.Context, key string) ([]secret.Sealed, error) {
	rows, err := s.db.cfg.Read.QueryContext(ctx,
		`SELECT s.name, s.box, s.set_by, s.set_at FROM secrets s JOIN algorithms a ON a.id = s.algorithm WHERE a.key = $1 ORDER BY s.name`,
		strings.ToLower(key))
	if err != nil {
		return nil, s.db.fail(ctx, err)
	}
	defer rows.Close()
	out := []secret.Sealed{}
	for rows.Next() {
		var (
			x   secret.Sealed
			box string
			at  int64
		)
		if err := rows.Scan(&x.Name.Name, &box, &x.By, &at); err != nil {
			return nil, s.db.fail(ctx, err)
		}
		if x.Box, err = base64.StdEncoding.DecodeString(box); err != nil {
			return nil, stoa.Wrap(stoa.Internal, err, "secret %s of %s is damaged", x.Name.Name, key)
		}
		x.Set = fromMicros(at)
		out = append(out, x)
	}
	return out, s.db.fail(ctx, rows.Err())
}

// RemoveSecret forgets a secret.
func (s *Secrets) RemoveSecret(ctx context.Context, key, name string) error {
	return s.db.write(ctx, func(tx *sql.Tx) error {
		res, err := tx.ExecContext(ctx,
			`DELETE FROM secrets WHERE name = $2 AND algorithm = (SELECT id FROM algorithms WHERE key = $1)`, strings.ToLower(key), name)
		return oneRow(res, err, stoa.NotFound, key+" has no secret "+name)
	})
}
