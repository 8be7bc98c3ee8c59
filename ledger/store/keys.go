package store

import (
	"bytes"
	"encoding/binary"
	"fmt"
)

// Table is the first byte of a key.
type Table byte

// The tables of the key space.
const (
	Identity Table = 'a'
	HeadRow  Table = 'h'
	Frames   Table = 'f'
	Growing  Table = 'g'
	Tiles    Table = 't'
	Commits  Table = 'c'
	Openings Table = 'o'
	Archive  Table = 'n'
	Position Table = 'p'
	Runs     Table = 'r'
	Streams  Table = 's'
	Index    Table = 'i'
	Closes   Table = 'k'
	Tally    Table = 'd'
	// Verification holds the state of the background verification.
	Verification Table = 'v'
)

// Derived tells whether the table is a function of the others: written by
// Derive and Load, replayed when lost.
func (t Table) Derived() bool {
	switch t {
	case Position, Runs, Streams, Index, Closes, Tally, Verification:
		return true
	}
	return false
}

// Range returns the half-open range [lo, hi) of the table's keys.
func (t Table) Range() (lo, hi []byte) {
	return []byte{byte(t)}, []byte{byte(t) + 1}
}

// Key returns the table's key t || u64 n.
func (t Table) Key(n uint64) []byte {
	return t.AppendKey(nil, n)
}

// AppendKey appends the key t || u64 n to dst.
func (t Table) AppendKey(dst []byte, n uint64) []byte {
	return binary.BigEndian.AppendUint64(append(dst, byte(t)), n)
}

// ParseKey returns n of a key t || u64 n.
func (t Table) ParseKey(key []byte) (uint64, error) {
	if len(key) != 9 || key[0] != byte(t) {
		return 0, fmt.Errorf("key %x is not of table %c", key, t)
	}
	return binary.BigEndian.Uint64(key[1:]), nil
}

// HeadKey returns the key of the head.
func HeadKey() []byte { return []byte{byte(HeadRow)} }

// TileKey returns the key of full tile n of a level.
func TileKey(level uint8, n uint64) []byte {
	return binary.BigEndian.AppendUint64([]byte{byte(Tiles), level}, n)
}

// CheckDerived returns ErrNotDerived unless key lies in a derived table.
func CheckDerived(key []byte) error {
	if len(key) == 0 || !Table(key[0]).Derived() {
		return fmt.Errorf("%w: key %x", ErrNotDerived, key)
	}
	return nil
}

// CheckDerivedRange returns ErrNotDerived unless every table that [lo, hi)
// touches is derived, and nil for an empty range.
func CheckDerivedRange(lo, hi []byte) error {
	if hi != nil && bytes.Compare(lo, hi) >= 0 {
		return nil
	}
	if err := CheckDerived(lo); err != nil {
		return err
	}
	if hi == nil {
		return fmt.Errorf("%w: range without an end", ErrNotDerived)
	}
	for t := lo[0]; t < hi[0]; t++ {
		if !Table(t).Derived() {
			return fmt.Errorf("%w: range %x to %x", ErrNotDerived, lo, hi)
		}
	}
	if len(hi) > 1 {
		return CheckDerived(hi)
	}
	return nil
}
