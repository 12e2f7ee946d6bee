package layer

import (
	"archive/tar"
	"context"
	"errors"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/blob"
)

// Temporary is how the names of half unpacked folders begin. They lie beside the
// folder that they are to become; who finds one at his start may remove it.
const Temporary = ".unpacking-"

// Unpack reads a layer to the end of r and makes the folder dir of it, which
// must not be there: the whole of it, or nothing after an error. Folders get mode 0755, files
// 0755 or 0644, so that everybody may read them who reaches dir. A name
// that leads out or is there twice, an entry whose folder did not come before
// it, a link that leads out, a hard link, and every kind of entry but files,
// folders and links is refused, as is anything behind the end.
func Unpack(ctx context.Context, r io.Reader, dir string, l Limits) (Summary, error) {
	if _, err := os.Lstat(dir); err == nil {
		return Summary{}, stoa.Errorf(stoa.Internal, "the folder that a layer becomes is there already")
	}
	tmp, err := os.MkdirTemp(filepath.Dir(dir), Temporary)
	if err != nil {
		return Summary{}, blob.WriteError(err)
	}
	done := false
	defer func() {
		if !done {
			os.RemoveAll(tmp) // what stays has a name that New of a cache removes
		}
	}()
	u := &unpacker{ctx: ctx, dirs: map[string]bool{"": true}, buf: make([]byte, copyBuffer)}
	u.limits = l.filled()
	if err := u.into(tmp, r); err != nil {
		return Summary{}, err
	}
	if err := os.Rename(tmp, dir); err != nil {
		return Summary{}, blob.WriteError(err)
	}
	done = true
	return Summary{Entries: u.entries, Bytes: u.bytes}, nil
}

type unpacker struct {
	count
	ctx  context.Context //nolint:containedctx // of one Unpack, which ends before it returns
	root *os.Root
	dirs map[string]bool // made by us: real folders
	buf  []byte
}

func (u *unpacker) into(dir string, r io.Reader) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return blob.WriteError(err)
	}
	defer root.Close()
	u.root = root
	if err := root.Chmod(".", 0o755); err != nil {
		return blob.WriteError(err)
	}
	in := tar.NewReader(r)
	for {
		if err := u.ctx.Err(); err != nil {
			return stoa.AsError(err)
		}
		h, err := in.Next()
		if errors.Is(err, io.EOF) {
			return u.rest(r)
		}
		if err != nil {
			return u.damaged(err)
		}
		if err := u.one(h, in); err != nil {
			return err
		}
	}
}

// rest reads what is behind the end: zeros, with which some pad.
func (u *unpacker) rest(r io.Reader) error {
	for {
		if err := u.ctx.Err(); err != nil {
			return stoa.AsError(err)
		}
		n, err := r.Read(u.buf)
		for _, b := range u.buf[:n] {
			if b != 0 {
				return stoa.Errorf(stoa.Invalid, "the layer has something behind its end")
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return u.damaged(err)
		}
	}
}

func (u *unpacker) one(h *tar.Header, in io.Reader) error {
	name := h.Name
	if h.Typeflag == tar.TypeDir {
		name = strings.TrimSuffix(name, "/")
	}
	if err := u.entry(name); err != nil {
		return err
	}
	parent := path.Dir(name)
	if parent == "." {
		parent = ""
	}
	if !u.dirs[parent] {
		return stoa.Errorf(stoa.Invalid, "the layer has %.200q before its folder, or below something that is none", name)
	}
	switch h.Typeflag {
	case tar.TypeDir:
		if err := u.root.Mkdir(name, 0o700); err != nil {
			return u.writeError(err, name)
		}
		u.dirs[name] = true
		return u.writeError(u.root.Chmod(name, 0o755), name)
	case tar.TypeReg:
		return u.file(name, h, in)
	case tar.TypeSymlink:
		target, ok := linkInside(name, h.Linkname)
		if !ok || len(target) > u.limits.Name {
			return stoa.Errorf(stoa.Invalid, "the layer's link %.200q leads out of it, to %.200q", name, h.Linkname)
		}
		return u.writeError(u.root.Symlink(target, name), name)
	}
	return stoa.Errorf(stoa.Invalid, "the layer's %.200q is neither a file, a folder nor a link", name)
}

// file makes a file. Its size is a claim: room is taken as bytes arrive.
func (u *unpacker) file(name string, h *tar.Header, in io.Reader) error {
	if err := u.count.file(name, h.Size); err != nil {
		return err
	}
	f, err := u.root.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return u.writeError(err, name)
	}
	err = u.content(f, in, h.Size)
	if err == nil {
		err = u.writeError(f.Chmod(os.FileMode(fileMode(h.FileInfo().Mode()))), name)
	}
	if cerr := f.Close(); err == nil {
		err = u.writeError(cerr, name)
	}
	return err
}

func (u *unpacker) content(f io.Writer, in io.Reader, size int64) error {
	for {
		if err := u.ctx.Err(); err != nil {
			return stoa.AsError(err)
		}
		n, err := in.Read(u.buf)
		size -= int64(n)
		if size < 0 {
			return stoa.Errorf(stoa.Invalid, "a file of the layer is longer than it says")
		}
		if _, werr := f.Write(u.buf[:n]); werr != nil {
			return blob.WriteError(werr)
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return u.damaged(err)
		}
	}
}

func (u *unpacker) writeError(err error, name string) error {
	if errors.Is(err, os.ErrExist) {
		return stoa.Wrap(stoa.Invalid, err, "the layer has %.200q twice", name)
	}
	return blob.WriteError(err)
}

// damaged is an error of the reader below where that is one of ours, else the
// layer's own.
func (u *unpacker) damaged(err error) error {
	var e *stoa.Error
	switch {
	case errors.As(err, &e):
		return e
	case u.ctx.Err() != nil:
		return stoa.AsError(u.ctx.Err())
	}
	return stoa.Wrap(stoa.Invalid, err, "the layer is damaged, or none")
}
