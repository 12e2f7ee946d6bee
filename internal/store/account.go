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

// Accounts is the account room's Store.
type Accounts struct{ db *DB }

var _ account.Store = (*Accounts)(nil)

// Accounts gives the account room's Store.
func (db *DB) Accounts() *Accounts { return &Accounts{db} }

// AddUser keeps a user; Conflict where the name is taken, in any case.
func (a *Accounts) AddUser(ctx context.Context, u account.User) error {
	return a.db.write(ctx, func(tx *sql.Tx) error {
		res, err := tx.ExecContext(ctx,
			`INSERT INTO users (name_key, name, admin, created) VALUES ($1, $2, $3, $4) ON CONFLICT (name_key) DO NOTHING`,
			strings.ToLower(u.Name), u.Name, u.Admin, micros(u.Created))
		return oneRow(res, err, stoa.Conflict, "there is a user "+u.Name+" already")
	})
}

// oneRow turns a statement that changed nothing into an error.
func oneRow(res sql.Result, err error, kind stoa.Kind, otherwise string) error {
	if err != nil {
		return err
	}
	if n, err := res.RowsAffected(); err != nil || n > 0 {
		return err
	}
	return &stoa.Error{Kind: kind, Msg: otherwise}
}

// AddKey keeps a key; NotFound where its user does not exist.
func (a *Accounts) AddKey(ctx context.Context, k account.Key) error {
	return a.db.write(ctx, func(tx *sql.Tx) error {
		res, err := tx.ExecContext(ctx,
			`INSERT INTO api_keys (id, user_key, label, prefix, hash, created, revoked)
			SELECT $1, name_key, $2, $3, $4, $5, $6 FROM users WHERE name_key = $7`,
			k.ID, k.Label, k.Prefix, k.Hash, micros(k.Created), micros(k.Revoked), strings.ToLower(k.User))
		return oneRow(res, err, stoa.NotFound, "there is no user "+k.User)
	})
}

const selectKeys = `SELECT k.id, u.name, k.label, k.prefix, k.hash, k.created, k.revoked, u.admin, u.created
	FROM api_keys k JOIN users u ON u.name_key = k.user_key `

func scanKey(scan func(...any) error) (account.Key, account.User, error) {
	var (
		k                              account.Key
		u                              account.User
		created, revoked, usersCreated int64
	)
	err := scan(&k.ID, &k.User, &k.Label, &k.Prefix, &k.Hash, &created, &revoked, &u.Admin, &usersCreated)
	k.Created, k.Revoked = fromMicros(created), fromMicros(revoked)
	u.Name, u.Created = k.User, fromMicros(usersCreated)
	return k, u, err
}

// KeyByHash finds a key that is not revoked, and its user; NotFound.
func (a *Accounts) KeyByHash(ctx context.Context, hash string) (account.Key, account.User, error) {
	row := a.db.cfg.Read.QueryRowContext(ctx, selectKeys+`WHERE k.hash = $1 AND k.revoked = 0`, hash)
	k, u, err := scanKey(row.Scan)
	if errors.Is(err, sql.ErrNoRows) {
		return account.Key{}, account.User{}, stoa.Errorf(stoa.NotFound, "there is no such key")
	}
	if err != nil {
		return account.Key{}, account.User{}, a.db.fail(ctx, err)
	}
	return k, u, nil
}

// Keys lists the keys of a user, revoked ones too, oldest first; of everybody
// where user is "".
func (a *Accounts) Keys(ctx context.Context, user string) ([]account.Key, error) {
	query, args := selectKeys, []any(nil)
	if user != "" {
		query, args = query+`WHERE k.user_key = $1 `, []any{strings.ToLower(user)}
	}
	rows, err := a.db.cfg.Read.QueryContext(ctx, query+`ORDER BY k.created, k.id`, args...)
	if err != nil {
		return nil, a.db.fail(ctx, err)
	}
	defer rows.Close()
	var keys []account.Key
	for rows.Next() {
		k, _, err := scanKey(rows.Scan)
		if err != nil {
			return nil, a.db.fail(ctx, err)
		}
		keys = append(keys, k)
	}
	return keys, a.db.fail(ctx, rows.Err())
}

// RevokeKey ends a key; NotFound where there is none of that id.
func (a *Accounts) RevokeKey(ctx context.Context, id string, now time.Time) error {
	return a.db.write(ctx, func(tx *sql.Tx) error {
		res, err := tx.ExecContext(ctx,
			`UPDATE api_keys SET revoked = CASE WHEN revoked = 0 THEN CAST($1 AS BIGINT) ELSE revoked END WHERE id = $2`,
			micros(now), id)
		return oneRow(res, err, stoa.NotFound, "there is no key "+id)
	})
}
