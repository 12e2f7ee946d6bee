package kerasfile

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/tensor"
)

const (
	// maxDepth bounds layers within layers.
	maxDepth = 64
	// maxLayers bounds the layers of a file, and the calls of them.
	maxLayers = 100_000
)

// Layer is a layer and what stands within it.
type Layer struct {
	Kind   string // its class, or the function that it applies
	Name   string
	Path   string // its name behind those of the models around it
	Cfg    Config
	Built  Config // what Keras 3 notes beside the settings
	Custom string // the name under which somebody registered a class of their own
	Calls  []CallSite
	Offset int    // the number of the first call
	Model  *Model // of a model
	Subs   []Sub

	Weights map[string]tensor.Tensor
}

// Sub is a layer within another that is no model, and the attribute of the
// Python object that has it.
type Sub struct {
	Attr  string
	Layer *Layer
}

// Sub gives the layer within that an attribute has; nil where there is none.
func (l *Layer) Sub(attr string) *Layer {
	for _, s := range l.Subs {
		if s.Attr == attr {
			return s.Layer
		}
	}
	return nil
}

// Model is a graph of layers; in a sequential one each takes what the one before
// gives.
type Model struct {
	Layers     []*Layer
	ByName     map[string]*Layer
	Sequential bool
	Ins, Outs  []Ref
}

// Ref names what a call of a layer gives.
type Ref struct {
	Layer        string
	Call, Tensor int
}

// CallSite is a call of a layer: lists and maps with refs and plain values in
// them.
type CallSite struct {
	Args   []any
	Kwargs map[string]any
	new3   bool // as Keras 3 writes it
}

// modelClasses are the classes of graphs of layers.
var modelClasses = map[string]bool{"Sequential": true, "Model": true, "Functional": true, "Container": true, "Network": true}

type parser struct {
	source *Source
	count  int
}

// Parse makes the layers of the architecture.
func (s *Source) Parse() (*Layer, error) {
	p := &parser{source: s}
	plan := s.Plan
	// Some programs wrap what to_json gives.
	if inner := AsMap(plan["model_config"]); plan.Text("class_name") == "" && inner != nil {
		plan = inner
	}
	root, err := p.layer(plan, "", 0)
	if err != nil {
		return nil, err
	}
	if root.Model == nil {
		return nil, stoa.Errorf(stoa.Unsupported, "%s: it holds %s, which is neither a sequential nor a functional model: its architecture is code, and is not in the file; export it as ONNX, or build it from layers with the functional API", s.File, root.Kind)
	}
	if root.Name == "" {
		root.Name = "model"
	}
	return root, nil
}

func (p *parser) invalid(path, format string, args ...any) error {
	return stoa.Errorf(stoa.Invalid, "%s: layer %.100s: %s", p.source.File, path, fmt.Sprintf(format, args...))
}

// layer reads a layer as Keras serializes it.
func (p *parser) layer(j Config, above string, depth int) (*Layer, error) {
	if p.count++; p.count > maxLayers || depth > maxDepth {
		return nil, stoa.Errorf(stoa.TooLarge, "%s: it has over %d layers, or over %d within each other", p.source.File, maxLayers, maxDepth)
	}
	l := &Layer{Kind: j.Text("class_name"), Cfg: AsMap(j["config"]), Built: AsMap(j["build_config"])}
	list, isList := j["config"].([]any) // a Sequential of Keras 1 and 2
	if l.Cfg == nil {
		l.Cfg = Config{}
	}
	l.Name = l.Cfg.Text("name")
	if n := j.Text("name"); n != "" {
		l.Name = n
	}
	if l.Name == "" && depth > 0 {
		l.Name = fmt.Sprintf("%s_%d", snake(l.Kind), p.count)
	}
	l.Path = strings.TrimPrefix(above+"/"+l.Name, "/")
	if l.Kind == "" {
		return nil, p.invalid(l.Path, "it has no class_name")
	}
	registered, module := j.Text("registered_name"), j.Text("module")
	if strings.Contains(registered, ">") && !strings.HasPrefix(module, "keras") {
		l.Custom = registered
	}
	l.Kind = functionOf(l, module)
	if !p.source.classes.Known(l.Kind) && p.source.classes.Known("ops."+l.Kind) {
		l.Kind = "ops." + l.Kind // files in HDF5 do not say so
	}
	if isList {
		return l, p.sequential(l, list, depth)
	}
	layers, hasLayers := l.Cfg["layers"].([]any)
	switch {
	case l.Kind == "Sequential":
		return l, p.sequential(l, layers, depth)
	case modelClasses[l.Kind], hasLayers && l.Cfg["output_layers"] != nil:
		l.Kind, l.Custom = "Functional", ""
		return l, p.functional(l, layers, depth)
	}
	return l, p.subs(l, depth)
}

