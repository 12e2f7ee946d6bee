package worker

import (
	"bytes"
	"context"
	"encoding/json"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/media"
	"github.com/stoa-project/stoa/internal/tensor"
	"github.com/stoa-project/stoa/internal/wire/engine"
)

// Previewer is an Engine that can show what a network gets of a picture. It
// needs no model for that: the adapter and the network's input say all. It is
// asked of workers, since only they decode pictures.
type Previewer interface {
	// Preview makes the network's input and turns it back into a picture. A value
	// that is none, and an adapter that does not fit the input, are Invalid.
	Preview(ctx context.Context, j PreviewJob) (media.Preview, error)
}

// PreviewJob is a picture to show as a network gets it.
type PreviewJob struct {
	Input json.RawMessage `json:"input"` // a media.Input with a picture adapter
	Spec  tensor.Spec     `json:"spec"`  // the network's input that it is for
	Value stoa.Value      `json:"-"`     // the picture, as any call may bring it
}

// Render does the job in this process.
func (j PreviewJob) Render(ctx context.Context, lim media.Limits) (media.Preview, error) {
	dec := json.NewDecoder(bytes.NewReader(j.Input))
	dec.DisallowUnknownFields()
	var in media.Input
	if err := dec.Decode(&in); err != nil {
		return media.Preview{}, stoa.Wrap(stoa.Invalid, err, "the input's adapter cannot be read: %v", err)
	}
	return media.NewPreview(ctx, in, j.Spec, j.Value, lim)
}

// On the wire a preview's job is a run of one item, whose id is the rest of the
// job as JSON; its answer is a media.Preview as JSON.
func (s server) preview(ctx context.Context, body []byte) ([][]byte, error) {
	p, ok := s.engine.(Previewer)
	if !ok {
		return nil, stoa.Errorf(stoa.Unsupported, "this engine shows no previews")
	}
	j, err := decodePreview(body)
	if err != nil {
		return nil, err
	}
	out, err := p.Preview(ctx, j)
	if err != nil {
		return nil, err
	}
	return engine.JSONReply(out)
}

func decodePreview(body []byte) (PreviewJob, error) {
	run, err := engine.DecodeRun(body)
	if err != nil {
		return PreviewJob{}, err
	}
	if len(run.Items) != 1 {
		return PreviewJob{}, stoa.Errorf(stoa.Invalid, "a preview is of one picture, not %d", len(run.Items))
	}
	var j PreviewJob
	if err := json.Unmarshal([]byte(run.ID), &j); err != nil {
		return j, stoa.Wrap(stoa.Invalid, err, "the preview's job cannot be read")
	}
	j.Value = run.Items[0]
	return j, nil
}

// Preview makes the worker show a picture; see Previewer.
func (r *Remote) Preview(ctx context.Context, j PreviewJob) (media.Preview, error) {
	head, err := json.Marshal(j)
	if err != nil {
		return media.Preview{}, stoa.Wrap(stoa.Invalid, err, "the input's adapter is no JSON: %v", err)
	}
	body, err := r.c.Call(ctx, engine.MethodPreview, engine.EncodeRun(engine.Run{ID: string(head), Items: []stoa.Value{j.Value}})...)
	if err != nil {
		return media.Preview{}, err
	}
	defer body.Release()
	var out media.Preview
	if err := json.Unmarshal(body.Bytes, &out); err != nil {
		return out, stoa.Wrap(stoa.Internal, err, "the worker's answer cannot be read")
	}
	return out, nil
}
