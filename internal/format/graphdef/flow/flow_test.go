package flow

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stoa-project/stoa/internal/format/graphdef"
)

// load reads a graph that TensorFlow wrote.
func load(t *testing.T, name string) *Scope {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("../../../../test/operators/tensorflow", name, "graph.pb"))
	if err != nil {
		t.Fatal(err)
	}
	g, err := graphdef.ParseGraph(data)
	if err != nil {
		t.Fatal(err)
	}
	s, err := New("", g.Nodes, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *Scope) ops(op string) []*Node {
	var out []*Node
	for _, n := range s.Nodes {
		if n.Op == op {
			out = append(out, n)
		}
	}
	return out
}

func TestFrames(t *testing.T) {
	s := load(t, "tf1_loop_nested")
	found := map[*Frame]bool{}
	for _, exit := range s.ops("Exit") {
		f := s.Frame(exit)
		if f == nil || f.Cond == nil || len(f.Vars) == 0 {
			t.Fatalf("%s leads out of %+v", exit.Name, f)
		}
		found[f] = true
		for _, v := range f.Vars {
			if v.Enter == nil || v.Merge == nil || v.Switch == nil || v.Next == nil {
				t.Errorf("a variable is %+v", v)
			}
		}
	}
	if len(found) != 2 {
		t.Errorf("%d loops", len(found))
	}
}

func TestConditional(t *testing.T) {
	s := load(t, "tf1_cond_default")
	for _, m := range s.ops("Merge") {
		c, err := ConditionalOf(m)
		if err != nil {
			t.Errorf("%s: %v", m.Name, err)
			continue
		}
		if c.Pred.Node == nil || c.Many || len(c.Sides) != 2 || c.Sides[0].Node == nil || c.Sides[1].Node == nil {
			t.Errorf("%s: %+v", m.Name, c)
		}
	}
}

func TestLeavesAndGuess(t *testing.T) {
	s := load(t, "conv2d_same")
	leaves, odd := s.Leaves(func(string) bool { return true }, false)
	if len(leaves) != 1 || len(odd) != 0 || leaves[0].Name != "Identity" {
		t.Errorf("leaves %v, odd %v", leaves, odd)
	}
	if _, odd := s.Leaves(func(op string) bool { return op != "Conv2D" }, false); len(odd) != 1 {
		t.Errorf("odd %v", odd)
	}
	if got := s.Guess(Ref{Node: s.ByName["x0"]}); len(got) != 4 || got[3] != 3 || got[0] != -1 {
		t.Errorf("the input is guessed to be %v", got)
	}
	if DilatedOf(load(t, "atrous").ops("BatchToSpaceND")[0]) == nil || DilatedOf(load(t, "batchtospacend").ops("BatchToSpaceND")[0]) != nil {
		t.Error("dilated convolutions are not told from others")
	}
}
