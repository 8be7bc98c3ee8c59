// Package frame packs entries of one entry bundle into one stored value.
//
// A frame is
//
//	u8  codec        0 stored, 1 s2 (one block)
//	u16 count        entries, at least 1
//	u32 raw length   bytes of the payload before the codec
//	u32 checksum     CRC-32C of the seven bytes before it and the coded payload
//	... payload      coded
//
// with integers big-endian. The payload is, for each entry, u16 length || bytes:
// exactly a tlog-tiles entry bundle, whole or a part of it. s2 is used where it
// makes the payload shorter. A frame is under 16 MiB.
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
// it does not share memory with. It allocates only where dst lacks capacity, and
// panics as Encode.
func EncodePayload(dst, payload []byte, count int) []byte {
	if count < 1 || count > MaxCount || len(payload) > maxRaw {
		panic(fmt.Sprintf("frame: %d entries of %d bytes", count, len(payload)))
	}
	start := len(dst)
	dst = slices.Grow(dst, headLen+s2.MaxEncodedLen(len(payload)))
	body := dst[start+headLen : start+headLen : cap(dst)]
	codec := byte(codecS2)
	body = s2.Encode(body[:cap(body)], payload)
	if len(body) >= len(payload) {
		codec = codecStored
		body = append(body[:0], payload...)
	}
	dst = dst[:start+headLen+len(body)]
	head := dst[start : start+headLen]
	head[0] = codec
	binary.BigEndian.PutUint16(head[1:], uint16(count))
	binary.BigEndian.PutUint32(head[3:], uint32(len(payload)))
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
// it are not checked.
func (d *Decoder) Payload(b []byte) ([]byte, error) {
	if len(b) < headLen || len(b) > MaxFrame {
		return nil, fmt.Errorf("%w: %d bytes", ErrDamaged, len(b))
	}
	head, body := b[:headLen], b[headLen:]
	if sum := checksum(head, body); sum != binary.BigEndian.Uint32(head[7:]) {
		return nil, fmt.Errorf("%w: checksum %08x", ErrDamaged, sum)
	}
	rawLen := int(binary.BigEndian.Uint32(head[3:]))
	if rawLen > maxRaw || binary.BigEndian.Uint16(head[1:]) == 0 {
		return nil, fmt.Errorf("%w: payload of %d bytes", ErrDamaged, rawLen)
	}
	switch head[0] {
	case codecStored:
		if len(body) != rawLen {
			return nil, fmt.Errorf("%w: %d bytes stored, head says %d", ErrDamaged, len(body), rawLen)
		}
		return body, nil
	case codecS2:
		if n, err := s2.DecodedLen(body); err != nil || n != rawLen {
			return nil, fmt.Errorf("%w: s2 length differs from the head's", ErrDamaged)
		}
		d.raw = slices.Grow(d.raw[:0], rawLen)[:rawLen]
		raw, err := s2.Decode(d.raw, body)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrDamaged, err)
		}
		return raw, nil
	}
	return nil, fmt.Errorf("%w: codec %d", ErrDamaged, head[0])
}
