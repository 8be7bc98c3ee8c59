package ledger

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"sync"
	"time"

	"github.com/daybook-ledger/daybook/ledger/frame"
	"github.com/daybook-ledger/daybook/ledger/store"
	"github.com/daybook-ledger/daybook/verify"
)

const bundleWidth = 256 // entries of a tlog-tiles entry bundle

type span struct{ lo, hi uint32 }

// A pending is one placed entry before its bytes are put together.
type pending struct {
	head []byte // batch head, shared
	body []byte
	raw  []byte // entry bytes, once assembled
	leaf verify.Hash
}

// A cohort is what becomes durable together. The sequencer fills it; from its
// submission on it is immutable.
type cohort struct {
	first   uint64
	time    int64
	head    []byte // batch head of the append being placed
	heads   []byte // all entry heads, one after the other
	places  []span // of heads, one for each entry
	entries []pending
	works   []*work
	bytes   int
	sealed  []sealedOpening
	fault   error // an opening could not be sealed: the cohort must not be committed

	next       store.Head
	ticket     store.Ticket
	batch      store.Batch
	submitted  time.Duration
	checkpoint []byte // set by the publisher; nil where the log is shut
	random     []byte
}

// A sealedOpening is an opening on its way to the store.
type sealedOpening struct{ key, value []byte }

func newCohort(first uint64, now int64) *cohort {
	return &cohort{first: first, time: now}
}

func (c *cohort) begin(head []byte) { c.head = head }

func (c *cohort) add(place *verify.EntryHead, body []byte) {
	lo := len(c.heads)
	c.heads = place.AppendTo(c.heads)
	c.places = append(c.places, span{uint32(lo), uint32(len(c.heads))})
	c.entries = append(c.entries, pending{head: c.head, body: body})
	c.bytes += len(c.head) + len(c.heads) - lo + len(body)
}

// place returns the bytes of one entry head; they are immutable.
func (c *cohort) place(s span) []byte { return c.heads[s.lo:s.hi:s.hi] }

// blind returns 16 random bytes.
func (c *cohort) blind() []byte {
	if len(c.random) < 16 {
		c.random = make([]byte, 16*bundleWidth)
		rand.Read(c.random)
	}
	b := c.random[:16:16]
	c.random = c.random[16:]
	return b
}

func (c *cohort) failAll(err error) {
	for _, w := range c.works {
		w.fail(err)
	}
}

// assemble puts entry [i] together and hashes it, for each i in [lo, hi).
func (c *cohort) assemble(lo, hi int) {
	size := 0
	for i := lo; i < hi; i++ {
		e, s := &c.entries[i], c.places[i]
		size += len(e.head) + int(s.hi-s.lo) + len(e.body) + 16
	}
	buf := make([]byte, 0, size)
	for i := lo; i < hi; i++ {
		e, start := &c.entries[i], len(buf)
		buf = verify.AppendEntry(buf, e.head, c.place(c.places[i]), e.body)
		e.raw = buf[start:len(buf):len(buf)]
		e.leaf = verify.HashLeaf(e.raw)
	}
}

// A bundle is the incomplete last entry bundle: its entries in memory, and
// under which keys their frames are. Owned by the sequencer.
type bundle struct {
	entries [][]byte
	leaves  []verify.Hash
	keys    [][]byte
}

// A chunk is the part of a cohort that lies in one entry bundle; the natural
// unit of parallel work.
type chunk struct {
	lo, hi int    // entries of the cohort
	frame  []byte // as it will be stored
	err    error
}

// integrate assembles, hashes, compresses and submits the cohort.
func (q *sequencer) integrate() error {
	c := q.cohort
	if c.fault != nil {
		return c.fault
	}
	chunks := c.chunks()
	q.eachChunk(chunks, func(k *chunk) { q.pack(c, k) })
	batch := q.takeBatch()
	for i := range chunks {
		if err := q.storeChunk(c, &chunks[i], batch); err != nil {
			return err
		}
	}
	for i := range c.entries {
		if err := q.tree.add(c.entries[i].leaf, func(id tileID, tl *tile) error {
			return batch.Set(store.TileKey(id.level, id.n), tl.bytes())
		}); err != nil {
			return err
		}
	}
	for _, o := range c.sealed {
		if err := batch.Set(o.key, o.value); err != nil {
			return err
		}
	}
	return q.submit(c, batch)
}

func (c *cohort) chunks() []chunk {
	var out []chunk
	for lo := 0; lo < len(c.entries); {
		index := c.first + uint64(lo)
		hi := min(len(c.entries), lo+int(bundleWidth-index%bundleWidth))
		out = append(out, chunk{lo: lo, hi: hi})
		lo = hi
	}
	return out
}

