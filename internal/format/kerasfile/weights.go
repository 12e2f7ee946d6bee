package kerasfile

import (
	"slices"
	"strconv"
	"strings"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/format/hdf5"
	"github.com/stoa-project/stoa/internal/tensor"
)

// slot is a place for a weight.
type slot struct {
	layer *Layer
	name  string
	fixed bool // training does not change it
}

// slots gives the places of a layer and those within it, those that training
// changes first, as Keras writes them.
func (b *binder) slots(l *Layer) []slot {
	var free, fixed []slot
	var visit func(l *Layer, trainable bool)
	visit = func(l *Layer, trainable bool) {
		trainable = trainable && l.Cfg.Flag("trainable", true)
		for _, s := range b.own(l) {
			if s.fixed || !trainable {
				fixed = append(fixed, s)
			} else {
				free = append(free, s)
			}
		}
		for _, k := range l.Within() {
			visit(k, trainable)
		}
	}
	visit(l, true)
	return append(free, fixed...)
}

// own gives the places that are the layer's own. A "~" marks those that
// training does not change.
func (b *binder) own(l *Layer) []slot {
	var out []slot
	for _, n := range b.source.classes.Slots(l) {
		name, fixed := strings.CutPrefix(n, "~")
		out = append(out, slot{l, name, fixed})
	}
	return out
}

// Within gives the layers within a layer.
func (l *Layer) Within() []*Layer {
	if l.Model != nil {
		return l.Model.Layers
	}
	var out []*Layer
	for _, s := range l.Subs {
		out = append(out, s.Layer)
	}
	return out
}

// Bind gives all layers their weights, and says how many numbers those are.
func (s *Source) Bind(root *Layer) (int64, error) {
	b := &binder{source: s, bound: map[string]*Layer{}, room: 16*s.size + 1<<20}
	var err error
	if s.legacy != nil {
		err = b.legacy(root, s.legacy)
	} else {
		err = b.store(root, s.store)
	}
	return b.numbers, err
}

type binder struct {
	source  *Source
	numbers int64
	bound   map[string]*Layer // by class and name
	room    int64             // bytes that weights of other types may still become
}

func (b *binder) missing(l *Layer, format string, args ...any) error {
	err := stoa.Errorf(stoa.Invalid, format, args...)
	return stoa.Errorf(stoa.Invalid, "%s: layer %s (%s): %s", b.source.File, l.Path, l.Kind, err.Msg)
}

// put reads an array as 32-bit floats, in which everything is computed.
func (b *binder) put(s slot, o *hdf5.Object) error {
	v, err := o.Read()
	if err != nil {
		return b.source.at(err)
	}
	if v.Strings != nil {
		return b.missing(s.layer, "its %s is an array of texts", s.name)
	}
	t := v.Tensor()
	if err := t.Check(); err != nil {
		return b.source.at(err)
	}
	if t.DType != tensor.Float32 {
		if b.room -= 4 * int64(len(t.Data)); b.room < 0 {
			return stoa.Errorf(stoa.TooLarge, "%s: its weights take many times what the file has", b.source.File)
		}
		if t, err = asFloat32(t); err != nil {
			return b.missing(s.layer, "its %s: %s", s.name, stoa.AsError(err).Msg)
		}
	}
	if s.layer.Weights == nil {
		s.layer.Weights = map[string]tensor.Tensor{}
	}
	s.layer.Weights[s.name] = t
	b.numbers += int64(len(t.Data)) / 4
	return nil
}

func asFloat32(t tensor.Tensor) (tensor.Tensor, error) {
	n := len(t.Data) / max(int(t.DType.Size()), 1)
	out := make([]float32, n)
	switch t.DType {
	case tensor.Float64:
		for i, v := range tensor.As[float64](t) {
			out[i] = float32(v)
		}
	case tensor.Float16:
		for i, v := range tensor.As[uint16](t) {
			out[i] = tensor.FromFloat16(v)
		}
	case tensor.Int64:
		for i, v := range tensor.As[int64](t) {
			out[i] = float32(v)
		}
	case tensor.Int32:
		for i, v := range tensor.As[int32](t) {
			out[i] = float32(v)
		}
	default:
		return t, stoa.Errorf(stoa.Unsupported, "weights of %s are not supported", t.DType)
	}
	return tensor.Of(out, t.Shape...), nil
}

