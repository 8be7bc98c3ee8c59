package importer

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"strings"

	"golang.org/x/time/rate"

	"github.com/daybook-ledger/daybook/client"
	"github.com/daybook-ledger/daybook/client/mapping"
	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/verify"
)

// defaultBatch is how many records go into one batch.
const defaultBatch = 512

// errChanged says that the second pass read other bytes than the first.
var errChanged = errors.New("the file changed while it was imported: import it again")

// Options say how a file is imported. The zero value is ready for use.
type Options struct {
	// Provenance of the events; unspecified: backfill.
	Provenance daybookv1.Provenance
	// Batch is the most records in one batch, at most 4,096; 0: 512.
	Batch int
	// Rate is the most records per second; 0: as fast as the log takes them.
	Rate float64
	// OnReceipt is told of each checked receipt, in the order of the records,
	// also of those that open and end the run; its error ends the import. nil:
	// nobody is told.
	OnReceipt func(*client.Receipt) error
	// OnProgress is told how many records are in the log; nil: nobody is told.
	OnProgress func(records uint64)
}

// Run imports a file; of one without records nothing is sent. With an error the summary says how far it came: importing
// the file again goes on from there.
func Run(ctx context.Context, c *client.Client, f *File, o Options) (*Summary, error) {
	if o.Provenance == daybookv1.Provenance_PROVENANCE_UNSPECIFIED {
		o.Provenance = daybookv1.Provenance_PROVENANCE_BACKFILL
	}
	if o.Batch == 0 {
		o.Batch = defaultBatch
	}
	if o.Batch < 0 || o.Batch > verify.MaxBatchItems {
		return nil, fmt.Errorf("batch of %d records: 1 to %d are allowed", o.Batch, verify.MaxBatchItems)
	}
	i := &importing{file: f, options: o, limit: rate.NewLimiter(rate.Inf, o.Batch), summary: &Summary{}}
	if o.Rate > 0 {
		i.limit.SetLimit(rate.Limit(o.Rate))
	}
	err := i.all(ctx, c)
	i.summary.finish()
	return i.summary, explain(err)
}

// importing is one import at work. Its summary is owned by the goroutine that
// hands out receipts while the stream is open, but for what is skipped: that is
// owned by the one that reads.
type importing struct {
	file    *File
	options Options
	limit   *rate.Limiter
	run     *client.Run
	// producer is the client's name in the log.
	producer string
	skipped  Summary
	summary  *Summary
	// done is how many records are known to be in the log.
	done uint64
}

// all opens the run, sends what it holds again, sends the rest, and ends it.
func (i *importing) all(ctx context.Context, c *client.Client) error {
	if i.file.Records == 0 {
		return nil
	}
	m := i.file.mapping
	run, err := c.OpenRun(ctx, client.RunOptions{
		ID:         verify.ImportRunID(i.file.Digest, m.Name(), m.Version()),
		Provenance: i.options.Provenance,
		Import: &daybookv1.Import{
			FileSha256: i.file.Digest[:], Mapping: m.Name(), MappingVersion: m.Version(),
			FileName: fileName(i.file.Name), Bytes: i.file.Bytes,
		},
	})
	if err != nil {
		return err
	}
	i.run, i.producer = run, c.Producer()
	state, err := run.State(ctx)
	if err != nil {
		return err
	}
	if err := i.tell(run.Opened()); err != nil {
		return err
	}
	if state.Next > i.file.Records+1 {
		return fmt.Errorf("the log holds %d records of this file, which has %d", state.Next-1, i.file.Records)
	}
	defer func() { i.summary.Skipped, i.summary.reasons = i.skipped.Skipped, i.skipped.reasons }()
	if err := i.send(ctx, state); err != nil {
		return err
	}
	if state.Ended {
		return nil
	}
	receipt, err := run.End(ctx, fmt.Sprintf("the file's %d records were sent", i.file.Records))
	if err != nil {
		return err
	}
	return i.tell(receipt)
}

// send reads the file and sends all its records.
func (i *importing) send(ctx context.Context, state client.RunState) error {
	p, err := i.file.pass()
	if err != nil {
		return err
	}
	if err := i.repeat(ctx, p, state); err != nil {
		return err
	}
	if !state.Ended && state.Next <= i.file.Records {
		if err := i.stream(ctx, p); err != nil {
			return err
		}
	}
	digest, err := p.end()
	if err != nil {
		return err
	}
	if digest != i.file.Digest {
		return errChanged
	}
	return nil
}

