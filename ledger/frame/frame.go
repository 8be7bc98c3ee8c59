// Package frame packs entries of one entry bundle into one stored value.
//
// A frame is
//
//	u8  codec        0 stored, 1 s2 (one block), 2 s2 in parts
//	u16 count        entries, at least 1
//	u32 raw length   bytes of the payload before the codec
//	u32 checksum     CRC-32C of the seven bytes before it and what follows; in
//	                 parts: of the seven bytes and the table
//	... payload      coded
//
// with integers big-endian. The payload is, for each entry, u16 length || bytes:
// exactly a tlog-tiles entry bundle, whole or a part of it. s2 is used where it
// makes the payload shorter. A frame is under 16 MiB.
//
// A payload of more than 64 entries is coded in parts of 64, the last of what is
// left, so that one entry is read without its whole bundle. Then the coded payload
// is a table and the parts, each one block of s2:
//
//	u8  width        entries of a part, at least 1
//	for each part: u32 length || u32 CRC-32C, of the part as coded
//	... parts
//
// The entries "daybook" and "log" make the frame
//
//	00 0002 0000000e 202606b9 0007 64617962 6f6f6b 0003 6c6f67
//
// The checksum guards against a faulty disk, not against an adversary: what the
// entries are is decided by the tree above them.
package frame

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"slices"
	"sync"

	"github.com/klauspost/compress/s2"
)

// Limits. An entry is at most MaxEntry bytes, a frame at most MaxFrame.
const (
	MaxEntry = 65535
	MaxCount = 65535
	MaxFrame = 16<<20 - 1
)

const (
	codecStored = 0
	codecS2     = 1
	codecParts  = 2

	headLen = 1 + 2 + 4 + 4
	maxRaw  = MaxFrame - headLen
)

// ErrDamaged is wrapped by every error of Decode: the bytes are not a frame.
var ErrDamaged = errors.New("damaged frame")

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// buffers holds *[]byte scratch for payloads.
var buffers = sync.Pool{New: func() any { return new([]byte) }}

// AppendEntry appends u16 length || entry to a payload.
func AppendEntry(payload, entry []byte) []byte {
	if len(entry) > MaxEntry {
		panic(fmt.Sprintf("frame: entry of %d bytes", len(entry)))
	}
	return append(binary.BigEndian.AppendUint16(payload, uint16(len(entry))), entry...)
}

// Encode appends the frame of entries to dst. It panics if a limit is exceeded:
// the caller cuts frames at bundles.
func Encode(dst []byte, entries [][]byte) []byte {
	buf := buffers.Get().(*[]byte)
	payload := (*buf)[:0]
	for _, e := range entries {
		payload = AppendEntry(payload, e)
	}
	dst = EncodePayload(dst, payload, len(entries))
	*buf = payload
	buffers.Put(buf)
	return dst
}

// EncodePayload appends the frame of a payload of count entries to dst, which
// it does not share memory with. The payload's lengths must be right. It allocates only where dst lacks capacity, and
// panics as Encode.
func EncodePayload(dst, payload []byte, count int) []byte {
	if count < 1 || count > MaxCount || len(payload) > maxRaw {
		panic(fmt.Sprintf("frame: %d entries of %d bytes", count, len(payload)))
	}
	start := len(dst)
	codec := byte(codecS2)
	if count > PartWidth {
		codec = codecParts
		dst = appendParts(append(dst, make([]byte, headLen)...), payload, count)
	} else {
		dst = slices.Grow(dst, headLen+s2.MaxEncodedLen(len(payload)))[:start+headLen]
		body := s2.Encode(dst[len(dst):cap(dst)], payload)
		dst = dst[:len(dst)+len(body)]
	}
	if len(dst)-start-headLen >= len(payload) {
		codec = codecStored
		dst = append(dst[:start+headLen], payload...)
	}
	head, body := dst[start:start+headLen], dst[start+headLen:]
	head[0] = codec
	binary.BigEndian.PutUint16(head[1:], uint16(count))
	binary.BigEndian.PutUint32(head[3:], uint32(len(payload)))
	if codec == codecParts {
		body = body[:tableLen(count, PartWidth)]
	}
	binary.BigEndian.PutUint32(head[7:], checksum(head, body))
	return dst
}

func checksum(head, body []byte) uint32 {
	return crc32.Update(crc32.Checksum(head[:7], castagnoli), castagnoli, body)
}

