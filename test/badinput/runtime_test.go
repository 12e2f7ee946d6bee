package badinput

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/onnx"
	"github.com/stoa-project/stoa/internal/sandbox"
	"github.com/stoa-project/stoa/internal/serve"
	"github.com/stoa-project/stoa/internal/tensor"
)

// filled makes an array of as many numbers as the largest number of x says.
func filled() *onnx.Model {
	return model([]*onnx.Node{
		{Name: "max", Op: "ReduceMax", Inputs: []string{"x"}, Outputs: []string{"m"}},
		(&onnx.Node{Name: "whole", Op: "Cast", Inputs: []string{"m"}, Outputs: []string{"n"}}).Set(onnx.AInt("to", int64(tensor.Int64))),
		{Name: "fill", Op: "ConstantOfShape", Inputs: []string{"n"}, Outputs: []string{"z"}},
		{Name: "sum", Op: "ReduceSum", Inputs: []string{"z"}, Outputs: []string{"y"}},
	})
}

// endless adds one as many times as the largest number of x says.
func endless() *onnx.Model {
	flag := func(name string) *onnx.ValueInfo {
		return &onnx.ValueInfo{Name: name, DType: tensor.Bool, Shape: []onnx.Dim{}}
	}
	body := &onnx.Graph{
		Name:    "body",
		Inputs:  []*onnx.ValueInfo{{Name: "i", DType: tensor.Int64, Shape: []onnx.Dim{}}, flag("go"), vector("acc", 4)},
		Outputs: []*onnx.ValueInfo{flag("on"), vector("next", 4)},
		Nodes: []*onnx.Node{
			{Op: "Identity", Inputs: []string{"go"}, Outputs: []string{"on"}},
			{Op: "Add", Inputs: []string{"acc", "one"}, Outputs: []string{"next"}},
		},
	}
	return model(
		[]*onnx.Node{
			(&onnx.Node{Op: "ReduceMax", Inputs: []string{"x"}, Outputs: []string{"max"}}).Set(onnx.AInt("keepdims", 0)),
			(&onnx.Node{Op: "Cast", Inputs: []string{"max"}, Outputs: []string{"trips"}}).Set(onnx.AInt("to", int64(tensor.Int64))),
			(&onnx.Node{Op: "Loop", Inputs: []string{"trips", "yes", "x"}, Outputs: []string{"y"}}).Set(onnx.Attribute{Name: "body", Type: onnx.AttrGraph, G: body}),
		},
		onnx.NewTensor("one", tensor.Of([]float32{1, 1, 1, 1}, 4)),
		onnx.NewTensor("yes", tensor.Tensor{DType: tensor.Bool, Shape: []int64{}, Data: []byte{1}}),
	)
}

func TestNetworksThatTheRuntimeRefuses(t *testing.T) {
	s := start(t, nil)
	one := func(op string, inputs ...string) []*onnx.Node {
		return []*onnx.Node{{Name: "bad-node", Op: op, Inputs: inputs, Outputs: []string{"y"}}}
	}
	ints := onnx.NewTensor("w", tensor.Of([]int64{1, 2, 3, 4}, 4))
	floats := onnx.NewTensor("w", tensor.Of([]float32{1, 2, 3}, 3))
	cycle := []*onnx.Node{
		{Name: "bad-node", Op: "Add", Inputs: []string{"x", "y"}, Outputs: []string{"z"}},
		{Name: "other", Op: "Relu", Inputs: []string{"z"}, Outputs: []string{"y"}},
	}
	deep := func(n int) *onnx.Model {
		g := &onnx.Graph{Name: "leaf", Nodes: one("Identity", "x"), Outputs: []*onnx.ValueInfo{vector("y", 4)}}
		for range n {
			g = &onnx.Graph{Name: "branch", Outputs: []*onnx.ValueInfo{vector("y", 4)}, Nodes: []*onnx.Node{
				(&onnx.Node{Name: "if", Op: "If", Inputs: []string{"c"}, Outputs: []string{"y"}}).
					Set(onnx.Attribute{Name: "then_branch", Type: onnx.AttrGraph, G: g}),
			}}
		}
		return model(g.Nodes, onnx.NewTensor("c", tensor.Tensor{DType: tensor.Bool, Shape: []int64{}, Data: []byte{1}}))
	}
	tests := []struct {
		name string
		m    *onnx.Model
		kind stoa.Kind
		want []string
	}{
		{"types that do not fit", model(one("Add", "x", "w"), ints), stoa.Invalid, []string{"bad-node"}},
		{"shapes that do not fit", model(one("Add", "x", "w"), floats), stoa.Invalid, []string{"bad-node"}},
		{"an operator that is not known", model(one("Nonsense", "x")), stoa.Unsupported, []string{"m.onnx", "Nonsense"}},
		{"an input that nobody makes", model(one("Add", "x", "nobody")), stoa.Invalid, []string{"bad-node", "nobody"}},
		{"too few inputs", model(one("Conv", "x")), stoa.Invalid, []string{"bad-node"}},
		{"a cycle", model(cycle), stoa.Invalid, []string{"m.onnx", "bad-node"}},
		{"no nodes", model(nil), stoa.Invalid, []string{"y"}},
		{"graphs in graphs", deep(40), stoa.Invalid, []string{"m.onnx", "nested deeper"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			data := encode(t, tt.m)
			s.unharmed(t, func() {
				_, err := s.try(t, "bad/refused", files{"m.onnx": data})
				named(t, tt.name, err, tt.kind, tt.want...)
			})
		})
	}
}

