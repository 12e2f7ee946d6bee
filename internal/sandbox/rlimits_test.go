package sandbox_test

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/stoa-project/stoa/internal/sandbox"
	"github.com/stoa-project/stoa/internal/stage"
)

// childVar makes this test binary the child that is limited.
const childVar = "STOA_TEST_SANDBOX"

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && (os.Args[1] == stage.Stage || os.Args[1] == stage.Confine) {
		os.Exit(stage.Main(os.Args[1:]))
	}
	if os.Getenv(childVar) == "" {
		os.Exit(m.Run())
	}
	if err := child(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

func child() error {
	if err := sandbox.Apply(sandbox.RLimits{Memory: 512 << 20, Files: 64}); err != nil {
		return err
	}
	for _, f := range []string{"/proc/self/status", "/proc/self/limits"} {
		b, err := os.ReadFile(f)
		if err != nil {
			return err
		}
		os.Stdout.Write(b)
	}
	if os.Getenv(childVar) == "greedy" {
		// In pieces: the kernel does not count what Go maps over addresses that it
		// has reserved, so that one block above the limit may come through, and
		// the next mapping fails.
		var blocks [][]byte
		for range 32 {
			blocks = append(blocks, make([]byte, 32<<20))
		}
		fmt.Println("got it", len(blocks))
	}
	return nil
}

func run(t *testing.T, mode string) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = []string{childVar + "=" + mode}
	out, err := os.CreateTemp(t.TempDir(), "out")
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	cmd.Stdout, cmd.Stderr = out, out
	if err := sandbox.Start(cmd); err != nil {
		t.Fatal(err)
	}
	end := cmd.Wait()
	if _, err := out.Seek(0, io.SeekStart); err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(out)
	if err != nil {
		t.Fatal(err)
	}
	return string(b), end
}

func TestAChildIsLimited(t *testing.T) {
	out, err := run(t, "modest")
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	plain := strings.Join(strings.Fields(out), " ")
	for _, want := range []string{"NoNewPrivs: 1", "Max core file size 0 0", "Max data size 536870912 536870912", "Max open files 64 64"} {
		if !strings.Contains(plain, want) {
			t.Errorf("the child lacks %q", want)
		}
	}
	if out, err := run(t, "greedy"); err == nil || strings.Contains(out, "got it") {
		t.Errorf("the child got twice the memory that it may have: %v: %.2000s", err, out)
	}
}
