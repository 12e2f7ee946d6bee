package caffe

import (
	"math"
	"strconv"
	"strings"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/stoa-project/stoa"
)

// A .caffemodel mostly holds the description of the network beside its weights.
// It is read into the same messages as the text is, by this table: for each
// message its fields, as number:name:kind. A kind is s (text), i (whole number),
// f (number), b (true or false), - (of no use here), an enumeration's words
// from 0 on (or from 1 on, after a +), or the name of a message. The numbers are
// those of caffe.proto, and of SSD's fork for permute_param and norm_param.
const schemaText = `
Net 1:name:s 2:layers:V1Layer 3:input:s 4:input_dim:i 5:force_backward:- 6:state:- 7:debug_info:- 8:input_shape:Shape 100:layer:Layer
Shape 1:dim:i
Rule 1:phase:TRAIN|TEST 2:min_level:i 3:max_level:i 4:stage:s 5:not_stage:s
Filler 1:type:s 2:value:f 3:min:f 4:max:f 5:mean:f 6:std:f 7:sparse:- 8:variance_norm:-
Transform 1:scale:f 2:mirror:- 3:crop_size:i 4:mean_file:- 5:mean_value:- 6:force_color:- 7:force_gray:-
Layer 1:name:s 2:type:s 3:bottom:s 4:top:s 5:loss_weight:- 6:param:- 7:blobs:- 8:include:Rule 9:exclude:Rule 10:phase:- 11:propagate_down:- 100:transform_param:Transform 101:loss_param:- 102:accuracy_param:- 103:argmax_param:ArgMax 104:concat_param:Concat 105:contrastive_loss_param:- 106:convolution_param:Convolution 107:data_param:Data 108:dropout_param:Dropout 109:dummy_data_param:DummyData 110:eltwise_param:Eltwise 111:exp_param:Exp 112:hdf5_data_param:- 113:hdf5_output_param:- 114:hinge_loss_param:- 115:image_data_param:- 116:infogain_loss_param:- 117:inner_product_param:InnerProduct 118:lrn_param:LRN 119:memory_data_param:MemoryData 120:mvn_param:MVN 121:pooling_param:Pooling 122:power_param:Power 123:relu_param:ReLU 124:sigmoid_param:- 125:softmax_param:Softmax 126:slice_param:Slice 127:tanh_param:- 128:threshold_param:Threshold 129:window_data_param:- 131:prelu_param:PReLU 133:reshape_param:Reshape 134:log_param:Exp 135:flatten_param:Flatten 136:reduction_param:Reduction 137:embed_param:Embed 138:tile_param:Tile 139:batch_norm_param:BatchNorm 140:elu_param:ELU 141:bias_param:Bias 142:scale_param:Scale 143:input_param:Input 144:crop_param:Crop 145:parameter_param:Parameter 147:swish_param:Swish 148:clip_param:Clip 202:permute_param:Permute 206:norm_param:Norm
V1Layer 1:layer:Shape 2:bottom:s 3:top:s 4:name:s 5:type:v1 6:blobs:- 7:blobs_lr:- 8:weight_decay:- 9:concat_param:Concat 10:convolution_param:Convolution 11:data_param:Data 12:dropout_param:Dropout 13:hdf5_data_param:- 14:hdf5_output_param:- 15:image_data_param:- 16:infogain_loss_param:- 17:inner_product_param:InnerProduct 18:lrn_param:LRN 19:pooling_param:Pooling 20:window_data_param:- 21:power_param:Power 22:memory_data_param:MemoryData 23:argmax_param:ArgMax 24:eltwise_param:Eltwise 25:threshold_param:Threshold 26:dummy_data_param:DummyData 27:accuracy_param:- 29:hinge_loss_param:- 30:relu_param:ReLU 31:slice_param:Slice 32:include:Rule 33:exclude:Rule 34:mvn_param:MVN 35:loss_weight:- 36:transform_param:Transform 37:tanh_param:- 38:sigmoid_param:- 39:softmax_param:Softmax 40:contrastive_loss_param:- 41:exp_param:Exp 42:loss_param:- 1001:param:- 1002:blob_share_mode:-
ArgMax 1:out_max_val:b 2:top_k:i 3:axis:i
Concat 1:concat_dim:i 2:axis:i
Convolution 1:num_output:i 2:bias_term:b 3:pad:i 4:kernel_size:i 5:group:i 6:stride:i 7:weight_filler:Filler 8:bias_filler:Filler 9:pad_h:i 10:pad_w:i 11:kernel_h:i 12:kernel_w:i 13:stride_h:i 14:stride_w:i 15:engine:- 16:axis:i 17:force_nd_im2col:- 18:dilation:i
Data 1:source:- 2:scale:- 3:mean_file:- 4:batch_size:i 5:crop_size:i 6:mirror:- 7:rand_skip:- 8:backend:- 9:force_encoded_color:- 10:prefetch:-
Dropout 1:dropout_ratio:f 2:scale_train:b
DummyData 1:data_filler:Filler 2:num:i 3:channels:i 4:height:i 5:width:i 6:shape:Shape
Eltwise 1:operation:PROD|SUM|MAX 2:coeff:f 3:stable_prod_grad:-
Exp 1:base:f 2:scale:f 3:shift:f
InnerProduct 1:num_output:i 2:bias_term:b 3:weight_filler:Filler 4:bias_filler:Filler 5:axis:i 6:transpose:b
LRN 1:local_size:i 2:alpha:f 3:beta:f 4:norm_region:ACROSS_CHANNELS|WITHIN_CHANNEL 5:k:f 6:engine:-
MemoryData 1:batch_size:i 2:channels:i 3:height:i 4:width:i
MVN 1:normalize_variance:b 2:across_channels:b 3:eps:f
Pooling 1:pool:MAX|AVE|STOCHASTIC 2:kernel_size:i 3:stride:i 4:pad:i 5:kernel_h:i 6:kernel_w:i 7:stride_h:i 8:stride_w:i 9:pad_h:i 10:pad_w:i 11:engine:- 12:global_pooling:b 13:round_mode:CEIL|FLOOR
Power 1:power:f 2:scale:f 3:shift:f
ReLU 1:negative_slope:f 2:engine:-
Softmax 1:engine:- 2:axis:i
Slice 1:slice_dim:i 2:slice_point:i 3:axis:i
Threshold 1:threshold:f
PReLU 1:filler:Filler 2:channel_shared:b
Reshape 1:shape:Shape 2:axis:i 3:num_axes:i
Flatten 1:axis:i 2:end_axis:i
Reduction 1:operation:+SUM|ASUM|SUMSQ|MEAN 2:axis:i 3:coeff:f
Embed 1:num_output:i 2:input_dim:i 3:bias_term:b 4:weight_filler:Filler 5:bias_filler:Filler
Tile 1:axis:i 2:tiles:i
BatchNorm 1:use_global_stats:b 2:moving_average_fraction:- 3:eps:f 7:scale_bias:-
ELU 1:alpha:f
Bias 1:axis:i 2:num_axes:i 3:filler:Filler
Scale 1:axis:i 2:num_axes:i 3:filler:Filler 4:bias_term:b 5:bias_filler:Filler
Input 1:shape:Shape
Crop 1:axis:i 2:offset:i
Parameter 1:shape:Shape
Swish 1:beta:f
Clip 1:min:f 2:max:f
Permute 1:order:i
Norm 1:across_spatial:b 2:scale_filler:Filler 3:channel_shared:b 4:eps:f
`