// legacy binds weights of the form of Keras 1 and 2, which Keras 3 still writes
// into .h5 files: a group for each layer of the whole model, and in it the order
// of all weights of that layer.
func (b *binder) legacy(root *Layer, group *hdf5.Object) error {
	names, _, err := group.List("layer_names")
	if err != nil {
		return b.source.at(err)
	}
	var layers []*Layer
	for _, l := range flat(root.Model.Layers) {
		if len(b.slots(l)) > 0 {
			layers = append(layers, l)
		}
	}
	allThere := !slices.ContainsFunc(layers, func(l *Layer) bool { return !slices.Contains(names, l.Name) })
	if !allThere {
		// Keras takes them by their order then, and so do we.
		if names, err = b.withWeights(group, names); err != nil {
			return err
		}
		if len(names) != len(layers) {
			return stoa.Errorf(stoa.Invalid, "%s: the architecture has %d layers with weights, and the file of weights %d: they are not of one model", b.source.File, len(layers), len(names))
		}
	}
	for i, l := range layers {
		name := l.Name
		if !allThere {
			name = names[i]
		}
		g, err := group.Member(name)
		if err != nil {
			return b.source.at(err)
		}
		if g == nil { // a name with slashes is groups within groups
			if g, err = group.Find(name); err != nil {
				return b.source.at(err)
			}
		}
		if g == nil {
			return b.missing(l, "the file has no group of its weights")
		}
		if err := b.inOrder(l, g); err != nil {
			return err
		}
	}
	return nil
}

// flat puts the layers of models that a first layer of Keras 1 merges in its
// place, as Keras 1 lists them.
func flat(layers []*Layer) []*Layer {
	if len(layers) == 0 || layers[0].Kind != "Merge" || len(layers[0].Subs) == 0 {
		return layers
	}
	var out []*Layer
	for _, s := range layers[0].Subs {
		if s.Layer.Model == nil {
			out = append(out, s.Layer)
			continue
		}
		out = append(out, flat(s.Layer.Model.Layers)...)
	}
	return append(out, layers[1:]...)
}

func (b *binder) withWeights(group *hdf5.Object, names []string) ([]string, error) {
	var out []string
	for _, n := range names {
		g, err := group.Find(n)
		if err != nil {
			return nil, b.source.at(err)
		}
		if g == nil {
			continue
		}
		list, _, err := g.List("weight_names")
		if err != nil {
			return nil, b.source.at(err)
		}
		if len(list) > 0 {
			out = append(out, n)
		}
	}
	return out, nil
}

func (b *binder) inOrder(l *Layer, g *hdf5.Object) error {
	list, _, err := g.List("weight_names")
	if err != nil {
		return b.source.at(err)
	}
	want := b.slots(l)
	// What Keras 2 and 3 keep of random numbers is no weight.
	list = slices.DeleteFunc(list, func(n string) bool { return strings.Contains(n, "seed_generator") })
	if len(list) != len(want) {
		return b.missing(l, "the file has %d weights of it, and its settings ask for %d", len(list), len(want))
	}
	for i, n := range list {
		o, err := g.Find(n)
		if err != nil {
			return b.source.at(err)
		}
		if o == nil || !o.IsDataset() {
			return b.missing(l, "its weight %.100q is not in the file", n)
		}
		if err := b.put(want[i], o); err != nil {
			return err
		}
	}
	return nil
}

// dependencies is what some versions of Keras 2 call the layers of a model in
// archives.
const dependencies = "_layer_checkpoint_dependencies"

// store binds weights of the form of .keras archives: groups as the objects are
// within each other, and in each the weights by number.
func (b *binder) store(l *Layer, group *hdf5.Object) error {
	if l.Model == nil {
		return b.object(l, group)
	}
	groups, err := b.containers(group)
	if err != nil {
		return err
	}
	p := placed{byName: map[string]*hdf5.Object{}, byPath: map[string]*hdf5.Object{}, byClass: map[string][]*hdf5.Object{}, all: map[string][]*Layer{}, weighty: map[string][]*Layer{}}
	for _, g := range groups {
		p.byPath[g.path] = g.object
		p.byClass[g.class] = append(p.byClass[g.class], g.object)
		if n := nameIn(g.object); n != "" {
			p.byName[n] = g.object
		}
	}
	for _, k := range l.Model.Layers {
		p.all[k.className()] = append(p.all[k.className()], k)
		if len(b.slots(k)) > 0 {
			p.weighty[k.className()] = append(p.weighty[k.className()], k)
		}
	}
	used := map[string]int{}
	for _, k := range l.Model.Layers {
		path := counted(snake(k.className()), used)
		if len(b.slots(k)) == 0 {
			continue
		}
		o := p.find(k, path)
		switch old := b.bound[k.Kind+" "+k.Name]; {
		case o != nil:
			err = b.store(k, o)
		case old != nil: // one that models share is in the file once
			err = b.share(k, old)
		default:
			err = b.missing(k, "the file has no group of its weights")
		}
		if err != nil {
			return err
		}
		b.bound[k.Kind+" "+k.Name] = k
	}
	return nil
}

// share gives a layer the weights of another.
func (b *binder) share(to, from *Layer) error {
	a, z := b.slots(to), b.slots(from)
	if len(a) != len(z) {
		return b.missing(to, "the file has no group of its weights")
	}
	for i, s := range a {
		if s.layer.Weights == nil {
			s.layer.Weights = map[string]tensor.Tensor{}
		}
		s.layer.Weights[s.name] = z[i].layer.Weights[z[i].name]
	}
	return nil
}

// placed are the groups of a model's layers.
type placed struct {
	byName, byPath map[string]*hdf5.Object
	byClass        map[string][]*hdf5.Object
	all, weighty   map[string][]*Layer // by class: all, and those that have weights
}

