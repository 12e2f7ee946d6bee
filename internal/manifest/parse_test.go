package manifest_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/manifest"
	"github.com/stoa-project/stoa/internal/media"
)

const good = `
# A comment.
name: demo/places
kind: model
tagline: "Names the place: in a photo"
tags: [photo, places]
licence: Apache-2.0
visibility: public
model:
  files:
    - scenes6.prototxt
    - scenes6.caffemodel
  blobs: {conv1.0: hull.npy}
input:
  - picture:
      width: 96
      height: 96
      mean: 127.5
      scale: [0.1, 0.2, 0.3]
output:
  - labels:
      file: labels.txt
      top: 3
      threshold: 0.5
sample:
  file: samples/peaks.jpg
limits:
  timeout: 30s
  memory: 1GiB
`

func TestParse(t *testing.T) {
	t.Parallel()
	got, err := manifest.Parse(manifest.FileName, []byte(good))
	if err != nil {
		t.Fatal(err)
	}
	want := &manifest.Manifest{
		Name: "demo/places", Kind: "model", Tagline: "Names the place: in a photo", Tags: []string{"photo", "places"},
		Licence: "Apache-2.0", Visibility: "public",
		Model:  &manifest.Model{Files: []string{"scenes6.prototxt", "scenes6.caffemodel"}, Blobs: map[string]string{"conv1.0": "hull.npy"}},
		Input:  []media.Input{{Picture: &media.Picture{Width: 96, Height: 96, Mean: []float64{127.5}, Scale: []float64{0.1, 0.2, 0.3}}}},
		Output: []media.Output{{Labels: &media.Labels{File: "labels.txt", Top: 3, Threshold: 0.5}}},
		Sample: &manifest.Sample{File: "samples/peaks.jpg"}, Limits: &manifest.Limits{Timeout: "30s", Memory: "1GiB"},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	files := []string{"scenes6.prototxt", "scenes6.caffemodel", "hull.npy", "labels.txt", "samples/peaks.jpg"}
	if d := cmp.Diff(files, got.FileNames()); d != "" {
		t.Error(d)
	}
	text, err := got.JSON()
	if err != nil {
		t.Fatal(err)
	}
	back, err := manifest.FromJSON(text)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(got, back); d != "" {
		t.Errorf("through JSON:\n%s", d)
	}
}

func TestParseSampleJSON(t *testing.T) {
	t.Parallel()
	m, err := manifest.Parse("x", []byte("kind: model\nmodel: {files: m.onnx}\nsample:\n  json: {a: [1, 2.5, true, ~, x, 0x10, 3e-1, \"4\"], b: 9007199254740993}\n"))
	if err != nil {
		t.Fatal(err)
	}
	v, err := m.Sample.Value(nil)
	if err != nil {
		t.Fatal(err)
	}
	if want := `{"a":[1,2.5,true,null,"x",16,0.3,"4"],"b":9007199254740993}`; string(v.Data) != want || v.Type != stoa.JSON {
		t.Errorf("got %s %s, want %s", v.Type, v.Data, want)
	}
	text, err := m.JSON()
	if err != nil {
		t.Fatal(err)
	}
	back, err := manifest.FromJSON(text)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(m, back); d != "" {
		t.Error(d)
	}
}

// base is a valid manifest, so that each case below has one thing wrong.
const base = "kind: model\nmodel: {files: [m.onnx]}\n"

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, in, want string }{
		{"unknown field", base + "tagine: x\n", `stoa.yaml:3:1: unknown field "tagine"; did you mean "tagline"?`},
		{"american", base + "license: MIT\n", `stoa.yaml:3:1: unknown field "license"; did you mean "licence"?`},
		{"unknown nested", base + "input:\n  - picture:\n      widht: 3\n", `stoa.yaml:5:7: unknown field "widht" in input[0].picture; did you mean "width"?`},
		{"american colour", base + "input:\n  - picture: {color: rgb}\n", `stoa.yaml:4:15: unknown field "color" in input[0].picture; did you mean "colour"?`},
		{"nothing near", base + "limits: {zzz: 1}\n", `stoa.yaml:3:10: unknown field "zzz" in limits; known here: timeout, memory, body, output, cpu, processes, disk`},
		{"field of tensor", base + "input:\n- tensor: {shape: 1}\n", `stoa.yaml:4:12: unknown field "shape" in input[0].tensor; there are no fields here, write {}`},
		{"enum", base + "input:\n- picture:\n    filter: lanczos\n", `stoa.yaml:5:5: input[0].picture.filter: "lanczos" is not known: write area, bilinear, bicubic or nearest`},
		{"range", base + "input:\n- picture:\n    width: 99999\n", `stoa.yaml:5:5: input[0].picture.width: 99999 is out of range: 0 to 16384`},
		{"threshold", base + "output:\n- labels: {names: [a], threshold: 50}\n", `stoa.yaml:4:24: output[0].labels.threshold: 50 is out of range: 0 to 1`},
		{"both", base + "input:\n- picture: {}\n  tensor: {}\n", `stoa.yaml:5:3: input[0].tensor: contradicts picture: an input is one or the other`},
		{"both out", base + "output:\n- lab: {}\n  tensor: {}\n", `contradicts lab`},
		{"labels twice", base + "output:\n- labels: {file: a.txt, names: [a]}\n", `stoa.yaml:4:25: output[0].labels.names: contradicts file`},
		{"labels none", base + "output:\n- labels: {top: 3}\n", `stoa.yaml:4:3: output[0].labels: needs file or names`},
		{"lab alone", base + "output:\n- lab: {}\n", `output[0].lab: needs exactly one picture input, and there are 0`},
		{"lab fit", base + "input:\n- picture: {resize: fit}\noutput:\n- lab: {}\n", `stoa.yaml:4:13: input[0].picture.resize: must be stretch`},
		{"mean", base + "input:\n- picture: {mean: [1, 2]}\n", `input[0].picture.mean: has 2 numbers: give one, or 3 for the colour rgb`},
		{"scale 0", base + "input:\n- picture: {scale: 0}\n", `input[0].picture.scale[0]: must not be 0`},
		{"names missing", base + "input:\n- tensor: {}\n- tensor: {}\n", `stoa.yaml:4:3: input[0]: name is missing`},
		{"names twice", base + "input:\n- name: a\n- name: a\n", `stoa.yaml:5:3: input[1].name: "a" is there twice`},
		{"kind missing", "model: {files: m.onnx}\n", `stoa.yaml:1:1: kind: is missing`},
		{"code in model", base + "code: {}\n", `stoa.yaml:3:1: code: belongs to kind: code`},
		{"model in code", "kind: code\nmodel: {files: a}\n", `stoa.yaml:2:1: model: belongs to kind: model`},
		{"executable", "kind: code\ncode: {language: executable}\n", `stoa.yaml:2:1: code.command: is missing`},
		{"command", "kind: code\ncode: {language: python, command: [a]}\n", `code.command: belongs to language: executable`},
		{"protocol", "kind: code\ncode: {language: executable, command: [a], protocol: http}\n", `code.protocol: "http" is not known: write pipe or frames`},
		{"host", "kind: code\ncode: {network: ['http://x']}\n", `code.network[0]: "http://x" is no host`},
		{"code model", "kind: code\ncode: {models: [{name: a, file: b, from: o/n}]}\n", `code.models[0].sha256: is missing`},
		{"code model twice", "kind: code\ncode: {models: [{name: a, file: b}, {name: a, file: c}]}\n", `code.models[1].name: "a" is there twice`},
		{"replicas", "kind: code\nreplicas: {min: 9}\n", `replicas.min: 9: from 0 to max, which is 4`},
		{"idle", "kind: code\nreplicas: {idle: 1}\n", `replicas.idle: "1": write a time`},
		{"cpu of a model", base + "limits: {cpu: 2}\n", `limits.cpu: belongs to kind: code`},
		{"kind pipeline", "kind: pipeline\n", `pipeline is not there yet`},
		{"kind other", "kind: network\n", `kind: "network" is not known: write model`},
		{"no model", "kind: model\n", `model: is missing`},
		{"no files", "kind: model\nmodel: {}\n", `stoa.yaml:2:1: model.files: is missing`},
		{"dots", "kind: model\nmodel: {files: [../m.onnx]}\n", `stoa.yaml:2:17: model.files[0]: "../m.onnx" is no file of the bundle`},
		{"absolute", "kind: model\nmodel: {files: [/etc/passwd]}\n", `no file of the bundle`},
		{"backslash", "kind: model\nmodel: {files: ['a\\b']}\n", `no file of the bundle`},
		{"blob", "kind: model\nmodel: {files: m, blobs: {conv: a.npy}}\n", `model.blobs.conv: write layer.index`},
		{"blob npy", "kind: model\nmodel: {files: m, blobs: {conv.0: a.txt}}\n", `is no .npy file`},
		{"shape", "kind: model\nmodel: {files: m, shapes: {x: [-1, 0]}}\n", `model.shapes.x[1]: 0 is no size`},
		{"shape of text", "kind: model\nmodel: {files: m, shapes: {x: [a]}}\n", `model.shapes.x[0]: wants a whole number`},
		{"two samples", base + "sample: {file: a.png, text: b}\n", `stoa.yaml:3:23: sample.text: contradicts file: a sample has one form`},
		{"no sample", base + "sample:\n", `sample: needs file, text or json`},
		{"timeout", base + "limits: {timeout: 4000s}\n", `stoa.yaml:3:10: limits.timeout: 4000s is out of range: above 0, at most 3000s`},
		{"timeout word", base + "limits: {timeout: soon}\n", `"soon" is no duration`},
		{"memory", base + "limits: {memory: lots}\n", `"lots" is no size`},
		{"name", base + "name: a b\n", `stoa.yaml:3:1: name: "a b": a letter`},
		{"name version", base + "name: a/b/1.0.0\n", `write owner/name`},
		{"visibility", base + "visibility: shared\n", `write private or public`},
		{"tagline", base + "tagline: |\n  a\n  b\n", `tagline: must be one line`},
		{"bool", base + "input:\n- picture: {invert: yes}\n", `stoa.yaml:4:21: input[0].picture.invert: wants true or false, not "yes"`},
		{"int", base + "input:\n- picture: {width: 9.5}\n", `wants a whole number, not "9.5"`},
		{"text", base + "tagline: [a]\n", `stoa.yaml:3:10: tagline: wants a text, not a list`},
		{"nothing", base + "tagline:\n", `tagline: wants a text, not nothing`},
		{"mapping", base + "limits: 30s\n", `limits: wants a mapping of fields, not "30s"`},
		{"list", base + "input:\n  picture: {}\n", `stoa.yaml:4:3: input: wants a list (its items begin with a dash), not a mapping`},
		{"list item", "kind: model\nmodel: {files: [{a: b}]}\n", `model.files[0]: wants a text, not a mapping`},
		{"anchor", "kind: &a model\n", `stoa.yaml:1:7: kind: an anchor (&) stands here`},
		{"alias", "kind: &a model\ntagline: *a\n", `stoa.yaml:2:10: tagline: an alias (*) stands here`},
		{"merge", base + "limits:\n  <<: {body: 1MB}\n", `a merge key (<<) stands here`},
		{"tag", "kind: !!str model\n", `a tag (!) stands here`},
		{"complex key", "? kind\n: model\n", `a complex key (?) stands here`},
		{"twice", "kind: model\nkind: model\n", `stoa.yaml:2:1: mapping key "kind" already defined`},
		{"two documents", base + "---\nkind: model\n", `stoa.yaml:4:1: a second document begins here`},
		{"empty", "", `stoa.yaml:1:1: the manifest is empty`},
		{"comment", "# nothing\n", `the manifest is empty`},
		{"scalar", "hello\n", `must be a mapping of fields`},
		{"sequence", "- a\n", `must be a mapping of fields`},
		{"tab", "kind:\n\tmodel: x\n", `stoa.yaml:2:1: found character`},
		{"syntax", "kind: [model\nb: 1\n", `stoa.yaml:2:1: `},
		{"not text", "kind: \xff\n", `not UTF-8`},
		{"control", "kind: model\ntagline: a\x00b\n", `stoa.yaml:2:11: a control character`},
		{"large", strings.Repeat("#\n", 1<<19+1), `at most 1048576`},
		{"lines", strings.Repeat("#\n", 30_000), `more than 20000 lines`},
		{"deep", "sample: {json: " + strings.Repeat("[", 100_000), `nested deeper than 64`},
		{"deep, closed on its line", "sample: {json: " + strings.Repeat("[", 50_000) + strings.Repeat("]", 50_000) + "}", `stoa.yaml:1:1: the manifest is nested deeper than 64`},
		{"deep, hidden by texts", "kind: model\nsample: {json: " + strings.Repeat("[']', ", 10_000), `stoa.yaml:2:1: the manifest is nested deeper than 64`},
		{"many values", "tags: [" + strings.Repeat("a,", 60_000) + "]", `more than 50000 values`},
		{"deep dashes", strings.Repeat("- ", 100_000), `nested deeper than 64`},
		{"deep keys", strings.Repeat("? ", 100_000), `nested deeper than 64`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			m, err := manifest.Parse(manifest.FileName, []byte(tt.in))
			if err == nil {
				t.Fatalf("read as %+v", m)
			}
			var problems *manifest.ParseError
			if stoa.KindOf(err) != stoa.Invalid || !errors.As(err, &problems) || len(problems.Problems) == 0 {
				t.Fatalf("got %#v", err)
			}
			if !strings.Contains(stoa.AsError(err).Msg, tt.want) {
				t.Errorf("got  %s\nwant %s", stoa.AsError(err).Msg, tt.want)
			}
		})
	}
}

