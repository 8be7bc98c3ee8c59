package index

import (
	"encoding/binary"
	"fmt"
)

// form is how a list of offsets is written.
type form uint8

const (
	hits   form = iota // gaps between the offsets that are in
	misses             // gaps between those that are not
	bitmap             // bit o%8 of byte o/8
	runs               // gaps between runs of offsets that are in, and their lengths
)

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
		// Runs may be long: their bits are set, not their offsets listed.
		p.form, p.bitmap = bitmap, make([]byte, bitmapLen(n))
		err = eachRun(body, n, func(from, to int) { p.count += to - from; setBits(p.bitmap, from, to) })
		if p.count == 0 {
			p = none(n)
		}
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
	err := eachRun(body, n, func(from, to int) {
		for o := from; o < to; o++ {
			dst = append(dst, base+uint32(o))
		}
	})
	return dst, err
}

// eachRun calls fn with each run [from, to) of offsets, of which there are n.
func eachRun(body []byte, n int, fn func(from, to int)) error {
	if len(body) < 2 || body[0] > maxParameter || body[1] > maxParameter {
		return errGaps
	}
	r := bitReader{b: body[2:]}
	next := uint64(0)
	for {
		gap, ok := r.rice(uint(body[0]))
		if !ok {
			return nil
		}
		length, ok := r.rice(uint(body[1]))
		next += uint64(gap)
		end := next + uint64(length) + 1
		if !ok || end > uint64(n) {
			return errGaps
		}
		fn(int(next), int(end))
		next = end
	}
}

// setBits sets the bits [from, to).
func setBits(b []byte, from, to int) {
	for ; from < to && from%8 != 0; from++ {
		b[from/8] |= 1 << (from % 8)
	}
	for ; to-from >= 8; from += 8 {
		b[from/8] = 0xff
	}
	for ; from < to; from++ {
		b[from/8] |= 1 << (from % 8)
	}
}
