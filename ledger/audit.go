package ledger

import (
	"bytes"
	"errors"
	"fmt"

	"google.golang.org/protobuf/proto"

	"github.com/daybook-ledger/daybook/ledger/store"
	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/verify"
)

// An audit re-derives a log piece by piece, in order, and compares all that is
// stored beside the entries. It believes nothing but the entries. One goroutine
// owns it. What it keeps in memory grows with the streams and runs alone.
type audit struct {
	engine  store.Engine
	size    uint64 // entries to check
	replay  *replay
	levels  [8][]verify.Hash // of each level above the lowest: hashes of the growing tile
	commits []commitRecord   // next commits, read ahead
	covered uint64           // size of the newest commit that was passed
	term    uint64           // of that commit
	hooks   auditHooks

	// compare compares the snapshots with the state at a size, in p.
	compare func(p *piece, size uint64) error
	at      uint64 // that size; 0: none
}

// A commitRecord is the stored record of one commit, or why it cannot be read.
type commitRecord struct {
	store.Head
	err error
}

// auditHooks compare further tables that are functions of the entries. A nil
// function compares nothing. Their errors are faults: a FaultError names its
// index, any other is one of the newest entry.
type auditHooks struct {
	// entry is called before each entry is applied: p stands before it, and
	// p.entry, p.event and p.leaf are of it.
	entry func(p *replay, index uint64) error
	// passed is called after each bundle, once all entries below size were applied
	// and agree with the tiles.
	passed func(size uint64) error
}

// A tableFault is a fault in another table than that of the entries.
type tableFault struct {
	FaultError
	table store.Table
}

// Unwrap gives the fault.
func (e *tableFault) Unwrap() error { return &e.FaultError }

func faultIn(table store.Table, index uint64, format string, args ...any) error {
	return &tableFault{FaultError{index, fmt.Sprintf(format, args...)}, table}
}

func newAudit(engine store.Engine, size uint64, s *state) *audit {
	return &audit{engine: engine, size: size, replay: newReplay(s)}
}

// identity compares the identity with entry 0.
func (a *audit) identity(entry *verify.Entry) error {
	id, err := ReadIdentity(a.engine)
	if err != nil {
		return faultIn(store.Identity, 0, "%v", err)
	}
	var m daybookv1.OriginOpened
	if err := proto.Unmarshal(entry.Body, &m); err != nil {
		return &FaultError{0, err.Error()}
	}
	if m.Origin != id.Origin || m.Vkey != id.VKey || m.PublicTiles != id.PublicTiles {
		return faultIn(store.Identity, 0, "entry 0 names another log than the store's identity")
	}
	return nil
}

// apply takes the next piece. After an error the audit is of no more use but for
// compareLeaves. The error is a FaultError that names the first bad index.
func (a *audit) apply(p *piece) error {
	if i, err := a.entries(p); err != nil {
		return a.locate(p, i, err)
	}
	if p.fault != nil {
		return a.locate(p, p.n, p.fault)
	}
	if err := a.tiles(p); err != nil {
		return err
	}
	if p.full() {
		a.replay.frontier.AppendTree(tileHeight, p.tree.nodes[at(tileHeight, 0)])
	} else {
		for i := range p.n {
			a.replay.frontier.Append(p.entries[i].leaf)
		}
	}
	a.replay.piece, a.replay.applied = nil, 0
	if a.hooks.passed != nil {
		return a.hooks.passed(a.replay.frontier.Size)
	}
	return nil
}

// entries applies the entries of a piece, and compares the commits and whatever
// else stands at a size within it. With an error it returns at which entry.
func (a *audit) entries(p *piece) (int, error) {
	a.replay.piece = p
	for i := range p.n {
		index := p.first + uint64(i)
		a.replay.derived, a.replay.applied = &p.entries[i], i
		if index > a.covered && a.replay.entry.Head.LogTimeNS != a.replay.time {
			return i, faultIn(store.Commits, a.covered, "no record of the commit of size %d", index)
		}
		if index == 0 {
			if err := a.identity(&a.replay.entry); err != nil {
				return i, err
			}
		}
		if a.hooks.entry != nil {
			if err := a.hooks.entry(a.replay, index); err != nil {
				return i, err
			}
		}
		if err := a.replay.step(index); err != nil {
			return i, err
		}
		if err := a.commit(p, index+1); err != nil {
			return i, err
		}
		if index+1 == a.at {
			if err := a.compare(p, index+1); err != nil {
				return i, err
			}
		}
	}
	return p.n, nil
}

// locate moves a fault that showed at entry i of the piece to the first entry
// whose leaf hash is not the one in its tile, where that is not after it: an
// altered entry may pass for itself and show only in what follows.
func (a *audit) locate(p *piece, i int, fault error) error {
	var f, leaf *FaultError
	if !errors.As(fault, &f) {
		fault = &FaultError{p.first + uint64(i), fault.Error()}
	}
	if err := a.compareLeaves(p); errors.As(err, &leaf) && leaf.Index <= p.first+uint64(i) {
		return err
	}
	return fault
}

