package keras

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/format/kerasfile"
)

// table is what is mapped: layers, and the functions among their settings.
type table struct {
	kinds       map[string]*kind
	activations map[string]activation
}

// survey counts the layers and names what is not supported by their settings
// alone, so that a person learns of all of it at once.
func (t table) survey(s *source, root *layer) (layers map[string]int, unsupported []string) {
	layers = map[string]int{}
	var visit func(l *layer)
	visit = func(l *layer) {
		if l.Model == nil {
			layers[l.Kind]++
			for _, why := range t.check(l) {
				unsupported = append(unsupported, fmt.Sprintf("%s: %s: %s", s.File, where(l), why))
			}
		}
		for _, k := range l.Within() {
			visit(k)
		}
	}
	visit(root)
	return layers, unsupported
}

// check says what of a layer's settings is not supported.
func (t table) check(l *layer) []string {
	def := t.kinds[l.Kind]
	switch {
	case l.Kind == "Lambda":
		return []string{"its function is code of Python, which is not run: put layers that do the same in its place"}
	case l.Custom != "":
		return []string{fmt.Sprintf("it is of a class of somebody's own (%.100s), whose code is not in the file", l.Custom)}
	case def == nil:
		return []string{"layers of this class are not supported"}
	}
	var out []string
	for _, name := range slices.Sorted(maps.Keys(l.Cfg)) {
		if why := t.setting(l, name, l.Cfg[name]); why != "" {
			out = append(out, why)
		}
	}
	return out
}

// setting says why a setting cannot be; "" where it can.
func (t table) setting(l *layer, name string, v any) string {
	def := t.kinds[l.Kind]
	read := slices.Contains(strings.Fields(def.fields), name)
	switch name {
	case "activation", "recurrent_activation", "inner_activation":
		if read {
			if err := t.knowsActivation(v); err != nil {
				return fmt.Sprintf("its %s: %s", name, stoa.AsError(err).Msg)
			}
			return ""
		}
	case "stateful":
		if v == true {
			return "it is stateful: what it gives depends on calls before, which a service must not; save it with stateful=False"
		}
	case "dtype":
		policy := kerasfile.AsMap(v)
		if n := policy.Text("class_name"); strings.Contains(n, "Quantized") || strings.Contains(n, "Float8") {
			return fmt.Sprintf("it is quantized (%.40s), which is not supported: save the model before quantize()", n)
		}
		return ""
	}
	if def.anySetting || harmless(name) || off(v) || read {
		return ""
	}
	return fmt.Sprintf("its setting %s is not known, and may change what it computes", name)
}

// off tells whether a setting is one that does nothing.
func off(v any) bool {
	switch v := v.(type) {
	case nil:
		return true
	case bool:
		return !v
	case string:
		return v == ""
	case []any:
		return len(v) == 0
	case map[string]any:
		return len(v) == 0
	}
	return false
}

// harmless tells whether a setting concerns names, types, training or the shape
// of an input only.
func harmless(name string) bool {
	for _, end := range []string{"_initializer", "_regularizer", "_constraint"} {
		if strings.HasSuffix(name, end) {
			return true
		}
	}
	switch name {
	case "name", "trainable", "dtype", "batch_input_shape", "batch_shape", "input_dtype", "input_shape", "input_dim", "input_length",
		"sparse", "ragged", "optional", "seed", "autocast", "init", "inner_init", "forget_bias_init", "weights", "lora_rank", "lora_alpha":
		return true
	}
	return false
}
