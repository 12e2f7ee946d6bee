package catalog

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"path"
	"slices"
	"strings"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/blob"
	"github.com/stoa-project/stoa/internal/manifest"
)

// Bounds of a push, beside Config.MaxBytes. No honest manifest or bundle comes
// near; they bound the memory that an open push takes.
const (
	maxManifest = 1 << 20
	maxFiles    = 10_000
)

// bundle is a push request, checked. Nobody changes it.
type bundle struct {
	owner, name string // as the caller wants them written
	bump        stoa.Bump
	text        []byte // of stoa.yaml
	manifest    *manifest.Manifest
	json        json.RawMessage // of the manifest, with its full name and visibility
	hash        string
	files       []blob.File // with stoa.yaml, by name
}

func (b *bundle) public() bool  { return b.manifest.Visibility == visPublic }
func (b *bundle) ref() stoa.Ref { return stoa.Ref{Owner: b.owner, Name: b.name} }

const (
	visPublic  = "public"
	visPrivate = "private"
)

// newBundle checks all of a push request that can be checked without the files.
func newBundle(who stoa.Caller, r PushRequest, maxBytes int64) (*bundle, error) {
	if len(r.Manifest) > maxManifest {
		return nil, stoa.Errorf(stoa.TooLarge, "%s is longer than %d bytes", manifest.FileName, maxManifest)
	}
	bump, err := stoa.ParseBump(r.Bump)
	if err != nil {
		return nil, err
	}
	b := &bundle{bump: bump, text: []byte(r.Manifest)}
	if b.manifest, err = manifest.Parse(manifest.FileName, b.text); err != nil {
		return nil, err
	}
	if b.owner, b.name, err = target(who, r.As, b.manifest.Name); err != nil {
		return nil, err
	}
	if b.files, err = checkFiles(r.Files, b.text, maxBytes); err != nil {
		return nil, err
	}
	if err := namesThere(b.manifest, b.files); err != nil {
		return nil, err
	}
	return b, b.fill()
}

// target tells under which owner and name to publish, and that the caller may.
func target(who stoa.Caller, as, inManifest string) (owner, name string, err error) {
	if who.Account == "" {
		return "", "", stoa.Errorf(stoa.Unauthenticated, "authorization required")
	}
	s := cmp.Or(as, inManifest)
	if s == "" {
		return "", "", stoa.Errorf(stoa.Invalid, "the algorithm has no name: give it in %s (name: owner/name) or with --as owner/name", manifest.FileName)
	}
	s = strings.TrimPrefix(s, "algo://")
	switch strings.Count(s, "/") {
	case 0:
		s = "me/" + s
	case 1:
	default:
		return "", "", stoa.Errorf(stoa.Invalid, "name %.140q: write owner/name; a push finds the version itself (--bump major, minor or revision)", s)
	}
	ref, err := stoa.ParseRef(s)
	if err != nil {
		return "", "", err
	}
	if strings.EqualFold(ref.Owner, "me") || strings.EqualFold(ref.Owner, who.Account) {
		return who.Account, ref.Name, nil
	}
	if !who.Admin {
		return "", "", stoa.Errorf(stoa.Forbidden,
			"%s may not publish %s: only an administrator may name another owner; write me/%s", who.Account, ref, ref.Name)
	}
	return ref.Owner, ref.Name, nil
}

