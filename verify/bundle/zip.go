package bundle

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
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
const (
	zipVersion    = 20
	zipDescriptor = 0x0008 // sizes and CRC follow the content
	zipDate       = 0x0021 // 1980-01-01
)

// An entryHead is what the headers say of a member.
type zipMember struct {
	name   string
	crc    uint32
	size   uint32
	offset uint32 // of the local header
}

func appendLocal(b []byte, name string) []byte {
	le := binary.LittleEndian
	b = append(b, "PK\x03\x04"...)
	for _, v := range []uint16{zipVersion, zipDescriptor, 0, 0, zipDate, 0, 0, 0, 0, 0, 0, uint16(len(name)), 0} {
		b = le.AppendUint16(b, v)
	}
	return append(b, name...)
}

func (m *zipMember) appendDescriptor(b []byte) []byte {
	b = append(b, "PK\x07\x08"...)
	for _, v := range []uint32{m.crc, m.size, m.size} {
		b = binary.LittleEndian.AppendUint32(b, v)
	}
	return b
}

func (m *zipMember) appendCentral(b []byte) []byte {
	le := binary.LittleEndian
	b = append(b, "PK\x01\x02"...)
	for _, v := range []uint16{zipVersion, zipVersion, zipDescriptor, 0, 0, zipDate} {
		b = le.AppendUint16(b, v)
	}
	for _, v := range []uint32{m.crc, m.size, m.size} {
		b = le.AppendUint32(b, v)
	}
	for _, v := range []uint16{uint16(len(m.name)), 0, 0, 0, 0} {
		b = le.AppendUint16(b, v)
	}
	b = le.AppendUint32(b, 0)
	b = le.AppendUint32(b, m.offset)
	return append(b, m.name...)
}

// zipEndLen is the length of the last header.
const zipEndLen = 22

func appendEnd(b []byte, members int, size, offset uint32) []byte {
	b = append(b, "PK\x05\x06"...)
	for _, v := range []uint16{0, 0, uint16(members), uint16(members)} {
		b = binary.LittleEndian.AppendUint16(b, v)
	}
	b = binary.LittleEndian.AppendUint32(b, size)
	b = binary.LittleEndian.AppendUint32(b, offset)
	return append(b, 0, 0)
}

// A zipWriter writes the canonical zip to a stream, one member after the other.
type zipWriter struct {
	w       io.Writer
	written uint64
	members []zipMember
	crc     hash.Hash32
	sum     hash.Hash
	size    uint64 // of the member that is open
	buf     []byte
}

func newZipWriter(w io.Writer) *zipWriter { return &zipWriter{w: w} }

// begin opens the next member: what is written until end is its content.
func (z *zipWriter) begin(name string) error {
	if z.written > maxFile || len(z.members) > maxMembers {
		return fmt.Errorf("member %s: %w", name, ErrTooLarge)
	}
	z.members = append(z.members, zipMember{name: name, offset: uint32(z.written)})
	z.crc, z.sum, z.size = crc32.NewIEEE(), sha256.New(), 0
	z.buf = appendLocal(z.buf[:0], name)
	return z.raw(z.buf)
}

// Write appends to the open member.
func (z *zipWriter) Write(b []byte) (int, error) {
	if z.written+uint64(len(b)) > maxFile {
		return 0, ErrTooLarge
	}
	z.crc.Write(b)
	z.sum.Write(b)
	z.size += uint64(len(b))
	return len(b), z.raw(b)
}

// end closes the open member and says what the manifest says of it.
func (z *zipWriter) end() (member, error) {
	m := &z.members[len(z.members)-1]
	m.crc, m.size = z.crc.Sum32(), uint32(z.size)
	z.buf = m.appendDescriptor(z.buf[:0])
	return member{Name: m.name, Size: z.size, SHA256: hex.EncodeToString(z.sum.Sum(nil))}, z.raw(z.buf)
}

// finish writes the central headers.
func (z *zipWriter) finish() error {
	offset := z.written
	for i := range z.members {
		z.buf = z.members[i].appendCentral(z.buf[:0])
		if err := z.raw(z.buf); err != nil {
			return err
		}
	}
	return z.raw(appendEnd(nil, len(z.members), uint32(z.written-offset), uint32(offset)))
}

func (z *zipWriter) raw(b []byte) error {
	z.written += uint64(len(b))
	_, err := z.w.Write(b)
	return err
}
