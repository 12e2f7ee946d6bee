package keras

import "maps"

// maskRule says what becomes of the mask that came with a layer's input.
type maskRule uint8

const (
	gone   maskRule = iota // it ends here, or the layer gives its own
	passed                 // it belongs to the output too
)

// kind is a class of layers that is mapped.
type kind struct {
	fields   string // the settings that are read, beside those that harm nothing
	kwargs   string // arguments of a call that are read
	slots    func(*layer) []string
	masks    maskRule
	training bool // it would do something else in training
	// anySetting: its settings do not matter outside training.
	anySetting bool
	run        runner
}

const (
	convFields = "filters nb_filter kernel_size filter_length nb_row nb_col kernel_dim1 kernel_dim2 kernel_dim3 strides subsample subsample_length " +
		"padding border_mode data_format dim_ordering dilation_rate atrous_rate groups activation use_bias bias"
	poolFields = "pool_size pool_length strides stride padding border_mode data_format dim_ordering"
	normFields = "axis epsilon center scale momentum gamma_init beta_init renorm_momentum"
)

// allKinds gives all that is mapped, by class.
func allKinds() map[string]*kind {
	out := map[string]*kind{}
	for _, part := range []map[string]*kind{coreKinds(), convKinds(), poolKinds(), shapeKinds(), normKinds(), mergeKinds(), recurrentKinds(), opKinds()} {
		maps.Copy(out, part)
	}
	maps.Copy(out, tfKinds(out))
	return out
}

func coreKinds() map[string]*kind {
	out := map[string]*kind{
		"InputLayer":      {fields: "", run: unary(identity)},
		"Dense":           {fields: "units output_dim activation use_bias bias", slots: kernelAndBias, masks: passed, run: numeric(dense)},
		"Activation":      {fields: "activation", masks: passed, run: numeric(activationLayer)},
		"ReLU":            {fields: "max_value negative_slope threshold", masks: passed, run: numeric(relu)},
		"LeakyReLU":       {fields: "alpha negative_slope", masks: passed, run: numeric(leakyReLU)},
		"PReLU":           {fields: "shared_axes", slots: func(*layer) []string { return []string{"alpha"} }, masks: passed, run: numeric(prelu)},
		"ELU":             {fields: "alpha", masks: passed, run: numeric(elu)},
		"ThresholdedReLU": {fields: "theta", masks: passed, run: numeric(thresholdedReLU)},
		"Softmax":         {fields: "axis", kwargs: "mask", masks: passed, run: softmaxLayer},
		"Embedding":       {fields: "output_dim mask_zero dropout", slots: embeddingSlots, run: embedding},
		"Masking":         {fields: "mask_value", run: masking},
		"Identity":        {masks: passed, run: unary(identity)},
		"MaxoutDense":     {fields: "output_dim nb_feature bias", slots: kernelAndBias, run: numeric(maxout)},
		"Highway":         {fields: "activation bias transform_bias", slots: highwaySlots, run: numeric(highway)},
		"EinsumDense":     {fields: "equation output_shape activation bias_axes", slots: einsumSlots, run: numeric(einsumDense)},
	}
	for _, name := range randomLayers {
		out[name] = &kind{masks: passed, training: true, anySetting: true, run: unary(dropped)}
	}
	for _, name := range []string{
		"Dropout", "SpatialDropout1D", "SpatialDropout2D", "SpatialDropout3D", "GaussianDropout", "GaussianNoise", "AlphaDropout", "ActivityRegularization",
	} {
		out[name] = &kind{fields: "rate p noise_shape stddev sigma l1 l2 data_format dim_ordering", masks: passed, training: true, run: unary(dropped)}
	}
	return out
}

// randomLayers change pictures in training only. RandomCrop is none of them: it
// cuts pictures at all times.
var randomLayers = []string{
	"RandomFlip", "RandomRotation", "RandomZoom", "RandomTranslation", "RandomContrast", "RandomBrightness", "RandomHeight", "RandomWidth", "RandomShear", "RandomHue",
	"RandomSaturation", "RandomSharpness", "RandomColorJitter", "RandomColorDegeneration", "RandomGrayscale", "RandomPosterization", "RandomPerspective", "RandomErasing",
	"RandomGaussianBlur", "RandomInvert", "RandomElasticTransform", "RandAugment", "AugMix", "CutMix", "MixUp",
}

func convKinds() map[string]*kind {
	out := map[string]*kind{}
	add := func(k kind, names ...string) {
		for _, n := range names {
			out[n] = &k
		}
	}
	add(kind{fields: convFields, slots: kernelAndBias, run: conv(1)}, "Conv1D", "Convolution1D", "AtrousConvolution1D")
	add(kind{fields: convFields, slots: kernelAndBias, run: conv(2)}, "Conv2D", "Convolution2D", "AtrousConvolution2D")
	add(kind{fields: convFields, slots: kernelAndBias, run: conv(3)}, "Conv3D", "Convolution3D")
	deep := convFields + " depth_multiplier"
	add(kind{fields: deep, slots: kernelAndBias, run: depthwise(1)}, "DepthwiseConv1D")
	add(kind{fields: deep, slots: kernelAndBias, run: depthwise(2)}, "DepthwiseConv2D")
	add(kind{fields: deep, slots: separableSlots, run: separable(1)}, "SeparableConv1D")
	add(kind{fields: deep, slots: separableSlots, run: separable(2)}, "SeparableConv2D")
	back := convFields + " output_padding output_shape"
	add(kind{fields: back, slots: kernelAndBias, run: transposed(1)}, "Conv1DTranspose")
	add(kind{fields: back, slots: kernelAndBias, run: transposed(2)}, "Conv2DTranspose", "Deconvolution2D")
	add(kind{fields: back, slots: kernelAndBias, run: transposed(3)}, "Conv3DTranspose")
	return out
}

