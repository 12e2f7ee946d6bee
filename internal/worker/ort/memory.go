package ort

// #include <malloc.h>
import "C"

import (
	"bytes"
	"io"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// trim gives memory that was freed back to the system, where malloc would keep
// it.
func trim() { C.malloc_trim(0) }

// resident gives the bytes of memory that this process holds and cannot drop:
// its resident pages less those of files. 0 where the system does not say.
func resident() int64 {
	b, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	f := bytes.Fields(b)
	if len(f) < 3 {
		return 0
	}
	total, err1 := strconv.ParseInt(string(f[1]), 10, 64)
	shared, err2 := strconv.ParseInt(string(f[2]), 10, 64)
	if err1 != nil || err2 != nil {
		return 0
	}
	return (total - shared) * int64(os.Getpagesize())
}

// memoryLimit says in words what this process may have.
func memoryLimit() string {
	var l unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_DATA, &l); err != nil || l.Cur == unix.RLIM_INFINITY {
		return "there is"
	}
	return "its process may have (" + strconv.FormatUint(l.Cur>>20, 10) + " MiB)"
}

func copyFile(dst, src string) error {
	in, err := os.Open(src)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(dst, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	if _, err := io.Copy(out, in); err != nil {
		_ = out.Close()
		return err
	}
	return out.Close()
}
