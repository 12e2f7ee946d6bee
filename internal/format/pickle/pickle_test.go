package pickle_test

import (
	"math/big"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/format/pickle"
)

// samples were written by Python's pickle.dumps; each row says of what.
var samples = []struct {
	name, data string
	want       any
}{
	{"None, 2", "\x80\x02N.", nil},
	{"[1, -2, True, 1.5], 0", "(lp0\nI1\naI-2\naI01\naF1.5\na.", &pickle.List{Items: []any{int64(1), int64(-2), true, 1.5}}},
	{"[1, -2, True, 1.5], 2", "\x80\x02]q\x00(K\x01J\xfe\xff\xff\xff\x88G?\xf8\x00\x00\x00\x00\x00\x00e.", &pickle.List{Items: []any{int64(1), int64(-2), true, 1.5}}},
	{"('a', b'b', {'k': 300}), 4", "\x80\x04\x95\x14\x00\x00\x00\x00\x00\x00\x00\x8c\x01a\x94C\x01b\x94}\x94\x8c\x01k\x94M,\x01s\x87\x94.", pickle.Tuple{
		"a", pickle.Bytes("b"), &pickle.Dict{Pairs: []pickle.Pair{{Key: "k", Value: int64(300)}}},
	}},
	{"'a\\'\\n\\x00' of Python 2, 0", "S\"a'\\n\\x00\"\n.", pickle.Bytes("a'\n\x00")},
	{"u'\\u20ac', 0", "V\\u20ac\n.", "€"},
	{"2**70, 2", "\x80\x02\x8a\x09\x00\x00\x00\x00\x00\x00\x00\x00@.", new(big.Int).Lsh(big.NewInt(1), 70)},
	{"-1 as LONG1", "\x80\x02\x8a\x01\xff.", int64(-1)},
	{"{1}, 4", "\x80\x04\x8f\x94(K\x01\x90.", &pickle.Set{Items: []any{int64(1)}}},
	{"os.system('x'), 0", "cos\nsystem\n(S'x'\ntR.", &pickle.Object{Class: pickle.Name{Module: "os", Name: "system"}, Args: pickle.Tuple{pickle.Bytes("x")}}},
	{"the same as STACK_GLOBAL", "\x80\x04\x8c\x02os\x8c\x06system\x93\x8c\x01x\x85R.", &pickle.Object{
		Class: pickle.Name{Module: "os", Name: "system"}, Args: pickle.Tuple{"x"},
	}},
	{"an object with a state", "\x80\x02cm\nC\n)\x81}U\x01aK\x02sb.", &pickle.Object{
		Class: pickle.Name{Module: "m", Name: "C"}, Args: pickle.Tuple{}, State: &pickle.Dict{Pairs: []pickle.Pair{{Key: pickle.Bytes("a"), Value: int64(2)}}},
	}},
	{"INST", "(I1\nim\nC\n.", &pickle.Object{Class: pickle.Name{Module: "m", Name: "C"}, Args: pickle.Tuple{int64(1)}}},
	{"OBJ", "(cm\nC\nI1\no.", &pickle.Object{Class: pickle.Name{Module: "m", Name: "C"}, Args: pickle.Tuple{int64(1)}}},
	{"a shared value", "\x80\x02]q\x00K\x01a0h\x00h\x00\x86.", pickle.Tuple{&pickle.List{Items: []any{int64(1)}}, &pickle.List{Items: []any{int64(1)}}}},
}

func TestRead(t *testing.T) {
	for _, s := range samples {
		t.Run(s.name, func(t *testing.T) {
			got, n, err := pickle.Read([]byte(s.data+"rest"), pickle.Options{})
			if err != nil {
				t.Fatal(err)
			}
			if n != len(s.data) {
				t.Errorf("took %d bytes, want %d", n, len(s.data))
			}
			if d := cmp.Diff(s.want, got, cmp.Comparer(func(a, b *big.Int) bool { return a.Cmp(b) == 0 })); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestReadRefuses(t *testing.T) {
	for _, c := range []struct{ name, data, want string }{
		{"nothing", "", "byte 0: it claims 1 bytes where 0 are left"},
		{"a string that is not there", "\x80\x02X\xff\xff\xff\xffab", "byte 2: it claims 4294967295 bytes where 2 are left"},
		{"LONG4 that is not there", "\x8b\xff\xff\xff\x7f", "claims 2147483647 bytes"},
		{"a long LONG4", "\x8b\x00\x10\x00\x00" + strings.Repeat("\x01", 4096), "takes 4096 bytes"},
		{"deep tuples", ")" + strings.Repeat("\x85", 5000) + ".", "tuples lie over 1000 deep"},
		{"an opcode that is not known", "\xff.", "opcode 0xff is not known"},
		{"the extension registry", "\x82\x01.", "opcode 0x82 is not known"},
		{"a memo that is not there", "h\x05.", "there is no memo 5"},
		{"an empty stack", "a.", "the stack is empty"},
		{"no mark", "t.", "no mark"},
		{"protocol 6", "\x80\x06N.", "protocol 6"},
		{"a persistent id", "U\x01aQ.", "outside of it"},
		{"a call without a tuple", "cm\nC\nNR.", "not a tuple"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, _, err := pickle.Read([]byte(c.data), pickle.Options{})
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

type counter struct{ state any }

func (c *counter) SetState(s any) error { c.state = s; return nil }

func TestOptions(t *testing.T) {
	made := &counter{}
	got, _, err := pickle.Read([]byte("cm\nf\n(I1\ntR(I2\nI3\ntb\x85U\x01kQ\x86."), pickle.Options{
		Calls: map[string]func(pickle.Tuple) (any, error){"m.f": func(args pickle.Tuple) (any, error) {
			if args[0] != int64(1) {
				t.Errorf("called with %v", args)
			}
			return made, nil
		}},
		Persistent: func(id any) (any, error) { s, _ := pickle.Text(id); return "stored " + s, nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(pickle.Tuple{int64(2), int64(3)}, made.state); d != "" {
		t.Error(d)
	}
	if p := got.(pickle.Tuple); p[1] != "stored k" || p[0].(pickle.Tuple)[0] != made {
		t.Errorf("got %v", p)
	}
	_, _, err = pickle.Read([]byte("cm\nf\n)R."), pickle.Options{Calls: map[string]func(pickle.Tuple) (any, error){
		"m.f": func(pickle.Tuple) (any, error) { return nil, stoa.Errorf(stoa.Unsupported, "no") },
	}})
	if stoa.KindOf(err) != stoa.Unsupported || !strings.Contains(err.Error(), "m.f: no") {
		t.Errorf("got %v", err)
	}
}

func FuzzRead(f *testing.F) {
	for _, s := range samples {
		f.Add([]byte(s.data))
	}
	f.Add([]byte(")" + strings.Repeat("\x85", 2000) + "."))
	f.Add([]byte("]" + strings.Repeat("2a", 100) + "."))
	f.Fuzz(func(t *testing.T, data []byte) {
		_, n, err := pickle.Read(data, pickle.Options{Persistent: func(id any) (any, error) { return id, nil }})
		if err == nil && (n <= 0 || n > len(data)) {
			t.Errorf("took %d of %d bytes", n, len(data))
		}
	})
}