// schemaField says what a field is called and how its value is read.
type schemaField struct {
	name, kind string
	words      []string
	from       uint64
}

var schema = parseSchema(schemaText)

func parseSchema(text string) map[string]map[protowire.Number]schemaField {
	out := map[string]map[protowire.Number]schemaField{}
	for line := range strings.Lines(text) {
		words := strings.Fields(line)
		if len(words) == 0 {
			continue
		}
		fields := map[protowire.Number]schemaField{}
		for _, w := range words[1:] {
			part := strings.SplitN(w, ":", 3)
			num, _ := strconv.Atoi(part[0])
			f := schemaField{name: part[1], kind: part[2]}
			if strings.Contains(f.kind, "|") {
				plain, plus := strings.CutPrefix(f.kind, "+")
				f.kind, f.words = "e", strings.Split(plain, "|")
				if plus {
					f.from = 1
				}
			}
			fields[protowire.Number(num)] = f
		}
		out[words[0]] = fields
	}
	return out
}

// parseBinary reads the description out of the binary form, without its weights.
func parseBinary(file string, data []byte) (*message, error) {
	d := &decoder{doc: &document{file: file}}
	m, err := d.message("Net", data, 0)
	if err != nil {
		return nil, damaged(file, err)
	}
	return m, nil
}

