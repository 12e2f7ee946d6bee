package client

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
)

// Draft is files that were uploaded before anybody said what they are.
type Draft struct {
	ID    string `json:"id"`
	Files []File `json:"files"` // by name
}

// Inspection is what the server found out about a draft.
type Inspection struct {
	Report   json.RawMessage `json:"report"`   // of the import; nil where no model could be read
	Manifest json.RawMessage `json:"manifest"` // stoa.yaml's, or the one that the files suggest
	YAML     string          `json:"yaml"`     // the same as text
	Given    bool            `json:"given"`    // stoa.yaml is among the files, and in order
	Problems []Problem       `json:"problems"` // what stands in the way of publishing
}

// Problem is one thing that is wrong with a draft or a manifest.
type Problem struct {
	File   string `json:"file"`
	Line   int    `json:"line"` // 0 where it is no line's
	Column int    `json:"column"`
	Field  string `json:"field"` // such as input[0].picture.width
	Msg    string `json:"msg"`
}

// DraftPublish says how a draft is published.
type DraftPublish struct {
	As       string          `json:"as,omitempty"`
	Bump     string          `json:"bump,omitempty"`
	Manifest json.RawMessage `json:"manifest,omitempty"` // one of these two
	YAML     string          `json:"yaml,omitempty"`
}

// PreviewRequest asks what a network will see of a picture: of a file of the
// draft, or of Data.
type PreviewRequest struct {
	Input json.RawMessage `json:"input"`          // as in stoa.yaml
	Spec  json.RawMessage `json:"spec,omitempty"` // the network's input, as the report has it
	File  string          `json:"file,omitempty"`
	Data  []byte          `json:"data,omitempty"`
}

// Preview is what a network will see.
type Preview struct {
	PNG      []byte    `json:"png"`
	Channels []Channel `json:"channels"` // in the network's order
	DType    string    `json:"dtype"`
	Shape    []int64   `json:"shape"`
	Layout   string    `json:"layout"`
}

// Channel sums up the numbers that the network gets of one channel.
type Channel struct {
	Name string  `json:"name"`
	Min  float64 `json:"min"`
	Mean float64 `json:"mean"`
	Max  float64 `json:"max"`
}

// ManifestCheck is a manifest to check, as JSON or as the text of stoa.yaml.
type ManifestCheck struct {
	Manifest json.RawMessage `json:"manifest,omitempty"`
	YAML     string          `json:"yaml,omitempty"`
	Inputs   json.RawMessage `json:"inputs,omitempty"` // of the network, as the report has them
	Outputs  json.RawMessage `json:"outputs,omitempty"`
}

// CheckedManifest is what the server says of a manifest.
type CheckedManifest struct {
	YAML     string          `json:"yaml"`
	Manifest json.RawMessage `json:"manifest"` // nil where it cannot be read
	Problems []Problem       `json:"problems"`
}

func draftPath(id string, rest ...string) string {
	return strings.Join(append([]string{"/v1/drafts", url.PathEscape(id)}, rest...), "/")
}

// escapeName escapes a file's name for a path, part by part.
func escapeName(name string) string {
	parts := strings.Split(name, "/")
	for i, p := range parts {
		parts[i] = url.PathEscape(p)
	}
	return strings.Join(parts, "/")
}

// BeginDraft opens a draft. It ends when it is published or aborted, or after an
// hour without use.
func (c *Client) BeginDraft(ctx context.Context) (d Draft, err error) {
	err = c.do(ctx, request{method: http.MethodPost, path: "/v1/drafts"}, nil, &d)
	return d, err
}

// Draft lists the files of a draft.
func (c *Client) Draft(ctx context.Context, id string) (d Draft, err error) {
	err = c.do(ctx, request{method: http.MethodGet, path: draftPath(id)}, nil, &d)
	return d, err
}

// PutDraftFile uploads a file of a draft; size is -1 where it is not known.
func (c *Client) PutDraftFile(ctx context.Context, id, name string, r io.Reader, size int64) (f File, err error) {
	err = c.do(ctx, request{
		method: http.MethodPut, path: draftPath(id, "files", escapeName(name)), ctype: "application/octet-stream", body: r, size: size,
	}, nil, &f)
	return f, err
}

// RemoveDraftFile forgets a file of a draft.
func (c *Client) RemoveDraftFile(ctx context.Context, id, name string) error {
	return c.do(ctx, request{method: http.MethodDelete, path: draftPath(id, "files", escapeName(name))}, nil, nil)
}

// AbortDraft forgets a draft.
func (c *Client) AbortDraft(ctx context.Context, id string) error {
	return c.do(ctx, request{method: http.MethodDelete, path: draftPath(id)}, nil, nil)
}

// InspectDraft tells what the files of a draft are. name is the algorithm's,
// where they have no stoa.yaml; "" takes one from the files.
func (c *Client) InspectDraft(ctx context.Context, id, name string) (in Inspection, err error) {
	err = c.do(ctx, request{method: http.MethodPost, path: draftPath(id, "inspect")}, map[string]string{"name": name}, &in)
	return in, err
}

// PreviewDraft shows what a network will see of a picture.
func (c *Client) PreviewDraft(ctx context.Context, id string, r PreviewRequest) (p Preview, err error) {
	err = c.do(ctx, request{method: http.MethodPost, path: draftPath(id, "preview")}, r, &p)
	return p, err
}

// PublishDraft publishes a draft. After an error the draft is as it was.
func (c *Client) PublishDraft(ctx context.Context, id string, r DraftPublish) (*Published, error) {
	out := &Published{}
	if err := c.do(ctx, request{method: http.MethodPost, path: draftPath(id, "publish")}, r, out); err != nil {
		return nil, err
	}
	return out, nil
}

// CheckManifest tells what is wrong with a manifest for a draft: by itself,
// beside the draft's files, and beside its network.
func (c *Client) CheckManifest(ctx context.Context, id string, r ManifestCheck) (m CheckedManifest, err error) {
	err = c.do(ctx, request{method: http.MethodPost, path: draftPath(id, "manifest")}, r, &m)
	return m, err
}
