package serve_test

import (
	"strings"
	"testing"

	"github.com/stoa-project/stoa/internal/manifest"
)

const program = "def apply(input):\n    return 'hello ' + input\n"

// A draft of code is looked at without a model's importer: what its stoa.yaml
// says is taken, or its files tell the language.
func TestADraftOfCode(t *testing.T) {
	s := start(t, t.TempDir(), nil)
	for name, c := range map[string]struct {
		files    map[string]string
		name     string
		given    bool
		yaml     []string // parts of the manifest
		problems []string // parts of each
	}{
		"its own stoa.yaml": {
			files: map[string]string{"stoa.yaml": "name: me/greet # mine\nkind: code\n", "src/greet.py": program},
			given: true, yaml: []string{"name: me/greet # mine"},
		},
		"no stoa.yaml": {
			files: map[string]string{"src/greet.py": program}, name: "my-greet",
			yaml: []string{"name: my_greet", "kind: code", "language: python"},
		},
		"dependencies": {
			files: map[string]string{"src/greet.py": program, "requirements.txt": "six\n"},
			yaml:  []string{"name: python", "network: true"},
		},
		"Algorithmia's folder": {
			files: map[string]string{"src/greet.py": program, "algorithmia.conf": `{"username":"ann","algoname":"greet","langauge":"python3"}`}, //nolint:misspell // as the template has it
			yaml:  []string{"name: greet", "language: python"},
		},
		"a stoa.yaml with faults": {
			files:    map[string]string{"stoa.yaml": "kind: code\nreplicas: {max: 1000}\ncolour: red\n", "src/greet.py": program},
			problems: []string{"replicas.max", "colour"},
		},
		"what a build would refuse": {
			files: map[string]string{"stoa.yaml": "name: x\nkind: code\ncode: {network: [example.com]}\nschema: {input: {type: nothing}}\nsample: {file: gone.txt}\n", "a.py": program, "b.py": program},
			given: true, yaml: []string{"kind: code"},
			problems: []string{"gone.txt", "lets code reach no host", "schema.input", "apply may be in a.py or b.py"},
		},
		"two languages": {
			files:    map[string]string{"requirements.txt": "six\n", "package.json": "{}"},
			problems: []string{"no model was recognised", "the language may be"},
		},
		"nothing": {
			files:    map[string]string{"notes.doc": "words"},
			problems: []string{"stoa init --language"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			in, err := s.InspectDraft(t.Context(), s.drop(t, c.files), c.name)
			if err != nil {
				t.Fatal(err)
			}
			if in.Given != c.given || in.Report != nil || len(in.Problems) != len(c.problems) {
				t.Fatalf("given %v, report %s, problems %+v", in.Given, in.Report, in.Problems)
			}
			for _, want := range c.yaml {
				if !strings.Contains(in.YAML, want) {
					t.Errorf("the manifest lacks %q:\n%s", want, in.YAML)
				}
			}
			for i, p := range in.Problems {
				if !strings.Contains(p.Msg, c.problems[i]) {
					t.Errorf("problem %d is %q, not of %q", i, p.Msg, c.problems[i])
				}
			}
			if len(c.yaml) == 0 {
				return
			}
			if m, err := manifest.FromJSON(in.Manifest); err != nil || m.Kind != manifest.KindCode {
				t.Errorf("%s, %v", in.Manifest, err)
			}
		})
	}
}
