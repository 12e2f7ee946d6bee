package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"unicode"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/catalog"
)

// FullText is the SQL of one database for its full-text index, the one thing
// that no two databases write alike. The index has a row for each doc of the
// table faces, with three texts: names, about (tagline and tags) and readme.
type FullText struct {
	Create string // makes the index where it is missing
	Put    string // of doc $1: names $2, about $3, readme $4, in place of what was there
	Drop   string // of doc $1
	// Match gives a SELECT of the column doc, of what matches a Query that is
	// parameter p, such as $1.
	Match func(p string) string
	// Rank is Match with one more column, score; the lowest is the best.
	Rank func(p string) string
	// Query writes words, each of which must begin a word of the text, as the index
	// wants to be asked. No word may become part of the syntax.
	Query func(words []string, in Place) string
}

// Place is which of the texts must hold the words.
type Place uint8

// Each has the one before in it.
const (
	InNames  Place = iota // name and owner
	InAbout               // tagline and tags too
	Anywhere              // the README too
)

// maxRanked is how many matches are ranked: to weigh one costs ten times what
// finding it does, and words that so many have tell nothing of the one sought.
// 1,000 take about 2 ms.
const maxRanked = 1000

// query builds a statement and its parameters.
type query struct {
	text strings.Builder
	args []any
}

func (q *query) add(parts ...string) {
	for _, p := range parts {
		q.text.WriteString(p)
	}
}

// arg gives the mark of a new parameter.
func (q *query) arg(v any) string {
	q.args = append(q.args, v)
	return "$" + strconv.Itoa(len(q.args))
}

// Search finds faces, as catalog.Store says.
func (c *Catalog) Search(ctx context.Context, s catalog.Sought) (catalog.Found, error) {
	var out catalog.Found
	err := c.db.read(ctx, func(tx *sql.Tx) error {
		groups, err := c.groups(ctx, tx, s)
		if err != nil {
			return err
		}
		out.Count(s, groups)
		out.Versions, err = c.page(ctx, tx, s, out.Total)
		return err
	})
	if err != nil {
		return catalog.Found{}, err
	}
	return out, nil
}