// A model that takes the worker's memory in a call fails that call, and not the
// worker's other models.
func TestACallThatNeedsMoreMemoryThanItsWorkerHas(t *testing.T) {
	s := start(t, func(c *serve.Config) { c.WorkerMemory = 1 << 30 })
	s.push(t, "bad/filled", files{"m.onnx": encode(t, filled())})
	s.unharmed(t, func() {
		for _, n := range []string{"1e3", "9e8", "9e17", "-5", `"NaN"`} {
			a := s.send(t, request{path: "/v1/algo/bad/filled", ctype: "application/json", body: strings.NewReader("[" + n + ",0,0,0]")})
			if (n == "1e3" || n == "-5") != (a.msg == "") || a.kind == stoa.Internal.String() {
				t.Errorf("%s: %d, %s, %.300s", n, a.status, a.kind, a.body)
			}
			if strings.HasPrefix(n, "9") {
				refused(t, n, a, stoa.TooLarge, "memory", "1024 MiB")
			}
		}
	})
}

func TestAnImportThatNeedsMoreMemoryThanItMay(t *testing.T) {
	s := start(t, func(c *serve.Config) { c.ImportMemory = 256 << 20 })
	filledBy := func(n string) files {
		return files{
			"m.onnx":    encode(t, filled()),
			"stoa.yaml": "kind: model\nmodel:\n  files: [m.onnx]\nsample:\n  json: [" + n + ", 0, 0, 0]\n",
		}
	}
	s.push(t, "bad/small", filledBy("1000"))
	tests := []struct {
		name string
		f    files
	}{
		{"the sample", filledBy("500000000")},
		// A byte of the file for each number, which takes eight in memory.
		{"a list", files{"m.onnx": listing(t)}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s.unharmed(t, func() {
				_, err := s.try(t, "bad/hungry", tt.f)
				named(t, tt.name, err, stoa.TooLarge, "memory", "256 MiB")
			})
		})
	}
}

// listing has an attribute of as many numbers as a model may list.
func listing(t *testing.T) string {
	n := (&onnx.Node{Name: "c", Op: "Constant", Outputs: []string{"y"}}).Set(onnx.AInts("value_ints", make([]int64, 1<<24)...))
	return encode(t, model([]*onnx.Node{n}))
}

func TestAnImportThatTakesTooLong(t *testing.T) {
	s := start(t, func(c *serve.Config) { c.ImportTime = 700 * time.Millisecond })
	s.unharmed(t, func() {
		began := time.Now()
		_, err := s.try(t, "bad/slow", files{
			"m.onnx":    encode(t, endless()),
			"stoa.yaml": "kind: model\nmodel:\n  files: [m.onnx]\nsample:\n  json: [1e12, 0, 0, 0]\n",
		})
		named(t, "an endless sample", err, stoa.Timeout, "import", "700ms")
		if took := time.Since(began); took > 10*time.Second {
			t.Errorf("it took %s", took)
		}
	})
}

