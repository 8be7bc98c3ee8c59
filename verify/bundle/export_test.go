package bundle

import (
	"bytes"
	"context"
	"io"
	"slices"

	"github.com/daybook-ledger/daybook/verify"
	"github.com/daybook-ledger/daybook/verify/bundle/question"
)

// Fold folds known leaves, by index, and the hashes of the gaps between them.
func Fold(size uint64, known []uint64, leaves []verify.Hash, hashes []byte) (root verify.Hash, rest int, err error) {
	in := bytes.NewReader(hashes)
	f := &fold{hashes: in}
	for i, index := range known {
		if err := f.add(index, leaves[i]); err != nil {
			return root, 0, err
		}
	}
	err = f.skip(size)
	return f.tree.Root(), in.Len(), err
}

// FormatManifest parses and formats a manifest.
func FormatManifest(document []byte) ([]byte, error) {
	m, err := parseManifest(document)
	if err != nil {
		return nil, err
	}
	return m.document(), nil
}

// FormatAnswer parses and formats an answer.
func FormatAnswer(document []byte, q *question.Question) ([]byte, error) {
	a, err := parseAnswer(document, q)
	if err != nil {
		return nil, err
	}
	return a.document(), nil
}

// OpenZip opens the zip alone, and says which bytes are content: from, to.
func OpenZip(b []byte) (contents [][2]int64, err error) {
	z, err := openArchive(context.Background(), bytes.NewReader(b), int64(len(b)))
	if err != nil {
		return nil, err
	}
	for _, c := range z.contents {
		contents = append(contents, [2]int64{c.offset, c.offset + c.size})
	}
	return contents, nil
}

// MemberLine tells whether a name is one of a member, and its line.
func MemberLine(name string) int {
	l, _ := lineOf(name)
	return int(l)
}

// Pack writes the canonical zip of members in the order of the format, with a
// manifest that goes with them: what a forger can do.
func Pack(origin string, contents map[string][]byte) ([]byte, error) {
	m := &manifest{Origin: origin}
	for name := range contents {
		if name != nameManifest {
			m.Files = append(m.Files, member{Name: name})
		}
	}
	slices.SortFunc(m.Files, func(a, b member) int {
		if a.before(b) {
			return -1
		}
		return 1
	})
	return m.pack(func(name string) []byte { return contents[name] })
}

// PackSame is Pack of members in their order, all of the same content.
func PackSame(origin string, names []string, content []byte) ([]byte, error) {
	m := &manifest{Origin: origin}
	for _, name := range names {
		m.Files = append(m.Files, member{Name: name})
	}
	return m.pack(func(string) []byte { return content })
}

func (m *manifest) pack(of func(name string) []byte) ([]byte, error) {
	var out bytes.Buffer
	z := newZipWriter(&out)
	for i := range m.Files {
		var err error
		if m.Files[i], err = copyMember(z, m.Files[i].Name, bytes.NewReader(of(m.Files[i].Name))); err != nil {
			return nil, err
		}
	}
	if _, err := copyMember(z, nameManifest, bytes.NewReader(m.document())); err != nil {
		return nil, err
	}
	err := z.finish()
	return out.Bytes(), err
}

// ZipHeaders are the headers of a member.
func ZipHeaders(name string, crc uint32, size, offset uint64) (local, descriptor, central []byte) {
	m := zipMember{name: name, crc: crc, size: size, offset: offset}
	return m.appendLocal(nil), m.appendDescriptor(nil), m.appendCentral(nil)
}

// ZipEnd is what stands behind the central headers.
func ZipEnd(members, size, offset uint64) []byte { return appendEnd(nil, members, size, offset) }

// FindManifest finds the manifest of a file, of which it reads no more.
func FindManifest(r io.ReaderAt, size int64) ([]byte, error) { return findManifest(r, size) }

// PackZeros writes a zip with a question and members of these sizes, all zeros. Where
// skip is there it writes them, and their sums are not right.
func PackZeros(w io.Writer, origin string, sizes []uint64, skip func(n uint64)) (map[string][]byte, error) {
	members := map[string][]byte{nameQuestion: []byte("question")}
	m := &manifest{Origin: origin, Files: make([]member, 1+len(sizes))}
	z := newZipWriter(w)
	var err error
	if m.Files[0], err = copyMember(z, nameQuestion, bytes.NewReader(members[nameQuestion])); err != nil {
		return nil, err
	}
	for i, size := range sizes {
		if err := z.begin(entriesName(i+1), size); err != nil {
			return nil, err
		}
		if skip != nil {
			skip(size)
			z.written, z.left = z.written+size, 0
		} else if err := writeZeros(z, size); err != nil {
			return nil, err
		}
		if m.Files[1+i], err = z.end(); err != nil {
			return nil, err
		}
	}
	members[nameManifest] = m.document()
	if _, err := copyMember(z, nameManifest, bytes.NewReader(members[nameManifest])); err != nil {
		return nil, err
	}
	return members, z.finish()
}

func writeZeros(w io.Writer, n uint64) error {
	for zeros := make([]byte, 1<<20); n > 0; {
		b := zeros[:min(n, uint64(len(zeros)))]
		if _, err := w.Write(b); err != nil {
			return err
		}
		n -= uint64(len(b))
	}
	return nil
}

// OpenFile is OpenZip of a file; the error alone.
func OpenFile(ctx context.Context, r io.ReaderAt, size int64) error {
	_, err := openArchive(ctx, r, size)
	return err
}

// PlanLog plans a file of a whole log of a size.
func PlanLog(ctx context.Context, size uint64) error {
	p := &Plan{question: &question.Question{Log: true}, opened: verify.Opened{Checkpoint: verify.Checkpoint{Size: size}}}
	return p.splitRange(ctx, 0)
}
