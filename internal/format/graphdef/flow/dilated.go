package flow

import (
	"slices"
)

// Dilated is such a convolution; bias may be nil.
type Dilated struct{ Split, Conv, Bias *Node }

// DilatedOf finds the nodes before a BatchToSpaceND; nil where they are others.
func DilatedOf(n *Node) *Dilated {
	if len(n.In) != 3 {
		return nil
	}
	d := &Dilated{Conv: n.In[0].Node}
	if d.Conv.Op == "BiasAdd" && len(d.Conv.In) == 2 {
		d.Bias, d.Conv = d.Conv, d.Conv.In[0].Node
	}
	if d.Conv.Op != "Conv2D" && d.Conv.Op != "DepthwiseConv2dNative" || len(d.Conv.In) != 2 || d.Conv.Text("padding", "") != "VALID" || d.Conv.ChannelsFirst() {
		return nil
	}
	for _, name := range []string{"strides", "dilations"} {
		if slices.ContainsFunc(d.Conv.IntList(name), func(v int64) bool { return v != 1 }) {
			return nil
		}
	}
	d.Split = Through(d.Conv.In[0]).Node
	if d.Split.Op != "SpaceToBatchND" || len(d.Split.In) != 3 {
		return nil
	}
	return d
}

// Needs gives what the one convolution takes in place of the three nodes.
func (d *Dilated) Needs(n *Node) []Ref {
	out := []Ref{d.Split.In[0], d.Conv.In[1], d.Split.In[1], d.Split.In[2], n.In[1], n.In[2]}
	if d.Bias != nil {
		out = append(out, d.Bias.In[1])
	}
	return out
}
