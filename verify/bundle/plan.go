package bundle

import (
	"context"
	"errors"
	"fmt"
	"strings"

	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/verify"
	"github.com/daybook-ledger/daybook/verify/bundle/question"
	"github.com/daybook-ledger/daybook/verify/domains"
)

// ErrNoClose says that a log has no close below its checkpoint, so that no stream
// can be shown to be whole: close it, and wait for a checkpoint.
var ErrNoClose = errors.New("the log has no close below its newest archived checkpoint: close it first")

// ErrTooLarge says that an answer does not fit a file, or the parts it may have.
var ErrTooLarge = fmt.Errorf("the file would have more than %d bytes or %d members: split it, or ask for less", uint64(maxFile), maxMembers)

// A Plan is what is the same in all parts of a bundle. It is not safe for
// concurrent use.
type Plan struct {
	src      Source
	question *question.Question
	note     []byte
	opened   verify.Opened
	policy   []byte
	signers  *verify.Policy

	close      *daybookv1.Close // nil: none
	closeIndex uint64
	closeEntry []byte
	governed   []uint64 // indexes below the cut of entries of the governed kinds, ascending
	rotations  []uint64 // those of them that are key rotations
	keys       *verify.KeyChain
	versions   []*domains.Version
	lo, hi     uint64   // the window in indexes
	ends       []uint64 // of the parts' index windows
}

// Prepare plans the answer to a question from a source. Parts have at most limit
// bytes, as far as that can be told before; 0: one part. The source must not be
// used otherwise until the last part is built. The error may be ErrNoClose.
func Prepare(ctx context.Context, src Source, q *question.Question, limit int64) (*Plan, error) {
	if err := q.Check(); err != nil {
		return nil, fmt.Errorf("question: %w", err)
	}
	p := &Plan{src: src, question: q}
	if err := p.checkpoint(ctx); err != nil {
		return nil, err
	}
	if err := p.closing(ctx); err != nil {
		return nil, err
	}
	if q.Tiles() {
		return p, p.splitRange(ctx, limit)
	}
	if err := p.govern(ctx); err != nil {
		return nil, err
	}
	lo, hi := q.Logged()
	var err error
	if p.lo, err = src.FirstAt(ctx, lo); err != nil {
		return nil, err
	}
	if p.hi, err = src.FirstAt(ctx, hi); err != nil {
		return nil, err
	}
	p.lo, p.hi = min(p.lo, p.close.Cut), min(p.hi, p.close.Cut)
	return p, p.split(ctx, limit)
}

// Parts is how many parts the bundle has.
func (p *Plan) Parts() int { return len(p.ends) }

// Checkpoint returns the checkpoint that the bundle is of.
func (p *Plan) Checkpoint() verify.Checkpoint { return p.opened.Checkpoint }

func (p *Plan) checkpoint(ctx context.Context) error {
	var err error
	if p.note, err = p.src.Checkpoint(ctx); err != nil {
		return fmt.Errorf("checkpoint: %w", err)
	}
	if p.policy, err = p.src.Policy(ctx); err != nil {
		return fmt.Errorf("policy: %w", err)
	}
	if p.signers, err = verify.ParsePolicy(p.policy); err != nil {
		return err
	}
	if p.opened, err = p.signers.Open(p.note); err != nil {
		return fmt.Errorf("the checkpoint under the log's own policy: %w", err)
	}
	if p.opened.Size == 0 {
		return errors.New("the log is empty")
	}
	return nil
}

func (p *Plan) closing(ctx context.Context) error {
	index, ok, err := p.src.Close(ctx)
	if err != nil {
		return fmt.Errorf("newest close: %w", err)
	}
	if !ok {
		if p.question.Tiles() {
			return nil
		}
		return ErrNoClose
	}
	if p.closeEntry, err = p.src.Entry(ctx, index); err != nil {
		return err
	}
	e, err := verify.ParseEntry(p.closeEntry)
	if err != nil {
		return err
	}
	p.closeIndex = index
	p.close, err = verify.CheckCloseEntry(&e)
	return err
}

