package ledger

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/daybook-ledger/daybook/ledger/frame"
	"github.com/daybook-ledger/daybook/ledger/store"
	"github.com/daybook-ledger/daybook/verify"
	"github.com/daybook-ledger/daybook/verify/domains"
)

const bundleWidth = 256 // entries of a tlog-tiles entry bundle

type span struct{ lo, hi uint32 }

// A pending is one placed entry, with what the sequencer derived of it.
type pending struct {
	head    []byte // batch head, shared
	body    []byte
	leaf    verify.Hash // once assembled
	place   verify.EntryHead
	event   *verify.EventFields // zero unless an access
	stream  *stream             // the sequencer's
	grounds domains.Grounds     // of the verdict of an access
}

// A placed is one append of a cohort, or one entry of the ledger's own.
type placed struct {
	head verify.BatchHead
	end  int  // one past its last entry in the cohort
	run  *run // a copy, as the append leaves it; nil for a one-off

	silent *run // a copy of the run whose silence the entry reports; mostly nil
}

// A cohort is what becomes durable together. The sequencer fills it; from its
// submission on it is immutable, until the follower has taken its entries.
type cohort struct {
	first   uint64
	time    int64
	head    []byte // batch head of the append being placed
	heads   []byte // all entry heads, one after the other
	places  []span // of heads, one for each entry
	entries []pending
	appends []placed
	works   []*work
	bytes   int
	sealed  []sealedOpening
	rows    []keptRow          // of the archive; a cohort may have nothing else
	fault   error              // the cohort must not be committed
	version *domains.Version   // came into force in it; nil: none
	signing *signing           // its head is signed with; nil: as before
	last    *domains.Succeeded // ended the log in it; nil: it goes on

	next       store.Head
	frontier   verify.Frontier // of the tree at next.Size
	ticket     store.Ticket
	batch      store.Batch
	submitted  time.Duration
	checkpoint []byte // set by the publisher; nil where the log is shut
	random     []byte
}

// A sealedOpening is an opening on its way to the store.
type sealedOpening struct{ key, value []byte }

// entriesPool holds *[]pending, all zero, for the entries of cohorts.
var entriesPool = sync.Pool{New: func() any { return new([]pending) }}

func newCohort(first uint64, now int64) *cohort {
	return &cohort{first: first, time: now, entries: (*entriesPool.Get().(*[]pending))[:0]}
}

// release lets go of all but what receipts need.
func (c *cohort) release() {
	for _, w := range c.works {
		putItems(w.items)
		w.items = nil
	}
	entries := c.entries
	clear(entries)
	entriesPool.Put(&entries)
	c.entries, c.appends, c.works = nil, nil, nil
}

// begin starts an append under a batch head.
func (c *cohort) begin(head verify.BatchHead) {
	c.head = head.AppendTo(nil)
	c.appends = append(c.appends, placed{head: head})
}

// end ends the append that begin started; r is its run, nil for a one-off.
func (c *cohort) end(r *run) {
	a := &c.appends[len(c.appends)-1]
	a.end = len(c.entries)
	if r != nil {
		r.key() // the copy has it too
		left := *r
		a.run = &left
	}
}