// functionOf gives the function that a layer stands for which applies one: of
// keras.ops, or of TensorFlow.
func functionOf(l *Layer, module string) string {
	switch {
	case l.Kind == "TFOpLambda" || l.Kind == "SlicingOpLambda":
		if f := l.Cfg.Text("function"); f != "" {
			return "tf." + f[strings.LastIndexByte(f, '.')+1:]
		}
	case strings.Contains(module, ".ops.") || strings.HasSuffix(module, ".ops"):
		return "ops." + l.Kind
	}
	return l.Kind
}

// subs reads the layers that wrappers have among their settings.
func (p *parser) subs(l *Layer, depth int) error {
	add := func(attr string, j Config) error {
		if j == nil || j.Text("class_name") == "" {
			return nil
		}
		inner, err := p.layer(j, l.Path, depth+1)
		if err == nil {
			l.Subs = append(l.Subs, Sub{attr, inner})
		}
		return err
	}
	switch l.Kind {
	case "TimeDistributed", "SpectralNormalization":
		return add("layer", AsMap(l.Cfg["layer"]))
	case "Bidirectional":
		return p.bidirectional(l, add)
	case "RNN":
		return add("cell", AsMap(l.Cfg["cell"]))
	case "StackedRNNCells":
		used := map[string]int{}
		for _, c := range AsList(l.Cfg["cells"]) {
			cell := AsMap(c)
			if err := add("cells/"+counted(snake(cell.Text("class_name")), used), cell); err != nil {
				return err
			}
		}
	case "Merge": // of Keras 1, which may have the models that it merges within
		for i, v := range AsList(l.Cfg["layers"]) {
			if AsMap(v) == nil {
				continue
			}
			if err := add(fmt.Sprint("layers/", i), AsMap(v)); err != nil {
				return err
			}
		}
	}
	return nil
}

// bidirectional has the forward layer among its settings, and the backward one
// too where it differs in more than its direction.
func (p *parser) bidirectional(l *Layer, add func(string, Config) error) error {
	forward := AsMap(l.Cfg["layer"])
	backward := AsMap(l.Cfg["backward_layer"])
	if backward == nil && forward != nil {
		backward = maps.Clone(forward)
		cfg := maps.Clone(AsMap(forward["config"]))
		if cfg != nil {
			cfg["go_backwards"] = !cfg.Flag("go_backwards", false)
			cfg["name"] = "backward_" + cfg.Text("name")
			backward["config"] = map[string]any(cfg)
		}
	}
	if err := add("forward_layer", forward); err != nil {
		return err
	}
	return add("backward_layer", backward)
}

func (p *parser) children(l *Layer, list []any, depth int) error {
	l.Model = &Model{ByName: map[string]*Layer{}}
	for _, v := range list {
		j := AsMap(v)
		if j == nil {
			return p.invalid(l.Path, "one of its layers is no layer")
		}
		above := l.Path
		if depth == 0 {
			above = "" // names within the whole model are plain
		}
		k, err := p.layer(j, above, depth+1)
		if err != nil {
			return err
		}
		if l.Model.ByName[k.Name] != nil {
			return p.invalid(l.Path, "two of its layers are called %.100q", k.Name)
		}
		l.Model.Layers = append(l.Model.Layers, k)
		l.Model.ByName[k.Name] = k
		k.readCalls(j)
		k.asFunction(p.source.classes)
	}
	return nil
}

