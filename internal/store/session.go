package store

import (
	"context"
	"database/sql"
	"errors"
	"strings"
	"time"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/account"
)

var _ account.SessionStore = (*Accounts)(nil)

// AddSession keeps a session, and forgets those that have expired.
func (a *Accounts) AddSession(ctx context.Context, s account.Session) error {
	return a.db.write(ctx, func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, `DELETE FROM sessions WHERE expires <= $1`, micros(s.Created)); err != nil {
			return err
		}
		return addSession(ctx, tx, s)
	})
}

// holds picks the user in lower case $5, and only where the key $6 works; NULL
// is no key.
const holds = ` FROM users WHERE name_key = $5
	AND (CAST($6 AS TEXT) IS NULL OR EXISTS (SELECT 1 FROM api_keys WHERE id = $6 AND revoked = 0))`

func addSession(ctx context.Context, tx *sql.Tx, s account.Session) error {
	res, err := tx.ExecContext(ctx,
		`INSERT INTO sessions (hash, user_key, api_key, created, expires)
		SELECT $1, name_key, $2, $3, $4`+holds,
		s.Hash, orNull(s.Key), micros(s.Created), micros(s.Expires), strings.ToLower(s.User), orNull(s.Key))
	return oneRow(res, err, stoa.NotFound, "there is no user "+s.User+" with that key")
}

func orNull(s string) sql.NullString { return sql.NullString{String: s, Valid: s != ""} }

// SessionByHash finds a session that is good at that time, and its user.
func (a *Accounts) SessionByHash(ctx context.Context, hash string, now time.Time) (account.Session, account.User, error) {
	var (
		s                              account.Session
		u                              account.User
		key                            sql.NullString
		created, expires, usersCreated int64
	)
	err := a.db.cfg.Read.QueryRowContext(ctx,
		`SELECT s.hash, s.api_key, s.created, s.expires, u.name, u.admin, u.created
		FROM sessions s JOIN users u ON u.name_key = s.user_key LEFT JOIN api_keys k ON k.id = s.api_key
		WHERE s.hash = $1 AND s.expires > $2 AND COALESCE(k.revoked, 0) = 0`, hash, micros(now)).
		Scan(&s.Hash, &key, &created, &expires, &u.Name, &u.Admin, &usersCreated)
	if errors.Is(err, sql.ErrNoRows) {
		return account.Session{}, account.User{}, stoa.Errorf(stoa.NotFound, "there is no such session")
	}
	if err != nil {
		return account.Session{}, account.User{}, a.db.fail(ctx, err)
	}
	s.User, s.Key, s.Created, s.Expires = u.Name, key.String, fromMicros(created), fromMicros(expires)
	u.Created = fromMicros(usersCreated)
	return s, u, nil
}

// EndSession forgets a session.
func (a *Accounts) EndSession(ctx context.Context, hash string) error {
	return a.db.write(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `DELETE FROM sessions WHERE hash = $1`, hash)
		return err
	})
}

// AddLink keeps a link, and forgets those that have expired before that time.
func (a *Accounts) AddLink(ctx context.Context, l account.Session, before time.Time) error {
	return a.db.write(ctx, func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, `DELETE FROM sign_in_links WHERE expires < $1`, micros(before)); err != nil {
			return err
		}
		res, err := tx.ExecContext(ctx,
			`INSERT INTO sign_in_links (hash, user_key, api_key, created, expires, used)
			SELECT $1, name_key, $2, $3, $4, 0`+holds,
			l.Hash, orNull(l.Key), micros(l.Created), micros(l.Expires), strings.ToLower(l.User), orNull(l.Key))
		return oneRow(res, err, stoa.NotFound, "there is no user "+l.User+" with that key")
	})
}

// UseLink spends a link and keeps the session that it makes.
func (a *Accounts) UseLink(ctx context.Context, hash string, s account.Session) error {
	return a.db.write(ctx, func(tx *sql.Tx) error {
		var (
			key           sql.NullString
			expires, used int64
		)
		err := tx.QueryRowContext(ctx, `SELECT user_key, api_key, expires, used FROM sign_in_links WHERE hash = $1`, hash).
			Scan(&s.User, &key, &expires, &used)
		switch {
		case errors.Is(err, sql.ErrNoRows):
			return stoa.Errorf(stoa.NotFound, "there is no such link")
		case err != nil:
			return err
		case used != 0:
			return stoa.Errorf(stoa.Conflict, "the link was used already")
		case expires <= micros(s.Created):
			return stoa.Errorf(stoa.NotFound, "the link has expired")
		}
		s.Key = key.String
		if _, err := tx.ExecContext(ctx, `UPDATE sign_in_links SET used = $1 WHERE hash = $2`, micros(s.Created), hash); err != nil {
			return err
		}
		return addSession(ctx, tx, s)
	})
}
