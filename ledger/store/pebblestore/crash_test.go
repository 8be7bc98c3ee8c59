package pebblestore_test

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/google/go-cmp/cmp"

	"github.com/daybook-ledger/daybook/ledger/store"
	"github.com/daybook-ledger/daybook/ledger/store/pebblestore"
	"github.com/daybook-ledger/daybook/ledger/store/pebblestore/crashtest"
)

// The script: scriptLen commits, pipelined, of small frames of which every fourth
// commit makes one; large tiles, so that memtables are flushed; and after each
// third commit something derived. In the middle the store is closed and opened.
const scriptLen = 20

func scriptHead(n int) store.Head {
	if n == 0 {
		return store.Head{}
	}
	return store.Head{Term: 1, Size: uint64(n), Root: [32]byte{byte(n)}, TimeNS: int64(n)}
}

func tileOf(n int) []byte { return bytes.Repeat([]byte{byte(n)}, 40<<10) }

// fillCommit writes commit n, counted from 1, through the given functions.
func fillCommit(n int, set func(k, v []byte), del func(k []byte)) {
	set(store.Commits.Key(uint64(n)), []byte{byte(n)})
	set(store.TileKey(0, uint64(n)), tileOf(n))
	first := (n - 1) / 4 * 4
	if n%4 != 0 {
		set(store.Growing.Key(uint64(n-1)), []byte("small"))
		return
	}
	set(store.Frames.Key(uint64(first)), []byte("whole"))
	for part := range 3 {
		del(store.Growing.Key(uint64(first + part)))
	}
}

// model is what the log's tables hold after n commits.
func model(n int) map[string]string {
	m := map[string]string{}
	for i := 1; i <= n; i++ {
		fillCommit(i, func(k, v []byte) { m[string(k)] = string(v) }, func(k []byte) { delete(m, string(k)) })
	}
	if n > 0 {
		m[string(store.HeadKey())] = string(scriptHead(n).AppendTo(nil))
	}
	return m
}

// derivedModel is what tables p, r and s hold after derivation n.
func derivedModel(n int) map[string]string {
	m := map[string]string{}
	for i := 3; i <= n; i += 3 {
		m["p"] = fmt.Sprint(i)
		m[fmt.Sprintf("r%02d", i)] = "run"
		delete(m, fmt.Sprintf("r%02d", i-6))
	}
	return m
}

// scriptStep submits commit n and, after each third, derives.
func scriptStep(s *pebblestore.Store, n int) (store.Ticket, error) {
	b := s.NewBatch()
	var errs []error
	fillCommit(n, func(k, v []byte) { errs = append(errs, b.Set(k, v)) }, func(k []byte) { errs = append(errs, b.Delete(k)) })
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	ticket, err := s.Commit(scriptHead(n-1), scriptHead(n), b)
	if err != nil || n%3 != 0 {
		return ticket, err
	}
	b = s.NewBatch()
	err = errors.Join(
		b.Set([]byte("p"), fmt.Append(nil, n)),
		b.Set(fmt.Appendf(nil, "r%02d", n), []byte("run")),
		b.Delete(fmt.Appendf(nil, "r%02d", n-6)),
		s.Derive(b))
	if err == nil && n == 9 {
		err = s.DeleteRange([]byte("i03"), []byte("i04"))
	}
	if err == nil {
		err = s.Load(func(yield func(k, v []byte) bool) {
			for i := range 3 {
				if !yield(fmt.Appendf(nil, "i%02d-%d", n, i), []byte("posting")) {
					return
				}
			}
		})
	}
	return ticket, err
}

