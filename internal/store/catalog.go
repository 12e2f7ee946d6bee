package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/google/uuid"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/blob"
	"github.com/stoa-project/stoa/internal/catalog"
)

// Catalog is the catalog room's Store.
type Catalog struct {
	db   *DB
	text FullText
}

var _ catalog.Store = (*Catalog)(nil)

// Catalog gives the catalog room's Store.
func (db *DB) Catalog() *Catalog { return &Catalog{db, db.cfg.Dialect.FullText()} }

// Publish adds v as the next version of its algorithm, as catalog.Store says.
func (c *Catalog) Publish(ctx context.Context, v catalog.Version, bump stoa.Bump) (catalog.Version, bool, error) {
	var (
		out     catalog.Version
		created bool
	)
	err := c.db.write(ctx, func(tx *sql.Tx) error {
		var err error
		if out, created, err = insert(ctx, tx, v, bump); err != nil || !created {
			return err
		}
		return c.show(ctx, tx, out.Algorithm)
	})
	if err != nil {
		return catalog.Version{}, false, err
	}
	return out, created, nil
}

// insert is Publish without the algorithm's face.
func insert(ctx context.Context, tx *sql.Tx, v catalog.Version, bump stoa.Bump) (catalog.Version, bool, error) {
	highest, err := claim(ctx, tx, &v)
	if err != nil {
		return catalog.Version{}, false, err
	}
	if newest, same, err := sameAsNewest(ctx, tx, v); err != nil || same {
		return newest, false, err
	}
	v.Number = highest.Next(bump)
	if err := insertVersion(ctx, tx, v); err != nil {
		return catalog.Version{}, false, err
	}
	if v.Readme != "" {
		if _, err := tx.ExecContext(ctx, `INSERT INTO readmes (version, body) VALUES ($1, $2)`, v.ID, v.Readme); err != nil {
			return catalog.Version{}, false, err
		}
		v.Readme = ""
	}
	return v, true, nil
}

// claim finds or makes the algorithm of v, fills its names into v, and gives the
// highest number that it ever gave. The update that changes nothing makes a
// database with many writers hold the row until the end of the transaction.
func claim(ctx context.Context, tx *sql.Tx, v *catalog.Version) (stoa.Version, error) {
	algorithm, err := newUUID()
	if err != nil {
		return stoa.Version{}, err
	}
	if v.ID, err = newUUID(); err != nil {
		return stoa.Version{}, err
	}
	key := stoa.Ref{Owner: v.Owner, Name: v.Name}.Key()
	var n stoa.Version
	err = tx.QueryRowContext(ctx,
		`INSERT INTO algorithms (id, key, owner_key, owner, name, major, minor, revision, created)
		VALUES ($1, $2, $3, $4, $5, 0, 0, 0, $6)
		ON CONFLICT (key) DO UPDATE SET key = excluded.key
		RETURNING id, owner, name, major, minor, revision`,
		algorithm, key, strings.ToLower(v.Owner), v.Owner, v.Name, micros(v.Created)).
		Scan(&v.Algorithm, &v.Owner, &v.Name, &n.Major, &n.Minor, &n.Revision)
	return n, err
}

func newUUID() (string, error) {
	id, err := uuid.NewRandom()
	return id.String(), err
}

// sameAsNewest gives the algorithm's newest version of v's visibility where its
// content is v's.
func sameAsNewest(ctx context.Context, tx *sql.Tx, v catalog.Version) (catalog.Version, bool, error) {
	row := tx.QueryRowContext(ctx, selectVersions+
		`WHERE v.algorithm = $1 AND v.public = $2 ORDER BY v.major DESC, v.minor DESC, v.revision DESC LIMIT 1`,
		v.Algorithm, v.Public)
	newest, err := scanVersion(row.Scan)
	if errors.Is(err, sql.ErrNoRows) {
		return catalog.Version{}, false, nil
	}
	if err != nil || newest.Hash != v.Hash {
		return catalog.Version{}, false, err
	}
	return newest, true, nil
}

func insertVersion(ctx context.Context, tx *sql.Tx, v catalog.Version) error {
	files, err := json.Marshal(v.Files)
	if err != nil {
		return err
	}
	built, err := json.Marshal(v.Built)
	if err != nil {
		return err
	}
	n := v.Number
	if _, err := tx.ExecContext(ctx,
		`UPDATE algorithms SET major = $1, minor = $2, revision = $3 WHERE id = $4`,
		n.Major, n.Minor, n.Revision, v.Algorithm); err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx,
		`INSERT INTO versions (id, algorithm, major, minor, revision, public, kind, tagline, hash, manifest, files, built, report, creator, created, framework)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)`,
		v.ID, v.Algorithm, n.Major, n.Minor, n.Revision, v.Public, v.Kind, v.Tagline, v.Hash,
		string(v.Manifest), string(files), string(built), string(v.Report), v.Creator, micros(v.Created), v.Framework); err != nil {
		return err
	}
	for _, f := range slices.Concat(v.Files, v.Built) {
		if _, err := tx.ExecContext(ctx,
			`INSERT INTO version_blobs (version, digest) VALUES ($1, $2) ON CONFLICT DO NOTHING`, v.ID, string(f.Digest)); err != nil {
			return err
		}
	}
	return nil
}

const versionOrder = ` ORDER BY a.key, v.major DESC, v.minor DESC, v.revision DESC`

