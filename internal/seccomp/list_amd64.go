package seccomp

import "golang.org/x/sys/unix"

const (
	auditArch       = unix.AUDIT_ARCH_X86_64
	sysOpenTreeAttr = 467 // not yet in package unix
	// x32 marks the calls of a second form that the processor's kernel may know,
	// which the list by numbers would miss.
	x32 = 0x40000000
)

// ofMachine are the calls that this architecture has beside the others.
func ofMachine() []rule {
	var out []rule
	for _, call := range []uint32{
		unix.SYS_IOPL, unix.SYS_IOPERM, unix.SYS_MODIFY_LDT, unix.SYS_USELIB, unix.SYS_USTAT, unix.SYS_SYSFS,
		unix.SYS__SYSCTL, unix.SYS_CREATE_MODULE, unix.SYS_GET_KERNEL_SYMS, unix.SYS_QUERY_MODULE,
	} {
		out = append(out, rule{call: call, errno: unix.EPERM})
	}
	return append(out,
		rule{unix.SYS_CHMOD, unix.EPERM, []test{{arg: 1, mask: setID, op: bits}}},
		rule{unix.SYS_CREAT, unix.EPERM, []test{{arg: 1, mask: setID, op: bits}}},
		rule{unix.SYS_MKNOD, unix.EPERM, []test{{arg: 1, mask: setID, op: bits}}},
		rule{unix.SYS_OPEN, unix.EPERM, []test{{arg: 1, mask: makes, op: bits}, {arg: 2, mask: setID, op: bits}}},
	)
}
