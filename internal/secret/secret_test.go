package secret_test

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/secret"
)

// memory is a Store; the real one has a kit of its own.
type memory map[string][]secret.Sealed

func (m memory) PutSecret(_ context.Context, key string, s secret.Sealed, _ int) error {
	m[key] = append(slices.DeleteFunc(m[key], func(o secret.Sealed) bool { return o.Name.Name == s.Name.Name }), s)
	return nil
}

func (m memory) Secrets(_ context.Context, key string) ([]secret.Sealed, error) { return m[key], nil }

func (m memory) RemoveSecret(_ context.Context, key, name string) error {
	m[key] = slices.DeleteFunc(m[key], func(o secret.Sealed) bool { return o.Name.Name == name })
	return nil
}

var ref = stoa.Ref{Owner: "ann", Name: "net"}

func open(t *testing.T, m memory, dir string, changed func(stoa.Ref)) *secret.Vault {
	t.Helper()
	v, err := secret.New(m, filepath.Join(dir, "secret-key"), changed)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestSecretsAreKeptSealed(t *testing.T) {
	m, dir, changes := memory{}, t.TempDir(), 0
	count := func(stoa.Ref) { changes++ }
	v := open(t, m, dir, count)
	now := time.Now()
	for _, value := range []string{"first", "hunter2 = x"} {
		if err := v.Set(t.Context(), ref, "TOKEN", value, "ann", now); err != nil {
			t.Fatal(err)
		}
	}
	if box := m[ref.Key()][0].Box; bytes.Contains(box, []byte("hunter2")) {
		t.Errorf("the value lies open: %q", box)
	}
	again := open(t, m, dir, count) // after a restart
	if env, err := again.Env(t.Context(), ref); err != nil || len(env) != 1 || env[0] != "TOKEN=hunter2 = x" {
		t.Errorf("%q, %v", env, err)
	}
	if list, err := again.Names(t.Context(), ref); err != nil || len(list) != 1 || list[0].Name != "TOKEN" || list[0].By != "ann" {
		t.Errorf("%+v, %v", list, err)
	}
	if st, err := os.Stat(filepath.Join(dir, "secret-key")); err != nil || st.Mode().Perm() != 0o600 || st.Size() != 32 {
		t.Errorf("the key: %v, %v", st, err)
	}
	if err := again.Remove(t.Context(), ref, "TOKEN"); err != nil || changes != 3 {
		t.Errorf("%v, %d changes told", err, changes)
	}
}

func TestABoxOpensInItsPlaceOnly(t *testing.T) {
	m := memory{}
	v := open(t, m, t.TempDir(), func(stoa.Ref) {})
	if err := v.Set(t.Context(), ref, "TOKEN", "x", "ann", time.Now()); err != nil {
		t.Fatal(err)
	}
	m["bob/net"] = m[ref.Key()]
	if env, err := v.Env(t.Context(), stoa.Ref{Owner: "bob", Name: "net"}); err == nil {
		t.Errorf("another algorithm's secret was opened: %q", env)
	}
	if env, err := open(t, m, t.TempDir(), nil).Env(t.Context(), ref); err == nil {
		t.Errorf("opened with another key: %q", env)
	}
	m[ref.Key()][0].Box = []byte("short")
	if _, err := v.Env(t.Context(), ref); err == nil {
		t.Error("a damaged box was opened")
	}
}

func TestSetRefuses(t *testing.T) {
	v := open(t, memory{}, t.TempDir(), func(stoa.Ref) {})
	for _, tc := range []struct{ name, value, want string }{
		{"1A", "x", "no digit first"},
		{"", "x", "no digit first"},
		{"A-B", "x", "no digit first"},
		{"A=B", "x", "no digit first"},
		{"stoa_x", "x", "are taken"},
		{"LD_PRELOAD", "x", "are taken"},
		{"ALGORITHMIA_API_KEY", "x", "are taken"},
		{"path", "x", "is taken"},
		{"A", "", "is empty"},
		{"A", "x\x00y", "NUL"},
		{"A", strings.Repeat("x", secret.MaxValue+1), "at most"},
	} {
		err := v.Set(t.Context(), ref, tc.name, tc.value, "ann", time.Now())
		if err == nil || !strings.Contains(stoa.AsError(err).Msg, tc.want) {
			t.Errorf("%q = %.10q: %v, want %q", tc.name, tc.value, err, tc.want)
		}
	}
}

func TestADamagedKeyIsNotReplaced(t *testing.T) {
	path := filepath.Join(t.TempDir(), "secret-key")
	if err := os.WriteFile(path, []byte("cut"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := secret.New(memory{}, path, nil); err == nil || !strings.Contains(err.Error(), "is no key") {
		t.Errorf("got %v", err)
	}
	if b, err := os.ReadFile(path); err != nil || string(b) != "cut" {
		t.Errorf("it was changed to %q, %v", b, err)
	}
}