// columns are those of a version but for the last three, which listings do not
// all need.
const columns = `v.id, a.id, a.owner, a.name, v.major, v.minor, v.revision, v.public, v.kind, v.framework, v.tagline,
	v.hash, v.manifest, v.creator, v.created`

const selectVersions = `SELECT ` + columns + `, v.files, v.built, v.report FROM versions v JOIN algorithms a ON a.id = v.algorithm `

// bareColumns are a version without what listings do not need.
const bareColumns = columns + `, '', '', ''`

func scanVersion(scan func(...any) error) (catalog.Version, error) {
	var (
		v                              catalog.Version
		manifest, files, built, report string
		created                        int64
	)
	err := scan(&v.ID, &v.Algorithm, &v.Owner, &v.Name, &v.Number.Major, &v.Number.Minor, &v.Number.Revision,
		&v.Public, &v.Kind, &v.Framework, &v.Tagline, &v.Hash, &manifest, &v.Creator, &created, &files, &built, &report)
	if err != nil {
		return catalog.Version{}, err
	}
	v.Created = fromMicros(created)
	v.Manifest, v.Report = rawJSON(manifest), rawJSON(report)
	if v.Files, err = readFiles(files); err != nil {
		return catalog.Version{}, err
	}
	v.Built, err = readFiles(built)
	return v, err
}

func rawJSON(s string) json.RawMessage {
	if s == "" {
		return nil
	}
	return json.RawMessage(s)
}

func readFiles(s string) ([]blob.File, error) {
	if s == "" {
		return nil, nil
	}
	var files []blob.File
	err := json.Unmarshal([]byte(s), &files)
	return files, err
}

// versions runs a query for versions.
func (c *Catalog) versions(ctx context.Context, query string, args ...any) ([]catalog.Version, error) {
	rows, err := c.db.cfg.Read.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []catalog.Version
	for rows.Next() {
		v, err := scanVersion(rows.Scan)
		if err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	return out, rows.Err()
}

// Versions lists the versions of an algorithm, newest number first. key is a
// Ref's Key or an algorithm's UUID. NotFound where there is none.
func (c *Catalog) Versions(ctx context.Context, key string) ([]catalog.Version, error) {
	vs, err := c.versions(ctx, selectVersions+`WHERE `+column(key)+` = $1`+versionOrder, strings.ToLower(key))
	if err != nil {
		return nil, c.db.fail(ctx, err)
	}
	if len(vs) == 0 {
		return nil, notFound(key)
	}
	return vs, nil
}

// column tells by which column a key finds its algorithm: only a Ref's Key has a
// slash.
func column(key string) string {
	if strings.Contains(key, "/") {
		return "a.key"
	}
	return "a.id"
}

func notFound(key string) error {
	return stoa.Errorf(stoa.NotFound, "algorithm algo://%.140s not found", key)
}

// Remove deletes one version, or the algorithm where number is nil; NotFound
// where there is none.
func (c *Catalog) Remove(ctx context.Context, key string, number *stoa.Version) error {
	return c.db.write(ctx, func(tx *sql.Tx) error {
		var algorithm string
		err := tx.QueryRowContext(ctx, `SELECT a.id FROM algorithms a WHERE `+column(key)+` = $1`, strings.ToLower(key)).Scan(&algorithm)
		if errors.Is(err, sql.ErrNoRows) {
			return notFound(key)
		}
		if err != nil {
			return err
		}
		if number == nil {
			_, err = tx.ExecContext(ctx, `DELETE FROM versions WHERE algorithm = $1`, algorithm)
		} else {
			var res sql.Result
			res, err = tx.ExecContext(ctx, `DELETE FROM versions WHERE algorithm = $1 AND major = $2 AND minor = $3 AND revision = $4`,
				algorithm, number.Major, number.Minor, number.Revision)
			err = oneRow(res, err, stoa.NotFound, "version "+number.String()+" of "+notFound(key).Error())
		}
		if err != nil {
			return err
		}
		if err := c.show(ctx, tx, algorithm); err != nil || number != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, `DELETE FROM algorithms WHERE id = $1`, algorithm)
		return err
	})
}

// holdersAtOnce is how many blobs one query asks for; databases bound the
// parameters of a statement.
const holdersAtOnce = 100

// Holders tells whose versions hold each of these blobs.
func (c *Catalog) Holders(ctx context.Context, ds []blob.Digest) ([]catalog.Holder, error) {
	var out []catalog.Holder
	err := c.db.read(ctx, func(tx *sql.Tx) error {
		for part := range slices.Chunk(ds, holdersAtOnce) {
			hs, err := holders(ctx, tx, part)
			if err != nil {
				return err
			}
			out = append(out, hs...)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

func holders(ctx context.Context, tx *sql.Tx, ds []blob.Digest) ([]catalog.Holder, error) {
	args := make([]any, len(ds))
	marks := make([]string, len(ds))
	for i, d := range ds {
		args[i], marks[i] = string(d), "$"+strconv.Itoa(i+1)
	}
	rows, err := tx.QueryContext(ctx,
		`SELECT DISTINCT b.digest, a.owner, v.public FROM version_blobs b
		JOIN versions v ON v.id = b.version JOIN algorithms a ON a.id = v.algorithm
		WHERE b.digest IN (`+strings.Join(marks, ", ")+`)`, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []catalog.Holder
	for rows.Next() {
		var h catalog.Holder
		if err := rows.Scan(&h.Digest, &h.Owner, &h.Public); err != nil {
			return nil, err
		}
		out = append(out, h)
	}
	return out, rows.Err()
}