func TestParseTellsAllAtOnce(t *testing.T) {
	t.Parallel()
	_, err := manifest.Parse("a.yaml", []byte("kind: model\ntagine: x\nmodel: {files: [../x]}\nlimits: {timeout: 1y}\n"))
	want := `a.yaml:2:1: unknown field "tagine"; did you mean "tagline"?
a.yaml:3:17: model.files[0]: "../x" is no file of the bundle: write its path from the manifest's folder, with / and without ..
a.yaml:4:10: limits.timeout: "1y" is no duration: write it as 30s or 2m`
	if got := stoa.AsError(err).Msg; got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// The largest manifests of each shape must not hold a server up.
func TestParseLargeIsBounded(t *testing.T) {
	t.Parallel()
	many := func(format string, n int) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, format, i)
		}
		return b.String()
	}
	tests := map[string]string{
		"keys":      many("k%d: 1\n", 19_000),
		"sequence":  "tags:\n" + many("- t%d\n", 19_000),
		"flow":      base + "tags: [" + many("t%d, ", 120_000) + "a]\n",
		"flow keys": base + "sample: {json: {" + many("k%d: 1, ", 80_000) + "z: 1}}\n",
		"long":      base + "tagline: " + strings.Repeat("x", 1_000_000) + "\n",
		"quoted":    base + `tagline: "` + strings.Repeat(`\n`, 500_000) + "\"\n",
		"colons":    strings.Repeat("a: ", 340_000),
		"quotes":    strings.Repeat(`'' `, 340_000),
		"comma":     base + "tags: [" + strings.Repeat(",", 1_000_000) + "]",
		"anchors":   strings.Repeat("&a ", 340_000),
		"literal":   base + "tagline: |\n" + strings.Repeat("  x\n", 19_000),
	}
	for name, in := range tests {
		t.Run(name, func(t *testing.T) {
			// Processor time of this thread: what else runs meanwhile is no matter.
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			start := threadTime(t)
			_, err := manifest.Parse("x", []byte(in))
			d := threadTime(t) - start
			t.Logf("%d bytes, %v, refused: %v", len(in), d, err != nil)
			if d > 5*time.Second {
				t.Errorf("took %v", d)
			}
		})
	}
}

