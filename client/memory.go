package client

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/daybook-ledger/daybook/verify"
)

// signed is a checkpoint whose signature was checked, and its note.
type signed struct {
	verify.Checkpoint
	note []byte
}

// memory is what the client knows of the log: the checkpoints it has seen and
// which of them were proven to follow each other. Safe for concurrent use; the
// lock is not held across calls of the server or writes of files.
//
// Invariants: newest.Size >= proven.Size; every note in it carries the log's
// signature, or did under the key that the client knew before; the files of the state directory never hold more than memory does.
type memory struct {
	keys   atomic.Pointer[pinned]
	origin string
	dir    string // empty: nothing is kept on disk
	every  time.Duration

	ask      func(context.Context) ([]keyLink, error) // for the log's keys; nil: nobody is asked
	learning sync.Mutex                               // held while the log is asked
	differs  atomic.Bool                              // a checkpoint is signed with other keys than the chain says
	learned  atomic.Int64                             // when the log was last asked in vain, Unix ns; 0: never

	mu     sync.Mutex
	recent [8]signed // ring of the last checked notes; guarded by mu
	at     int       // next place in recent; guarded by mu
	newest signed    // largest seen; note nil: none; guarded by mu
	proven signed    // largest proven to extend all before it; guarded by mu
	asked  time.Time // last time a proof was asked for; guarded by mu
	fork   error     // the first fork found; guarded by mu

	saving sync.Mutex // one writer of the state directory at a time
	saved  [2]uint64  // sizes on disk: newest, proven; guarded by saving
}

// openMemory loads the state directory.
func openMemory(vkey, dir string, every time.Duration) (*memory, error) {
	chain, err := (&Profile{VKey: vkey, State: dir}).KnownKeys()
	if err != nil {
		return nil, err
	}
	known, err := pin(chain)
	if err != nil {
		return nil, fmt.Errorf("vkey: %w", err)
	}
	m := &memory{origin: chain.Origin(), dir: dir, every: every}
	m.keys.Store(known)
	if dir == "" {
		return m, nil
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("making state directory: %w", err)
	}
	for name, to := range map[string]*signed{newestFile: &m.newest, provenFile: &m.proven} {
		note, err := readState(dir, name)
		if err != nil || note == nil {
			if err != nil {
				return nil, err
			}
			continue
		}
		c, err := known.chain.OpenCheckpoint(note)
		if errors.Is(err, verify.ErrUnsigned) {
			if held, ours := m.ours(note); ours {
				c, err = held, nil
			}
		}
		if err != nil {
			return nil, fmt.Errorf("state %s: not a checkpoint of %s (another log's state? move it away to start anew): %w",
				filepath.Join(dir, name), m.origin, err)
		}
		*to = signed{c, note}
	}
	if m.newest.Size < m.proven.Size {
		m.newest = m.proven
	}
	m.saved = [2]uint64{m.newest.Size, m.proven.Size}
	return m, nil
}

// presented returns the note to present at open; nil: none.
func (m *memory) presented() signed {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.newest
}

// check checks the signature of a note, once per note, and remembers it. Two
// roots for one size are a fork.
func (m *memory) check(note []byte) (signed, error) {
	m.mu.Lock()
	for i := range m.recent {
		if bytes.Equal(m.recent[i].note, note) && note != nil {
			defer m.mu.Unlock()
			return m.recent[i], m.fork
		}
	}
	m.mu.Unlock()
	c, err := m.open(note)
	if err != nil {
		return signed{}, fmt.Errorf("checkpoint: %w", err)
	}
	s := signed{c, bytes.Clone(note)}
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, seen := range append(m.recent[:], m.newest, m.proven) {
		if seen.note != nil && seen.Size == s.Size && seen.Root != s.Root {
			return signed{}, m.forked(&ForkError{
				Reason: fmt.Sprintf("two roots for size %d", s.Size), Older: seen.note, Newer: s.note,
			})
		}
	}
	m.recent[m.at] = s
	m.at = (m.at + 1) % len(m.recent)
	if m.newest.note == nil || s.Size > m.newest.Size {
		m.newest = s
	}
	if m.proven.note == nil { // the first one seen is believed; it is what later ones are held against
		m.proven = s
	}
	return s, m.fork
}

