package index

import (
	"encoding/binary"
	"fmt"
	"slices"
)

// form is how a list of offsets is written.
type form uint8

const (
	hits   form = iota // gaps between the offsets that are in
	misses             // gaps between those that are not
	bitmap             // bit o%8 of byte o/8
	runs               // gaps between runs of offsets that are in, and their lengths
)

// postings are the offsets at which a table has a value.
type postings struct {
	form   form
	list   []uint32 // of hits or misses: ascending
	bitmap []byte   // aliases the bucket
	n      int      // offsets of the table
}

// none and all are the postings of nothing and of everything.
func none(n int) postings { return postings{form: hits, n: n} }
func all(n int) postings  { return postings{form: misses, n: n} }

// size estimates how many offsets are in.
func (p *postings) size() int {
	switch p.form {
	case hits:
		return len(p.list)
	case misses:
		return p.n - len(p.list)
	}
	return max(p.n/8, 1)
}

// has tells whether an offset is in.
func (p *postings) has(o int) bool {
	if p.form == bitmap {
		return p.bitmap[o/8]&(1<<(o%8)) != 0
	}
	_, found := slices.BinarySearch(p.list, uint32(o))
	return found == (p.form == hits)
}

// each calls fn for each offset in [lo, hi), in the order asked, until it
// returns false; then it returns false too.
func (p *postings) each(lo, hi int, descending bool, fn func(offset int) bool) bool {
	switch p.form {
	case hits:
		return p.eachHit(lo, hi, descending, fn)
	case misses:
		return p.eachButMisses(lo, hi, descending, fn)
	}
	for n := range hi - lo {
		o := lo + n
		if descending {
			o = hi - 1 - n
		}
		if p.bitmap[o/8]&(1<<(o%8)) != 0 && !fn(o) {
			return false
		}
	}
	return true
}

// part returns the offsets of the list in [lo, hi).
func (p *postings) part(lo, hi int) []uint32 {
	from, _ := slices.BinarySearch(p.list, uint32(lo))
	to, _ := slices.BinarySearch(p.list, uint32(hi))
	return p.list[from:to]
}

func (p *postings) eachHit(lo, hi int, descending bool, fn func(offset int) bool) bool {
	part := p.part(lo, hi)
	for n := range part {
		i := n
		if descending {
			i = len(part) - 1 - n
		}
		if !fn(int(part[i])) {
			return false
		}
	}
	return true
}

func (p *postings) eachButMisses(lo, hi int, descending bool, fn func(offset int) bool) bool {
	part := p.part(lo, hi)
	for n := range hi - lo {
		o := lo + n
		if descending {
			o = hi - 1 - n
		}
		switch {
		case len(part) > 0 && !descending && int(part[0]) == o:
			part = part[1:]
		case len(part) > 0 && descending && int(part[len(part)-1]) == o:
			part = part[:len(part)-1]
		case !fn(o):
			return false
		}
	}
	return true
}

// union returns the offsets that are in any.
func union(n int, any []postings) postings {
	total, dense := 0, false
	for i := range any {
		total += len(any[i].list)
		dense = dense || any[i].form != hits
	}
	if len(any) == 1 {
		return any[0]
	}
	if !dense && total < n/16 {
		out := none(n)
		for i := range any {
			out.list = append(out.list, any[i].list...)
		}
		slices.Sort(out.list)
		out.list = slices.Compact(out.list)
		return out
	}
	out := postings{form: bitmap, bitmap: make([]byte, bitmapLen(n)), n: n}
	for i := range any {
		if any[i].form == bitmap {
			for j, b := range any[i].bitmap {
				out.bitmap[j] |= b
			}
			continue
		}
		any[i].each(0, n, false, func(o int) bool { out.bitmap[o/8] |= 1 << (o % 8); return true })
	}
	return out
}

func bitmapLen(n int) int { return (n + 7) / 8 }

// A gap is the distance from one past the number before, at first from 0: 0 to
// n-1. A run's length is written less 1.

// shape of a list of ascending offsets, as its writing needs it.
type listShape struct {
	n, hits, runs int // offsets of the table; hits; runs of adjacent hits
	tail          int // offsets after the last hit
}

func shapeOf(list []uint32, n int) listShape {
	s := listShape{n: n, hits: len(list), tail: n}
	next := uint32(0)
	for _, o := range list {
		if o != next || s.runs == 0 {
			s.runs++
		}
		next = o + 1
	}
	s.tail = n - int(next)
	return s
}

// parameters returns the Rice parameters of the list's gaps in a form, and of
// the lengths of its runs.
func (s *listShape) parameters(f form) (gap, length uint) {
	switch f {
	case hits:
		return riceParameter(s.n-s.tail-s.hits, s.hits), 0
	case misses:
		return riceParameter(s.hits, s.n-s.hits), 0
	}
	return riceParameter(s.n-s.tail-s.hits, s.runs), riceParameter(s.hits-s.runs, s.runs)
}

