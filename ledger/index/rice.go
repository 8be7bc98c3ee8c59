package index

import (
	"encoding/binary"
	"math/bits"
)

// A number is written in Rice code of parameter k: its bits from k on in unary,
// as that many ones and a zero, then its k low bits. Bits fill bytes from the
// lowest. What is left of the last byte is ones, which is no number.

// riceParameter returns the parameter that suits n numbers of that sum.
func riceParameter(sum, n int) uint {
	if n == 0 {
		return 0
	}
	return uint(max(bits.Len(uint(sum/n*69/100)), 1) - 1)
}

// riceBound is how many bits n numbers of that sum take at most.
func riceBound(sum, n int, k uint) int { return sum>>k + n*(1+int(k)) }

// maxParameter is the largest parameter of a stored list.
const maxParameter = 24

type bitWriter struct {
	dst []byte
	acc uint64
	n   uint // bits in acc, at most 31 between calls
}

// put writes the low bits of v, which has no others; at most 32.
func (w *bitWriter) put(v uint64, width uint) {
	w.acc |= v << w.n
	if w.n += width; w.n >= 32 {
		w.dst = binary.LittleEndian.AppendUint32(w.dst, uint32(w.acc))
		w.acc >>= 32
		w.n -= 32
	}
}

func (w *bitWriter) rice(v uint32, k uint) {
	q, low := uint(v>>k), uint64(v)&(1<<k-1)
	if q+1+k <= 32 {
		w.put(1<<q-1|low<<(q+1), q+1+k)
		return
	}
	for ; q >= 24; q -= 24 {
		w.put(1<<24-1, 24)
	}
	w.put(1<<q-1, q+1)
	w.put(low, k)
}

// close fills the last byte and returns what was written.
func (w *bitWriter) close() []byte {
	for ; w.n > 0; w.n -= min(w.n, 8) {
		if w.n < 8 {
			w.acc |= 0xff << w.n
		}
		w.dst = append(w.dst, byte(w.acc))
		w.acc >>= 8
	}
	return w.dst
}

// A bitReader reads what a bitWriter wrote, or says false.
type bitReader struct {
	b   []byte
	acc uint64
	n   uint // bits in acc
}

func (r *bitReader) fill() {
	if len(r.b) >= 8 {
		r.acc |= binary.LittleEndian.Uint64(r.b) << r.n
		r.b = r.b[(63-r.n)/8:]
		r.n |= 56
		return
	}
	for r.n <= 56 && len(r.b) > 0 {
		r.acc |= uint64(r.b[0]) << r.n
		r.b = r.b[1:]
		r.n += 8
	}
}

// get reads a number of at most 32 bits.
func (r *bitReader) get(width uint) (uint32, bool) {
	if r.n < width {
		if r.fill(); r.n < width {
			return 0, false
		}
	}
	v := r.acc & (1<<width - 1)
	r.acc >>= width
	r.n -= width
	return uint32(v), true
}

// rice reads a number; false at the end.
func (r *bitReader) rice(k uint) (uint32, bool) {
	q := uint32(0)
	for {
		if r.n < 32 {
			r.fill()
		}
		ones := uint(bits.TrailingZeros64(^r.acc))
		if ones < r.n {
			r.acc >>= ones + 1
			r.n -= ones + 1
			q += uint32(ones)
			break
		}
		if len(r.b) == 0 || q > 1<<25 {
			return 0, false
		}
		q += uint32(r.n)
		r.acc, r.n = 0, 0
	}
	low, ok := r.get(k)
	if q > 1<<25>>k { // no gap is as large
		return 0, false
	}
	return q<<k | low, ok
}
