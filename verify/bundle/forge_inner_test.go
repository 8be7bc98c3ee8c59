package bundle

import (
	"bytes"
	"context"
	"errors"
	"io"
	"slices"

	"github.com/daybook-ledger/daybook/verify"
	"github.com/daybook-ledger/daybook/verify/bundle/question"
)

// A StreamWindow says which positions of a selected stream are known.
type StreamWindow struct {
	Row  uint64 // index in the table
	Key  verify.StreamKey
	A, B uint64
}

// kept is a sink that keeps what it is given.
type kept map[string]*bytes.Buffer

type keptFile struct{ *bytes.Buffer }

func (keptFile) Close() error { return nil }

// Create keeps a member.
func (k kept) Create(name string) (io.WriteCloser, error) {
	k[name] = &bytes.Buffer{}
	return keptFile{k[name]}, nil
}

// Derive makes the derived members from the others, as an exporter does, and says
// which streams are known where.
func Derive(origin string, members map[string][]byte) (map[string][]byte, []StreamWindow, error) {
	z := &archive{manifest: &manifest{Format: formatBundle, Origin: origin}, contents: map[string]content{}}
	for name, b := range members {
		if l, _ := lineOf(name); l == 0 || l.derived() || len(b) == 0 {
			continue
		}
		z.manifest.Files = append(z.manifest.Files, member{Name: name, Size: uint64(len(b))})
		z.contents[name] = content{bytes.NewReader(b), 0, int64(len(b))}
	}
	sortMembers(z.manifest.Files)
	sink := kept{}
	p, err := examine(context.Background(), z, sink, nil, nil)
	out := map[string][]byte{}
	for name, b := range sink {
		out[name] = b.Bytes()
	}
	var windows []StreamWindow
	for _, s := range p.order {
		windows = append(windows, StreamWindow{s.row.index, s.key, s.a, s.b})
	}
	return out, windows, err
}

// sortMembers puts members into the order of a manifest.
func sortMembers(files []member) {
	slices.SortFunc(files, func(a, b member) int {
		if a.before(b) {
			return -1
		}
		return 1
	})
}

// SortNames puts names of members into the order of a manifest.
func SortNames(names []string) {
	slices.SortStableFunc(names, func(a, b string) int {
		switch {
		case (member{Name: a}).before(member{Name: b}):
			return -1
		case (member{Name: b}).before(member{Name: a}):
			return 1
		}
		return 0
	})
}

// IsDerived tells whether a member is made from others.
func IsDerived(name string) bool {
	l, _ := lineOf(name)
	return l.derived()
}

// BuildAnyway is Build by somebody who does not care that the log fails its own
// check: what is derived is there as far as the check came.
func BuildAnyway(ctx context.Context, src Source, q *question.Question, spool Spool, w io.Writer) (err error) {
	p, err := Prepare(ctx, src, q, 0)
	if err != nil {
		return err
	}
	b := &builder{Plan: p, ctx: ctx, part: 1, temps: temps{spool: spool}}
	defer func() { err = errors.Join(err, b.temps.close()) }()
	if err := b.prove(); err != nil {
		return err
	}
	if _, err := b.derive(); err == nil {
		return errors.New("the log passes its own check")
	}
	return b.write(w, &Built{})
}
