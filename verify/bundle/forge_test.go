package bundle_test

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/daybook-ledger/daybook/verify"
	"github.com/daybook-ledger/daybook/verify/bundle"
)

// A forge takes a bundle apart and puts it together again, honestly but for what
// is changed in between: hashes, headers, the manifest and all that is derived are
// made anew from what is there. Who forges a bundle so holds the whole log.
type forge struct {
	t       testing.TB
	src     *worldSource
	origin  string
	files   map[string][]byte // all members but the manifest
	windows []bundle.StreamWindow
	order   []string // names; nil: that of a manifest
	zip     []byte   // the file, where it is made already
	stale   bool     // keep the derived members as they are
}

// A forged entry is a known entry.
type forgedEntry struct {
	verify.Entry
	raw      []byte
	governed bool // in governance.bin
}

// A forgedRow is a known row.
type forgedRow struct {
	index uint64
	verify.Row
}

// newForge takes a bundle apart.
func newForge(t testing.TB, src *worldSource, b []byte) *forge {
	t.Helper()
	f := &forge{t: t, src: src, origin: worldOrigin, files: unzip(t, b)}
	delete(f.files, "manifest.json")
	_, windows, err := bundle.Derive(f.origin, f.files)
	if err != nil {
		t.Fatal(err)
	}
	f.windows = windows
	return f
}

func (f *forge) clone() *forge {
	c := *f
	c.files = map[string][]byte{}
	for name, b := range f.files {
		c.files[name] = slices.Clone(b)
	}
	c.windows = slices.Clone(f.windows)
	return &c
}

// pack puts the bundle together.
func (f *forge) pack() []byte {
	if f.zip != nil {
		return f.zip
	}
	if !f.stale {
		f.derive()
	}
	names := f.order
	if names == nil {
		for name, b := range f.files {
			if len(b) > 0 {
				names = append(names, name)
			}
		}
		slices.Sort(names)
		bundle.SortNames(names)
	}
	return zipOf(f.origin, names, f.files)
}

// derive makes the derived members anew, as far as that can be done.
func (f *forge) derive() {
	derived, _, err := bundle.Derive(f.origin, f.files)
	if err != nil {
		return
	}
	maps.DeleteFunc(f.files, func(name string, _ []byte) bool { return bundle.IsDerived(name) })
	maps.Copy(f.files, derived)
}

// entries returns the known entries in the order of the log.
func (f *forge) entries() []forgedEntry {
	out, ok := f.parseEntries()
	if !ok {
		f.t.Fatal("the entries are no entries")
	}
	return out
}

// parseEntries is entries; ok is false where they cannot be read.
func (f *forge) parseEntries() (out []forgedEntry, ok bool) {
	for _, name := range slices.Sorted(maps.Keys(f.files)) {
		if name != "governance.bin" && !strings.HasPrefix(name, "entries/") {
			continue
		}
		for b := f.files[name]; len(b) > 0; {
			if len(b) < 2 || len(b) < 2+int(binary.BigEndian.Uint16(b)) {
				return nil, false
			}
			n := 2 + int(binary.BigEndian.Uint16(b))
			e, err := verify.ParseEntry(b[2:n])
			if err != nil {
				return nil, false
			}
			out = append(out, forgedEntry{e, b[2:n], name == "governance.bin"})
			b = b[n:]
		}
	}
	slices.SortStableFunc(out, func(a, b forgedEntry) int { return cmp.Compare(a.Place.Index, b.Place.Index) })
	return out, true
}

// write writes entries in the order given, and the hashes of the log's tree between
// them.
func (f *forge) write(entries []forgedEntry) {
	f.writeRaw(entries)
	f.refold(entries)
}

func (f *forge) writeRaw(entries []forgedEntry) {
	var governance, others []byte
	for _, e := range entries {
		dst := &others
		if e.governed {
			dst = &governance
		}
		*dst = append(binary.BigEndian.AppendUint16(*dst, uint16(len(e.raw))), e.raw...)
	}
	f.files["governance.bin"], f.files["entries/000001.bin"] = governance, others
}

// refold writes the hashes between entries, for as long as they ascend.
func (f *forge) refold(entries []forgedEntry) {
	var out []byte
	next := uint64(0)
	gap := func(to uint64) {
		if to < next {
			return
		}
		var err error
		if out, err = bundle.GapHashes(out, next, to, f.node); err != nil {
			return
		}
		next = to
	}
	for i, e := range entries {
		if i == len(entries)-1 {
			gap(f.cut())
		}
		gap(e.Place.Index)
		next = e.Place.Index + 1
	}
	gap(f.src.note.size)
	f.files["tree.hashes"] = out
}

func (f *forge) node(level uint, index uint64) (verify.Hash, error) {
	return f.src.Node(context.Background(), level, index)
}

