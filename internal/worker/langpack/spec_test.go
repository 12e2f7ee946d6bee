package langpack

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stoa-project/stoa"
)

const good = `
name: x
title: X
start: {protocol: pipe, run: [./x]}
build: {build: "true"}
`

func TestParse(t *testing.T) {
	if _, err := parse("x/language.yaml", []byte(good)); err != nil {
		t.Error(err)
	}
	for _, test := range []struct{ from, to, want string }{
		{"name: x", "nam: x", `language.yaml:2:1: unknown field "nam"`},
		{"name: x", "name: X y", "name: lower-case letters"},
		{"title: X", "", "title: is missing"},
		{"protocol: pipe", "protocol: tube", "start.protocol: write pipe or frames"},
		{"run: [./x]", "run: []", "start.run: is missing"},
		{`build: "true"`, "", "build.build: is missing"},
		{"title: X", "title: X\ndetect: [[\"[\"]]", "[: is no pattern"},
		{"title: X", "title: X\nprograms: [{name: y}]", "programs: each has a name and a remedy"},
		{"title: X", "title: X\nvariants: [{pattern: \"(\"}]", "variants[0].pattern: "},
		{"title: X", "title: X\nvariants: [{start: {protocol: x}}]", "variants[0].start.protocol: "},
		{`build: "true"`, `build: "true", failure: "("`, "build.failure: "},
		{"title: X", "title: X\n---\nname: y", "language.yaml"},
	} {
		_, err := parse("x/language.yaml", []byte(strings.Replace(good, test.from, test.to, 1)))
		if err == nil || !strings.Contains(stoa.AsError(err).Msg, test.want) {
			t.Errorf("%s: %v", test.to, err)
		}
	}
}

// FuzzParse: a language is read or refused.
func FuzzParse(f *testing.F) {
	f.Add([]byte(good))
	hits, err := filepath.Glob("*/language.yaml")
	if err != nil {
		f.Fatal(err)
	}
	for _, h := range hits {
		data, err := os.ReadFile(h)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := parse("x", data)
		if (s == nil) == (err == nil) {
			t.Errorf("%v, %v", s, err)
		}
	})
}

// TestLocate: what is missing is named with its remedy, and found once it is there.
func TestLocate(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	l := &Language{spec: spec{Title: "X", Programs: []program{{Name: "no-such-program", Remedy: "install it"}}}}
	if _, err := l.Mounts(); stoa.KindOf(err) != stoa.Unsupported || !strings.Contains(err.Error(), "no-such-program is not on this machine's PATH: install it") {
		t.Error(err)
	}
	home := filepath.Join(dir, "versions", "1")
	if err := os.MkdirAll(filepath.Join(home, "bin"), 0o755); err != nil {
		t.Fatal(err)
	}
	real := filepath.Join(home, "bin", "program-1")
	if err := os.WriteFile(real, []byte("#!/bin/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(real, filepath.Join(dir, "no-such-program")); err != nil {
		t.Fatal(err)
	}
	all, err := l.locate(forReplica)
	if err != nil {
		t.Fatal(err)
	}
	f := all["no-such-program"]
	if f.path != real || len(f.folders) != 1 || f.folders[0] != home || l.path(all) != filepath.Join(home, "bin")+":"+systemPath {
		t.Errorf("%+v, %s", f, l.path(all))
	}
	mounts, err := l.Mounts()
	if err != nil || len(mounts) != 1 || mounts[0].Source != home || mounts[0].Write {
		t.Errorf("%v, %v", mounts, err)
	}
	// What a program claims to need is no whole file system.
	f = found{}
	for _, folder := range []string{"/", "/root", "/usr/lib", "relative", "/no/such", "/home/.."} {
		f.addFolder(folder)
	}
	if len(f.folders) != 0 {
		t.Errorf("mounted: %v", f.folders)
	}
}

// TestLocateBuildOnly: a replica runs where what only a build needs is missing.
func TestLocateBuildOnly(t *testing.T) {
	l := &Language{spec: spec{Programs: []program{{Name: "no-such-program", Remedy: "install it", BuildOnly: true}}}}
	if _, err := l.Mounts(); err != nil {
		t.Error(err)
	}
	if _, err := l.BuildMounts(); err == nil {
		t.Error("a build starts without its program")
	}
}

// TestSettings: variables are kept as they were printed, anything else is not.
func TestSettings(t *testing.T) {
	dir := t.TempDir()
	l := &Language{spec: spec{Build: buildSpec{Settings: "echo 'A=1 2'; echo noise; echo 'B='; echo 'C D=x'; echo E=" + dir}}}
	if got := strings.Join(l.settings(), "|"); got != "A=1 2|E="+dir {
		t.Error(got)
	}
	mounts, err := l.BuildMounts()
	if err != nil || len(mounts) != 1 || mounts[0].Source != dir {
		t.Errorf("%v, %v", mounts, err)
	}
	if l := (&Language{spec: spec{Build: buildSpec{Settings: "exit 1"}}}); l.settings() != nil {
		t.Error("a failure has settings")
	}
}
