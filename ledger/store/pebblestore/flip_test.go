package pebblestore_test

import (
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/daybook-ledger/daybook/ledger/store"
	"github.com/daybook-ledger/daybook/ledger/store/pebblestore"
)

// flipCommits are the commits in the log file that is flipped, all acknowledged.
const flipCommits = 16

// liveLog returns what a killed process leaves after commits that fit into one
// small log file, and the file's name.
func liveLog(t *testing.T) (*vfs.MemFS, string) {
	t.Helper()
	fs := vfs.NewCrashableMem()
	s := mustOpen(t, small(fs))
	for n := 1; n <= flipCommits; n++ {
		b := s.NewBatch()
		if err := b.Set(store.Commits.Key(uint64(n)), []byte("some entries of commit "+strings.Repeat("x", n))); err != nil {
			t.Fatal(err)
		}
		ticket, err := s.Commit(scriptHead(n-1), scriptHead(n), b)
		if err == nil {
			err = ticket.Wait()
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	left := fs.CrashClone(vfs.CrashCloneCfg{})
	mustClose(t, s)
	var log string
	for _, name := range list(t, left) {
		path := left.PathJoin(testDir, name)
		b, err := left.UnsafeGetFileDataBuffer(path)
		if strings.HasSuffix(name, ".log") && err == nil && len(b) > 0 {
			log = path // the newest is the last one
		}
	}
	return left, log
}

// sound returns how many commits an opened store has, or fails the test if its
// contents are not those of its head.
func sound(t *testing.T, s *pebblestore.Store) int {
	t.Helper()
	h, err := s.Head()
	n := int(h.Size)
	if err != nil || h != scriptHead(n) {
		t.Errorf("head %+v, %v", h, err)
		return n
	}
	lo, hi := store.Commits.Range()
	next := 1
	err = s.Scan(lo, hi, func(k, v []byte) error {
		if i, err := store.Commits.ParseKey(k); err != nil || int(i) != next || string(v) != "some entries of commit "+strings.Repeat("x", next) {
			t.Errorf("commit %d is %q, %v", next, v, err)
		}
		next++
		return nil
	})
	if err != nil || next-1 != n {
		t.Fatalf("%d commits under a head of %d, %v", next-1, n, err)
	}
	return n
}

// Every byte of a live log file is flipped. Open refuses, or nothing is missing;
// in the last commit's sync chunk alone a flip looks like an unfinished write: there
// the head is lower than what was acknowledged, never wrong, which is what the
// log's anchor is for.
func TestEveryByteOfALiveLogFlipped(t *testing.T) {
	left, log := liveLog(t)
	whole, err := left.UnsafeGetFileDataBuffer(log)
	if err != nil {
		t.Fatal(err)
	}
	size := len(whole)
	if size > 4096 || size < 1000 {
		t.Fatalf("log file of %d bytes", size)
	}
	refused, kept, lost, firstLost := 0, 0, 0, size
	for i := 0; i < size; i += flipStride {
		for _, mask := range []byte{0xff, 1 << (i % 8)} {
			fs := left.CrashClone(vfs.CrashCloneCfg{})
			b, err := fs.UnsafeGetFileDataBuffer(log)
			if err != nil {
				t.Fatal(err)
			}
			b[i] ^= mask
			s, err := pebblestore.Open(small(fs))
			if err != nil {
				refused++
				continue
			}
			switch n := sound(t, s); n {
			case flipCommits:
				kept++
			case flipCommits - 1:
				lost++
				firstLost = min(firstLost, i)
			default:
				t.Errorf("byte %d of %d flipped by %02x: %d of %d commits are left, and open did not notice", i, size, mask, n, flipCommits)
			}
			mustClose(t, s)
		}
	}
	t.Logf("log of %d bytes: %d flips refused, %d harmless, %d took the last commit alone, from byte %d on", size, refused, kept, lost, firstLost)
	if refused == 0 {
		t.Error("no flip was refused")
	}
	if firstLost < size/2 {
		t.Errorf("a flip of byte %d of %d took the last commit", firstLost, size)
	}
}
