package doortest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/blob"
	"github.com/stoa-project/stoa/internal/catalog"
	"github.com/stoa-project/stoa/internal/manifest"
	"github.com/stoa-project/stoa/internal/media"
	"github.com/stoa-project/stoa/internal/worker"
)

type draft struct {
	who   stoa.Caller
	files map[string]blob.File
}

func (s *System) draft(who stoa.Caller, id string) (*draft, error) {
	d, ok := s.drafts[id]
	if !ok || d.who.Account != who.Account {
		return nil, stoa.Errorf(stoa.NotFound, "there is no open draft %.40q of yours: begin again", id)
	}
	return d, nil
}

// BeginDraft is catalog.Catalog's.
func (s *System) BeginDraft(_ context.Context, who stoa.Caller) (catalog.Draft, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.serial++
	id := "draft" + strconv.Itoa(s.serial)
	s.drafts[id] = &draft{who: who, files: map[string]blob.File{}}
	return catalog.Draft{ID: id, Files: []blob.File{}}, nil
}

// Draft is catalog.Catalog's.
func (s *System) Draft(_ context.Context, who stoa.Caller, id string) (catalog.Draft, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	d, err := s.draft(who, id)
	if err != nil {
		return catalog.Draft{}, err
	}
	out := catalog.Draft{ID: id, Files: []blob.File{}}
	for _, f := range d.files {
		out.Files = append(out.Files, f)
	}
	slices.SortFunc(out.Files, func(a, b blob.File) int { return strings.Compare(a.Name, b.Name) })
	return out, nil
}

// PutDraftFile is catalog.Catalog's.
func (s *System) PutDraftFile(_ context.Context, who stoa.Caller, id, name string, r io.Reader) (blob.File, error) {
	if err := blob.CheckName(name); err != nil {
		return blob.File{}, err
	}
	b, err := io.ReadAll(r)
	if err != nil {
		return blob.File{}, stoa.Wrap(stoa.Invalid, err, "the upload broke off")
	}
	sum := sha256.Sum256(b)
	f := blob.File{Name: name, Digest: blob.Digest(hex.EncodeToString(sum[:])), Size: int64(len(b))}
	s.mu.Lock()
	defer s.mu.Unlock()
	d, err := s.draft(who, id)
	if err != nil {
		return blob.File{}, err
	}
	d.files[name], s.blobs[f.Digest] = f, b
	return f, nil
}

// RemoveDraftFile is catalog.Catalog's.
func (s *System) RemoveDraftFile(_ context.Context, who stoa.Caller, id, name string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	d, err := s.draft(who, id)
	if err != nil {
		return err
	}
	if _, ok := d.files[name]; !ok {
		return stoa.Errorf(stoa.NotFound, "the draft has no file %.100q", name)
	}
	delete(d.files, name)
	return nil
}

// AbortDraft is catalog.Catalog's.
func (s *System) AbortDraft(_ context.Context, who stoa.Caller, id string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, err := s.draft(who, id)
	if err == nil {
		delete(s.drafts, id)
	}
	return err
}

// OpenDraftFile is catalog.Catalog's.
func (s *System) OpenDraftFile(_ context.Context, who stoa.Caller, id, name string) (blob.Content, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	d, err := s.draft(who, id)
	if err != nil {
		return nil, err
	}
	f, ok := d.files[name]
	if !ok {
		return nil, stoa.Errorf(stoa.NotFound, "the draft has no file %.100q", name)
	}
	return content{bytes.NewReader(s.blobs[f.Digest])}, nil
}

// InspectDraft is catalog.Catalog's; it takes the first file for the model.
func (s *System) InspectDraft(ctx context.Context, who stoa.Caller, id, name string) (catalog.Inspection, error) {
	d, err := s.Draft(ctx, who, id)
	if err != nil {
		return catalog.Inspection{}, err
	}
	if len(d.Files) == 0 {
		return catalog.Inspection{Problems: []manifest.Problem{{Msg: "no model was recognised"}}}, nil
	}
	m := &manifest.Manifest{Name: name, Kind: "model", Model: &manifest.Model{Files: []string{d.Files[0].Name}}}
	data, err := m.JSON()
	return catalog.Inspection{
		Report: json.RawMessage(`{"framework":"none"}`), Manifest: data, YAML: string(manifest.Marshal(m, nil)), Problems: []manifest.Problem{},
	}, err
}

// CheckDraft is catalog.Catalog's; it does not look at the files.
func (s *System) CheckDraft(ctx context.Context, who stoa.Caller, id string, r catalog.DraftCheck) (*manifest.Manifest, []manifest.Problem, error) {
	if _, err := s.Draft(ctx, who, id); err != nil {
		return nil, nil, err
	}
	m, err := manifest.Parse(manifest.FileName, []byte(r.Text))
	if p, ok := errors.AsType[*manifest.ParseError](err); ok {
		return nil, p.Problems, nil
	}
	return m, nil, err
}

// PublishDraft is catalog.Catalog's.
func (s *System) PublishDraft(ctx context.Context, who stoa.Caller, id string, r catalog.PushRequest) (*catalog.Version, bool, error) {
	if _, err := manifest.Parse(manifest.FileName, []byte(r.Manifest)); err != nil {
		return nil, false, err
	}
	d, err := s.Draft(ctx, who, id)
	if err != nil {
		return nil, false, err
	}
	r.Files = d.Files
	p, err := s.BeginPush(ctx, who, r)
	if err != nil {
		return nil, false, err
	}
	v, created, err := s.CommitPush(ctx, who, p.ID, nil)
	if err == nil {
		err = s.AbortDraft(ctx, who, id)
	}
	return v, created, err
}

// Preview renders in this process, as a worker does in its own.
func (s *System) Preview(ctx context.Context, _ stoa.Caller, j worker.PreviewJob) (media.Preview, error) {
	return j.Render(ctx, media.Limits{})
}
