// Package doortest is a whole server over rooms that live in memory, for the
// tests of the native door and of whoever speaks to it. It keeps the promises
// that the rooms make to the door, and computes nothing: algorithms are Go
// functions.
package doortest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/account"
	"github.com/stoa-project/stoa/internal/api"
	"github.com/stoa-project/stoa/internal/api/algorithmia"
	"github.com/stoa-project/stoa/internal/blob"
	"github.com/stoa-project/stoa/internal/catalog"
)

// The keys that are valid at first, and the algorithm UUID of demo/hello.
const (
	AdminKey = "simAdmin00000000000000000000"
	DemoKey  = "simDemo000000000000000000000"
	OtherKey = "simOther00000000000000000000"
	HelloID  = "2938ca9f-54c8-4000-8000-000000000001"
)

// Func is an algorithm.
type Func func(ctx context.Context, c stoa.Call) stoa.Result

// System is the rooms and what a test may look at afterwards.
type System struct {
	mu       sync.Mutex
	versions []*catalog.Version // newest last
	funcs    map[string]Func    // by Ref.Key
	blobs    map[blob.Digest][]byte
	pushes   map[string]*push
	drafts   map[string]*draft
	keys     map[string]account.Key // by the key itself
	callers  map[string]stoa.Caller
	serial   int
	Puts     int // blobs that were uploaded
}

type push struct {
	who stoa.Caller
	ref stoa.Ref
	req catalog.PushRequest
}

// New makes a system with the users admin, demo and other and no algorithm.
func New() *System {
	s := &System{
		funcs: map[string]Func{}, blobs: map[blob.Digest][]byte{}, pushes: map[string]*push{}, drafts: map[string]*draft{},
		keys: map[string]account.Key{}, callers: map[string]stoa.Caller{},
	}
	s.addKey(AdminKey, stoa.Caller{Account: "admin", Admin: true}, "first key")
	s.addKey(DemoKey, stoa.Caller{Account: "demo"}, "default-key")
	s.addKey(OtherKey, stoa.Caller{Account: "other"}, "default-key")
	return s
}

var epoch = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func (s *System) addKey(key string, who stoa.Caller, label string) account.Key {
	s.serial++
	who.Key = "key" + strconv.Itoa(s.serial)
	k := account.Key{ID: who.Key, User: who.Account, Label: label, Prefix: key[:8], Created: epoch}
	s.keys[key], s.callers[key] = k, who
	return k
}

