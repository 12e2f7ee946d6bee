package keras

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

// layer is a layer and what stands within it.
type layer struct {
	kind   string // what allKinds calls it: its class, or the function that it applies
	def    *kind  // nil where it is not supported, and of models
	name   string
	path   string // its name behind those of the models around it
	cfg    config
	built  config // what Keras 3 notes beside the settings
	custom string // the name under which somebody registered a class of their own
	calls  []callSite
	offset int    // the number of the first call
	model  *model // of a model
	subs   []sub

	weights map[string]tensor.Tensor
}

// sub is a layer within another that is no model, and the attribute of the
// Python object that has it.
type sub struct {
	attr  string
	layer *layer
}

func (l *layer) sub(attr string) *layer {
	for _, s := range l.subs {
		if s.attr == attr {
			return s.layer
		}
	}
	return nil
}

// model is a graph of layers; in a sequential one each takes what the one before
// gives.
type model struct {
	layers     []*layer
	byName     map[string]*layer
	sequential bool
	ins, outs  []ref
}

// ref names what a call of a layer gives.
type ref struct {
	layer        string
	call, tensor int
}

// callSite is a call of a layer: lists and maps with refs and plain values in
// them.
type callSite struct {
	args   []any
	kwargs map[string]any
}

// modelClasses are the classes of graphs of layers.
var modelClasses = map[string]bool{"Sequential": true, "Model": true, "Functional": true, "Container": true, "Network": true}

type parser struct {
	source *source
	count  int
}

// parse makes the layers of the architecture.
func (s *source) parse() (*layer, error) {
	p := &parser{source: s}
	plan := s.plan
	// Some programs wrap what to_json gives.
	if inner := asMap(plan["model_config"]); plan.text("class_name") == "" && inner != nil {
		plan = inner
	}
	root, err := p.layer(plan, "", 0)
	if err != nil {
		return nil, err
	}
	if root.model == nil {
		return nil, stoa.Errorf(stoa.Unsupported, "%s: it holds %s, which is neither a sequential nor a functional model: its architecture is code, and is not in the file; export it as ONNX, or build it from layers with the functional API", s.file, root.kind)
	}
	if root.name == "" {
		root.name = "model"
	}
	return root, nil
}

func (p *parser) invalid(path, format string, args ...any) error {
	return stoa.Errorf(stoa.Invalid, "%s: layer %.100s: %s", p.source.file, path, fmt.Sprintf(format, args...))
}

// layer reads a layer as Keras serializes it.
func (p *parser) layer(j config, above string, depth int) (*layer, error) {
	if p.count++; p.count > maxLayers || depth > maxDepth {
		return nil, stoa.Errorf(stoa.TooLarge, "%s: it has over %d layers, or over %d within each other", p.source.file, maxLayers, maxDepth)
	}
	l := &layer{kind: j.text("class_name"), cfg: asMap(j["config"]), built: asMap(j["build_config"])}
	list, isList := j["config"].([]any) // a Sequential of Keras 1 and 2
	if l.cfg == nil {
		l.cfg = config{}
	}
	l.name = l.cfg.text("name")
	if n := j.text("name"); n != "" {
		l.name = n
	}
	if l.name == "" && depth > 0 {
		l.name = fmt.Sprintf("%s_%d", snake(l.kind), p.count)
	}
	l.path = strings.TrimPrefix(above+"/"+l.name, "/")
	if l.kind == "" {
		return nil, p.invalid(l.path, "it has no class_name")
	}
	registered, module := j.text("registered_name"), j.text("module")
	if strings.Contains(registered, ">") && !strings.HasPrefix(module, "keras") {
		l.custom = registered
	}
	l.kind = functionOf(l, module)
	l.def = p.source.kinds[l.kind]
	if isList {
		return l, p.sequential(l, list, depth)
	}
	layers, hasLayers := l.cfg["layers"].([]any)
	switch {
	case l.kind == "Sequential":
		return l, p.sequential(l, layers, depth)
	case modelClasses[l.kind], hasLayers && l.cfg["output_layers"] != nil:
		l.kind, l.custom = "Functional", ""
		return l, p.functional(l, layers, depth)
	}
	return l, p.subs(l, depth)
}

// functionOf gives the function that a layer stands for which applies one: of
// keras.ops, or of TensorFlow.
func functionOf(l *layer, module string) string {
	switch {
	case l.kind == "TFOpLambda" || l.kind == "SlicingOpLambda":
		if f := l.cfg.text("function"); f != "" {
			return "tf." + strings.TrimPrefix(f, "tf.")
		}
	case strings.Contains(module, ".ops.") || strings.HasSuffix(module, ".ops"):
		return "ops." + l.kind
	}
	return l.kind
}

// subs reads the layers that wrappers have among their settings.
func (p *parser) subs(l *layer, depth int) error {
	add := func(attr string, j config) error {
		if j == nil || j.text("class_name") == "" {
			return nil
		}
		inner, err := p.layer(j, l.path, depth+1)
		if err == nil {
			l.subs = append(l.subs, sub{attr, inner})
		}
		return err
	}
	switch l.kind {
	case "TimeDistributed", "SpectralNormalization":
		return add("layer", asMap(l.cfg["layer"]))
	case "Bidirectional":
		return p.bidirectional(l, add)
	case "RNN":
		return add("cell", asMap(l.cfg["cell"]))
	case "StackedRNNCells":
		used := map[string]int{}
		for _, c := range asList(l.cfg["cells"]) {
			cell := asMap(c)
			if err := add("cells/"+counted(snake(cell.text("class_name")), used), cell); err != nil {
				return err
			}
		}
	case "Merge": // of Keras 1, which may have the models that it merges within
		for i, v := range asList(l.cfg["layers"]) {
			if asMap(v) == nil {
				continue
			}
			if err := add(fmt.Sprint("layers/", i), asMap(v)); err != nil {
				return err
			}
		}
	}
	return nil
}

