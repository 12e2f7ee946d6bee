package client

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/stoa-project/stoa"
)

// CallOptions steer a call. The zero value is right for most.
type CallOptions struct {
	Timeout time.Duration // of the call itself, kept by the server; 0 means its default
}

// Answer is the answer to a call.
type Answer struct {
	Value     stoa.Value
	RequestID string
	Timing    []Timing
}

// Timing is one part of where a call's time went, as the server tells it.
type Timing struct {
	Name string        `json:"name"` // queue, load, batch, compute, total
	Took time.Duration `json:"took"`
}

// Input is a call's input as a stream.
type Input struct {
	ContentType string // application/json, text/plain, application/octet-stream, image/*, application/x-npy
	Body        io.Reader
	Size        int64 // -1 where it is not known
}

// Stream is the answer to a call as a stream. The caller closes Body.
type Stream struct {
	Type      stoa.ValueType
	MediaType string // of a Binary answer
	Body      io.ReadCloser
	Size      int64 // -1 where it is not known
	RequestID string
	Timing    []Timing
}

// ContentType gives the Content-Type under which a value is sent.
func ContentType(v stoa.Value) string {
	switch v.Type {
	case stoa.Text:
		return "text/plain; charset=utf-8"
	case stoa.JSON:
		return "application/json"
	case stoa.Binary, stoa.Void:
		if v.MediaType != "" {
			return v.MediaType
		}
	}
	return "application/octet-stream"
}

// Call calls an algorithm, named as owner/name or owner/name/version, and reads
// the whole answer.
func (c *Client) Call(ctx context.Context, ref string, in stoa.Value, o CallOptions) (*Answer, error) {
	if in.Type == stoa.Void {
		in = stoa.Value{Type: stoa.JSON, Data: []byte("null")}
	}
	s, err := c.CallStream(ctx, ref, Input{ContentType: ContentType(in), Body: bytes.NewReader(in.Data), Size: int64(len(in.Data))}, o)
	if err != nil {
		return nil, err
	}
	defer s.Body.Close()
	data, err := io.ReadAll(s.Body)
	if err != nil {
		return nil, c.unreached(ctx, err)
	}
	return &Answer{Value: stoa.Value{Type: s.Type, Data: data, MediaType: s.MediaType}, RequestID: s.RequestID, Timing: s.Timing}, nil
}

// CallStream calls an algorithm without holding input or answer in memory.
func (c *Client) CallStream(ctx context.Context, ref string, in Input, o CallOptions) (*Stream, error) {
	r, err := callRequest(ref, in, o)
	if err != nil {
		return nil, err
	}
	// The raw form spares base64, and keeps the media type.
	r.query.Set("output", "raw")
	res, err := c.send(ctx, r) //nolint:bodyclose // the Stream's reader closes it
	if err != nil {
		return nil, err
	}
	s := &Stream{Body: res.Body, Size: res.ContentLength, RequestID: res.Header.Get("X-Request-Id"), Timing: parseTiming(res.Header.Get("Server-Timing"))}
	media, _, err := mime.ParseMediaType(res.Header.Get("Content-Type"))
	switch {
	case err != nil && res.ContentLength == 0:
		s.Type = stoa.Void
	case media == "text/plain":
		s.Type = stoa.Text
	case media == "application/json":
		s.Type = stoa.JSON
	default:
		s.Type = stoa.Binary
		if media != "application/octet-stream" {
			s.MediaType = media
		}
	}
	return s, nil
}

// CallVoid starts a call whose answer nobody wants, and gives its request id.
func (c *Client) CallVoid(ctx context.Context, ref string, in stoa.Value, o CallOptions) (string, error) {
	r, err := callRequest(ref, Input{ContentType: ContentType(in), Body: bytes.NewReader(in.Data), Size: int64(len(in.Data))}, o)
	if err != nil {
		return "", err
	}
	r.query.Set("output", "void")
	res, err := c.send(ctx, r)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	var answer struct {
		RequestID string `json:"request_id"`
	}
	if err := json.NewDecoder(res.Body).Decode(&answer); err != nil {
		return "", c.unreached(ctx, err)
	}
	return answer.RequestID, nil
}

func callRequest(ref string, in Input, o CallOptions) (request, error) {
	parsed, err := stoa.ParseRef(ref)
	if err != nil {
		return request{}, err
	}
	q := url.Values{}
	if o.Timeout > 0 {
		q.Set("timeout", strconv.FormatFloat(o.Timeout.Seconds(), 'f', -1, 64))
	}
	return request{method: http.MethodPost, path: "/v1/algo/" + parsed.String(), query: q, ctype: in.ContentType, body: in.Body, size: in.Size}, nil
}

// parseTiming reads a Server-Timing header; what it cannot read it leaves out.
func parseTiming(s string) []Timing {
	var out []Timing
	for part := range strings.SplitSeq(s, ",") {
		name, rest, _ := strings.Cut(strings.TrimSpace(part), ";")
		ms, err := strconv.ParseFloat(strings.TrimPrefix(strings.TrimSpace(rest), "dur="), 64)
		if name != "" && err == nil {
			out = append(out, Timing{Name: name, Took: time.Duration(ms * float64(time.Millisecond))})
		}
	}
	return out
}