// Add publishes an algorithm that is a function. name is owner/name/1.2.3.
func (s *System) Add(name string, public bool, f Func) *catalog.Version {
	ref, err := stoa.ParseRef(name)
	if err != nil {
		panic(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	v := &catalog.Version{
		ID: "v-" + name, Algorithm: "00000000-0000-4000-8000-" + hex.EncodeToString([]byte(ref.Key() + "      "))[:12],
		Owner: ref.Owner, Name: ref.Name, Number: ref.Version.Version, Public: public, Kind: "model",
		Tagline: "the tagline of " + ref.Name, Hash: "hash of " + name, Manifest: json.RawMessage(`{"kind":"model","tags":["a","b"]}`),
		Report: json.RawMessage(`{"framework":"none"}`), Framework: "none", Creator: ref.Owner, Created: epoch,
	}
	if ref.Key() == "demo/hello" {
		v.Algorithm = HelloID
	}
	s.versions = append(s.versions, v)
	s.funcs[ref.Key()] = f
	return v
}

// AddFile gives a version another file.
func (s *System) AddFile(v *catalog.Version, name string, content []byte) {
	sum := sha256.Sum256(content)
	d := blob.Digest(hex.EncodeToString(sum[:]))
	s.mu.Lock()
	defer s.mu.Unlock()
	s.blobs[d] = content
	v.Files = append(v.Files, blob.File{Name: name, Digest: d, Size: int64(len(content))})
}

// Handler gives the server with the native door and perhaps others, and the
// door, whose Drain a test may call.
func (s *System) Handler(log *slog.Logger, cfg algorithmia.Config, more ...api.Door) (http.Handler, *algorithmia.API) {
	cfg.Catalog, cfg.Publisher, cfg.Accounts, cfg.Invoker, cfg.Log = s, s, s, s, log
	cfg.Drafts, cfg.Drafting, cfg.Previews = s, s, s
	door := algorithmia.New(cfg)
	h, err := api.New(api.Config{Auth: s, Log: log, Doors: append([]api.Door{door.Door()}, more...)})
	if err != nil {
		panic(err)
	}
	return h, door
}

// Authenticate is account.Accounts's.
func (s *System) Authenticate(_ context.Context, key string) (stoa.Caller, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c, ok := s.callers[key]; ok && s.keys[key].Revoked.IsZero() {
		return c, nil
	}
	return stoa.Caller{}, stoa.Errorf(stoa.Unauthenticated, "authorization required")
}

// Invoke is invoke.Invoker's.
func (s *System) Invoke(ctx context.Context, c stoa.Call) stoa.Result {
	v, err := s.Resolve(ctx, c.Caller, c.Ref)
	if err != nil {
		return stoa.Result{Err: err}
	}
	s.mu.Lock()
	f := s.funcs[strings.ToLower(v.Owner+"/"+v.Name)]
	s.mu.Unlock()
	if f == nil {
		return stoa.Result{Value: c.Input, Usage: stoa.Usage{Compute: time.Millisecond}}
	}
	return f(ctx, c)
}

func sees(who stoa.Caller, v *catalog.Version) bool {
	return v.Public || who.Admin || who.Account != "" && strings.EqualFold(who.Account, v.Owner)
}

func matches(ref stoa.Ref, v *catalog.Version) bool {
	if ref.Name == "" {
		return ref.Owner == v.Algorithm
	}
	return ref.Key() == strings.ToLower(v.Owner+"/"+v.Name)
}

// Resolve is catalog.Catalog's.
func (s *System) Resolve(_ context.Context, who stoa.Caller, ref stoa.Ref) (*catalog.Version, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	known := false
	for _, v := range slices.Backward(s.versions) {
		if !matches(ref, v) || !sees(who, v) {
			continue
		}
		known = true
		if ref.Version.IsZero() || ref.Version.Kind == stoa.ExactVersion && v.Number == ref.Version.Version {
			return v, nil
		}
	}
	if known {
		return nil, stoa.Errorf(stoa.NotFound, "algorithm %s/%s has no version %s", ref.Owner, ref.Name, ref.Version)
	}
	return nil, stoa.Errorf(stoa.NotFound, "algorithm %s/%s does not exist, or you may not see it", ref.Owner, ref.Name)
}

// seen gives what the caller sees of what q's owner and text mean.
func (s *System) seen(who stoa.Caller, q catalog.Query) []*catalog.Version {
	s.mu.Lock()
	defer s.mu.Unlock()
	newest := map[string]*catalog.Version{}
	for _, v := range s.versions {
		key := strings.ToLower(v.Owner + "/" + v.Name)
		if sees(who, v) && (q.Owner == "" || strings.EqualFold(q.Owner, v.Owner)) && strings.Contains(key+v.Tagline, strings.ToLower(q.Text)) {
			newest[key] = v
		}
	}
	out := []*catalog.Version{}
	for _, v := range newest {
		out = append(out, v)
	}
	slices.SortFunc(out, func(a, b *catalog.Version) int { return strings.Compare(a.Owner+a.Name, b.Owner+b.Name) })
	return out
}

// Search is catalog.Catalog's, of the whole text as a part of name and tagline.
func (s *System) Search(_ context.Context, who stoa.Caller, q catalog.Query) (catalog.Found, error) {
	sought := catalog.Sought{Kind: q.Kind, Framework: q.Framework}
	found := catalog.Found{Versions: []*catalog.Version{}}
	var groups []catalog.Group
	for _, v := range s.seen(who, q) {
		groups = append(groups, catalog.Group{Kind: v.Kind, Framework: v.Framework, Count: 1})
		if (q.Kind == "" || q.Kind == v.Kind) && (q.Framework == "" || q.Framework == v.Framework) {
			found.Versions = append(found.Versions, v)
		}
	}
	found.Count(sought, groups)
	from := min(q.Offset, len(found.Versions))
	found.Versions = found.Versions[from:]
	if q.Limit > 0 && len(found.Versions) > q.Limit {
		found.Versions = found.Versions[:q.Limit]
	}
	return found, nil
}

// Versions is catalog.Catalog's.
func (s *System) Versions(_ context.Context, who stoa.Caller, ref stoa.Ref) ([]*catalog.Version, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []*catalog.Version
	for _, v := range slices.Backward(s.versions) {
		if matches(ref, v) && sees(who, v) {
			out = append(out, v)
		}
	}
	if len(out) == 0 {
		return nil, stoa.Errorf(stoa.NotFound, "algorithm %s/%s does not exist, or you may not see it", ref.Owner, ref.Name)
	}
	return out, nil
}

// Remove is catalog.Catalog's.
func (s *System) Remove(_ context.Context, who stoa.Caller, ref stoa.Ref) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	before := len(s.versions)
	for _, v := range s.versions {
		if matches(ref, v) && !who.Admin && !strings.EqualFold(who.Account, v.Owner) {
			return stoa.Errorf(stoa.Forbidden, "only %s may remove %s/%s", v.Owner, v.Owner, v.Name)
		}
	}
	s.versions = slices.DeleteFunc(s.versions, func(v *catalog.Version) bool {
		return matches(ref, v) && (ref.Version.IsZero() || ref.Version.Version == v.Number)
	})
	if len(s.versions) == before {
		return stoa.Errorf(stoa.NotFound, "algorithm %s does not exist, or you may not see it", ref)
	}
	return nil
}

type content struct{ *bytes.Reader }

func (content) Close() error { return nil }

// OpenFile is catalog.Catalog's.
func (s *System) OpenFile(ctx context.Context, who stoa.Caller, ref stoa.Ref, name string) (blob.Content, error) {
	v, err := s.Resolve(ctx, who, ref)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range v.Files {
		if f.Name == name {
			return content{bytes.NewReader(s.blobs[f.Digest])}, nil
		}
	}
	return nil, stoa.Errorf(stoa.NotFound, "%s has no file %.100q", ref, name)
}

// BeginPush is catalog.Catalog's.
func (s *System) BeginPush(_ context.Context, who stoa.Caller, r catalog.PushRequest) (catalog.Push, error) {
	name := r.As
	for line := range strings.Lines(r.Manifest) {
		if n, ok := strings.CutPrefix(strings.TrimSpace(line), "name:"); ok && name == "" {
			name = strings.TrimSpace(n)
		}
	}
	if name, ok := strings.CutPrefix(name, "me/"); ok {
		r.As = who.Account + "/" + name
	} else if r.As = name; !strings.Contains(name, "/") {
		r.As = who.Account + "/" + name
	}
	ref, err := stoa.ParseRef(r.As)
	if err != nil {
		return catalog.Push{}, err
	}
	if !who.Admin && !strings.EqualFold(ref.Owner, who.Account) {
		return catalog.Push{}, stoa.Errorf(stoa.Forbidden, "%s may not publish for %s", who.Account, ref.Owner)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.serial++
	p := catalog.Push{ID: "push" + strconv.Itoa(s.serial), Ref: ref.String()}
	for _, f := range r.Files {
		if _, ok := s.blobs[f.Digest]; !ok && !slices.Contains(p.Missing, f.Digest) {
			p.Missing = append(p.Missing, f.Digest)
		}
	}
	s.pushes[p.ID] = &push{who: who, ref: ref, req: r}
	return p, nil
}

func (s *System) push(who stoa.Caller, id string) (*push, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p, ok := s.pushes[id]
	if !ok || p.who.Account != who.Account {
		return nil, stoa.Errorf(stoa.NotFound, "there is no open push %.100q: begin again", id)
	}
	return p, nil
}

// PutBlob is catalog.Catalog's.
func (s *System) PutBlob(_ context.Context, who stoa.Caller, id string, d blob.Digest, r io.Reader) error {
	if _, err := s.push(who, id); err != nil {
		return err
	}
	b, err := io.ReadAll(r)
	if err != nil {
		return stoa.Wrap(stoa.Invalid, err, "the upload broke off")
	}
	sum := sha256.Sum256(b)
	if hex.EncodeToString(sum[:]) != string(d) {
		return stoa.Errorf(stoa.Invalid, "the content is not that of %s", d)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.blobs[d] = b
	s.Puts++
	return nil
}

// CommitPush is catalog.Catalog's. Its build prints two lines.
func (s *System) CommitPush(_ context.Context, who stoa.Caller, id string, log io.Writer) (*catalog.Version, bool, error) {
	if log != nil {
		io.WriteString(log, "building\nbuilt\n")
	}
	p, err := s.push(who, id)
	if err != nil {
		return nil, false, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.pushes, id)
	sum := sha256.New()
	io.WriteString(sum, p.req.Manifest)
	for _, f := range p.req.Files {
		if _, ok := s.blobs[f.Digest]; !ok {
			return nil, false, stoa.Errorf(stoa.Conflict, "%s was not uploaded", f.Name)
		}
		io.WriteString(sum, f.Name+string(f.Digest))
	}
	hash := hex.EncodeToString(sum.Sum(nil))
	number := stoa.Version{Minor: 1}
	for _, v := range s.versions {
		if !matches(p.ref, v) {
			continue
		}
		if v.Hash == hash {
			return v, false, nil
		}
		bump, err := stoa.ParseBump(p.req.Bump)
		if err != nil {
			return nil, false, err
		}
		number = v.Number.Next(bump)
	}
	v := &catalog.Version{
		ID: id, Algorithm: "00000000-0000-4000-8000-" + hash[:12], Owner: p.ref.Owner, Name: p.ref.Name, Number: number,
		Public: strings.Contains(p.req.Manifest, "visibility: public"), Kind: "model", Hash: hash,
		Manifest: json.RawMessage(`{"kind":"model"}`), Report: json.RawMessage(`{"framework":"caffe","parameters":4}`),
		Files: p.req.Files, Creator: who.Account, Created: epoch,
	}
	s.versions = append(s.versions, v)
	return v, true, nil
}

// AbortPush is catalog.Catalog's.
func (s *System) AbortPush(_ context.Context, who stoa.Caller, id string) error {
	if _, err := s.push(who, id); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.pushes, id)
	return nil
}

// Open counts the pushes that were neither committed nor aborted.
func (s *System) Open() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.pushes)
}

