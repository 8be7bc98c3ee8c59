package bundle

import (
	"bytes"
	"context"
	"encoding/binary"
	"os"
	"path/filepath"
	"slices"
	"testing"

	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/verify"
)

// samplesOf opens the bundles in testdata.
func samplesOf(t testing.TB) map[string]*archive {
	t.Helper()
	names, err := filepath.Glob("testdata/*.zip")
	if err != nil || len(names) == 0 {
		t.Fatalf("%d samples, %v", len(names), err)
	}
	all := map[string]*archive{}
	for _, name := range names {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if all[name], err = openArchive(context.Background(), bytes.NewReader(b), int64(len(b))); err != nil {
			t.Fatal(err)
		}
	}
	return all
}

// of returns a member; nothing where there is none.
func (z *archive) of(t testing.TB, name string) []byte {
	t.Helper()
	if !z.has(name) {
		return nil
	}
	b, err := z.read(name, 1<<30)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// holding is an archive of these members, as if its zip had passed.
func holding(members map[string][]byte) *archive {
	z := &archive{manifest: &manifest{}, contents: map[string]content{}}
	for name, b := range members {
		if len(b) > 0 {
			z.manifest.Files = append(z.manifest.Files, member{Name: name, Size: uint64(len(b))})
			z.contents[name] = content{bytes.NewReader(b), 0, int64(len(b))}
		}
	}
	slices.SortFunc(z.manifest.Files, func(a, b member) int {
		if a.before(b) {
			return -1
		}
		return 1
	})
	return z
}

// FuzzRows: rows that are taken are written as the same bytes, and no table that
// they are said to be of panics.
func FuzzRows(f *testing.F) {
	for _, z := range samplesOf(f) {
		f.Add(z.of(f, nameRows), z.of(f, nameRowHashes), uint64(12), uint64(100))
	}
	f.Add(make([]byte, 50), []byte{}, uint64(1)<<63, uint64(1)<<63)
	f.Fuzz(func(t *testing.T, rows, hashes []byte, count, sum uint64) {
		z := holding(map[string][]byte{nameRows: rows, nameRowHashes: hashes})
		var again []byte
		for in := z.open(nameRows); in.left > 0; {
			r, err := readRow(in)
			if err != nil {
				break
			}
			again = r.AppendTo(binary.BigEndian.AppendUint64(again, r.index))
		}
		if !bytes.HasPrefix(rows, again) {
			t.Fatalf("rows %x are written as %x", rows, again)
		}
		table := &daybookv1.CloseTable{Rows: count, Sum: sum, Root: make([]byte, 32)}
		known, err := readRows(z, table)
		if err == nil {
			t.Fatalf("%d rows lead to a root of zeros", len(known))
		}
	})
}

// FuzzStreams: what is taken of a stream is written as the same bytes.
func FuzzStreams(f *testing.F) {
	for _, z := range samplesOf(f) {
		f.Add(z.of(f, nameStreams), uint64(5), uint8(daybookv1.Kind_KIND_ACCESS))
		f.Add(z.of(f, nameStreams), uint64(2), uint8(daybookv1.Kind_KIND_APPROVAL))
	}
	f.Fuzz(func(t *testing.T, b []byte, count uint64, kind uint8) {
		in := holding(map[string][]byte{nameStreams: b}).open(nameStreams)
		for in.left > 0 {
			left := in.left
			s := &stream{kind: daybookv1.Kind(kind), row: knownRow{Row: verify.Row{Count: count}}}
			if err := s.read(in); err != nil {
				return
			}
			again := binary.BigEndian.AppendUint64(nil, s.a)
			again = binary.BigEndian.AppendUint64(again, s.b)
			for _, h := range append(s.tree.Nodes, s.tail...) {
				again = append(again, h[:]...)
			}
			if from := int64(len(b)) - left; !bytes.Equal(again, b[from:int64(len(b))-in.left]) {
				t.Fatalf("a stream of %d entries from byte %d on is written as %x", count, from, again)
			}
			for range 3 {
				_ = s.add(&verify.EntryHead{Position: s.tree.Size}, verify.Hash{}, within)
			}
			if s.tree.Size == s.b {
				_ = s.finish()
			}
		}
	})
}

// FuzzEntries: the entries of all files come in the order of the log, and are
// all bytes of the files.
func FuzzEntries(f *testing.F) {
	for _, z := range samplesOf(f) {
		f.Add(z.of(f, nameGovernance), z.of(f, entriesName(1)), z.of(f, entriesName(2)))
		f.Add(z.of(f, nameGovernance), []byte{0, 0}, []byte{})
	}
	f.Fuzz(func(t *testing.T, governance, one, two []byte) {
		z := holding(map[string][]byte{nameGovernance: governance, entriesName(1): one, entriesName(2): two})
		r := newEntryReader(z)
		got := map[string][]byte{}
		last := map[string]uint64{}
		for first := true; ; first = false {
			e, err := r.next()
			if err != nil {
				return
			}
			if e == nil {
				break
			}
			parsed, err := verify.ParseEntry(e.raw)
			if err != nil || parsed.Place.Index != e.Place.Index || parsed.Head.Producer != e.Head.Producer || !bytes.Equal(parsed.Body, e.Body) {
				t.Fatalf("entry %d of %s is read as another than it is alone: %v", e.Place.Index, e.member, err)
			}
			if before, ok := last[e.member]; !first && ok && e.Place.Index <= before {
				t.Fatalf("entry %d of %s comes after %d", e.Place.Index, e.member, before)
			}
			last[e.member] = e.Place.Index
			got[e.member] = append(binary.BigEndian.AppendUint16(got[e.member], uint16(len(e.raw))), e.raw...)
		}
		if err := r.others.allRead(); err != nil {
			return
		}
		for name := range z.contents {
			if !bytes.Equal(got[name], z.of(t, name)) {
				t.Errorf("%s is read as %x", name, got[name])
			}
		}
	})
}

// FuzzNumbers: hashes come whole, in order, and no more than there are.
func FuzzNumbers(f *testing.F) {
	for _, z := range samplesOf(f) {
		f.Add(z.of(f, nameNumbers), uint64(1), uint64(3))
	}
	f.Add([]byte{1}, uint64(0), ^uint64(0))
	f.Fuzz(func(t *testing.T, b []byte, first, end uint64) {
		if first > end {
			return // the book never asks so
		}
		in := holding(map[string][]byte{nameNumbers: b}).open(nameNumbers)
		var got []byte
		err := readNumbers(in)(nil, first, end, func(h verify.Hash) { got = append(got, h[:]...) })
		if !bytes.HasPrefix(b, got) || (err == nil) != (end-first <= uint64(len(b)/32)) {
			t.Errorf("%d bytes of %d for %d numbers, %v", len(got), len(b), end-first, err)
		}
	})
}

// FuzzHistory: earlier checkpoints that are taken are those of the log.
func FuzzHistory(f *testing.F) {
	policy, err := os.ReadFile("testdata/policy.txt")
	if err != nil {
		f.Fatal(err)
	}
	p, err := verify.ParsePolicy(policy)
	if err != nil {
		f.Fatal(err)
	}
	z := samplesOf(f)["testdata/web-to-prod.zip"]
	last, err := openNote(z, nameCheckpoint, p)
	if err != nil {
		f.Fatal(err)
	}
	type earlier struct {
		note  verify.Checkpoint
		proof []byte
	}
	known := map[uint64]earlier{}
	for _, m := range z.manifest.Files {
		if l, size := lineOf(m.Name); l == lineHistory && m.Name == historyName(size, "note") {
			o, err := openNote(z, m.Name, p)
			if err != nil {
				f.Fatal(err)
			}
			proof := z.of(f, historyName(size, "proof"))
			known[size] = earlier{o.Checkpoint, proof}
			f.Add(size, z.of(f, m.Name), proof)
		}
	}
	if len(known) == 0 {
		f.Fatal("the sample has no earlier checkpoint")
	}
	f.Fuzz(func(t *testing.T, size uint64, note, proof []byte) {
		z := holding(map[string][]byte{historyName(size, "note"): note, historyName(size, "proof"): proof})
		list, err := readHistory(z, p, nil, last)
		if err != nil {
			return
		}
		for _, c := range list {
			if c.Checkpoint != known[c.Size].note {
				t.Errorf("a checkpoint of size %d that the log never signed: %+v", c.Size, c)
			}
		}
	})
}

// FuzzHeld: a checkpoint that agrees with a file is one that the log signed, or, under
// no policy, one of those that the file shows or that a proof leads to.
func FuzzHeld(f *testing.F) {
	policy, err := os.ReadFile("testdata/policy.txt")
	if err != nil {
		f.Fatal(err)
	}
	p, err := verify.ParsePolicy(policy)
	if err != nil {
		f.Fatal(err)
	}
	b, err := os.ReadFile("testdata/web-to-prod.zip")
	if err != nil {
		f.Fatal(err)
	}
	pass, err := checkFile(f.Context(), File{R: bytes.NewReader(b), Size: int64(len(b))}, nil)
	if err != nil {
		f.Fatal(err)
	}
	z := pass.z
	known := map[uint64]verify.Hash{}
	for _, c := range knownCheckpoints(pass.summary) {
		known[c.Size] = c.Root
		f.Add(z.of(f, historyName(c.Size, "note")), z.of(f, historyName(c.Size, "proof")), true)
	}
	f.Add(z.of(f, nameCheckpoint), []byte{}, false)
	f.Fuzz(func(t *testing.T, note, text []byte, trusted bool) {
		h := &Held{Note: note}
		if h.Proof, err = verify.ParseHashes(text); err != nil {
			return
		}
		under := p
		if !trusted {
			under = nil
		}
		if compareHeld(h, under, pass) != nil || !trusted {
			return
		}
		c, err := p.OpenCheckpoint(note)
		if err != nil || known[c.Size] != c.Root {
			t.Errorf("a checkpoint of size %d that the log never signed: %v", c.Size, err)
		}
	})
}

// FuzzZip: whatever opens is, byte for byte, what its members pack to.
func FuzzZip(f *testing.F) {
	for _, name := range []string{"zero", "range", "streams"} {
		b, err := os.ReadFile(filepath.Join("testdata", name+".zip"))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
		f.Add(b[len(b)-200:])
	}
	small, err := Pack("log.example", map[string][]byte{nameQuestion: []byte("{}\n"), nameAnswer: []byte("x")})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(small)
	f.Fuzz(func(t *testing.T, b []byte) {
		z, err := openArchive(t.Context(), bytes.NewReader(b), int64(len(b)))
		if err != nil {
			return
		}
		members := map[string][]byte{}
		for _, m := range z.manifest.Files {
			members[m.Name] = z.of(t, m.Name)
		}
		if again, err := Pack(z.manifest.Origin, members); err != nil || !bytes.Equal(again, b) {
			t.Errorf("it packs to %d other bytes, %v", len(again), err)
		}
	})
}

// FuzzHeaders changes bytes of a small bundle outside of its members' content, and
// its length: none of that opens.
func FuzzHeaders(f *testing.F) {
	whole, err := Pack("log.example", map[string][]byte{nameQuestion: []byte("{}\n"), nameAnswer: []byte("x"), nameCheckpoint: []byte("c")})
	if err != nil {
		f.Fatal(err)
	}
	z, err := openArchive(context.Background(), bytes.NewReader(whole), int64(len(whole)))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(uint(0), []byte("PK\x05\x06"), uint(4))
	f.Add(uint(len(whole)-zipEndLen), []byte("PK\x06\x07"), uint(0))
	f.Add(uint(len(whole)-2), []byte{1, 0, 'x'}, uint(2))
	f.Fuzz(func(t *testing.T, at uint, put []byte, cut uint) {
		from := int(at % uint(len(whole)+1))
		to := min(from+int(cut%64), len(whole))
		for _, c := range z.contents {
			if int64(from) < c.offset+c.size && int64(to) > c.offset {
				return // TestContents and FuzzMember have those
			}
		}
		changed := slices.Concat(whole[:from], put, whole[to:])
		if bytes.Equal(changed, whole) {
			return
		}
		if _, err := openArchive(t.Context(), bytes.NewReader(changed), int64(len(changed))); err == nil {
			t.Errorf("%x for bytes %d to %d opens", put, from, to)
		}
	})
}

// FuzzMemberName: a name that is taken is the one of its line and number.
func FuzzMemberName(f *testing.F) {
	for _, z := range samplesOf(f) {
		for _, m := range z.manifest.Files {
			f.Add(m.Name)
		}
	}
	f.Fuzz(func(t *testing.T, name string) {
		l, number := lineOf(name)
		ok := true
		switch l {
		case 0:
			return
		case lineHistory:
			ok = name == historyName(number, "note") || name == historyName(number, "proof")
		case lineEntries:
			ok = name == entriesName(int(number))
		case lineMaps:
			ok = name == mapName(number)
		case lineTiles:
			ok = filepath.IsLocal(name) && name == filepath.ToSlash(filepath.Clean(name))
		}
		if !ok || (member{Name: name}).before(member{Name: name}) {
			t.Errorf("%q is of line %d, number %d", name, l, number)
		}
	})
}
