package spool

import (
	"errors"
	"os"
	"testing"
)

// TestAFullDisk: what a full disk does not take is told as that, and what there is of
// the file goes.
func TestAFullDisk(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_RDWR, 0)
	if err != nil {
		t.Skipf("SKIPPED: a disk that is full is not tested here: %v", err)
	}
	dir := t.TempDir()
	s, err := Open(dir, 1, nil)
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
	real := f.f
	f.f = full
	if n, err := f.Write(make([]byte, 1<<20)); !errors.Is(err, ErrFull) || n != 0 || f.Size() != 0 {
		t.Errorf("%d bytes were taken, %v", n, err)
	}
	f.f = real
	if err := errors.Join(j.Close(), full.Close()); err != nil {
		t.Error(err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
		t.Errorf("%v are left, %v", left, err)
	}
}
