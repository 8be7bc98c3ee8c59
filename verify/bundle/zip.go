package bundle

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"io"
)

// The zip, byte by byte (PKWARE APPNOTE 6.3.10), integers little-endian:
//
//	local header      "PK\x03\x04" u16 20, u16 0x0008, u16 0, u16 0, u16 0x0021, u32 0, u32 0, u32 0,
//	                  u16 length of the name, u16 0, name
//	content           stored
//	data descriptor   "PK\x07\x08" u32 CRC-32, u32 size, u32 size
//	...
//	central header    "PK\x01\x02" u16 20, u16 20, u16 0x0008, u16 0, u16 0, u16 0x0021, u32 CRC-32, u32 size,
//	                  u32 size, u16 length of the name, u16 0, u16 0, u16 0, u16 0, u32 0, u32 offset, name
//	...
//	end               "PK\x05\x06" u16 0, u16 0, u16 members, u16 members, u32 size and u32 offset of the
//	                  central headers, u16 0
//
// A number that a field has no room for, of 0xffff or 0xffffffff and more, is
// written as zip64 has it, and no other is. A member of such a size has in its
// local header 45 for the first 20, 0xffffffff for both sizes, and behind its name
//
//	u16 0x0001, u16 16, u64 0, u64 0
//
// and its data descriptor has u64 sizes. A central header with such a size or
// offset has 45 for both 20, 0xffffffff for each of these, and behind its name
//
//	u16 0x0001, u16 bytes that follow, u64 size and u64 size, if they are such, u64 offset, if it is
//
// Where the end has such a number it is 0xffff or 0xffffffff there, and before the
// end stand
//
//	zip64 end         "PK\x06\x06" u64 44, u16 45, u16 45, u32 0, u32 0, u64 members, u64 members,
//	                  u64 size and u64 offset of the central headers
//	its locator       "PK\x06\x07" u32 0, u64 offset of the zip64 end, u32 1
const (
	zipVersion    = 20
	zip64Version  = 45
	zipDescriptor = 0x0008 // sizes and CRC follow the content
	zipDate       = 0x0021 // 1980-01-01
	zipMax16      = 1<<16 - 1
	zipMax32      = 1<<32 - 1
)

// A zipMember is what the headers say of a member.
type zipMember struct {
	name   string
	crc    uint32
	size   uint64
	offset uint64 // of the local header
}

func (m *zipMember) appendLocal(b []byte) []byte {
	le := binary.LittleEndian
	version, sizes, extra := uint16(zipVersion), uint32(0), []byte(nil)
	if m.size >= zipMax32 {
		version, sizes, extra = zip64Version, zipMax32, zip64Extra(0, 0)
	}
	b = append(b, "PK\x03\x04"...)
	for _, v := range []uint16{version, zipDescriptor, 0, 0, zipDate} {
		b = le.AppendUint16(b, v)
	}
	for _, v := range []uint32{0, sizes, sizes} {
		b = le.AppendUint32(b, v)
	}
	b = le.AppendUint16(b, uint16(len(m.name)))
	b = le.AppendUint16(b, uint16(len(extra)))
	return append(append(b, m.name...), extra...)
}

// zip64Extra is the extra field with numbers that a header has no room for.
func zip64Extra(numbers ...uint64) []byte {
	b := binary.LittleEndian.AppendUint16([]byte{1, 0}, uint16(8*len(numbers)))
	for _, n := range numbers {
		b = binary.LittleEndian.AppendUint64(b, n)
	}
	return b
}

func (m *zipMember) appendDescriptor(b []byte) []byte {
	le := binary.LittleEndian
	b = le.AppendUint32(append(b, "PK\x07\x08"...), m.crc)
	if m.size >= zipMax32 {
		return le.AppendUint64(le.AppendUint64(b, m.size), m.size)
	}
	return le.AppendUint32(le.AppendUint32(b, uint32(m.size)), uint32(m.size))
}

