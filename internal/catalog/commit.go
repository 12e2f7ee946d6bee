package catalog

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/blob"
	"github.com/stoa-project/stoa/internal/manifest"
)

// adopter is a blob.Store that can move a file of this machine into itself. The
// catalog asks for it because the weights of a model are its largest files, and
// a staged one has been written and hashed once already.
type adopter interface {
	Adopt(ctx context.Context, path string, d blob.Digest) error
}

// CommitPush builds the bundle and publishes it; created is false where the
// newest version has this very content already. log gets what the build prints as
// it comes; nil: nobody does. After an error nothing is published, no blob is
// kept, and the push is gone.
func (c *Catalog) CommitPush(ctx context.Context, who stoa.Caller, push string, log io.Writer) (v *Version, created bool, err error) {
	p, err := c.enter(who, push)
	if err != nil {
		return nil, false, err
	}
	defer c.leave(ctx, p)
	if c.end(ctx, p) > 1 {
		return nil, false, stoa.Errorf(stoa.Conflict, "the push was still being uploaded or committed: it is dropped; push again")
	}
	if lacks := c.lacks(p); len(lacks) > 0 {
		return nil, false, stoa.Errorf(stoa.Invalid, "the push lacks %d of its files: %s; push again", len(lacks), some(lacks))
	}
	if v, err := c.published(ctx, p); v != nil || err != nil {
		return v, false, err
	}
	res, err := c.build(ctx, p, log)
	if err != nil {
		return nil, false, err
	}
	if err := c.keepBlobs(ctx, p); err != nil {
		return nil, false, err
	}
	readme, err := c.readme(ctx, p)
	if err != nil {
		return nil, false, err
	}
	return c.publish(ctx, Version{
		Owner: p.owner, Name: p.name, Public: p.public(), Kind: p.manifest.Kind, Tagline: p.manifest.Tagline,
		Hash: p.hash, Manifest: p.json, Files: p.files, Built: p.built, Report: res.Report, Framework: FrameworkOf(res.Report),
		Readme: readme, Creator: who.Account, Created: c.cfg.Now().UTC().Truncate(time.Microsecond),
	}, p.bump)
}

// published gives the algorithm's newest version of the push's visibility where
// its content is the push's. The Store decides the same again when it publishes;
// this spares the build.
func (c *Catalog) published(ctx context.Context, p *push) (*Version, error) {
	vs, err := c.cfg.Store.Versions(ctx, p.ref().Key())
	if stoa.KindOf(err) == stoa.NotFound {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	for i := range vs {
		if vs[i].Public != p.public() {
			continue
		}
		if vs[i].Hash == p.hash {
			return &vs[i], nil
		}
		break
	}
	return nil, nil
}

// build lays the bundle out, has it built, and takes the digests of what was
// made.
func (c *Catalog) build(ctx context.Context, p *push, log io.Writer) (BuildResult, error) {
	job := BuildJob{Dir: filepath.Join(p.dir, "in"), Out: filepath.Join(p.dir, "out"), Manifest: p.json, Owner: p.owner, Name: p.name, Log: log}
	if job.Log == nil {
		job.Log = io.Discard
	}
	if err := os.Mkdir(job.Out, 0o700); err != nil {
		return BuildResult{}, blob.WriteError(err)
	}
	for _, f := range p.files {
		if err := c.layOut(ctx, p, f, filepath.Join(job.Dir, filepath.FromSlash(f.Name))); err != nil {
			return BuildResult{}, err
		}
	}
	res, err := c.cfg.Builder.Build(ctx, job)
	if err != nil {
		return BuildResult{}, err
	}
	p.built, err = collect(ctx, job.Out, res.Files)
	return res, err
}

// layOut brings a file of the bundle to path: by a link where it can be.
func (c *Catalog) layOut(ctx context.Context, p *push, f blob.File, path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return blob.WriteError(err)
	}
	if f.Name == manifest.FileName {
		return blob.WriteError(os.WriteFile(path, p.text, 0o400))
	}
	var from string
	if p.lacking[f.Digest] {
		from = p.stagedPath(f.Digest)
	} else if pather, ok := c.cfg.Blobs.(blob.Pather); ok {
		from = pather.Path(f.Digest)
	}
	if from != "" && os.Link(from, path) == nil {
		return nil
	}
	src, err := c.openSource(ctx, p, f)
	if err != nil {
		return err
	}
	defer src.Close()
	return copyTo(ctx, path, src, f)
}

