package build

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/human"
)

// quotaEvery is how often the folders of a build are measured while it runs, and
// quotaShare bounds the time that this takes: a fifth of a processor. A disk takes
// about a gigabyte a second, so that a build may be over its quota by half of that
// before it is stopped.
const (
	quotaEvery = 500 * time.Millisecond
	quotaShare = 4
)

// maxDeep is how deep folders may be while a build runs: paths longer than the
// system's 4096 bytes are made for mischief.
const maxDeep = 256

// A quota bounds what folders hold together.
type quota struct {
	what    string // in a message
	dirs    []string
	bytes   int64
	entries int
}

// usage is what folders hold.
type usage struct {
	bytes   int64
	entries int
}

// check measures, and says what is too much.
func (q quota) check(ctx context.Context) error {
	var u usage
	for _, dir := range q.dirs {
		if err := u.add(ctx, dir, q.entries); err != nil {
			return err
		}
		if u.bytes > q.bytes {
			return stoa.Errorf(stoa.Invalid, "it wrote more than %s to %s", human.Bytes(q.bytes), q.what)
		}
	}
	return nil
}

// add measures a folder that somebody may be changing: what has gone meanwhile
// does not count. Nothing is followed out of it.
func (u *usage) add(ctx context.Context, dir string, entries int) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return stoa.Wrap(stoa.Internal, err, "the folder of a build cannot be measured")
	}
	defer root.Close()
	return fs.WalkDir(root.FS(), ".", func(path string, d fs.DirEntry, err error) error {
		if ctx.Err() != nil {
			return stoa.AsError(ctx.Err())
		}
		if err != nil {
			return nil //nolint:nilerr // gone, or not to be read: its own entry was counted
		}
		u.entries++
		switch {
		case u.entries > entries:
			return stoa.Errorf(stoa.Invalid, "it made more than %d files and folders", entries)
		case strings.Count(path, "/") > maxDeep:
			return stoa.Errorf(stoa.Invalid, "it made folders more than %d deep", maxDeep)
		}
		info, err := d.Info()
		if err != nil {
			return nil //nolint:nilerr // gone
		}
		u.bytes += onDisk(info)
		return nil
	})
}

// onDisk is the room that a file takes, holes left out; one with several names
// counts once in all.
func onDisk(info fs.FileInfo) int64 {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return info.Size()
	}
	links := int64(1)
	if !info.IsDir() {
		links = max(1, int64(st.Nlink))
	}
	return st.Blocks * 512 / links
}

// watch measures until ctx is done, and gives what became too much; nil where
// nothing did.
func watch(ctx context.Context, quotas []quota) error {
	timer := time.NewTimer(quotaEvery)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-timer.C:
		}
		start := time.Now()
		for _, q := range quotas {
			err := q.check(ctx)
			if e := new(stoa.Error); errors.As(err, &e) && e.Kind == stoa.Invalid {
				return err
			}
		}
		timer.Reset(max(quotaEvery, quotaShare*time.Since(start)))
	}
}
