package store

import (
	"encoding/binary"
	"fmt"
)

// Head is the state of the log after a commit.
type Head struct {
	Term   uint64   // raised by each open, before the first signature
	Size   uint64   // entries in the log
	Root   [32]byte // RFC 6962 root over them
	TimeNS int64    // log time of the last commit, UTC nanoseconds
}

const headLen = 8 + 8 + 32 + 8

// AppendTo appends the 56 bytes of the head to dst.
func (h Head) AppendTo(dst []byte) []byte {
	dst = binary.BigEndian.AppendUint64(dst, h.Term)
	dst = binary.BigEndian.AppendUint64(dst, h.Size)
	dst = append(dst, h.Root[:]...)
	return binary.BigEndian.AppendUint64(dst, uint64(h.TimeNS))
}

// ParseHead reads what AppendTo wrote.
func ParseHead(b []byte) (Head, error) {
	if len(b) != headLen {
		return Head{}, fmt.Errorf("head has %d bytes, not %d", len(b), headLen)
	}
	h := Head{Term: binary.BigEndian.Uint64(b), Size: binary.BigEndian.Uint64(b[8:])}
	copy(h.Root[:], b[16:48])
	h.TimeNS = int64(binary.BigEndian.Uint64(b[48:]))
	return h, nil
}

// CheckNext returns ErrBackwards unless next may follow h: neither term, size
// nor time goes back, and the root changes only with the size.
func (h Head) CheckNext(next Head) error {
	switch {
	case next.Term < h.Term:
		return fmt.Errorf("%w: term %d after %d", ErrBackwards, next.Term, h.Term)
	case next.Size < h.Size:
		return fmt.Errorf("%w: size %d after %d", ErrBackwards, next.Size, h.Size)
	case next.TimeNS < h.TimeNS:
		return fmt.Errorf("%w: time %d after %d", ErrBackwards, next.TimeNS, h.TimeNS)
	case h != (Head{}) && next.Size == h.Size && next.Root != h.Root:
		return fmt.Errorf("%w: another root at size %d", ErrBackwards, h.Size)
	}
	return nil
}
