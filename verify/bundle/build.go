package bundle

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"

	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/verify"
	"github.com/daybook-ledger/daybook/verify/bundle/question"
	"github.com/daybook-ledger/daybook/verify/bundle/report"
)

// Built says what was built.
type Built struct {
	Size     int64             // bytes of the file
	Manifest verify.Hash       // SHA-256 of manifest.json: names the bundle
	Cut      uint64            // the answer is complete below it
	Summary  *report.Summary   // under the log's own policy
	Opened   verify.Checkpoint // of which checkpoint it is
}

// Build writes the answer to a question in one part. The same question and
// checkpoint give the same bytes.
func Build(ctx context.Context, src Source, q *question.Question, spool Spool, w io.Writer) (*Built, error) {
	p, err := Prepare(ctx, src, q, 0)
	if err != nil {
		return nil, err
	}
	return p.Build(ctx, 1, spool, w)
}

// Build writes a part, from 1. Everything is spooled before the first byte is
// written: an error of the source or the spool leaves w untouched.
func (p *Plan) Build(ctx context.Context, part int, spool Spool, w io.Writer) (built *Built, err error) {
	if part < 1 || part > len(p.ends) {
		return nil, fmt.Errorf("no part %d of %d", part, len(p.ends))
	}
	b := &builder{Plan: p, ctx: ctx, part: part, temps: temps{spool: spool}}
	defer func() { err = errors.Join(err, b.temps.close()) }()
	if err := b.prove(); err != nil {
		return nil, err
	}
	pass, err := b.derive()
	if err != nil {
		return nil, err
	}
	built = &Built{Summary: pass.summary, Opened: p.opened.Checkpoint, Cut: pass.head.Cut}
	return built, b.write(w, built)
}

// A builder builds one part.
type builder struct {
	*Plan
	ctx    context.Context
	part   int
	temps  temps
	window window
	answer *answer
	rows   []knownRow
	chosen []*stream // selected
}

