package index

import "slices"

// postings are the offsets at which a table has a value.
type postings struct {
	form   form
	list   []uint32 // of hits or misses: ascending
	bitmap []byte   // aliases the bucket
	count  int      // of what is in the bitmap; 0: not counted
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
	if p.count > 0 {
		return p.count
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
	return p.eachBit(lo, hi, descending, fn)
}

// eachBit passes over the bytes of the bitmap that are empty.
func (p *postings) eachBit(lo, hi int, descending bool, fn func(offset int) bool) bool {
	if descending {
		for o := hi - 1; o >= lo; o-- {
			switch b := p.bitmap[o/8]; {
			case b == 0:
				o -= o % 8
			case b&(1<<(o%8)) != 0 && !fn(o):
				return false
			}
		}
		return true
	}
	for o := lo; o < hi; o++ {
		switch b := p.bitmap[o/8]; {
		case b == 0:
			o += 7 - o%8
		case b&(1<<(o%8)) != 0 && !fn(o):
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
