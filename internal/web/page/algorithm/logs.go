package algorithm

import (
	"context"
	"strings"
	"unicode"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/api"
	"github.com/stoa-project/stoa/internal/catalog"
	"github.com/stoa-project/stoa/internal/logbook"
)

// Logs is what the page asks of the logbook; package logbook's Book is one.
type Logs interface {
	Read(ctx context.Context, ref stoa.Ref, q logbook.Query) ([]logbook.Entry, error)
}

// logsView is the end of what an algorithm has printed, for its owner.
type logsView struct {
	URL     string // of the entries, for a script that follows them
	Entries []logLine
}

// logLine is what was printed on one stream in one call.
type logLine struct {
	Time, Clock      string // the whole, and the part that people read
	Version, Request string
	Stream, Text     string
}

// Bounds of what the page shows of the log.
const (
	tail     = 50
	maxEntry = 4 << 10 // bytes of one entry: what has more is read with stoa logs
)

func (p *pages) logs(r *api.Request, v *catalog.Version) (*logsView, error) {
	entries, err := p.cfg.Logs.Read(r.Context(), stoa.Ref{Owner: v.Owner, Name: v.Name}, logbook.Query{Tail: tail})
	if err != nil {
		return nil, err
	}
	x := &logsView{URL: "/v1/algorithms/" + v.Owner + "/" + v.Name + "/logs"}
	for _, e := range entries {
		at := e.Time.UTC()
		text := strings.TrimRight(e.Text, "\n")
		if len(text) > maxEntry {
			text = strings.ToValidUTF8(text[:maxEntry], "") + "…"
		}
		x.Entries = append(x.Entries, logLine{
			Time: at.Format("2006-01-02T15:04:05.000Z"), Clock: at.Format("2006-01-02 15:04:05"),
			Version: e.Version, Request: e.Request, Stream: e.Stream, Text: visible(text),
		})
	}
	return x, nil
}

// visible makes a text of a program safe to look at: what would move the cursor,
// colour a terminal or turn the direction of writing is shown as a dot. part/visible.ts
// does the same.
func visible(s string) string {
	s = strings.ReplaceAll(s, "\r\n", "\n")
	return strings.Map(func(r rune) rune {
		if r != '\n' && r != '\t' && (unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r)) {
			return '·'
		}
		return r
	}, s)
}