func threadTime(t *testing.T) time.Duration {
	t.Helper()
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &now); err != nil {
		t.Fatal(err)
	}
	return time.Duration(now.Nano())
}

func TestParseSize(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]int64{"10MiB": 10 << 20, "1.5GB": 1_500_000_000, "512": 512, "4 kB": 4000, "7B": 7} {
		if got, err := manifest.ParseSize(in); err != nil || got != want {
			t.Errorf("ParseSize(%q) = %d, %v", in, got, err)
		}
	}
	for _, in := range []string{"", "MiB", "-1MB", "0", "1e30GB", "NaN", "Inf", "0x10MB", "1_0MB", "10 apples"} {
		if got, err := manifest.ParseSize(in); err == nil {
			t.Errorf("ParseSize(%q) = %d", in, got)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(good))
	f.Add([]byte(base))
	f.Add([]byte(base + "sample: {json: {a: [1, 2.5, ~]}}\n"))
	f.Add([]byte("a: &x [*x]\n---\n? b\n: |\n  c\n"))
	f.Add([]byte("input:\n- name: a\n  picture: {mean: [1, .inf]}\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := manifest.Parse("f", data)
		if err != nil {
			return
		}
		text, err := m.JSON()
		if err != nil {
			t.Fatalf("%q: %v", data, err)
		}
		back, err := manifest.FromJSON(text)
		if err != nil {
			t.Fatalf("%q became %q: %v", data, text, err)
		}
		again, err := json.Marshal(back)
		if err != nil {
			t.Fatal(err)
		}
		first, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(first, again) {
			t.Fatalf("%q: %s became %s", data, first, again)
		}
		yaml := manifest.Marshal(m, nil)
		written, err := manifest.Parse("f", yaml)
		if err != nil {
			t.Fatalf("%q became\n%s%v", data, yaml, err)
		}
		if again, err = json.Marshal(written); err != nil || !bytes.Equal(first, again) {
			t.Fatalf("%q: %s became, through\n%s%s, %v", data, first, yaml, again, err)
		}
	})
}
