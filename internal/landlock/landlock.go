// Package landlock has the kernel refuse a thread, and all that it will start,
// to change files outside some folders. It asks no rights and can never be taken
// back. It stands beside a read-only root: where a mount turns out to be
// writable, nothing is written all the same.
package landlock

import (
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// read is what may be done everywhere; it is all of reading.
const read = unix.LANDLOCK_ACCESS_FS_EXECUTE | unix.LANDLOCK_ACCESS_FS_READ_FILE | unix.LANDLOCK_ACCESS_FS_READ_DIR

// ofFiles are the rights that files have, beside folders.
const ofFiles = unix.LANDLOCK_ACCESS_FS_EXECUTE | unix.LANDLOCK_ACCESS_FS_WRITE_FILE | unix.LANDLOCK_ACCESS_FS_READ_FILE |
	unix.LANDLOCK_ACCESS_FS_TRUNCATE | unix.LANDLOCK_ACCESS_FS_IOCTL_DEV

// Version gives the version that the kernel has; 0 where it has none.
func Version() int {
	v, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, unix.LANDLOCK_CREATE_RULESET_VERSION)
	if errno != 0 {
		return 0
	}
	return int(v)
}

// rights are all that a version can refuse: each added to those before.
func rights(version int) uint64 {
	all := uint64(unix.LANDLOCK_ACCESS_FS_REFER - 1) // version 1 knows those below it
	if version >= 2 {
		all |= unix.LANDLOCK_ACCESS_FS_REFER
	}
	if version >= 3 {
		all |= unix.LANDLOCK_ACCESS_FS_TRUNCATE
	}
	if version >= 5 {
		all |= unix.LANDLOCK_ACCESS_FS_IOCTL_DEV
	}
	return all
}

// Thread confines the calling thread, which the caller has locked and which must
// have no new privileges: it may read everything and change only what lies at or
// below the given files and folders. With version 6 it can neither signal
// processes nor reach abstract sockets of others either. An error means that it
// is not confined.
func Thread(write []string) error {
	version := Version()
	if version == 0 {
		return fmt.Errorf("this kernel has no Landlock (Linux 5.13, with landlock among its security modules)")
	}
	attr := unix.LandlockRulesetAttr{Handled_access_fs: rights(version)}
	size := unsafe.Sizeof(attr.Handled_access_fs)
	if version >= 6 {
		attr.Scoped = unix.LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET | unix.LANDLOCK_SCOPE_SIGNAL
		size = unsafe.Offsetof(attr.Scoped) + unsafe.Sizeof(attr.Scoped)
	}
	fd, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, uintptr(unsafe.Pointer(&attr)), size, 0)
	if errno != 0 {
		return fmt.Errorf("no Landlock rules can be made: %w", errno)
	}
	defer unix.Close(int(fd))
	if err := allow(int(fd), "/", read); err != nil {
		return err
	}
	for _, path := range write {
		if err := allow(int(fd), path, attr.Handled_access_fs); err != nil {
			return err
		}
	}
	if _, _, errno := unix.Syscall(unix.SYS_LANDLOCK_RESTRICT_SELF, fd, 0, 0); errno != 0 {
		return fmt.Errorf("the Landlock rules cannot be put in force: %w", errno)
	}
	return nil
}

// allow adds a rule for a path and all below it.
func allow(rules int, path string, access uint64) error {
	fd, err := unix.Open(path, unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("no Landlock rule for %s: %w", path, err)
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return fmt.Errorf("no Landlock rule for %s: %w", path, err)
	}
	if st.Mode&unix.S_IFMT != unix.S_IFDIR {
		access &= ofFiles
	}
	attr := unix.LandlockPathBeneathAttr{Allowed_access: access, Parent_fd: int32(fd)}
	if _, _, errno := unix.Syscall6(unix.SYS_LANDLOCK_ADD_RULE, uintptr(rules), unix.LANDLOCK_RULE_PATH_BENEATH,
		uintptr(unsafe.Pointer(&attr)), 0, 0, 0); errno != 0 {
		return fmt.Errorf("no Landlock rule for %s: %w", path, errno)
	}
	return nil
}