// cut is the cut of the close.
func (f *forge) cut() uint64 {
	e := f.src.w.heads[f.src.close]
	c, err := verify.CheckCloseEntry(&e)
	if err != nil {
		f.t.Fatal(err)
	}
	return c.Cut
}

// rows returns the known rows.
func (f *forge) rows() []forgedRow {
	out, ok := f.readableRows()
	if !ok {
		f.t.Fatal("the rows are no rows")
	}
	return out
}

// readableRows is rows; ok is false where they cannot be read.
func (f *forge) readableRows() (out []forgedRow, ok bool) {
	for b := f.files["rows.bin"]; len(b) > 0; {
		if len(b) < 8 {
			return nil, false
		}
		r, rest, err := verify.CutRow(b[8:])
		if err != nil {
			return nil, false
		}
		out, b = append(out, forgedRow{binary.BigEndian.Uint64(b), r}), rest
	}
	return out, true
}

// writeRows writes rows and the hashes of the table between them.
func (f *forge) writeRows(rows []forgedRow) {
	var b, hashes []byte
	next := uint64(0)
	for _, r := range rows {
		b = r.AppendTo(binary.BigEndian.AppendUint64(b, r.index))
		if r.index >= next {
			hashes = f.rowHashes(hashes, next, r.index)
			next = r.index + 1
		}
	}
	f.files["rows.bin"], f.files["rows.hashes"] = b, f.rowHashes(hashes, next, uint64(len(f.src.rows)))
}

func (f *forge) rowHashes(dst []byte, from, to uint64) []byte {
	if to > uint64(len(f.src.rows)) {
		return dst
	}
	out, err := bundle.GapHashes(dst, from, to, func(level uint, index uint64) (verify.Hash, error) {
		return f.src.RowNode(context.Background(), level, index)
	})
	if err != nil {
		f.t.Fatal(err)
	}
	return out
}

// writeStreams writes the windows of the streams and the hashes around them.
func (f *forge) writeStreams(windows []bundle.StreamWindow) {
	var out []byte
	for _, w := range windows {
		out = binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(out, w.A), w.B)
		nodes := func(level uint, index uint64) (verify.Hash, error) {
			return f.src.StreamNode(context.Background(), w.Key, level, index)
		}
		for _, gap := range [][2]uint64{{0, w.A}, {w.B, f.src.counts[w.Key]}} {
			if more, err := bundle.GapHashes(out, gap[0], gap[1], nodes); err == nil {
				out = more
			}
		}
	}
	f.windows, f.files["streams.bin"] = windows, out
}

// replace replaces one text in a member; it must be there.
func (f *forge) replace(name, old, new string) {
	if !bytes.Contains(f.files[name], []byte(old)) {
		f.t.Fatalf("%s has no %q: %.500s", name, old, f.files[name])
	}
	f.files[name] = bytes.Replace(f.files[name], []byte(old), []byte(new), 1)
}

// zipOf is the dumb twin of the package's zip: section 2 of the format, field by
// field, and the manifest.
func zipOf(origin string, names []string, files map[string][]byte) []byte {
	manifest := fmt.Sprintf("{\n  \"format\": \"daybook-bundle/v1\",\n  \"origin\": %q,\n  \"files\": [", origin)
	for i, name := range names {
		if i > 0 {
			manifest += ","
		}
		manifest += fmt.Sprintf("\n    {\n      \"name\": %q,\n      \"size\": %d,\n      \"sha256\": \"%x\"\n    }", name, len(files[name]), sha256.Sum256(files[name]))
	}
	manifest += "\n  ]\n}\n"
	var out, central []byte
	u16 := func(dst []byte, n ...int) []byte {
		for _, v := range n {
			dst = append(dst, byte(v), byte(v>>8))
		}
		return dst
	}
	u32 := func(dst []byte, n ...int) []byte {
		for _, v := range n {
			dst = append(dst, byte(v), byte(v>>8), byte(v>>16), byte(v>>24))
		}
		return dst
	}
	for _, name := range append(slices.Clone(names), "manifest.json") {
		b := files[name]
		if name == "manifest.json" {
			b = []byte(manifest)
		}
		at, crc := len(out), int(crc32.ChecksumIEEE(b))
		out = u16(append(out, "PK\x03\x04"...), 20, 8, 0, 0, 0x21)
		out = append(u16(u32(out, 0, 0, 0), len(name), 0), name...)
		out = u32(append(append(out, b...), "PK\x07\x08"...), crc, len(b), len(b))
		central = u16(append(central, "PK\x01\x02"...), 20, 20, 8, 0, 0, 0x21)
		central = u16(u32(central, crc, len(b), len(b)), len(name), 0, 0, 0, 0)
		central = append(u32(central, 0, at), name...)
	}
	start := len(out)
	out = u16(append(append(out, central...), "PK\x05\x06"...), 0, 0, len(names)+1, len(names)+1)
	return u16(u32(out, len(central), start), 0)
}