// runScript acknowledges commit n once its ticket has resolved, with two in
// flight, and returns at the first error.
func runScript(d *crashtest.Disk) {
	o := small(d.FS)
	o.Fatal = d.Fatal
	var s *pebblestore.Store
	var waiting []store.Ticket
	drain := func(upTo, n int) bool {
		for len(waiting) > upTo {
			if waiting[0].Wait() != nil {
				return false
			}
			waiting = waiting[1:]
			d.Ack(n - len(waiting))
		}
		return true
	}
	for n := 1; n <= scriptLen; n++ {
		if n == 1 || n == scriptLen/2 {
			if s != nil && (!drain(0, n-1) || s.Close() != nil) {
				return
			}
			var err error
			if s, err = pebblestore.Open(o); err != nil {
				return
			}
		}
		ticket, err := scriptStep(s, n)
		if ticket != nil {
			waiting = append(waiting, ticket)
		}
		if err != nil || !drain(1, n) {
			_ = s.Close() // a broken process would not get here: one more chance to spoil the disk
			return
		}
	}
	if drain(0, scriptLen) {
		_ = s.Close()
	}
}

// checkScript opens what is left, holds it against the model, and writes on.
func checkScript(t testing.TB, fs vfs.FS, acked int) {
	t.Helper()
	s, err := pebblestore.Open(small(fs))
	if err != nil {
		t.Fatalf("opening what is left: %v", err)
	}
	n := checkContents(t, s)
	if n < acked {
		t.Fatalf("%d commits are left", n)
	}
	ticket, err := s.Commit(scriptHead(n), scriptHead(n+1), nil)
	if err == nil {
		err = ticket.Wait()
	}
	if err := errors.Join(err, s.Close()); err != nil {
		t.Fatalf("writing on: %v", err)
	}
	if s, err = pebblestore.Open(small(fs)); err != nil {
		t.Fatalf("opening again: %v", err)
	}
	if h, err := s.Head(); err != nil || h != scriptHead(n+1) {
		t.Fatalf("head %+v, %v after writing on from %d", h, err, n)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// checkContents fails unless the store holds what some number of commits and
// some number of derivations made, and returns the number of commits.
func checkContents(t testing.TB, s *pebblestore.Store) int {
	t.Helper()
	h, err := s.Head()
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		t.Fatal(err)
	}
	n := int(h.Size)
	log, derived, postings := map[string]string{}, map[string]string{}, map[string]int{}
	err = s.Scan(nil, nil, func(k, v []byte) error {
		switch {
		case store.Table(k[0]) == store.Index:
			postings[string(k[:3])]++
		case store.Table(k[0]).Derived():
			derived[string(k)] = string(v)
		default:
			log[string(k)] = string(v)
		}
		return nil
	})
	if err != nil {
		t.Fatalf("reading what is left: %v", err)
	}
	if want := model(n); !maps.Equal(want, log) {
		t.Fatalf("size %d: the log differs from its model (-want +got):\n%s", n, cmp.Diff(brief(want), brief(log)))
	}
	last := 0
	if _, err := fmt.Sscan(derived["p"], &last); err != nil && derived["p"] != "" {
		t.Fatal(err)
	}
	if want := derivedModel(last); last > n || !maps.Equal(want, derived) {
		t.Fatalf("size %d, derived up to %d: (-want +got):\n%s", n, last, cmp.Diff(want, derived))
	}
	for chunk, count := range postings {
		if count != 3 {
			t.Fatalf("%d of 3 keys of load %s", count, chunk)
		}
	}
	return n
}

func brief(m map[string]string) map[string]string {
	out := map[string]string{}
	for k, v := range m {
		if len(v) > 60 {
			v = fmt.Sprintf("%x... (%d bytes)", v[:4], len(v))
		}
		out[fmt.Sprintf("%q", k)] = v
	}
	return out
}

func TestEveryFileOperationFailing(t *testing.T) {
	runs := crashtest.Faults(t, crashtest.Plan{Stride: faultStride}, crashtest.Program{Run: runScript, Check: checkScript})
	t.Logf("%d runs", runs)
	if runs < 20 {
		t.Errorf("only %d runs: the script hardly touches the disk", runs)
	}
}

func TestCrashBeforeEverySync(t *testing.T) {
	crashes := crashtest.Crashes(t, crashtest.Plan{Stride: crashStride}, crashtest.Program{Run: runScript, Check: checkScript})
	t.Logf("%d crashes", crashes)
	if crashes < 2*scriptLen/crashStride {
		t.Errorf("only %d crashes: the script hardly syncs", crashes)
	}
}
