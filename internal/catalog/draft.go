package catalog

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/blob"
	"github.com/stoa-project/stoa/internal/manifest"
	"github.com/stoa-project/stoa/internal/media"
)

// An account has at most maxDrafts drafts: the one that was left alone the
// longest makes way for another. A browser that goes away tells nobody, so that
// a refusal would shut its user out for draftLife.
const (
	maxDrafts = 8
	draftLife = pushLife
	// maxDraftFiles is what the command line takes for a bundle too: a folder of
	// more is a mistake.
	maxDraftFiles = 2000
)

// Draft is files that were uploaded before anybody said what they are. It
// becomes a version by a push like any other.
type Draft struct {
	ID    string      `json:"id"`
	Files []blob.File `json:"files"` // by name
}

// Inspector tells what the files of a draft are, without publishing them. It is
// the importer in a process of its own.
type Inspector interface {
	Inspect(ctx context.Context, j InspectJob) (Inspection, error)
}

// InspectJob is a folder of files to look at.
type InspectJob struct {
	Dir  string // the files under their names
	Out  string // empty folder, for scratch
	Name string // of the algorithm, where no stoa.yaml gives one; "" for none
}

// Inspection is what was found out about a draft.
type Inspection struct {
	Report   json.RawMessage    `json:"report,omitempty"`   // an importer.Report; left out where no model could be read
	Manifest json.RawMessage    `json:"manifest,omitempty"` // stoa.yaml's, or the one that the files suggest
	YAML     string             `json:"yaml,omitempty"`     // the same as text, with remarks on what was guessed
	Given    bool               `json:"given"`              // stoa.yaml is among the files, and in order
	Problems []manifest.Problem `json:"problems"`           // what stands in the way of publishing; line 0 where it has none
}

// draft is an open draft. Its life:
//
//	open      in Catalog.drafts; uploads, inspections and publishing enter and leave
//	ended     published, aborted, pushed out, or aged: not in drafts, nobody enters
//	cleaned   ended, and the last one has left: its folder is gone.
type draft struct {
	id      string
	account string
	dir     string

	// Guarded by Catalog.mu.
	files   map[string]stagedFile // by name
	bytes   int64                 // of the files, and of those that are coming in
	inside  int
	ended   bool
	touched time.Time
}

// stagedFile is a file of a draft, and where it lies.
type stagedFile struct {
	blob.File
	path string
}

func (d *draft) expired(now time.Time) bool { return d.inside == 0 && now.Sub(d.touched) > draftLife }

