// Package client is the Go SDK of Stoa. It speaks the native API, /v1, streams
// what is large, and gives every failure as a *stoa.Error of the same Kind that
// the server had. A Client may be used by many goroutines at once.
package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/api"
)

// Client speaks to one server with one key.
type Client struct {
	base *url.URL
	key  string
	http *http.Client
}

// Options are what New can do without.
type Options struct {
	// HTTP makes the requests; nil: a client of its own without a timeout, since
	// pushes take as long as they take. Contexts bound them.
	HTTP *http.Client
}

// New makes a client. server is a URL, or host:port for plain HTTP.
func New(server, key string, o Options) (*Client, error) {
	if server != "" && !strings.Contains(server, "://") {
		server = "http://" + server
	}
	u, err := url.Parse(server)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, stoa.Errorf(stoa.Invalid, "server %.200q: write a URL such as http://127.0.0.1:8080", server)
	}
	if strings.ContainsAny(key, "\r\n") {
		return nil, stoa.Errorf(stoa.Invalid, "the key holds a line break: copy it again")
	}
	c := &Client{base: u, key: key, http: o.HTTP}
	if c.http == nil {
		c.http = &http.Client{
			Transport: &http.Transport{
				Proxy:               http.ProxyFromEnvironment,
				DialContext:         (&net.Dialer{Timeout: 10 * time.Second}).DialContext,
				TLSHandshakeTimeout: 10 * time.Second,
				IdleConnTimeout:     90 * time.Second,
				MaxIdleConnsPerHost: 64,
				ForceAttemptHTTP2:   true,
			},
			// A redirect would turn a POST into a GET; say so instead.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		}
	}
	return c, nil
}

// Server gives the URL of the server.
func (c *Client) Server() string { return c.base.String() }

// request is one request to make.
type request struct {
	method string
	path   string // escaped, from /v1 on
	query  url.Values
	ctype  string
	accept string
	body   io.Reader
	size   int64 // of body; -1 unknown
}

// send makes a request and gives the response of a success, whose body the
// caller closes.
func (c *Client) send(ctx context.Context, r request) (*http.Response, error) {
	u := strings.TrimRight(c.base.String(), "/") + r.path
	if len(r.query) > 0 {
		u += "?" + r.query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, r.method, u, r.body)
	if err != nil {
		return nil, stoa.Wrap(stoa.Invalid, err, "the request for %s could not be made", r.path)
	}
	if r.body != nil {
		req.ContentLength = r.size
		if r.size == 0 {
			req.Body = http.NoBody
		}
	}
	if r.ctype != "" {
		req.Header.Set("Content-Type", r.ctype)
	}
	if r.accept != "" {
		req.Header.Set("Accept", r.accept)
	}
	if c.key != "" {
		req.Header.Set("Authorization", "Simple "+c.key)
	}
	req.Header.Set("User-Agent", "stoa-go")
	res, err := c.http.Do(req)
	if err != nil {
		return nil, c.unreached(ctx, err)
	}
	if res.StatusCode >= 200 && res.StatusCode < 300 {
		return res, nil
	}
	defer res.Body.Close()
	return nil, readError(res)
}

// unreached says why a request got no answer.
func (c *Client) unreached(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return stoa.AsError(ctx.Err())
	}
	var op *net.OpError
	if errors.As(err, &op) && op.Op == "dial" {
		return stoa.Wrap(stoa.Unavailable, err, "no server answers at %s: is it running there?", c.base)
	}
	return stoa.Wrap(stoa.Unavailable, err, "the connection to %s broke", c.base)
}

// do makes a request with a JSON body, or none where in is nil, and reads the
// answer into out, unless that is nil.
func (c *Client) do(ctx context.Context, r request, in, out any) error {
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			return stoa.Wrap(stoa.Invalid, err, "the request cannot be written as JSON")
		}
		r.ctype, r.body, r.size = "application/json", bytes.NewReader(b), int64(len(b))
	}
	res, err := c.send(ctx, r)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if out == nil {
		return nil
	}
	if err := json.NewDecoder(res.Body).Decode(out); err != nil {
		if ctx.Err() != nil {
			return stoa.AsError(ctx.Err())
		}
		return stoa.Wrap(stoa.Unavailable, err, "the answer of %s to %s is not what Stoa gives: is it a Stoa server?", c.base, r.path)
	}
	return nil
}

// maxErrorBody bounds what is read of a failure.
const maxErrorBody = 1 << 20

// readError gives the error that a response tells of. Its kind comes from the
// header of that name, else from the status.
func readError(res *http.Response) error {
	e := &stoa.Error{Kind: api.KindOf(res.StatusCode), RetryAfter: api.ParseRetryAfter(res.Header.Get("Retry-After"), time.Now())}
	if name := res.Header.Get(api.KindHeader); name != "" {
		_ = e.Kind.UnmarshalText([]byte(name)) // it never fails
	}
	b, err := io.ReadAll(io.LimitReader(res.Body, maxErrorBody))
	if err != nil {
		b = nil
	}
	var body struct {
		Error json.RawMessage `json:"error"`
	}
	var whole struct {
		Message string `json:"message"`
		Type    string `json:"error_type"`
		Stack   string `json:"stacktrace"`
	}
	switch {
	case json.Unmarshal(b, &body) == nil && json.Unmarshal(body.Error, &whole) == nil && whole.Message != "":
		e.Msg, e.Type, e.Stack = whole.Message, whole.Type, whole.Stack
	case json.Unmarshal(body.Error, &e.Msg) == nil && e.Msg != "":
	default:
		e.Msg = "the server answered " + res.Status + ", in no form that Stoa uses: is this the right address?"
	}
	return e
}
