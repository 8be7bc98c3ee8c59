package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"filippo.io/age"
	"github.com/spf13/cobra"

	"github.com/daybook-ledger/daybook/client"
	apiv1 "github.com/daybook-ledger/daybook/proto/daybook/api/v1"
	"github.com/daybook-ledger/daybook/verify/bundle/question"
)

// receive writes the parts of an export, each checked before it has its name.
func (c *exportCommand) receive(cmd *cobra.Command, e *client.Export, q *question.Question) error {
	done := newExportResult(q)
	for {
		part, err := e.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err == nil {
			err = c.receivePart(cmd, e, part, done)
		}
		if err != nil {
			return c.broken(done, part, err)
		}
	}
	done.warn(cmd.ErrOrStderr())
	return c.print(cmd.OutOrStdout(), done)
}

// broken says how an export goes on that broke off.
func (c *exportCommand) broken(done *exportResult, part *apiv1.ExportPart, err error) error {
	if part.GetParts() < 2 || len(done.Files) == 0 {
		return err
	}
	return fmt.Errorf("%w; the parts before are whole: go on with --at %d --split %s --first-part %d", err, part.GetTreeSize(), c.split, part.GetNumber())
}

// path is the name of a part.
func (c *exportCommand) path(number, parts uint32) string {
	name := c.output
	if parts > 1 {
		ext := filepath.Ext(name)
		name = fmt.Sprintf("%s-%03d%s", strings.TrimSuffix(name, ext), number, ext)
	}
	if len(c.encrypt) > 0 {
		name += ".age"
	}
	return name
}

// receivePart writes one part. A crash before the rename leaves a hidden file
// beside, which is nothing; after it the part is whole under its name.
func (c *exportCommand) receivePart(cmd *cobra.Command, e *client.Export, part *apiv1.ExportPart, done *exportResult) (err error) {
	path := c.path(part.GetNumber(), part.GetParts())
	if _, err := os.Lstat(path); err == nil {
		return fmt.Errorf("%s is there already: move it away", path)
	}
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*") // mode 0600
	if err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	name := f.Name()
	defer func() {
		if err != nil {
			err = errors.Join(err, ignoreMissing(os.Remove(name)))
		}
	}()
	var said checked
	switch {
	case len(c.recipients) == 0:
		said, err = c.plain(cmd, e, part, f)
	case c.noCheck:
		_, err = writeEncrypted(f, e, c.recipients)
	default:
		said, err = c.sealed(cmd, e, part, f)
	}
	if err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	if err := os.Rename(name, path); err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	if err := syncFolder(filepath.Dir(path)); err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	done.add(path, part, said)
	return nil
}

func ignoreMissing(err error) error {
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return err
}

// syncFolder makes the names in a folder durable.
func syncFolder(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	// Not every system can sync a folder: the file itself is durable.
	_ = f.Sync()
	return f.Close()
}

// plain receives a part as it is, and checks it.
func (c *exportCommand) plain(cmd *cobra.Command, e *client.Export, part *apiv1.ExportPart, f *os.File) (checked, error) {
	if _, err := e.WriteTo(f); err != nil {
		return checked{}, err
	}
	return c.checkPart(cmd, f, part)
}

// writeEncrypted encrypts what from writes to recipients.
func writeEncrypted(f io.Writer, from io.WriterTo, recipients []age.Recipient) (int64, error) {
	w, err := age.Encrypt(f, recipients...)
	if err != nil {
		return 0, fmt.Errorf("encrypting: %w", err)
	}
	n, err := from.WriteTo(w)
	if err == nil {
		err = w.Close()
	}
	return n, err
}

// sealed receives a part into a file that a key in memory alone opens, checks it
// there, and encrypts it to its recipients: nothing of it lies on the disk in
// clear.
func (c *exportCommand) sealed(cmd *cobra.Command, e *client.Export, part *apiv1.ExportPart, f *os.File) (said checked, err error) {
	once, err := age.GenerateX25519Identity()
	if err != nil {
		return checked{}, err
	}
	temp, err := os.CreateTemp(filepath.Dir(f.Name()), ".export-*") // mode 0600
	if err != nil {
		return checked{}, err
	}
	defer func() { err = errors.Join(err, temp.Close(), os.Remove(temp.Name())) }()
	if _, err := writeEncrypted(temp, e, []age.Recipient{once.Recipient()}); err != nil {
		return checked{}, err
	}
	size, err := temp.Seek(0, io.SeekCurrent)
	if err != nil {
		return checked{}, err
	}
	clear, n, err := age.DecryptReaderAt(temp, size, once)
	if err != nil || n != int64(part.GetSize()) {
		return checked{}, fmt.Errorf("reading %s again: %w", temp.Name(), errors.Join(err, io.ErrUnexpectedEOF))
	}
	if said, err = c.checkPart(cmd, clear, part); err != nil {
		return checked{}, err
	}
	_, err = writeEncrypted(f, sectionWriter{io.NewSectionReader(clear, 0, n)}, c.recipients)
	return said, err
}

// A sectionWriter writes what is left of a section.
type sectionWriter struct{ *io.SectionReader }

// WriteTo implements io.WriterTo.
func (s sectionWriter) WriteTo(w io.Writer) (int64, error) {
	return io.CopyBuffer(w, struct{ io.Reader }{s.SectionReader}, make([]byte, 256<<10))
}

// parseRecipients reads age recipients, or files of them.
func parseRecipients(names []string) ([]age.Recipient, error) {
	var all []age.Recipient
	for _, name := range names {
		text := name
		if !strings.HasPrefix(name, "age1") {
			b, err := os.ReadFile(name)
			if err != nil {
				return nil, usagef("--encrypt: %q is neither an age recipient, age1..., nor a file of them: %v", name, err)
			}
			text = string(b)
		}
		list, err := age.ParseRecipients(strings.NewReader(text))
		if err != nil {
			return nil, usagef("--encrypt %s: %v", name, err)
		}
		all = append(all, list...)
	}
	return all, nil
}
