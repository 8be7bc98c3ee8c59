package mapping

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
)

// Reader splits a file into its records: JSON lines, or, where the format has
// files of its own, the array in them (CloudTrail: {"Records":[...]}). Blank
// lines are no records. It is not safe for concurrent use.
type Reader struct {
	mapping *Mapping
	in      *bufio.Reader
	// array decodes the elements of a native file; nil for JSON lines.
	array *json.Decoder
	begun bool
	// over is what Next answers from now on; nil: there may be more.
	over error
	next uint64
	file [32]byte
}

// NewReader returns a reader of the decompressed bytes of a file. The digest of
// all of them goes into the records.
func (m *Mapping) NewReader(decompressed io.Reader, file [32]byte) *Reader {
	return &Reader{mapping: m, in: bufio.NewReaderSize(decompressed, 1<<16), next: 1, file: file}
}

// Decompress returns the decompressed bytes of a file: those of gzip, known by
// its first two bytes, or the file's own.
func Decompress(file io.Reader) (io.Reader, error) {
	in := bufio.NewReaderSize(file, 1<<16)
	magic, err := in.Peek(2)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("reading the first bytes: %w", err)
	}
	if !bytes.Equal(magic, []byte{0x1f, 0x8b}) {
		return in, nil
	}
	out, err := gzip.NewReader(in)
	if err != nil {
		return nil, fmt.Errorf("reading gzip: %w", err)
	}
	return out, nil
}

// Next returns the next record, or io.EOF behind the last; after an error, the
// same again. The bytes of the record are the caller's.
func (r *Reader) Next() (Record, error) {
	if r.over != nil {
		return Record{}, r.over
	}
	record, err := r.read()
	if err != nil {
		r.over = err
		return Record{}, err
	}
	record.Number, record.File = r.next, r.file
	r.next++
	return record, nil
}

// read reads the next record, of a native file or of lines.
func (r *Reader) read() (Record, error) {
	if !r.begun {
		r.begun = true
		if err := r.begin(); err != nil {
			return Record{}, err
		}
	}
	if r.array != nil {
		return r.element()
	}
	return r.line()
}

// begin skips a byte order mark, and tells a native file from lines.
func (r *Reader) begin() error {
	if mark, _ := r.in.Peek(3); string(mark) == "\xef\xbb\xbf" {
		if _, err := r.in.Discard(3); err != nil {
			return err
		}
	}
	if r.mapping.array == "" {
		return nil
	}
	start, err := r.in.Peek(256)
	if err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("reading the first bytes: %w", err)
	}
	rest := start
	for _, token := range []string{"{", `"` + r.mapping.array + `"`, ":", "["} {
		after, ok := bytes.CutPrefix(bytes.TrimLeft(rest, " \t\r\n"), []byte(token))
		if !ok {
			return nil
		}
		rest = after
	}
	r.array = json.NewDecoder(r.in)
	for range 3 { // brace, key, bracket
		if _, err := r.array.Token(); err != nil {
			return fmt.Errorf("reading %s: %w", r.mapping.array, err)
		}
	}
	return nil
}

// element returns the next element of a native file's array.
func (r *Reader) element() (Record, error) {
	if !r.array.More() {
		return Record{}, r.end()
	}
	var raw json.RawMessage
	if err := r.array.Decode(&raw); err != nil {
		return Record{}, fmt.Errorf("reading record %d of %s: %w", r.next, r.mapping.array, noEOF(err))
	}
	if len(raw) > MaxRecord {
		sum := sha256.Sum256(raw)
		return Record{Long: &sum}, nil
	}
	return Record{Bytes: raw}, nil
}

// end reads what follows the array, and returns io.EOF where that is the end of
// the object and of the file.
func (r *Reader) end() error {
	for _, want := range []json.Delim{']', '}'} {
		t, err := r.array.Token()
		if err != nil {
			return fmt.Errorf("reading the end of %s: %w", r.mapping.array, noEOF(err))
		}
		if t != want {
			return fmt.Errorf("reading the end of %s: another key beside it", r.mapping.array)
		}
	}
	if _, err := r.array.Token(); !errors.Is(err, io.EOF) {
		return fmt.Errorf("reading the end of %s: text behind it", r.mapping.array)
	}
	return io.EOF
}

// noEOF makes an end that comes too early an error that does not look like the
// end of the records.
func noEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// line returns the next line that is not blank. One over MaxRecord is read past
// and hashed.
func (r *Reader) line() (Record, error) {
	for {
		record, err := r.anyLine()
		if err != nil || record.Long != nil || len(record.Bytes) > 0 {
			return record, err
		}
	}
}

// anyLine returns the next line, without the spaces around it. Its digest is
// that of what is left.
func (r *Reader) anyLine() (Record, error) {
	var line []byte
	var long hash.Hash
	for {
		part, err := r.in.ReadSlice('\n')
		switch {
		case long != nil:
			long.Write(withoutEnd(part))
		case len(line)+len(part) > MaxRecord+2:
			long = sha256.New()
			long.Write(line)
			long.Write(withoutEnd(part))
			line = nil
		default:
			line = append(line, part...)
		}
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			continue
		case errors.Is(err, io.EOF) && len(line) == 0 && long == nil:
			return Record{}, io.EOF
		case err != nil && !errors.Is(err, io.EOF):
			return Record{}, fmt.Errorf("reading record %d: %w", r.next, err)
		}
		if long != nil {
			sum := [32]byte(long.Sum(nil))
			return Record{Long: &sum}, nil
		}
		return Record{Bytes: bytes.Trim(line, " \t\r\n")}, nil
	}
}

// withoutEnd returns a part of a line without the end of the line.
func withoutEnd(part []byte) []byte {
	return bytes.TrimSuffix(part, []byte("\n"))
}
