package caffe

import (
	"fmt"
	"slices"
	"strings"
)

// ignored are settings that say how to train, or how a layer is computed but
// not what it computes.
var ignored = map[string]bool{
	"param": true, "blobs_lr": true, "weight_decay": true, "blobs": true, "loss_weight": true, "propagate_down": true,
	"phase": true, "weight_filler": true, "bias_filler": true, "filler": true, "engine": true, "transform_param": true,
	"include": true, "exclude": true, "data_param": true, "blob_share_mode": true, "force_nd_im2col": true, "loss_param": true,
	"moving_average_fraction": true, "sparse_ratio": true, "dropout_ratio": true, "name": true, "type": true, "debug_info": true,
	"force_backward": true, "state": true, "eps": true, "use_global_stats": true, "input_dim": true, "cudnn_convolution_algo_seeker": true,
	"is_test": true, "bn_mode": true, "frozen": true, "slope_filler": true, "shift_filler": true, "momentum": true,
}

// unread lists the settings of layers that nothing asked for: those of forks of
// Caffe, which may change what a layer does.
func (c *converter) unread(desc *message) []string {
	byName := map[string][]string{}
	var walk func(l *layer, m *message)
	walk = func(l *layer, m *message) {
		for _, e := range m.fields {
			switch {
			case ignored[e.name]:
			case !e.used:
				byName[e.name] = append(byName[e.name], l.name)
			case e.sub != nil:
				walk(l, e.sub)
			}
		}
	}
	for _, l := range c.net.layers {
		walk(l, l.msg)
	}
	var notes []string
	for name, layers := range byName {
		where := strings.Join(layers[:min(len(layers), 3)], ", ")
		if len(layers) > 3 {
			where += fmt.Sprintf(" and %d more", len(layers)-3)
		}
		notes = append(notes, fmt.Sprintf("setting %q of layer %s is not known and was ignored", cut(name), cut(where)))
	}
	for _, e := range desc.fields {
		if !e.used && !ignored[e.name] {
			notes = append(notes, fmt.Sprintf("field %q (line %d) is not known and was ignored", cut(e.name), e.line))
		}
	}
	slices.Sort(notes)
	return notes
}
