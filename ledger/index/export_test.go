package index

import "github.com/daybook-ledger/daybook/ledger/store"

// OpenSmall opens an index of chunks of 1<<chunk entries, 1<<merge of which are
// merged, that list at most so many values of a field.
func OpenSmall(engine store.Engine, chunk, merge uint, listed int) (*Index, error) {
	return open(engine, geometry{chunk, merge}, listed)
}

// ViewSmall is View of such an index.
func ViewSmall(engine store.Engine, chunk, merge uint, listed int) (*Index, error) {
	return view(engine, geometry{chunk, merge}, listed)
}

// Merged is how many merged tables there are.
func (x *Index) Merged() uint64 { return x.merged.Load() }

// MaxListed is the bound of values that a chunk lists.
const MaxListed = maxListed

// ReadBucket, ReadHeader and ReadValueKey are the parsers, for fuzzing.
func ReadBucket(chunk, merge uint, b []byte, hash uint32) ([]uint32, error) {
	t := geometry{chunk, merge}.chunkTable(0)
	k, err := openBucket(t, b)
	if err != nil {
		return nil, err
	}
	p, err := k.find(hash)
	var out []uint32
	if err == nil {
		p.each(0, t.len(), false, func(o int) bool { out = append(out, uint32(o)); return true })
	}
	return out, err
}

// WriteList and ReadList are appendList and its parser.
func WriteList(list []uint32, n int) []byte { return appendList(nil, list, n, new([]byte)) }

// ReadList reads what WriteList wrote.
func ReadList(b []byte, n int) ([]uint32, error) {
	f, body, rest, err := cutList(b)
	if err != nil {
		return nil, err
	}
	if len(rest) > 0 {
		return nil, ErrDamaged
	}
	p, err := parseList(f, body, n)
	var out []uint32
	if err == nil {
		p.each(0, n, false, func(o int) bool { out = append(out, uint32(o)); return true })
	}
	return out, err
}

// ReadHeader parses the header of a merged table.
func ReadHeader(b []byte) ([]byte, error) {
	chunks, err := parseHeader(nil, b, geometry{chunkBits, 1}.mergedTable(3))
	if err != nil {
		return nil, err
	}
	return appendHeader(nil, chunks), nil
}

// ValueKey and ValueOf are the dictionary's keys.
func ValueKey(f Field, v []byte) []byte { return appendValueKey(nil, f, v) }

// ValueOf reads a key of the dictionary.
func ValueOf(key []byte) ([]byte, bool) {
	v, _, whole := valueOf(key)
	return v, whole
}