// BeginDraft opens a draft without files.
func (c *Catalog) BeginDraft(ctx context.Context, who stoa.Caller) (Draft, error) {
	if who.Account == "" {
		return Draft{}, stoa.Errorf(stoa.Unauthenticated, "authorization required")
	}
	d := &draft{id: rand.Text(), account: who.Account, files: map[string]stagedFile{}, touched: c.cfg.Now()}
	d.dir = filepath.Join(c.cfg.Staging, d.id)
	for _, old := range c.makeWay(who) {
		c.endDraft(old)
	}
	if err := os.MkdirAll(d.dir, 0o700); err != nil {
		return Draft{}, blob.WriteError(err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.drafts[d.id] = d
	return Draft{ID: d.id, Files: []blob.File{}}, ctx.Err()
}

// makeWay chooses the drafts that end before another of the caller's begins:
// all that are too old, and of his own those that are too many.
func (c *Catalog) makeWay(who stoa.Caller) []*draft {
	now := c.cfg.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	var gone, own []*draft
	for _, d := range c.drafts {
		switch {
		case d.expired(now):
			gone = append(gone, d)
		case d.account == who.Account:
			own = append(own, d)
		}
	}
	slices.SortFunc(own, func(a, b *draft) int { return a.touched.Compare(b.touched) })
	return append(gone, own[:max(len(own)-maxDrafts+1, 0)]...)
}

// enterDraft finds an open draft of the caller and keeps its folder until
// leaveDraft.
func (c *Catalog) enterDraft(who stoa.Caller, id string) (*draft, error) {
	now := c.cfg.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	d := c.drafts[id]
	if d == nil || d.account != who.Account || d.expired(now) {
		return nil, stoa.Errorf(stoa.NotFound, "there is no open draft %.40q of yours: it was published or dropped; begin again", id)
	}
	d.inside++
	d.touched = now
	return d, nil
}

func (c *Catalog) leaveDraft(d *draft) {
	now := c.cfg.Now()
	c.mu.Lock()
	d.inside--
	d.touched = now
	last := d.ended && d.inside == 0
	c.mu.Unlock()
	if last {
		_ = os.RemoveAll(d.dir) // what cannot be removed now is at the next start
	}
}

// endDraft closes a draft to everybody. Its folder goes now, or with the last
// who is inside. A second end does nothing.
func (c *Catalog) endDraft(d *draft) {
	c.mu.Lock()
	was, inside := d.ended, d.inside
	d.ended = true
	delete(c.drafts, d.id)
	c.mu.Unlock()
	if !was && inside == 0 {
		_ = os.RemoveAll(d.dir) // as above
	}
}

// Draft lists the files of a draft.
func (c *Catalog) Draft(_ context.Context, who stoa.Caller, id string) (Draft, error) {
	d, err := c.enterDraft(who, id)
	if err != nil {
		return Draft{}, err
	}
	defer c.leaveDraft(d)
	return Draft{ID: d.id, Files: c.draftFiles(d)}, nil
}

// AbortDraft forgets a draft and what was uploaded for it.
func (c *Catalog) AbortDraft(_ context.Context, who stoa.Caller, id string) error {
	d, err := c.enterDraft(who, id)
	if err != nil {
		return err
	}
	defer c.leaveDraft(d)
	c.endDraft(d)
	return nil
}

// staged gives the files of a draft, by name.
func (c *Catalog) staged(d *draft) []stagedFile {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.SortedFunc(maps.Values(d.files), func(a, b stagedFile) int { return strings.Compare(a.Name, b.Name) })
}

func (c *Catalog) draftFiles(d *draft) []blob.File {
	out := []blob.File{}
	for _, f := range c.staged(d) {
		out = append(out, f.File)
	}
	return out
}

// PutDraftFile takes a file of a draft, in place of one of the same name. After
// an error nothing of it is kept, and the draft is as it was; only a full disk
// ends it, so that the room it took is free again.
func (c *Catalog) PutDraftFile(ctx context.Context, who stoa.Caller, id, name string, r io.Reader) (blob.File, error) {
	if err := blob.CheckName(name); err != nil {
		return blob.File{}, err
	}
	d, err := c.enterDraft(who, id)
	if err != nil {
		return blob.File{}, err
	}
	defer c.leaveDraft(d)
	if err := c.fitsName(d, name); err != nil { // before a byte is read, and once more at the end
		return blob.File{}, err
	}
	in := &draftReader{c: c, d: d, r: r}
	f, err := stageDraftFile(ctx, d, name, in)
	if err != nil {
		in.giveBack()
		e := *stoa.AsError(err)
		e.Msg = name + ": " + e.Msg
		if e.Kind == stoa.NoRoom {
			c.endDraft(d)
		}
		return blob.File{}, &e
	}
	if err := c.addDraftFile(d, f); err != nil {
		in.giveBack()
		_ = os.Remove(f.path) // goes with the folder at the latest
		return blob.File{}, err
	}
	return f.File, nil
}

// fitsName tells whether a file of that name can stand beside the others.
func (c *Catalog) fitsName(d *draft, name string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return d.canHold(name)
}

// canHold is fitsName under the lock.
func (d *draft) canHold(name string) error {
	all := []blob.File{{Name: name}}
	for _, f := range d.files {
		if f.Name != name {
			all = append(all, f.File)
		}
	}
	if len(all) > maxDraftFiles {
		return stoa.Errorf(stoa.TooLarge, "the draft has over %d files: leave out those that are not the algorithm's", maxDraftFiles)
	}
	return distinct(all)
}

// addDraftFile makes a staged file one of the draft's.
func (c *Catalog) addDraftFile(d *draft, f stagedFile) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if d.ended {
		return draftGone()
	}
	if err := d.canHold(f.Name); err != nil {
		return err
	}
	if old, ok := d.files[f.Name]; ok {
		d.drop(old)
	}
	d.files[f.Name] = f
	return nil
}

// drop forgets a file. Whoever reads it has it open, or a link to it.
func (d *draft) drop(f stagedFile) {
	delete(d.files, f.Name)
	d.bytes -= f.Size
	_ = os.Remove(f.path) // goes with the folder at the latest
}

// RemoveDraftFile forgets a file of a draft.
func (c *Catalog) RemoveDraftFile(_ context.Context, who stoa.Caller, id, name string) error {
	d, err := c.enterDraft(who, id)
	if err != nil {
		return err
	}
	defer c.leaveDraft(d)
	c.mu.Lock()
	defer c.mu.Unlock()
	f, ok := d.files[name]
	if !ok {
		return noDraftFile(name)
	}
	d.drop(f)
	return nil
}

func noDraftFile(name string) error {
	return stoa.Errorf(stoa.NotFound, "the draft has no file %.120q", name)
}

func draftGone() error { return stoa.Errorf(stoa.Conflict, "the draft was dropped meanwhile") }

// draftReader reads on while the draft is open and has room, and counts what it
// reads as the draft's.
type draftReader struct {
	c *Catalog
	d *draft
	r io.Reader
	n int64
}

// Read reads a part of the file.
func (r *draftReader) Read(b []byte) (int, error) {
	n, err := r.r.Read(b)
	r.c.mu.Lock()
	defer r.c.mu.Unlock()
	r.n += int64(n)
	r.d.bytes += int64(n)
	switch most := r.c.cfg.MaxBytes; {
	case r.d.ended:
		return 0, draftGone()
	case r.d.bytes > most:
		return 0, stoa.Errorf(stoa.TooLarge, "it brings the draft over the %d bytes that one may have", most)
	}
	return n, err
}

// giveBack takes what was read off the draft again.
func (r *draftReader) giveBack() {
	r.c.mu.Lock()
	defer r.c.mu.Unlock()
	r.d.bytes -= r.n
}

// stageDraftFile writes a file into the draft's folder, whole or not at all.
func stageDraftFile(ctx context.Context, d *draft, name string, r io.Reader) (stagedFile, error) {
	f, err := os.CreateTemp(d.dir, "file-*")
	if err != nil {
		return stagedFile{}, blob.WriteError(err)
	}
	digest, n, err := blob.Copy(ctx, f, r, -1)
	if cerr := f.Close(); err == nil {
		err = blob.WriteError(cerr)
	}
	if err != nil {
		_ = os.Remove(f.Name()) // goes with the folder at the latest
		return stagedFile{}, err
	}
	return stagedFile{blob.File{Name: name, Digest: digest, Size: n}, f.Name()}, nil
}

// OpenDraftFile opens a file of a draft. The caller closes it.
func (c *Catalog) OpenDraftFile(_ context.Context, who stoa.Caller, id, name string) (blob.Content, error) {
	d, err := c.enterDraft(who, id)
	if err != nil {
		return nil, err
	}
	defer c.leaveDraft(d)
	c.mu.Lock()
	f, ok := d.files[name]
	c.mu.Unlock()
	if !ok {
		return nil, noDraftFile(name)
	}
	file, err := os.Open(f.path)
	if err != nil {
		return nil, stoa.Wrap(stoa.NotFound, err, "%.120q was replaced meanwhile: try again", name)
	}
	return file, nil
}

// InspectDraft tells what the files of a draft are. name is the algorithm's
// where they have no stoa.yaml; "" takes one from the files.
func (c *Catalog) InspectDraft(ctx context.Context, who stoa.Caller, id, name string) (Inspection, error) {
	if c.cfg.Inspector == nil {
		return Inspection{}, stoa.Errorf(stoa.Unsupported, "this server does not inspect drafts")
	}
	d, err := c.enterDraft(who, id)
	if err != nil {
		return Inspection{}, err
	}
	defer c.leaveDraft(d)
	work, err := os.MkdirTemp(d.dir, "look-")
	if err != nil {
		return Inspection{}, blob.WriteError(err)
	}
	defer func() { _ = os.RemoveAll(work) }() // goes with the folder at the latest
	job := InspectJob{Dir: filepath.Join(work, "in"), Out: filepath.Join(work, "out"), Name: name}
	for _, dir := range []string{job.Dir, job.Out} {
		if err := os.Mkdir(dir, 0o700); err != nil {
			return Inspection{}, blob.WriteError(err)
		}
	}
	for _, f := range c.staged(d) {
		if err := f.linkTo(filepath.Join(job.Dir, filepath.FromSlash(f.Name))); err != nil {
			return Inspection{}, err
		}
	}
	out, err := c.cfg.Inspector.Inspect(ctx, job)
	if out.Problems == nil {
		out.Problems = []manifest.Problem{}
	}
	return out, err
}

// DraftCheck is a manifest to check beside the files of a draft.
type DraftCheck struct {
	Text  string      // of stoa.yaml
	Graph media.Graph // of the network, where it is known
}

// CheckDraft tells what is wrong with a manifest for a draft, as far as that can
// be told without the model: by itself, that its files are there, and that its
// adapters fit the network. The manifest is nil where it cannot be read.
func (c *Catalog) CheckDraft(_ context.Context, who stoa.Caller, id string, r DraftCheck) (*manifest.Manifest, []manifest.Problem, error) {
	d, err := c.enterDraft(who, id)
	if err != nil {
		return nil, nil, err
	}
	defer c.leaveDraft(d)
	m, err := manifest.Parse(manifest.FileName, []byte(r.Text))
	if err != nil {
		if p, ok := errors.AsType[*manifest.ParseError](err); ok {
			return nil, p.Problems, nil
		}
		return nil, nil, err
	}
	byName := map[string]stagedFile{}
	for _, f := range c.staged(d) {
		byName[f.Name] = f
	}
	return m, manifest.Fit([]byte(r.Text), m, r.Graph, manifest.Files{
		Has:  func(name string) bool { _, ok := byName[name]; return ok },
		Read: func(name string) ([]byte, error) { return byName[name].read() },
	}), nil
}

// read gives the beginning of a file, as far as one of labels may be long.
func (f stagedFile) read() ([]byte, error) {
	const most = 4 << 20
	file, err := os.Open(f.path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return io.ReadAll(io.LimitReader(file, most))
}

// linkTo makes the file stand at another place of the staging folder too.
func (f stagedFile) linkTo(path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return blob.WriteError(err)
	}
	if err := os.Link(f.path, path); err != nil {
		if os.IsNotExist(err) {
			return stoa.Wrap(stoa.Conflict, err, "%.120q was replaced or removed meanwhile: try again", f.Name)
		}
		return blob.WriteError(err)
	}
	return nil
}

// PublishDraft publishes what of a draft belongs into the bundle: the files that
// the manifest names, the papers and the samples. It is a push, whose blobs are
// there already. Files of the request are ignored. After an error the draft is
// as it was, so that its author can mend what is wrong; after a success it is
// gone.
func (c *Catalog) PublishDraft(ctx context.Context, who stoa.Caller, id string, r PushRequest) (*Version, bool, error) {
	d, err := c.enterDraft(who, id)
	if err != nil {
		return nil, false, err
	}
	defer c.leaveDraft(d)
	m, err := manifest.Parse(manifest.FileName, []byte(r.Manifest))
	if err != nil {
		return nil, false, err
	}
	r.Files = nil
	paths := map[blob.Digest]stagedFile{}
	for _, f := range c.staged(d) {
		if f.Name != manifest.FileName && m.Holds(f.Name) {
			r.Files = append(r.Files, f.File)
			paths[f.Digest] = f
		}
	}
	p, err := c.BeginPush(ctx, who, r)
	if err != nil {
		return nil, false, err
	}
	if err := c.fillPush(ctx, who, p, paths); err != nil {
		_ = c.AbortPush(context.WithoutCancel(ctx), who, p.ID) // it ends by age at the latest
		return nil, false, err
	}
	v, created, err := c.CommitPush(ctx, who, p.ID, nil)
	if err == nil {
		c.endDraft(d)
	}
	return v, created, err
}

// fillPush gives a push the blobs that it lacks: by links, since they were
// hashed as they came.
func (c *Catalog) fillPush(ctx context.Context, who stoa.Caller, open Push, paths map[blob.Digest]stagedFile) error {
	p, err := c.enter(who, open.ID)
	if err != nil {
		return err
	}
	defer c.leave(ctx, p)
	for _, digest := range open.Missing {
		if err := paths[digest].linkTo(p.stagedPath(digest)); err != nil {
			return err
		}
		c.mu.Lock()
		p.staged[digest] = true
		c.mu.Unlock()
	}
	return nil
}
