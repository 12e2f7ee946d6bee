package algorithmia

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/api"
	"github.com/stoa-project/stoa/internal/logbook"
)

// Logs is what this door asks of the logbook; package logbook's Book is one.
type Logs interface {
	Read(ctx context.Context, ref stoa.Ref, q logbook.Query) ([]logbook.Entry, error)
	Follow(ref stoa.Ref) *logbook.Follower
}

// logs answers GET …/logs?tail=&since=&version=&follow=: an entry a line, the
// oldest first. They are for the owner and administrators.
func (a *API) logs(w *api.Response, r *api.Request) error {
	ref, err := pathRef(r)
	if err != nil {
		return err
	}
	v, err := a.cfg.Catalog.Resolve(r.Context(), r.Caller, ref)
	if err != nil {
		return err
	}
	if !a.owns(r, ref) {
		return stoa.Errorf(stoa.Forbidden, "what %s/%s prints is for %s and administrators", v.Owner, v.Name, v.Owner)
	}
	q, follow, err := logQuery(r, time.Now())
	if err != nil {
		return err
	}
	ref = stoa.Ref{Owner: v.Owner, Name: v.Name}
	var f *logbook.Follower
	if follow { // before reading, so that nothing is missed between
		f = a.cfg.Logs.Follow(ref)
		defer f.Close()
	}
	entries, err := a.cfg.Logs.Read(r.Context(), ref, q)
	if err != nil {
		return err
	}
	l := newLines(w)
	w.WriteHeader(http.StatusOK)
	last := ""
	for _, e := range entries {
		l.add(e)
		last = e.Time.String() + e.Request + e.Stream
	}
	l.flush()
	for f != nil {
		fresh, err := f.Next(r.Context())
		if err != nil {
			return nil // whoever listened has gone
		}
		for _, e := range fresh {
			if last != "" && e.Time.String()+e.Request+e.Stream == last { // it was read already
				last = ""
				continue
			}
			if q.Version == "" || e.Version == q.Version {
				l.add(e)
			}
		}
		l.flush()
	}
	return nil
}

// logQuery reads what entries are wanted. since is a time, or how long ago.
func logQuery(r *api.Request, now time.Time) (q logbook.Query, follow bool, err error) {
	p := r.URL.Query()
	q.Version = r.PathValue("version")
	if s := p.Get("version"); s != "" {
		if _, err := stoa.ParseVersion(s); err != nil {
			return q, false, err
		}
		q.Version = s
	}
	if s := p.Get("tail"); s != "" {
		if q.Tail, err = strconv.Atoi(s); err != nil || q.Tail < 1 {
			return q, false, stoa.Errorf(stoa.Invalid, "tail=%.40s: write how many entries, 1 or more", s)
		}
	}
	if s := p.Get("since"); s != "" {
		if ago, err := time.ParseDuration(s); err == nil {
			q.Since = now.Add(-ago)
		} else if q.Since, err = time.Parse(time.RFC3339, s); err != nil {
			return q, false, stoa.Errorf(stoa.Invalid, "since=%.40s: write how long ago, such as 10m, or a time such as 2026-03-01T12:00:00Z", s)
		}
	}
	switch s := p.Get("follow"); s {
	case "", "false":
	case "true":
		follow = true
	default:
		return q, false, stoa.Errorf(stoa.Invalid, "follow=%.40s: write true or false", s)
	}
	return q, follow, nil
}
