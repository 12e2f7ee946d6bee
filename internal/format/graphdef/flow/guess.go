package flow

import (
	"slices"
	"strings"
)

// Guess gives the shape that those who read a tensor ask of it, -1 for a size that
// is free; nil where nothing tells how many dimensions it has.
func (s *Scope) Guess(r Ref) []int64 { return s.guess(r, 0) }

// guess finds what reads a tensor and says how many dimensions it must have.
func (s *Scope) guess(r Ref, depth int) []int64 {
	const far = 12
	if depth > far {
		return nil
	}
	for _, n := range s.Nodes {
		for i, in := range n.In {
			if in != r {
				continue
			}
			if shape := s.asks(n, i, depth); shape != nil {
				return shape
			}
		}
	}
	return nil
}

// asks gives the shape that a node asks of one of its inputs.
func (s *Scope) asks(n *Node, i, depth int) []int64 {
	free := func(rank int) []int64 { return slices.Repeat([]int64{-1}, rank) }
	weights := sizes(n.Input(1))
	switch op := n.Op; {
	case (op == "Conv2D" || op == "DepthwiseConv2dNative") && i == 0:
		shape := free(4)
		if len(weights) == 4 {
			at := 3
			if n.Text("data_format", "NHWC") == "NCHW" {
				at = 1
			}
			shape[at] = weights[2]
		}
		return shape
	case op == "Conv2DBackpropInput" && i == 2:
		return free(4)
	case (op == "MaxPool" || op == "AvgPool" || op == "FusedBatchNorm" || op == "FusedBatchNormV3" || op == "LRN" || strings.HasPrefix(op, "Resize") || op == "DepthToSpace" || op == "SpaceToDepth") && i == 0:
		return free(4)
	case op == "Conv3D" || op == "MaxPool3D" || op == "AvgPool3D":
		return free(5)
	case op == "MatMul" && i == 0:
		shape := free(2)
		if len(weights) == 2 {
			shape[1] = weights[0]
			if n.Flag("transpose_b", false) {
				shape[1] = weights[1]
			}
		}
		return shape
	case (op == "Pad" || op == "MirrorPad" || op == "PadV2" || op == "Tile") && i == 0 && len(sizes(n.Input(1))) > 0:
		return free(int(min(sizes(n.Input(1))[0], 8)))
	case op == "Transpose" && i == 0 && len(weights) == 1:
		return free(int(min(weights[0], 8)))
	case (op == "Slice") && i == 0 && len(weights) == 1:
		return free(int(min(weights[0], 8)))
	case op == "SpaceToBatchND" && i == 0:
		return s.guess(Ref{Node: n, Out: 0}, depth+1)
	case op == "Split" && i == 1 || op == "ConcatV2": // some size changes
		if like := s.guess(Ref{Node: n, Out: 0}, depth+1); like != nil {
			return free(len(like))
		}
	case elementwise[op] || op == "Identity" || op == "BiasAdd":
		return s.guess(Ref{Node: n, Out: 0}, depth+1)
	}
	return nil
}

// elementwise are operators whose output is like what they are given.
var elementwise = map[string]bool{
	"Add": true, "AddV2": true, "Sub": true, "Mul": true, "RealDiv": true, "Div": true, "Relu": true, "Relu6": true, "Sigmoid": true, "Tanh": true,
	"Square": true, "Sqrt": true, "Rsqrt": true, "Neg": true, "Abs": true, "Maximum": true, "Minimum": true, "Elu": true, "LeakyRelu": true, "Cast": true,
}

// sizes gives the shape of a constant or a variable; nil where it is none.
func sizes(r Ref) []int64 {
	n := Through(r).Node
	if n == nil {
		return nil
	}
	switch n.Op {
	case "Const":
		if a := n.Attrs["value"]; a != nil && a.Tensor != nil {
			return a.Tensor.Shape.Dims
		}
	case "VariableV2", "Variable", "VarHandleOp":
		return n.ShapeOf("shape")
	}
	return nil
}
