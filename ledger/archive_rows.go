package ledger

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/daybook-ledger/daybook/ledger/store"
	"github.com/daybook-ledger/daybook/verify"
)

// Why a checkpoint is in the archive: bits of the first byte of its row. The
// signed note follows.
const (
	keptAsked     = 1 << iota // somebody rests on it
	keptClose                 // the first that covers a close
	keptWitnessed             // the first witnessed one that covers a close
	keptNewest                // the newest witnessed one: at most one row
	keptAll       = 1<<iota - 1
)

// A keptRow is a row of the archive on its way to the store. One without a reason
// is deleted.
type keptRow struct {
	size uint64
	why  byte
	note []byte
}

// keep has the rows of a work ride in the cohort, which may have no entries.
func (q *sequencer) keep(w *work) {
	q.cohort.rows = append(q.cohort.rows, w.rows...)
	q.cohort.works = append(q.cohort.works, w)
}

// storeRows puts the cohort's rows into its batch. A crash leaves all of the
// cohort or nothing: cosignatures that were on their way are lost then, which the
// witnesses give again, and who waited for them was told nothing.
func (c *cohort) storeRows(batch store.Batch) error {
	for _, r := range c.rows {
		key := store.Archive.Key(r.size)
		if r.why == 0 {
			if err := batch.Delete(key); err != nil {
				return err
			}
			continue
		}
		if err := batch.Set(key, append([]byte{r.why}, r.note...)); err != nil {
			return err
		}
	}
	return nil
}

// readRow returns the row of a size; ErrNotFound where there is none.
func readRow(engine store.Engine, size uint64) (keptRow, error) {
	value, err := engine.Get(store.Archive.Key(size))
	if errors.Is(err, store.ErrNotFound) {
		return keptRow{}, fmt.Errorf("%w: no checkpoint of size %d is archived", ErrNotFound, size)
	}
	if err != nil {
		return keptRow{}, err
	}
	return parseRow(size, value)
}

// NewestArchived returns the newest archived checkpoint of a store, which nobody
// need serve, that has at least a size and that accept takes; ErrNotFound where there
// is none.
func NewestArchived(engine store.Engine, least uint64, accept func(note []byte) bool) (newest Archived, err error) {
	_, hi := store.Archive.Range()
	err = engine.ScanReverse(store.Archive.Key(least), hi, func(key, value []byte) error {
		size, err := store.Archive.ParseKey(key)
		if err != nil {
			return err
		}
		row, err := parseRow(size, value)
		if err != nil {
			return err
		}
		if !accept(row.note) {
			return nil
		}
		newest = Archived{size, bytes.Clone(row.note)}
		return store.ErrStop
	})
	if err == nil && newest.Size == 0 {
		err = fmt.Errorf("%w: no such checkpoint is archived", ErrNotFound)
	}
	return newest, err
}

func parseRow(size uint64, value []byte) (keptRow, error) {
	if len(value) < 2 || value[0] == 0 || value[0] > keptAll {
		return keptRow{}, faultIn(store.Archive, size, "archived checkpoint of size %d is damaged", size)
	}
	return keptRow{size: size, why: value[0], note: value[1:]}, nil
}

// checkArchive checks every archived checkpoint up to a size: the log signed it, with
// a key of its that may sign that size, and its root is that of the commit of its
// size, which the caller has compared with the entries. Cosignatures are checked by
// whoever has a policy.
func checkArchive(engine store.Engine, size uint64, keys *verify.KeyChain) error {
	lo, hi := store.Archive.Range()
	newest := 0
	err := engine.Scan(lo, hi, func(key, value []byte) error {
		at, err := store.Archive.ParseKey(key)
		if err != nil {
			return faultIn(store.Archive, size, "%v", err)
		}
		if at > size {
			return nil // of a commit that the caller does not look at
		}
		row, err := parseRow(at, value)
		if err != nil {
			return err
		}
		if row.why&keptNewest != 0 {
			newest++
		}
		return checkRow(engine, row, keys)
	})
	if err == nil && newest > 1 {
		err = faultIn(store.Archive, size, "%d archived checkpoints are the newest witnessed one", newest)
	}
	return err
}

func checkRow(engine store.Engine, row keptRow, keys *verify.KeyChain) error {
	fault := func(err error) error {
		return faultIn(store.Archive, row.size, "archived checkpoint of size %d: %v", row.size, err)
	}
	c, err := keys.OpenCheckpoint(row.note)
	if err != nil && !errors.Is(err, verify.ErrKeyCompromised) { // it was made before, and agrees with the entries
		return fault(err)
	}
	if c.Size != row.size {
		return fault(fmt.Errorf("it is of size %d", c.Size))
	}
	value, err := engine.Get(store.Commits.Key(row.size))
	if err != nil {
		return fault(fmt.Errorf("commit of that size: %w", err))
	}
	commit, err := parseCommitRow(row.size, value)
	if err != nil {
		return fault(err)
	}
	if commit.Root != c.Root {
		return fault(errors.New("it has another root than the commit"))
	}
	return nil
}