func (p *parser) sequential(l *Layer, list []any, depth int) error {
	l.Kind = "Sequential"
	if err := p.children(l, list, depth); err != nil {
		return err
	}
	l.Model.Sequential = true
	if len(l.Model.Layers) == 0 {
		return p.invalid(l.Path, "it has no layers")
	}
	return nil
}

func (p *parser) functional(l *Layer, list []any, depth int) error {
	if err := p.children(l, list, depth); err != nil {
		return err
	}
	m := l.Model
	m.Ins, m.Outs = refs(l.Cfg["input_layers"]), refs(l.Cfg["output_layers"])
	if len(m.Outs) == 0 {
		return p.invalid(l.Path, "it names no output_layers")
	}
	m.count()
	return nil
}

// count finds from which number on the calls of each layer are counted: what used
// it before the model was, such as a model's own graph, shifts the count. Keras 3
// shifts it in the list of outputs only.
func (m *Model) count() {
	within, outside := map[string][2]int{}, map[string][2]int{}
	note := func(to map[string][2]int) func(Ref) {
		return func(r Ref) {
			old, ok := to[r.Layer]
			if !ok {
				old = [2]int{r.Call, r.Call}
			}
			to[r.Layer] = [2]int{min(old[0], r.Call), max(old[1], r.Call)}
		}
	}
	new3 := false
	for _, k := range m.Layers {
		for _, c := range k.Calls {
			new3 = new3 || c.new3
			EachRef(c.Args, note(within))
			for _, v := range c.Kwargs {
				EachRef(v, note(within))
			}
		}
	}
	for _, r := range m.Outs {
		note(outside)(r)
		if !new3 {
			note(within)(r)
		}
	}
	for _, k := range m.Layers {
		if r := within[k.Name]; r[1] >= max(len(k.Calls), 1) || !new3 && k.Model != nil {
			k.Offset = r[0]
		}
	}
	for i, r := range m.Outs {
		k := m.ByName[r.Layer]
		if new3 && k != nil && k.Model != nil && (!k.Model.Sequential || outside[k.Name][1] >= len(k.Calls)) && r.Call > 0 {
			m.Outs[i].Call += k.Offset - 1
		}
	}
}

// EachRef visits all refs in lists and maps.
func EachRef(v any, visit func(Ref)) {
	switch v := v.(type) {
	case Ref:
		visit(v)
	case []any:
		for _, e := range v {
			EachRef(e, visit)
		}
	case map[string]any:
		for _, e := range v {
			EachRef(e, visit)
		}
	}
}

// refs reads the inputs or outputs of a model: one, a list, or a map of them.
func refs(v any) []Ref {
	if r, ok := triple(v); ok {
		return []Ref{r}
	}
	var out []Ref
	switch v := v.(type) {
	case []any:
		for _, e := range v {
			out = append(out, refs(e)...)
		}
	case map[string]any:
		if list, ok := tuple(v); ok {
			return refs(list)
		}
		for _, k := range slices.Sorted(maps.Keys(v)) {
			out = append(out, refs(v[k])...)
		}
	}
	return out
}

// triple reads a layer's name, the number of its call and that of the tensor.
func triple(v any) (Ref, bool) {
	list, ok := v.([]any)
	if !ok || len(list) < 3 || len(list) > 4 {
		return Ref{}, false
	}
	name, ok := list[0].(string)
	if !ok {
		return Ref{}, false
	}
	call, ok1 := list[1].(float64)
	tensor, ok2 := list[2].(float64)
	return Ref{name, int(call), int(tensor)}, ok1 && ok2 && call >= 0 && tensor >= 0
}

