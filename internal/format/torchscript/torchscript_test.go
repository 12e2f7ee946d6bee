package torchscript

import (
	"testing"
)

const sample = `op_version_set = 1
class Net(Module):
  __parameters__ = ["weight", ]
  weight : Tensor
  __annotations__["0"] = __torch__.torch.nn.modules.conv.Conv2d
  stride : Final[Tuple[int, int]] = (1, 1)
  def forward(self: __torch__.Net,
    x: Tensor,
    flag: Optional[bool]=None) -> Tuple[Tensor, Tensor]:
    _0 = getattr(self, "0")
    a, b, = torch.chunk((_0).forward(x, ), 2, dim=-1)
    # nothing
    if torch.__is__(flag, None):
      c = [1, 2.5e-05, -3]
    elif not flag:
      pass
    else:
      c = annotate(List[int], [])
    for i in range(torch.len(c)):
      d = {"k": c[i], "\n\"": (a,)}
      while True:
        break
    return (a, b if flag else a)
def f(x: int=3) -> NoneType:
  self.x = x + 1 * 2
  return None
`

func TestParse(t *testing.T) {
	f, err := Parse("a.py", []byte(sample))
	if err != nil {
		t.Fatal(err)
	}
	c := f.Classes["Net"]
	if c == nil || c.Base != "Module" || len(c.Fields) != 3 || c.Types["0"] == nil || c.Values["stride"] == nil {
		t.Fatalf("class %+v", c)
	}
	m := c.Methods["forward"]
	if m == nil || len(m.Params) != 3 || m.Params[2].Default == nil || len(m.Body) != 5 {
		t.Fatalf("method %+v", m)
	}
	a := m.Body[1].(*Assign)
	if !a.Unpack || len(a.Targets) != 2 || a.Line != 11 {
		t.Errorf("assignment %+v", a)
	}
	if call := a.Value.(*Call); Dotted(call.Fn) != "torch.chunk" || call.Names[2] != "dim" {
		t.Errorf("call %+v", call)
	}
	if f.Funcs["f"] == nil || len(f.Funcs["f"].Body) != 2 {
		t.Errorf("functions %+v", f.Funcs)
	}
}

func TestParseRefuses(t *testing.T) {
	deep := make([]byte, 0, 5000)
	for range 2500 {
		deep = append(deep, "(["...)
	}
	for _, text := range []string{"x = ", "x = (1", "class", "def f(:", "x = \"a", "if 1:\n    x = 1\n  y = 2\n", "$", "x = 1 2", string(deep)} {
		if _, err := Parse("a.py", []byte(text)); err == nil {
			t.Errorf("%.20q is read", text)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(sample))
	f.Add([]byte("def f():\n  return (1, )\n"))
	f.Add([]byte("x = {1: [2, -3.], \"\\x41\\101\": a.b(c, d=e)[0]}"))
	f.Fuzz(func(_ *testing.T, text []byte) { _, _ = Parse("fuzz.py", text) })
}
