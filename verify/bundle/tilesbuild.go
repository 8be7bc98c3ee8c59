package bundle

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/daybook-ledger/daybook/verify"
)

// splitRange cuts a range into parts; a whole log is one part.
func (p *Plan) splitRange(ctx context.Context, limit int64) error {
	if p.question.Log {
		// Each entry bundle has its tile beside it.
		if p.opened.Size>>tileHeight > maxMembers/2 {
			return ErrTooLarge
		}
		p.ends = []uint64{p.opened.Size}
		return nil
	}
	p.close = nil
	r := p.question.Range
	if r.End > p.opened.Size {
		return fmt.Errorf("the log has %d entries at its newest archived checkpoint: the range [%d, %d) reaches beyond", p.opened.Size, r.First, r.End)
	}
	room := max(limit-weightPart, limit/4)
	var sum int64
	for index := r.First; limit > 0 && index < r.End; index++ {
		if index%1024 == 0 && ctx.Err() != nil {
			return context.Cause(ctx)
		}
		raw, err := p.src.Entry(ctx, index)
		if err != nil {
			return err
		}
		weight := int64(len(raw))*weightFactor + weightFixed
		if sum > 0 && sum+weight > room {
			p.ends = append(p.ends, index)
			sum = 0
		}
		sum += weight
	}
	if p.ends = append(p.ends, r.End); len(p.ends) > maxParts {
		return fmt.Errorf("%d parts, limit %d: give a larger size", len(p.ends), maxParts)
	}
	return nil
}

// tileMembers writes the directory of tiles.
func (b *builder) tileMembers() error {
	if err := b.member(nameTilesCheck, b.note); err != nil {
		return err
	}
	var buf []byte
	for t := range tilesOf(b.answer.First, b.answer.End, b.opened.Size) {
		if b.ctx.Err() != nil {
			return context.Cause(b.ctx)
		}
		buf = buf[:0]
		for i := range uint64(t.Width) {
			if t.Entries {
				raw, err := b.src.Entry(b.ctx, t.N<<tileHeight+i)
				if err != nil {
					return err
				}
				if len(raw) >= 1<<16 {
					return errors.New("an entry is too long")
				}
				buf = append(binary.BigEndian.AppendUint16(buf, uint16(len(raw))), raw...)
				continue
			}
			h, err := b.node(t.Level*tileHeight, t.N<<tileHeight+i)
			if err != nil {
				return err
			}
			buf = append(buf, h[:]...)
		}
		if err := b.member(tilesPrefix+verify.FormatTilePath(t), buf); err != nil {
			return err
		}
	}
	return nil
}
