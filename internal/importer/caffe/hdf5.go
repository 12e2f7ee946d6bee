package caffe

import (
	"bytes"
	"math"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/format/hdf5"
	"github.com/stoa-project/stoa/internal/onnx"
	"github.com/stoa-project/stoa/internal/tensor"
)

// isHDF5Weights tells whether a file is HDF5 with the groups of Caffe's
// snapshots: "data" at the root, and no mark of Keras.
func isHDF5Weights(data []byte) bool {
	if !hdf5.Is(data) {
		return false
	}
	group, err := snapshot(data)
	if err != nil { // damaged: what of, its first names tell
		head := data[:min(len(data), 64<<10)]
		return bytes.Contains(head, []byte("data\x00")) && !bytes.Contains(head, []byte("keras")) && !bytes.Contains(head, []byte("model_config"))
	}
	return group != nil
}

// snapshot gives the group that holds the layers; nil where there is none.
func snapshot(data []byte) (*hdf5.Object, error) {
	f, err := hdf5.Open(data)
	if err != nil {
		return nil, err
	}
	root, err := f.Root()
	if err != nil {
		return nil, err
	}
	attributes, err := root.Attributes()
	if err != nil || slices.ContainsFunc(attributes, func(a string) bool { return a == "keras_version" || a == "layer_names" }) {
		return nil, err
	}
	group, err := root.Find("data")
	if err != nil || group == nil || group.IsDataset() {
		return nil, err
	}
	return group, nil
}

// readHDF5 finds the blobs of every layer in a snapshot: data/LAYER/INDEX, where
// a slash in the layer's name makes groups within groups.
func readHDF5(file string, data []byte) (*weights, error) {
	w := &weights{file: file, layers: map[string][]blob{}, types: map[string]string{}}
	group, err := snapshot(data)
	if err == nil && group == nil {
		err = stoa.Errorf(stoa.Invalid, "it has no group %q", "data")
	}
	if err == nil {
		err = group.Walk(func(o *hdf5.Object) error { return w.array(strings.TrimPrefix(o.Path, "/data/"), o) })
	}
	if err != nil {
		return nil, stoa.Wrap(stoa.KindOf(err), err, "%s: %s", file, stoa.AsError(err).Msg)
	}
	return w, nil
}

// array takes one array into the weights.
func (w *weights) array(at string, o *hdf5.Object) error {
	if !o.IsDataset() {
		return nil
	}
	layer := path.Dir(at)
	index, err := strconv.Atoi(path.Base(at))
	if err != nil || index < 0 || index >= maxBlobs {
		return stoa.Errorf(stoa.Invalid, "%.100s is no array of a layer, which are called 0, 1 and so on", o.Path)
	}
	v, err := o.Read()
	if err != nil {
		return err
	}
	t := v.Tensor()
	if t.DType != tensor.Float32 {
		floats := onnx.NewTensor("", t).Floats()
		if floats == nil && len(t.Data) > 0 {
			return stoa.Errorf(stoa.Unsupported, "%.100s holds %s", o.Path, t.DType)
		}
		t = tensor.Of(floats, t.Shape...)
	}
	if len(t.Data)/4 > math.MaxInt32 {
		return stoa.Errorf(stoa.TooLarge, "%.100s is larger than Caffe's own limit", o.Path)
	}
	if _, ok := w.layers[layer]; !ok && len(w.layers) >= maxWeightLayers {
		return stoa.Errorf(stoa.TooLarge, "over %d layers", maxWeightLayers)
	}
	for len(w.layers[layer]) <= index {
		w.layers[layer] = append(w.layers[layer], blob{})
	}
	w.layers[layer][index] = blob{shape: t.Shape, data: t.Data}
	return nil
}

// maxBlobs bounds the arrays of a layer; none of Caffe's has more than five.
const maxBlobs = 16
