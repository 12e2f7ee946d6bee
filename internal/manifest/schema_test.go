package manifest_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/stoa-project/stoa/internal/manifest"
	"github.com/stoa-project/stoa/internal/media"
)

var update = flag.Bool("update", false, "write docs/stoa.schema.json")

func docs(name string) string { return filepath.Join("..", "..", "docs", name) }

// docs/stoa.schema.json is what the Go types say: go test ./internal/manifest -update.
func TestSchemaFile(t *testing.T) {
	t.Parallel()
	want, err := manifest.Schema()
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(docs("stoa.schema.json"), want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(docs("stoa.schema.json"))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("docs/stoa.schema.json is out of date: run go test ./internal/manifest -update\n%s", cmp.Diff(string(got), string(want)))
	}
}

func schema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	text, err := manifest.Schema()
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("stoa.schema.json", doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("stoa.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// validate runs the schema over YAML, as an editor does.
func validate(t *testing.T, s *jsonschema.Schema, text []byte) error {
	t.Helper()
	var v any
	if err := yaml.Unmarshal(text, &v); err != nil {
		t.Fatal(err)
	}
	asJSON, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(asJSON))
	if err != nil {
		t.Fatal(err)
	}
	return s.Validate(doc)
}

func TestSchemaAgreesWithParse(t *testing.T) {
	t.Parallel()
	s := schema(t)
	valid := []string{
		good, base, base + "input:\n- picture: {mean: 3}\n", base + "output:\n- labels: {names: [0, 1]}\n", base + "output:\n- tensor: {}\n",
		base + "sample: {json: [1]}\n", base + "input:\n- {}\n", "kind: code\n", "kind: code\ncode: {language: python}\nreplicas: {max: 2}\n",
	}
	invalid := []string{
		base + "tagine: x\n", "kind: code\nreplicas: {max: 1000}\n", "kind: model\n", "kind: model\nmodel: {}\n", base + "input:\n- picture: {widht: 3}\n",
		base + "input:\n- picture: {}\n  tensor: {}\n", base + "output:\n- lab: {}\n  tensor: {}\n", base + "output:\n- labels: {}\n",
		base + "output:\n- labels: {file: a, names: [b]}\n", base + "output:\n- labels: {names: [a], threshold: 2}\n",
		base + "input:\n- picture: {filter: lanczos}\n", base + "sample: {file: a, text: b}\n", base + "sample: {}\n",
		base + "visibility: shared\n", base + "name: a b\n", base + "input:\n- picture: {width: -1}\n", base + "input:\n- picture: {width: 1.5}\n",
	}
	for _, in := range valid {
		if err := validate(t, s, []byte(in)); err != nil {
			t.Errorf("the schema refuses\n%s%v", in, err)
		}
		if _, err := manifest.Parse("x", []byte(in)); err != nil {
			t.Errorf("Parse refuses\n%s%v", in, err)
		}
	}
	for _, in := range invalid {
		if validate(t, s, []byte(in)) == nil {
			t.Errorf("the schema takes\n%s", in)
		}
		if _, err := manifest.Parse("x", []byte(in)); err == nil {
			t.Errorf("Parse takes\n%s", in)
		}
	}
}

func TestDemoManifests(t *testing.T) {
	t.Parallel()
	s := schema(t)
	found, err := filepath.Glob(filepath.Join("..", "..", "demo", "*", manifest.FileName))
	if err != nil || len(found) != 4 {
		t.Fatalf("found %v, %v", found, err)
	}
	for _, name := range found {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		m, err := manifest.Parse(name, text)
		if err != nil {
			t.Error(err)
			continue
		}
		if err := validate(t, s, text); err != nil {
			t.Errorf("%s: the schema refuses it: %v", name, err)
		}
		if !m.Public() {
			t.Errorf("%s is private", name)
		}
		folder := filepath.Dir(name)
		for _, f := range append(m.FileNames(), "README.md", "LICENCE.md", "samples/CREDITS.md") {
			if _, err := os.Stat(filepath.Join(folder, f)); err != nil {
				t.Error(err)
			}
		}
		credits, err := os.ReadFile(filepath.Join(folder, "samples", "CREDITS.md"))
		if err != nil {
			t.Fatal(err)
		}
		samples, err := os.ReadDir(filepath.Join(folder, "samples"))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range samples {
			if f.Name() != "CREDITS.md" && !strings.Contains(string(credits), "| "+f.Name()+" |") {
				t.Errorf("%s: CREDITS.md says nothing of %s", folder, f.Name())
			}
		}
	}
}

// Every field is described, in the schema and on the page.
func TestEveryFieldIsDocumented(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile(docs("manifest.md"))
	if err != nil {
		t.Fatal(err)
	}
	types := []reflect.Type{
		reflect.TypeFor[manifest.Manifest](), reflect.TypeFor[manifest.Model](), reflect.TypeFor[manifest.Sample](), reflect.TypeFor[manifest.Limits](),
		reflect.TypeFor[media.Input](), reflect.TypeFor[media.Output](), reflect.TypeFor[media.Picture](), reflect.TypeFor[media.Labels](),
		reflect.TypeFor[manifest.Code](), reflect.TypeFor[manifest.CodeBuild](), reflect.TypeFor[manifest.CodeModel](),
		reflect.TypeFor[manifest.Replicas](), reflect.TypeFor[manifest.SchemaPair](), reflect.TypeFor[media.Lab](), reflect.TypeFor[media.Paint](),
	}
	for _, typ := range types {
		for f := range typ.Fields() {
			name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			if !strings.HasSuffix(f.Tag.Get("doc"), ".") {
				t.Errorf("%s.%s: its doc tag %q is no sentence", typ, f.Name, f.Tag.Get("doc"))
			}
			if !strings.Contains(string(page), "| `"+name+"` |") {
				t.Errorf("docs/manifest.md has no row for %s of %s", name, typ)
			}
			if words := f.Tag.Get("enum"); words != "" {
				for w := range strings.SplitSeq(words, "|") {
					if !strings.Contains(string(page), "`"+w+"`") {
						t.Errorf("docs/manifest.md does not say `%s`, a word of %s", w, name)
					}
				}
			}
		}
	}
}
