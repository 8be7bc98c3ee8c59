package bundle

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/daybook-ledger/daybook/verify/bundle/report"
)

// A derivedError is an error of the sink: a derived member that differs, or one
// that cannot be written. It is no fault of the entry that was being read.
type derivedError struct{ err error }

func (e *derivedError) Error() string { return e.err.Error() }
func (e *derivedError) Unwrap() error { return e.err }

// toReport marks an error of the report.
func toReport(err error) error {
	if err == nil {
		return nil
	}
	return &derivedError{err}
}

// comparer is the sink of a verifier: what is written must be what the bundle has.
type comparer struct {
	z    *archive
	made map[string]bool
}

var _ report.Sink = (*comparer)(nil)

// Create compares with the member of that name.
func (c *comparer) Create(name string) (io.WriteCloser, error) {
	if c.made[name] {
		return nil, fmt.Errorf("%s is made twice", name)
	}
	c.made[name] = true
	if !c.z.has(name) {
		return nil, faulty(name, "it is missing")
	}
	return &compared{in: c.z.open(name)}, nil
}

// done refuses derived members that nothing makes.
func (c *comparer) done() error {
	for _, f := range c.z.manifest.Files {
		if l, _ := lineOf(f.Name); l.derived() && !c.made[f.Name] {
			return faulty(f.Name, "nothing in this file makes it")
		}
	}
	return nil
}

// compared is a member that is compared with what is written.
type compared struct {
	in  *memberReader
	at  int64
	buf []byte
}

func (c *compared) Write(b []byte) (int, error) {
	if cap(c.buf) < len(b) {
		c.buf = make([]byte, len(b))
	}
	got := c.buf[:len(b)]
	n, err := io.ReadFull(c.in, got)
	if !bytes.Equal(got[:n], b[:n]) {
		i := 0
		for got[i] == b[i] {
			i++
		}
		return 0, faulty(c.in.name, "byte %d is not what follows from the entries: %s", c.at+int64(i), around(got[:n], b, i))
	}
	if err != nil {
		return 0, faulty(c.in.name, "after byte %d: %w", c.at+int64(n), cutShort(err))
	}
	c.at += int64(n)
	return len(b), nil
}

// around shows what is there, and what should be.
func around(got, want []byte, i int) string {
	cut := func(b []byte) []byte { return b[i:min(i+20, len(b))] }
	return fmt.Sprintf("%q, not %q", cut(got), cut(want))
}

func (c *compared) Close() error { return c.in.done() }

// A temps is the sink of an exporter: its members wait in temporary files, of
// which there are as many as members are written side by side.
type temps struct {
	spool   Spool
	files   []*sharedTemp
	members []tempMember
}

// A sharedTemp is a temporary file with members one after the other.
type sharedTemp struct {
	file TempFile
	size int64
	busy bool // a member is being written
}

// A tempMember is a member that waits in a temporary file.
type tempMember struct {
	name string
	content
}

var _ report.Sink = (*temps)(nil)

// Create begins a member at the end of a temporary file.
func (t *temps) Create(name string) (io.WriteCloser, error) {
	f := t.free()
	if f == nil {
		file, err := t.spool.Temp()
		if err != nil {
			return nil, fmt.Errorf("temporary file: %w", err)
		}
		f = &sharedTemp{file: file}
		t.files = append(t.files, f)
	}
	f.busy = true
	t.members = append(t.members, tempMember{name, content{r: f.file, offset: f.size}})
	return &tempWriter{temps: t, at: len(t.members) - 1, file: f, buf: make([]byte, 0, 32<<10)}, nil
}

func (t *temps) free() *sharedTemp {
	for _, f := range t.files {
		if !f.busy {
			return f
		}
	}
	return nil
}

// close ends all temporary files.
func (t *temps) close() error {
	var errs []error
	for _, f := range t.files {
		errs = append(errs, f.file.Close())
	}
	t.files = nil
	return errors.Join(errs...)
}

// A tempWriter gathers small writes.
type tempWriter struct {
	temps *temps
	at    int // of its member
	file  *sharedTemp
	buf   []byte
}

func (w *tempWriter) Write(b []byte) (int, error) {
	if len(w.buf)+len(b) > cap(w.buf) {
		if err := w.flush(w.buf); err != nil {
			return 0, err
		}
		w.buf = w.buf[:0]
	}
	if len(b) > cap(w.buf) {
		return len(b), w.flush(b)
	}
	w.buf = append(w.buf, b...)
	return len(b), nil
}

// Close ends the member.
func (w *tempWriter) Close() error {
	err := w.flush(w.buf)
	w.buf, w.file.busy = nil, false
	return err
}

func (w *tempWriter) flush(b []byte) error {
	n, err := w.file.file.Write(b)
	w.file.size += int64(n)
	w.temps.members[w.at].size += int64(n)
	return err
}
