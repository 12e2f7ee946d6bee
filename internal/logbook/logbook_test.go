package logbook_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/logbook"
)

var ref = stoa.Ref{Owner: "Ann", Name: "Net"}

// clock is a time that tests move.
type clock struct{ now time.Time }

func newBook(t *testing.T, c *clock, limit int64) *logbook.Book {
	t.Helper()
	b, err := logbook.New(logbook.Config{Dir: filepath.Join(t.TempDir(), "logs"), Max: limit, Now: func() time.Time { return c.now }})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func read(t *testing.T, b *logbook.Book, q logbook.Query) string {
	t.Helper()
	entries, err := b.Read(t.Context(), ref, q)
	if err != nil {
		t.Fatal(err)
	}
	var texts []string
	for _, e := range entries {
		texts = append(texts, e.Text)
	}
	return strings.Join(texts, " ")
}

func TestEntriesAreReadBack(t *testing.T) {
	c := &clock{time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
	b := newBook(t, c, 0)
	for i := range 6 {
		err := b.Add(ref, logbook.Entry{Version: fmt.Sprint("1.0.", i%2), Request: "r", Stream: logbook.Stdout, Text: fmt.Sprint("t", i)}, logbook.Entry{Stream: logbook.Stderr})
		if err != nil {
			t.Fatal(err)
		}
		c.now = c.now.Add(10 * time.Hour)
	}
	for _, tc := range []struct {
		q    logbook.Query
		want string
	}{
		{logbook.Query{}, "t0 t1 t2 t3 t4 t5"},
		{logbook.Query{Tail: 2}, "t4 t5"},
		{logbook.Query{Version: "1.0.1"}, "t1 t3 t5"},
		{logbook.Query{Version: "1.0.1", Tail: 1}, "t5"},
		{logbook.Query{Since: time.Date(2026, 3, 2, 18, 0, 0, 0, time.UTC)}, "t3 t4 t5"},
		{logbook.Query{Since: c.now}, ""},
	} {
		if got := read(t, b, tc.q); got != tc.want {
			t.Errorf("%+v: %q, want %q", tc.q, got, tc.want)
		}
	}
	if got, err := b.Read(t.Context(), stoa.Ref{Owner: "bob", Name: "x"}, logbook.Query{}); err != nil || got != nil {
		t.Errorf("of nobody: %v, %v", got, err)
	}
}

func TestOldDaysGo(t *testing.T) {
	c := &clock{time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
	b := newBook(t, c, 0)
	for _, text := range []string{"old", "new"} {
		if err := b.Add(ref, logbook.Entry{Text: text}); err != nil {
			t.Fatal(err)
		}
		c.now = c.now.Add(b.Keep())
	}
	if err := b.Sweep(); err != nil {
		t.Fatal(err)
	}
	if got := read(t, b, logbook.Query{}); got != "new" {
		t.Errorf("left: %q", got)
	}
	if err := b.Forget(ref); err != nil {
		t.Fatal(err)
	}
	if got := read(t, b, logbook.Query{}); got != "" {
		t.Errorf("not forgotten: %q", got)
	}
}

func TestADayIsBounded(t *testing.T) {
	c := &clock{time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
	b := newBook(t, c, 500)
	for range 20 {
		if err := b.Add(ref, logbook.Entry{Text: "0123456789"}); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(strings.Fields(read(t, b, logbook.Query{}))); n == 0 || n > 8 {
		t.Errorf("%d entries in 500 bytes", n)
	}
	c.now = c.now.Add(24 * time.Hour)
	if err := b.Add(ref, logbook.Entry{Text: "next day"}); err != nil {
		t.Fatal(err)
	}
	if got := read(t, b, logbook.Query{Tail: 1}); got != "next day" {
		t.Errorf("the next day: %q", got)
	}
}

func TestFollowersHearAndSlowOnesAreTold(t *testing.T) {
	c := &clock{time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
	b := newBook(t, c, 1)
	f := b.Follow(stoa.Ref{Owner: "ann", Name: "net"})
	defer f.Close()
	for i := range 5000 {
		if err := b.Add(ref, logbook.Entry{Text: fmt.Sprint(i)}); err != nil {
			t.Fatal(err)
		}
	}
	got, err := f.Next(t.Context())
	if err != nil || len(got) != 4097 || got[0].Text != "0" || !strings.HasPrefix(got[4096].Text, "904 entries") {
		t.Fatalf("%d entries, %v", len(got), err)
	}
	if err := b.Add(stoa.Ref{Owner: "bob", Name: "net"}, logbook.Entry{Text: "another's"}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if got, err := f.Next(ctx); err == nil {
		t.Errorf("heard %v", got)
	}
}

func TestACutLineIsPassedOver(t *testing.T) {
	c := &clock{time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
	dir := t.TempDir()
	b, err := logbook.New(logbook.Config{Dir: dir, Now: func() time.Time { return c.now }})
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Add(ref, logbook.Entry{Text: "whole"}); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(filepath.Join(dir, "ann", "net", "2026-03-01.jsonl"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprint(f, `{"text":"cu`)
	f.Close()
	if got := read(t, b, logbook.Query{}); got != "whole" {
		t.Errorf("%q", got)
	}
}