// repeat sends the records that the log holds again, for their receipts, and
// compares the running hash, which the end of the run signs.
func (i *importing) repeat(ctx context.Context, p *pass, state client.RunState) error {
	if state.Next == 1 {
		return nil
	}
	first, hash := uint64(1), verify.RunStart(i.producer, i.run.ID())
	for first < state.Next {
		items, err := i.read(ctx, p, min(uint64(i.options.Batch), state.Next-first))
		if err != nil {
			return err
		}
		if len(items) == 0 {
			return errChanged
		}
		for _, part := range parts(items) {
			receipt, err := i.run.Repeat(ctx, first, part...)
			if err != nil {
				return err
			}
			for n := range part {
				hash = verify.RunNext(hash, first+uint64(n), sha256.Sum256(part[n].Body))
			}
			if err := i.receive(receipt); err != nil {
				return err
			}
			first += uint64(len(part))
		}
	}
	if hash != state.Hash {
		return fmt.Errorf("the log says that the records before %d hash to %x, but they hash to %x", state.Next, state.Hash, hash)
	}
	return nil
}

// stream sends the records that follow, several batches in flight.
func (i *importing) stream(ctx context.Context, p *pass) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	options := client.StreamOptions{
		Batch: i.options.Batch,
		OnReceipt: func(r *client.Receipt) {
			if err := i.receive(r); err != nil {
				cancel(err)
			}
		},
	}
	return i.run.Stream(ctx, options, func(ctx context.Context, s *client.Stream) error {
		for {
			items, err := i.read(ctx, p, uint64(i.options.Batch))
			if len(items) == 0 {
				return err
			}
			for _, part := range parts(items) {
				if _, err := s.Submit(ctx, part...); err != nil {
					return err
				}
			}
		}
	})
}

// parts cuts items into parts that are small enough for one batch.
func parts(items []client.Item) [][]client.Item {
	const large = verify.MaxBatchBytes / 2
	var all [][]client.Item
	size, from := 0, 0
	for n := range items {
		// A Declined has no body yet, and at most 2,000 bytes.
		size += max(len(items[n].Body), 2000) + 16
		if n+1 == len(items) || size > large {
			all = append(all, items[from:n+1:n+1])
			size, from = 0, n+1
		}
	}
	return all
}

// read maps the next n records, or those that are left; none and no error at
// the end.
func (i *importing) read(ctx context.Context, p *pass, n uint64) ([]client.Item, error) {
	items := make([]client.Item, 0, n)
	for uint64(len(items)) < n {
		r, err := p.records.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		result, err := i.file.mapping.Map(r)
		var why *mapping.Reason
		switch {
		case errors.As(err, &why):
			i.skipped.skip(r.Number, why)
			items = append(items, client.Declined(i.file.mapping.Decline(r, why)))
		case err != nil:
			return nil, fmt.Errorf("record %d: %w", r.Number, err)
		default:
			items = append(items, client.Event(result.Body))
		}
	}
	if len(items) == 0 {
		return nil, nil
	}
	return items, i.limit.WaitN(ctx, len(items))
}

// receive counts a receipt and hands it on.
func (i *importing) receive(r *client.Receipt) error {
	if err := i.summary.receive(r); err != nil {
		return err
	}
	i.done += uint64(r.Len())
	if i.options.OnProgress != nil {
		i.options.OnProgress(i.done)
	}
	return i.tell(r)
}

func (i *importing) tell(r *client.Receipt) error {
	if i.options.OnReceipt == nil {
		return nil
	}
	return i.options.OnReceipt(r)
}

// explain says of an error what it means for an import.
func explain(err error) error {
	var conflict *client.ConflictError
	var refused *client.RefusedError
	if errors.As(err, &refused) && refused.Number == 0 && refused.Field == "provenance" {
		return fmt.Errorf("this file was imported with another provenance, which is fixed for good: %w", err)
	}
	if errors.As(err, &conflict) {
		return fmt.Errorf("the log holds other bytes for record %d of this file: it was imported by a program that maps it otherwise: %w", conflict.Number, err)
	}
	return err
}

// fileName returns a name of at most 255 bytes that is UTF-8.
func fileName(name string) string {
	name = strings.ToValidUTF8(name, "?")
	if len(name) > 255 {
		name = strings.ToValidUTF8(name[:255], "")
	}
	return name
}

// VerdictWord returns a verdict in lower-case words, such as `approved after`.
func VerdictWord(v daybookv1.Verdict) string {
	return strings.ReplaceAll(strings.ToLower(strings.TrimPrefix(v.String(), "VERDICT_")), "_", " ")
}