// bidirectional has the forward layer among its settings, and the backward one
// too where it differs in more than its direction.
func (p *parser) bidirectional(l *layer, add func(string, config) error) error {
	forward := asMap(l.cfg["layer"])
	backward := asMap(l.cfg["backward_layer"])
	if backward == nil && forward != nil {
		backward = maps.Clone(forward)
		cfg := maps.Clone(asMap(forward["config"]))
		if cfg != nil {
			cfg["go_backwards"] = !cfg.flag("go_backwards", false)
			cfg["name"] = "backward_" + cfg.text("name")
			backward["config"] = map[string]any(cfg)
		}
	}
	if err := add("forward_layer", forward); err != nil {
		return err
	}
	return add("backward_layer", backward)
}

func (p *parser) children(l *layer, list []any, depth int) error {
	l.model = &model{byName: map[string]*layer{}}
	for _, v := range list {
		j := asMap(v)
		if j == nil {
			return p.invalid(l.path, "one of its layers is no layer")
		}
		above := l.path
		if depth == 0 {
			above = "" // names within the whole model are plain
		}
		k, err := p.layer(j, above, depth+1)
		if err != nil {
			return err
		}
		if l.model.byName[k.name] != nil {
			return p.invalid(l.path, "two of its layers are called %.100q", k.name)
		}
		l.model.layers = append(l.model.layers, k)
		l.model.byName[k.name] = k
		l.readCalls(k, j)
	}
	return nil
}

func (p *parser) sequential(l *layer, list []any, depth int) error {
	l.kind = "Sequential"
	if err := p.children(l, list, depth); err != nil {
		return err
	}
	l.model.sequential = true
	if len(l.model.layers) == 0 {
		return p.invalid(l.path, "it has no layers")
	}
	return nil
}

func (p *parser) functional(l *layer, list []any, depth int) error {
	if err := p.children(l, list, depth); err != nil {
		return err
	}
	m := l.model
	m.ins, m.outs = refs(l.cfg["input_layers"]), refs(l.cfg["output_layers"])
	if len(m.outs) == 0 {
		return p.invalid(l.path, "it names no output_layers")
	}
	// Calls are counted from where the layer was made: what used it before the
	// model was, such as a model's own graph, shifts the count.
	least, most := map[string]int{}, map[string]int{}
	note := func(r ref) {
		if old, ok := least[r.layer]; !ok || r.call < old {
			least[r.layer] = r.call
		}
		most[r.layer] = max(most[r.layer], r.call)
	}
	for _, r := range m.outs {
		note(r)
	}
	for _, k := range m.layers {
		for _, c := range k.calls {
			eachRef(c.args, note)
			for _, v := range c.kwargs {
				eachRef(v, note)
			}
		}
	}
	for _, k := range m.layers {
		if n := max(len(k.calls), 1); most[k.name] >= n {
			k.offset = least[k.name]
		}
	}
	return nil
}

func eachRef(v any, visit func(ref)) {
	switch v := v.(type) {
	case ref:
		visit(v)
	case []any:
		for _, e := range v {
			eachRef(e, visit)
		}
	case map[string]any:
		for _, e := range v {
			eachRef(e, visit)
		}
	}
}

// refs reads the inputs or outputs of a model: one, a list, or a map of them.
func refs(v any) []ref {
	if r, ok := triple(v); ok {
		return []ref{r}
	}
	var out []ref
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
func triple(v any) (ref, bool) {
	list, ok := v.([]any)
	if !ok || len(list) < 3 || len(list) > 4 {
		return ref{}, false
	}
	name, ok := list[0].(string)
	if !ok {
		return ref{}, false
	}
	call, ok1 := list[1].(float64)
	tensor, ok2 := list[2].(float64)
	return ref{name, int(call), int(tensor)}, ok1 && ok2 && call >= 0 && tensor >= 0
}

// readCalls reads how a layer is called.
func (l *layer) readCalls(k *layer, j config) {
	for _, v := range asList(j["inbound_nodes"]) {
		switch v := v.(type) {
		case map[string]any: // Keras 3
			site := callSite{kwargs: map[string]any{}}
			for _, a := range asList(v["args"]) {
				site.args = append(site.args, argument(a, 0))
			}
			for n, a := range asMap(v["kwargs"]) {
				site.kwargs[n] = argument(a, 0)
			}
			k.calls = append(k.calls, site)
		case []any:
			k.calls = append(k.calls, oldCall(v))
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
			if r, ok := triple(asMap(v["config"])["keras_history"]); ok {
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
func oldCall(list []any) callSite {
	site := callSite{kwargs: map[string]any{}}
	if len(list) == 0 {
		return site
	}
	if _, single := list[0].(string); single {
		list = []any{list}
	}
	var tensors []any
	for i, v := range list {
		e := asList(v)
		if i == 0 && len(e) > 3 {
			for n, a := range asMap(e[3]) {
				site.kwargs[n] = oldArgument(a, 0)
			}
		}
		tensors = append(tensors, oldArgument(v, 0))
	}
	if len(tensors) == 1 {
		site.args = tensors
	} else {
		site.args = []any{tensors}
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
