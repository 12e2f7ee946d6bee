package operators

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/client"
	"github.com/stoa-project/stoa/internal/format/npy"
	"github.com/stoa-project/stoa/internal/importer"
	"github.com/stoa-project/stoa/internal/importer/importtest"
	"github.com/stoa-project/stoa/internal/serve"
	"github.com/stoa-project/stoa/internal/serve/servetest"
	"github.com/stoa-project/stoa/internal/tensor"
)

func TestMain(m *testing.M) { os.Exit(servetest.Main(m)) }

// A push of a model of any framework imports it, compares it with the answers
// that the framework gave, keeps the report with the version, and serves it.
func TestPushOfEachFramework(t *testing.T) {
	s := servetest.Start(t, t.TempDir(), nil)
	all := allCases(t)
	for _, p := range serve.Plugs() {
		cases := all[p.Framework()]
		if len(cases) == 0 {
			continue // Caffe, Torch7 and ONNX are pushed in other tests
		}
		t.Run(p.Framework(), func(t *testing.T) {
			for _, name := range cases {
				path := filepath.Join(p.Framework(), name)
				in, out := arrays(t, path+".npz")
				if _, err := os.Stat(path + ".json"); err == nil || len(in) != 1 || len(out) != 1 || !floats(in, out) {
					continue
				}
				pushAndCall(t, s, path, in, out)
				return
			}
			t.Fatal("no case has one input and one output of floats and nothing to say beside")
		})
	}
}

func floats(lists ...map[string]tensor.Tensor) bool {
	for _, list := range lists {
		for _, a := range list {
			if a.DType != tensor.Float32 || len(a.Shape) < 2 {
				return false
			}
		}
	}
	return true
}

func pushAndCall(t *testing.T, s *servetest.System, path string, in, out map[string]tensor.Tensor) {
	t.Helper()
	var names []string
	r := client.PushRequest{As: "me/" + strings.ReplaceAll(filepath.Dir(path), "_", ""), Files: []client.PushFile{
		{Name: "check/in.npy", Data: npy.Append(nil, only(in))}, {Name: "check/out.npy", Data: npy.Append(nil, only(out))},
	}}
	err := filepath.WalkDir(path, func(file string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		name, err := filepath.Rel(path, file)
		names = append(names, fmt.Sprintf("%q", filepath.ToSlash(name)))
		r.Files = append(r.Files, client.PushFile{Name: filepath.ToSlash(name), Path: file})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	r.Manifest = fmt.Sprintf("kind: model\nmodel:\n  files: [%s]\ncheck:\n  - {input: check/in.npy, output: check/out.npy}\n", strings.Join(names, ", "))
	published, err := s.Push(t.Context(), r)
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	ref := published.Owner + "/" + published.Name
	shown, err := s.Show(t.Context(), ref)
	if err != nil {
		t.Fatal(err)
	}
	var report importer.Report
	if err := json.Unmarshal(shown.Report, &report); err != nil {
		t.Fatal(err)
	}
	if report.Check == nil || len(report.Check.Compared) != 1 || !report.Check.Compared[0].OK || len(report.Mapped) == 0 {
		t.Errorf("%s: the report that is kept has no comparison, or does not say what became of the layers: %s", path, shown.Report)
	}
	a, err := s.Call(t.Context(), ref, stoa.Value{Type: stoa.Binary, Data: npy.Append(nil, only(in)), MediaType: stoa.NpyMediaType}, client.CallOptions{})
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	got, err := npy.Parse(a.Value.Data)
	if err != nil {
		if got, err = tensor.ParseJSON(a.Value.Data, tensor.Float32, 1<<20); err != nil {
			t.Fatalf("%s answers %s %.200s", path, a.Value.Type, a.Value.Data)
		}
	}
	if d, err := importtest.Difference(got, only(out)); err != nil || d > importer.Tolerance*importtest.Scale(only(out)) {
		t.Errorf("%s answers what is off by %g: %v", path, d, err)
	}
}

func only(list map[string]tensor.Tensor) tensor.Tensor {
	return list[slices.Collect(maps.Keys(list))[0]]
}
