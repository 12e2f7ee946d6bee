package sqlite

import (
	"strings"

	"github.com/stoa-project/stoa/internal/store"
)

// fullText is SQLite's FTS5. The index keeps no texts, which are in the tables.
// One, two and three letters are found in lists of their own, since that is what
// somebody types first. Accents make no difference.
func (dialect) FullText() store.FullText {
	return store.FullText{
		Create: `CREATE VIRTUAL TABLE IF NOT EXISTS search USING fts5(names, about, readme,
			content='', contentless_delete=1, prefix='1 2 3', tokenize='unicode61 remove_diacritics 2')`,
		Put:  `INSERT OR REPLACE INTO search (rowid, names, about, readme) VALUES ($1, $2, $3, $4)`,
		Drop: `DELETE FROM search WHERE rowid = $1`,
		Match: func(p string) string {
			return `SELECT rowid AS doc FROM search WHERE search MATCH ` + p
		},
		Rank: func(p string) string {
			return `SELECT rowid AS doc, bm25(search, 10, 3, 1) AS score FROM search WHERE search MATCH ` + p
		},
		Query: ftsQuery,
	}
}

// ftsQuery writes words as an FTS5 expression: strings, which have no syntax
// but the quotation mark, each followed by the star of a beginning.
func ftsQuery(words []string, in store.Place) string {
	var b strings.Builder
	switch in {
	case store.InNames:
		b.WriteString(`{names} : (`)
	case store.InAbout:
		b.WriteString(`{names about} : (`)
	default:
		b.WriteString(`(`)
	}
	for i, w := range words {
		if i > 0 {
			b.WriteString(` AND `)
		}
		b.WriteString(`"` + strings.NewReplacer(`"`, `""`, "\x00", "").Replace(w) + `" *`)
	}
	b.WriteString(`)`)
	return b.String()
}
