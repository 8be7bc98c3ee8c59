package bundle

import (
	"fmt"

	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/verify"
	"github.com/daybook-ledger/daybook/verify/domains"
)

// maxEntries is how long a file of entries may be, in bytes.
const maxEntries = 32 << 20

// A knownEntry is an entry that is in the bundle. It is valid until the next one
// is read from the same member.
type knownEntry struct {
	verify.Entry
	raw    []byte
	member string
}

// An entryReader reads all known entries in the order of the log: those of
// governance.bin and those of entries/*.bin.
type entryReader struct {
	governance entryCursor
	others     entryCursor
}

func newEntryReader(z *archive) *entryReader {
	r := &entryReader{governance: entryCursor{z: z, in: z.open(nameGovernance)}, others: entryCursor{z: z}}
	r.others.file = 1
	r.others.in = z.open(entriesName(1))
	return r
}

// next returns the next known entry; nil at the end.
func (r *entryReader) next() (*knownEntry, error) {
	for _, c := range []*entryCursor{&r.governance, &r.others} {
		if err := c.fill(); err != nil {
			return nil, err
		}
	}
	g, o := &r.governance, &r.others
	switch {
	case g.entry == nil && o.entry == nil:
		return nil, nil
	case o.entry == nil || g.entry != nil && g.entry.Place.Index <= o.entry.Place.Index:
		g.full = false
		return g.entry, nil
	}
	o.full = false
	return o.entry, nil
}

// An entryCursor reads the entries of governance.bin, or those of entries/*.bin.
type entryCursor struct {
	z     *archive
	in    *memberReader
	file  int       // number of the file; 0: governance.bin
	size  int       // bytes of the file that were read
	bufs  [2][]byte // of the entry and the one before, whose head it may share
	slots [2]knownEntry
	turn  int
	entry *knownEntry // nil: the end
	full  bool        // entry was not taken yet
	begun bool
	last  uint64
}

// fill reads the next entry, unless the one that was read is not taken.
func (c *entryCursor) fill() error {
	if c.full || c.begun && c.entry == nil {
		return nil
	}
	before := c.entry
	c.turn ^= 1
	raw, err := c.item()
	if err != nil {
		return err
	}
	c.full, c.entry = true, nil
	if raw == nil {
		c.begun = true
		return nil
	}
	c.bufs[c.turn] = raw
	e := &c.slots[c.turn]
	e.raw, e.member = raw, c.in.name
	var head *verify.Entry
	if before != nil {
		head = &before.Entry
	}
	if err := e.ParseAfter(head, raw); err != nil {
		return inMember(e.member, err)
	}
	if c.file > 0 && isGoverned(e.Place.Kind) {
		return faultAt(e.member, e.Place.Index, fmt.Errorf("an entry of kind %s stands in %s", domains.Word(e.Place.Kind), nameGovernance))
	}
	if err := c.checkBody(e); err != nil {
		return faultAt(e.member, e.Place.Index, err)
	}
	if c.begun && e.Place.Index <= c.last {
		return faultAt(e.member, e.Place.Index, errOrder)
	}
	c.begun, c.last, c.entry = true, e.Place.Index, e
	return nil
}

// checkBody checks a body by the grammar; that of an access when it is taken.
func (c *entryCursor) checkBody(e *knownEntry) error {
	if e.Place.Kind == daybookv1.Kind_KIND_ACCESS {
		return nil
	}
	return verify.CheckBody(e.Place.Kind, e.Body)
}

// item reads the next item, of the next file where one ends.
func (c *entryCursor) item() ([]byte, error) {
	if c.in.left == 0 && c.file > 0 && c.z.has(entriesName(c.file+1)) {
		c.file++
		next := c.z.open(entriesName(c.file))
		raw, err := next.item(c.bufs[c.turn])
		if err != nil {
			return nil, err
		}
		if raw == nil || c.size+2+len(raw) <= maxEntries {
			return nil, faulty(next.name, "its first entry has room in the file before")
		}
		c.in, c.size = next, 2+len(raw)
		return raw, nil
	}
	raw, err := c.in.item(c.bufs[c.turn])
	if raw != nil {
		if c.size += 2 + len(raw); c.file > 0 && c.size > maxEntries {
			return nil, faulty(c.in.name, "it is longer than %d bytes", maxEntries)
		}
	}
	return raw, err
}

// allRead refuses files of entries that are not reached.
func (c *entryCursor) allRead() error {
	for _, f := range c.z.manifest.Files {
		if l, n := lineOf(f.Name); l == lineEntries && (n < 1 || n > uint64(c.file)) {
			return faulty(f.Name, "a file before it is missing")
		}
	}
	return nil
}
