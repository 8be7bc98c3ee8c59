package detect

import "encoding/binary"

// An encoder makes the value of a row: numbers as varints, texts behind their
// length.
type encoder []byte

func (b *encoder) number(v uint64) { *b = binary.AppendUvarint(*b, v) }

func (b *encoder) text(s string) {
	b.number(uint64(len(s)))
	*b = append(*b, s...)
}

func (b *encoder) flag(v bool) {
	*b = append(*b, 0)
	if v {
		(*b)[len(*b)-1] = 1
	}
}

// A decoder reads what an encoder made; bad tells that it was something else.
type decoder struct {
	b   []byte
	bad bool
}

func (in *decoder) number() uint64 {
	v, n := binary.Uvarint(in.b)
	if n <= 0 {
		in.bad, in.b = true, nil
		return 0
	}
	in.b = in.b[n:]
	return v
}

func (in *decoder) text() string {
	n := in.number()
	if n > uint64(len(in.b)) {
		in.bad, in.b = true, nil
		return ""
	}
	s := string(in.b[:n])
	in.b = in.b[n:]
	return s
}

func (in *decoder) byte() byte {
	if len(in.b) == 0 {
		in.bad = true
		return 0
	}
	v := in.b[0]
	in.b = in.b[1:]
	return v
}

func (in *decoder) flag() bool {
	v := in.byte()
	in.bad = in.bad || v > 1
	return v == 1
}

func (in *decoder) ended() bool { return !in.bad && len(in.b) == 0 }