// groups counts what matches all but kind and framework.
func (c *Catalog) groups(ctx context.Context, tx *sql.Tx, s catalog.Sought) ([]catalog.Group, error) {
	q := &query{}
	q.add(`SELECT f.kind, f.framework, COUNT(*) FROM `)
	if len(s.Words) > 0 {
		// In this order: the index finds, and the table is asked about each. CROSS
		// JOIN keeps SQLite from turning it round.
		q.add(`(`, c.text.Match(q.arg(c.text.Query(s.Words, Anywhere))), `) m CROSS JOIN faces f WHERE f.doc = m.doc`)
	} else {
		q.add(`faces f WHERE 1 = 1`)
	}
	q.restrict(s)
	q.add(` GROUP BY f.kind, f.framework`)
	rows, err := tx.QueryContext(ctx, q.text.String(), q.args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []catalog.Group
	for rows.Next() {
		var g catalog.Group
		if err := rows.Scan(&g.Kind, &g.Framework, &g.Count); err != nil {
			return nil, err
		}
		out = append(out, g)
	}
	return out, rows.Err()
}

// restrict adds the conditions on owner and sight.
func (q *query) restrict(s catalog.Sought) {
	if s.Owner != "" {
		q.add(` AND f.owner_key = `, q.arg(s.Owner))
	}
	switch {
	case s.Sight.All:
	case s.Sight.Account == "":
		q.add(` AND f.public`)
	default:
		q.add(` AND (f.public OR f.owner_key = `, q.arg(s.Sight.Account), `)`)
	}
}

// page gives the faces from s.Offset on, of total.
func (c *Catalog) page(ctx context.Context, tx *sql.Tx, s catalog.Sought, total int) ([]*catalog.Version, error) {
	if s.Offset >= total {
		return []*catalog.Version{}, nil
	}
	in := Anywhere
	if len(s.Words) > 0 && total > maxRanked {
		// The first pages are mostly full of names. Then the rest need not be sorted,
		// which takes half the time of a search for a letter.
		in = InNames
	}
	for {
		out, err := c.pageIn(ctx, tx, s, sorting{in: in, ranked: total <= maxRanked})
		if err != nil || in == Anywhere || len(out) == s.Limit {
			return out, err
		}
		in = Anywhere
	}
}

// sorting is how a page is sorted, and where its matches must be.
type sorting struct {
	in     Place
	ranked bool
}

func (c *Catalog) pageIn(ctx context.Context, tx *sql.Tx, s catalog.Sought, by sorting) ([]*catalog.Version, error) {
	q := &query{}
	// The inner query sorts, and carries no more than that needs.
	q.add(`SELECT `, bareColumns, ` FROM (SELECT f.doc, f.created`)
	order := c.order(q, s, by)
	if s.Kind != "" {
		q.add(` AND f.kind = `, q.arg(s.Kind))
	}
	if s.Framework != "" {
		q.add(` AND f.framework = `, q.arg(s.Framework))
	}
	q.restrict(s)
	q.add(order, ` LIMIT `, q.arg(s.Limit), ` OFFSET `, q.arg(s.Offset), `) p
		CROSS JOIN faces f CROSS JOIN versions v CROSS JOIN algorithms a
		WHERE f.doc = p.doc AND v.id = f.version AND a.id = f.algorithm`, strings.ReplaceAll(order, "f.", "p."))
	rows, err := tx.QueryContext(ctx, q.text.String(), q.args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	out := []*catalog.Version{}
	for rows.Next() {
		v, err := scanVersion(rows.Scan)
		if err != nil {
			return nil, err
		}
		out = append(out, &v)
	}
	return out, rows.Err()
}

// order adds the columns by which is sorted and what they are taken from, and
// gives the order.
func (c *Catalog) order(q *query, s catalog.Sought, by sorting) (order string) {
	const newest = `f.created DESC, f.doc DESC`
	if len(s.Words) == 0 {
		q.add(` FROM faces f WHERE 1 = 1`)
		return ` ORDER BY ` + newest
	}
	exact := q.arg(s.Exact)
	q.add(`, CASE WHEN f.name_key = `, exact, ` OR f.owner_key || '/' || f.name_key = `, exact, ` THEN -1`)
	for in := InNames; in < by.in; in++ {
		q.add(` WHEN f.doc IN (`, c.text.Match(q.arg(c.text.Query(s.Words, in))), `) THEN `, strconv.Itoa(int(in)))
	}
	q.add(` ELSE `, strconv.Itoa(int(by.in)), ` END AS place`)
	match, order := c.text.Match, ` ORDER BY place, `+newest
	if by.ranked {
		q.add(`, m.score`)
		match, order = c.text.Rank, ` ORDER BY place, score, `+newest
	}
	q.add(` FROM (`, match(q.arg(c.text.Query(s.Words, by.in))), `) m CROSS JOIN faces f WHERE f.doc = m.doc`)
	return order
}

// face is what the table faces and the index hold of an algorithm.
type face struct {
	version   string
	owner     string
	name      string
	public    bool
	kind      string
	framework string
	tagline   string
	manifest  string
	readme    string
	created   int64
}

// entry is a row of the full-text index.
type entry struct {
	doc                  int64
	names, about, readme string
}

// show makes the face of an algorithm what its versions say it is, in the table
// and in the index. It is part of the transaction that changed them.
func (c *Catalog) show(ctx context.Context, tx *sql.Tx, algorithm string) error {
	e, err := c.showFace(ctx, tx, algorithm)
	if err != nil || e == nil {
		return err
	}
	return c.put(ctx, tx, e)
}

func (c *Catalog) put(ctx context.Context, tx *sql.Tx, e *entry) error {
	_, err := tx.ExecContext(ctx, c.text.Put, e.doc, e.names, e.about, e.readme)
	return err
}

// showFace is show for the table alone, and gives what is to be put into the
// index; nil for nothing.
func (c *Catalog) showFace(ctx context.Context, tx *sql.Tx, algorithm string) (*entry, error) {
	var doc int64
	var shown string
	err := tx.QueryRowContext(ctx, `SELECT doc, version FROM faces WHERE algorithm = $1`, algorithm).Scan(&doc, &shown)
	had := err == nil
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return nil, err
	}
	f, err := faceOf(ctx, tx, algorithm)
	switch {
	case errors.Is(err, sql.ErrNoRows) && had:
		return nil, c.hide(ctx, tx, doc)
	case errors.Is(err, sql.ErrNoRows):
		return nil, nil
	case err != nil:
		return nil, err
	case had && shown == f.version:
		return nil, nil
	case !had:
		if err := tx.QueryRowContext(ctx, `SELECT COALESCE(MAX(doc), 0) + 1 FROM faces`).Scan(&doc); err != nil {
			return nil, err
		}
	}
	if _, err := tx.ExecContext(ctx,
		`INSERT INTO faces (doc, algorithm, version, owner_key, name_key, public, kind, framework, created)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
		ON CONFLICT (doc) DO UPDATE SET version = excluded.version, public = excluded.public, kind = excluded.kind,
		framework = excluded.framework, created = excluded.created`,
		doc, algorithm, f.version, strings.ToLower(f.owner), strings.ToLower(f.name), f.public,
		strings.ToLower(f.kind), strings.ToLower(f.framework), f.created); err != nil {
		return nil, err
	}
	var m struct {
		Tags []string `json:"tags"`
	}
	_ = json.Unmarshal([]byte(f.manifest), &m) // the catalogue checked it; without tags, the rest is found
	return &entry{
		doc:    doc,
		names:  strings.Join(append(nameWords(f.owner), nameWords(f.name)...), " "),
		about:  f.tagline + "\n" + strings.Join(m.Tags, "\n"),
		readme: f.readme,
	}, nil
}

// hide takes away a face.
func (c *Catalog) hide(ctx context.Context, tx *sql.Tx, doc int64) error {
	if _, err := tx.ExecContext(ctx, c.text.Drop, doc); err != nil {
		return err
	}
	_, err := tx.ExecContext(ctx, `DELETE FROM faces WHERE doc = $1`, doc)
	return err
}

func faceOf(ctx context.Context, tx *sql.Tx, algorithm string) (face, error) {
	var f face
	err := tx.QueryRowContext(ctx,
		`SELECT v.id, a.owner, a.name, v.public, v.kind, v.framework, v.tagline, v.manifest, v.created, COALESCE(r.body, '')
		FROM versions v JOIN algorithms a ON a.id = v.algorithm LEFT JOIN readmes r ON r.version = v.id
		WHERE v.algorithm = $1 ORDER BY v.public DESC, v.major DESC, v.minor DESC, v.revision DESC LIMIT 1`, algorithm).
		Scan(&f.version, &f.owner, &f.name, &f.public, &f.kind, &f.framework, &f.tagline, &f.manifest, &f.created, &f.readme)
	return f, err
}

// nameWords gives a name as it is found from each of its words on: FaceDetect2
// gives facedetect2, detect2 and 2, so that "face", "facedet" and "det" all
// begin one of them.
func nameWords(name string) []string {
	var starts []int
	runes := []rune(name)
	for i, r := range runes {
		if isWordStart(runes, i, r) {
			starts = append(starts, i)
		}
	}
	out := make([]string, 0, len(starts))
	for _, i := range starts {
		w := strings.Map(func(r rune) rune {
			if r == '_' || r == '-' || r == '.' {
				return -1
			}
			return unicode.ToLower(r)
		}, string(runes[i:]))
		if w != "" {
			out = append(out, w)
		}
	}
	return out
}

// isWordStart tells whether a word begins at i: after a sign, at a capital
// after a small letter, at the last capital before a small letter (the S of
// HTTPServer), and where digits begin or end.
func isWordStart(name []rune, i int, r rune) bool {
	if !unicode.IsLetter(r) && !unicode.IsDigit(r) {
		return false
	}
	if i == 0 {
		return true
	}
	before := name[i-1]
	switch {
	case !unicode.IsLetter(before) && !unicode.IsDigit(before):
		return true
	case unicode.IsDigit(r) != unicode.IsDigit(before):
		return true
	case unicode.IsUpper(r) && unicode.IsLower(before):
		return true
	}
	return unicode.IsUpper(r) && unicode.IsUpper(before) && i+1 < len(name) && unicode.IsLower(name[i+1])
}

// index makes the full-text index, and the faces that are missing: those of
// versions that an older Stoa published, whose READMEs are not looked through
// until a next version is published.
func (db *DB) index(ctx context.Context) error {
	c := db.Catalog()
	return db.write(ctx, func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, c.text.Create); err != nil {
			return err
		}
		lacking, err := lackFaces(ctx, tx)
		if err != nil {
			return err
		}
		for _, algorithm := range lacking {
			if err := fillFrameworks(ctx, tx, algorithm); err != nil {
				return err
			}
		}
		return c.showAll(ctx, tx, lacking)
	})
}

