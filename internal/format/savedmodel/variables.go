package savedmodel

import (
	"strings"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/format/bundle"
	"github.com/stoa-project/stoa/internal/format/graphdef"
	"github.com/stoa-project/stoa/internal/format/graphdef/flow"
	"github.com/stoa-project/stoa/internal/tensor"
)

// Variables are the values of a bundle.
type Variables struct {
	file   string
	index  *bundle.Index
	shards [][]byte
	full   map[string]string // the bundle's key by a variable's full name
	byNode map[string]string // and by its node, as the graph itself restores it
}

// objectGraph is the key of the message that says how objects hang together.
const objectGraph = "_CHECKPOINTABLE_OBJECT_GRAPH"

// names reads which variable lies under which key, where the bundle says it.
func (v *Variables) names() error {
	e, ok := v.index.Entries[objectGraph]
	if !ok {
		return nil
	}
	data, err := v.bytes(objectGraph, e)
	if err != nil {
		return err
	}
	// An array of one string: its length, a checksum, and the string.
	n, used := uvarint(data)
	if used <= 0 || uint64(len(data)-used) < 4+n {
		return stoa.Errorf(stoa.Invalid, "%s.index: %s is damaged", v.file, objectGraph)
	}
	v.full, err = graphdef.Checkpoint(data[used+4 : used+4+int(n)])
	return err
}

func uvarint(b []byte) (v uint64, n int) {
	for i, c := range b {
		if i == 9 {
			break
		}
		v |= uint64(c&0x7f) << (7 * i)
		if c < 0x80 {
			return v, i + 1
		}
	}
	return 0, 0
}

func (v *Variables) bytes(key string, e bundle.Entry) ([]byte, error) {
	if e.Shard < 0 || e.Shard >= len(v.shards) || e.Offset < 0 || e.Size < 0 || e.Offset > int64(len(v.shards[e.Shard])) || e.Size > int64(len(v.shards[e.Shard]))-e.Offset {
		return nil, stoa.Errorf(stoa.Invalid, "%s.index: %q lies outside the data files", v.file, key)
	}
	return v.shards[e.Shard][e.Offset : e.Offset+e.Size], nil
}

// Key finds the key under which a variable lies: the one that the graph's own
// restoring names, else its node's name, else by its full name.
func (v *Variables) Key(node, shared string) (string, bool) {
	keys := []string{v.byNode[node], node, shared, v.full[shared], v.full[node]}
	if i := strings.LastIndexByte(shared, '/'); i >= 0 {
		keys = append(keys, v.full[shared[i+1:]])
	}
	for _, k := range keys {
		if _, ok := v.index.Entries[k]; ok && k != "" {
			return k, true
		}
	}
	return "", false
}

// Value gives a variable's value, a view of the file.
func (v *Variables) Value(key string) (tensor.Tensor, error) {
	e := v.index.Entries[key]
	if e.Slices > 0 {
		return tensor.Tensor{}, stoa.Errorf(stoa.Unsupported, "%s.index: variable %q was saved in %d parts, which is not supported: save the network without a partitioner", v.file, key, e.Slices)
	}
	data, err := v.bytes(key, e)
	if err != nil {
		return tensor.Tensor{}, err
	}
	t := tensor.Tensor{DType: graphdef.Type(e.Type).DType(), Shape: e.Shape, Data: data}
	if t.Shape == nil {
		t.Shape = []int64{}
	}
	if t.DType == tensor.Undefined || t.DType == tensor.String {
		return t, stoa.Errorf(stoa.Unsupported, "%s.index: variable %q has elements of a kind (%d) that is not supported", v.file, key, e.Type)
	}
	if err := t.Check(); err != nil {
		return t, stoa.Wrap(stoa.Invalid, err, "%s.index: variable %q: %s", v.file, key, stoa.AsError(err).Msg)
	}
	return t, nil
}

// Restore finds which key the graph itself reads into which variable: by nodes
// that assign what RestoreV2 gives, in the graph and in functions that it calls.
func (v *Variables) Restore(main *flow.Scope, function func(name string) *flow.Scope) {
	v.byNode = map[string]string{}
	out := v.byNode
	for _, n := range main.Nodes {
		switch {
		case isAssign(n):
			if key, ok := restoreKey(n.Input(1)); ok {
				if to := flow.Through(n.Input(0)).Node; to != nil {
					out[to.Name] = key
				}
			}
		case isCall(n):
			fn := function(n.FuncName("f"))
			if fn == nil {
				continue
			}
			for _, a := range fn.Nodes {
				arg := flow.Through(a.Input(0)).Node
				if !isAssign(a) || arg == nil || arg.Op != flow.OpArg {
					continue
				}
				if key, ok := restoreKey(a.Input(1)); ok {
					if to := flow.Through(n.Input(arg.Arg)).Node; to != nil {
						out[to.Name] = key
					}
				}
			}
		}
	}
}

func isAssign(n *flow.Node) bool {
	return n.Op == "Assign" || n.Op == "AssignVariableOp"
}

func isCall(n *flow.Node) bool { return n.Op == "StatefulPartitionedCall" || n.Op == "PartitionedCall" }

// restoreKey gives the name under which a value is restored.
func restoreKey(r flow.Ref) (string, bool) {
	r = flow.Through(r)
	if r.Node == nil || r.Node.Op != "RestoreV2" && r.Node.Op != "RestoreSlice" && r.Node.Op != "Restore" {
		return "", false
	}
	names := flow.Through(r.Node.Input(1)).Node
	if names == nil || names.Op != "Const" {
		return "", false
	}
	a := names.Attrs["value"]
	if a == nil || a.Tensor == nil || r.Out < 0 || r.Out >= len(a.Tensor.Strings) {
		return "", false
	}
	return string(a.Tensor.Strings[r.Out]), true
}