// forked remembers a fork: from then on no receipt is returned. mu is held.
func (m *memory) forked(f *ForkError) error {
	if m.fork == nil {
		m.fork = f
	}
	return m.fork
}

// extend says that from -> to was claimed with proof; both were checked.
func (m *memory) extend(from, to signed, proof []byte) error {
	hashes, err := splitHashes(proof)
	if err == nil {
		err = verify.CheckConsistency(from.Size, to.Size, from.Root, to.Root, hashes)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if err != nil {
		return m.forked(&ForkError{
			Reason: fmt.Sprintf("size %d is not proven to be a prefix of size %d: %v", from.Size, to.Size, err),
			Older:  from.note, Newer: to.note, Proof: bytes.Clone(proof),
		})
	}
	if m.proven.Size == from.Size && to.Size > m.proven.Size {
		m.proven = to
	}
	return nil
}

// due says whether it is time to ask for a proof, and which. It marks the time,
// so that of several callers one asks.
func (m *memory) due(now time.Time, force bool) (from, to signed, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fork != nil || m.newest.Size <= m.proven.Size {
		return signed{}, signed{}, false
	}
	if !force && (m.every < 0 || now.Sub(m.asked) < m.every) {
		return signed{}, signed{}, false
	}
	m.asked = now
	return m.proven, m.newest, true
}

// save writes what is newer than the files. After a crash before it the files
// hold older checkpoints: the client is a weaker witness, for at most the time
// since the last save, and never a false one.
func (m *memory) save() error {
	if m.dir == "" {
		return nil
	}
	m.saving.Lock()
	defer m.saving.Unlock()
	m.mu.Lock()
	now := [2]signed{m.newest, m.proven}
	m.mu.Unlock()
	for i, name := range []string{newestFile, provenFile} {
		if now[i].note == nil || now[i].Size <= m.saved[i] {
			continue
		}
		if held, err := m.heldOnDisk(name); err != nil {
			return err
		} else if held < now[i].Size {
			if err := replaceFile(filepath.Join(m.dir, name), now[i].note); err != nil {
				return fmt.Errorf("saving checkpoint: %w", err)
			}
		}
		m.saved[i] = now[i].Size
	}
	return nil
}

// trySave is save between two calls that report its error: End and Close.
func (m *memory) trySave() {
	if m.save() != nil {
		return // tried again by the next
	}
}

// heldOnDisk is the size another process may have written meanwhile. Two
// processes that write at the same moment may leave the smaller size: a weaker
// witness, not a false one.
func (m *memory) heldOnDisk(name string) (uint64, error) {
	note, err := readState(m.dir, name)
	if err != nil || note == nil {
		return 0, err
	}
	c, err := m.keys.Load().chain.OpenCheckpoint(note)
	if held, ours := m.ours(note); errors.Is(err, verify.ErrUnsigned) && ours {
		c, err = held, nil
	}
	if err != nil {
		return 0, fmt.Errorf("state %s: %w", filepath.Join(m.dir, name), err)
	}
	return c.Size, nil
}

// splitHashes cuts concatenated hashes.
func splitHashes(b []byte) ([]verify.Hash, error) {
	if len(b)%32 != 0 {
		return nil, errors.New("proof is not a sequence of 32-byte hashes")
	}
	if len(b) > 128*32 {
		return nil, errors.New("proof of over 128 hashes")
	}
	out := make([]verify.Hash, len(b)/32)
	for i := range out {
		copy(out[i][:], b[32*i:])
	}
	return out, nil
}
