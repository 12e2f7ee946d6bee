package flow

import (
	"slices"
	"strings"

	"github.com/stoa-project/stoa"
)

// Conditions of TensorFlow 1: Switch passes a tensor on to one of two branches,
// Merge takes what comes out of the one that was taken.

// Conditional is what lies between a Merge and the Switches before it.
type Conditional struct {
	Pred  Ref
	Sides []Ref // the Merge's inputs: what is given where the predicate is false, and where it is true; or 0, 1 and so on
	Data  []Ref // what the Switches pass on
	Many  bool  // the predicate is a number; one that is none of the sides' means the last
}

// ConditionalOf finds the condition whose branches a Merge joins.
func ConditionalOf(n *Node) (Conditional, error) {
	bad := func() error {
		return stoa.Errorf(stoa.Unsupported, "it joins branches whose condition cannot be found")
	}
	cond := Conditional{Sides: make([]Ref, len(n.In))}
	if len(n.In) < 2 {
		return cond, bad()
	}
	for _, in := range n.In {
		side, found := toSwitch(&cond, in)
		if !found || side >= len(cond.Sides) || cond.Sides[side].Node != nil {
			return cond, bad()
		}
		cond.Sides[side] = in
	}
	return cond, nil
}

// toSwitch walks back from an input of a Merge to the Switches of its condition.
// It gives the side that they are on.
func toSwitch(cond *Conditional, from Ref) (side int, found bool) {
	type step struct {
		r     Ref
		depth int // conditions within that were entered from behind
	}
	seen := map[*Node]bool{}
	todo := []step{{from, 0}}
	for len(todo) > 0 {
		s := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		n := s.r.Node
		if n == nil {
			continue
		}
		if IsSwitch(n) && len(n.In) == 2 && Through(n.In[1]).Node.Op != "LoopCond" {
			if s.depth > 0 {
				todo = append(todo, step{n.In[0], s.depth - 1})
				continue
			}
			pred := Through(n.In[1])
			if cond.Pred.Node == nil {
				cond.Pred = pred
			}
			if pred == cond.Pred {
				if !found {
					side, found, cond.Many = s.r.Out, true, n.Op == switchN
				}
				cond.Data = append(cond.Data, n.In[0])
			}
			continue
		}
		if seen[n] {
			continue
		}
		seen[n] = true
		depth := s.depth
		if n.Op == "Merge" {
			depth++
		}
		for _, in := range slices.Concat(n.In, n.pivots()) {
			todo = append(todo, step{in, depth})
		}
	}
	return side, found
}

// pivots gives the Switches for whose side a node without inputs waits.
func (n *Node) pivots() []Ref {
	var out []Ref
	for _, m := range n.Control {
		if m.Op == "Identity" && len(m.In) == 1 && m.In[0].Node != nil && IsSwitch(m.In[0].Node) {
			out = append(out, m.In[0])
		}
	}
	return out
}

// IsSwitch tells whether a node parts a tensor to one of some sides.
func IsSwitch(n *Node) bool { return strings.HasSuffix(n.Op, "Switch") || n.Op == switchN }

// switchN parts to one of many.
const switchN = "_SwitchN"