func (m *zipMember) appendCentral(b []byte) []byte {
	le := binary.LittleEndian
	version, extra, wide := uint16(zipVersion), []byte(nil), []uint64(nil)
	if m.size >= zipMax32 {
		wide = append(wide, m.size, m.size)
	}
	if m.offset >= zipMax32 {
		wide = append(wide, m.offset)
	}
	if len(wide) > 0 {
		version, extra = zip64Version, zip64Extra(wide...)
	}
	b = append(b, "PK\x01\x02"...)
	for _, v := range []uint16{version, version, zipDescriptor, 0, 0, zipDate} {
		b = le.AppendUint16(b, v)
	}
	size := uint32(min(m.size, zipMax32))
	for _, v := range []uint32{m.crc, size, size} {
		b = le.AppendUint32(b, v)
	}
	for _, v := range []uint16{uint16(len(m.name)), uint16(len(extra)), 0, 0, 0} {
		b = le.AppendUint16(b, v)
	}
	b = le.AppendUint32(b, 0)
	b = le.AppendUint32(b, uint32(min(m.offset, zipMax32)))
	return append(append(b, m.name...), extra...)
}

// Lengths of the last headers.
const (
	zipEndLen   = 22
	zip64EndLen = 56 + 20 // with its locator
)

// appendEnd appends what stands behind the central headers, which have a size and
// an offset.
func appendEnd(b []byte, members, size, offset uint64) []byte {
	le := binary.LittleEndian
	if members >= zipMax16 || size >= zipMax32 || offset >= zipMax32 {
		b = le.AppendUint64(append(b, "PK\x06\x06"...), zip64EndLen-20-12)
		b = le.AppendUint16(le.AppendUint16(b, zip64Version), zip64Version)
		b = le.AppendUint64(b, 0)
		for _, v := range []uint64{members, members, size, offset} {
			b = le.AppendUint64(b, v)
		}
		b = le.AppendUint32(append(b, "PK\x06\x07"...), 0)
		b = le.AppendUint32(le.AppendUint64(b, offset+size), 1)
	}
	b = append(b, "PK\x05\x06"...)
	number := uint16(min(members, zipMax16))
	for _, v := range []uint16{0, 0, number, number} {
		b = le.AppendUint16(b, v)
	}
	b = le.AppendUint32(b, uint32(min(size, zipMax32)))
	b = le.AppendUint32(b, uint32(min(offset, zipMax32)))
	return append(b, 0, 0)
}

// A zipWriter writes the canonical zip to a stream, one member after the other.
type zipWriter struct {
	w       io.Writer
	written uint64
	members []zipMember
	crc     hash.Hash32
	sum     hash.Hash
	left    uint64 // bytes that the open member still gets
	buf     []byte
}

func newZipWriter(w io.Writer) *zipWriter { return &zipWriter{w: w} }

// begin opens the next member: the next size bytes that are written are its
// content.
func (z *zipWriter) begin(name string, size uint64) error {
	if z.written > maxFile || size > maxFile-z.written || len(z.members) > maxMembers {
		return fmt.Errorf("member %s: %w", name, ErrTooLarge)
	}
	z.members = append(z.members, zipMember{name: name, size: size, offset: z.written})
	z.crc, z.sum, z.left = crc32.NewIEEE(), sha256.New(), size
	z.buf = z.members[len(z.members)-1].appendLocal(z.buf[:0])
	return z.raw(z.buf)
}

// Write appends to the open member.
func (z *zipWriter) Write(b []byte) (int, error) {
	if uint64(len(b)) > z.left {
		return 0, errMemberSize
	}
	z.crc.Write(b)
	z.sum.Write(b)
	z.left -= uint64(len(b))
	return len(b), z.raw(b)
}

// errMemberSize says that a member got another size while it was copied.
var errMemberSize = errors.New("a member's content has not the size that was said")

// end closes the open member and says what the manifest says of it.
func (z *zipWriter) end() (member, error) {
	m := &z.members[len(z.members)-1]
	if z.left != 0 {
		return member{}, fmt.Errorf("member %s: %w", m.name, errMemberSize)
	}
	m.crc = z.crc.Sum32()
	z.buf = m.appendDescriptor(z.buf[:0])
	return member{Name: m.name, Size: m.size, SHA256: hex.EncodeToString(z.sum.Sum(nil))}, z.raw(z.buf)
}

// finish writes the central headers, and what stands behind them.
func (z *zipWriter) finish() error {
	offset := z.written
	for i := range z.members {
		z.buf = z.members[i].appendCentral(z.buf[:0])
		if err := z.raw(z.buf); err != nil {
			return err
		}
	}
	return z.raw(appendEnd(nil, uint64(len(z.members)), z.written-offset, offset))
}

func (z *zipWriter) raw(b []byte) error {
	z.written += uint64(len(b))
	_, err := z.w.Write(b)
	return err
}
