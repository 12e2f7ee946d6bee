package catalog

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/stoa-project/stoa"
)

// Query says what to look for. Its zero value finds all.
type Query struct {
	Owner     string // "" for all
	Text      string // each of its words must begin a word of name, owner, tagline, tags or README
	Kind      string // such as model; "" for all
	Framework string // of origin, such as caffe; "" for all
	Limit     int    // 0 means 1000, which is also the most
	Offset    int    // how many of those found come before the first one given
}

// maxLimit is a page of Algorithmia's listings.
const maxLimit = 1000

// Found is a part of what a Query found, and the numbers of the whole.
type Found struct {
	// Versions has the face of each algorithm: its newest public version, else its
	// newest. They are without Files and Report.
	Versions   []*Version
	Total      int     // with those before and after Versions
	Kinds      []Facet // of all that matches but for Query.Kind
	Frameworks []Facet // of all that matches but for Query.Framework; unknown ones are not in it
}

// Facet says how many of those found are of one kind or framework.
type Facet struct {
	Name  string
	Count int
}

// Sought is a Query as a Store gets it: checked, and with what the caller may
// see.
type Sought struct {
	Words     []string // of letters, digits and marks in lower case; each begins a word of what is found
	Exact     string   // the whole text in lower case: what has this name comes first
	Owner     string   // Owner, Kind and Framework in lower case; "" for all
	Kind      string
	Framework string
	Sight     Sight
	Limit     int // at least 1
	Offset    int
}

// Sight is which algorithms without a public version are found.
type Sight struct {
	All     bool   // everybody's: the caller is an administrator
	Account string // this one's, in lower case; "" nobody's
}

// Search finds algorithms that the caller may see. With a text, those come first
// that have this very name, then those that have all its words in name and
// owner, then in tagline and tags too, then in the README too; among those of
// one place the best comes first, or the newest where very many match. Without a
// text the newest comes first: who comes again sees what is new.
func (c *Catalog) Search(ctx context.Context, who stoa.Caller, q Query) (Found, error) {
	s := Sought{
		Words: Words(q.Text), Exact: strings.ToLower(strings.TrimSpace(q.Text)),
		Owner: strings.ToLower(q.Owner), Kind: strings.ToLower(q.Kind), Framework: strings.ToLower(q.Framework),
		Sight: Sight{All: who.Admin, Account: strings.ToLower(who.Account)},
		Limit: q.Limit, Offset: max(q.Offset, 0),
	}
	if s.Limit <= 0 || s.Limit > maxLimit {
		s.Limit = maxLimit
	}
	return c.cfg.Store.Search(ctx, s)
}

// Bounds of a text. Nobody types more; what is beyond is not looked for. A word
// that is cut still finds all that the whole one does, as it is a beginning.
const (
	maxWords = 10
	maxWord  = 100 // bytes
)

// Words gives the words of a text that can be looked for: runs of letters and
// digits, in lower case.
func Words(text string) []string {
	var out []string
	for w := range strings.FieldsFuncSeq(strings.ToLower(text), func(r rune) bool { return !inWord(r) }) {
		if !strings.ContainsFunc(w, func(r rune) bool { return unicode.IsLetter(r) || unicode.IsNumber(r) }) {
			continue // marks alone
		}
		if w = cutText(w, maxWord); !slices.Contains(out, w) {
			out = append(out, w)
		}
		if len(out) == maxWords {
			break
		}
	}
	return out
}

func inWord(r rune) bool {
	return r != utf8.RuneError && (unicode.IsLetter(r) || unicode.IsNumber(r) || unicode.IsMark(r))
}

// cutText gives at most n bytes of s, and no part of a character.
func cutText(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

// Group is how many of those found have one kind and one framework.
type Group struct {
	Kind      string
	Framework string
	Count     int
}

// Count fills in Total, Kinds and Frameworks from groups that match all of s but
// for its Kind and Framework: the visitor may switch to another and sees how
// many there are.
func (f *Found) Count(s Sought, groups []Group) {
	kinds, frameworks := map[string]int{}, map[string]int{}
	f.Total = 0
	for _, g := range groups {
		kind := s.Kind == "" || g.Kind == s.Kind
		framework := s.Framework == "" || g.Framework == s.Framework
		if framework {
			kinds[g.Kind] += g.Count
		}
		if kind {
			frameworks[g.Framework] += g.Count
		}
		if kind && framework {
			f.Total += g.Count
		}
	}
	f.Kinds, f.Frameworks = facets(kinds), facets(frameworks)
}

// facets puts the most frequent first.
func facets(counts map[string]int) []Facet {
	out := make([]Facet, 0, len(counts))
	for name, n := range counts {
		if name != "" {
			out = append(out, Facet{name, n})
		}
	}
	slices.SortFunc(out, func(a, b Facet) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), strings.Compare(a.Name, b.Name))
	})
	return out
}