func TestACallThatTakesTooLong(t *testing.T) {
	s := start(t, nil)
	s.push(t, "bad/endless", files{"m.onnx": encode(t, endless())})
	s.unharmed(t, func() {
		a := s.send(t, request{path: "/v1/algo/bad/endless?timeout=1", ctype: "application/json", body: strings.NewReader("[1e12,0,0,0]")})
		refused(t, "an endless call", a, stoa.Timeout, "within 1")
	})
}

// childThat is a command line for children that runs script in place of imports
// while the file "armed" is there.
func childThat(t *testing.T, script string) (self []string, armed string) {
	t.Helper()
	dir := t.TempDir()
	armed = filepath.Join(dir, "armed")
	path := filepath.Join(dir, "child")
	text := fmt.Sprintf("#!/bin/sh\nif [ \"$1\" = import-child ] && [ -e %s ]; then %s; fi\nexec %s \"$@\"\n", armed, script, os.Args[0])
	if err := os.WriteFile(path, []byte(text), 0o700); err != nil {
		t.Fatal(err)
	}
	return []string{path}, armed
}

func TestAnImportThatCrashes(t *testing.T) {
	tests := []struct {
		name, script string
		kind         stoa.Kind
		want         []string
	}{
		{"a crash of the runtime", "kill -SEGV $$", stoa.Invalid, []string{"signal", "segmentation fault", "model file"}},
		{"the kernel's end of it", "kill -KILL $$", stoa.TooLarge, []string{"killed", "memory"}},
		{"a panic", "echo 'panic: runtime error: index out of range [5]\n\ngoroutine 1 [running]:\nmain.main()\n\t/x/main.go:3 +0x18' >&2; exit 2", stoa.Invalid, []string{"import", "model"}},
		{"no threads", "echo 'runtime/cgo: pthread_create failed: Resource temporarily unavailable' >&2; kill -ABRT $$", stoa.TooLarge, []string{"memory"}},
		{"nonsense", "echo nonsense; exit 0", stoa.Invalid, []string{"import"}},
		{"silence", "exit 3", stoa.Invalid, []string{"import"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			self, armed := childThat(t, tt.script)
			s := start(t, func(c *serve.Config) {
				c.Self, c.Sandbox = self, sandbox.None // inside, this test's program could not be started by another
			})
			if err := os.WriteFile(armed, nil, 0o600); err != nil {
				t.Fatal(err)
			}
			s.unharmed(t, func() {
				_, err := s.try(t, "bad/crash", files{"net.prototxt": strings.Replace(fourNet, "shift: 1", "shift: 2", 1)})
				named(t, tt.name, err, tt.kind, tt.want...)
				if err != nil && !sane(err) {
					t.Errorf("%q", stoa.AsError(err).Msg)
				}
			})
		})
	}
}

// A real full disk, where the test may mount one.
func TestAFullDiskDuringAPush(t *testing.T) {
	dir := t.TempDir()
	const size = 12 << 20
	if err := syscall.Mount("none", dir, "tmpfs", 0, fmt.Sprintf("size=%d", size)); err != nil {
		t.Skipf("NOT RUN: no small file system can be mounted here: %v", err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) })
	s := startOn(t, dir, nil)
	noise := func(n int) string {
		b := make([]byte, n)
		for i := range b {
			b[i] = byte(i * i >> 7)
		}
		return string(b)
	}
	weights := func(n int64) files {
		return files{"m.onnx": encode(t, model([]*onnx.Node{
			{Name: "a", Op: "Slice", Inputs: []string{"w", "s", "e"}, Outputs: []string{"v"}},
			{Name: "b", Op: "Add", Inputs: []string{"x", "v"}, Outputs: []string{"y"}},
		},
			onnx.NewTensor("w", tensor.Of(make([]float32, n), n)),
			onnx.NewTensor("s", tensor.Of([]int64{0}, 1)), onnx.NewTensor("e", tensor.Of([]int64{4}, 1))))}
	}
	tests := []struct {
		name string
		f    files
	}{
		{"in the upload", files{"net.prototxt": fourNet, "notes.bin": noise(size)}},
		{"in the build", weights(7 << 20 / 4)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for range 2 { // each leaves the room free for the next
				s.unharmed(t, func() {
					_, err := s.try(t, "bad/full", tt.f)
					named(t, tt.name, err, stoa.NoRoom, "disk is full")
				})
			}
		})
	}
	s.push(t, "good/small", files{"net.prototxt": strings.Replace(fourNet, "shift: 1", "shift: 3", 1)})
}
