package sandbox_test

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"github.com/stoa-project/stoa/internal/sandbox"
)

// TestLanguagesWorkInside holds the list of refused calls to what languages and
// their clients need.
func TestLanguagesWorkInside(t *testing.T) {
	s := need(t, sandbox.Config{})
	for _, c := range []struct{ name, program, script, want string }{
		{"python", "/usr/bin/python3", "python3 -c 'import ssl, socket, sqlite3, subprocess, threading, asyncio; print(subprocess.check_output([\"echo\", \"hi\"]).decode(), end=\"\")'", "hi"},
		{"python processes", "/usr/bin/python3", "printf 'import multiprocessing as m\\ndef f(x): return x*x\\nif __name__ == \"__main__\":\\n  with m.Pool(2) as p: print(sum(p.map(f, range(4))))\\n' > /tmp/a.py && python3 /tmp/a.py", "14"},
		{"python, names of hosts", "/usr/bin/python3", "python3 -c 'import socket; print(socket.gethostbyname(\"localhost\"), socket.gethostname())'", "127.0.0.1 test"},
		{"python, a server for itself", "/usr/bin/python3", "python3 -c 'import socket; s = socket.create_server((\"127.0.0.1\", 9000)); c = socket.create_connection((\"localhost\", 9000)); print(\"ok\")'", "ok"},
		{"pip", "/usr/bin/pip3", "mkdir /tmp/p && cd /tmp/p && printf 'from setuptools import setup\\nsetup(name=\"probe\", version=\"1\", py_modules=[\"probe\"])' > setup.py && touch probe.py && pip3 install --quiet --no-index --no-build-isolation --no-deps --target /tmp/deps . 2>&1 | grep -v WARNING; cd /; PYTHONPATH=/tmp/deps python3 -c 'import probe; print(probe.__file__)'", "/tmp/deps/probe.py"},
		{"node", "/usr/bin/node", "node -e 'new (require(\"worker_threads\").Worker)(\"console.log(1+1)\", {eval: true})'", "2"},
		{"node, files and children", "/usr/bin/node", "node -e 'require(\"fs\").promises.writeFile(\"/tmp/x\", \"y\").then(() => console.log(require(\"child_process\").execSync(\"cat /tmp/x\").toString()))'", "y"},
		{"npm", "/usr/bin/npm", "mkdir -p /tmp/n/a && cd /tmp/n && echo '{\"name\":\"a\",\"version\":\"1.0.0\"}' > a/package.json && npm install --offline --no-audit --no-fund --silent ./a && ls node_modules", "a"},
		{"go", "/usr/local/go/bin/go", "mkdir /tmp/g && cd /tmp/g && printf 'module x\\n' > go.mod && printf 'package x\\nfunc F() int { return 1 }' > x.go && /usr/local/go/bin/go build -o /tmp/x.a . && test -s /tmp/x.a && echo built", "built"},
		{"a compiler", "/usr/bin/cc", "printf '#include <stdio.h>\\n#include <threads.h>\\nint f(void *x) { return 3; }\\nint main() { thrd_t t; int r; thrd_create(&t, f, 0); thrd_join(t, &r); printf(\"%%d\\\\n\", r); }' > /tmp/c.c && cc -o /tmp/c /tmp/c.c -lpthread && /tmp/c", "3"},
		{"streams by their names", "/bin/sh", "echo one > /dev/stdout; echo two > /dev/stderr", "one\ntwo"},
		{"certificates", "/etc/ssl/certs/ca-certificates.crt", "grep -c BEGIN /etc/ssl/certs/ca-certificates.crt | grep -qv '^0$' && echo some", "some"},
	} {
		t.Run(strings.ReplaceAll(c.name, " ", "_"), func(t *testing.T) {
			if _, err := os.Stat(c.program); err != nil {
				t.Skipf("SKIPPED: there is no %s", c.program)
			}
			var out bytes.Buffer
			_, err := s.Run(t.Context(), sandbox.Spec{
				Name: "test", Command: []string{"/bin/sh", "-c", c.script}, Dir: "/tmp", Tmp: 512 << 20, Kind: sandbox.Build,
				Env:    []string{"PATH=/usr/local/bin:/usr/bin:/bin", "HOME=/tmp", "GOCACHE=/tmp/cache", "GOPATH=/tmp/go", "GOFLAGS=-mod=mod", "CGO_ENABLED=0"},
				Limits: sandbox.Limits{Memory: 2 << 30, Processes: 256, Files: 1024},
			}, nil, &out, &out)
			if got := strings.TrimSpace(out.String()); err != nil || got != c.want {
				t.Errorf("%v: %q, want %q", err, got, c.want)
			}
		})
	}
}