// govern finds the entries of the governed kinds and reads them.
func (p *Plan) govern(ctx context.Context) error {
	merge := &merge{ctx: ctx, src: p.src}
	for _, kind := range governed {
		rows, err := interval(ctx, p.src, p.close.Streams.Rows, []byte{byte(kind)})
		if err != nil {
			return err
		}
		for _, r := range rows {
			if r.Key[0] == byte(kind) {
				if err := merge.add(verify.StreamKey(r.Key), 0, r.Count); err != nil {
					return err
				}
			}
		}
	}
	var judge domains.Judge
	for {
		index, ok, err := merge.next()
		if err != nil {
			return err
		}
		if !ok {
			p.keys = judge.Keys()
			return nil
		}
		e, err := p.entry(ctx, index)
		if err != nil {
			return err
		}
		if err := judge.Apply(index, e.Head.LogTimeNS, e.Place.Kind, e.Body); err != nil {
			return fmt.Errorf("entry %d: %w", index, err)
		}
		p.versions = noteVersion(p.versions, &judge)
		p.governed = append(p.governed, index)
		if e.Place.Kind == daybookv1.Kind_KIND_KEY_ROTATION {
			p.rotations = append(p.rotations, index)
		}
	}
}

// noteVersion adds the version that a judge has in force to those before it.
func noteVersion(versions []*domains.Version, judge *domains.Judge) []*domains.Version {
	if v := judge.InForce(); v != nil && (len(versions) == 0 || versions[len(versions)-1] != v) {
		versions = append(versions, v)
	}
	return versions
}

// asked returns the streams that the question asks for.
func (p *Plan) asked(ctx context.Context) ([]knownRow, error) {
	s := newScope(p.question, p.versions, nil)
	var out []knownRow
	for _, prefix := range s.askedPrefixes() {
		rows, err := interval(ctx, p.src, p.close.Streams.Rows, prefix)
		if err != nil {
			return nil, err
		}
		for _, r := range rows {
			kind, source, target, _, _, err := verify.ParseStreamKey(r.Key)
			if err == nil && strings.HasPrefix(string(r.Key), string(prefix)) && s.asked(verify.StreamKey(r.Key), kind, source, target) {
				out = append(out, r)
			}
		}
	}
	return out, nil
}

// each calls fn for each entry of the asked streams with an index in [first, end),
// in the order of the log.
func (p *Plan) each(ctx context.Context, first, end uint64, fn func(e *verify.Entry) error) error {
	rows, err := p.asked(ctx)
	if err != nil {
		return err
	}
	m := &merge{ctx: ctx, src: p.src}
	for _, r := range rows {
		key := verify.StreamKey(r.Key)
		a, err := p.src.PositionFrom(ctx, key, first)
		if err != nil {
			return err
		}
		b, err := p.src.PositionFrom(ctx, key, end)
		if err != nil {
			return err
		}
		if err := m.add(key, a, b); err != nil {
			return err
		}
	}
	for {
		index, ok, err := m.next()
		if err != nil || !ok {
			return err
		}
		e, err := p.entry(ctx, index)
		if err != nil {
			return err
		}
		if err := fn(e); err != nil {
			return err
		}
	}
}

func (p *Plan) entry(ctx context.Context, index uint64) (*verify.Entry, error) {
	raw, err := p.src.Entry(ctx, index)
	if err != nil {
		return nil, err
	}
	e, err := verify.ParseEntry(raw)
	if err != nil {
		return nil, fmt.Errorf("entry %d: %w", index, err)
	}
	return &e, nil
}

// Sizes that a split reckons with, in bytes.
const (
	// weightOf an answer: its entry, the hashes beside it, its lines of CSV and JSON.
	weightFactor = 6
	weightFixed  = 1800
	// weightPart is what every part has.
	weightPart = 1 << 20
)

// split cuts the window into parts.
func (p *Plan) split(ctx context.Context, limit int64) error {
	p.ends = nil
	if limit > 0 {
		room := limit - weightPart
		for _, v := range p.versions {
			room -= int64(len(v.Document().Yaml)) * 3
		}
		room = max(room, limit/4)
		var sum int64
		err := p.each(ctx, p.lo, p.hi, func(e *verify.Entry) error {
			weight := int64(len(e.HeadBytes)+len(e.PlaceBytes)+len(e.Body))*weightFactor + weightFixed
			if sum > 0 && sum+weight > room {
				p.ends = append(p.ends, e.Place.Index)
				sum = 0
			}
			sum += weight
			return nil
		})
		if err != nil {
			return err
		}
	}
	if len(p.ends)+1 > maxParts {
		return fmt.Errorf("%d parts, limit %d: give a larger size", len(p.ends)+1, maxParts)
	}
	p.ends = append(p.ends, p.close.Cut)
	return nil
}

// index returns the index window of a part.
func (p *Plan) index(part int) (first, end uint64) {
	if part > 1 {
		first = p.ends[part-2]
	} else if p.question.Range != nil {
		first = p.question.Range.First
	}
	return first, p.ends[part-1]
}
