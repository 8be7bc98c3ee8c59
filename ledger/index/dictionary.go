package index

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"

	"github.com/daybook-ledger/daybook/ledger/store"
)

const (
	dictionaryLevel = 0xff // the first byte of the number in the dictionary's keys
	dictionaryHead  = 3    // bytes of a key before the value
	// maxKeyValue is how many bytes of a value stand in its key. The hash of the
	// whole follows where the value is longer.
	maxKeyValue = 400
	// MaxPrefixValues is how many values a searched prefix may have.
	MaxPrefixValues = 1024
	// knownValues is how many values are remembered to be in the dictionary.
	knownValues = 1 << 20
)

// TooBroadError refuses a prefix that more than MaxPrefixValues values have.
type TooBroadError struct {
	Field  Field
	Prefix string
}

func (e *TooBroadError) Error() string {
	return fmt.Sprintf("%v: over %d values begin with %q: give more of the value, or search it whole", e.Field, MaxPrefixValues, e.Prefix)
}

// appendValueKey appends the key of a value in the dictionary.
func appendValueKey(dst []byte, f Field, value []byte) []byte {
	dst = append(dst, byte(store.Index), dictionaryLevel, byte(f))
	if len(value) <= maxKeyValue {
		return append(dst, value...)
	}
	dst = append(dst, value[:maxKeyValue]...)
	h := hashBytes(value)
	return append(dst, byte(h>>16), byte(h>>8), byte(h))
}

// valueOf returns the value, or the begin of it, and the hash in a key.
func valueOf(key []byte) (value []byte, hash uint32, whole bool) {
	v := key[dictionaryHead:]
	if len(v) != maxKeyValue+3 {
		return v, hashBytes(v), true
	}
	h := v[maxKeyValue:]
	return v[:maxKeyValue], uint32(h[0])<<16 | uint32(h[1])<<8 | uint32(h[2]), false
}

// known remembers values that are in the dictionary: a cache of 8 MB, of lines of
// eight sums, the newest first. A value's line is chosen by its hash; the sum is
// under a key of this process, see [seen].
type known struct {
	lines [][knownLine]uint64
}

const knownLine = 8

func newKnown() known {
	return known{make([][knownLine]uint64, knownValues/knownLine)}
}

// add remembers a value and tells whether it was remembered already.
func (k *known) add(hash, sum uint64) bool {
	line := &k.lines[hash%uint64(len(k.lines))]
	at := slices.Index(line[:], sum)
	if at == 0 {
		return true
	}
	found := at > 0
	if !found {
		at = knownLine - 1 // the oldest goes
	}
	copy(line[1:at+1], line[:at])
	line[0] = sum
	return found
}

// newValues returns the keys of the values of a complete chunk that the
// dictionary does not have, ascending. Unlisted fields have none.
func (x *Index) newValues(t *tail, c Chunk) ([][]byte, error) {
	var keys [][]byte
	var key []byte
	for slot, s := range t.seen {
		if c.unlisted&(1<<slot) != 0 {
			continue
		}
		for i, v := range s.values {
			if x.known.add(v.hash, v.sum) {
				continue
			}
			key = appendValueKey(key[:0], textFields[slot], s.value(i))
			_, err := x.engine.Get(key)
			switch {
			case errors.Is(err, store.ErrNotFound):
				keys = append(keys, slices.Clone(key))
			case err != nil:
				return nil, fmt.Errorf("reading the dictionary: %w", err)
			}
		}
	}
	slices.SortFunc(keys, bytes.Compare)
	return keys, nil
}

// withValues adds the dictionary's new rows to the rows of a chunk.
func withValues(chunk iter.Seq2[[]byte, []byte], number uint64, keys [][]byte) iter.Seq2[[]byte, []byte] {
	return func(yield func(key, value []byte) bool) {
		for k, v := range chunk {
			if !yield(k, v) {
				return
			}
		}
		row := binary.BigEndian.AppendUint64(nil, number)
		for _, k := range keys {
			if !yield(k, row) {
				return
			}
		}
	}
}

