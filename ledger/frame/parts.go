package frame

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"slices"

	"github.com/klauspost/compress/s2"
)

const (
	// PartWidth is how many entries a part has that is written. Of a bundle of events of usual
	// size, parts of 64 take 5 % more room than the bundle coded as one, of 32
	// 11 % and of 16 22 %.
	PartWidth = 64

	partRow = 4 + 4 // bytes of a part in the table
)

// tableLen is the length of the table of parts.
func tableLen(count, width int) int { return 1 + (count+width-1)/width*partRow }

// appendParts appends the table and the parts of a payload of count entries.
func appendParts(dst, payload []byte, count int) []byte {
	table := len(dst)
	n := tableLen(count, PartWidth)
	dst = slices.Grow(dst, n+s2.MaxEncodedLen(len(payload))+partRow*n)[:table+n]
	dst[table] = PartWidth
	for row := table + 1; row < table+n; row += partRow {
		end := 0
		for range min(PartWidth, count) {
			end += 2 + int(binary.BigEndian.Uint16(payload[end:]))
		}
		part := payload[:end]
		payload, count = payload[end:], count-PartWidth
		dst = slices.Grow(dst, s2.MaxEncodedLen(len(part)))
		coded := s2.Encode(dst[len(dst):cap(dst)], part)
		dst = dst[:len(dst)+len(coded)]
		binary.BigEndian.PutUint32(dst[row:], uint32(len(coded)))
		binary.BigEndian.PutUint32(dst[row+4:], crc32.Checksum(coded, castagnoli))
	}
	return dst
}

// A header is the head of a frame, and of a frame in parts its table.
type header struct {
	codec     byte
	count     int
	rawLen    int
	partWidth int
	table     []byte // of rows, one for each part
}

// open checks head and checksum of a frame, and returns what is coded in it: of
// a frame in parts only the table is checked, and that the parts fill the rest.
func open(b []byte) (h header, body []byte, err error) {
	if len(b) < headLen || len(b) > MaxFrame {
		return h, nil, fmt.Errorf("%w: %d bytes", ErrDamaged, len(b))
	}
	head, body := b[:headLen], b[headLen:]
	h = header{codec: head[0], count: int(binary.BigEndian.Uint16(head[1:])), rawLen: int(binary.BigEndian.Uint32(head[3:]))}
	checked := body
	if h.codec == codecParts {
		if len(body) == 0 || body[0] == 0 || len(body) < tableLen(h.count, int(body[0])) {
			return h, nil, fmt.Errorf("%w: table of parts cut short", ErrDamaged)
		}
		h.partWidth = int(body[0])
		checked, body = body[:tableLen(h.count, h.partWidth)], body[tableLen(h.count, h.partWidth):]
		h.table = checked[1:]
	}
	if sum := checksum(head, checked); sum != binary.BigEndian.Uint32(head[7:]) {
		return h, nil, fmt.Errorf("%w: checksum %08x", ErrDamaged, sum)
	}
	switch {
	case h.rawLen > maxRaw || h.count == 0:
		err = fmt.Errorf("%w: payload of %d bytes", ErrDamaged, h.rawLen)
	case h.codec == codecStored && len(body) != h.rawLen:
		err = fmt.Errorf("%w: %d bytes stored, head says %d", ErrDamaged, len(body), h.rawLen)
	case h.codec == codecParts && h.end(h.parts()-1) != uint64(len(body)):
		err = fmt.Errorf("%w: parts of %d bytes in %d", ErrDamaged, h.end(h.parts()-1), len(body))
	case h.codec > codecParts:
		err = fmt.Errorf("%w: codec %d", ErrDamaged, h.codec)
	}
	return h, body, err
}

func (h *header) parts() int { return len(h.table) / partRow }

// width is the number of entries of a part.
func (h *header) width(i int) int { return min(h.partWidth, h.count-i*h.partWidth) }

// partLen is the length of a part as coded.
func (h *header) partLen(i int) int { return int(binary.BigEndian.Uint32(h.table[i*partRow:])) }

// end is where part i ends among the parts.
func (h *header) end(i int) uint64 {
	end := uint64(0)
	for n := range i + 1 {
		end += uint64(h.partLen(n))
	}
	return end
}

// appendPart checks and decodes one part, which has at most limit bytes.
func (h *header) appendPart(dst, coded []byte, i, limit int) ([]byte, error) {
	if sum := crc32.Checksum(coded, castagnoli); sum != binary.BigEndian.Uint32(h.table[i*partRow+4:]) {
		return nil, fmt.Errorf("%w: checksum %08x of part %d", ErrDamaged, sum, i)
	}
	n, err := s2.DecodedLen(coded)
	if err != nil || n > limit {
		return nil, fmt.Errorf("%w: part %d is longer than its frame", ErrDamaged, i)
	}
	return appendBlock(dst, coded, n)
}

// appendBlock appends what one block of s2 of n bytes was made of.
func appendBlock(dst, coded []byte, n int) ([]byte, error) {
	if got, err := s2.DecodedLen(coded); err != nil || got != n {
		return nil, fmt.Errorf("%w: s2 length differs from the head's", ErrDamaged)
	}
	from := len(dst)
	dst = slices.Grow(dst, n)[:from+n]
	if _, err := s2.Decode(dst[from:], coded); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	return dst, nil
}

// holds tells whether a payload is that of count entries.
func holds(payload []byte, count int) bool {
	for range count {
		if len(payload) < 2 {
			return false
		}
		n := 2 + int(binary.BigEndian.Uint16(payload))
		if n > len(payload) {
			return false
		}
		payload = payload[n:]
	}
	return len(payload) == 0
}
