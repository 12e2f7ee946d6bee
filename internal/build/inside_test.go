package build_test

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stoa-project/stoa/internal/build"
	"github.com/stoa-project/stoa/internal/sandbox"
)

// attempts is a program that tries what its arguments say and prints what came of
// each: read PATH, write PATH, list PATH, connect HOST PORT, unix PATH.
const attempts = `/usr/bin/python3 - "$@" <<'END'
import os, socket, sys
for line in os.environ["ATTEMPTS"].split("\n"):
    what, *args = line.split()
    try:
        if what == "read":
            got = open(args[0]).read(20)
        elif what == "write":
            got = open(args[0], "w").write("x")
        elif what == "list":
            got = " ".join(sorted(os.listdir(args[0])))
        elif what == "connect":
            s = socket.create_connection((args[0], int(args[1])), timeout=3)
            got = "connected"
        elif what == "unix":
            s = socket.socket(socket.AF_UNIX)
            s.connect(args[0].replace("@", "\0"))
            got = "connected"
        print("TRIED", line, "=>", repr(got))
    except OSError as e:
        print("TRIED", line, "=> failed:", e.strerror or e)
END
`

// try runs attempts in a step, and gives what came of each.
func try(t *testing.T, b *bench, j build.Job, list ...string) map[string]string {
	t.Helper()
	j.Recipe.Env = append(j.Recipe.Env, "ATTEMPTS="+strings.Join(list, "\n"))
	res := b.build(j)
	out := map[string]string{}
	for line := range strings.SplitSeq(res.Report.Log, "\n") {
		if what, came, ok := strings.Cut(strings.TrimPrefix(line, "TRIED "), " => "); ok {
			out[what] = came
		}
	}
	for _, l := range list {
		if out[l] == "" {
			t.Fatalf("%q was not tried:\n%s", l, res.Report.Log)
		}
	}
	return out
}

func TestABuildStaysInside(t *testing.T) {
	needPython(t)
	b := open(t, sandbox.On, build.Config{})
	// Another owner's build has left something in its cache.
	other := job(t, build.Recipe{Build: `echo secret > "$CACHE/theirs"`}, nil)
	other.Owner = "other"
	b.build(other)
	theirs, err := filepath.Glob(filepath.Join(b.cfg.Cache, "scratch", "*", "theirs"))
	if err != nil || len(theirs) != 1 {
		t.Fatalf("%v %v", theirs, err)
	}
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer tcp.Close()
	unix, err := net.Listen("unix", fmt.Sprintf("@stoa-build-test-%d", os.Getpid()))
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close()
	_, port, _ := net.SplitHostPort(tcp.Addr().String())
	source := filepath.Join(t.TempDir(), "hosts-file")
	write(t, filepath.Dir(source), map[string]string{"hosts-file": "of the host"})
	must := map[string]string{ // what fails, and how
		"read " + theirs[0]:            "No such file",
		"write " + theirs[0]:           "No such file",
		"read /cache/theirs":           "No such file",
		"list " + b.cfg.Cache:          "No such file",
		"list " + b.cfg.Dir:            "No such file",
		"read " + source:               "No such file",
		"read /etc/shadow":             "No such file",
		"list /root":                   "No such file",
		"list /home":                   "No such file",
		"write /usr/x":                 "Read-only",
		"write /etc/x":                 "Read-only",
		"write /x":                     "Read-only",
		"write /lang/x":                "Read-only",
		"write /deps/x":                "Read-only",
		"connect 127.0.0.1 " + port:    "refused",
		"connect 127.0.0.1 9001":       "refused",
		"connect 93.184.216.34 80":     "unreachable",
		"connect 10.0.0.1 80":          "unreachable",
		"connect ::1 " + port:          "",
		"unix " + unix.Addr().String(): "refused",
		"list /run/stoa":               "",
	}
	can := map[string]string{ // and what is allowed, or the others would prove nothing
		"write /out/x": "1", "write /src/x": "1", "write /cache/mine": "1", "write /tmp/x": "1", "write /scratch/x": "1", "read /lang/runner": "'the runner'",
	}
	var list []string
	for a := range must {
		list = append(list, a)
	}
	for a := range can {
		list = append(list, a)
	}
	got := try(t, b, job(t, build.Recipe{Build: attempts}, nil), list...)
	for a, how := range must {
		if a == "list /run/stoa" {
			if strings.Contains(got[a], "egress") {
				t.Errorf("%s: %s", a, got[a])
			}
			continue
		}
		if !strings.HasPrefix(got[a], "failed:") || !strings.Contains(got[a], how) {
			t.Errorf("%s: %s, want %q", a, got[a], how)
		}
	}
	for a, how := range can {
		if got[a] != how {
			t.Errorf("%s: %s, want %s", a, got[a], how)
		}
	}
	// The same outside succeeds.
	if c, err := net.Dial("tcp", tcp.Addr().String()); err != nil {
		t.Error(err)
	} else {
		c.Close()
	}
	if _, err := os.ReadFile(theirs[0]); err != nil {
		t.Error(err)
	}
	// An owner finds what his own last build left.
	if got := try(t, b, job(t, build.Recipe{Build: attempts}, nil), "list /cache"); got["list /cache"] != "'mine'" {
		t.Errorf("an owner's own cache: %v", got)
	}
}

