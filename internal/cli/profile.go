package cli

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/client"
)

const defaultServer = "http://127.0.0.1:8080"

// profile is what stoa login remembers.
type profile struct {
	Server  string `json:"server"`
	Key     string `json:"key"`
	Account string `json:"account"`
}

// profilePath gives the file of the profile.
func (a *app) profilePath() (string, error) {
	dir := a.env.Getenv("XDG_CONFIG_HOME")
	if dir == "" {
		if a.env.Home == "" {
			return "", stoa.Errorf(stoa.Invalid, "there is no home folder to keep a profile in: set HOME, or use STOA_SERVER and STOA_KEY")
		}
		dir = filepath.Join(a.env.Home, ".config")
	}
	return filepath.Join(dir, "stoa", "profile.json"), nil
}

// readProfile gives the profile, empty where there is none.
func (a *app) readProfile() (profile, error) {
	path, err := a.profilePath()
	if err != nil {
		return profile{}, nil //nolint:nilerr // without a home there is no profile, which is no failure
	}
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return profile{}, nil
	}
	if err != nil {
		return profile{}, stoa.Wrap(stoa.Invalid, err, "the profile cannot be read: %v", err)
	}
	var p profile
	if err := json.Unmarshal(b, &p); err != nil {
		return profile{}, stoa.Wrap(stoa.Invalid, err, "the profile %s is broken (%v): remove it and log in again", path, err)
	}
	return p, nil
}

// writeProfile keeps a profile, readable by its owner alone.
func (a *app) writeProfile(p profile) (string, error) {
	path, err := a.profilePath()
	if err != nil {
		return "", err
	}
	b, err := json.MarshalIndent(p, "", "  ")
	if err != nil {
		return "", stoa.Wrap(stoa.Internal, err, "the profile cannot be written")
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return "", stoa.Wrap(stoa.Invalid, err, "the profile cannot be kept: %v", err)
	}
	return path, writeFile(path, 0o600, append(b, '\n'))
}

// writeFile writes a file whole or not at all.
func writeFile(path string, mode fs.FileMode, b []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".stoa-*")
	if err != nil {
		return stoa.Wrap(stoa.Invalid, err, "%s cannot be written: %v", path, err)
	}
	defer os.Remove(f.Name())
	_, err = f.Write(b)
	err = errors.Join(err, f.Chmod(mode), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return stoa.Wrap(stoa.Invalid, err, "%s cannot be written: %v", path, err)
	}
	return nil
}

// where gives the server and key that a command is meant for. The profile's key
// is for the profile's server: it is never sent to another.
func (a *app) where() (server, key string, err error) {
	p, err := a.readProfile()
	if err != nil {
		return "", "", err
	}
	server = firstOf(a.server, a.env.Getenv("STOA_SERVER"), p.Server, defaultServer)
	key = firstOf(a.key, a.env.Getenv("STOA_KEY"))
	if key == "" && sameServer(server, p.Server) {
		key = p.Key
	}
	return server, key, nil
}

func firstOf(values ...string) string {
	for _, v := range values {
		if v != "" {
			return v
		}
	}
	return ""
}

func sameServer(a, b string) bool {
	plain := func(s string) string {
		if !strings.Contains(s, "://") {
			s = "http://" + s
		}
		return strings.ToLower(strings.TrimRight(s, "/"))
	}
	return plain(a) == plain(b)
}

// client connects to the server that a command is meant for.
func (a *app) client() (*client.Client, error) {
	server, key, err := a.where()
	if err != nil {
		return nil, err
	}
	return client.New(server, key, client.Options{})
}
