package sandbox

import (
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// watchTime is how often memory is looked at where nothing limits it.
const watchTime = 100 * time.Millisecond

// watch kills the sandbox when its memory is over the limit.
func (p *Process) watch() {
	tick := time.NewTicker(watchTime)
	defer tick.Stop()
	for {
		select {
		case <-p.done:
			return
		case <-tick.C:
		}
		p.mu.Lock()
		over := !p.closed && p.usage().Memory > p.record.Watch && p.kills == 0
		if over {
			p.kills++
		}
		p.mu.Unlock()
		if over {
			p.signal(unix.SIGKILL)
		}
	}
}

// canWatch tells whether this kernel lists a process's children.
func canWatch() bool {
	_, err := os.ReadFile("/proc/self/task/" + strconv.Itoa(os.Getpid()) + "/children")
	return err == nil
}

// tree adds up the memory of a process and all that came of it, and counts them.
// In a PID namespace all are process 1's offspring, whoever started them.
func tree(pid int) (memory, processes int64) {
	u := family{files: map[uint64]int64{}}
	u.add(pid)
	// What is mapped is in a file of memory as a rule, which must count once.
	files := u.tmp(pid)
	for _, n := range u.files {
		files += n
	}
	return u.anonymous + max(u.shared, files), u.processes
}

// family is what a sandbox's processes have in memory.
type family struct {
	processes         int64
	anonymous, shared int64
	files             map[uint64]int64 // open memfds by their numbers, which no folder shows
}

func (u *family) add(pid int) {
	proc := "/proc/" + strconv.Itoa(pid)
	b, err := os.ReadFile(proc + "/status")
	if err != nil {
		return
	}
	anonymous, shared := private(string(b))
	u.processes++
	u.anonymous += anonymous
	u.shared += shared
	u.memfds(proc + "/fd/")
	threads, _ := os.ReadDir(proc + "/task")
	for _, t := range threads {
		b, _ := os.ReadFile(proc + "/task/" + t.Name() + "/children")
		for child := range strings.FieldsSeq(string(b)) {
			if n, err := strconv.Atoi(child); err == nil {
				u.add(n)
			}
		}
	}
}

// memfds adds the files of memory that a process has open.
func (u *family) memfds(dir string) {
	entries, _ := os.ReadDir(dir)
	for _, e := range entries {
		var st unix.Stat_t
		if target, err := os.Readlink(dir + e.Name()); err == nil && strings.HasPrefix(target, "/memfd:") && unix.Stat(dir+e.Name(), &st) == nil {
			u.files[st.Ino] = st.Blocks * 512
		}
	}
}

// tmp gives what lies in the sandbox's /tmp, which is memory too. For a moment at
// its start a sandbox has the host's root, whose /tmp does not count.
func (u *family) tmp(pid int) int64 {
	var st unix.Statfs_t
	var host, root unix.Stat_t
	if unix.Stat("/", &host) != nil || unix.Stat("/proc/"+strconv.Itoa(pid)+"/root", &root) != nil || host.Dev == root.Dev && host.Ino == root.Ino {
		return 0
	}
	if unix.Statfs("/proc/"+strconv.Itoa(pid)+"/root/tmp", &st) != nil || st.Type != unix.TMPFS_MAGIC {
		return 0
	}
	return int64(st.Blocks-st.Bfree) * st.Bsize
}

// private reads from /proc/PID/status what a process has in memory that is not a
// disk's file, its own and what it may share: the pages of files are the machine's
// to take back.
func private(status string) (anonymous, shared int64) {
	for line := range strings.Lines(status) {
		f := strings.Fields(line)
		if len(f) != 3 {
			continue
		}
		n, err := strconv.ParseUint(f[1], 10, 40)
		switch {
		case err != nil:
		case f[0] == "RssAnon:":
			anonymous += int64(n) << 10
		case f[0] == "RssShmem:":
			shared += int64(n) << 10
		}
	}
	return anonymous, shared
}
