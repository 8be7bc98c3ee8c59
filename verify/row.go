package verify

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"

	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
)

// MaxRowKey is the longest key of a row in bytes: a producer of 2,048, a zero
// and a run id.
const MaxRowKey = 2048 + 1 + 32

// Row is one line of a close's table.
type Row struct {
	// Key names the stream or run, 1 to MaxRowKey bytes: a [StreamKey], or a run's
	// key, see [RunRowKey].
	Key []byte
	// Count is the stream's number of entries below the cut, or how many numbers
	// of the run are covered at the cut.
	Count uint64
	// Root is the RFC 6962 root of the stream's entries below the cut, or the
	// running hash of the run there.
	Root Hash
}

// AppendTo appends the row's bytes, which are a leaf of the table's tree:
//
//	u16 length of key || key || u64 count || 32-byte root
//
// For example the stream of three accesses from a to b, reported by the source,
// in time, is
//
//	0007 02016101620100 0000000000000003 36e121ca...28d
func (r Row) AppendTo(dst []byte) []byte {
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(r.Key)))
	dst = append(dst, r.Key...)
	dst = binary.BigEndian.AppendUint64(dst, r.Count)
	return append(dst, r.Root[:]...)
}

var errRow = errors.New("row is cut short, or its key is empty or over 2,081 bytes")

// CutRow reads the first row of b and returns what follows it. The key aliases
// b.
func CutRow(b []byte) (r Row, rest []byte, err error) {
	if len(b) < 2 {
		return Row{}, nil, errRow
	}
	n := int(binary.BigEndian.Uint16(b))
	if n == 0 || n > MaxRowKey || len(b) < 2+n+8+32 {
		return Row{}, nil, errRow
	}
	r.Key, b = b[2:2+n:2+n], b[2+n:]
	r.Count = binary.BigEndian.Uint64(b)
	r.Root = Hash(b[8:40])
	return r, b[40:], nil
}

// ParseRow reads one row strictly: AppendTo of the result gives the same bytes.
// The key aliases b.
func ParseRow(b []byte) (Row, error) {
	r, rest, err := CutRow(b)
	if err == nil && len(rest) != 0 {
		return Row{}, fmt.Errorf("row of %d bytes and %d more", len(b)-len(rest), len(rest))
	}
	return r, err
}

// RunRowKey returns the key of a run's row: producer || 0x00 || run id. Its row
// has the last number covered at the cut and the running hash there.
func RunRowKey(producer string, run Hash) []byte {
	return append(OneOffRowKey(producer), run[:]...)
}

// OneOffRowKey returns the key of the one row for all one-offs of a producer,
// producer || 0x00: the events that it sent without a run of theirs. The row
// counts them since entry 0, in the order of the log, as if they were the numbers
// of a run whose id is 32 zero bytes; its root is that run's running hash: h(0) =
// [RunStart](producer, zeros), h(k) = [RunNext](h(k-1), k, SHA-256(body)).
func OneOffRowKey(producer string) []byte {
	b := make([]byte, 0, len(producer)+1+32)
	return append(append(b, producer...), 0)
}

// ParseRunRowKey reads the key of a row of the table of runs strictly. oneOff
// says that it is that of a producer's one-offs, which has no run id.
func ParseRunRowKey(key []byte) (producer string, run Hash, oneOff bool, err error) {
	name, id, ok := bytes.Cut(key, []byte{0})
	if !ok || len(name) == 0 || len(name) > 2048 || len(id) != 0 && len(id) != len(run) {
		return "", Hash{}, false, fmt.Errorf("%.80q is no key of a run", key)
	}
	copy(run[:], id)
	return string(name), run, len(id) == 0, nil
}

// A TableBuilder makes the table of a close of its rows: the RFC 6962 tree whose
// leaves are the rows in bytes.Compare order of their keys, no key twice, and the
// sum of their counts.
//
// The table of streams has a row for each stream with an entry below the cut:
// counts and roots since entry 0, so that the counts sum to the cut. The table of
// runs has a row for each run with an entry in the period, [previous cut, cut),
// of any kind; and one for each producer with a one-off in it. Entry 0 is in no
// run.
//
// The zero value is the empty table. It is not safe for concurrent use.
type TableBuilder struct {
	tree Frontier
	sum  uint64
	last []byte
}