// readCalls reads how a layer is called.
func (l *Layer) readCalls(j Config) {
	for _, v := range AsList(j["inbound_nodes"]) {
		switch v := v.(type) {
		case map[string]any: // Keras 3
			site := CallSite{Kwargs: map[string]any{}, new3: true}
			for _, a := range AsList(v["args"]) {
				site.Args = append(site.Args, argument(a, 0))
			}
			for n, a := range AsMap(v["kwargs"]) {
				site.Kwargs[n] = argument(a, 0)
			}
			l.Calls = append(l.Calls, site)
		case []any:
			l.Calls = append(l.Calls, oldCall(v))
		}
	}
}

// asFunction takes a layer for the function of the same name where it is called
// as one: with its tensors, or a number, one by one and not in a list.
func (l *Layer) asFunction(classes Classes) {
	if !classes.Known("ops." + l.Kind) {
		return
	}
	for _, c := range l.Calls {
		if len(c.Args) > 1 {
			l.Kind = "ops." + l.Kind
			return
		}
	}
}

// argument reads an argument as Keras 3 writes it.
func argument(v any, depth int) any {
	if depth > maxDepth {
		return nil
	}
	switch v := v.(type) {
	case map[string]any:
		if v["class_name"] == "__keras_tensor__" {
			if r, ok := triple(AsMap(v["config"])["keras_history"]); ok {
				return r
			}
		}
		if list, ok := tuple(v); ok {
			return argument(list, depth+1)
		}
		if v["class_name"] != nil {
			return v // a constant array, a slice
		}
		out := map[string]any{}
		for k, e := range v {
			out[k] = argument(e, depth+1)
		}
		return out
	case []any:
		out := []any{}
		for _, e := range v {
			out = append(out, argument(e, depth+1))
		}
		return out
	}
	return v
}

// oldCall reads a call as Keras 1 and 2 write it: a list of tensors, each with
// the named arguments behind it.
func oldCall(list []any) CallSite {
	site := CallSite{Kwargs: map[string]any{}}
	if len(list) == 0 {
		return site
	}
	if _, single := list[0].(string); single {
		list = []any{list}
	}
	var tensors []any
	for i, v := range list {
		e := AsList(v)
		if i == 0 && len(e) > 3 {
			for n, a := range AsMap(e[3]) {
				site.Kwargs[n] = oldArgument(a, 0)
			}
		}
		tensors = append(tensors, oldArgument(v, 0))
	}
	if len(tensors) == 1 {
		site.Args = tensors
	} else {
		site.Args = []any{tensors}
	}
	return site
}

func oldArgument(v any, depth int) any {
	if r, ok := triple(v); ok {
		return r
	}
	list, ok := v.([]any)
	if !ok || depth > maxDepth {
		return v
	}
	if len(list) >= 3 && list[0] == "_CONSTANT_VALUE" {
		return list[2]
	}
	out := []any{}
	for _, e := range list {
		out = append(out, oldArgument(e, depth+1))
	}
	return out
}

// snake writes a class as Keras does in names: SeparableConv2D is
// separable_conv2d.
func snake(class string) string {
	upper := func(c byte) bool { return c >= 'A' && c <= 'Z' }
	lower := func(c byte) bool { return c >= 'a' && c <= 'z' }
	// As two patterns, one after the other: (.)([A-Z][a-z]+), ([a-z])([A-Z]).
	var once []byte
	for i := 0; i < len(class); i++ {
		if i > 0 && upper(class[i]) && i+1 < len(class) && lower(class[i+1]) {
			once = append(once, '_')
		}
		once = append(once, class[i])
	}
	var out []byte
	for i, c := range once {
		if i > 0 && upper(c) && lower(once[i-1]) {
			out = append(out, '_')
		}
		out = append(out, c)
	}
	return strings.ToLower(string(out))
}

// counted gives a name, with a number from its second use on.
func counted(name string, used map[string]int) string {
	n := used[name]
	used[name]++
	if n > 0 {
		return fmt.Sprintf("%s_%d", name, n)
	}
	return name
}
