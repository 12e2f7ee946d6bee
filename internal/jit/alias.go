// Package jit follows the code of a network in TorchScript and makes a graph of
// what it does with tensors. Numbers, lists, texts and objects are computed, loops
// are unrolled and branches taken, so that nothing but tensors is left; what
// operators of tensors become is for others to say. Sizes that are free are
// followed as several numbers at once: what is the same for all of them does not
// depend on the size. It begins with nothing known of the inputs, learns from what
// the code asks of them, and fixes a size only where the code does not run for
// several. Whatever the code is, it comes to an end.
package jit

// aliases are operators under another name. Torch itself writes the plain names
// of most; older and newer versions do not write the same.
var aliases = map[string]string{
	"absolute": "abs", "negative": "neg", "sgn": "sign", "fix": "trunc", "clip": "clamp", "subtract": "sub", "multiply": "mul", "divide": "div",
	"true_divide": "div", "fmax": "maximum", "fmin": "minimum", "greater": "gt", "greater_equal": "ge", "less": "lt", "less_equal": "le",
	"not_equal": "ne", "arccos": "acos", "arccosh": "acosh", "arcsin": "asin", "arcsinh": "asinh", "arctan": "atan", "arctanh": "atanh",
	"arctan2": "atan2", "special_expit": "sigmoid", "special_erf": "erf", "special_erfc": "erfc", "special_exp2": "exp2", "special_expm1": "expm1",
	"special_log1p": "log1p", "special_round": "round", "special_logit": "logit", "special_logsumexp": "logsumexp", "special_softmax": "softmax",
	"special_log_softmax": "log_softmax", "special_xlogy": "xlogy", "special_sinc": "sinc",
	"concat": "cat", "concatenate": "cat", "row_stack": "vstack", "moveaxis": "movedim", "swapaxes": "transpose", "swapdims": "transpose",
	"linalg_matmul": "matmul", "__matmul__": "matmul", "mm": "matmul", "bmm": "matmul", "mv": "matmul", "dot": "matmul", "inner": "matmul", "vdot": "matmul",
	"baddbmm": "addmm", "addmv": "addmm", "ger": "outer",
	"grid_sampler_2d": "grid_sampler", "native_channel_shuffle": "channel_shuffle", "convolution": "_convolution", "_adaptive_avg_pool2d": "adaptive_avg_pool2d",
	"_adaptive_avg_pool3d": "adaptive_avg_pool3d",
	"_unsafe_view":         "reshape", "_reshape_alias": "reshape", "reshape_as": "view_as", "ravel": "flatten",
	"unsafe_chunk": "chunk", "unsafe_split": "split", "split_with_sizes": "split", "unsafe_split_with_sizes": "split",
	"lift_fresh_copy": "clone", "lift_fresh": "detach", "alias": "detach", "requires_grad": "detach", "cuda": "detach", "cpu": "detach", "contiguous": "detach",
	"numpy_T": "t", "feature_dropout": "dropout", "alpha_dropout": "dropout", "feature_alpha_dropout": "dropout", "native_dropout": "dropout",
	"as_tensor": "tensor", "linalg_norm": "norm", "linalg_vector_norm": "norm",
}
