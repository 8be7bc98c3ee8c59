package ledger

import "github.com/daybook-ledger/daybook/verify"

// adopt re-reads cohorts that follow one another from disk and re-hashes them, in
// one go.
func (f *follower) adopt(list []*cohort) error {
	var a adoption
	return f.leaves(list[0].first, list[len(list)-1].next.Size, func(index uint64, leaf verify.Hash) error {
		if a.c == nil || index == a.c.next.Size {
			if err := f.replay.closing.before(f.replay, list[0].time); err != nil {
				return err
			}
			a.begin(list[0])
			list = list[1:]
		}
		if err := f.adoptOne(&a, index, leaf); err != nil {
			return err
		}
		if index+1 == a.c.next.Size {
			f.replay.frontier, f.replay.time = a.c.frontier, a.c.time
		}
		return nil
	})
}

// An adoption is how far a cohort has been adopted.
type adoption struct {
	c       *cohort
	appends []placed // the one being adopted first
	entry   verify.Entry
}

func (a *adoption) begin(c *cohort) {
	a.c, a.appends = c, c.appends
	a.entry.Head = a.appends[0].head
}

// adoptOne takes one entry: where its bytes have the hash that was integrated,
// what the sequencer derived of them holds too.
func (f *follower) adoptOne(a *adoption, index uint64, leaf verify.Hash) error {
	i := int(index - a.c.first)
	e := &a.c.entries[i]
	if leaf != e.leaf {
		return &FaultError{index, "what is on disk has another hash than what was committed"}
	}
	if i == a.appends[0].end {
		a.appends = a.appends[1:]
		a.entry.Head = a.appends[0].head
	}
	a.entry.Place, a.entry.Body = e.place, e.body
	f.replay.adoptStream(e)
	if err := f.replay.judge.Apply(index, a.c.time, e.place.Kind, e.body); err != nil {
		return &FaultError{index, err.Error()}
	}
	closing := f.replay.closing
	if one := &a.appends[0]; i+1 == one.end {
		f.replay.adoptRun(one.run)
		if err := f.replay.adoptAlert(one.silent); err != nil {
			return err
		}
		closing.afterRun(f.replay.run, one.run == nil, &a.entry, index)
	}
	if err := closing.afterOne(f.replay.stream, &a.entry, index); err != nil {
		return err
	}
	f.replay.grounds = e.grounds
	if err := f.replay.detecting.take(f.replay, &a.entry, e.event); err != nil {
		return err
	}
	return f.addIndex(index, &a.entry, e.event)
}

// leaves calls fn with the leaf hash of each entry in [lo, hi), from disk.
func (f *follower) leaves(lo, hi uint64, fn func(index uint64, leaf verify.Hash) error) error {
	return scanFrames(f.l.engine, lo, hi, func(first uint64, coded []byte) error {
		f.coded = append(f.coded[:0], coded...) // it is hashed where it lies
		entries, err := f.decoder.DecodeAfter(f.coded)
		if err != nil {
			return &FaultError{first, err.Error()}
		}
		for i, after := range entries {
			if index := first + uint64(i); index >= lo && index < hi {
				if err := fn(index, verify.HashLeafAfter(after)); err != nil {
					return err
				}
			}
		}
		return nil
	})
}