// NewKey is account.Accounts's.
func (s *System) NewKey(_ context.Context, c stoa.Caller, user, label string, _ time.Time) (account.Key, string, error) {
	if !c.Admin && !strings.EqualFold(user, c.Account) {
		return account.Key{}, "", stoa.Errorf(stoa.Forbidden, "only an administrator makes keys for others")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	secret := "simNew0000000000000000000" + strconv.Itoa(100+s.serial)
	return s.addKey(secret, stoa.Caller{Account: user, Admin: c.Admin}, label), secret, nil
}

// Keys is account.Accounts's.
func (s *System) Keys(_ context.Context, c stoa.Caller) ([]account.Key, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []account.Key
	for _, k := range s.keys {
		if k.User == c.Account {
			out = append(out, k)
		}
	}
	slices.SortFunc(out, func(a, b account.Key) int { return strings.Compare(a.ID, b.ID) })
	return out, nil
}

// NewLink is account.Accounts's.
func (s *System) NewLink(_ context.Context, c stoa.Caller, now time.Time) (account.Token, error) {
	return account.Token{Secret: "link-of-" + c.Account, Expires: now.Add(time.Hour)}, nil
}

// Revoke is account.Accounts's.
func (s *System) Revoke(_ context.Context, c stoa.Caller, id string, now time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for secret, k := range s.keys {
		if (k.ID == id || secret == id) && (c.Admin || k.User == c.Account) {
			k.Revoked = now
			s.keys[secret] = k
			return nil
		}
	}
	return stoa.Errorf(stoa.NotFound, "you have no key %.20q: see stoa keys ls", id)
}
