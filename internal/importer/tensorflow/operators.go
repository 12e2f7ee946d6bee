package tensorflow

import (
	"maps"

	"github.com/stoa-project/stoa/internal/onnx"
	"github.com/stoa-project/stoa/internal/tensor"
)

// operators gives what is mapped, by TensorFlow's name.
func operators() map[string]operator {
	out := map[string]operator{}
	for _, part := range []map[string]operator{
		flowOperators(), mathOperators(), matrixOperators(), convOperators(), poolOperators(), imageOperators(), shapeOperators(), sliceOperators(), reduceOperators(), recurrentOperators(), moreOperators(),
	} {
		maps.Copy(out, part)
	}
	return out
}

// refusals say what to do about operators that are refused.
var refusals = map[string]string{
	"ParseExample": cutAdvice, "ParseExampleV2": cutAdvice, "ParseSingleExample": cutAdvice, "DecodeJpeg": cutAdvice, "DecodePng": cutAdvice, "DecodeImage": cutAdvice,
	"DecodeRaw": cutAdvice, "DecodeBase64": cutAdvice, "HashTableV2": tableAdvice, "LookupTableFindV2": tableAdvice, "LookupTableFind": tableAdvice, "HashTable": tableAdvice,
	"MutableHashTableV2": tableAdvice, "StringToHashBucketFast": textAdvice, "StringSplit": textAdvice, "StringSplitV2": textAdvice, "StringJoin": textAdvice,
	"StaticRegexReplace": textAdvice, "StringLower": textAdvice, "AsString": textAdvice, "RegexReplace": textAdvice,
	"PyFunc": pyAdvice, "PyFuncStateless": pyAdvice, "EagerPyFunc": pyAdvice,
	"CudnnRNN": cudnnAdvice, "CudnnRNNV2": cudnnAdvice, "CudnnRNNV3": cudnnAdvice,
}

const (
	cutAdvice   = "it reads files or records: cut the network behind it, at the tensor of numbers that it makes (model.In in stoa.yaml, --input NAME on the command line)"
	tableAdvice = "it looks words up in a table: cut the network behind it (model.In in stoa.yaml, --input NAME on the command line), or end the network before it (model.outputs, --output NAME)"
	textAdvice  = "it works on text: cut the network behind it (model.In in stoa.yaml, --input NAME on the command line)"
	pyAdvice    = "it calls Python code, which is not in the file"
	cudnnAdvice = "it runs on Nvidia's devices only: export the network with layers that do not use cuDNN"
)

// flowOperators pass on what they are given, or bring something into being.
func flowOperators() map[string]operator {
	out := map[string]operator{
		"Const": constantOperator, "VariableV2": variableOperator, "Variable": variableOperator, "VarHandleOp": variableOperator,
		"ReadVariableOp": readVariable, "ResourceGather": gatherVariable, "IdentityN": func(k *call) ([]value, error) { return k.in, nil },
		"Placeholder": unboundInput, "PlaceholderV2": unboundInput, "IteratorGetNext": unboundInput,
		"PartitionedCall": callPartitioned, "StatefulPartitionedCall": callPartitioned,
		"If": branchIf, "StatelessIf": branchIf, "Case": branchCase, "StatelessCase": branchCase, "While": while, "StatelessWhile": while,
		"Switch": passSwitch, "RefSwitch": passSwitch, "_SwitchN": passSwitch, "Merge": merge, "RefMerge": merge,
		"Exit": leave, "RefExit": leave, "LoopCond": same,

		"TensorListReserve": tensorListReserve, "EmptyTensorList": emptyTensorList, "TensorListFromTensor": tensorListFromTensor,
		"TensorListSetItem": tensorListSetItem, "TensorListGetItem": tensorListGetItem, "TensorListPushBack": tensorListPushBack,
		"TensorListStack": tensorListStack, "TensorListGather": tensorListGather, "TensorListLength": tensorListLength,
		"TensorListConcatV2": listConcat(0),
		"TensorArrayV3":      tensorArray, "TensorArrayWriteV3": tensorArrayWrite, "TensorArrayReadV3": tensorArrayRead, "TensorArrayGatherV3": tensorArrayGather,
		"TensorArrayScatterV3": tensorArrayScatter, "TensorArraySizeV3": tensorArraySize, "TensorArrayConcatV3": listConcat(1),
	}
	for _, op := range []string{
		"Identity", "StopGradient", "PreventGradient", "CheckNumerics", "Snapshot", "EnsureShape", "PlaceholderWithDefault", "Print",
		"Enter", "RefEnter", "NextIteration", "RefNextIteration",
		"Dropout", // a function that graphs name, and some do not have
	} {
		out[op] = same
	}
	return out
}

