package fold

import (
	"slices"

	"github.com/stoa-project/stoa/internal/onnx"
	"github.com/stoa-project/stoa/internal/tensor"
)

// windows makes noughts around a picture part of the convolution that reads
// them, and a mean over a whole picture a global pooling, which the runtime
// computes in the layout that it gives to convolutions.
func (f *folder) windows() {
	gone := map[*onnx.Node]bool{}
	kept := f.graph.Nodes[:0:0]
	for _, n := range f.graph.Nodes {
		if n.Domain == "" || n.Domain == "ai.onnx" {
			switch n.Op {
			case "Conv":
				if pad := f.producer[n.Inputs[0]]; pad != nil && f.padInto(n, pad) {
					gone[pad] = true
				}
			case "ReduceMean":
				if flat := f.globalMean(n); flat != nil {
					kept = append(kept, n, flat)
					continue
				}
			}
		}
		kept = append(kept, n)
	}
	f.graph.Nodes = slices.DeleteFunc(kept, func(n *onnx.Node) bool { return gone[n] })
}

// padInto adds the widths of a Pad with noughts to those of a convolution, where
// nobody else reads what is padded.
func (f *folder) padInto(conv, pad *onnx.Node) bool {
	name := pad.Outputs[0]
	if pad.Op != "Pad" || f.uses[name] != 1 || f.outputs[name] || f.nested[name] || pad.Input(3) != "" {
		return false
	}
	if mode := pad.Str("mode"); mode != "" && mode != "constant" {
		return false
	}
	if auto := conv.Str("auto_pad"); auto != "" && auto != "NOTSET" && auto != "VALID" {
		return false
	}
	if value := pad.Input(2); value != "" {
		t := f.weights[value]
		if t == nil || t.External != nil || slices.ContainsFunc(t.Data, func(b byte) bool { return b != 0 }) {
			return false
		}
	}
	widths, ok := f.shapes.Ints(pad.Input(1))
	rank := len(widths) / 2
	const least = 3 // batch, channels and one axis
	if !ok || rank < least || slices.ContainsFunc(widths, func(w int64) bool { return w < 0 }) ||
		widths[0]+widths[1]+widths[rank]+widths[rank+1] != 0 {
		return false
	}
	pads := slices.Clone(conv.Ints("pads"))
	if len(pads) == 0 {
		pads = make([]int64, 2*(rank-2))
	}
	if len(pads) != 2*(rank-2) {
		return false
	}
	for i := range rank - 2 {
		pads[i] += widths[2+i]
		pads[rank-2+i] += widths[rank+2+i]
	}
	conv.Attrs = slices.DeleteFunc(conv.Attrs, func(a onnx.Attribute) bool { return a.Name == "auto_pad" })
	conv.Set(onnx.AInts("pads", pads...))
	conv.Inputs[0] = pad.Inputs[0]
	return true
}

// globalMean makes a mean over all places of a picture a GlobalAveragePool. Where
// the axes were to go, it gives the node that takes them away.
func (f *folder) globalMean(n *onnx.Node) *onnx.Node {
	t, shape := f.shapes.Of(n.Inputs[0])
	axes := slices.Clone(n.Ints("axes"))
	rank := int64(len(shape))
	if len(n.Inputs) > 1 || t != tensor.Float32 || rank < 3 || int64(len(axes)) != rank-2 {
		return nil
	}
	for i, a := range axes {
		if a < 0 {
			axes[i] += rank
		}
	}
	slices.Sort(axes)
	for i, a := range axes {
		if a != int64(i)+2 {
			return nil
		}
	}
	keep := n.Int("keepdims", 1) != 0
	n.Op, n.Attrs = "GlobalAveragePool", nil
	if keep {
		return nil
	}
	out := n.Outputs[0]
	n.Outputs = []string{f.free(out + ".pooled")}
	flat := &onnx.Node{Name: f.free(n.Name + ".flat"), Op: "Flatten", Inputs: []string{n.Outputs[0]}, Outputs: []string{out}}
	f.producer[out], f.producer[n.Outputs[0]] = flat, n
	return flat
}

// free gives a name that no tensor has.
func (f *folder) free(name string) string {
	for f.weights[name] != nil || f.producer[name] != nil {
		name += "_"
	}
	return name
}
