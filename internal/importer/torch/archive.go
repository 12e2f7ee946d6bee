package torch

import (
	"fmt"
	"slices"
	"strings"

	"github.com/stoa-project/stoa/internal/jit"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/format/pickle"
	"github.com/stoa-project/stoa/internal/format/torchscript"
	"github.com/stoa-project/stoa/internal/format/zip"
	"github.com/stoa-project/stoa/internal/tensor"
)

// archive is a file that torch.save or torch.jit.save wrote as a zip.
type archive struct {
	file   string
	size   int64
	zip    *zip.Archive
	root   string // the folder that all entries lie in, with its slash
	budget int64  // bytes that weights which are no views may still take

	code map[string]*torchscript.File // by path; nil: there is none
	made map[*jit.Weight]tensor.Tensor
}

// openArchive recognises an archive of PyTorch by its entries.
func openArchive(file string, data []byte) (*archive, bool, error) {
	if !zip.Is(data) {
		return nil, false, nil
	}
	z, err := zip.Open(data)
	if err != nil {
		return nil, false, err
	}
	for _, f := range z.Files {
		for _, mark := range []string{"data.pkl", "archive_format", "serialized_exported_program.json", "model.json"} {
			root, ok := strings.CutSuffix(f.Name, mark)
			if !ok || root != "" && strings.Count(root, "/") != 1 {
				continue
			}
			if mark == "model.json" && z.Find(root+"version") == nil {
				continue // a zip with some other model.json
			}
			return &archive{
				file: file, size: int64(len(data)), zip: z, root: root, budget: 8*int64(len(data)) + 1<<20,
				code: map[string]*torchscript.File{}, made: map[*jit.Weight]tensor.Tensor{},
			}, true, nil
		}
	}
	return nil, false, nil
}

func (a *archive) has(name string) bool { return a.zip.Find(a.root+name) != nil }

// hasCode tells whether it is TorchScript.
func (a *archive) hasCode() bool {
	return slices.ContainsFunc(a.zip.Files, func(f *zip.File) bool {
		return strings.HasPrefix(f.Name, a.root+"code/") && strings.HasSuffix(f.Name, ".py")
	})
}

func (a *archive) entry(name string) ([]byte, error) {
	f := a.zip.Find(a.root + name)
	if f == nil {
		return nil, stoa.Errorf(stoa.Invalid, "%s: the archive has no %s", a.file, name)
	}
	data, err := f.Data()
	if err != nil {
		return nil, stoa.Wrap(stoa.KindOf(err), err, "%s: %s", a.file, stoa.AsError(err).Msg)
	}
	return data, nil
}

// Code gives the parsed code of a namespace such as "__torch__.torch.nn"; nil
// where the archive has none.
func (a *archive) Code(namespace string) (*torchscript.File, error) {
	path := "code/" + strings.ReplaceAll(namespace, ".", "/") + ".py"
	if f, ok := a.code[path]; ok {
		return f, nil
	}
	var f *torchscript.File
	if a.has(path) {
		text, err := a.entry(path)
		if err != nil {
			return nil, err
		}
		if f, err = torchscript.Parse(path, text); err != nil {
			return nil, stoa.Wrap(stoa.KindOf(err), err, "%s: %s", a.file, stoa.AsError(err).Msg)
		}
	}
	a.code[path] = f
	return f, nil
}

// part is where in a storage a tensor lies.
type part struct {
	storage *storage
	offset  int64
	stride  []int64
}

// storage is a block of numbers. Its data is nil where it was not looked for.
type storage struct {
	dtype tensor.DType
	name  string // PyTorch's, such as FloatStorage
	key   string
	count int64
	data  []byte
}

var storageTypes = map[string]tensor.DType{
	"FloatStorage": tensor.Float32, "DoubleStorage": tensor.Float64, "HalfStorage": tensor.Float16, "BFloat16Storage": tensor.BFloat16,
	"LongStorage": tensor.Int64, "IntStorage": tensor.Int32, "ShortStorage": tensor.Int16, "CharStorage": tensor.Int8,
	"ByteStorage": tensor.Uint8, "BoolStorage": tensor.Bool,
}