// Add adds the next row and returns its leaf hash. The row is not kept.
func (b *TableBuilder) Add(r Row) (Hash, error) {
	if len(r.Key) == 0 || len(r.Key) > MaxRowKey || bytes.Compare(b.last, r.Key) >= 0 {
		return Hash{}, fmt.Errorf("row %x does not come after row %x", r.Key, b.last)
	}
	if b.sum+r.Count < b.sum {
		return Hash{}, errors.New("counts of the rows overflow")
	}
	var buf [256]byte
	leaf := HashLeaf(r.AppendTo(buf[:0]))
	b.tree.Append(leaf)
	b.sum += r.Count
	b.last = append(b.last[:0], r.Key...)
	return leaf, nil
}

// Table returns the table of the rows so far.
func (b *TableBuilder) Table() *daybookv1.CloseTable {
	root := b.tree.Root()
	return &daybookv1.CloseTable{Rows: b.tree.Size, Root: root[:], Sum: b.sum}
}

// CheckTable checks that rows are all the rows of a table.
func CheckTable(t *daybookv1.CloseTable, rows []Row) error {
	var b TableBuilder
	for _, r := range rows {
		if _, err := b.Add(r); err != nil {
			return err
		}
	}
	got := b.Table()
	if got.Rows != t.GetRows() || got.Sum != t.GetSum() || !bytes.Equal(got.Root, t.GetRoot()) {
		return fmt.Errorf("%d rows that sum to %d with another root than the table's %d that sum to %d: %w",
			got.Rows, got.Sum, t.GetRows(), t.GetSum(), ErrProof)
	}
	return nil
}

// ProvenRow is a row with its place in a table and the inclusion proof there.
type ProvenRow struct {
	Index uint64 // from 0
	Row   Row
	Proof []Hash
}

// CheckRow checks that a row stands in a table, by its RFC 6962 inclusion proof.
// That its key says what was asked for is the caller's to compare.
func CheckRow(t *daybookv1.CloseTable, p ProvenRow) error {
	if len(t.GetRoot()) != len(Hash{}) {
		return errors.New("table without a root")
	}
	return CheckInclusion(p.Index, t.GetRows(), HashLeaf(p.Row.AppendTo(nil)), p.Proof, Hash(t.GetRoot()))
}

// CheckAbsent checks that a table has no row with the key: before and after are
// neighbours in the table, and the key lies between theirs. Where the key is
// before the first row, before is nil and after the first; after the last row,
// after is nil and before the last; in an empty table both are nil. Rests on the
// order of the rows, which whoever holds the whole table checks by [CheckTable].
func CheckAbsent(t *daybookv1.CloseTable, key []byte, before, after *ProvenRow) error {
	if len(t.GetRoot()) != len(Hash{}) {
		return errors.New("table without a root")
	}
	for _, p := range []*ProvenRow{before, after} {
		if p == nil {
			continue
		}
		if err := CheckRow(t, *p); err != nil {
			return err
		}
	}
	place := false
	switch {
	case before == nil && after == nil:
		place = t.GetRows() == 0 && Hash(t.GetRoot()) == EmptyRoot()
	case before == nil:
		place = after.Index == 0
	case after == nil:
		place = before.Index == t.GetRows()-1
	default:
		place = before.Index+1 == after.Index
	}
	if !place {
		return fmt.Errorf("the rows are no neighbours in a table of %d: %w", t.GetRows(), ErrProof)
	}
	if before != nil && bytes.Compare(before.Row.Key, key) >= 0 || after != nil && bytes.Compare(key, after.Row.Key) >= 0 {
		return fmt.Errorf("key %x does not lie between the rows: %w", key, ErrProof)
	}
	return nil
}
