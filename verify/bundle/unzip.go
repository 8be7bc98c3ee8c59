package bundle

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash/crc32"
	"io"
)

// An archive is a zip whose every byte outside of its members' content was
// compared, and whose members are those that its manifest lists.
type archive struct {
	manifest *manifest
	digest   [32]byte // SHA-256 of the manifest
	contents map[string]content
}

// A content is the content of a member.
type content struct {
	r      io.ReaderAt
	offset int64
	size   int64
}

// openArchive reads the whole file once.
func openArchive(ctx context.Context, r io.ReaderAt, size int64) (*archive, error) {
	z := &archive{contents: map[string]content{}}
	document, err := findManifest(r, size)
	if err != nil {
		return nil, err
	}
	z.digest = sha256.Sum256(document)
	if z.manifest, err = parseManifest(document); err != nil {
		return nil, &Fault{Member: nameManifest, Err: err}
	}
	return z, z.compare(ctx, r, size)
}

// findManifest returns the content of the last member, which must be the manifest.
// What it reads of the headers is compared later, as all else.
func findManifest(r io.ReaderAt, size int64) ([]byte, error) {
	if size < zipEndLen || size > maxFile+maxManifest {
		return nil, faulty("", "a file of %d bytes is no examination file", size)
	}
	first, end, err := findCentral(r, size)
	if err != nil {
		return nil, err
	}
	// The manifest's is the last central header. Its name is that header's last part,
	// or its offset is, of 4 GiB and more.
	const headLen = 46 + int64(len(nameManifest))
	for _, extra := range []int64{0, 4 + 8} {
		at := end - headLen - extra
		if at < first {
			return nil, faulty("", "it has no manifest")
		}
		last, err := readAt(r, at, int(headLen+extra))
		if err != nil {
			return nil, err
		}
		if string(last[:4]) != "PK\x01\x02" || string(last[46:headLen]) != nameManifest {
			continue
		}
		length, offset := int64(binary.LittleEndian.Uint32(last[24:])), uint64(binary.LittleEndian.Uint32(last[42:]))
		if extra > 0 {
			offset = binary.LittleEndian.Uint64(last[headLen+4:])
		}
		if length > maxManifest || offset > uint64(at) || int64(offset)+int64(len(localOf(nameManifest, 0)))+length > at {
			return nil, faulty(nameManifest, "it has no room in the file, or over %d bytes", maxManifest)
		}
		return readAt(r, int64(offset)+int64(len(localOf(nameManifest, 0))), int(length))
	}
	return nil, faulty("", "its last member is not the manifest")
}

// findCentral returns where the central headers begin, and where they end.
func findCentral(r io.ReaderAt, size int64) (first, end int64, err error) {
	le := binary.LittleEndian
	b, err := readAt(r, size-zipEndLen, zipEndLen)
	if err != nil {
		return 0, 0, err
	}
	end = size - zipEndLen
	length, offset := uint64(le.Uint32(b[12:])), uint64(le.Uint32(b[16:]))
	ends := string(b[:4]) == "PK\x05\x06"
	if (le.Uint16(b[10:]) == zipMax16 || length == zipMax32 || offset == zipMax32) && end >= zip64EndLen {
		end -= zip64EndLen
		if b, err = readAt(r, end, zip64EndLen); err != nil {
			return 0, 0, err
		}
		ends = ends && string(b[:4]) == "PK\x06\x06"
		length, offset = le.Uint64(b[40:]), le.Uint64(b[48:])
	}
	if !ends || offset > uint64(end) || length != uint64(end)-offset {
		return 0, 0, faulty("", "it does not end as an examination file does: its tail may be cut")
	}
	return int64(offset), end, nil
}

func localOf(name string, size uint64) []byte {
	m := zipMember{name: name, size: size}
	return m.appendLocal(nil)
}

func readAt(r io.ReaderAt, offset int64, n int) ([]byte, error) {
	b := make([]byte, n)
	if n, err := r.ReadAt(b, offset); n < len(b) {
		return nil, fmt.Errorf("reading the file at %d: %w", offset, err)
	}
	return b, nil
}