// eachValue calls fn for each value of the field in tables that begins with the
// prefix, ascending, until it returns false.
func (x *Index) eachValue(ctx context.Context, f Field, prefix []byte, fn func(value []byte, whole bool, t listed) bool) error {
	lo := []byte{byte(store.Index), dictionaryLevel, byte(f)}
	lo = append(lo, prefix[:min(len(prefix), maxKeyValue)]...)
	return x.engine.Scan(lo, after(lo), func(key, row []byte) error {
		value, hash, whole := valueOf(key)
		if len(row) != 8 {
			return fmt.Errorf("%w: dictionary row of %d bytes", ErrDamaged, len(row))
		}
		if whole && !bytes.HasPrefix(value, prefix) {
			return nil
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if !fn(value, whole, listed{hash, binary.BigEndian.Uint64(row)}) {
			return store.ErrStop
		}
		return nil
	})
}

// after returns the first key after all that begin with the prefix, whose first
// byte is not 0xff.
func after(prefix []byte) []byte {
	end := slices.Clone(prefix)
	for end[len(end)-1] == 0xff {
		end = end[:len(end)-1]
	}
	end[len(end)-1]++
	return end
}

// prefixed makes a prefix ready: the terms of all values that have it. Values that
// are added meanwhile belong to entries after the search's horizon.
func (x *Index) prefixed(ctx context.Context, t *tail, m *Match) (group, error) {
	g := group{field: m.Field, prefix: m.Value}
	tooMany := &TooBroadError{m.Field, string(m.Value)}
	err := x.eachValue(ctx, m.Field, m.Value, func(_ []byte, _ bool, l listed) bool {
		g.terms = append(g.terms, l)
		return len(g.terms) <= MaxPrefixValues
	})
	if err != nil {
		return g, err
	}
	number := t.first >> x.g.chunk
	if len(g.terms) <= MaxPrefixValues {
		g.unlistedTail = !t.seen[fields[m.Field].slot].each(func(v []byte) bool {
			if bytes.HasPrefix(v, m.Value) {
				g.terms = append(g.terms, listed{hashBytes(v), number})
			}
			return len(g.terms) <= 2*MaxPrefixValues
		})
	}
	slices.SortFunc(g.terms, func(a, b listed) int {
		if a.hash != b.hash {
			return int(a.hash) - int(b.hash)
		}
		return int(int64(a.chunk) - int64(b.chunk))
	})
	g.terms = slices.CompactFunc(g.terms, func(a, b listed) bool { return a.hash == b.hash })
	if len(g.terms) > MaxPrefixValues {
		return g, tooMany
	}
	return g, nil
}

// Values returns the values of a field that begin with a prefix, which may be
// empty, ascending, at most limit, and whether there may be more. A value of
// over 400 bytes is cut there. A field that has half as many values as entries
// in some chunk is an id there: its values in that chunk are not listed.
func (x *Index) Values(ctx context.Context, f Field, prefix string, limit int) (list []string, more bool, err error) {
	m := Match{Field: f, Value: []byte(prefix)}
	if err := m.check(); err != nil {
		return nil, false, err
	}
	if !f.Listed() {
		return nil, false, &QueryError{f, "its values are not listed; listed are " + strings.Join(ListedFields(), ", ")}
	}
	t := x.tail.Load()
	if err := x.eachValue(ctx, f, m.Value, func(v []byte, _ bool, _ listed) bool {
		if s := string(v); len(list) == 0 || list[len(list)-1] != s {
			list = append(list, s)
		}
		return len(list) <= limit
	}); err != nil {
		return nil, false, err
	}
	list = t.seen[fields[f].slot].least(list, m.Value, limit+1)
	if len(list) > limit {
		return list[:limit], true, nil
	}
	return list, false, nil
}

// least merges the values that begin with a prefix into an ascending list, and
// keeps the first limit.
func (s *seen) least(list []string, prefix []byte, limit int) []string {
	s.each(func(v []byte) bool {
		if !bytes.HasPrefix(v, prefix) {
			return true
		}
		v = v[:min(len(v), maxKeyValue)]
		at, found := slices.BinarySearchFunc(list, v, func(s string, v []byte) int { return strings.Compare(s, string(v)) })
		if !found && at < limit {
			list = slices.Insert(list, at, string(v))
			list = list[:min(len(list), limit)]
		}
		return true
	})
	return list
}
