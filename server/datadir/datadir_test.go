package datadir_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/daybook-ledger/daybook/server/datadir"
)

func TestCleanMakesPathsWhole(t *testing.T) {
	t.Chdir(t.TempDir())
	here, err := datadir.Clean(".")
	if err != nil {
		t.Fatal(err)
	}
	if !filepath.IsAbs(string(here)) || here.Anchor() != string(here)+".anchor" || filepath.Dir(here.Anchor()) == string(here) {
		t.Errorf("%s has its anchor at %s: not beside it", here, here.Anchor())
	}
	if d, err := datadir.Clean("log/"); err != nil || filepath.Base(string(d)) != "log" {
		t.Errorf("log/ is %s, %v", d, err)
	}
	if d, err := datadir.Clean("/"); err == nil {
		t.Errorf("the root of the file system was taken as %s", d)
	}
}

func TestVacantAndExists(t *testing.T) {
	base := t.TempDir()
	dir := datadir.Dir(filepath.Join(base, "log"))
	want := func(vacant, exists bool) {
		t.Helper()
		v, err := dir.Vacant()
		if err != nil || v != vacant {
			t.Errorf("vacant %v, %v; want %v", v, err, vacant)
		}
		e, err := dir.Exists()
		if err != nil || e != exists {
			t.Errorf("exists %v, %v; want %v", e, err, exists)
		}
	}
	want(true, false)
	if err := os.Mkdir(string(dir), 0o700); err != nil {
		t.Fatal(err)
	}
	want(true, false)
	if err := datadir.WriteFile(dir.CAKey(), []byte("k"), 0o600); err != nil {
		t.Fatal(err)
	}
	want(false, false)
	if err := datadir.WriteFile(dir.LogVKey(), []byte("v"), 0o644); err != nil {
		t.Fatal(err)
	}
	want(false, true)
}

func TestWriteFileReplacesWhole(t *testing.T) {
	path := filepath.Join(t.TempDir(), "sub", "file")
	for _, text := range []string{"first, and longer", "second"} {
		if err := datadir.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(path)
		if err != nil || string(b) != text {
			t.Errorf("read %q, %v; want %q", b, err, text)
		}
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info, err)
	}
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(entries) != 1 {
		t.Errorf("temporary files are left: %v, %v", entries, err)
	}
	if err := datadir.WriteFile(filepath.Join(path, "below-a-file"), nil, 0o600); err == nil {
		t.Error("a file below a file was written")
	}
}
