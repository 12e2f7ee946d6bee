package caffe

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseText(t *testing.T) {
	const text = `# a net
name: "n" 'ame' input_dim: [1, 3,
  224] layer < name: "a\tb\"c" type: 'X;y' , scale: -1.5e-3f; big: 1e+10 > layer: { on: true off: false neg: - 7 hex: 0x10 }
[ext.field]: 3`
	m, err := parseText("net.prototxt", []byte("\xef\xbb\xbf"+strings.ReplaceAll(text, "\n", "\r\n")))
	if err != nil {
		t.Fatal(err)
	}
	layers := m.all("layer")
	got := []any{
		m.str("name", ""), m.ints("input_dim"), len(layers), layers[0].sub.str("name", ""), layers[0].sub.str("type", ""),
		layers[0].sub.float("scale", 0), layers[0].sub.float("big", 0), layers[1].sub.flag("on", off), layers[1].sub.flag("off", on),
		layers[1].sub.int("neg", 0), layers[1].sub.int("hex", 0), layers[0].line, layers[1].line, m.int("[ext.field]", 0),
		m.sub("none").sub("none").int("none", 4),
	}
	want := []any{"name", []int64{1, 3, 224}, 2, "a\tb\"c", "X;y", -1.5e-3, 1e10, true, false, int64(-7), int64(16), 3, 3, int64(3), int64(4)}
	if diff := cmp.Diff(want, got); diff != "" || m.doc.err != nil {
		t.Error(diff, m.doc.err)
	}
}

func TestParseTextRefuses(t *testing.T) {
	tests := map[string]struct{ text, want string }{
		"open":     {"layer {\n name: \"a\"\n", "line 3: the file ends before the } that closes the { of line 1"},
		"closed":   {"layer { }\n}", "line 2: the name of a field is expected"},
		"string":   {"name: \"abc\nx: 1", "line 1: a string is not closed"},
		"colon":    {"name \"abc\"", "a colon or { is expected"},
		"value":    {"a: }", "a value is expected"},
		"list":     {"a: [1 2", "a comma or ]"},
		"escape":   {`a: "\q"`, "escape"},
		"end":      {`a: "\`, "not closed"},
		"deep":     {strings.Repeat("a {", 100_000), "nested deeper"},
		"bomb":     {strings.Repeat("a{}", maxEntries+1), "over"},
		"brackets": {"a < b: 1 }", "the name of a field is expected"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := parseText("net.prototxt", []byte(tt.text))
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %s", err, tt.want)
			}
		})
	}
	if _, err := parseText("net.prototxt", make([]byte, maxText+1)); err == nil {
		t.Error("a text over the limit was read")
	}
}

func TestWrongTypesNameTheLine(t *testing.T) {
	m, err := parseText("net.prototxt", []byte("a: x\nb: 99999999999\nc: maybe\nd: x\ne: 1"))
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		ask  func()
		want string
	}{
		{func() { m.int("a", 0) }, "line 1: a must be a whole number"},
		{func() { m.int("b", 0) }, "line 2: b must be a whole number"},
		{func() { m.flag("c", on) }, "line 3: c must be true or false"},
		{func() { m.float("d", 0) }, "line 4: d must be a number"},
		{func() { m.sub("e") }, "line 5: e must be a message"},
	} {
		m.doc.err = nil
		tt.ask()
		if m.doc.err == nil || !strings.Contains(m.doc.err.Error(), tt.want) {
			t.Errorf("got %v, want %s", m.doc.err, tt.want)
		}
	}
}
