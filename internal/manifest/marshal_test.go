package manifest_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stoa-project/stoa/internal/manifest"
	"github.com/stoa-project/stoa/internal/media"
	"github.com/stoa-project/stoa/internal/tensor"
)

func TestMarshal(t *testing.T) {
	t.Parallel()
	first, err := manifest.Parse("x", []byte(good))
	if err != nil {
		t.Fatal(err)
	}
	hard := &manifest.Manifest{
		Kind: "model", Tagline: "a: b # c, \"d\" [e] é", Tags: []string{"true", "no", "1.5", "- x", " x ", "a'b"},
		Licence: "@see", Model: &manifest.Model{Files: []string{"m.onnx"}, Inputs: []string{"a:0"}, Blobs: map[string]string{"a b.0": "x.npy", "#.1": "y.npy"}, Shapes: map[string][]int64{"a": {-1, 3}, "b c": {7}}, Signature: "x y", Training: true},
		Input: []media.Input{{Name: "a", Tensor: &media.Tensor{}}, {Name: "b", Picture: &media.Picture{Invert: true, Scale: []float64{1e-9, 1e21, -3}}}},
		Output: []media.Output{
			{Name: "x", Labels: &media.Labels{Names: append(strings.Fields(strings.Repeat("label ", 40)), "\x7f\u2028\x01\t😀", "~", "<&>"), Softmax: true}},
			{Name: "y", Tensor: &media.Tensor{}},
			{Name: "z", Picture: &media.Paint{}},
			{Name: "w"},
		},
		Sample: &manifest.Sample{JSON: map[string]any{"a": []any{json.Number("1"), "x\ny", nil, true}}},
	}
	text := &manifest.Manifest{Kind: "model", Model: &manifest.Model{Files: []string{"m"}}, Sample: &manifest.Sample{Text: "two\nlines: \t#x"}}
	for _, m := range []*manifest.Manifest{first, hard, text} {
		yaml := manifest.Marshal(m, manifest.Comments{"": "one\ntwo", "model": "the net", "input[0]": "first", "input[1].picture.scale": "odd", "nowhere": "x"})
		back, err := manifest.Parse("x", yaml)
		if err != nil {
			t.Errorf("%v in\n%s", err, yaml)
			continue
		}
		if d := cmp.Diff(m, back); d != "" {
			t.Errorf("(-want +got):\n%s in\n%s", d, yaml)
		}
	}
}

func TestInfer(t *testing.T) {
	t.Parallel()
	spec := func(name string, d tensor.DType, shape ...int64) tensor.Spec {
		return tensor.Spec{Name: name, DType: d, Shape: shape}
	}
	m, c := manifest.Infer(manifest.InferInput{
		Name: "me/net", Files: []string{"net.prototxt", "net.caffemodel"}, Framework: "caffe", LabelsFile: "labels.txt", Labels: 6,
		Graph: media.Graph{
			Inputs:  []tensor.Spec{spec("data", tensor.Float32, -1, 3, 96, 80)},
			Outputs: []tensor.Spec{spec("prob", tensor.Float32, -1, 6)},
		},
	})
	want := `# What the network's files do not say was guessed: see the remarks. All fields: docs/manifest.md
name: me/net
kind: model

model:
  files: [net.prototxt, net.caffemodel]

input:
  # data is ?x3x96x80 float32, which looks like a picture. An npy array is taken too.
  - picture:
      width: 80
      height: 96
      # Guessed: most Caffe networks were trained on blue, green, red. Try rgb where answers are odd.
      # Not guessed: mean and scale. The network gets (value - mean) * scale of levels from 0 to 255;
      # add them as it was trained, such as mean: 127.5 and scale: 0.00784313725490196.
      colour: bgr

output:
  # prob is ?x6 float32, and labels.txt has as many lines.
  - labels:
      file: labels.txt
`
	if d := cmp.Diff(want, string(manifest.Marshal(m, c))); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}

	tests := []struct {
		in   tensor.Spec
		want *media.Picture
	}{
		{spec("x", tensor.Uint8, 1, 224, 224, 3), &media.Picture{Width: 224, Height: 224, Colour: "rgb", Layout: "nhwc"}},
		{spec("x", tensor.Float32, -1, 1, -1, -1), &media.Picture{Colour: "grey"}},
		{spec("x", tensor.Float32, -1, 4), nil},
		{spec("x", tensor.Float32, 64, 3, 32, 32), nil},
		{spec("x", tensor.Int64, 1, 3, 32, 32), nil},
		{spec("x", tensor.Float32, 1, 2, 32, 32), nil},
		{spec("x", tensor.Float32, 1, 3, 2, 2), nil},
		{spec("x", tensor.Float32), nil},
	}
	for _, tt := range tests {
		m, c := manifest.Infer(manifest.InferInput{Files: []string{"m.onnx"}, Framework: "onnx", Graph: media.Graph{
			Inputs: []tensor.Spec{tt.in}, Outputs: []tensor.Spec{spec("y", tensor.Float32, -1, 10)},
		}})
		if d := cmp.Diff(tt.want, m.Input[0].Picture); d != "" {
			t.Errorf("%v: %s", tt.in.Shape, d)
		}
		if (m.Input[0].Tensor == nil) == (tt.want == nil) {
			t.Errorf("%v: tensor is %v", tt.in.Shape, m.Input[0].Tensor)
		}
		yaml := manifest.Marshal(m, c)
		if back, err := manifest.Parse("x", yaml); err != nil {
			t.Errorf("%v in\n%s", err, yaml)
		} else if d := cmp.Diff(m, back); d != "" {
			t.Error(d)
		}
	}
}
