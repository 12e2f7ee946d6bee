package flow

import (
	"strings"
)

// Leaves gives the nodes that depend on an input and that nothing reads, apart
// from what only training, saving and watching need; and apart from them, as odd,
// those that depend on operators that are not supported. trained says that the
// graph holds training too.
//
//nolint:revive // the flag says what the graph is
func (s *Scope) Leaves(supported func(op string) bool, trained bool) (leaves, odd []*Node) {
	read := s.read(trained)
	for _, n := range s.Nodes {
		if read[n] || idle(n, trained) || isSource(n) {
			continue
		}
		fed, sound := false, true
		for m := range Reachable([]Ref{{Node: n}}) {
			fed = fed || IsInput(m)
			sound = sound && supported(m.Op)
		}
		switch {
		case !fed:
		case sound:
			leaves = append(leaves, n)
		default:
			odd = append(odd, n)
		}
	}
	return leaves, odd
}

// read gives the nodes that others read.
func (s *Scope) read(trained bool) map[*Node]bool { //nolint:revive // as above
	out := map[*Node]bool{}
	for _, n := range s.Nodes {
		if idle(n, trained) && n.Op != "Assert" { // whose condition is no result
			continue
		}
		for _, r := range n.In {
			out[r.Node] = true
		}
		// Identities of a Switch are there to be waited for in a branch.
		for _, m := range n.Control {
			out[m] = out[m] || m.Op == "Identity" && m.Input(0).Node != nil && IsSwitch(m.Input(0).Node)
		}
	}
	return out
}

// IsInput tells whether a node stands for what a caller gives.
func IsInput(n *Node) bool {
	switch n.Op {
	case "Placeholder", "PlaceholderV2", "PlaceholderWithDefault", "IteratorGetNext", OpArg:
		return true
	}
	return false
}

// isSource tells whether a node computes nothing of anything.
func isSource(n *Node) bool {
	switch n.Op {
	case "Const", "VariableV2", "Variable", "VarHandleOp", "NoOp", "AutoReloadVariable":
		return true
	}
	return IsInput(n)
}

// idle tells whether a node is there for training, saving or watching only.
func idle(n *Node, trained bool) bool { //nolint:revive // as above
	if trained {
		first, _, _ := strings.Cut(n.Name, "/")
		for _, p := range []string{"gradients", "save", "report_uninitialized", "init", "train"} {
			if strings.HasPrefix(first, p) {
				return true
			}
		}
	}
	for _, p := range []string{"Apply", "Assign", "Save", "Restore", "ResourceApply", "ScatterUpdate"} {
		if strings.HasPrefix(n.Op, p) {
			return true
		}
	}
	switch n.Op {
	case "NoOp", "Assert", "PrintV2", "IsVariableInitialized", "VarIsInitializedOp", "QueueEnqueueV2", "QueueCloseV2", "MergeV2Checkpoints", "ShardedFilename":
		return true
	}
	return strings.HasSuffix(n.Op, "Summary") || strings.HasSuffix(n.Op, "SummaryV2")
}