func (c *cohort) add(e pending) {
	lo := len(c.heads)
	c.heads = e.place.AppendTo(c.heads)
	c.places = append(c.places, span{uint32(lo), uint32(len(c.heads))})
	e.head = c.head
	c.entries = append(c.entries, e)
	c.bytes += len(c.head) + len(c.heads) - lo + len(e.body)
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

// assemble appends entries [lo, hi) to a payload and hashes them.
func (c *cohort) assemble(payload []byte, lo, hi int) []byte {
	for i := lo; i < hi; i++ {
		e, start := &c.entries[i], len(payload)
		payload = verify.AppendEntry(append(payload, 0, 0), e.head, c.place(c.places[i]), e.body)
		e.leaf = verify.HashLeafAfter(payload[start+1:])
		binary.BigEndian.PutUint16(payload[start:], uint16(len(payload)-start-2))
	}
	return payload
}

// A bundle is the incomplete last entry bundle, and under which keys its frames
// are. Owned by the sequencer.
type bundle struct {
	payload []byte // of its entries, as in one frame
	count   int
	keys    [][]byte
}

// A chunk is the part of a cohort that lies in one entry bundle; the natural
// unit of parallel work.
type chunk struct {
	lo, hi int // entries of the cohort
	count  int // entries in the frame: more than its own where it completes a bundle
	*chunkBuffers
	err error
}

// chunkBuffers are used again once the chunk is in the store's batch.
type chunkBuffers struct {
	payload []byte // of the frame
	frame   []byte // as it will be stored
	decoder frame.Decoder
}

// chunkPool holds *chunkBuffers.
var chunkPool = sync.Pool{New: func() any { return new(chunkBuffers) }}

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
	emit := func(id tileID, tl *tile) error { return batch.Set(store.TileKey(id.level, id.n), tl.bytes()) }
	for i := range c.entries {
		if err := q.tree.add(c.entries[i].leaf, emit); err != nil {
			return err
		}
	}
	c.frontier = q.tree.frontier()
	for _, o := range c.sealed {
		if err := batch.Set(o.key, o.value); err != nil {
			return err
		}
	}
	if err := c.storeRows(batch); err != nil {
		return err
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

// pack assembles a chunk and encodes its frame: with what its bundle holds from
// before, where it completes one.
func (q *sequencer) pack(c *cohort, k *chunk) {
	old := &bundle{}
	if k.lo == 0 && (c.first+uint64(k.hi))%bundleWidth == 0 {
		old = &q.bundle
	}
	k.chunkBuffers = chunkPool.Get().(*chunkBuffers)
	k.payload = c.assemble(append(k.payload[:0], old.payload...), k.lo, k.hi)
	k.count = old.count + k.hi - k.lo
	k.frame = frame.EncodePayload(k.frame[:0], k.payload, k.count)
	if old.count > 0 {
		k.err = k.checkSwap()
	}
}

// checkSwap decodes the frame that replaces a bundle's small ones and compares it
// with the bytes that were hashed, before the small ones are deleted.
func (k *chunk) checkSwap() error {
	decoded, err := k.decoder.Payload(k.frame)
	if err != nil {
		return fmt.Errorf("checking a bundle frame: %w", err)
	}
	if n, err := frame.Count(k.frame); err != nil || n != k.count || !bytes.Equal(decoded, k.payload) {
		return errors.New("checking a bundle frame: it decodes to other entries")
	}
	return nil
}

// storeChunk puts a chunk's frame into the batch. A chunk that completes a
// bundle replaces the bundle's small frames, all in the one atomic batch: a
// crash leaves either them or it.
func (q *sequencer) storeChunk(c *cohort, k *chunk, batch store.Batch) error {
	defer chunkPool.Put(k.chunkBuffers)
	if k.err != nil {
		return k.err
	}
	first := c.first + uint64(k.lo)
	if (c.first+uint64(k.hi))%bundleWidth == 0 {
		first -= first % bundleWidth
		key := store.Frames.Key(first)
		for _, old := range q.bundle.keys {
			if err := batch.Delete(old); err != nil {
				return err
			}
		}
		q.bundle = bundle{payload: q.bundle.payload[:0]}
		return batch.Set(key, k.frame)
	}
	key := store.Growing.Key(first)
	q.bundle.payload = append(q.bundle.payload, k.payload...)
	q.bundle.count += k.count
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
	next := q.head
	if len(c.entries) > 0 {
		next = store.Head{Term: q.head.Term, Size: c.first + uint64(len(c.entries)), Root: c.frontier.Root(), TimeNS: c.time}
		if err := batch.Set(store.Commits.Key(next.Size), commitRow(next)); err != nil {
			return err
		}
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
