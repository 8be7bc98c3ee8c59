package client

import (
	"errors"
	"fmt"

	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/verify"
)

// sent is what was sent, and what the answer must therefore say.
type sent struct {
	producer   string
	run        verify.Hash
	provenance daybookv1.Provenance // 0: not known
	epoch      uint64               // 0: not known
	first      uint64               // number of the first item; 0: they take none
	items      []Item
}

// checker checks answers. Used by one goroutine at a time: it keeps buffers.
type checker struct {
	memory *memory
	every  int // one answer in so many is checked
	count  int
	entry  []byte
	leaves []verify.Hash
}

// check checks an answer and makes its receipt. The answer's slices are kept.
func (c *checker) check(s *sent, a *wireReceipt) (*Receipt, error) {
	p := &proofs{items: s.items, first: s.first}
	c.count++
	p.checked = c.count%c.every == 0 || c.every == 1
	err := c.fill(p, s, a)
	if err == nil && p.checked {
		err = c.prove(p, s)
	}
	var fork *ForkError
	if errors.As(err, &fork) {
		return nil, err
	}
	if err != nil {
		return nil, &ReceiptError{First: s.first, Checkpoint: a.checkpoint, Err: err}
	}
	return &Receipt{p: p, n: len(s.items)}, nil
}

// fill takes over the answer and compares its shape with what was sent.
func (c *checker) fill(p *proofs, s *sent, a *wireReceipt) error {
	p.note = a.checkpoint
	p.groups = make([]group, len(a.groups))
	at := 0
	for i := range a.groups {
		g := &a.groups[i]
		proof, err := splitHashes(g.proof)
		if err != nil {
			return err
		}
		if len(g.entryHeads) == 0 {
			return errors.New("a group without entries")
		}
		to := &p.groups[i]
		to.from, to.first, to.head, to.places, to.proof, to.repeat = at, g.firstIndex, g.batchHead, g.entryHeads, proof, g.repeat
		at += len(g.entryHeads)
	}
	if at != len(s.items) {
		return fmt.Errorf("%d entries for %d items", at, len(s.items))
	}
	return nil
}

// prove checks heads, hashes, range proofs and the checkpoint.
func (c *checker) prove(p *proofs, s *sent) error {
	checkpoint, err := c.memory.check(p.note)
	if err != nil {
		return err
	}
	p.size, p.root = checkpoint.Size, checkpoint.Root
	number := s.first
	for i := range p.groups {
		g := &p.groups[i]
		if err := s.checkHead(g); err != nil {
			return err
		}
		c.leaves = c.leaves[:0]
		for j, place := range g.places {
			item := &s.items[g.from+j]
			if err := s.checkPlace(place, item, g.first+uint64(j), number); err != nil {
				return err
			}
			if s.first != 0 {
				number += item.span()
			}
			c.entry = verify.AppendEntry(c.entry[:0], g.head, place, item.Body)
			c.leaves = append(c.leaves, verify.HashLeaf(c.entry))
		}
		if err := verify.CheckRange(g.first, checkpoint.Size, c.leaves, g.proof, checkpoint.Root); err != nil {
			return fmt.Errorf("entries %d to %d: %w", g.first, g.first+uint64(len(g.places))-1, err)
		}
	}
	return nil
}

// checkHead compares a batch head with what was sent. A repeat may stand under
// an earlier epoch and an earlier certificate.
func (s *sent) checkHead(g *group) error {
	h, err := verify.ParseBatchHead(g.head)
	switch {
	case err != nil:
		return fmt.Errorf("batch head: %w", err)
	case h.Producer != s.producer:
		return fmt.Errorf("batch head: producer %q, not %q", h.Producer, s.producer)
	case h.Run != s.run:
		return fmt.Errorf("batch head: run %x, not %x", h.Run, s.run)
	case s.provenance != 0 && h.Provenance != s.provenance:
		return fmt.Errorf("batch head: provenance %v, not %v", h.Provenance, s.provenance)
	case s.epoch != 0 && (h.Epoch > s.epoch || h.Epoch < s.epoch && !g.repeat):
		return fmt.Errorf("batch head: epoch %d, not %d", h.Epoch, s.epoch)
	}
	return nil
}

// checkPlace compares an entry head with what was sent.
func (s *sent) checkPlace(place []byte, item *Item, index, number uint64) error {
	h, err := verify.ParseEntryHead(place)
	switch {
	case err != nil:
		return fmt.Errorf("entry head: %w", err)
	case h.Index != index:
		return fmt.Errorf("entry head: index %d, not %d", h.Index, index)
	case h.Number != number:
		return fmt.Errorf("entry head: number %d, not %d", h.Number, number)
	case h.Kind != item.Kind:
		return fmt.Errorf("entry head: kind %v, not %v", h.Kind, item.Kind)
	}
	return nil
}
