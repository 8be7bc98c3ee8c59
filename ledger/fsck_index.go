package ledger

import (
	"context"
	"sync"

	"github.com/daybook-ledger/daybook/ledger/index"
	"github.com/daybook-ledger/daybook/ledger/store"
)

// indexWorkers bounds how many tables of the index are built at a time, each in
// some 50 MB.
const indexWorkers = 4

// checkIndex compares the search index with the entries, which are sound: several
// tables at a time.
func (c *fsck) checkIndex(ctx context.Context) error {
	if c.openIndex == nil {
		return nil
	}
	x, err := c.openIndex()
	if err != nil {
		return faultIn(store.Index, 0, "%v", err)
	}
	if x == nil || x.Position() == 0 {
		return nil
	}
	p := tablePool{index: x, engine: c.engine, size: min(c.size, x.Position()), jobs: make(chan tableJob), news: make(chan tableNews)}
	return p.run(ctx, min(c.workers, indexWorkers), c.progress)
}

// A tablePool compares tables of the index, several at a time.
type tablePool struct {
	index  *index.Index
	engine store.Engine
	size   uint64
	jobs   chan tableJob
	news   chan tableNews
}

// A tableJob is the range of a table when the jobs were dealt.
type tableJob struct{ first, end uint64 }

// tableNews is what a worker tells: entries that it read, or how a job ended.
type tableNews struct {
	entries uint64
	job     tableJob
	listed  uint64
	err     error
}

// run returns the fault with the lowest index: the jobs are dealt in order, and
// those under way when a fault is found are ended.
func (p *tablePool) run(ctx context.Context, workers int, progress func(done, total uint64)) error {
	deal, stop := context.WithCancel(ctx)
	defer stop()
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() { p.deal(deal) })
	var work sync.WaitGroup
	for range workers {
		work.Go(func() { p.work(ctx) })
	}
	wg.Go(func() { work.Wait(); close(p.news) })
	var fault error
	all, done, bad := indexCheck{index: p.index}, uint64(0), uint64(0)
	for n := range p.news {
		if n.err != nil {
			stop()
			if fault == nil || n.job.first < bad {
				fault, bad = n.err, n.job.first
			}
		}
		all.listed += n.listed
		all.next = max(all.next, n.job.end)
		if done += n.entries; n.entries > 0 && done%fsckProgress == 0 && progress != nil {
			progress(min(done, p.size), p.size)
		}
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if fault != nil {
		return fault
	}
	return all.dictionary(ctx)
}

func (p *tablePool) deal(ctx context.Context) {
	defer close(p.jobs)
	for at := uint64(0); at < p.size; {
		job := tableJob{at, p.index.TableEnd(at)}
		select {
		case p.jobs <- job:
		case <-ctx.Done():
			return
		}
		at = job.end
	}
}

func (p *tablePool) work(ctx context.Context) {
	pace := func(entries uint64) error {
		p.news <- tableNews{entries: entries}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return nil
	}
	for job := range p.jobs {
		k := indexCheck{index: p.index, engine: p.engine, next: job.first, pace: pace}
		err := k.table(ctx, job.end)
		p.news <- tableNews{job: job, listed: k.listed, err: err}
	}
}