// prove writes the members that are no function of others.
func (b *builder) prove() error {
	b.answer = &answer{Origin: b.opened.Origin, Size: b.opened.Size, Part: b.part, Parts: len(b.ends)}
	if b.close != nil {
		b.answer.Close, b.answer.Cut = &b.closeIndex, &b.close.Cut
	}
	b.answer.First, b.answer.End = b.index(b.part)
	if b.question.Tiles() {
		return errors.Join(b.small(), b.tileMembers())
	}
	first, end := max(b.answer.First, b.lo), min(b.answer.End, b.hi)
	b.window = window{first: first, end: max(first, end)}
	if err := b.findRuns(); err != nil {
		return err
	}
	s := newScope(b.question, b.versions, b.answer.Domains)
	var err error
	if b.rows, err = findRows(b.ctx, b.src, b.close.Streams.Rows, s); err != nil {
		return err
	}
	for _, r := range b.rows {
		if s.selects(verify.StreamKey(r.Key)) {
			st, err := b.positions(newStream(s, r))
			if err != nil {
				return err
			}
			b.chosen = append(b.chosen, st)
		}
	}
	if err := b.narrow(); err != nil {
		return err
	}
	for _, step := range []func() error{b.small, b.history, b.table, b.known} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// positions sets which positions of a stream are known.
func (b *builder) positions(st *stream) (*stream, error) {
	st.a, st.b = 0, st.row.Count
	if isGoverned(st.kind) {
		return st, nil
	}
	first, end := b.window.first, b.window.end
	if st.about {
		first, end = b.window.runsFirst, b.window.runsEnd
		if st.kind == daybookv1.Kind_KIND_RUN_OPENED || st.kind == daybookv1.Kind_KIND_RUN_RESUMED {
			first = 0
		}
	}
	a, err := b.src.PositionFrom(b.ctx, st.key, first)
	if err != nil {
		return nil, err
	}
	z, err := b.src.PositionFrom(b.ctx, st.key, end)
	if err != nil {
		return nil, err
	}
	st.a, st.b = max(a, 1)-1, min(z+1, st.row.Count)
	return st, nil
}

// narrow makes the window of runs as small as its known entries and those of the
// window are: there is one way to say it.
func (b *builder) narrow() error {
	w := &b.window
	if len(b.answer.Domains) == 0 {
		return nil
	}
	lowest, highest := uint64(verify.MaxSize), uint64(0)
	for _, st := range b.chosen {
		first, end := w.first, w.end
		if st.about {
			first, end = w.runsFirst, w.runsEnd
		}
		lo, err := b.src.PositionFrom(b.ctx, st.key, first)
		if err != nil {
			return err
		}
		hi, err := b.src.PositionFrom(b.ctx, st.key, end)
		if err != nil {
			return err
		}
		if lo == hi {
			continue
		}
		from, err := b.src.IndexAt(b.ctx, st.key, lo)
		if err != nil {
			return err
		}
		to, err := b.src.IndexAt(b.ctx, st.key, hi-1)
		if err != nil {
			return err
		}
		lowest, highest = min(lowest, from), max(highest, to+1)
	}
	w.runsFirst, w.runsEnd = lowest, highest
	return nil
}

// member writes a member from memory, unless it is empty.
func (b *builder) member(name string, content []byte) error {
	if len(content) == 0 {
		return nil
	}
	w, err := b.temps.Create(name)
	if err != nil {
		return err
	}
	if _, err := w.Write(content); err != nil {
		return err
	}
	return w.Close()
}

// small writes the members that say which answer it is.
func (b *builder) small() error {
	return errors.Join(b.member(nameQuestion, b.question.Document()), b.member(nameAnswer, b.answer.document()),
		b.member(namePolicy, b.policy), b.member(nameCheckpoint, b.note))
}

func (b *builder) node(level uint, index uint64) (verify.Hash, error) {
	return b.src.Node(b.ctx, level, index)
}

// table writes the rows, their table's hashes, and the streams' hashes.
func (b *builder) table() error {
	var rows, hashes, streams []byte
	next := uint64(0)
	nodes := func(level uint, index uint64) (verify.Hash, error) { return b.src.RowNode(b.ctx, level, index) }
	var err error
	for _, r := range b.rows {
		if hashes, err = GapHashes(hashes, next, r.index, nodes); err != nil {
			return err
		}
		next = r.index + 1
		rows = r.AppendTo(binary.BigEndian.AppendUint64(rows, r.index))
	}
	if hashes, err = GapHashes(hashes, next, b.close.Streams.Rows, nodes); err != nil {
		return err
	}
	for _, st := range b.chosen {
		streams, err = st.write(streams, func(level uint, index uint64) (verify.Hash, error) {
			return b.src.StreamNode(b.ctx, st.key, level, index)
		})
		if err != nil {
			return fmt.Errorf("stream %x: %w", st.key, err)
		}
	}
	return errors.Join(b.member(nameRows, rows), b.member(nameRowHashes, hashes), b.member(nameStreams, streams))
}

// known writes the known entries and the hashes of the gaps between them.
func (b *builder) known() error {
	m := &merge{ctx: b.ctx, src: b.src}
	for _, st := range b.chosen {
		if err := m.add(st.key, st.a, st.b); err != nil {
			return err
		}
	}
	out, err := newEntryWriter(b)
	if err != nil {
		return err
	}
	governed := b.governed
	for {
		index, ok, err := m.next()
		if err != nil {
			return err
		}
		if !ok {
			break
		}
		isGoverned := len(governed) > 0 && governed[0] == index
		if isGoverned {
			governed = governed[1:]
		}
		raw, err := b.src.Entry(b.ctx, index)
		if err != nil {
			return err
		}
		if err := out.entry(index, raw, isGoverned); err != nil {
			return err
		}
	}
	if err := out.gap(b.close.Cut); err != nil {
		return err
	}
	if err := out.entry(b.closeIndex, b.closeEntry, true); err != nil {
		return err
	}
	if err := out.gap(b.opened.Size); err != nil {
		return err
	}
	return out.close()
}

// derive runs the verifier's pass over what was proved, which makes the rest.
func (b *builder) derive() (*pass, error) {
	z := &archive{manifest: &manifest{Format: formatBundle, Origin: b.opened.Origin}, contents: map[string]content{}}
	b.list(z)
	numbers, err := b.temps.Create(nameNumbers)
	if err != nil {
		return nil, err
	}
	pass, err := examine(b.ctx, z, &b.temps, func(r *run, first, end uint64, take func(verify.Hash)) error {
		return b.src.Numbers(b.ctx, r.Producer, r.hash, first, end, func(h verify.Hash) error {
			take(h)
			_, err := numbers.Write(h[:])
			return err
		})
	}, nil)
	if err != nil {
		return nil, fmt.Errorf("the log does not pass its own check: %w", err)
	}
	return pass, numbers.Close()
}

// list lists the members that are written so far.
func (b *builder) list(z *archive) {
	z.manifest.Files = z.manifest.Files[:0]
	for _, m := range b.temps.members {
		if m.size > 0 {
			z.manifest.Files = append(z.manifest.Files, member{Name: m.name, Size: uint64(m.size)})
			z.contents[m.name] = m.content
		}
	}
	slices.SortFunc(z.manifest.Files, func(a, b member) int {
		if a.before(b) {
			return -1
		}
		return 1
	})
}

// write writes the zip.
func (b *builder) write(w io.Writer, built *Built) error {
	z := &archive{manifest: &manifest{Format: formatBundle, Origin: b.opened.Origin}, contents: map[string]content{}}
	b.list(z)
	out := newZipWriter(w)
	files := z.manifest.Files
	for i := range files {
		if b.ctx.Err() != nil {
			return context.Cause(b.ctx)
		}
		c := z.contents[files[i].Name]
		m, err := copyMember(out, files[i].Name, io.NewSectionReader(c.r, c.offset, c.size))
		if err != nil {
			return err
		}
		files[i] = m
	}
	m, err := copyMember(out, nameManifest, bytes.NewReader(z.manifest.document()))
	if err != nil {
		return err
	}
	if err := out.finish(); err != nil {
		return err
	}
	sum, err := hex.DecodeString(m.SHA256)
	if err != nil {
		return err
	}
	built.Size, built.Manifest = int64(out.written), verify.Hash(sum)
	return nil
}

func copyMember(out *zipWriter, name string, r interface {
	io.Reader
	Size() int64
}) (member, error) {
	if err := out.begin(name, uint64(r.Size())); err != nil {
		return member{}, err
	}
	if _, err := io.CopyBuffer(struct{ io.Writer }{out}, struct{ io.Reader }{r}, make([]byte, 256<<10)); err != nil {
		return member{}, fmt.Errorf("member %s: %w", name, err)
	}
	return out.end()
}
