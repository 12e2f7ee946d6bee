package sandbox

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// made are files of /etc that say the same on every machine.
var made = map[string]string{
	"passwd":        "root:x:0:0:root:/:/usr/sbin/nologin\n" + insideName + ":x:" + insideUID + ":" + insideUID + "::/tmp:/bin/sh\nnobody:x:65534:65534:nobody:/:/usr/sbin/nologin\n",
	"group":         "root:x:0:\n" + insideName + ":x:" + insideUID + ":\nnogroup:x:65534:\n",
	"hosts":         "127.0.0.1 localhost\n::1 localhost\n",
	"host.conf":     "multi on\n",
	"nsswitch.conf": "passwd: files\ngroup: files\nshadow: files\nhosts: files dns\nnetworks: files\nprotocols: files\nservices: files\n",
	"resolv.conf":   "# There is no network but the way out that Stoa opens.\n",
	"shells":        "/bin/sh\n",
}

// copied are those of the host that its programs need to be started, and the
// certificates by which they know servers. A machine may lack any of them.
var copied = []string{
	"ld.so.cache", "ld.so.conf", "alternatives", "localtime", "mime.types", "protocols", "services",
	"ssl/certs/ca-certificates.crt", "ssl/openssl.cnf", "pki/tls/certs/ca-bundle.crt", "pki/tls/cert.pem", "ssl/cert.pem",
}

// makeEtc makes the folder that is /etc inside: the host's own tells who its
// users are and how it is set up.
func makeEtc(dir string, more []string) error {
	// Another server of this folder is not there, and an old one's is not trusted.
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for name, content := range made {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil { //nolint:gosec // as above
			return err
		}
	}
	for _, name := range append(append([]string{}, copied...), more...) {
		if _, is := made[name]; is || !filepath.IsLocal(name) {
			continue
		}
		if err := copyTree(filepath.Join("/etc", name), filepath.Join(dir, name)); err != nil {
			return err
		}
	}
	return nil
}

// copyTree copies a file or a folder with its links; what is not there, or not
// for us to read, is left out.
func copyTree(from, to string) error {
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	st, err := os.Lstat(from)
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, fs.ErrPermission):
		return nil
	case err != nil:
		return err
	case st.Mode().IsRegular():
		return copyFile(from, to)
	case st.Mode()&fs.ModeSymlink != 0:
		// Links into /usr are good inside too; of others the content is taken.
		target, err := os.Readlink(from)
		if err != nil {
			return err
		}
		if filepath.IsAbs(target) && !within("/usr", target) || !filepath.IsAbs(target) {
			if real, err := filepath.EvalSymlinks(from); err != nil || !within("/usr", real) {
				return copyFile(from, to)
			}
			target, _ = filepath.EvalSymlinks(from) // as a moment ago
		}
		return os.Symlink(target, to)
	case !st.IsDir():
		return nil
	}
	entries, err := os.ReadDir(from)
	if err != nil {
		return nil //nolint:nilerr // not for us to read
	}
	if err := os.MkdirAll(to, 0o755); err != nil {
		return err
	}
	for _, e := range entries {
		if err := copyTree(filepath.Join(from, e.Name()), filepath.Join(to, e.Name())); err != nil {
			return err
		}
	}
	return nil
}

func copyFile(from, to string) error {
	st, err := os.Stat(from)
	// Of a file that others may not read, root must not make a copy for all.
	if err != nil || !st.Mode().IsRegular() || st.Mode()&0o004 == 0 {
		return nil //nolint:nilerr // left out
	}
	b, err := os.ReadFile(from)
	if err != nil {
		return nil //nolint:nilerr // left out
	}
	return os.WriteFile(to, b, 0o644) //nolint:gosec // read by the sandbox's user
}

// within tells whether a path is a folder or below it.
func within(folder, path string) bool {
	rel, err := filepath.Rel(folder, path)
	return err == nil && filepath.IsLocal(rel)
}
