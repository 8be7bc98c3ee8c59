package client_test

import (
	"crypto/rand"
	"crypto/sha256"
	"slices"
	"sync"
	"testing"

	"golang.org/x/mod/sumdb/note"

	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/verify"
)

// memLog is an honest log in memory: it issues real entries, receipts and
// checkpoints. Cloned, it is two logs under one key.
type memLog struct {
	origin, vkey string
	signer       note.Signer
	beside       note.Signer // signs too; nil: nobody does

	mu      sync.Mutex
	entries [][]byte
	leaves  []verify.Hash
	runs    map[verify.Hash]*memRun
	time    int64
}

// memRun is one run of a memLog.
type memRun struct {
	producer    string
	certificate []byte
	provenance  daybookv1.Provenance
	epoch, next uint64
	hash        verify.Hash
	ended       bool
	opened      uint64            // index of the entry that opened it
	at          map[uint64]uint64 // number -> index
}

// memReceipt is a receipt as it is made, before it becomes a message.
type memReceipt struct {
	groups     []memGroup
	checkpoint []byte
}

type memGroup struct {
	first  uint64
	head   []byte
	places [][]byte
	proof  []verify.Hash
	repeat bool
}

func newMemLog(t testing.TB, origin string) *memLog {
	t.Helper()
	skey, vkey, err := note.GenerateKey(rand.Reader, origin)
	must(t, err)
	signer, err := note.NewSigner(skey)
	must(t, err)
	l := &memLog{origin: origin, vkey: vkey, signer: signer, runs: map[verify.Hash]*memRun{}, time: 1_700_000_000_000_000_000}
	l.add(l.head(verify.BatchHead{Producer: origin, Run: verify.Hash{1}, Epoch: 1, Provenance: 1}), daybookv1.Kind_KIND_ORIGIN_OPENED, 0, []byte("origin"))
	return l
}

// fork clones the log: from here on the two differ, under one key.
func (l *memLog) fork() *memLog {
	l.mu.Lock()
	defer l.mu.Unlock()
	c := &memLog{origin: l.origin, vkey: l.vkey, signer: l.signer, entries: slices.Clone(l.entries),
		leaves: slices.Clone(l.leaves), runs: map[verify.Hash]*memRun{}, time: l.time + 1}
	return c
}

// cut makes the log forget its newest entries, as a restored copy does.
func (l *memLog) cut(size int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.entries, l.leaves = l.entries[:size], l.leaves[:size]
}

func (l *memLog) head(h verify.BatchHead) []byte {
	l.time++
	h.FormatVersion, h.LogTimeNS, h.RulesVersion, h.KeyFingerprint = 1, l.time, 1, verify.Hash{9}
	return h.AppendTo(nil)
}

// add appends one entry and returns its place.
func (l *memLog) add(head []byte, kind daybookv1.Kind, number uint64, body []byte) (place []byte) {
	p := verify.EntryHead{Kind: kind, Index: uint64(len(l.entries)), Number: number}
	place = p.AppendTo(nil)
	entry := verify.AppendEntry(nil, head, place, body)
	l.entries = append(l.entries, entry)
	l.leaves = append(l.leaves, verify.HashLeaf(entry))
	return place
}

// node is the tree: the dumb way.
func (l *memLog) node(level uint, index uint64) (verify.Hash, error) {
	if level == 0 {
		return l.leaves[index], nil
	}
	left, _ := l.node(level-1, 2*index)
	right, _ := l.node(level-1, 2*index+1)
	return verify.HashNode(left, right), nil
}

// checkpoint signs the tree of the first size entries.
func (l *memLog) checkpoint(size int) []byte {
	root, err := verify.RootAt(uint64(size), l.node)
	if err == nil {
		var text []byte
		signers := []note.Signer{l.signer}
		if l.beside != nil {
			signers = append(signers, l.beside)
		}
		text, err = note.Sign(&note.Note{Text: verify.FormatCheckpoint(verify.Checkpoint{Origin: l.origin, Size: uint64(size), Root: root})}, signers...)
		if err == nil {
			return text
		}
	}
	panic(err)
}