func poolKinds() map[string]*kind {
	out := map[string]*kind{}
	for i, d := range []string{"1D", "2D", "3D"} {
		n := i + 1
		out["MaxPooling"+d] = &kind{fields: poolFields, run: pool("MaxPool", n)}
		out["AveragePooling"+d] = &kind{fields: poolFields, run: pool("AveragePool", n)}
		out["GlobalMaxPooling"+d] = &kind{fields: "data_format dim_ordering keepdims", run: globalPool("ReduceMax")}
		out["GlobalAveragePooling"+d] = &kind{fields: "data_format dim_ordering keepdims", run: globalPool("ReduceMean")}
		out["AdaptiveMaxPooling"+d] = &kind{fields: "output_size data_format", run: adaptivePool("ReduceMax", n)}
		out["AdaptiveAveragePooling"+d] = &kind{fields: "output_size data_format", run: adaptivePool("ReduceMean", n)}
	}
	return out
}

func shapeKinds() map[string]*kind {
	out := map[string]*kind{
		"Flatten":      {fields: "data_format", run: unary(flatten)},
		"Reshape":      {fields: "target_shape dims", run: unary(reshape)},
		"Permute":      {fields: "dims", run: unary(permute)},
		"RepeatVector": {fields: "n", run: unary(repeatVector)},
		"Resizing":     {fields: "height width interpolation data_format fill_mode fill_value antialias", run: numeric(resizing)},
		"CenterCrop":   {fields: "height width data_format", run: numeric(centerCrop)},
	}
	for i, d := range []string{"1D", "2D", "3D"} {
		n := i + 1
		out["ZeroPadding"+d] = &kind{fields: "padding data_format dim_ordering", run: zeroPadding(n)}
		out["Cropping"+d] = &kind{fields: "cropping data_format dim_ordering", run: cropping(n)}
		out["UpSampling"+d] = &kind{fields: "size length interpolation data_format dim_ordering", run: upSampling(n)}
	}
	return out
}

func normKinds() map[string]*kind {
	return map[string]*kind{
		"BatchNormalization": {fields: normFields + " mode", slots: batchNormSlots, masks: passed, training: true, run: numeric(batchNorm)},
		"LayerNormalization": {fields: normFields + " rms_scaling", slots: layerNormSlots, masks: passed, run: numeric(layerNorm)},
		"RMSNormalization":   {fields: "axis epsilon", slots: func(*layer) []string { return []string{"scale"} }, run: numeric(rmsNorm)},
		"GroupNormalization": {fields: normFields + " groups", slots: scaleAndCenter, masks: passed, run: numeric(groupNorm)},
		"UnitNormalization":  {fields: "axis", masks: passed, run: numeric(unitNorm)},
		"Normalization":      {fields: "axis mean variance invert", slots: normalizationSlots, masks: passed, run: numeric(normalization)},
		"Rescaling":          {fields: "scale offset", masks: passed, run: numeric(rescaling)},
	}
}

func mergeKinds() map[string]*kind {
	return map[string]*kind{
		"Add":         {run: elementwise("Add")},
		"Subtract":    {run: subtract},
		"Multiply":    {run: elementwise("Mul")},
		"Average":     {run: average},
		"Maximum":     {run: elementwise("Max")},
		"Minimum":     {run: elementwise("Min")},
		"Concatenate": {fields: "axis", run: concatenate},
		"Dot":         {fields: "axes normalize", run: dot},
		"Merge":       {fields: "mode concat_axis dot_axes layers mode_type output_mode_type output_shape_type output_mask_type arguments", run: oldMerge},
	}
}

func recurrentKinds() map[string]*kind {
	heads := "num_heads num_query_heads num_key_value_heads head_dim key_dim value_dim dropout use_bias output_shape attention_axes flash_attention query_shape key_shape value_shape"
	masks := "query value key query_mask value_mask key_mask attention_mask use_causal_mask return_attention_scores"
	out := map[string]*kind{
		"RNN":                   {fields: recurrentFields, kwargs: "initial_state mask", run: cells},
		"StackedRNNCells":       {fields: recurrentFields, run: onlyWithin},
		"Bidirectional":         {fields: "layer backward_layer merge_mode", kwargs: "initial_state mask", run: bidirectional},
		"TimeDistributed":       {fields: "layer", run: timeDistributed},
		"SpectralNormalization": {fields: "layer power_iterations", slots: func(*layer) []string { return []string{"~vector_u"} }, run: wrapped},
		"Attention":             {fields: "use_scale score_mode dropout causal", kwargs: "mask use_causal_mask return_attention_scores", slots: attentionSlots, run: attention},
		"AdditiveAttention":     {fields: "use_scale dropout causal score_mode", kwargs: "mask use_causal_mask return_attention_scores", slots: attentionSlots, run: attention},
		"MultiHeadAttention":    {fields: heads, kwargs: masks, slots: multiHeadSlots, run: multiHead},
		"GroupQueryAttention":   {fields: heads, kwargs: masks, slots: multiHeadSlots, run: multiHead},
	}
	for _, n := range []string{"SimpleRNN", "LSTM", "GRU"} {
		out[n] = &kind{fields: recurrentFields, kwargs: "initial_state mask", slots: recurrentSlots, run: recurrentLayer}
		out[n+"Cell"] = &kind{fields: recurrentFields, slots: recurrentSlots, run: onlyWithin}
	}
	return out
}
