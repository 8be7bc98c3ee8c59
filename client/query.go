package client

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	apiv1 "github.com/daybook-ledger/daybook/proto/daybook/api/v1"
	"github.com/daybook-ledger/daybook/verify"
)

// Entry is one entry that was proven to be in the log.
type Entry struct {
	// Index in the log.
	Index uint64
	// Bytes of the entry, which the leaf hash covers.
	Bytes []byte
	// View is the same for reading, as the server decoded it; the bytes are what
	// is proven.
	View *apiv1.EntryView
	// Proof is the inclusion proof at the checkpoint's size.
	Proof []verify.Hash
	// Checkpoint is the signed note.
	Checkpoint []byte
}

// Files returns the contents of the .tlog-proof and .entry files.
func (e *Entry) Files() (proof, entry []byte) {
	return verify.FormatReceipt(verify.Receipt{Index: e.Index, Proof: e.Proof, Checkpoint: e.Checkpoint}), e.Bytes
}

func (c *Client) queries() apiv1.QueryServiceClient { return apiv1.NewQueryServiceClient(c.query) }

// queryError gives a query's error its words and, where there is one, its type.
func queryError(doing string, err error) error {
	return fmt.Errorf("%s: %w", doing, interpret(err).err)
}

// Entry returns one entry, checked against a checkpoint of the log.
func (c *Client) Entry(ctx context.Context, index uint64) (*Entry, error) {
	a, err := c.queries().GetEntry(ctx, &apiv1.GetEntryRequest{Index: index})
	if err != nil {
		return nil, queryError(fmt.Sprintf("getting entry %d", index), err)
	}
	e, err := c.checkEntry(a)
	if err == nil && e.Index != index {
		err = fmt.Errorf("asked for entry %d, was answered with %d", index, e.Index)
	}
	if err != nil {
		return nil, err
	}
	return e, c.proveNow(ctx)
}

// Event returns every entry whose event has the id, oldest first, each checked
// against a checkpoint. That there are no others rests on the server's word.
func (c *Client) Event(ctx context.Context, id string) ([]*Entry, error) {
	a, err := c.queries().GetEvent(ctx, &apiv1.GetEventRequest{EventId: id})
	if err != nil {
		return nil, queryError("getting event "+id, err)
	}
	var out []*Entry
	for _, entry := range a.Entries {
		e, err := c.checkEntry(entry)
		if err != nil {
			return nil, err
		}
		out = append(out, e)
	}
	return out, c.proveNow(ctx)
}

// checkEntry checks an entry's proof and grammar.
func (c *Client) checkEntry(a *apiv1.GetEntryResponse) (*Entry, error) {
	view := a.GetEntry()
	e := &Entry{Index: view.GetIndex(), Bytes: view.GetEntry(), View: view, Checkpoint: a.Checkpoint}
	fail := func(err error) (*Entry, error) {
		return nil, fmt.Errorf("entry %d is not proven: %w", e.Index, err)
	}
	checkpoint, err := c.memory.check(a.Checkpoint)
	if err != nil {
		return fail(err)
	}
	if e.Proof, err = splitHashes(a.Proof); err != nil {
		return fail(err)
	}
	if err := verify.CheckInclusion(e.Index, checkpoint.Size, verify.HashLeaf(e.Bytes), e.Proof, checkpoint.Root); err != nil {
		return fail(err)
	}
	parsed, err := verify.ParseEntry(e.Bytes)
	if err != nil {
		return fail(err)
	}
	if parsed.Place.Index != e.Index {
		return fail(fmt.Errorf("it says that it is entry %d", parsed.Place.Index))
	}
	return e, nil
}

// List calls visit with the entries that match, page by page, all at one size of
// the tree, until visit says false or limit entries were seen (0: no limit). It
// returns that size. Lists carry no proofs: an entry's bytes are only as good as
// the server until they are fetched by Entry or Receipts.
func (c *Client) List(ctx context.Context, filter *apiv1.ListEntriesRequest, limit int, visit func(*apiv1.EntryView) bool) (uint64, error) {
	seen := 0
	for {
		if left := limit - seen; limit > 0 && (filter.PageSize == 0 || left < int(filter.PageSize)) {
			filter.PageSize = int32(min(left, 1000))
		}
		page, err := c.queries().ListEntries(ctx, filter)
		if err != nil {
			return 0, queryError("listing entries", err)
		}
		for _, e := range page.Entries {
			if seen++; !visit(e) {
				return page.TreeSize, nil
			}
			if seen == limit {
				return page.TreeSize, nil
			}
		}
		if page.NextPageToken == "" {
			return page.TreeSize, nil
		}
		filter.PageToken = page.NextPageToken
	}
}

// Values returns the values that a field has in the log, such as `actor`, and
// that begin with a prefix: suggestions for a list, without proof.
func (c *Client) Values(ctx context.Context, field, prefix string, limit int) (values []string, more bool, err error) {
	r, err := c.queries().ListValues(ctx, &apiv1.ListValuesRequest{Field: field, Prefix: prefix, Limit: int32(min(limit, 1000))})
	if err != nil {
		return nil, false, queryError("listing values", err)
	}
	return r.Values, r.More, nil
}

// ReceiptFile is one receipt as kept on disk; it was checked.
type ReceiptFile struct {
	// Index in the log.
	Index uint64
	// Proof is the content of the .tlog-proof file.
	Proof []byte
	// Entry is the content of the .entry file.
	Entry []byte
}