// Count returns the number of entries a frame says it holds, from its head
// alone: nothing is checked.
func Count(b []byte) (int, error) {
	if len(b) < headLen {
		return 0, fmt.Errorf("%w: %d bytes", ErrDamaged, len(b))
	}
	return int(binary.BigEndian.Uint16(b[1:])), nil
}

// Decode returns the entries of a frame. They share one buffer, which for a
// stored frame is b itself.
func Decode(b []byte) ([][]byte, error) {
	return new(Decoder).Decode(b)
}

// Decoder decodes frames one after the other into the same memory. The zero
// value is ready. It belongs to one goroutine.
type Decoder struct {
	raw     []byte
	entries [][]byte
}

// Decode returns the entries of a frame, valid until the next call and, for a
// stored frame, as long as b is.
func (d *Decoder) Decode(b []byte) ([][]byte, error) { return d.decode(b, 2) }

// DecodeAfter is Decode, but that each entry is returned behind the one byte
// before it, which the caller may overwrite where b is its own.
func (d *Decoder) DecodeAfter(b []byte) ([][]byte, error) { return d.decode(b, 1) }

func (d *Decoder) decode(b []byte, from int) ([][]byte, error) {
	raw, err := d.Payload(b)
	if err != nil {
		return nil, err
	}
	count, _ := Count(b)
	return d.cut(raw, count, from)
}

// cut returns the entries of a payload, of which there must be count; of each it
// leaves out all but what comes after its first from bytes.
func (d *Decoder) cut(raw []byte, count, from int) ([][]byte, error) {
	d.entries = d.entries[:0]
	for len(raw) > 0 {
		if len(raw) < 2 {
			return nil, fmt.Errorf("%w: payload ends inside a length", ErrDamaged)
		}
		n := 2 + int(binary.BigEndian.Uint16(raw))
		if n > len(raw) {
			return nil, fmt.Errorf("%w: payload ends inside an entry", ErrDamaged)
		}
		d.entries = append(d.entries, raw[from:n:n])
		raw = raw[n:]
	}
	if len(d.entries) != count {
		return nil, fmt.Errorf("%w: %d entries, head says %d", ErrDamaged, len(d.entries), count)
	}
	return d.entries, nil
}

// Payload returns the payload of a frame, which is an entry bundle of
// tlog-tiles or a part of one, under the same terms as Decode. The lengths in
// it are checked only as far as the parts of a frame call for it.
func (d *Decoder) Payload(b []byte) ([]byte, error) {
	h, body, err := open(b)
	if err != nil {
		return nil, err
	}
	return d.payload(&h, body)
}

func (d *Decoder) payload(h *header, body []byte) (raw []byte, err error) {
	d.raw = d.raw[:0]
	switch h.codec {
	case codecStored:
		return body, nil
	case codecS2:
		d.raw, err = appendBlock(d.raw, body, h.rawLen)
		return d.raw, err
	}
	for i := range h.parts() {
		from, n := len(d.raw), h.partLen(i)
		if d.raw, err = h.appendPart(d.raw, body[:n], i, h.rawLen-from); err != nil {
			return nil, err
		}
		body = body[n:]
		if !holds(d.raw[from:], h.width(i)) {
			return nil, fmt.Errorf("%w: part %d does not hold its entries", ErrDamaged, i)
		}
	}
	if len(d.raw) != h.rawLen {
		return nil, fmt.Errorf("%w: parts of %d bytes, head says %d", ErrDamaged, len(d.raw), h.rawLen)
	}
	return d.raw, nil
}

// DecodePart returns those entries of a frame that are read together with entry
// at, and the place of the first of them, under the same terms as Decode: the
// part that holds it, where the frame has parts, of which the others are not
// looked at. at is below the frame's count.
func (d *Decoder) DecodePart(b []byte, at int) (entries [][]byte, first int, err error) {
	h, body, err := open(b)
	if err != nil {
		return nil, 0, err
	}
	if at < 0 || at >= h.count {
		return nil, 0, fmt.Errorf("%w: %d entries, entry %d is asked for", ErrDamaged, h.count, at)
	}
	if h.codec != codecParts {
		raw, err := d.payload(&h, body)
		if err != nil {
			return nil, 0, err
		}
		entries, err = d.cut(raw, h.count, 2)
		return entries, 0, err
	}
	i := at / h.partWidth
	from := h.end(i - 1)
	if d.raw, err = h.appendPart(d.raw[:0], body[from:from+uint64(h.partLen(i))], i, h.rawLen); err != nil {
		return nil, 0, err
	}
	entries, err = d.cut(d.raw, h.width(i), 2)
	return entries, i * h.partWidth, err
}
