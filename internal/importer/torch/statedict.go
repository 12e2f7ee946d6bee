package torch

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/stoa-project/stoa/internal/jit"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/format/pickle"
	"github.com/stoa-project/stoa/internal/format/safetensors"
	"github.com/stoa-project/stoa/internal/tensor"
)

// legacyMagic begins files of torch.save before PyTorch 1.6: the pickle of a
// number.
var legacyMagic = []byte("\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19")

// recognise looks at the content of a file. err says why what was recognised
// cannot be imported.
func recognise(file string, data []byte) (format string, ok bool, err error) {
	if bytes.HasPrefix(data, legacyMagic) {
		return "torch.save before 1.6", true, legacy(file, data)
	}
	if safetensors.Is(data) {
		return "safetensors", true, safe(file, data)
	}
	a := archiveIn(file, data)
	if a == nil {
		return "", false, nil
	}
	switch {
	case a.has("archive_format"), a.has("serialized_exported_program.json"):
		return "torch.export", true, stoa.Errorf(stoa.Unsupported, "%s: it is an archive of torch.export (.pt2), which is not supported. %s", file, advice)
	case !a.has("data.pkl"):
		return "TorchScript before 1.4", true, stoa.Errorf(stoa.Unsupported, "%s: it is TorchScript of a PyTorch before 1.4: load it with torch.jit.load and save it again with torch.jit.save", file)
	case a.hasCode():
		return "TorchScript", true, nil
	}
	v, err := a.unpickle("data.pkl", "")
	if err != nil {
		return "torch.save", true, err
	}
	return "torch.save", true, noGraph(file, v)
}

// archiveIn gives an archive of PyTorch; nil for what is none, or so damaged that
// nobody can tell.
func archiveIn(file string, data []byte) *archive {
	a, ok, err := openArchive(file, data)
	if err != nil || !ok {
		return nil
	}
	return a
}

// legacy reads the object of an old file, behind three that say how it was
// written.
func legacy(file string, data []byte) error {
	var v any
	for range 4 {
		var n int
		var err error
		v, n, err = pickle.Read(data, pickle.Options{Calls: calls(), Persistent: func(id any) (any, error) {
			t, _ := id.(pickle.Tuple)
			if kind, _ := pickle.Text(at(t, 0)); kind == "module" && len(t) > 1 {
				return t[1], nil // a class, with its source
			}
			return storageOf(id)
		}})
		if err != nil {
			return stoa.Wrap(stoa.KindOf(err), err, "%s: %s", file, stoa.AsError(err).Msg)
		}
		data = data[n:]
	}
	return noGraph(file, v)
}

// safe says what is in a file of safetensors.
func safe(file string, data []byte) error {
	f, err := safetensors.Parse(data)
	if err != nil {
		return stoa.Errorf(stoa.KindOf(err), "%s: %s", file, stoa.AsError(err).Msg)
	}
	l := &lister{}
	for _, t := range f.Tensors {
		l.line(t.String(), t.Shape)
	}
	return stoa.Errorf(stoa.Unsupported, "%s: it holds weights and no graph, so that nobody can tell what to compute with them. %s\n%s", file, l.text(), advice)
}

func at(t pickle.Tuple, i int) any {
	if i < len(t) {
		return t[i]
	}
	return nil
}

const advice = `Where the network's class is at hand, load the weights into it and save a graph too, in Python:
    net.eval()
    torch.jit.script(net).save("net.pt")
or, where that fails, with an input such as the network takes:
    torch.jit.trace(net, torch.zeros(1, 3, 224, 224)).save("net.pt")
or as ONNX:
    torch.onnx.export(net, torch.zeros(1, 3, 224, 224), "net.onnx", opset_version=17, dynamic_axes={"input": {0: "batch"}}, input_names=["input"])`

// noGraph says what is in a file of weights.
func noGraph(file string, v any) error {
	l := &lister{}
	l.walk(v, "", 0)
	what := "it holds weights and no graph, so that nobody can tell what to compute with them"
	if o, ok := v.(*pickle.Object); ok && o.Class.String() != "collections.OrderedDict" {
		what = fmt.Sprintf("it holds a Python object of class %.200s with its weights, and its code is not in the file", o.Class)
	}
	return stoa.Errorf(stoa.Unsupported, "%s: %s. %s\n%s", file, what, l.text(), advice)
}

// lister collects tensors by name.
type lister struct {
	lines   []string
	count   int
	numbers int64
	steps   int
}

// maxListed is how many tensors are listed by name.
const maxListed = 20

func (l *lister) walk(v any, path string, depth int) {
	if l.steps++; l.steps > 1<<20 || depth > 50 {
		return
	}
	switch x := v.(type) {
	case *jit.Weight:
		l.add(x, path)
	case *pickle.Dict:
		l.pairs(x.Pairs, path, depth)
	case *pickle.List:
		for i, e := range x.Items {
			l.walk(e, jit.Join(path, fmt.Sprint(i)), depth+1)
		}
	case pickle.Tuple:
		for i, e := range x {
			l.walk(e, jit.Join(path, fmt.Sprint(i)), depth+1)
		}
	case *pickle.Object:
		l.pairs(x.Pairs, path, depth)
		l.walk(x.State, path, depth+1)
	}
}

func (l *lister) pairs(pairs []pickle.Pair, path string, depth int) {
	for _, p := range pairs {
		name := fmt.Sprint(p.Key)
		if s, ok := pickle.Text(p.Key); ok {
			name = s
		}
		switch name {
		case "_parameters", "_buffers", "_modules":
			l.walk(p.Value, path, depth+1)
		case "_metadata":
		default:
			l.walk(p.Value, jit.Join(path, name), depth+1)
		}
	}
}

func (l *lister) add(w *jit.Weight, path string) {
	l.line(fmt.Sprintf("%.100s %s %s", path, w.Dtype, tensor.ShapeString(w.Size)), w.Size)
}

func (l *lister) line(text string, shape []int64) {
	l.count++
	if n, err := tensor.Elements(shape); err == nil {
		l.numbers += n
	}
	if len(l.lines) < maxListed {
		l.lines = append(l.lines, "    "+text)
	}
}

func (l *lister) text() string {
	if l.count == 0 {
		return "It has no tensors."
	}
	out := fmt.Sprintf("Its %d tensors (%d numbers):\n%s", l.count, l.numbers, strings.Join(l.lines, "\n"))
	if more := l.count - len(l.lines); more > 0 {
		out += fmt.Sprintf("\n    and %d more", more)
	}
	return out
}
