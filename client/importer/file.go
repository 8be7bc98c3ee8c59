package importer

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"

	"github.com/daybook-ledger/daybook/client/mapping"
)

// File is a foreign file after its first pass. Not safe for concurrent use.
type File struct {
	// Name of the file without its folder; `-` for standard input.
	Name string
	// Digest is the SHA-256 of the decompressed bytes.
	Digest [32]byte
	// Bytes is the length of the decompressed bytes.
	Bytes uint64
	// Records is how many records it holds.
	Records uint64

	mapping *mapping.Mapping
	source  io.ReadSeeker
	close   func() error
}

// Open reads a file once, for its digest and the number of its records. It may
// be gzip. A file that breaks off is refused here, before anything is sent.
func Open(path string, m *mapping.Mapping) (*File, error) {
	in, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	f, err := New(filepath.Base(path), in, m)
	if err != nil {
		in.Close()
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	f.close = in.Close
	return f, nil
}

// Spool copies what can be read only once, such as standard input, to a
// temporary file, which Close removes, and opens that.
func Spool(name string, in io.Reader, m *mapping.Mapping) (*File, error) {
	spool, err := os.CreateTemp("", "daybook-import-*")
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	remove := func() error { return errors.Join(spool.Close(), os.Remove(spool.Name())) }
	_, err = io.Copy(spool, in)
	if err == nil {
		_, err = spool.Seek(0, io.SeekStart)
	}
	var f *File
	if err == nil {
		f, err = New(name, spool, m)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, errors.Join(err, remove()))
	}
	f.close = remove
	return f, nil
}

// New makes a File of bytes that stand elsewhere, and reads them once. The
// caller keeps the source, and leaves it alone until the import is done.
func New(name string, source io.ReadSeeker, m *mapping.Mapping) (*File, error) {
	f := &File{Name: name, mapping: m, source: source, close: func() error { return nil }}
	p, err := f.pass()
	if err != nil {
		return nil, err
	}
	for {
		if _, err := p.records.Next(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, err
		}
		f.Records++
	}
	if f.Digest, err = p.end(); err != nil {
		return nil, err
	}
	f.Bytes = p.bytes
	return f, nil
}

// Close lets the file go.
func (f *File) Close() error { return f.close() }

// pass is one reading of the file.
type pass struct {
	records *mapping.Reader
	in      io.Reader
	sum     hash.Hash
	bytes   uint64
}

// pass begins to read the file from its start. After the first pass no more
// than its length is read: a log that has grown since is another file.
func (f *File) pass() (*pass, error) {
	if _, err := f.source.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	in, err := mapping.Decompress(f.source)
	if err != nil {
		return nil, err
	}
	if f.Bytes > 0 {
		in = io.LimitReader(in, int64(f.Bytes))
	}
	p := &pass{in: in, sum: sha256.New()}
	p.records = f.mapping.NewReader(p, f.Digest)
	return p, nil
}

// Read hashes and counts what is read.
func (p *pass) Read(b []byte) (int, error) {
	n, err := p.in.Read(b)
	p.sum.Write(b[:n])
	p.bytes += uint64(n)
	return n, err
}

// end reads what is left and returns the digest of all.
func (p *pass) end() ([32]byte, error) {
	if _, err := io.Copy(io.Discard, p); err != nil {
		return [32]byte{}, err
	}
	return [32]byte(p.sum.Sum(nil)), nil
}