// unpickle reads a pickle whose storages lie in a folder of the archive; folder
// "" leaves them where they are.
func (a *archive) unpickle(name, folder string) (any, error) {
	data, err := a.entry(name)
	if err != nil {
		return nil, err
	}
	v, _, err := pickle.Read(data, pickle.Options{Calls: calls(), Persistent: func(id any) (any, error) {
		s, err := storageOf(id)
		if err != nil || folder == "" {
			return s, err
		}
		if s.data, err = a.entry(folder + "/" + s.key); err != nil {
			return nil, err
		}
		return s, nil
	}})
	if err != nil {
		return nil, stoa.Wrap(stoa.KindOf(err), err, "%s: %s: %s", a.file, name, stoa.AsError(err).Msg)
	}
	return v, nil
}

// storageOf reads a persistent id: ("storage", class, key, device, count, …).
func storageOf(id any) (*storage, error) {
	t, _ := id.(pickle.Tuple)
	if len(t) < 5 {
		return nil, stoa.Errorf(stoa.Invalid, "a storage is described by %d values", len(t))
	}
	class, _ := t[1].(pickle.Name)
	key, _ := pickle.Text(t[2])
	count, ok := t[4].(int64)
	if !ok || count < 0 {
		return nil, stoa.Errorf(stoa.Invalid, "storage %.40q has no count", key)
	}
	return &storage{dtype: storageTypes[class.Name], name: class.Name, key: key, count: count}, nil
}

// calls are the functions that pickles of PyTorch call, by what they mean.
func calls() map[string]func(pickle.Tuple) (any, error) {
	first := func(args pickle.Tuple) (any, error) {
		if len(args) == 0 {
			return nil, stoa.Errorf(stoa.Invalid, "it is called with nothing")
		}
		return args[0], nil
	}
	out := map[string]func(pickle.Tuple) (any, error){
		"torch._utils._rebuild_tensor_v2": rebuildTensor,
		"torch._utils._rebuild_tensor":    rebuildTensor,
		"torch.device":                    first,
		"torch._utils._rebuild_qtensor": func(pickle.Tuple) (any, error) {
			return &jit.Weight{Why: "it is quantized"}, nil
		},
		"torch._utils._rebuild_sparse_tensor": func(pickle.Tuple) (any, error) {
			return &jit.Weight{Why: "it is sparse"}, nil
		},
	}
	for _, name := range []string{
		"torch._utils._rebuild_parameter", "torch.jit._pickle.build_intlist", "torch.jit._pickle.build_tensorlist",
		"torch.jit._pickle.build_doublelist", "torch.jit._pickle.build_boollist", "torch.jit._pickle.restore_type_tag",
	} {
		out[name] = first
	}
	return out
}

func rebuildTensor(args pickle.Tuple) (any, error) {
	if len(args) < 4 {
		return nil, stoa.Errorf(stoa.Invalid, "a tensor is described by %d values", len(args))
	}
	s, ok := args[0].(*storage)
	offset, ok2 := args[1].(int64)
	size, ok3 := wholes(args[2])
	stride, ok4 := wholes(args[3])
	if !ok || !ok2 || !ok3 || !ok4 || len(size) != len(stride) || offset < 0 || len(size) > 32 {
		return nil, stoa.Errorf(stoa.Invalid, "a tensor's storage, size or stride is none")
	}
	w := &jit.Weight{Dtype: s.dtype, Size: size, ID: fmt.Sprint(s.key, " ", offset, size, stride), Source: part{s, offset, stride}}
	if w.Dtype == tensor.Undefined {
		w.Why = fmt.Sprintf("it is of %.40s", s.name)
	}
	return w, nil
}

// wholes reads a tuple of whole numbers that are not below zero.
func wholes(v any) ([]int64, bool) {
	t, ok := v.(pickle.Tuple)
	out := make([]int64, len(t))
	for i, e := range t {
		n, isInt := e.(int64)
		if !isInt || n < 0 {
			return nil, false
		}
		out[i] = n
	}
	return out, ok
}

