package bundle

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stoa-project/stoa"
)

// written are indexes that TensorFlow wrote.
func written(t testing.TB) map[string][]byte {
	t.Helper()
	out := map[string][]byte{}
	for _, pattern := range []string{"*/variables/variables.index", "*/*.index"} {
		files, err := filepath.Glob(filepath.Join("../../../test/operators/tensorflow", pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			out[file] = data
		}
	}
	if len(out) == 0 {
		t.Fatal("there is no index")
	}
	return out
}

func TestParse(t *testing.T) {
	for file, data := range written(t) {
		if !Is(data) {
			t.Errorf("%s is none", file)
		}
		index, err := Parse(data)
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		e, ok := index.Entries["a/w"]
		if !ok || index.Shards != 1 || !slices.Equal(e.Shape, []int64{3, 4}) || e.Size != 48 || e.Type != 1 || e.Shard != 0 || e.Slices != 0 {
			t.Errorf("%s: a/w is %+v of %d shards", file, e, index.Shards)
		}
		for cut := range 40 {
			if _, err := Parse(data[cut+1:]); err != nil && stoa.AsError(err).Msg == "" {
				t.Errorf("%s, %d bytes less: %v", file, cut+1, err)
			}
		}
	}
	if Is([]byte("short")) {
		t.Error("five bytes are an index")
	}
	if _, err := Parse(make([]byte, 100)); stoa.KindOf(err) != stoa.Invalid {
		t.Errorf("zeros: %v", err)
	}
}

func TestUnsnappy(t *testing.T) {
	for _, c := range []struct {
		name, want string
		packed     []byte
	}{
		{"literal", "abcd", []byte{4, 3 << 2, 'a', 'b', 'c', 'd'}},
		{"a copy that reaches into itself", "abababab", []byte{8, 1 << 2, 'a', 'b', 2<<2 | 1, 2}},
		{"two bytes of offset", "abcabc", []byte{6, 2 << 2, 'a', 'b', 'c', 2<<2 | 2, 3, 0}},
		{"four bytes of offset", "abcabc", []byte{6, 2 << 2, 'a', 'b', 'c', 2<<2 | 3, 3, 0, 0, 0}},
		{"length in a byte", "abc", []byte{3, 60 << 2, 2, 'a', 'b', 'c'}},
		{"offset before the beginning", "", []byte{4, 0, 'a', 2<<2 | 2, 3, 0}},
		{"too short", "", []byte{9, 3 << 2, 'a', 'b', 'c', 'd'}},
		{"more than it says", "", []byte{2, 3 << 2, 'a', 'b', 'c', 'd'}},
		{"a claim", "", []byte{0xff, 0xff, 0xff, 0x7f, 0, 'a'}},
		{"cut off", "", []byte{8, 1 << 2, 'a'}},
	} {
		got, err := unsnappy(c.packed, 1<<20)
		if string(got) != c.want || (err != nil) != (c.want == "") {
			t.Errorf("%s: %q, %v", c.name, got, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, data := range written(f) {
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		index, err := Parse(data)
		if err == nil && index.Entries == nil {
			t.Error("no entries and no error")
		}
		_, _ = unsnappy(data, 1<<20)
	})
}
