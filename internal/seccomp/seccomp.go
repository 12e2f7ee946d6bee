// Package seccomp is the list of system calls that are refused in a sandbox, as
// the program that the kernel runs before each call. It is a list of what is
// refused, not of what is allowed: authors bring any language, whose runtime may
// call anything that is harmless. The namespaces hold without it; it takes away
// the parts of the kernel in which ways out of them have been found.
package seccomp

import (
	"encoding/binary"

	"golang.org/x/sys/unix"
)

// Kind is what the list is for.
type Kind uint8

// The kinds of list.
const (
	Code   Kind = iota // programs that may speak to the network that they have
	Worker             // programs that speak by the sockets that they are given
)

// Program gives the list as the bytes of a BPF program, in the byte order of this
// machine, as bubblewrap takes it.
func Program(k Kind) []byte {
	var out []byte
	for _, in := range assemble(rules(k)) {
		out = binary.NativeEndian.AppendUint16(out, in.Code)
		out = append(out, in.Jt, in.Jf)
		out = binary.NativeEndian.AppendUint32(out, in.K)
	}
	return out
}

func rules(k Kind) []rule {
	var out []rule
	for _, call := range refused {
		out = append(out, rule{call: call, errno: unix.EPERM})
	}
	for _, call := range absent {
		out = append(out, rule{call: call, errno: unix.ENOSYS})
	}
	out = append(append(out, uses...), ofMachine()...)
	if k == Worker {
		return append(out, families(unix.AF_UNIX))
	}
	return append(out, families(unix.AF_UNIX, unix.AF_INET, unix.AF_INET6))
}

// The places of what a program may read: struct seccomp_data.
const (
	offsetCall = 0
	offsetArch = 4
	offsetArgs = 16 // six of 64 bits
)

const (
	load   = unix.BPF_LD | unix.BPF_W | unix.BPF_ABS
	equals = unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K
	least  = unix.BPF_JMP | unix.BPF_JGE | unix.BPF_K
	mask   = unix.BPF_ALU | unix.BPF_AND | unix.BPF_K
	ret    = unix.BPF_RET | unix.BPF_K
)

// assemble turns the rules into a program that goes through them one by one. The
// kernel remembers the calls that are allowed whatever their arguments, so that
// the length costs these nothing.
func assemble(rules []rule) []unix.SockFilter {
	p := []unix.SockFilter{
		{Code: load, K: offsetArch},
		{Code: equals, K: auditArch, Jt: 1},
		refuse(unix.ENOSYS), // another architecture's calls have other numbers
		{Code: load, K: offsetCall},
	}
	if x32 != 0 {
		p = append(p, unix.SockFilter{Code: least, K: x32, Jf: 1}, refuse(unix.ENOSYS))
	}
	for _, r := range rules {
		body := []unix.SockFilter{}
		for _, t := range r.tests {
			body = append(body, t.code()...)
		}
		body = append(body, refuse(r.errno))
		// A test that fails jumps to the end of the body, which loads the number
		// of the call again where an argument has been loaded.
		for i := range body {
			if body[i].Jt == fails {
				body[i].Jt = uint8(len(body) - i - 1)
			}
			if body[i].Jf == fails {
				body[i].Jf = uint8(len(body) - i - 1)
			}
		}
		if len(r.tests) > 0 {
			body = append(body, unix.SockFilter{Code: load, K: offsetCall})
		}
		p = append(p, unix.SockFilter{Code: equals, K: r.call, Jf: uint8(len(body))})
		p = append(p, body...)
	}
	return append(p, unix.SockFilter{Code: ret, K: unix.SECCOMP_RET_ALLOW})
}

// fails stands for a jump out of a body whose length is not known yet.
const fails = 255

// code goes on to the next instruction where the test holds, else to fails.
func (t test) code() []unix.SockFilter {
	out := []unix.SockFilter{
		{Code: load, K: offsetArgs + 8*t.arg + lowHalf},
		{Code: mask, K: t.mask},
	}
	switch t.op {
	case anyOf:
	case bits:
		return append(out, unix.SockFilter{Code: equals, K: 0, Jt: fails})
	case noneOf:
		for _, v := range t.values {
			out = append(out, unix.SockFilter{Code: equals, K: v, Jt: fails})
		}
		return out
	}
	for i, v := range t.values {
		last := len(t.values) - 1 - i
		in := unix.SockFilter{Code: equals, K: v, Jt: uint8(last)}
		if last == 0 {
			in.Jf = fails
		}
		out = append(out, in)
	}
	return out
}

// lowHalf is where the low 32 bits of an argument are: amd64 and arm64 both have
// them first.
const lowHalf = 0

func refuse(e unix.Errno) unix.SockFilter {
	return unix.SockFilter{Code: ret, K: unix.SECCOMP_RET_ERRNO | uint32(e)}
}
