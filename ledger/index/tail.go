package index

import (
	"slices"
	"sync/atomic"
)

// tail is the chunk in memory: for each field the hash at each offset. The
// writer fills offset n and widens the bounds, then publishes n+1; readers look
// below what is published only. About 4.5 MB, and the values of the chunk.
type tail struct {
	first   uint64
	columns [numColumns][]uint32
	numbers [numNumbers][]uint8
	seen    [numText]*seen
	n       atomic.Int64 // published offsets

	minLog, maxLog, minOccurred, maxOccurred atomic.Int64
}

// newTail returns an empty chunk, sized like another where there is one.
func newTail(first uint64, length, listed int, like *tail) *tail {
	t := &tail{first: first}
	hashes := make([]uint32, numColumns*length)
	for i := range t.columns {
		t.columns[i] = hashes[i*length : (i+1)*length : (i+1)*length]
	}
	numbers := make([]uint8, numNumbers*length)
	for i := range t.numbers {
		t.numbers[i] = numbers[i*length : (i+1)*length : (i+1)*length]
	}
	for i := range t.seen {
		var s *seen
		if like != nil {
			s = like.seen[i]
		}
		t.seen[i] = newSeen(listed, s)
	}
	return t
}

// chunk describes what is published; the bounds may be wider by what is being
// added.
func (t *tail) chunk() Chunk {
	return Chunk{
		First: t.first, Entries: int(t.n.Load()),
		MinLog: t.minLog.Load(), MaxLog: t.maxLog.Load(),
		MinOccurred: t.minOccurred.Load(), MaxOccurred: t.maxOccurred.Load(),
	}
}

// complete describes the complete chunk.
func (t *tail) complete() Chunk {
	c := t.chunk()
	for i, s := range t.seen {
		if !s.each(func([]byte) bool { return false }) {
			c.unlisted |= 1 << i
		}
	}
	return c
}

// add is called by the writer only.
func (t *tail) add(v *Values, logged int64) {
	n := t.n.Load()
	var source, target uint64
	for i, text := range &v.texts {
		if len(text) == 0 {
			continue
		}
		h := t.seen[i].note(text)
		t.columns[i][n] = fold(h)
		switch i {
		case 0:
			source = h
		case 1:
			target = h
		}
	}
	if source != 0 || target != 0 {
		t.columns[numText+4][n] = hashPair(source, target)
	}
	t.columns[numText+0][n] = hashBytes(v.eventID)
	t.columns[numText+1][n] = hashBytes(v.correlation)
	t.columns[numText+2][n] = hashDigest(v.run[:])
	t.columns[numText+3][n] = hashDigest(v.credential)
	for i, number := range v.numbers {
		t.numbers[i][n] = number
	}
	if logged != 0 {
		widen(&t.minLog, &t.maxLog, logged)
	}
	if v.occurred != 0 {
		widen(&t.minOccurred, &t.maxOccurred, v.occurred)
	}
	t.n.Store(n + 1)
}

// widen makes [lo, hi] include v, which is not 0; both are 0 at first.
func widen(lo, hi *atomic.Int64, v int64) {
	if l := lo.Load(); l == 0 || v < l {
		lo.Store(v)
	}
	if h := hi.Load(); h == 0 || v > h {
		hi.Store(v)
	}
}

// search calls fn for each offset in [lo, hi) at which all groups hold. The first
// group narrows most: where it is one hash, its column is run through alone.
func (t *tail) search(groups []group, lo, hi int, descending bool, fn func(offset int) bool) bool {
	if len(groups) > 0 && groups[0].cost() == 0 && fields[groups[0].field].shape != number {
		column, want := t.columns[fields[groups[0].field].slot][lo:hi], groups[0].terms[0].hash
		for n := range column {
			at := n
			if descending {
				at = len(column) - 1 - n
			}
			if column[at] == want && t.holds(groups[1:], lo+at) && !fn(lo+at) {
				return false
			}
		}
		return true
	}
	for n := range hi - lo {
		o := lo + n
		if descending {
			o = hi - 1 - n
		}
		if t.holds(groups, o) && !fn(o) {
			return false
		}
	}
	return true
}

func (t *tail) holds(groups []group, o int) bool {
	for i := range groups {
		if !t.holdsOne(&groups[i], o) {
			return false
		}
	}
	return true
}

func (t *tail) holdsOne(g *group, o int) bool {
	info := &fields[g.field]
	h := uint32(0)
	if info.shape == number {
		h = uint32(t.numbers[info.slot][o])
	} else {
		h = t.columns[info.slot][o]
	}
	if g.cost() == 0 {
		return h == g.terms[0].hash
	}
	if h == 0 {
		return false
	}
	_, found := slices.BinarySearchFunc(g.terms, h, func(t listed, h uint32) int { return int(t.hash) - int(h) })
	return found || g.unlistedTail
}