// find gives the group of a layer: by its name, where newer versions note it, else
// by the order of all layers of its class, or of those that have weights, as some
// versions count; else by the group's own name.
func (p placed) find(k *Layer, path string) *hdf5.Object {
	if len(p.byName) > 0 {
		return p.byName[k.Name]
	}
	all, weighty := p.all[k.className()], p.weighty[k.className()]
	have := p.byClass[snake(k.className())]
	switch len(have) {
	case len(all):
		return have[slices.Index(all, k)]
	case len(weighty):
		return have[slices.Index(weighty, k)]
	}
	return p.byPath[path]
}

// nameIn gives the layer's name that newer versions note at its group.
func nameIn(o *hdf5.Object) string {
	for _, path := range []string{"", "vars"} {
		at, err := o.Find(path)
		if err != nil || at == nil || at.IsDataset() {
			continue
		}
		if n, err := at.Text("name"); err == nil && n != "" {
			return n
		}
	}
	return ""
}

// className gives the class under which archives count a layer.
func (l *Layer) className() string {
	if l.Kind == "GroupQueryAttention" {
		return "GroupedQueryAttention" // its name in Python is not the one it is known by
	}
	return strings.TrimPrefix(l.Kind, "ops.")
}

// container is a group of a layer: its class and number are its name.
type container struct {
	path   string
	class  string
	number int
	object *hdf5.Object
}

// containers gives the groups of a model's layers, by class and number. On
// Windows some versions wrote one name with a backslash instead of two groups.
func (b *binder) containers(group *hdf5.Object) ([]container, error) {
	names, err := group.Names()
	if err != nil {
		return nil, b.source.at(err)
	}
	var out []container
	add := func(name string, o *hdf5.Object) {
		c := container{path: name, class: name, object: o}
		if at := strings.LastIndexByte(name, '_'); at > 0 {
			if n, err := strconv.Atoi(name[at+1:]); err == nil {
				c.class, c.number = name[:at], n
			}
		}
		out = append(out, c)
	}
	for _, n := range names {
		if rest, ok := strings.CutPrefix(n, dependencies+`\`); ok && !strings.Contains(rest, `\`) {
			o, err := group.Member(n)
			if err != nil {
				return nil, b.source.at(err)
			}
			add(rest, o)
			continue
		}
		if n != "layers" && n != dependencies {
			continue
		}
		inner, err := group.Member(n)
		if err != nil || inner == nil {
			return nil, b.source.at(err)
		}
		kids, err := inner.Names()
		if err != nil {
			return nil, b.source.at(err)
		}
		for _, k := range kids {
			o, err := inner.Member(k)
			if err != nil {
				return nil, b.source.at(err)
			}
			add(k, o)
		}
	}
	slices.SortStableFunc(out, func(a, b container) int { return a.number - b.number })
	return out, nil
}

// object binds the weights of a layer that is no model.
func (b *binder) object(l *Layer, group *hdf5.Object) error {
	next := map[string]int{}
	for _, s := range b.own(l) {
		prefix := ""
		if at := strings.LastIndexByte(s.name, '/'); at >= 0 {
			prefix = s.name[:at]
		}
		o, err := b.variable(group, prefix, next[prefix])
		if err != nil {
			return err
		}
		if o == nil {
			return b.missing(l, "the file has no weight %d of it, its %s", next[prefix], s.name)
		}
		next[prefix]++
		if err := b.put(s, o); err != nil {
			return err
		}
	}
	for _, s := range l.Subs {
		if len(b.slots(s.Layer)) == 0 {
			continue
		}
		g, err := b.member(group, s.Attr)
		if err != nil {
			return err
		}
		if g == nil {
			return b.missing(l, "the file has no group %s of its weights", s.Attr)
		}
		if err := b.store(s.Layer, g); err != nil {
			return err
		}
	}
	return nil
}

// member finds a group by an attribute's name, which may be private.
func (b *binder) member(group *hdf5.Object, path string) (*hdf5.Object, error) {
	for _, p := range []string{path, "_" + path, strings.ReplaceAll(path, "/", `\`)} {
		o, err := group.Find(p)
		if err != nil {
			return nil, b.source.at(err)
		}
		if o == nil {
			if o, err = group.Member(p); err != nil {
				return nil, b.source.at(err)
			}
		}
		if o != nil {
			return o, nil
		}
	}
	return nil, nil
}

// variable finds a weight by its number. Recurrent layers have theirs in a cell.
func (b *binder) variable(group *hdf5.Object, prefix string, number int) (*hdf5.Object, error) {
	at := group
	if prefix != "" {
		var err error
		if at, err = b.member(group, prefix); err != nil || at == nil {
			return nil, err
		}
	}
	for _, way := range []string{"vars/", "cell/vars/"} {
		o, err := b.member(at, way+strconv.Itoa(number))
		if err != nil {
			return nil, err
		}
		if o != nil && o.IsDataset() {
			return o, nil
		}
	}
	return nil, nil
}
