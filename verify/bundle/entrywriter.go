package bundle

import (
	"encoding/binary"
	"errors"
	"io"
)

// An entryWriter writes the known entries in the order of the log.
type entryWriter struct {
	b                *builder
	governance, tree io.WriteCloser
	others           io.WriteCloser // nil: none yet
	file             int
	size             int
	next             uint64 // index after the entry before
	buf              []byte
}

func newEntryWriter(b *builder) (*entryWriter, error) {
	out := &entryWriter{b: b}
	var err error
	if out.governance, err = b.temps.Create(nameGovernance); err != nil {
		return nil, err
	}
	out.tree, err = b.temps.Create(nameTree)
	return out, err
}

// gap writes the hashes of the log's tree up to an index.
func (w *entryWriter) gap(to uint64) error {
	var err error
	if w.buf, err = GapHashes(w.buf[:0], w.next, to, w.b.node); err != nil {
		return err
	}
	w.next = to
	_, err = w.tree.Write(w.buf)
	return err
}

func (w *entryWriter) entry(index uint64, raw []byte, governs bool) error {
	if err := w.gap(index); err != nil {
		return err
	}
	w.next = index + 1
	w.buf = append(binary.BigEndian.AppendUint16(w.buf[:0], uint16(len(raw))), raw...)
	if governs {
		_, err := w.governance.Write(w.buf)
		return err
	}
	if w.others == nil || w.size+len(w.buf) > maxEntries {
		if err := closeWriter(w.others); err != nil {
			return err
		}
		w.file, w.size = w.file+1, 0
		var err error
		if w.others, err = w.b.temps.Create(entriesName(w.file)); err != nil {
			return err
		}
	}
	w.size += len(w.buf)
	_, err := w.others.Write(w.buf)
	return err
}

func (w *entryWriter) close() error {
	return errors.Join(closeWriter(w.governance), closeWriter(w.tree), closeWriter(w.others))
}

func closeWriter(w io.Closer) error {
	if w == nil {
		return nil
	}
	return w.Close()
}