type decoder struct {
	doc     *document
	entries int
}

func (d *decoder) message(kind string, data []byte, depth int) (*message, error) {
	m := &message{doc: d.doc}
	if depth > maxNesting {
		return nil, stoa.Errorf(stoa.Invalid, "%s: messages are nested deeper than %d", d.doc.file, maxNesting)
	}
	err := eachField(data, func(num protowire.Number, typ protowire.Type, val []byte) error {
		f, ok := schema[kind][num]
		switch {
		case f.kind == "-":
			return nil
		case !ok:
			return d.add(m, &entry{name: "field " + strconv.Itoa(int(num)) + " of " + kind})
		case typ == protowire.BytesType && schema[f.kind] != nil:
			sub, err := d.message(f.kind, val, depth+1)
			if err != nil {
				return err
			}
			return d.add(m, &entry{name: f.name, sub: sub})
		case typ == protowire.BytesType && f.kind == "s":
			return d.add(m, &entry{name: f.name, text: string(val)})
		case typ == protowire.BytesType: // a packed list
			return d.packed(m, f, val)
		}
		return d.scalar(m, f, typ, val)
	})
	return m, err
}

func (d *decoder) add(m *message, e *entry) error {
	if d.entries++; d.entries > maxEntries {
		return stoa.Errorf(stoa.TooLarge, "%s: over %d fields", d.doc.file, maxEntries)
	}
	m.fields = append(m.fields, e)
	return nil
}

// packed reads numbers without tags between them.
func (d *decoder) packed(m *message, f schemaField, val []byte) error {
	typ := protowire.VarintType
	if f.kind == "f" {
		typ = protowire.Fixed32Type
	}
	for len(val) > 0 {
		n := protowire.ConsumeFieldValue(1, typ, val)
		if n < 0 {
			return protowire.ParseError(n)
		}
		if err := d.scalar(m, f, typ, val[:n]); err != nil {
			return err
		}
		val = val[n:]
	}
	return nil
}

func (d *decoder) scalar(m *message, f schemaField, typ protowire.Type, val []byte) error {
	e := &entry{name: f.name}
	switch typ {
	case protowire.Fixed32Type:
		v, _ := protowire.ConsumeFixed32(val)
		e.text = strconv.FormatFloat(float64(math.Float32frombits(v)), 'g', -1, 32)
	case protowire.VarintType:
		v, _ := protowire.ConsumeVarint(val)
		e.text = strconv.FormatInt(int64(v), 10)
		switch {
		case f.kind == "v1":
			e.text = v1Types[v]
		case f.kind == "e" && v-f.from < uint64(len(f.words)):
			e.text = f.words[v-f.from]
		}
	case protowire.Fixed64Type, protowire.BytesType, protowire.StartGroupType, protowire.EndGroupType:
		return stoa.Errorf(stoa.Invalid, "%s: the field %s is of the wrong kind", d.doc.file, f.name)
	}
	return d.add(m, e)
}