func (c *Catalog) openSource(ctx context.Context, p *push, f blob.File) (io.ReadCloser, error) {
	switch {
	case p.lacking[f.Digest]:
		file, err := os.Open(p.stagedPath(f.Digest))
		return file, blob.WriteError(err)
	case f.Digest == p.manifestFile().Digest: // another file with the same text
		return io.NopCloser(bytes.NewReader(p.text)), nil
	}
	return c.cfg.Blobs.Open(ctx, f.Digest)
}

func (p *push) manifestFile() blob.File {
	for _, f := range p.files {
		if f.Name == manifest.FileName {
			return f
		}
	}
	return blob.File{}
}

func copyTo(ctx context.Context, path string, src io.Reader, f blob.File) error {
	dst, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o400)
	if err != nil {
		return blob.WriteError(err)
	}
	d, _, err := blob.Copy(ctx, dst, src, f.Size)
	if cerr := dst.Close(); err == nil {
		err = blob.WriteError(cerr)
	}
	if err == nil && d != f.Digest {
		err = stoa.Errorf(stoa.Internal, "the server's copy of %s is damaged: tell its administrator", f.Name)
	}
	return err
}

// collect takes name, digest and size of what a build made. The builder read
// untrusted files, so its answer is not trusted either: names stay below the
// folder, links are refused.
func collect(ctx context.Context, out string, names []string) ([]blob.File, error) {
	root, err := os.OpenRoot(out)
	if err != nil {
		return nil, stoa.Wrap(stoa.Internal, err, "what the build made can not be read")
	}
	defer root.Close()
	files := make([]blob.File, 0, len(names))
	for _, name := range names {
		if err := blob.CheckName(name); err != nil {
			return nil, stoa.Wrap(stoa.Internal, err, "the build made a file with a name that can not be")
		}
		f, err := hashFile(ctx, root, name)
		if err != nil {
			return nil, err
		}
		files = append(files, f)
	}
	if err := distinct(files); err != nil {
		return nil, stoa.Wrap(stoa.Internal, err, "the build made two files of one name")
	}
	return files, nil
}

func hashFile(ctx context.Context, root *os.Root, name string) (blob.File, error) {
	info, err := root.Lstat(name)
	if err == nil && !info.Mode().IsRegular() {
		err = stoa.Errorf(stoa.Internal, "it is a %s", info.Mode().Type())
	}
	if err != nil {
		return blob.File{}, stoa.Wrap(stoa.Internal, err, "the build said that it made %.120q, which is no file", name)
	}
	f, err := root.Open(name)
	if err != nil {
		return blob.File{}, stoa.Wrap(stoa.Internal, err, "the build's %.120q can not be read", name)
	}
	defer f.Close()
	d, n, err := blob.Copy(ctx, io.Discard, f, -1)
	if err != nil {
		return blob.File{}, err
	}
	return blob.File{Name: name, Digest: d, Size: n}, nil
}

// keepBlobs brings everything into the blob store. No version names it yet: on
// the way out of the commit, clean deletes what none came to use.
func (c *Catalog) keepBlobs(ctx context.Context, p *push) error {
	c.pins.add(digests(p.built)) // those of the files are pinned since the push began
	own := p.manifestFile()
	if _, _, err := c.cfg.Blobs.Put(ctx, bytes.NewReader(p.text), own.Digest); err != nil {
		return err
	}
	for d := range p.lacking {
		if err := c.keep(ctx, p.stagedPath(d), d); err != nil {
			return err
		}
	}
	kept := map[blob.Digest]bool{}
	for _, f := range p.built {
		if kept[f.Digest] { // the store may have moved the first of them
			continue
		}
		kept[f.Digest] = true
		if err := c.keep(ctx, filepath.Join(p.dir, "out", filepath.FromSlash(f.Name)), f.Digest); err != nil {
			return err
		}
	}
	return nil
}

func (c *Catalog) keep(ctx context.Context, path string, d blob.Digest) error {
	if a, ok := c.cfg.Blobs.(adopter); ok {
		return a.Adopt(ctx, path, d)
	}
	f, err := os.Open(path)
	if err != nil {
		return blob.WriteError(err)
	}
	defer f.Close()
	_, _, err = c.cfg.Blobs.Put(ctx, f, d)
	return err
}

func (c *Catalog) publish(ctx context.Context, v Version, bump stoa.Bump) (*Version, bool, error) {
	out, created, err := c.cfg.Store.Publish(ctx, v, bump)
	c.known.drop(&v) // after an error too: it may have been done all the same
	if err != nil {
		return nil, false, err
	}
	if created {
		c.cfg.Changed(stoa.Ref{Owner: out.Owner, Name: out.Name})
	}
	return &out, created, nil
}
