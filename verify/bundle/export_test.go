package bundle

import (
	"bytes"
	"context"
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
	var out bytes.Buffer
	z := newZipWriter(&out)
	for i := range m.Files {
		var err error
		if m.Files[i], err = copyMember(z, m.Files[i].Name, bytes.NewReader(contents[m.Files[i].Name])); err != nil {
			return nil, err
		}
	}
	if _, err := copyMember(z, nameManifest, bytes.NewReader(m.document())); err != nil {
		return nil, err
	}
	err := z.finish()
	return out.Bytes(), err
}
