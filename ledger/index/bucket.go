package index

import (
	"encoding/binary"
	"fmt"
)

const (
	// minList is the number of hits from which a value has its own list.
	minList = 8
)

// bucketWriter writes the buckets of one table, value by value.
type bucketWriter struct {
	t     table
	yield func(key, value []byte) bool

	field    Field
	top      uint32
	count    int // of the lists
	lists    []byte
	postings []uint64 // rest of the hash << 32 | offset
	key      []byte
	value    []byte
	scratch  []byte
}

// add writes the offsets of a hash: fields and hashes ascend, and so do the
// offsets of a hash. False: yield wants no more.
func (w *bucketWriter) add(f Field, hash uint32, offsets []uint32) bool {
	rest := w.t.restBits()
	if top := hash >> rest; f != w.field || top != w.top {
		if !w.flush() {
			return false
		}
		w.field, w.top = f, top
	}
	hash &= 1<<rest - 1
	if len(offsets) >= minList {
		w.count++
		w.lists = binary.BigEndian.AppendUint16(w.lists, uint16(hash))
		w.lists = appendList(w.lists, offsets, w.t.len(), &w.scratch)
		return true
	}
	for _, o := range offsets {
		w.postings = append(w.postings, uint64(hash)<<32|uint64(o))
	}
	return true
}

// flush ends the bucket.
func (w *bucketWriter) flush() bool {
	if w.count == 0 && len(w.postings) == 0 {
		return true
	}
	w.key = w.t.appendBucketKey(w.key[:0], w.field, w.top)
	w.value = binary.AppendUvarint(w.value[:0], uint64(w.count))
	w.value = appendPostings(append(w.value, w.lists...), w.postings, w.t)
	w.count, w.lists, w.postings = 0, w.lists[:0], w.postings[:0]
	return w.yield(w.key, w.value)
}

// reset begins a table.
func (w *bucketWriter) reset(t table, yield func(key, value []byte) bool) {
	w.t, w.yield = t, yield
	w.field, w.top = 0, 0
	w.count, w.lists, w.postings = 0, w.lists[:0], w.postings[:0]
}

// appendPostings writes the postings: a Rice parameter, and for each the distance
// of its hash from the one before and its offset.
func appendPostings(dst []byte, list []uint64, t table) []byte {
	if len(list) == 0 {
		return dst
	}
	k := riceParameter(1<<t.restBits(), len(list))
	w := bitWriter{dst: append(dst, byte(k))}
	last := uint32(0)
	for _, p := range list {
		rest := uint32(p >> 32)
		w.rice(rest-last, k)
		w.put(p&(1<<t.bits-1), t.bits)
		last = rest
	}
	return w.close()
}

// eachPosting calls fn for each posting, ascending by hash, until it returns
// false.
func eachPosting(b []byte, t table, fn func(rest, offset uint32) bool) error {
	if len(b) == 0 {
		return nil
	}
	if b[0] > maxParameter {
		return fmt.Errorf("%w: postings are garbled", ErrDamaged)
	}
	r := bitReader{b: b[1:]}
	for rest := uint32(0); ; {
		gap, ok := r.rice(uint(b[0]))
		if !ok {
			return nil
		}
		rest += gap
		offset, ok := r.get(t.bits)
		if !ok || rest >= 1<<t.restBits() {
			return fmt.Errorf("%w: postings are garbled", ErrDamaged)
		}
		if !fn(rest, offset) {
			return nil
		}
	}
}

// A bucket is one that is read: its lists, then its postings.
type bucket struct {
	t     table
	count int
	lists []byte // and the postings after them
}

func openBucket(t table, b []byte) (bucket, error) {
	count, n := binary.Uvarint(b)
	if n <= 0 || count > uint64(len(b)) {
		return bucket{}, fmt.Errorf("%w: bucket cut short", ErrDamaged)
	}
	return bucket{t, int(count), b[n:]}, nil
}

// each calls list for each list, with the rest of its hash, and returns the
// postings after them.
func (k bucket) each(list func(rest uint32, f form, body []byte) error) (postings []byte, err error) {
	b := k.lists
	for range k.count {
		if len(b) < 2 {
			return nil, fmt.Errorf("%w: bucket cut short", ErrDamaged)
		}
		rest := uint32(binary.BigEndian.Uint16(b))
		f, body, after, err := cutList(b[2:])
		if err != nil {
			return nil, err
		}
		if err := list(rest, f, body); err != nil {
			return nil, err
		}
		b = after
	}
	return b, nil
}

// find returns the postings of a hash that belongs in the bucket.
func (k bucket) find(hash uint32) (postings, error) {
	want := hash & (1<<k.t.restBits() - 1)
	out, found := none(k.t.len()), false
	b, err := k.each(func(rest uint32, f form, body []byte) (err error) {
		if rest == want && !found {
			found = true
			out, err = parseList(f, body, k.t.len())
		}
		return err
	})
	if err != nil || found {
		return out, err
	}
	ascending := true
	err = eachPosting(b, k.t, func(rest, o uint32) bool {
		if rest == want {
			ascending = ascending && (len(out.list) == 0 || o > out.list[len(out.list)-1])
			out.list = append(out.list, o)
		}
		return rest <= want
	})
	if err == nil && !ascending {
		err = fmt.Errorf("%w: offsets do not ascend", ErrDamaged)
	}
	return out, err
}
