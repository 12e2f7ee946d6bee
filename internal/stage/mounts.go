package stage

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// layOut shows every mount's source below Folder, where the new user reaches it
// although it could not walk the way to it. Each is a mount in which root's files
// are that user's, so that their modes need not be opened for others, and what is
// written is root's outside. It must be called as root in a mount namespace of
// our own.
func layOut(p *Plan) error {
	if p.UID == 0 {
		return nil
	}
	// Nothing that follows is to be seen outside. What is unmounted outside goes
	// here too, so that a sandbox keeps no file system busy that it does not see.
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_SLAVE, ""); err != nil {
		return fmt.Errorf("the mount namespace cannot be parted from the host's: %w", err)
	}
	users, err := userNamespace(p.UID)
	if err != nil {
		return fmt.Errorf("no namespace that maps user ids: %w", err)
	}
	defer unix.Close(users)
	trees := make([]int, len(p.Mounts))
	for i, m := range p.Mounts {
		if trees[i], err = tree(m, users, p.UID); err != nil {
			return fmt.Errorf("%s cannot be shown inside: %w", m.Source, err)
		}
	}
	// All sources are open, so covering the folder hides none of them.
	if err := unix.Mount("tmpfs", Folder, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=0755,size=1m"); err != nil {
		return fmt.Errorf("no folder for mounts: %w", err)
	}
	for i, m := range p.Mounts {
		if err := place(trees[i], filepath.Join(Folder, m.Name)); err != nil {
			return fmt.Errorf("%s cannot be mounted: %w", m.Source, err)
		}
	}
	return nil
}

// tree gives a descriptor of a detached mount of the source.
func tree(m Mount, users, uid int) (int, error) {
	fd, err := unix.OpenTree(unix.AT_FDCWD, m.Source, unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC)
	if err != nil {
		return -1, err
	}
	attr := &unix.MountAttr{Attr_set: unix.MOUNT_ATTR_NOSUID | unix.MOUNT_ATTR_NODEV}
	if !m.Write {
		attr.Attr_set |= unix.MOUNT_ATTR_RDONLY
	}
	mapped := *attr
	mapped.Attr_set |= unix.MOUNT_ATTR_IDMAP
	mapped.Userns_fd = uint64(users)
	err = unix.MountSetattr(fd, "", unix.AT_EMPTY_PATH, &mapped)
	if err == nil {
		return fd, nil
	}
	// The file system cannot map owners (or is mapped already). Then the modes
	// must let others read, and what is to be written becomes the new user's.
	if err := unix.MountSetattr(fd, "", unix.AT_EMPTY_PATH, attr); err != nil {
		return -1, err
	}
	if m.Write {
		err = unix.Fchownat(fd, "", uid, uid, unix.AT_EMPTY_PATH)
		return fd, err
	}
	return fd, nil
}

func place(tree int, target string) error {
	var st unix.Stat_t
	if err := unix.Fstat(tree, &st); err != nil {
		return err
	}
	var err error
	if st.Mode&unix.S_IFMT == unix.S_IFDIR {
		err = os.Mkdir(target, 0o755)
	} else {
		err = os.WriteFile(target, nil, 0o644) //nolint:gosec // a place to mount on
	}
	if err != nil {
		return err
	}
	defer unix.Close(tree)
	return unix.MoveMount(tree, "", unix.AT_FDCWD, target, unix.MOVE_MOUNT_F_EMPTY_PATH)
}

// userNamespace gives a descriptor of a user namespace in which root is uid. A
// namespace needs a process to be made; that one is killed at once.
func userNamespace(uid int) (int, error) {
	pid, err := pausedChild()
	if err != nil {
		return -1, err
	}
	defer func() {
		_ = unix.Kill(pid, unix.SIGKILL)
		_, _ = unix.Wait4(pid, nil, 0, nil)
	}()
	proc := "/proc/" + strconv.Itoa(pid)
	line := "0 " + strconv.Itoa(uid) + " 1\n"
	err = errors.Join(
		os.WriteFile(proc+"/uid_map", []byte(line), 0),
		os.WriteFile(proc+"/gid_map", []byte(line), 0),
	)
	if err != nil {
		return -1, err
	}
	return unix.Open(proc+"/ns/user", unix.O_RDONLY|unix.O_CLOEXEC, 0)
}

// pausedChild is a copy of this process in a new user namespace, which only
// waits to be killed. Of Go's runtime the copy has one thread and no scheduler,
// so it may do nothing but raw system calls.
//
//go:norace
func pausedChild() (int, error) {
	pid, _, errno := syscall.RawSyscall6(unix.SYS_CLONE, uintptr(unix.CLONE_NEWUSER|syscall.SIGCHLD), 0, 0, 0, 0, 0)
	if errno != 0 {
		return 0, errno
	}
	if pid == 0 {
		// It must not outlive us, whatever ends us.
		_, _, _ = syscall.RawSyscall(unix.SYS_PRCTL, unix.PR_SET_PDEATHSIG, uintptr(unix.SIGKILL), 0)
		for {
			_, _, _ = syscall.RawSyscall(unix.SYS_PPOLL, 0, 0, 0)
		}
	}
	return int(pid), nil
}
