package torch7

// moduleType makes the nodes of a module.
type moduleType func(c *converter, m module, in value) (value, error)

// allModules gives the classes that become operators, without their package.
func allModules() map[string]moduleType {
	return map[string]moduleType{
		"Sequential": sequential, "SpatialLPPooling": sequential, "Inception": sequential, "Decorator": sequential, "DataParallelTable": dataParallel,
		"Concat": concat, "DepthConcat": depthConcat, "Parallel": parallel,
		"ConcatTable": concatTable, "ParallelTable": parallelTable, "MapTable": mapTable, "gModule": graph,
		"CAddTable": fold("Add"), "CSubTable": fold("Sub"), "CMulTable": fold("Mul"), "CDivTable": fold("Div"), "CMaxTable": fold("Max"), "CMinTable": fold("Min"),
		"JoinTable": joinTable, "SplitTable": splitTable, "SelectTable": selectTable, "NarrowTable": narrowTable, "FlattenTable": flattenTable,
		"Identity": identity, "Copy": identity, "Contiguous": identity, "GradientReversal": identity, "L1Penalty": identity, "WhiteNoise": identity,
		"Dropout": dropout(true), "SpatialDropout": dropout(false), "VolumetricDropout": dropout(false),

		"SpatialConvolution": unary((*converter).convolution), "SpatialConvolutionMM": unary((*converter).convolution),
		"SpatialDilatedConvolution": unary((*converter).convolution), "SpatialConvolutionMap": unary((*converter).convolutionMap),
		"SpatialFullConvolution": unary((*converter).fullConvolution), "TemporalConvolution": unary((*converter).temporalConvolution),
		"SpatialMaxPooling": unary((*converter).maxPooling), "SpatialAveragePooling": unary((*converter).averagePooling),
		"SpatialAdaptiveMaxPooling": unary((*converter).adaptive), "SpatialAdaptiveAveragePooling": unary((*converter).adaptive),
		"SpatialBatchNormalization": unary((*converter).batchNorm), "BatchNormalization": unary((*converter).batchNorm),
		"VolumetricBatchNormalization": unary((*converter).batchNorm), "InstanceNormalization": unary((*converter).instanceNorm),
		"SpatialCrossMapLRN": unary((*converter).lrn), "CrossMapLRN": unary((*converter).lrn), "SpatialCrossResponseNormalization": unary((*converter).lrn),
		"SpatialZeroPadding": unary((*converter).zeroPadding), "SpatialReflectionPadding": unary((*converter).zeroPadding),
		"SpatialReplicationPadding": unary((*converter).zeroPadding), "Padding": unary((*converter).padding),
		"SpatialUpSamplingNearest": unary((*converter).upsampling), "SpatialUpSamplingBilinear": unary((*converter).upsampling),
		"PixelShuffle": unary((*converter).pixelShuffle),

		"Linear": unary((*converter).linear), "LookupTable": unary((*converter).lookup),
		"ReLU": unary((*converter).threshold), "Threshold": unary((*converter).threshold), "PReLU": unary((*converter).prelu),
		"ReLU6": unary(func(c *converter, m module, x string) (string, error) { return c.clip(m, x, 0, 6), nil }),
		"HardTanh": unary(func(c *converter, m module, x string) (string, error) {
			return c.clip(m, x, m.num("min_val", -1), m.num("max_val", 1)), nil
		}),
		"Clamp": unary(func(c *converter, m module, x string) (string, error) {
			return c.clip(m, x, m.num("min_val", -1), m.num("max_val", 1)), nil
		}),
		"LeakyReLU": sloped("LeakyRelu", func(m module) float64 { return m.num("negval", 0.01) }),
		"RReLU":     sloped("LeakyRelu", func(m module) float64 { return (m.num("lower", 1.0/8) + m.num("upper", 1.0/3)) / 2 }),
		"ELU":       sloped("Elu", func(m module) float64 { return m.num("alpha", 1) }),
		"SoftPlus":  unary((*converter).softPlus), "LogSigmoid": unary((*converter).logSigmoid),
		"Sigmoid": op("Sigmoid"), "Tanh": op("Tanh"), "SoftSign": op("Softsign"), "Abs": op("Abs"), "Exp": op("Exp"), "Log": op("Log"), "SELU": op("Selu"),
		"Sqrt": op("Sqrt"), "Square": unary(func(c *converter, m module, x string) (string, error) { return c.op2(m, "Mul", x, x), nil }),
		"Power": scalar("Pow", "pow", 1), "MulConstant": scalar("Mul", "constant_scalar", 1), "AddConstant": scalar("Add", "constant_scalar", 0),
		"Mul": learned("Mul", "weight"), "CMul": learned("Mul", "weight"), "Add": learned("Add", "bias"), "CAdd": learned("Add", "bias"),
		"SoftMax": softmax("Softmax"), "LogSoftMax": softmax("LogSoftmax"), "SpatialSoftMax": softmax("Softmax"),
		"SpatialLogSoftMax": softmax("LogSoftmax"), "SoftMin": softmax("Softmin"), "Normalize": unary((*converter).normalize),
		"Sum": reduce("ReduceSum"), "Mean": reduce("ReduceMean"), "Max": reduce("ReduceMax"), "Min": reduce("ReduceMin"),

		"View": unary((*converter).view), "Reshape": unary((*converter).reshape), "Squeeze": unary((*converter).squeeze), "Unsqueeze": unary((*converter).unsqueeze),
		"Transpose": unary((*converter).transpose), "Select": unary((*converter).sel), "Narrow": unary((*converter).narrow),
	}
}
