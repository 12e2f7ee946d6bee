package caffe

// layerType says how many bottoms a layer must have, and how it is made.
type layerType struct {
	bottoms int
	make    func(c *converter, l *layer) error
}

// layerTypes are the types of layers that become operators.
var layerTypes = map[string]layerType{
	"Convolution":          {1, (*converter).convolution},
	"ConvolutionDepthwise": {1, (*converter).depthwise},
	"DepthwiseConvolution": {1, (*converter).depthwise},
	"Deconvolution":        {1, (*converter).deconvolution},
	"InnerProduct":         {1, (*converter).innerProduct},
	"Embed":                {1, (*converter).embed},
	"Pooling":              {1, (*converter).pooling},
	"LRN":                  {1, (*converter).lrn},
	"BatchNorm":            {1, (*converter).batchNorm},
	"BN":                   {1, (*converter).bn},
	"MVN":                  {1, (*converter).mvn},
	"Normalize":            {1, (*converter).normalize},
	"Scale":                {1, (*converter).scale},
	"Bias":                 {1, (*converter).bias},
	"Axpy":                 {3, (*converter).axpy},
	"Eltwise":              {1, (*converter).eltwise},
	"ReLU":                 {1, (*converter).relu},
	"ReLU6":                {1, (*converter).relu6},
	"PReLU":                {1, (*converter).prelu},
	"ELU":                  {1, (*converter).elu},
	"Clip":                 {1, (*converter).clip},
	"Swish":                {1, (*converter).swish},
	"Power":                {1, (*converter).power},
	"Exp":                  {1, (*converter).exp},
	"Log":                  {1, (*converter).log},
	"Threshold":            {1, (*converter).threshold},
	"AbsVal":               {1, simple("Abs")},
	"BNLL":                 {1, simple("Softplus")},
	"Sigmoid":              {1, simple("Sigmoid")},
	"TanH":                 {1, simple("Tanh")},
	"Softmax":              {1, (*converter).softmax},
	"ArgMax":               {1, (*converter).argMax},
	"Reduction":            {1, (*converter).reduction},
	"Dropout":              {1, (*converter).dropout},
	"Split":                {1, (*converter).split},
	"Concat":               {1, (*converter).concat},
	"Slice":                {1, (*converter).slice},
	"Flatten":              {1, (*converter).flatten},
	"Reshape":              {1, (*converter).reshape},
	"Permute":              {1, (*converter).permute},
	"ShuffleChannel":       {1, (*converter).shuffleChannel},
	"Tile":                 {1, (*converter).tile},
	"Crop":                 {2, (*converter).crop},
	"Interp":               {1, (*converter).interp},
	"Parameter":            {0, (*converter).parameter},
	"DummyData":            {0, (*converter).dummyData},
}

// simple makes a layer that is one operator without settings.
func simple(op string) func(*converter, *layer) error {
	return func(c *converter, l *layer) error {
		x := c.in(l, 0)
		c.set(l, 0, c.op(l, op, []string{x.name}), x.shape)
		return nil
	}
}
