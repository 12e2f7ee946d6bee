package landlock_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/stoa-project/stoa/internal/landlock"
)

// TestMain is also the process that is confined, where it is given folders.
func TestMain(m *testing.M) {
	if len(os.Args) != 4 || os.Args[1] != "child" {
		os.Exit(m.Run())
	}
	runtime.LockOSThread()
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		panic(err)
	}
	mine, other := os.Args[2], os.Args[3]
	if err := landlock.Thread([]string{mine, "/dev/null"}); err != nil {
		panic(err)
	}
	say := func(what string, err error) { fmt.Printf("%s: %v\n", what, errors.Unwrap(err)) }
	_, err := os.ReadFile(filepath.Join(other, "file"))
	say("read", err)
	say("write", os.WriteFile(filepath.Join(other, "file"), nil, 0o600))
	say("make", os.WriteFile(filepath.Join(other, "new"), nil, 0o600))
	say("remove", os.Remove(filepath.Join(other, "file")))
	say("own", os.WriteFile(filepath.Join(mine, "new"), nil, 0o600))
	say("null", os.WriteFile("/dev/null", []byte("x"), 0o600))
	if landlock.Version() >= 2 {
		err = os.Mkdir(filepath.Join(mine, "sub"), 0o700)
		if err == nil {
			err = os.Rename(filepath.Join(mine, "new"), filepath.Join(mine, "sub", "new"))
		}
		say("move", err)
	}
	os.Exit(0)
}

func TestOnlyWhatIsGivenIsWritten(t *testing.T) {
	if landlock.Version() == 0 {
		t.Skip("SKIPPED: this kernel has no Landlock")
	}
	mine, other := t.TempDir(), t.TempDir()
	if err := os.WriteFile(filepath.Join(other, "file"), []byte("there"), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), os.Args[0], "child", mine, other).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	want := []string{"read: <nil>", "write: permission denied", "make: permission denied", "remove: permission denied", "own: <nil>", "null: <nil>"}
	for _, w := range want {
		if !strings.Contains(string(out), w+"\n") {
			t.Errorf("%q is missing from:\n%s", w, out)
		}
	}
	if landlock.Version() >= 2 && !strings.Contains(string(out), "move: <nil>") {
		t.Errorf("a file cannot be moved between its own folders:\n%s", out)
	}
	if b, err := os.ReadFile(filepath.Join(other, "file")); err != nil || string(b) != "there" {
		t.Errorf("the other folder was changed: %q, %v", b, err)
	}
}
