package keras

import (
	"fmt"
	"slices"
	"strings"

	"github.com/stoa-project/stoa"
)

// survey counts the layers and names what is not supported by their settings
// alone, so that a person learns of all of it at once.
func survey(s *source, root *layer) (layers map[string]int, unsupported []string) {
	layers = map[string]int{}
	var visit func(l *layer)
	visit = func(l *layer) {
		if l.model == nil {
			layers[l.kind]++
			for _, why := range check(s, l) {
				unsupported = append(unsupported, fmt.Sprintf("%s: %s: %s", s.file, l.where(), why))
			}
		}
		for _, k := range l.within() {
			visit(k)
		}
	}
	visit(root)
	return layers, unsupported
}

// check says what of a layer's settings is not supported.
func check(s *source, l *layer) []string {
	switch {
	case l.kind == "Lambda":
		return []string{"its function is code of Python, which is not run: put layers that do the same in its place"}
	case l.custom != "":
		return []string{fmt.Sprintf("it is of a class of somebody's own (%.100s), whose code is not in the file", l.custom)}
	case l.def == nil:
		return []string{"layers of this class are not supported"}
	}
	var out []string
	for _, name := range sortedKeys(l.cfg) {
		if why := l.setting(s, name, l.cfg[name]); why != "" {
			out = append(out, why)
		}
	}
	return out
}

// setting says why a setting cannot be; "" where it can.
func (l *layer) setting(s *source, name string, v any) string {
	switch name {
	case "activation", "recurrent_activation", "inner_activation":
		if _, ok := functionNamed(l, name); ok {
			if err := s.knowsActivation(v); err != nil {
				return fmt.Sprintf("its %s: %s", name, stoa.AsError(err).Msg)
			}
			return ""
		}
	case "stateful":
		if v == true {
			return "it is stateful: what it gives depends on calls before, which a service must not; save it with stateful=False"
		}
	case "dtype":
		policy := asMap(v)
		if n := policy.text("class_name"); strings.Contains(n, "Quantized") || strings.Contains(n, "Float8") {
			return fmt.Sprintf("it is quantized (%.40s), which is not supported: save the model before quantize()", n)
		}
		return ""
	}
	if harmless(name) || off(v) || slices.Contains(strings.Fields(l.def.fields), name) {
		return ""
	}
	return fmt.Sprintf("its setting %s is not known, and may change what it computes", name)
}

// functionNamed tells whether a layer has an activation of that name.
func functionNamed(l *layer, name string) (string, bool) {
	return name, slices.Contains(strings.Fields(l.def.fields), name)
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
