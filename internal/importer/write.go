package importer

import (
	"bufio"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/onnx"
)

// The names of the files that Write makes.
const (
	ModelFile   = "model.onnx"
	WeightsFile = "model.weights"
)

// Write writes the network into an existing folder, as workers take it: the
// graph in model.onnx, and beside it model.weights, which the runtime maps.
// Small networks have no weights file. It gives the names of the files. After an
// error none of them is there.
func (i *Imported) Write(dir string) ([]string, error) {
	return i.write(filepath.Join(dir, ModelFile), filepath.Join(dir, WeightsFile))
}

// WriteFile writes the network into one file, for people; where it is over the
// two gigabytes that one file can hold, the weights are beside it, in a file of
// the same name that ends in .weights.
func (i *Imported) WriteFile(path string) error {
	weights := ""
	// The graph itself takes a few megabytes at most.
	if i.Report.WeightBytes > onnx.MaxFile-64<<20 {
		weights = strings.TrimSuffix(path, filepath.Ext(path)) + ".weights"
	}
	_, err := i.write(path, weights)
	return err
}

// write writes beside the final names and renames at the end, so that no half
// of a file is ever there under its name.
func (i *Imported) write(path, weights string) (names []string, err error) {
	if i.model == nil {
		return nil, stoa.Errorf(stoa.Unsupported, "there is no network to write: %s", strings.Join(i.Report.Unsupported, "; "))
	}
	graph, err := create(path)
	if err != nil {
		return nil, failed(path, err)
	}
	defer func() { err = errors.Join(err, graph.discard()) }()
	if weights == "" {
		if err := onnx.Write(graph, i.model); err != nil {
			return nil, failed(path, err)
		}
		return []string{filepath.Base(path)}, failed(path, graph.keep())
	}
	data, err := create(weights)
	if err != nil {
		return nil, failed(weights, err)
	}
	defer func() { err = errors.Join(err, data.discard()) }()
	if err := onnx.WriteExternal(graph, data, i.model, filepath.Base(weights)); err != nil {
		return nil, failed(path, err)
	}
	names = []string{filepath.Base(path)}
	if data.size > 0 {
		if err := data.keep(); err != nil {
			return nil, failed(weights, err)
		}
		names = append(names, filepath.Base(weights))
	}
	return names, failed(path, graph.keep())
}

// failed names the file that could not be written.
func failed(path string, err error) error {
	var known *stoa.Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &known):
		return err
	case errors.Is(err, unix.ENOSPC), errors.Is(err, unix.EDQUOT):
		return stoa.Wrap(stoa.NoRoom, err, "%s cannot be written: the disk is full", filepath.Base(path))
	}
	return stoa.Wrap(stoa.Internal, err, "%s cannot be written: %s", filepath.Base(path), reason(err))
}

// draft is a file that has its name only when it is whole.
type draft struct {
	file *os.File
	buf  *bufio.Writer
	path string
	size int64
}

func create(path string) (*draft, error) {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return nil, err
	}
	return &draft{file: f, buf: bufio.NewWriterSize(f, 1<<16), path: path}, nil
}

func (d *draft) Write(b []byte) (int, error) {
	n, err := d.buf.Write(b)
	d.size += int64(n)
	return n, err
}

var _ io.Writer = (*draft)(nil)

func (d *draft) keep() error {
	const readable = 0o644 // temporary files are for their owner only
	err := errors.Join(d.buf.Flush(), d.file.Chmod(readable), d.file.Close())
	if err == nil {
		err = os.Rename(d.file.Name(), d.path)
	}
	if err == nil {
		d.file = nil
	}
	return err
}

// discard removes what was not kept.
func (d *draft) discard() error {
	if d.file == nil {
		return nil
	}
	_ = d.file.Close() // may be closed already
	return os.Remove(d.file.Name())
}
