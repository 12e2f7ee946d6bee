package zip_test

import (
	stdzip "archive/zip"
	"bytes"
	"encoding/binary"
	"strings"
	"testing"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/format/zip"
)

type entry struct {
	name, body string
	method     uint16
}

func archive(t testing.TB, entries ...entry) []byte {
	t.Helper()
	var b bytes.Buffer
	w := stdzip.NewWriter(&b)
	for _, e := range entries {
		f, err := w.CreateHeader(&stdzip.FileHeader{Name: e.name, Method: e.method})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.Write([]byte(e.body)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.SetComment("a comment"); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestRead(t *testing.T) {
	long := strings.Repeat("abc", 1000)
	data := archive(t, entry{"a.txt", "stored", stdzip.Store}, entry{`sub\b.txt`, long, stdzip.Deflate}, entry{"sub/", "", stdzip.Store}, entry{"none", "", stdzip.Deflate})
	a, err := zip.Open(data)
	if err != nil {
		t.Fatal(err)
	}
	if len(a.Files) != 3 || !zip.Is(data) {
		t.Fatalf("%d entries", len(a.Files))
	}
	for name, want := range map[string]string{"a.txt": "stored", "sub/b.txt": long, "none": ""} {
		f := a.Find(name)
		if f == nil {
			t.Fatalf("no %s", name)
		}
		got, err := f.Data()
		if err != nil || string(got) != want {
			t.Errorf("%s: %d bytes, %v", name, len(got), err)
		}
	}
	if a.Find("nowhere") != nil {
		t.Error("found what is not there")
	}
}

// large rewrites an archive of one entry so that its sizes stand in 64 bits.
func large(t *testing.T) []byte {
	t.Helper()
	data := archive(t, entry{"big", "content", stdzip.Store})
	le := binary.LittleEndian
	end := bytes.LastIndex(data, []byte("PK\x05\x06"))
	central := int(le.Uint32(data[end+16:]))
	head := bytes.Clone(data[central : central+46+3])
	size := uint64(le.Uint32(head[24:]))
	for _, at := range []int{20, 24, 42} {
		le.PutUint32(head[at:], 1<<32-1)
	}
	le.PutUint16(head[30:], 28)
	extra := le.AppendUint16(nil, 1)
	extra = le.AppendUint16(extra, 24)
	extra = le.AppendUint64(extra, size)
	extra = le.AppendUint64(extra, size)
	extra = le.AppendUint64(extra, 0)
	out := append(bytes.Clone(data[:central]), head...)
	out = append(out, extra...)
	at64 := uint64(len(out))
	big := make([]byte, 56)
	copy(big, "PK\x06\x06")
	le.PutUint64(big[40:], at64-uint64(central))
	le.PutUint64(big[48:], uint64(central))
	out = append(out, big...)
	locator := make([]byte, 20)
	copy(locator, "PK\x06\x07")
	le.PutUint64(locator[8:], at64)
	out = append(out, locator...)
	last := make([]byte, 22)
	copy(last, "PK\x05\x06")
	le.PutUint32(last[12:], 1<<32-1)
	le.PutUint32(last[16:], 1<<32-1)
	return append(out, last...)
}

func TestZip64(t *testing.T) {
	a, err := zip.Open(large(t))
	if err != nil {
		t.Fatal(err)
	}
	got, err := a.Find("big").Data()
	if err != nil || string(got) != "content" {
		t.Errorf("%q %v", got, err)
	}
}

func TestRefused(t *testing.T) {
	two := archive(t, entry{"a", "first", stdzip.Store}, entry{"b", "first", stdzip.Store})
	// The second entry of the list is made to begin where the first does.
	overlap := bytes.Clone(two)
	second := bytes.LastIndex(overlap, []byte("PK\x01\x02"))
	binary.LittleEndian.PutUint32(overlap[second+42:], 0)
	bomb := archive(t, entry{"a", strings.Repeat("\x00", 64<<20), stdzip.Deflate})
	broken := archive(t, entry{"a", strings.Repeat("abc", 100), stdzip.Deflate})
	broken[40] ^= 0x55
	secret := archive(t, entry{"a", "x", stdzip.Store})
	secret[bytes.Index(secret, []byte("PK\x01\x02"))+8] |= 1
	for _, c := range []struct {
		name string
		data []byte
		kind stoa.Kind
		says string
	}{
		{"escapes", archive(t, entry{"../a", "x", stdzip.Store}), stoa.Invalid, "leads out"},
		{"escapes with backslashes", archive(t, entry{`a\..\..\b`, "x", stdzip.Store}), stoa.Invalid, "leads out"},
		{"absolute", archive(t, entry{"/etc/passwd", "x", stdzip.Store}), stoa.Invalid, "leads out"},
		{"drive", archive(t, entry{`C:\a`, "x", stdzip.Store}), stoa.Invalid, "leads out"},
		{"twice", archive(t, entry{"a", "x", stdzip.Store}, entry{"a", "y", stdzip.Store}), stoa.Invalid, "two entries"},
		{"overlap", overlap, stoa.Invalid, "share bytes"},
		{"encrypted", secret, stoa.Unsupported, "encrypted"},
		{"bomb", bomb, stoa.TooLarge, "unpack to 67108864 bytes"},
		{"broken", broken, stoa.Invalid, "zip:"},
		{"cut off", two[:len(two)-30], stoa.Invalid, "damaged"},
		{"nothing", nil, stoa.Invalid, "damaged"},
	} {
		t.Run(c.name, func(t *testing.T) {
			a, err := zip.Open(c.data)
			if err == nil {
				_, err = a.Files[0].Data()
			}
			if err == nil || stoa.KindOf(err) != c.kind || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%v", err)
			}
		})
	}
}

func FuzzOpen(f *testing.F) {
	f.Add(archive(f, entry{"a.txt", "stored", stdzip.Store}, entry{"b", strings.Repeat("abc", 50), stdzip.Deflate}))
	f.Add([]byte("PK\x03\x04"))
	f.Fuzz(func(t *testing.T, data []byte) {
		a, err := zip.Open(data)
		if err != nil {
			return
		}
		for _, e := range a.Files {
			if got, err := e.Data(); err == nil && int64(len(got)) != e.Size {
				t.Errorf("%q has %d bytes and says %d", e.Name, len(got), e.Size)
			}
		}
	})
}
