package flow

import (
	"maps"
	"slices"
	"strings"
)

// Loops of TensorFlow 1 are frames within the graph: Enter leads in, Merge joins
// what enters with what the round before left, Switch parts going on from
// leaving, Exit leads out.

// Frame is a loop of the first form.
type Frame struct {
	Vars   []FrameVar
	Consts []*Node // Enters of what no round changes
	Cond   *Node   // LoopCond
}

// FrameVar is what a loop carries from round to round.
type FrameVar struct{ Enter, Merge, Switch, Next, Exit *Node }

func frameOf(n *Node) string { return n.Text("frame_name", "") }

// variable reads what a Merge joins.
func variable(merge *Node) FrameVar {
	v := FrameVar{Merge: merge}
	for _, in := range merge.In {
		switch {
		case strings.HasSuffix(in.Node.Op, "Enter"):
			v.Enter = in.Node
		case strings.HasSuffix(in.Node.Op, "NextIteration"):
			v.Next = in.Node
		}
	}
	return v
}

// findFrames finds the loops of the first form.
func (s *Scope) findFrames() {
	get := func(name string) *Frame {
		if s.frames[name] == nil {
			s.frames[name] = &Frame{}
		}
		return s.frames[name]
	}
	byMerge := map[*Node]*FrameVar{}
	frames := map[*Node]*Frame{}
	var merges []*Node
	for _, n := range s.Nodes {
		switch {
		case strings.HasSuffix(n.Op, "Enter") && n.Flag("is_constant", false):
			f := get(frameOf(n))
			f.Consts = append(f.Consts, n)
		case strings.HasSuffix(n.Op, "Merge") && len(n.In) == 2:
			if v := variable(n); v.Enter != nil && v.Next != nil {
				byMerge[n], frames[n] = &v, get(frameOf(v.Enter))
				merges = append(merges, n)
			}
		}
	}
	for _, n := range s.Nodes {
		if !IsSwitch(n) || len(n.In) != 2 || byMerge[n.In[0].Node] == nil {
			continue
		}
		if cond := Through(n.In[1]).Node; cond.Op == "LoopCond" {
			byMerge[n.In[0].Node].Switch = n
			frames[n.In[0].Node].Cond = cond
		}
	}
	for _, n := range s.Nodes {
		if strings.HasSuffix(n.Op, "Exit") && len(n.In) == 1 && IsSwitch(n.In[0].Node) {
			if v := byMerge[n.In[0].Node.Input(0).Node]; v != nil {
				v.Exit = n
			}
		}
	}
	for _, m := range merges {
		frames[m].Vars = append(frames[m].Vars, *byMerge[m])
	}
}

// Frame finds the loop that a node leads out of.
func (s *Scope) Frame(exit *Node) *Frame {
	for _, name := range slices.Sorted(maps.Keys(s.frames)) {
		for _, v := range s.frames[name].Vars {
			if v.Exit == exit {
				return s.frames[name]
			}
		}
	}
	return nil
}
