package server

import (
	"context"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/daybook-ledger/daybook/ledger"
	apiv1 "github.com/daybook-ledger/daybook/proto/daybook/api/v1"
	"github.com/daybook-ledger/daybook/server/witness"
	"github.com/daybook-ledger/daybook/verify"
)

const (
	// maxAnswer bounds one answer: gRPC clients take 4 MiB by default.
	maxAnswer = 4<<20 - 256<<10
	// maxIndexes bounds GetReceipts and GetEvent.
	maxIndexes = 1000
)

// query is the QueryService. Every answer has its horizon from one published head.
type query struct {
	apiv1.UnimplementedQueryServiceServer
	log      *ledger.Ledger
	policy   *witness.Policy // nil: the log has no witnesses
	stopping <-chan struct{} // closed when the server stops; nil: it is not waited for
}

// at is a checkpoint that answers lead to; note is nil while the log is shut.
type at struct {
	size uint64
	note []byte
	time int64
}

// horizon returns where an answer leads to: any size up to the newest, or the
// newest for 0, which a shut log has without a signature.
func (s *query) horizon(ctx context.Context, size uint64) (at, error) {
	head := s.log.Head()
	if size == 0 || size == head.Size {
		return at{head.Size, s.log.Note(head), head.TimeNS}, nil
	}
	note, timeNS, err := s.log.CheckpointAt(ctx, size)
	if err != nil {
		return at{}, err
	}
	return at{size, note, timeNS}, nil
}

// signed is horizon for answers that are worth nothing without a signature.
func (s *query) signed(ctx context.Context, size uint64) (at, error) {
	c, err := s.horizon(ctx, size)
	if err == nil && c.note == nil {
		_, reason := s.log.Ready()
		err = &ledger.ShutError{Reason: reason}
	}
	return c, err
}

// GetCheckpoint implements QueryService.
func (s *query) GetCheckpoint(ctx context.Context, r *apiv1.GetCheckpointRequest) (*apiv1.GetCheckpointResponse, error) {
	size := r.GetSize()
	if r.GetWitnessed() {
		w, err := s.witnessed(size)
		if err != nil {
			return nil, err
		}
		size = w.Size
	}
	c, err := s.signed(ctx, size)
	if err != nil {
		return nil, err
	}
	return &apiv1.GetCheckpointResponse{
		Checkpoint:   c.note,
		Size:         c.size,
		Time:         timestamppb.New(time.Unix(0, c.time)),
		Vkey:         s.log.VKey(),
		Policy:       s.policyText(),
		Cosignatures: s.cosignatures(c.note),
	}, nil
}

// GetConsistencyProof implements QueryService.
func (s *query) GetConsistencyProof(ctx context.Context, r *apiv1.GetConsistencyProofRequest) (*apiv1.GetConsistencyProofResponse, error) {
	if r.GetFirst() == 0 {
		return nil, badRequest("first: must be at least 1")
	}
	c, err := s.signed(ctx, r.GetSecond())
	if err != nil {
		return nil, err
	}
	if r.GetFirst() > c.size {
		return nil, badRequest("first: %d is over the newer size, %d", r.GetFirst(), c.size)
	}
	proof, err := s.log.Consistency(ctx, r.GetFirst(), c.size)
	if err != nil {
		return nil, err
	}
	return &apiv1.GetConsistencyProofResponse{Proof: concat(proof), Checkpoint: c.note}, nil
}

// GetEntry implements QueryService.
func (s *query) GetEntry(ctx context.Context, r *apiv1.GetEntryRequest) (*apiv1.GetEntryResponse, error) {
	c, err := s.horizon(ctx, r.GetTreeSize())
	if err != nil {
		return nil, err
	}
	return s.entry(ctx, r.GetIndex(), c)
}

func (s *query) entry(ctx context.Context, index uint64, c at) (*apiv1.GetEntryResponse, error) {
	entry, proof, err := s.proven(ctx, index, c)
	if err != nil {
		return nil, err
	}
	view, err := s.view(index, entry)
	if err != nil {
		return nil, err
	}
	return &apiv1.GetEntryResponse{Entry: view, Proof: concat(proof), Checkpoint: c.note}, nil
}

// proven reads an entry and proves it at a checkpoint.
func (s *query) proven(ctx context.Context, index uint64, c at) ([]byte, []verify.Hash, error) {
	if index >= c.size {
		return nil, nil, &requestError{codes.NotFound, ReasonNotFound,
			"no entry " + decimal(index) + " at tree size " + decimal(c.size)}
	}
	entry, err := s.log.Entry(ctx, index)
	if err == nil {
		err = see(ctx, index, entry)
	}
	if err != nil {
		return nil, nil, err
	}
	proof, err := s.log.Proof(ctx, index, c.size)
	return entry, proof, err
}

// GetEvent implements QueryService.
func (s *query) GetEvent(ctx context.Context, r *apiv1.GetEventRequest) (*apiv1.GetEventResponse, error) {
	id, err := idOf("event_id", r.GetEventId())
	if err != nil {
		return nil, err
	}
	c, err := s.horizon(ctx, 0)
	if err != nil {
		return nil, err
	}
	indexes, err := s.log.EventIndexes(ctx, id, maxIndexes)
	if err != nil {
		return nil, err
	}
	answer := new(apiv1.GetEventResponse)
	bytes := 0
	for _, index := range indexes {
		if index >= c.size {
			break // committed after the checkpoint was taken
		}
		entry, err := s.entry(ctx, index, c)
		if isForbidden(err) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if bytes += 2*len(entry.Entry.Entry) + len(entry.Proof) + len(c.note); bytes > maxAnswer {
			return nil, tooLarge("the event id stands in too many entries for one answer: list them by `event_id` instead")
		}
		answer.Entries = append(answer.Entries, entry)
	}
	if len(answer.Entries) == 0 {
		return nil, &requestError{codes.NotFound, ReasonNotFound, "no event has this id at tree size " + decimal(c.size)}
	}
	return answer, nil
}

// GetReceipts implements QueryService.
func (s *query) GetReceipts(ctx context.Context, r *apiv1.GetReceiptsRequest) (*apiv1.GetReceiptsResponse, error) {
	if n := len(r.GetIndexes()); n == 0 || n > maxIndexes {
		return nil, badRequest("indexes: %d, name 1 to %d", n, maxIndexes)
	}
	c, err := s.signed(ctx, r.GetTreeSize())
	if err != nil {
		return nil, err
	}
	answer := &apiv1.GetReceiptsResponse{Receipts: make([]*apiv1.ReceiptFile, 0, len(r.GetIndexes()))}
	bytes := 0
	for _, index := range r.GetIndexes() {
		entry, proof, err := s.proven(ctx, index, c)
		if err != nil {
			return nil, err
		}
		file := verify.FormatReceipt(verify.Receipt{Index: index, Proof: proof, Checkpoint: c.note})
		if bytes += len(entry) + len(file); bytes > maxAnswer {
			return nil, tooLarge("the receipts are over 3.75 MiB: ask for fewer than %d at once", len(answer.Receipts)+1)
		}
		answer.Receipts = append(answer.Receipts, &apiv1.ReceiptFile{Index: index, Entry: entry, Proof: file})
	}
	return answer, nil
}
