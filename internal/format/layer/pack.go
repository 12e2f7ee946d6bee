package layer

import (
	"archive/tar"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"syscall"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/blob"
)

// Pack writes the folder dir to w. Entries are sorted and have no times and no
// owners; a file's mode is 0755 where somebody may execute it, else 0644, so
// that a replica can read it under any user id. A file with several names
// becomes several files. Nothing is followed out of dir, though somebody may be
// changing it meanwhile; what changes under Pack's hands is an error. After an
// error w holds no layer.
func Pack(ctx context.Context, dir string, w io.Writer, l Limits) (Summary, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return Summary{}, stoa.Wrap(stoa.Internal, err, "the folder to be packed cannot be opened")
	}
	defer root.Close()
	p := &packer{ctx: ctx, out: tar.NewWriter(w), buf: make([]byte, copyBuffer)}
	p.limits = l.filled()
	if err := p.folder(root, ""); err != nil {
		return Summary{}, err
	}
	if err := p.out.Close(); err != nil {
		return Summary{}, blob.WriteError(err)
	}
	return Summary{Entries: p.entries, Bytes: p.bytes, Dropped: p.dropped}, nil
}

// copyBuffer is the size of the steps in which files are copied; the context is
// looked at between them.
const copyBuffer = 256 << 10

type packer struct {
	count
	ctx     context.Context //nolint:containedctx // of one Pack, which ends before it returns
	out     *tar.Writer
	buf     []byte
	dropped []string
}

// folder packs what is in root, whose path in the layer is at.
func (p *packer) folder(root *os.Root, at string) error {
	names, err := p.names(root, at)
	if err != nil {
		return err
	}
	for _, n := range names {
		if err := p.ctx.Err(); err != nil {
			return stoa.AsError(err)
		}
		if err := p.one(root, n, strings.TrimPrefix(at+"/"+n, "/")); err != nil {
			return err
		}
	}
	return nil
}

// names lists a folder in order. It reads no more of it than the limit allows:
// a folder may have millions of names.
func (p *packer) names(root *os.Root, at string) ([]string, error) {
	f, err := root.Open(".")
	if err != nil {
		return nil, readError(err, at)
	}
	defer f.Close()
	var names []string
	for {
		some, err := f.Readdirnames(1024)
		names = append(names, some...)
		if p.entries+len(names) > p.limits.Entries {
			return nil, stoa.Errorf(stoa.TooLarge, "there are more than %d files and folders", p.limits.Entries)
		}
		if errors.Is(err, io.EOF) {
			slices.Sort(names)
			return names, nil
		}
		if err != nil {
			return nil, readError(err, at)
		}
	}
}

func (p *packer) one(root *os.Root, base, name string) error {
	info, err := root.Lstat(base)
	if err != nil {
		return readError(err, name)
	}
	switch info.Mode().Type() {
	case 0:
		return p.file(root, base, name, info)
	case fs.ModeDir:
		return p.subfolder(root, base, name, info)
	case fs.ModeSymlink:
		return p.link(root, base, name)
	default:
		p.drop(name)
	}
	return nil
}

func (p *packer) drop(name string) {
	if len(p.dropped) < maxDropped {
		p.dropped = append(p.dropped, strings.ToValidUTF8(name, "?"))
	}
}

// file packs a file. It is opened without waiting, since it may have become a
// pipe, and must be the one that was looked at, since it may have become a link.
func (p *packer) file(root *os.Root, base, name string, info fs.FileInfo) error {
	if err := p.entry(name); err != nil {
		return err
	}
	f, err := root.OpenFile(base, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return readError(err, name)
	}
	defer f.Close()
	now, err := f.Stat()
	if err != nil {
		return readError(err, name)
	}
	if !now.Mode().IsRegular() || !os.SameFile(info, now) {
		return changed(name)
	}
	if err := p.count.file(name, now.Size()); err != nil {
		return err
	}
	h := tar.Header{Typeflag: tar.TypeReg, Name: name, Size: now.Size(), Mode: fileMode(now.Mode())}
	if err := p.out.WriteHeader(&h); err != nil {
		return blob.WriteError(err)
	}
	return p.content(f, name, now.Size())
}

func (p *packer) content(f io.Reader, name string, size int64) error {
	for size > 0 {
		if err := p.ctx.Err(); err != nil {
			return stoa.AsError(err)
		}
		n, err := f.Read(p.buf[:min(size, int64(len(p.buf)))])
		if _, werr := p.out.Write(p.buf[:n]); werr != nil {
			return blob.WriteError(werr)
		}
		size -= int64(n)
		switch {
		case errors.Is(err, io.EOF) && size > 0:
			return changed(name)
		case err != nil && !errors.Is(err, io.EOF):
			return readError(err, name)
		}
	}
	return nil
}

func (p *packer) subfolder(root *os.Root, base, name string, info fs.FileInfo) error {
	if err := p.entry(name); err != nil {
		return err
	}
	sub, err := root.OpenRoot(base)
	if err != nil {
		return readError(err, name)
	}
	defer sub.Close()
	now, err := sub.Lstat(".")
	if err != nil {
		return readError(err, name)
	}
	if !os.SameFile(info, now) {
		return changed(name)
	}
	h := tar.Header{Typeflag: tar.TypeDir, Name: name + "/", Mode: 0o755}
	if err := p.out.WriteHeader(&h); err != nil {
		return blob.WriteError(err)
	}
	return p.folder(sub, name)
}

func (p *packer) link(root *os.Root, base, name string) error {
	target, err := root.Readlink(base)
	if err != nil {
		return readError(err, name)
	}
	target, ok := linkInside(name, target)
	if !ok || len(target) > p.limits.Name {
		p.drop(name)
		return nil
	}
	if err := p.entry(name); err != nil {
		return err
	}
	return blob.WriteError(p.out.WriteHeader(&tar.Header{Typeflag: tar.TypeSymlink, Name: name, Linkname: target, Mode: 0o777}))
}

func fileMode(m fs.FileMode) int64 {
	if m&0o111 != 0 {
		return 0o755
	}
	return 0o644
}

func changed(name string) error {
	return stoa.Errorf(stoa.Invalid, "%.200q changed while it was packed", name)
}

// readError is of kind Invalid: the folder is what somebody's program made it.
func readError(err error, name string) error {
	if name == "" {
		name = "."
	}
	if errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE) || errors.Is(err, syscall.EIO) {
		return stoa.Wrap(stoa.Internal, err, "%.200q cannot be read", name)
	}
	return stoa.Wrap(stoa.Invalid, err, "%.200q cannot be read: it must be readable, and stay what it is", name)
}