func (l *memLog) consistency(first, second uint64) []verify.Hash {
	proof, err := verify.ProveConsistency(first, second, l.node)
	if err != nil {
		panic(err)
	}
	return proof
}

func (l *memLog) proof(lo, hi, size uint64) []verify.Hash {
	proof, err := verify.ProveRange(lo, hi, size, l.node)
	if err != nil {
		panic(err)
	}
	return proof
}

// prove makes the receipt of entries that stand at indexes, in their order.
func (l *memLog) prove(indexes []uint64, old int) *memReceipt {
	size := uint64(len(l.entries))
	r := &memReceipt{checkpoint: l.checkpoint(int(size))}
	for i := 0; i < len(indexes); {
		j := i + 1
		first, err := verify.ParseEntry(l.entries[indexes[i]])
		if err != nil {
			panic(err)
		}
		g := memGroup{first: indexes[i], head: first.HeadBytes, places: [][]byte{first.PlaceBytes}, repeat: i < old}
		for ; j < len(indexes) && indexes[j] == indexes[j-1]+1 && (j < old) == g.repeat; j++ {
			e, err := verify.ParseEntry(l.entries[indexes[j]])
			if err != nil {
				panic(err)
			}
			if string(e.HeadBytes) != string(g.head) {
				break
			}
			g.places = append(g.places, e.PlaceBytes)
		}
		g.proof = l.proof(indexes[i], indexes[j-1]+1, size)
		r.groups = append(r.groups, g)
		i = j
	}
	return r
}

// open opens a run or finds it.
func (l *memLog) open(producer string, certificate []byte, m *daybookv1.RunOpened, body []byte) (*memRun, *memReceipt) {
	id := verify.Hash(m.Run)
	r := l.runs[id]
	if r == nil {
		r = &memRun{producer: producer, certificate: certificate, provenance: m.Provenance, epoch: 1, next: 1,
			hash: verify.RunStart(producer, id), opened: uint64(len(l.entries)), at: map[uint64]uint64{}}
		l.runs[id] = r
		l.add(l.runHead(r, id), daybookv1.Kind_KIND_RUN_OPENED, 0, body)
		return r, l.prove([]uint64{r.opened}, 0)
	}
	return r, l.prove([]uint64{r.opened}, 1)
}

func (l *memLog) runHead(r *memRun, id verify.Hash) []byte {
	return l.head(verify.BatchHead{Producer: r.producer, Provenance: r.provenance, Run: id, Epoch: r.epoch})
}

// control appends an entry about a run.
func (l *memLog) control(r *memRun, id verify.Hash, kind daybookv1.Kind, body []byte) *memReceipt {
	index := uint64(len(l.entries))
	l.add(l.runHead(r, id), kind, 0, body)
	return l.prove([]uint64{index}, 0)
}

// memItem is one item of an append.
type memItem struct {
	kind daybookv1.Kind
	body []byte
	span uint64
}

// take appends items from number first on; what is there is repeated. expected
// is not 0 where the numbers do not fit; conflict where the bytes do not.
func (l *memLog) take(r *memRun, id verify.Hash, first uint64, items []memItem) (receipt *memReceipt, expected, conflict uint64) {
	if first > r.next {
		return nil, r.next, 0
	}
	head := l.runHead(r, id)
	var indexes []uint64
	old, number := 0, first
	for _, it := range items {
		index, there := r.at[number]
		if there {
			if e, err := verify.ParseEntry(l.entries[index]); err != nil || string(e.Body) != string(it.body) {
				return nil, 0, number
			}
			old++
		} else {
			index = uint64(len(l.entries))
			l.add(head, it.kind, number, it.body)
			r.at[number] = index
			r.hash = verify.RunNext(r.hash, number, sha256.Sum256(it.body))
			r.next = number + it.span
		}
		indexes = append(indexes, index)
		number += it.span
	}
	return l.prove(indexes, old), 0, 0
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