// showAll is show for many: the index is written to last, since SQLite writes it
// out before each other statement that might have to be taken back.
func (c *Catalog) showAll(ctx context.Context, tx *sql.Tx, algorithms []string) error {
	entries := make([]*entry, 0, len(algorithms))
	for _, algorithm := range algorithms {
		e, err := c.showFace(ctx, tx, algorithm)
		if err != nil {
			return err
		}
		if e != nil {
			entries = append(entries, e)
		}
	}
	for _, e := range entries {
		if err := c.put(ctx, tx, e); err != nil {
			return err
		}
	}
	return nil
}

func lackFaces(ctx context.Context, tx *sql.Tx) ([]string, error) {
	return texts(ctx, tx, `SELECT a.id FROM algorithms a WHERE NOT EXISTS (SELECT 1 FROM faces f WHERE f.algorithm = a.id)
		AND EXISTS (SELECT 1 FROM versions v WHERE v.algorithm = a.id) ORDER BY a.created, a.key`)
}

// fillFrameworks takes the frameworks of old versions from their reports.
func fillFrameworks(ctx context.Context, tx *sql.Tx, algorithm string) error {
	ids, err := texts(ctx, tx, `SELECT id FROM versions WHERE algorithm = $1 AND framework = '' AND report <> ''`, algorithm)
	if err != nil {
		return err
	}
	for _, id := range ids {
		var report string
		if err := tx.QueryRowContext(ctx, `SELECT report FROM versions WHERE id = $1`, id).Scan(&report); err != nil {
			return err
		}
		framework := catalog.FrameworkOf(json.RawMessage(report))
		if _, err := tx.ExecContext(ctx, `UPDATE versions SET framework = $1 WHERE id = $2`, framework, id); err != nil {
			return err
		}
	}
	return nil
}

func texts(ctx context.Context, tx *sql.Tx, query string, args ...any) ([]string, error) {
	rows, err := tx.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []string
	for rows.Next() {
		var s string
		if err := rows.Scan(&s); err != nil {
			return nil, err
		}
		out = append(out, s)
	}
	return out, rows.Err()
}

// PublishAll publishes versions of algorithms that are not there yet, each with
// a minor number, in one transaction: for moving a catalogue, and for tests that
// need many. Where one of them fails, none is published.
func (c *Catalog) PublishAll(ctx context.Context, vs []catalog.Version) error {
	return c.db.write(ctx, func(tx *sql.Tx) error {
		ids := make([]string, len(vs))
		for i, v := range vs {
			out, _, err := insert(ctx, tx, v, stoa.BumpMinor)
			if err != nil {
				return err
			}
			ids[i] = out.Algorithm
		}
		return c.showAll(ctx, tx, ids)
	})
}