func TestADependencyStepStaysInside(t *testing.T) {
	needPython(t)
	cfg := build.Config{}
	world(t, &cfg, "mirror.example")
	b := open(t, sandbox.On, cfg)
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer tcp.Close()
	_, port, _ := net.SplitHostPort(tcp.Addr().String())
	j := job(t, build.Recipe{Locks: []string{"a.lock"}, Hosts: "echo mirror.example:80", Dependencies: attempts}, map[string]string{"a.lock": "", "code": "secret"})
	j.Manifest.Code.Build.Network = true
	got := try(t, b, j, "write /out/x", "read /src/code", "list /src", "connect 127.0.0.1 "+port, "connect 93.184.216.34 80", "connect 127.0.0.1 9001", "list /deps", "write /deps/x")
	for a, want := range map[string]string{
		"write /out/x": "failed: Read-only file system", "read /src/code": "failed: No such file or directory", "list /src": "'a.lock'",
		"connect 127.0.0.1 " + port: "failed: Connection refused", "connect 93.184.216.34 80": "failed: Network is unreachable",
		"connect 127.0.0.1 9001": "'connected'", "list /deps": "''", "write /deps/x": "1",
	} {
		if got[a] != want {
			t.Errorf("%s: %s, want %s", a, got[a], want)
		}
	}
}

// What a build leaves is the server's own and may be made to hurt whoever removes
// or reads it.
func TestWhatABuildLeaves(t *testing.T) {
	for _, c := range []struct{ name, script string }{
		{"folders that may not be read", `mkdir -p $SRC/a/b; touch $SRC/a/b/c; chmod 0 $SRC/a/b $SRC/a; mkdir $TMPDIR/x; chmod 0 $TMPDIR/x`},
		{"read-only folders", `mkdir -p $CACHE/mod/x; touch $CACHE/mod/x/y; chmod -R a-w $CACHE/mod; cp -R $CACHE/mod $SRC/mod; chmod -R a-w $SRC/mod`},
		{"links out", `ln -s / $SRC/root; ln -s /etc/passwd $OUT/passwd; ln -s .. $CACHE/up; ln -s / $TMPDIR/t`},
		{"pipes", `mkfifo $OUT/pipe $SRC/pipe $CACHE/pipe`},
		{"a process that stays", `(trap '' TERM HUP INT; while :; do echo x > $OUT/busy; done) >/dev/null 2>&1 & sleep 0.1`},
		{"odd names", `touch "$SRC/a b" "$SRC/$(printf 'x\ny')" "$SRC/$(printf '\377')" "$TMPDIR/-rf"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := open(t, sandbox.On, build.Config{})
			j := job(t, build.Recipe{Build: c.script + "\necho fine > $OUT/x"}, map[string]string{"main": ""})
			if strings.Contains(c.script, "chmod 0 ") && os.Geteuid() != 0 {
				if got := b.fails(j); !strings.Contains(got, "cannot be read") { // and so not be measured
					t.Errorf("%q", got)
				}
				return
			}
			b.build(j)
			if got := content(t, j, build.AppLayer)["x"]; got != "fine\n" {
				t.Errorf("%q", got)
			}
		})
	}
	b := open(t, sandbox.On, build.Config{})
	for _, c := range []struct{ name, script, want string }{
		{"very deep folders", `/usr/bin/python3 -c '
import os
for i in range(3000):
    os.mkdir("d"); os.chdir("d")
'`, "deep"},
		{"an odd name in /out", `touch "$OUT/$(printf 'x\ny')"`, "control character"},
	} {
		t.Run(c.name, func(t *testing.T) {
			needPython(t)
			b.t = t
			if got := b.fails(job(t, build.Recipe{Build: c.script}, nil)); !strings.Contains(got, c.want) {
				t.Errorf("%q", got)
			}
		})
	}
}