// Array gives a weight's numbers: a view where they lie in order, else a copy.
func (a *archive) Array(w *jit.Weight) (tensor.Tensor, error) {
	if t, ok := a.made[w]; ok {
		return t, nil
	}
	t, err := a.read(w)
	if err == nil {
		a.made[w] = t
	}
	return t, err
}

func (a *archive) read(w *jit.Weight) (tensor.Tensor, error) {
	if w.Why != "" {
		return tensor.Tensor{}, stoa.Errorf(stoa.Unsupported, "%s: a tensor cannot be used: %s", a.file, w.Why)
	}
	if a.has("byteorder") {
		if order, err := a.entry("byteorder"); err == nil && string(order) == "big" {
			return tensor.Tensor{}, stoa.Errorf(stoa.Unsupported, "%s: its numbers are big-endian: save it again on another machine", a.file)
		}
	}
	bytes, err := tensor.Bytes(w.Dtype, w.Size)
	if err != nil {
		return tensor.Tensor{}, err
	}
	each := w.Dtype.Size()
	v, ok := w.Source.(part)
	if !ok {
		return tensor.Tensor{}, stoa.Errorf(stoa.Internal, "%s: a tensor is no part of a storage", a.file)
	}
	last, contiguous, run := v.offset, true, int64(1)
	for i, n := range slices.Backward(w.Size) {
		if n > 1 {
			if v.stride[i] > 1<<48 || n > 1<<48 {
				return tensor.Tensor{}, stoa.Errorf(stoa.Invalid, "%s: a tensor has a stride of %d", a.file, v.stride[i])
			}
			contiguous = contiguous && v.stride[i] == run
			last += (n - 1) * v.stride[i]
			if last < 0 || last > 1<<50 {
				last = 1 << 50
			}
		}
		run *= n
	}
	if bytes > 0 && (last >= int64(len(v.storage.data))/each || v.offset > last) {
		return tensor.Tensor{}, stoa.Errorf(stoa.Invalid, "%s: a tensor reaches beyond its storage %.40q", a.file, v.storage.key)
	}
	t := tensor.Tensor{DType: w.Dtype, Shape: slices.Clone(w.Size)}
	if t.Shape == nil {
		t.Shape = []int64{}
	}
	switch {
	case bytes == 0:
		t.Data = []byte{}
	case contiguous:
		t.Data = v.storage.data[v.offset*each : v.offset*each+bytes]
	default:
		if err := a.spend(bytes); err != nil {
			return t, err
		}
		t.Data = gather(v, w.Dtype.Size(), w.Size, int(bytes))
	}
	if w.Dtype == tensor.BFloat16 {
		return a.widen(t)
	}
	return t, nil
}

// spend takes from the bytes that copies may have: strides of zero could ask for
// any number of them.
func (a *archive) spend(bytes int64) error {
	if a.budget -= bytes; a.budget < 0 {
		return stoa.Errorf(stoa.TooLarge, "%s: its tensors would take many times the size of the file", a.file)
	}
	return nil
}

// gather copies elements by stride.
func gather(v part, each int64, size []int64, bytes int) []byte {
	out := make([]byte, 0, bytes)
	index := make([]int64, len(size))
	at := v.offset
	for len(out) < bytes {
		out = append(out, v.storage.data[at*each:(at+1)*each]...)
		for i := len(index) - 1; i >= 0; i-- {
			index[i]++
			at += v.stride[i]
			if index[i] < size[i] {
				break
			}
			at -= v.stride[i] * size[i]
			index[i] = 0
		}
	}
	return out
}

// widen makes float32 of bfloat16, which is its upper half.
func (a *archive) widen(t tensor.Tensor) (tensor.Tensor, error) {
	if err := a.spend(2 * int64(len(t.Data))); err != nil {
		return t, err
	}
	out := make([]byte, 0, 2*len(t.Data))
	for i := 0; i+1 < len(t.Data); i += 2 {
		out = append(out, 0, 0, t.Data[i], t.Data[i+1])
	}
	return tensor.Tensor{DType: tensor.Float32, Shape: t.Shape, Data: out}, nil
}