// maxReceipts is the most indexes of one request.
const maxReceipts = 1000

// Receipts fetches the receipts of indexes and checks each as an auditor would.
func (c *Client) Receipts(ctx context.Context, indexes ...uint64) ([]ReceiptFile, error) {
	var out []ReceiptFile
	for len(indexes) > 0 {
		n := min(len(indexes), maxReceipts)
		a, err := c.queries().GetReceipts(ctx, &apiv1.GetReceiptsRequest{Indexes: indexes[:n]})
		if err != nil {
			return nil, queryError("getting receipts", err)
		}
		if len(a.Receipts) != n {
			return nil, fmt.Errorf("getting receipts: %d answers for %d indexes", len(a.Receipts), n)
		}
		for i, r := range a.Receipts {
			if err := c.checkFile(r, indexes[i]); err != nil {
				return nil, err
			}
			out = append(out, ReceiptFile{Index: r.Index, Proof: r.Proof, Entry: r.Entry})
		}
		indexes = indexes[n:]
	}
	return out, c.proveNow(ctx)
}

func (c *Client) checkFile(r *apiv1.ReceiptFile, index uint64) error {
	if r.Index != index {
		return fmt.Errorf("asked for the receipt of index %d, was answered with %d", index, r.Index)
	}
	parsed, err := verify.ParseReceipt(r.Proof)
	if err == nil {
		_, err = c.memory.check(parsed.Checkpoint) // where the log has another key, it is followed first
	}
	if fork := new(ForkError); errors.As(err, &fork) {
		return err
	}
	if err == nil {
		_, err = verify.CheckReceipt(c.memory.keys.Load().policy, r.Proof, r.Entry)
	}
	if err != nil {
		return fmt.Errorf("the receipt of index %d does not hold: %w", index, err)
	}
	if parsed.Index != index {
		return fmt.Errorf("the receipt of index %d is that of %d", index, parsed.Index)
	}
	return nil
}

// Checkpoint is a checkpoint whose signature was checked.
type Checkpoint struct {
	verify.Checkpoint
	// Note is the signed note.
	Note []byte
	// Time is the log time of the last entry below the size, as the server says.
	Time time.Time
}

// Checkpoint returns the newest checkpoint, or with size > 0 that of any past
// size, and checks that it fits what was seen before.
func (c *Client) Checkpoint(ctx context.Context, size uint64) (*Checkpoint, error) {
	a, err := c.queries().GetCheckpoint(ctx, &apiv1.GetCheckpointRequest{Size: size})
	if err != nil {
		return nil, queryError("getting checkpoint", err)
	}
	s, err := c.memory.check(a.Checkpoint)
	if err != nil {
		return nil, err
	}
	if size != 0 && s.Size != size {
		return nil, fmt.Errorf("asked for the checkpoint of size %d, was answered with %d", size, s.Size)
	}
	if held := c.memory.presented(); size == 0 && s.Size < held.Size {
		return nil, c.shorter(ctx, c.queries(), held, errors.New("the log is smaller than it was"))
	}
	if err := c.proveNow(ctx); err != nil {
		return nil, err
	}
	return &Checkpoint{Checkpoint: s.Checkpoint, Note: bytes.Clone(s.note), Time: a.Time.AsTime()}, nil
}

// Witnessed returns the newest checkpoint that the quorum of the log's own policy
// cosigned; see WaitWitnessed.
func (c *Client) Witnessed(ctx context.Context) (*Checkpoint, error) {
	_, policy, err := c.Policy(ctx)
	if err != nil {
		return nil, err
	}
	a, err := c.queries().GetCheckpoint(ctx, &apiv1.GetCheckpointRequest{Witnessed: true})
	if err != nil {
		return nil, queryError("getting the witnessed checkpoint", err)
	}
	s, err := c.memory.check(a.Checkpoint)
	if err == nil {
		_, err = policy.Open(a.Checkpoint)
	}
	if err != nil {
		return nil, fmt.Errorf("the witnessed checkpoint does not hold: %w", err)
	}
	return &Checkpoint{Checkpoint: s.Checkpoint, Note: bytes.Clone(s.note), Time: a.Time.AsTime()}, nil
}

// Runs calls visit with the runs that match, newest first, page by page, until
// visit says false or limit runs were seen (0: no limit). What they say is the
// server's word; the entries that they name can be fetched with proofs.
func (c *Client) Runs(ctx context.Context, filter *apiv1.ListRunsRequest, limit int, visit func(*apiv1.RunView) bool) error {
	seen := 0
	for {
		if left := limit - seen; limit > 0 && (filter.PageSize == 0 || left < int(filter.PageSize)) {
			filter.PageSize = int32(min(left, 1000))
		}
		page, err := c.queries().ListRuns(ctx, filter)
		if err != nil {
			return queryError("listing runs", err)
		}
		for _, r := range page.Runs {
			if seen++; !visit(r) || seen == limit {
				return nil
			}
		}
		if filter.PageToken = page.NextPageToken; filter.PageToken == "" {
			return nil
		}
	}
}

// FindRun returns how one run stands: run is its id in hex, or the beginning of
// it; producer may be empty. It is the server's word, as Runs'.
func (c *Client) FindRun(ctx context.Context, run, producer string) (*apiv1.RunView, error) {
	a, err := c.queries().GetRun(ctx, &apiv1.GetRunRequest{Run: run, Producer: producer})
	if err != nil {
		return nil, queryError("getting run "+run, err)
	}
	return a.Run, nil
}
