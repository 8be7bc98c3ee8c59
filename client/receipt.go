package client

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"sync"

	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/verify"
)

// Receipt proves that the items of one append are in the log; it was checked,
// unless Checked says otherwise. Immutable and safe for concurrent use. It holds
// on to the bodies of its items.
type Receipt struct {
	p     *proofs
	at, n int // items [at, at+n) of p
}

// proofs is the answer to one append.
type proofs struct {
	items   []Item
	first   uint64      // number of the first item; 0: the items take no numbers
	size    uint64      // size of the checkpoint, where it was checked
	root    verify.Hash // its root
	note    []byte      // the checkpoint
	groups  []group
	checked bool
}

// group is a contiguous range of entries.
type group struct {
	from   int // first item
	first  uint64
	head   []byte
	places [][]byte
	proof  []verify.Hash
	repeat bool

	once sync.Once // makes open
	open *verify.Range
	err  error // why it could not be made
}

// Len is the number of items.
func (r *Receipt) Len() int { return r.n }

// Checked says whether the receipt was checked; see Config.CheckEvery.
func (r *Receipt) Checked() bool { return r.p.checked }

// Checkpoint returns the signed checkpoint that the receipt leads to. The
// caller must not change it.
func (r *Receipt) Checkpoint() []byte { return r.p.note }

// Size is the size of that checkpoint.
func (r *Receipt) Size() uint64 { return r.p.size }

// Index is the index in the log of item i in [0, Len()).
func (r *Receipt) Index(i int) uint64 {
	g := r.p.group(r.at + i)
	return g.first + uint64(r.at+i-g.from)
}

// Number is the number in the run of item i; 0: it takes none.
func (r *Receipt) Number(i int) uint64 {
	if r.p.first == 0 {
		return 0
	}
	n := r.p.first
	for j := range r.at + i {
		n += r.p.items[j].span()
	}
	return n
}

// Kind is the kind of item i: DECLINED where a refused event was replaced.
func (r *Receipt) Kind(i int) daybookv1.Kind { return r.p.items[r.at+i].Kind }

// Repeat says that item i was in the log before this append.
func (r *Receipt) Repeat(i int) bool { return r.p.group(r.at + i).repeat }

// Repeats is how many of the items were in the log before this append.
func (r *Receipt) Repeats() int {
	n := 0
	for i := range r.n {
		if r.Repeat(i) {
			n++
		}
	}
	return n
}

// Entry returns the bytes of item i's entry, which its leaf hash covers.
func (r *Receipt) Entry(i int) []byte {
	g := r.p.group(r.at + i)
	return verify.AppendEntry(nil, g.head, g.places[r.at+i-g.from], r.p.items[r.at+i].Body)
}

// Proof returns the inclusion proof (RFC 6962) of item i at Size, derived from
// the range proof: the first call hashes the batch, the others read from its tree.
func (r *Receipt) Proof(i int) ([]verify.Hash, error) {
	if !r.p.checked {
		return nil, ErrUnchecked
	}
	g := r.p.group(r.at + i)
	g.once.Do(func() { g.open, g.err = r.p.openGroup(g) })
	if g.err != nil {
		return nil, g.err
	}
	return g.open.Single(r.Index(i))
}

// openGroup hashes the entries of a group, which was checked, once more.
func (p *proofs) openGroup(g *group) (*verify.Range, error) {
	var buf []byte
	leaves := make([]verify.Hash, len(g.places))
	for j := range leaves {
		buf = verify.AppendEntry(buf[:0], g.head, g.places[j], p.items[g.from+j].Body)
		leaves[j] = verify.HashLeaf(buf)
	}
	return verify.OpenRange(g.first, p.size, leaves, g.proof, p.root)
}

// Files returns the contents of item i's receipt files: the tlog-proof (c2sp)
// and the entry bytes.
func (r *Receipt) Files(i int) (proof, entry []byte, err error) {
	hashes, err := r.Proof(i)
	if err != nil {
		return nil, nil, fmt.Errorf("receipt of index %d: %w", r.Index(i), err)
	}
	proof = verify.FormatReceipt(verify.Receipt{Index: r.Index(i), Proof: hashes, Checkpoint: r.p.note})
	return proof, r.Entry(i), nil
}

// WriteFiles writes item i's receipt as INDEX.tlog-proof and INDEX.entry into
// dir, made where it is missing.
func (r *Receipt) WriteFiles(dir string, i int) error {
	proof, entry, err := r.Files(i)
	if err != nil {
		return err
	}
	return WriteReceipt(dir, r.Index(i), proof, entry)
}

// WriteReceipt writes a receipt as INDEX.tlog-proof and INDEX.entry into dir,
// made where it is missing. The files are not synced: a receipt lost in a crash
// can be asked for again.
func WriteReceipt(dir string, index uint64, proof, entry []byte) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("writing receipt: %w", err)
	}
	base := filepath.Join(dir, strconv.FormatUint(index, 10))
	if err := os.WriteFile(base+".entry", entry, 0o644); err != nil {
		return fmt.Errorf("writing receipt: %w", err)
	}
	if err := os.WriteFile(base+".tlog-proof", proof, 0o644); err != nil {
		return fmt.Errorf("writing receipt: %w", err)
	}
	return nil
}

// group returns the group of item i.
func (p *proofs) group(i int) *group {
	for k := len(p.groups) - 1; k > 0; k-- {
		if p.groups[k].from <= i {
			return &p.groups[k]
		}
	}
	return &p.groups[0]
}
