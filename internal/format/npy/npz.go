package npy

import (
	"archive/zip"
	"bytes"
	"hash/crc32"
	"io"
	"strings"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/tensor"
)

// maxInflated bounds what the compressed arrays of one archive may take
// together; arrays that are stored as they are cost nothing.
const maxInflated = 1 << 30

// AppendNpz writes arrays under their names as an npz archive to the end of
// dst. Nothing is compressed.
func AppendNpz(dst []byte, names []string, ts []tensor.Tensor) ([]byte, error) {
	if len(names) != len(ts) {
		return nil, stoa.Errorf(stoa.Internal, "npz: %d names for %d arrays", len(names), len(ts))
	}
	size := 0
	for i, t := range ts {
		size += len(t.Data) + 4*align + 4*len(names[i])
	}
	buf := bytes.NewBuffer(dst)
	buf.Grow(size)
	w := zip.NewWriter(buf)
	w.SetOffset(int64(len(dst)))
	seen := map[string]bool{}
	for i, t := range ts {
		if names[i] == "" || seen[names[i]] {
			return nil, stoa.Errorf(stoa.Invalid, "npz: array %d needs a name of its own, not %q", i, names[i])
		}
		seen[names[i]] = true
		head := appendHeader(nil, t)
		sum := crc32.Update(crc32.ChecksumIEEE(head), crc32.IEEETable, t.Data)
		total := uint64(len(head) + len(t.Data))
		f, err := w.CreateRaw(&zip.FileHeader{
			Name: names[i] + ".npy", Method: zip.Store, CRC32: sum, CompressedSize64: total, UncompressedSize64: total,
		})
		if err == nil {
			_, err = f.Write(head)
		}
		if err == nil {
			_, err = f.Write(t.Data)
		}
		if err != nil {
			return nil, stoa.Wrap(stoa.Internal, err, "npz: cannot write array %q", names[i])
		}
	}
	if err := w.Close(); err != nil {
		return nil, stoa.Wrap(stoa.Internal, err, "npz: cannot finish the archive")
	}
	return buf.Bytes(), nil
}

// ParseNpz reads an npz archive: the arrays in its order, and their names
// without ".npy". Arrays that are not compressed are views of data.
func ParseNpz(data []byte) (names []string, ts []tensor.Tensor, err error) {
	r, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		return nil, nil, stoa.Wrap(stoa.Invalid, err, "npz: the data is no zip archive")
	}
	budget := int64(maxInflated)
	seen := map[string]bool{}
	for _, f := range r.File {
		name, ok := strings.CutSuffix(f.Name, ".npy")
		if !ok {
			return nil, nil, stoa.Errorf(stoa.Unsupported, "npz: member %.80q is no .npy", f.Name)
		}
		if seen[name] {
			return nil, nil, stoa.Errorf(stoa.Invalid, "npz: two arrays are called %.80q", name)
		}
		seen[name] = true
		content, err := member(data, f, &budget)
		if err != nil {
			return nil, nil, err
		}
		t, err := Parse(content)
		if err != nil {
			e := stoa.AsError(err)
			return nil, nil, stoa.Wrap(e.Kind, err, "npz: array %.80q: %s", name, e.Msg)
		}
		names, ts = append(names, name), append(ts, t)
	}
	return names, ts, nil
}

// member gives the content of a file of the archive: a view of data where it is
// stored, and otherwise inflated, which is taken off the budget.
func member(data []byte, f *zip.File, budget *int64) ([]byte, error) {
	if f.Method == zip.Store {
		off, err := f.DataOffset()
		if err != nil || off < 0 || off > int64(len(data)) || f.CompressedSize64 > uint64(int64(len(data))-off) {
			return nil, stoa.Wrap(stoa.Invalid, err, "npz: member %.80q lies outside the archive", f.Name)
		}
		content := data[off : off+int64(f.CompressedSize64)]
		if crc32.ChecksumIEEE(content) != f.CRC32 {
			return nil, stoa.Errorf(stoa.Invalid, "npz: the checksum of %.80q is wrong", f.Name)
		}
		return content, nil
	}
	r, err := f.Open()
	if err != nil {
		return nil, stoa.Wrap(stoa.Unsupported, err, "npz: member %.80q cannot be opened", f.Name)
	}
	defer r.Close()
	content, err := io.ReadAll(io.LimitReader(r, *budget+1))
	if err != nil {
		return nil, stoa.Wrap(stoa.Invalid, err, "npz: member %.80q is damaged", f.Name)
	}
	*budget -= int64(len(content))
	if *budget < 0 {
		return nil, stoa.Errorf(stoa.TooLarge, "npz: the compressed arrays take over %d bytes", int64(maxInflated))
	}
	return content, nil
}
