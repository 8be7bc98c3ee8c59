package spool_test

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/daybook-ledger/daybook/server/spool"
)

func names(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for _, e := range entries {
		list = append(list, e.Name())
	}
	return list
}

func TestWhatACrashLeftIsRemoved(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "exports")
	s, err := spool.Open(dir, 1, nil)
	if err != nil {
		t.Fatal(err)
	}
	j, err := s.Begin()
	if err != nil {
		t.Fatal(err)
	}
	f, err := j.Create()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write([]byte("half")); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(filepath.Join(dir, names(t, dir)[0]))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	// The process dies here; the next one opens the same folder.
	if _, err := spool.Open(dir, 1, nil); err != nil || len(names(t, dir)) != 0 {
		t.Errorf("%v are left, %v", names(t, dir), err)
	}
}

func TestAJobHasItsFilesAndOneSlot(t *testing.T) {
	dir := t.TempDir()
	s, err := spool.Open(dir, 1, nil)
	if err != nil {
		t.Fatal(err)
	}
	j, err := s.Begin()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Begin(); !errors.Is(err, spool.ErrBusy) {
		t.Errorf("a second job: %v", err)
	}
	for _, text := range []string{"one", "two"} {
		f, err := j.Create()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(f, text); err != nil {
			t.Fatal(err)
		}
		if b, err := io.ReadAll(f.Reader()); err != nil || string(b) != text || f.Size() != 3 {
			t.Errorf("%q, %v", b, err)
		}
	}
	if err := j.Close(); err != nil || len(names(t, dir)) != 0 {
		t.Errorf("%v are left, %v", names(t, dir), err)
	}
	if j, err = s.Begin(); err != nil {
		t.Fatal(err)
	}
	if err := j.Close(); err != nil {
		t.Error(err)
	}
}

func TestTheDisksRoomIsLeftAlone(t *testing.T) {
	full, left := errors.New("low"), uint64(100<<20)
	s, err := spool.Open(t.TempDir(), 1, func(more uint64) error {
		if more > left {
			return full
		}
		left -= min(left, 16<<20)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	j, err := s.Begin()
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	f, err := j.Create()
	if err != nil {
		t.Fatal(err)
	}
	chunk := bytes.Repeat([]byte{1}, 1<<20)
	for range 200 {
		if _, err = f.Write(chunk); err != nil {
			break
		}
	}
	if !errors.Is(err, full) || f.Size() > 116<<20 {
		t.Errorf("%d bytes were written, %v", f.Size(), err)
	}
	if _, err := j.Create(); !errors.Is(err, full) {
		t.Errorf("another file: %v", err)
	}
}
