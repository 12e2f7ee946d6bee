package seccomp

import "golang.org/x/sys/unix"

// rule refuses a call, or only those uses of it for which all tests hold. A call
// may have several rules.
type rule struct {
	call  uint32
	errno unix.Errno
	tests []test
}

// test looks at the low 32 bits of an argument: of those that are tested the
// kernel itself reads no more.
type test struct {
	arg    uint32
	mask   uint32
	op     op
	values []uint32
}

type op uint8

const (
	anyOf  op = iota // arg & mask is one of the values
	noneOf           // arg & mask is none of the values
	bits             // arg & mask is not 0
)

const whole = 0xffffffff

// newNamespaces are clone's and unshare's flags that make namespaces. Within a
// new user namespace a program has capabilities, and with them much more of the
// kernel is open to it.
const newNamespaces = unix.CLONE_NEWUSER | unix.CLONE_NEWNS | unix.CLONE_NEWPID | unix.CLONE_NEWNET |
	unix.CLONE_NEWIPC | unix.CLONE_NEWUTS | unix.CLONE_NEWCGROUP | unix.CLONE_NEWTIME

// setID are the modes that let a file run with its owner's rights. Outside, the
// owner of what a sandbox writes may be root.
const setID = unix.S_ISUID | unix.S_ISGID

// refused are calls that no program here has a use for, with EPERM, as if for
// want of a right: what changes the machine, what looks into other processes or
// the kernel, and what has often been the way out of a sandbox.
var refused = []uint32{
	// other processes
	unix.SYS_PTRACE, unix.SYS_PROCESS_VM_READV, unix.SYS_PROCESS_VM_WRITEV, unix.SYS_PROCESS_MADVISE,
	unix.SYS_KCMP, unix.SYS_PIDFD_GETFD, unix.SYS_MIGRATE_PAGES, unix.SYS_MOVE_PAGES,
	// mounts and namespaces
	unix.SYS_MOUNT, unix.SYS_UMOUNT2, unix.SYS_PIVOT_ROOT, unix.SYS_CHROOT, unix.SYS_SETNS, unix.SYS_OPEN_TREE,
	unix.SYS_MOVE_MOUNT, unix.SYS_FSOPEN, unix.SYS_FSCONFIG, unix.SYS_FSMOUNT, unix.SYS_FSPICK, unix.SYS_MOUNT_SETATTR,
	sysOpenTreeAttr,
	// files by handles, which know no folders
	unix.SYS_OPEN_BY_HANDLE_AT, unix.SYS_NAME_TO_HANDLE_AT,
	// the kernel's own programs, keys and counters
	unix.SYS_BPF, unix.SYS_PERF_EVENT_OPEN, unix.SYS_USERFAULTFD, unix.SYS_KEYCTL, unix.SYS_ADD_KEY, unix.SYS_REQUEST_KEY,
	unix.SYS_FANOTIFY_INIT, unix.SYS_FANOTIFY_MARK, unix.SYS_LOOKUP_DCOOKIE,
	// modules and other kernels
	unix.SYS_INIT_MODULE, unix.SYS_FINIT_MODULE, unix.SYS_DELETE_MODULE, unix.SYS_KEXEC_LOAD, unix.SYS_KEXEC_FILE_LOAD,
	unix.SYS_REBOOT,
	// the machine's settings
	unix.SYS_SWAPON, unix.SYS_SWAPOFF, unix.SYS_ACCT, unix.SYS_QUOTACTL, unix.SYS_QUOTACTL_FD, unix.SYS_SYSLOG,
	unix.SYS_SETTIMEOFDAY, unix.SYS_CLOCK_SETTIME, unix.SYS_CLOCK_ADJTIME, unix.SYS_ADJTIMEX,
	unix.SYS_SETHOSTNAME, unix.SYS_SETDOMAINNAME, unix.SYS_VHANGUP, unix.SYS_NFSSERVCTL,
}

// absent are calls that are answered as a kernel without them would, ENOSYS, so
// that libraries take the older way, which can be looked into: of these, the
// arguments are behind a pointer that a filter cannot follow.
var absent = []uint32{
	unix.SYS_CLONE3, unix.SYS_OPENAT2,
	unix.SYS_IO_URING_SETUP, unix.SYS_IO_URING_ENTER, unix.SYS_IO_URING_REGISTER,
}

// uses are calls of which only some uses are refused.
var uses = []rule{
	{unix.SYS_CLONE, unix.EPERM, []test{{arg: 0, mask: newNamespaces, op: bits}}},
	{unix.SYS_UNSHARE, unix.EPERM, []test{{arg: 0, mask: newNamespaces, op: bits}}},
	// The kinds of program that a process can ask to be taken for: those of Linux,
	// and the question which it is.
	{unix.SYS_PERSONALITY, unix.EPERM, []test{{arg: 0, mask: whole, op: noneOf, values: []uint32{0, 8, 0x20000, 0x20008, whole}}}},
	// Typing for others at a terminal.
	{unix.SYS_IOCTL, unix.EPERM, []test{{arg: 1, mask: whole, op: anyOf, values: []uint32{unix.TIOCSTI, unix.TIOCLINUX}}}},
	// Raw packets; the upper bits of a socket's type are flags.
	{unix.SYS_SOCKET, unix.EPERM, []test{{arg: 1, mask: 0xf, op: anyOf, values: []uint32{unix.SOCK_RAW, unix.SOCK_PACKET}}}},
	{unix.SYS_FCHMOD, unix.EPERM, []test{{arg: 1, mask: setID, op: bits}}},
	{unix.SYS_FCHMODAT, unix.EPERM, []test{{arg: 2, mask: setID, op: bits}}},
	{unix.SYS_FCHMODAT2, unix.EPERM, []test{{arg: 2, mask: setID, op: bits}}},
	{unix.SYS_MKNODAT, unix.EPERM, []test{{arg: 2, mask: setID, op: bits}}},
	// The mode counts only where a file is made.
	{unix.SYS_OPENAT, unix.EPERM, []test{{arg: 2, mask: makes, op: bits}, {arg: 3, mask: setID, op: bits}}},
}

// makes are the flags of open by which it makes a file.
const makes = unix.O_CREAT | unix.O_TMPFILE&^unix.O_DIRECTORY

// families refuses sockets of other kinds than those: the kernel has dozens, most
// of them seldom used and seldom looked at.
func families(of ...uint32) rule {
	return rule{unix.SYS_SOCKET, unix.EAFNOSUPPORT, []test{{arg: 0, mask: whole, op: noneOf, values: of}}}
}