// eachChunk runs fn over the chunks, in parallel where there are several.
func (q *sequencer) eachChunk(chunks []chunk, fn func(*chunk)) {
	workers := min(q.l.workers, len(chunks))
	if workers <= 1 {
		for i := range chunks {
			fn(&chunks[i])
		}
		return
	}
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for i := w; i < len(chunks); i += workers {
				fn(&chunks[i])
			}
		})
	}
	wg.Wait()
}

// pack assembles a chunk and, where it needs nothing from before, encodes its
// frame.
func (q *sequencer) pack(c *cohort, k *chunk) {
	c.assemble(k.lo, k.hi)
	entries := make([][]byte, 0, bundleWidth)
	if (c.first+uint64(k.hi))%bundleWidth == 0 && k.lo == 0 {
		entries = append(entries, q.bundle.entries...)
	}
	for i := k.lo; i < k.hi; i++ {
		entries = append(entries, c.entries[i].raw)
	}
	k.frame = frame.Encode(nil, entries)
	if len(entries) > k.hi-k.lo {
		k.err = q.checkSwap(c, k)
	}
}

// checkSwap decodes the frame that replaces a bundle's small ones and compares
// every leaf hash, before the small ones are deleted.
func (q *sequencer) checkSwap(c *cohort, k *chunk) error {
	entries, err := frame.Decode(k.frame)
	if err != nil {
		return fmt.Errorf("checking a bundle frame: %w", err)
	}
	old := len(q.bundle.leaves)
	if len(entries) != old+k.hi-k.lo {
		return fmt.Errorf("checking a bundle frame: %d entries", len(entries))
	}
	for i, e := range entries {
		want := verify.Hash{}
		if i < old {
			want = q.bundle.leaves[i]
		} else {
			want = c.entries[k.lo+i-old].leaf
		}
		if verify.HashLeaf(e) != want {
			return &FaultError{c.first + uint64(k.lo) - uint64(old) + uint64(i), "leaf hash differs in the bundle frame"}
		}
	}
	return nil
}

// storeChunk puts a chunk's frame into the batch. A chunk that completes a
// bundle replaces the bundle's small frames, all in the one atomic batch: a
// crash leaves either them or it.
func (q *sequencer) storeChunk(c *cohort, k *chunk, batch store.Batch) error {
	if k.err != nil {
		return k.err
	}
	first := c.first + uint64(k.lo)
	if (c.first+uint64(k.hi))%bundleWidth == 0 {
		first -= first % bundleWidth
		key := store.Frames.Key(first)
		for _, old := range q.bundle.keys {
			if bytes.Equal(old, key) {
				continue
			}
			if err := batch.Delete(old); err != nil {
				return err
			}
		}
		q.bundle = bundle{}
		return batch.Set(key, k.frame)
	}
	key := store.Frames.Key(first)
	for i := k.lo; i < k.hi; i++ {
		q.bundle.entries = append(q.bundle.entries, c.entries[i].raw)
		q.bundle.leaves = append(q.bundle.leaves, c.entries[i].leaf)
	}
	q.bundle.keys = append(q.bundle.keys, key)
	return batch.Set(key, k.frame)
}

func (q *sequencer) takeBatch() store.Batch {
	select {
	case b := <-q.batches:
		return b
	default:
		return q.l.engine.NewBatch()
	}
}

// submit gives the cohort to the store in ONE synced batch, with the record of
// the commit from which its checkpoint is signed again at any time. A crash
// leaves all of the cohort or nothing.
func (q *sequencer) submit(c *cohort, batch store.Batch) error {
	next := store.Head{Term: q.head.Term, Size: c.first + uint64(len(c.entries)), Root: q.tree.frontier.Root(), TimeNS: c.time}
	if err := batch.Set(store.Commits.Key(next.Size), commitRow(next)); err != nil {
		return err
	}
	c.next, c.batch, c.submitted = next, batch, q.l.clock.Mono()
	ticket, err := q.l.engine.Commit(q.head, next, batch)
	if err != nil {
		return fmt.Errorf("committing %d entries: %w", len(c.entries), err)
	}
	c.ticket = ticket
	q.head = next
	q.l.queue.submitted()
	q.l.submitted <- c
	return nil
}

func commitRow(h store.Head) []byte {
	row := append([]byte(nil), h.Root[:]...)
	row = binary.BigEndian.AppendUint64(row, uint64(h.TimeNS))
	return binary.BigEndian.AppendUint64(row, h.Term)
}

func parseCommitRow(size uint64, row []byte) (store.Head, error) {
	if len(row) != 32+8+8 {
		return store.Head{}, fmt.Errorf("commit of size %d: %d bytes", size, len(row))
	}
	h := store.Head{Size: size, TimeNS: int64(binary.BigEndian.Uint64(row[32:])), Term: binary.BigEndian.Uint64(row[40:])}
	copy(h.Root[:], row)
	return h, nil
}
