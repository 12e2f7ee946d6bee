package worker

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/tensor"
	"github.com/stoa-project/stoa/internal/wire/engine"
)

func previewJob() PreviewJob {
	return PreviewJob{
		Input: []byte(`{"picture":{"width":2}}`), Spec: tensor.Spec{Name: "data", DType: tensor.Float32, Shape: []int64{-1, 3, 2, 2}},
		Value: stoa.Value{Type: stoa.Binary, MediaType: "image/png", Data: bytes.Repeat([]byte{7}, 100)},
	}
}

// frame is a preview's job as the wire carries it.
func frame(head string, items ...stoa.Value) []byte {
	return bytes.Join(engine.EncodeRun(engine.Run{ID: head, Items: items}), nil)
}

const previewHead = `{"input":{"picture":{"width":2}},"spec":{"name":"data","dtype":"float32","shape":[-1,3,2,2]}}`

func TestPreviewJobCrossesTheWire(t *testing.T) {
	want := previewJob()
	got, err := decodePreview(frame(previewHead, want.Value))
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	for _, items := range [][]stoa.Value{nil, {want.Value, want.Value}} {
		if _, err := decodePreview(frame(previewHead, items...)); stoa.KindOf(err) != stoa.Invalid {
			t.Errorf("%d pictures: %v", len(items), err)
		}
	}
}

// FuzzDecodePreview feeds frames to the worker's end: a job or an error.
func FuzzDecodePreview(f *testing.F) {
	f.Add(frame(previewHead, previewJob().Value))
	f.Add(frame(`{"spec":{"shape":[1e99]}}`, stoa.Value{}))
	f.Fuzz(func(t *testing.T, body []byte) {
		j, err := decodePreview(body)
		if err == nil && len(j.Value.Data) > len(body) {
			t.Fatal("the picture is longer than the frame")
		}
	})
}
