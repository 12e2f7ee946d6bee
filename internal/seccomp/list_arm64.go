package seccomp

import "golang.org/x/sys/unix"

const (
	auditArch       = unix.AUDIT_ARCH_AARCH64
	sysOpenTreeAttr = 467 // not yet in package unix
	x32             = 0   // there is no second form
)

// ofMachine are the calls that this architecture has beside the others: none.
func ofMachine() []rule { return nil }