// same gives what it takes.
func same(k *call) ([]value, error) {
	if len(k.in) == 0 {
		return nil, k.invalid("it has no input")
	}
	return k.in[:1], nil
}

// unboundInput is an input that nothing feeds, such as one that belongs to
// another signature.
func unboundInput(k *call) ([]value, error) {
	return nil, k.unsupportedf("the outputs depend on it, and it is none of the inputs")
}

func constantOperator(k *call) ([]value, error) {
	a := k.Attrs["value"]
	if a == nil || a.Tensor == nil {
		return nil, k.invalid("it has no value")
	}
	if name, ok := k.constants[a.Tensor]; ok {
		return one(name), nil
	}
	if a.Tensor.Type.DType() == tensor.String || a.Tensor.Type.DType() == tensor.Undefined {
		return []value{{}}, nil // text, such as a message; who needs it refuses it
	}
	t, err := a.Tensor.Array(k.budget)
	if err != nil {
		return nil, k.invalid("%s", err)
	}
	if size := int64(len(t.Data)); size > maxView {
		k.budget -= size
	}
	name := k.root.Constant(k.Name, t)
	k.constants[a.Tensor] = name
	return one(name), nil
}

// maxView bounds the constants that are not counted against the memory that a
// file may ask for.
const maxView = 1 << 10

// variableOperator gives a variable as what it was saved with: in TensorFlow 1
// the tensor, later a handle by which it is read.
func variableOperator(k *call) ([]value, error) {
	if k.model.Vars == nil {
		return nil, k.unsupportedf("it is a variable, and its value is not in the file: freeze the graph, or add the checkpoint's .index and .data files, or export the network as a SavedModel")
	}
	key, ok := k.model.Vars.Key(k.Name, k.Text("shared_name", ""))
	if !ok {
		return nil, k.unsupportedf("the variables that were saved do not have it")
	}
	t, err := k.model.Vars.Value(key)
	if err != nil {
		return nil, err
	}
	return one(k.root.Constant(k.Name, t)), nil
}

func readVariable(k *call) ([]value, error) { return same(k) }

func gatherVariable(k *call) ([]value, error) {
	if err := k.need(2); err != nil {
		return nil, err
	}
	if k.Int("batch_dims", 0) != 0 {
		return nil, k.unsupportedf("batch_dims are not supported")
	}
	return one(k.last("Gather", []string{k.x(0), k.x(1)})), nil
}

// tensorOp makes an operator of one result of a function that needs so many
// inputs.
func tensorOp(inputs int, f func(k *call) (string, error)) operator {
	return func(k *call) ([]value, error) {
		if err := k.need(inputs); err != nil {
			return nil, err
		}
		y, err := f(k)
		return one(y), err
	}
}

// direct is an operator that ONNX has too, with the first inputs and attributes
// that are always the same.
func direct(op string, inputs int, attrs ...onnx.Attribute) operator {
	return tensorOp(inputs, func(k *call) (string, error) {
		in := make([]string, inputs)
		for i := range in {
			in[i] = k.x(i)
		}
		return k.last(op, in, attrs...), nil
	})
}