// checkFiles checks the list of files, and gives it with stoa.yaml, by name.
func checkFiles(files []blob.File, text []byte, maxBytes int64) ([]blob.File, error) {
	if len(files) > maxFiles {
		return nil, stoa.Errorf(stoa.TooLarge, "the push has %d files; at most %d may be", len(files), maxFiles)
	}
	sum := sha256.Sum256(text)
	own := blob.File{Name: manifest.FileName, Digest: blob.Digest(hex.EncodeToString(sum[:])), Size: int64(len(text))}
	out := []blob.File{own}
	total := own.Size
	sizes := map[blob.Digest]int64{own.Digest: own.Size}
	for _, f := range files {
		if err := blob.CheckName(f.Name); err != nil {
			return nil, err
		}
		if _, err := blob.ParseDigest(string(f.Digest)); err != nil {
			return nil, stoa.Wrap(stoa.Invalid, err, "file %.120q: sha256 must be 64 lower-case hexadecimal digits", f.Name)
		}
		if size, ok := sizes[f.Digest]; f.Size < 0 || ok && size != f.Size {
			return nil, stoa.Errorf(stoa.Invalid, "file %.120q: size %d is not that of its content", f.Name, f.Size)
		}
		if f.Name == own.Name {
			if f.Digest != own.Digest {
				return nil, stoa.Errorf(stoa.Invalid, "%s among the files is not the manifest that was sent", f.Name)
			}
			continue
		}
		if f.Size > maxBytes-total {
			return nil, stoa.Errorf(stoa.TooLarge, "file %.120q brings the push over the %d bytes that one may have", f.Name, maxBytes)
		}
		total += f.Size
		sizes[f.Digest] = f.Size
		out = append(out, f)
	}
	if err := distinct(out); err != nil {
		return nil, err
	}
	slices.SortFunc(out, func(f, g blob.File) int { return strings.Compare(f.Name, g.Name) })
	return out, nil
}

// distinct refuses names that are one on some file system: twice the same, in
// any case, or both a file and a folder.
func distinct(files []blob.File) error {
	seen := make(map[string]string, len(files))
	for _, f := range files {
		low := strings.ToLower(f.Name)
		if other, ok := seen[low]; ok {
			return stoa.Errorf(stoa.Invalid, "file %.120q is in the push twice (%.120q); case makes no difference", f.Name, other)
		}
		seen[low] = f.Name
	}
	for _, f := range files {
		for dir := path.Dir(strings.ToLower(f.Name)); dir != "."; dir = path.Dir(dir) {
			if other, ok := seen[dir]; ok {
				return stoa.Errorf(stoa.Invalid, "%.120q is a file, and %.120q is below it", other, f.Name)
			}
		}
	}
	return nil
}

// namesThere tells whether the push has every file that its manifest names.
func namesThere(m *manifest.Manifest, files []blob.File) error {
	have := make(map[string]bool, len(files))
	for _, f := range files {
		have[f.Name] = true
	}
	var lacks []string
	for _, name := range m.FileNames() {
		if !have[name] && !slices.Contains(lacks, name) {
			lacks = append(lacks, name)
		}
	}
	if len(lacks) == 0 {
		return nil
	}
	return stoa.Errorf(stoa.Invalid, "%s names files that are not in the push: %s", manifest.FileName, some(lacks))
}

// some joins a list that may be long for a message.
func some(names []string) string {
	const most = 5
	if len(names) > most {
		return strings.Join(names[:most], ", ") + ", …"
	}
	return strings.Join(names, ", ")
}

// fill finishes the manifest and takes the hash of the content: of the manifest
// without its name and visibility, and of names and digests of the files. The
// text of stoa.yaml is left out, as it holds both, and comments.
func (b *bundle) fill() error {
	m := *b.manifest
	switch m.Visibility {
	case "":
		m.Visibility = visPrivate
	case visPrivate, visPublic:
	default:
		return stoa.Errorf(stoa.Invalid, "visibility %.40q: write private or public", m.Visibility)
	}
	m.Kind = cmp.Or(m.Kind, "model")
	m.Name = b.owner + "/" + b.name
	bare := m
	bare.Name, bare.Visibility = "", ""
	canonical, err := json.Marshal(bare)
	if err != nil {
		return stoa.Wrap(stoa.Invalid, err, "%s holds what JSON can not: only text, numbers, lists and maps by text", manifest.FileName)
	}
	if b.json, err = json.Marshal(m); err != nil {
		return stoa.Wrap(stoa.Internal, err, "%s can not be kept", manifest.FileName)
	}
	sum := sha256.New()
	sum.Write(canonical)
	for _, f := range b.files {
		if f.Name != manifest.FileName { // names hold no control characters
			sum.Write([]byte("\n" + f.Name + "\x00" + string(f.Digest)))
		}
	}
	b.manifest, b.hash = &m, hex.EncodeToString(sum.Sum(nil))
	return nil
}
