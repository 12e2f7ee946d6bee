package client

import (
	"bufio"
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/stoa-project/stoa"
)

// LogEntry is what an algorithm printed on one stream in one call.
type LogEntry struct {
	Time    time.Time `json:"time"`
	Version string    `json:"version"`
	Request string    `json:"request,omitempty"` // id of the call
	Stream  string    `json:"stream"`            // stdout, stderr, system
	Text    string    `json:"text"`
}

// LogQuery says which entries are wanted, beside the version that ref may name.
type LogQuery struct {
	Tail   int    // the last so many; 0: all
	Since  string // how long ago, such as 10m, or a time in RFC 3339; "": all
	Follow bool   // go on as they come, until the context ends
}

// Logs tells what an algorithm printed, the oldest first. An error of each ends
// it, and is given back.
func (c *Client) Logs(ctx context.Context, ref string, q LogQuery, each func(LogEntry) error) error {
	r, _, err := algorithmRequest(http.MethodGet, ref)
	if err != nil {
		return err
	}
	v := url.Values{"version": r.query["version"]}
	set := func(name, value string) {
		if value != "" {
			v.Set(name, value)
		}
	}
	set("since", q.Since)
	if q.Tail > 0 {
		v.Set("tail", strconv.Itoa(q.Tail))
	}
	if q.Follow {
		v.Set("follow", "true")
	}
	r.path, r.query = r.path+"/logs", v
	res, err := c.send(ctx, r)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	lines := bufio.NewScanner(res.Body)
	lines.Buffer(nil, maxLine)
	for lines.Scan() {
		var e LogEntry
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			return stoa.Wrap(stoa.Unavailable, err, "the answer of %s to %s is not what Stoa gives: is it a Stoa server?", c.base, r.path)
		}
		if err := each(e); err != nil {
			return err
		}
	}
	switch {
	case ctx.Err() != nil:
		return stoa.AsError(ctx.Err())
	case lines.Err() != nil || q.Follow:
		return stoa.Wrap(stoa.Unavailable, lines.Err(), "the connection to %s broke", c.base)
	}
	return nil
}

// Secret is what a server tells of a secret: never its value.
type Secret struct {
	Name string    `json:"name"`
	By   string    `json:"by"`
	Set  time.Time `json:"set"`
}

// Secrets lists the secrets of an algorithm.
func (c *Client) Secrets(ctx context.Context, ref string) ([]Secret, error) {
	r, _, err := algorithmRequest(http.MethodGet, ref)
	if err != nil {
		return nil, err
	}
	return list[Secret](ctx, c, r.path+"/secrets", nil)
}

// SetSecret keeps a secret of an algorithm, in the place of one of that name.
func (c *Client) SetSecret(ctx context.Context, ref, name, value string) error {
	r, _, err := algorithmRequest(http.MethodPut, ref)
	if err != nil {
		return err
	}
	r.path += "/secrets/" + url.PathEscape(name)
	r.query = nil
	return c.do(ctx, r, map[string]string{"value": value}, nil)
}

// RemoveSecret ends a secret.
func (c *Client) RemoveSecret(ctx context.Context, ref, name string) error {
	r, _, err := algorithmRequest(http.MethodDelete, ref)
	if err != nil {
		return err
	}
	r.path += "/secrets/" + url.PathEscape(name)
	r.query = nil
	return c.do(ctx, r, nil, nil)
}