// best returns the form of which the bound of the length is least.
func (s *listShape) best() form {
	best, size := bitmap, 8*bitmapLen(s.n)
	try := func(f form, gaps, count int) {
		gap, length := s.parameters(f)
		bound := 8 + riceBound(gaps, count, gap)
		if f == runs {
			bound += 8 + riceBound(s.hits-s.runs, s.runs, length)
		}
		if bound < size {
			best, size = f, bound
		}
	}
	if s.hits <= s.n/2 {
		try(hits, s.n-s.tail-s.hits, s.hits)
	} else {
		try(misses, s.hits, s.n-s.hits)
	}
	if 2*s.runs < s.hits {
		try(runs, s.n-s.tail-s.hits, s.runs)
	}
	return best
}

// write appends the list in a form that is not a bitmap: the parameters, a byte
// each, then the numbers. All hits, as misses, are nothing.
func (s *listShape) write(dst []byte, f form, list []uint32) []byte {
	if f == misses && s.hits == s.n {
		return dst
	}
	gap, length := s.parameters(f)
	w := bitWriter{dst: append(dst, byte(gap))}
	next := uint32(0) // one past the number before
	switch f {
	case hits:
		for _, o := range list {
			w.rice(o-next, gap)
			next = o + 1
		}
	case misses:
		at := uint32(0) // next offset to look at
		upTo := func(o uint32) {
			for ; at < o; at++ {
				w.rice(at-next, gap)
				next = at + 1
			}
			at = o + 1
		}
		for _, o := range list {
			upTo(o)
		}
		upTo(uint32(s.n))
	case runs:
		w.dst = append(w.dst, byte(length))
		for i := 0; i < len(list); {
			from := i
			for i++; i < len(list) && list[i] == list[i-1]+1; i++ {
			}
			w.rice(list[from]-next, gap)
			w.rice(uint32(i-from-1), length)
			next = list[i-1] + 1
		}
	}
	return w.close()
}

// appendList appends form and length of a list of ascending hits among n
// offsets, and the list, in the form that is shortest. It uses scratch's memory.
func appendList(dst []byte, list []uint32, n int, scratch *[]byte) []byte {
	s := shapeOf(list, n)
	best := s.best()
	if best != bitmap {
		*scratch = s.write((*scratch)[:0], best, list)
		dst = binary.AppendUvarint(dst, uint64(len(*scratch))<<2|uint64(best))
		return append(dst, *scratch...)
	}
	size := bitmapLen(n)
	dst = binary.AppendUvarint(dst, uint64(size)<<2|uint64(best))
	at := len(dst)
	dst = append(dst, make([]byte, size)...)
	for _, o := range list {
		dst[at+int(o/8)] |= 1 << (o % 8)
	}
	return dst
}

// cutList reads what appendList wrote, and returns what follows it. The body is
// not read yet.
func cutList(b []byte) (f form, body, rest []byte, err error) {
	v, n := binary.Uvarint(b)
	if n <= 0 || v>>2 > uint64(len(b)-n) {
		return 0, nil, nil, fmt.Errorf("%w: list cut short", ErrDamaged)
	}
	b = b[n:]
	return form(v & 3), b[:v>>2], b[v>>2:], nil
}

// parseList reads the body of a list of a table of n offsets.
func parseList(f form, body []byte, n int) (postings, error) {
	p := postings{form: f, n: n}
	var err error
	switch f {
	case bitmap:
		if len(body) != bitmapLen(n) {
			return p, fmt.Errorf("%w: bitmap of %d bytes", ErrDamaged, len(body))
		}
		p.bitmap = body
	case runs:
		p.form = hits
		p.list, err = appendRuns(nil, body, 0, n)
	default:
		p.list, err = appendOffsets(nil, body, 0, n)
	}
	return p, err
}

var errGaps = fmt.Errorf("%w: list of gaps is garbled", ErrDamaged)

// appendOffsets appends to dst the offsets that gaps give, each moved by base.
func appendOffsets(dst []uint32, body []byte, base uint32, n int) ([]uint32, error) {
	if len(body) == 0 {
		return dst, nil
	}
	k := uint(body[0])
	if k > maxParameter {
		return dst, errGaps
	}
	r := bitReader{b: body[1:]}
	for next := uint64(0); ; next++ {
		gap, ok := r.rice(k)
		if !ok {
			return dst, nil
		}
		if next += uint64(gap); next >= uint64(n) {
			return dst, errGaps
		}
		dst = append(dst, base+uint32(next))
	}
}

// appendRuns appends to dst the offsets that runs give, each moved by base.
func appendRuns(dst []uint32, body []byte, base uint32, n int) ([]uint32, error) {
	if len(body) < 2 || body[0] > maxParameter || body[1] > maxParameter {
		return dst, errGaps
	}
	r := bitReader{b: body[2:]}
	next := uint64(0)
	for {
		gap, ok := r.rice(uint(body[0]))
		if !ok {
			return dst, nil
		}
		length, ok := r.rice(uint(body[1]))
		next += uint64(gap)
		if !ok || next+uint64(length) >= uint64(n) {
			return dst, errGaps
		}
		for range length + 1 {
			dst = append(dst, base+uint32(next))
			next++
		}
	}
}
