package sqlite_test

import (
	"database/sql"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/account"
	"github.com/stoa-project/stoa/internal/catalog"
	"github.com/stoa-project/stoa/internal/store"
	"github.com/stoa-project/stoa/internal/store/sqlite"
	"github.com/stoa-project/stoa/internal/store/storetest"
)

func open(t *testing.T, dir string) *store.DB {
	t.Helper()
	db, err := sqlite.Open(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

func TestAccounts(t *testing.T) {
	storetest.Accounts(t, func(t *testing.T) account.Store { return open(t, t.TempDir()).Accounts() })
}

func TestSessions(t *testing.T) {
	storetest.Sessions(t, func(t *testing.T) storetest.People { return open(t, t.TempDir()).Accounts() })
}

func TestCatalog(t *testing.T) {
	storetest.Catalog(t, func(t *testing.T) catalog.Store { return open(t, t.TempDir()).Catalog() })
}

func TestSecrets(t *testing.T) {
	storetest.Secrets(t, func(t *testing.T) storetest.Vault {
		db := open(t, t.TempDir())
		return storetest.Vault{Catalog: db.Catalog(), Secrets: db.Secrets()}
	})
}

func TestReopen(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "with space?and#marks%20", "data")
	db := open(t, dir)
	now := time.UnixMicro(1_700_000_000_123_456).UTC()
	if err := db.Accounts().AddUser(t.Context(), account.User{Name: "ada", Created: now}); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := db.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	}
	db = open(t, dir)
	err := db.Accounts().AddUser(t.Context(), account.User{Name: "ada", Created: now})
	if err == nil || stoa.KindOf(err) != stoa.Conflict {
		t.Errorf("after a restart: %v, want Conflict", err)
	}
	names, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range names {
		if !strings.HasPrefix(e.Name(), "stoa.db") && e.Name() != "lock" {
			t.Errorf("a stranger in the data directory: %s", e.Name())
		}
	}
}

func TestSecondServerIsRefused(t *testing.T) {
	dir := t.TempDir()
	db := open(t, dir)
	for range 2 {
		_, err := sqlite.Open(t.Context(), dir)
		if err == nil || stoa.KindOf(err) != stoa.Conflict || !strings.Contains(stoa.AsError(err).Msg, "another stoa server uses "+dir) {
			t.Fatalf("the second Open = %v", err)
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	open(t, dir)
}

// A child that outlives the server, as workers do, must not hold the lock.
func TestLockIsNotInherited(t *testing.T) {
	dir := t.TempDir()
	db := open(t, dir)
	cmd := exec.CommandContext(t.Context(), "sleep", "60")
	if err := cmd.Start(); err != nil {
		t.Skip(err)
	}
	defer cmd.Wait()
	defer cmd.Process.Kill()
	db.Close()
	open(t, dir)
}

func TestDamagedDatabase(t *testing.T) {
	for name, damage := range map[string]func(path string) error{
		"not a database": func(path string) error {
			return os.WriteFile(path, []byte(strings.Repeat("this is no database\n", 1000)), 0o600)
		},
		"overwritten in the midst": func(path string) error {
			f, err := os.OpenFile(path, os.O_RDWR, 0)
			if err != nil {
				return err
			}
			defer f.Close()
			info, err := f.Stat()
			if err != nil {
				return err
			}
			junk := []byte(strings.Repeat("\xa5", int(info.Size())-100))
			_, err = f.WriteAt(junk, 100)
			return err
		},
		"cut off": func(path string) error { return os.Truncate(path, 5000) },
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			open(t, dir).Close()
			if err := damage(filepath.Join(dir, "stoa.db")); err != nil {
				t.Fatal(err)
			}
			db, err := sqlite.Open(t.Context(), dir)
			if err == nil {
				defer db.Close()
				_, err = db.Catalog().Search(t.Context(), catalog.Sought{Limit: 1})
			}
			if err == nil || !strings.Contains(stoa.AsError(err).Msg, "stoa.db is damaged") {
				t.Errorf("the error is %v", err)
			}
		})
	}
}

// An error must let the lock go, so that the repaired directory opens.
func TestFailedOpenLetsGo(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "stoa.db")
	if err := os.WriteFile(path, []byte(strings.Repeat("x", 9999)), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := sqlite.Open(t.Context(), dir); err == nil {
		t.Fatal("a damaged database was opened")
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	open(t, dir)
}

func TestNewerDatabase(t *testing.T) {
	dir := t.TempDir()
	open(t, dir).Close()
	db, err := sql.Open("sqlite", filepath.Join(dir, "stoa.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.ExecContext(t.Context(), `INSERT INTO goose_db_version (version_id, is_applied) VALUES (999, 1)`); err != nil {
		t.Fatal(err)
	}
	_, err = sqlite.Open(t.Context(), dir)
	if err == nil || stoa.KindOf(err) != stoa.Unsupported || !strings.Contains(err.Error(), "newer Stoa") {
		t.Errorf("Open = %v", err)
	}
}

func TestUnusableDirectory(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{file, filepath.Join(file, "below")} {
		_, err := sqlite.Open(t.Context(), dir)
		if err == nil || !strings.Contains(stoa.AsError(err).Msg, "the data directory "+dir) {
			t.Errorf("Open(%s) = %v", dir, err)
		}
	}
}

func TestReadOnlyDirectory(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("none", dir, "tmpfs", 0, "size=8m"); err != nil {
		t.Skipf("no file system can be mounted here: %v", err)
	}
	defer syscall.Unmount(dir, syscall.MNT_DETACH)
	open(t, dir).Close()
	if err := syscall.Mount("none", dir, "tmpfs", syscall.MS_REMOUNT|syscall.MS_RDONLY, ""); err != nil {
		t.Skipf("it can not be made read-only: %v", err)
	}
	_, err := sqlite.Open(t.Context(), dir)
	if err == nil || stoa.KindOf(err) != stoa.Unavailable || !strings.Contains(stoa.AsError(err).Msg, dir) {
		t.Errorf("Open = %v", err)
	}
}

func TestFullDisk(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("none", dir, "tmpfs", 0, "size=512k"); err != nil {
		t.Skipf("no small file system can be mounted here: %v", err)
	}
	defer syscall.Unmount(dir, syscall.MNT_DETACH)
	db := open(t, dir)
	var err error
	n := 0
	for ; err == nil && n < 10_000; n++ {
		err = db.Accounts().AddUser(t.Context(), account.User{Name: strings.Repeat("n", 200) + time.Duration(n).String()})
	}
	if err == nil || stoa.KindOf(err) != stoa.NoRoom {
		t.Fatalf("after %d users: %v, want NoRoom", n, err)
	}
	if _, err := db.Accounts().Keys(t.Context(), ""); err != nil {
		t.Errorf("reading on a full disk: %v", err)
	}
}

func TestOpenIsQuick(t *testing.T) {
	dir := t.TempDir()
	open(t, dir).Close()
	start := time.Now()
	open(t, dir)
	took := time.Since(start)
	t.Logf("opening a database that is there took %v", took)
	if took > time.Second { // it takes about 10 ms; the rest is for a loaded machine
		t.Errorf("opening took %v", took)
	}
}