// compare rebuilds every header from the manifest and the content, and compares.
func (z *archive) compare(ctx context.Context, r io.ReaderAt, size int64) error {
	in := &zipReader{r: bufio.NewReaderSize(io.NewSectionReader(r, 0, size), int(min(size, 1<<20)))}
	all := append(z.manifest.Files[:len(z.manifest.Files):len(z.manifest.Files)], member{Name: nameManifest, Size: z.manifestSize()})
	var central []byte
	for i := range all {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		m := &all[i]
		head := zipMember{name: m.Name, size: m.Size, offset: uint64(in.at)}
		if err := in.same(head.appendLocal(nil)); err != nil {
			return &Fault{Member: m.Name, Err: fmt.Errorf("local header: %w", err)}
		}
		z.contents[m.Name] = content{r, in.at, int64(m.Size)}
		crc, sum, err := in.content(int64(m.Size))
		if err != nil {
			return &Fault{Member: m.Name, Err: err}
		}
		if m.Name != nameManifest && hex.EncodeToString(sum[:]) != m.SHA256 {
			return faulty(m.Name, "its content is not what the manifest says: another SHA-256")
		}
		head.crc = crc
		if err := in.same(head.appendDescriptor(nil)); err != nil {
			return &Fault{Member: m.Name, Err: fmt.Errorf("data descriptor: %w", err)}
		}
		central = head.appendCentral(central)
	}
	offset := in.at
	if err := in.same(central); err != nil {
		return &Fault{Err: fmt.Errorf("central headers: %w", err)}
	}
	if err := in.same(appendEnd(nil, uint64(len(all)), uint64(len(central)), uint64(offset))); err != nil {
		return &Fault{Err: fmt.Errorf("last header: %w", err)}
	}
	if in.at != size {
		return faulty("", "%d bytes after its end", size-in.at)
	}
	return nil
}

func (z *archive) manifestSize() uint64 { return uint64(len(z.manifest.document())) }

// A zipReader reads the file from its beginning.
type zipReader struct {
	r  *bufio.Reader
	at int64
}

// same compares the next bytes.
func (in *zipReader) same(want []byte) error {
	got := make([]byte, len(want))
	if _, err := io.ReadFull(in.r, got); err != nil {
		return cutShort(err)
	}
	if !bytes.Equal(got, want) {
		for i := range got {
			if got[i] != want[i] {
				return fmt.Errorf("byte %d of the file is %#02x, not %#02x", in.at+int64(i), got[i], want[i])
			}
		}
	}
	in.at += int64(len(want))
	return nil
}

// content hashes the next n bytes.
func (in *zipReader) content(n int64) (crc uint32, sum [32]byte, err error) {
	c, s := crc32.NewIEEE(), sha256.New()
	if _, err := io.CopyN(io.MultiWriter(c, s), in.r, n); err != nil {
		return 0, sum, cutShort(err)
	}
	in.at += n
	s.Sum(sum[:0])
	return c.Sum32(), sum, nil
}

// has tells whether there is a member of that name.
func (z *archive) has(name string) bool {
	_, ok := z.contents[name]
	return ok
}

// open reads a member from its beginning; nothing where there is none.
func (z *archive) open(name string) *memberReader {
	c := z.contents[name]
	section := io.NewSectionReader(c.r, c.offset, c.size)
	return &memberReader{name: name, r: bufio.NewReaderSize(section, 64<<10), left: c.size}
}

// read returns the content of a member that has at most limit bytes.
func (z *archive) read(name string, limit int64) ([]byte, error) {
	c, ok := z.contents[name]
	if !ok {
		return nil, faulty(name, "it is missing")
	}
	if c.size > limit {
		return nil, faulty(name, "%d bytes, limit %d", c.size, limit)
	}
	return readAt(c.r, c.offset, int(c.size))
}

// A memberReader reads one member in order.
type memberReader struct {
	name string
	r    *bufio.Reader
	left int64
}

// Read reads on.
func (m *memberReader) Read(b []byte) (int, error) {
	n, err := m.r.Read(b)
	m.left -= int64(n)
	return n, err
}

// item reads the next u16 big-endian length || bytes into buf; nil at the end alone,
// also where the length is 0.
func (m *memberReader) item(buf []byte) ([]byte, error) {
	if m.left == 0 {
		return nil, nil
	}
	var head [2]byte
	if _, err := io.ReadFull(m, head[:]); err != nil {
		return nil, &Fault{Member: m.name, Err: cutShort(err)}
	}
	n := int(binary.BigEndian.Uint16(head[:]))
	if buf == nil || cap(buf) < n {
		buf = make([]byte, 0, 1<<16)
	}
	buf = buf[:n]
	if _, err := io.ReadFull(m, buf); err != nil {
		return nil, &Fault{Member: m.name, Err: cutShort(err)}
	}
	return buf, nil
}

// number reads the next u64 big-endian.
func (m *memberReader) number() (uint64, error) {
	var b [8]byte
	if _, err := io.ReadFull(m, b[:]); err != nil {
		return 0, cutShort(err)
	}
	return binary.BigEndian.Uint64(b[:]), nil
}

// done refuses what is left of the member.
func (m *memberReader) done() error {
	if m.left != 0 {
		return faulty(m.name, "%d bytes more than it should have", m.left)
	}
	return nil
}
