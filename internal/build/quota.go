package build

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

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

// reserve is what stays free on the disk of builds, for everything else that the
// server writes there: it covers what can be hidden from measuring.
const reserve = 512 << 20

// A quota bounds what folders hold together.
type quota struct {
	what    string // in a message
	dirs    []string
	hidden  func(dev uint64) int64 // what is written and has no name; nil for nothing
	bytes   int64
	entries int
}

// usage is what folders hold.
type usage struct {
	bytes   int64
	entries int
	most    int // entries
}

// check measures, and says what is too much.
func (q quota) check(ctx context.Context) error {
	u := usage{most: q.entries}
	for _, dir := range q.dirs {
		if err := u.add(ctx, dir); err != nil {
			return err
		}
	}
	if q.hidden != nil && len(q.dirs) > 0 {
		var st unix.Stat_t
		if err := unix.Lstat(q.dirs[0], &st); err == nil {
			u.bytes += q.hidden(st.Dev)
		}
	}
	if u.bytes > q.bytes {
		return stoa.Errorf(stoa.Invalid, "it wrote more than %s to %s", human.Bytes(q.bytes), q.what)
	}
	return nil
}

// add measures a folder that somebody may be changing: what has gone meanwhile
// does not count. Nothing is followed out of it, and of a folder with millions of
// names no more is read than the limit allows.
func (u *usage) add(ctx context.Context, dir string) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return stoa.Wrap(stoa.Internal, err, "the folder of a build cannot be measured")
	}
	defer root.Close()
	return u.folder(ctx, root, 0)
}

func (u *usage) folder(ctx context.Context, root *os.Root, depth int) error {
	f, err := root.Open(".")
	if err != nil {
		return unmeasured(err)
	}
	defer f.Close()
	for {
		if ctx.Err() != nil {
			return stoa.AsError(ctx.Err())
		}
		names, err := f.Readdirnames(1024)
		for _, n := range names {
			if err := u.one(ctx, root, n, depth); err != nil {
				return err
			}
		}
		if err != nil { // its end, or it is gone
			return nil
		}
	}
}

func (u *usage) one(ctx context.Context, root *os.Root, name string, depth int) error {
	info, err := root.Lstat(name)
	if err != nil {
		return unmeasured(err)
	}
	u.entries++
	u.bytes += onDisk(info)
	switch {
	case u.entries > u.most:
		return stoa.Errorf(stoa.Invalid, "it made more than %d files and folders", u.most)
	case !info.IsDir():
		return nil
	case depth == maxDeep:
		return stoa.Errorf(stoa.Invalid, "it made folders more than %d deep", maxDeep)
	}
	sub, err := root.OpenRoot(name)
	if err != nil {
		return unmeasured(err)
	}
	defer sub.Close()
	return u.folder(ctx, sub, depth+1)
}

// unmeasured tells what is hidden from what is gone. Root may look everywhere.
func unmeasured(err error) error {
	if errors.Is(err, fs.ErrPermission) {
		return stoa.Wrap(stoa.Invalid, err, "it made a folder that cannot be read, and so not be measured")
	}
	return nil
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

// enough refuses where the disk that a folder lies on is nearly full.
func enough(dir string) error {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return nil //nolint:nilerr // a file system that does not tell
	}
	if free := int64(st.Bavail) * st.Bsize; free < reserve {
		return stoa.Errorf(stoa.NoRoom, "the server's disk is nearly full: a build needs more than %s", human.Bytes(reserve))
	}
	return nil
}

// watch measures until ctx is done, and gives what became too much; nil where
// nothing did.
func watch(ctx context.Context, measure func(context.Context) error) error {
	timer := time.NewTimer(quotaEvery)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-timer.C:
		}
		start := time.Now()
		if err := measure(ctx); err != nil && ctx.Err() == nil {
			return err
		}
		timer.Reset(max(quotaEvery, quotaShare*time.Since(start)))
	}
}