// compareLeaves compares the leaf hashes of a piece with the stored tile, where
// there is one.
func (a *audit) compareLeaves(p *piece) error {
	stored, err := a.engine.Get(store.TileKey(0, p.first/tileWidth))
	if err != nil {
		return nil
	}
	return a.compareTile(0, p.first/tileWidth, stored, p.tree.nodes[:p.n])
}

// leaves compares the leaves of a piece alone, where the entries before it are
// in doubt.
func (a *audit) leaves(p *piece) error {
	if p.fault != nil {
		return a.locate(p, p.n, p.fault)
	}
	n := p.first / tileWidth
	if _, err := a.engine.Get(store.TileKey(0, n)); err != nil && p.full() {
		return faultIn(store.Tiles, p.first, "tile 0/%d: %v", n, err)
	}
	return a.compareLeaves(p)
}

// compareTile compares the hashes of a tile with the stored bytes.
func (a *audit) compareTile(level uint8, n uint64, stored []byte, hashes []verify.Hash) error {
	index := func(i int) uint64 { return (n*tileWidth + uint64(i)) << (uint(level) * tileHeight) }
	if len(stored) != tileWidth*len(verify.Hash{}) {
		return faultIn(store.Tiles, index(0), "tile %d/%d has %d bytes", level, n, len(stored))
	}
	for i := range hashes {
		if !bytes.Equal(stored[32*i:32*i+32], hashes[i][:]) {
			return faultIn(store.Tiles, index(i), "hash %d of tile %d/%d differs from the entries", i, level, n)
		}
	}
	return nil
}

// tiles compares the tiles that the piece completes.
func (a *audit) tiles(p *piece) error {
	if !p.full() {
		return nil
	}
	n := p.first / tileWidth
	hashes, top := p.tree.nodes[:tileWidth], p.tree.nodes[at(tileHeight, 0)]
	for level := uint8(0); ; {
		stored, err := a.engine.Get(store.TileKey(level, n))
		if err != nil {
			return faultIn(store.Tiles, n*tileWidth<<(uint(level)*tileHeight), "tile %d/%d: %v", level, n, err)
		}
		if err := a.compareTile(level, n, stored, hashes); err != nil {
			return err
		}
		level++
		a.levels[level] = append(a.levels[level], top)
		if len(a.levels[level]) < tileWidth {
			return nil
		}
		var tl tile
		copy(tl.nodes[:], a.levels[level])
		tl.build(tileWidth)
		n, hashes, top = n/tileWidth, tl.nodes[:tileWidth], tl.nodes[at(tileHeight, 0)]
		a.levels[level] = a.levels[level][:0]
	}
}

// commit compares the record of a commit of this size, if there was one, with
// the entries. Its fault names the first entry of that commit.
func (a *audit) commit(p *piece, size uint64) error {
	if len(a.commits) == 0 {
		a.readCommits(size)
	}
	row := &a.commits[0]
	if row.Size > size {
		return nil
	}
	switch {
	case row.err != nil:
		return faultIn(store.Commits, a.covered, "commit of size %d: %v", size, row.err)
	case row.Root != p.rootAt(&a.replay.frontier, size):
		return faultIn(store.Commits, a.covered, "commit of size %d has another root than its entries", size)
	case row.TimeNS != a.replay.time:
		return faultIn(store.Commits, a.covered, "commit of size %d has another time than its entries", size)
	case row.Term < a.term:
		return faultIn(store.Commits, a.covered, "commit of size %d goes back to term %d", size, row.Term)
	}
	a.covered, a.term = row.Size, row.Term
	a.commits = a.commits[1:]
	return nil
}

const commitsAhead = 4096

// readCommits reads the records of commits from a size on. The list always ends
// with one that says why, or that there are no more.
func (a *audit) readCommits(from uint64) {
	a.commits = a.commits[:0]
	next := from
	err := a.engine.Scan(store.Commits.Key(from), store.Commits.Key(a.size+1), func(key, value []byte) error {
		size, err := store.Commits.ParseKey(key)
		if err != nil {
			return err
		}
		row, err := parseCommitRow(size, value)
		a.commits = append(a.commits, commitRecord{store.Head{Size: size, Root: row.Root, TimeNS: row.TimeNS, Term: row.Term}, err})
		next = size + 1
		if len(a.commits) == commitsAhead {
			return store.ErrStop
		}
		return nil
	})
	switch {
	case err != nil:
		a.commits = append(a.commits, commitRecord{store.Head{Size: next}, err})
	case len(a.commits) < commitsAhead:
		a.commits = append(a.commits, commitRecord{store.Head{Size: verify.MaxSize}, nil})
	}
}
