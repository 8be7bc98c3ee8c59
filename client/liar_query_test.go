package client_test

import (
	"context"
	"crypto/sha256"
	"errors"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	apiv1 "github.com/daybook-ledger/daybook/proto/daybook/api/v1"
	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/verify"
)

// admit checks each item as the ledger does and refuses the first bad one with
// a ready Declined.
func admit(r *apiv1.AppendRequest) ([]memItem, error) {
	var items []memItem
	number := r.FirstNumber
	for _, it := range r.Items {
		err := verify.CheckBody(it.Kind, it.Body)
		if err != nil {
			detail := &apiv1.RefusalDetail{Number: number}
			sum := sha256.Sum256(it.Body)
			detail.Declined = &daybookv1.Declined{Number: number, Sha256: sum[:], Reason: err.Error()}
			if field := new(verify.FieldError); errors.As(err, &field) {
				detail.Field, detail.Limit = field.Field, field.Limit
			}
			return nil, refusal(codes.InvalidArgument, "EVENT_REFUSED", detail)
		}
		span := uint64(1)
		if it.Kind == daybookv1.Kind_KIND_GAP {
			var gap daybookv1.Gap
			if err := proto.Unmarshal(it.Body, &gap); err != nil {
				return nil, err
			}
			span = gap.Last - gap.First + 1
		}
		items = append(items, memItem{it.Kind, it.Body, span})
		number += span
	}
	return items, nil
}

// AppendOneOff implements IngestService.
func (l *liar) AppendOneOff(ctx context.Context, r *apiv1.AppendOneOffRequest) (*apiv1.AppendOneOffResponse, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.calls++
	event, err := verify.ParseEvent(r.Event)
	if err != nil {
		return nil, refusal(codes.InvalidArgument, "EVENT_REFUSED", &apiv1.RefusalDetail{Number: 1})
	}
	producer, _ := peerOf(ctx)
	id := verify.OneOffRunID(producer, event.EventID)
	run := l.log.runs[id]
	if run == nil {
		run = &memRun{producer: producer, provenance: 1, epoch: 1, next: 1, at: map[uint64]uint64{}}
		l.log.runs[id] = run
	}
	receipt, _, conflict := l.log.take(run, id, 1, []memItem{{daybookv1.Kind_KIND_ACCESS, r.Event, 1}})
	if conflict != 0 {
		return nil, refusal(codes.AlreadyExists, "NUMBER_CONFLICT", &apiv1.RefusalDetail{Number: conflict})
	}
	if l.after != nil {
		if err := l.after(l.calls); err != nil {
			return nil, err
		}
	}
	m := receipt.message()
	if l.bend != nil {
		l.bend(m)
	}
	return &apiv1.AppendOneOffResponse{Receipt: m}, nil
}

// control is HeartbeatRun and EndRun: it checks what the ledger checks.
func (l *liar) control(method string, id, body []byte, kind daybookv1.Kind, message func(verify.Hash, uint64, uint64) []byte) (*apiv1.Receipt, *memRun, error) {
	l.runCalls++
	run := l.log.runs[verify.Hash(id)]
	if run == nil {
		return nil, nil, refusal(codes.NotFound, "NO_RUN")
	}
	if run.ended {
		return nil, nil, refusal(codes.FailedPrecondition, "RUN_ENDED")
	}
	var m daybookv1.RunEnded // a heartbeat has the same first fields
	if err := (proto.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(body, &m); err != nil {
		return nil, nil, err
	}
	spki, err := verify.CertificateSPKI(run.certificate)
	if err != nil {
		return nil, nil, err
	}
	if m.Last != run.next-1 || verify.Hash(m.Hash) != run.hash || m.Epoch != run.epoch ||
		verify.CheckRunSignature(spki, message(run.hash, m.Last, m.Epoch), m.Signature) != nil {
		return nil, nil, refusal(codes.InvalidArgument, "EVENT_REFUSED", &apiv1.RefusalDetail{Field: "hash"})
	}
	receipt := l.log.control(run, verify.Hash(id), kind, body).message()
	if kind == daybookv1.Kind_KIND_RUN_ENDED {
		run.ended = true
	}
	if l.refuseRun != nil {
		if err := l.refuseRun(method, l.runCalls); err != nil {
			return nil, nil, err
		}
	}
	if l.bend != nil {
		l.bend(receipt)
	}
	return receipt, run, nil
}

// HeartbeatRun implements IngestService.
func (l *liar) HeartbeatRun(_ context.Context, r *apiv1.HeartbeatRunRequest) (*apiv1.HeartbeatRunResponse, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	receipt, _, err := l.control("heartbeat", r.Run, r.Heartbeat, daybookv1.Kind_KIND_RUN_HEARTBEAT, verify.HeartbeatMessage)
	return &apiv1.HeartbeatRunResponse{Receipt: receipt}, err
}

// EndRun implements IngestService.
func (l *liar) EndRun(_ context.Context, r *apiv1.EndRunRequest) (*apiv1.EndRunResponse, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	receipt, _, err := l.control("end", r.Run, r.Ended, daybookv1.Kind_KIND_RUN_ENDED, verify.EndMessage)
	return &apiv1.EndRunResponse{Receipt: receipt}, err
}

// entry answers for one index; mu is held.
func (l *liar) entry(index uint64) (*apiv1.GetEntryResponse, error) {
	size := uint64(len(l.log.entries))
	if index >= size {
		return nil, refusal(codes.NotFound, "NOT_FOUND")
	}
	a := &apiv1.GetEntryResponse{
		Entry: &apiv1.EntryView{Index: index, Entry: l.log.entries[index]},
		Proof: joined(l.log.proof(index, index+1, size)), Checkpoint: l.log.checkpoint(int(size)),
	}
	if l.bendEntry != nil {
		l.bendEntry(a)
	}
	return a, nil
}

// GetEntry implements QueryService.
func (l *liar) GetEntry(_ context.Context, r *apiv1.GetEntryRequest) (*apiv1.GetEntryResponse, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.entry(r.Index)
}

// GetEvent implements QueryService.
func (l *liar) GetEvent(_ context.Context, r *apiv1.GetEventRequest) (*apiv1.GetEventResponse, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	a := &apiv1.GetEventResponse{}
	for i, b := range l.log.entries {
		e, err := verify.ParseEntry(b)
		if err != nil || e.Place.Kind != daybookv1.Kind_KIND_ACCESS {
			continue
		}
		if event, err := verify.ParseEvent(e.Body); err == nil && string(event.EventID) == r.EventId {
			found, err := l.entry(uint64(i))
			if err != nil {
				return nil, err
			}
			a.Entries = append(a.Entries, found)
		}
	}
	return a, nil
}

// ListEntries implements QueryService: all entries, five a page at most.
func (l *liar) ListEntries(_ context.Context, r *apiv1.ListEntriesRequest) (*apiv1.ListEntriesResponse, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	at := len(r.PageToken)
	page := min(int(r.PageSize), 5)
	a := &apiv1.ListEntriesResponse{TreeSize: uint64(len(l.log.entries))}
	for ; at < len(l.log.entries) && len(a.Entries) < page; at++ {
		a.Entries = append(a.Entries, &apiv1.EntryView{Index: uint64(at), Entry: l.log.entries[at]})
	}
	if at < len(l.log.entries) {
		a.NextPageToken = string(make([]byte, at))
	}
	return a, nil
}

// GetCheckpoint implements QueryService.
func (l *liar) GetCheckpoint(_ context.Context, r *apiv1.GetCheckpointRequest) (*apiv1.GetCheckpointResponse, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	size := len(l.log.entries)
	if r.Size > uint64(size) {
		return nil, refusal(codes.NotFound, "NOT_FOUND")
	}
	if r.Size > 0 {
		size = int(r.Size)
	}
	return &apiv1.GetCheckpointResponse{Checkpoint: l.log.checkpoint(size), Size: uint64(size), Time: timestamppb.Now(), Vkey: l.log.vkey}, nil
}

// GetConsistencyProof implements QueryService.
func (l *liar) GetConsistencyProof(_ context.Context, r *apiv1.GetConsistencyProofRequest) (*apiv1.GetConsistencyProofResponse, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if r.Second > uint64(len(l.log.entries)) || r.First > r.Second {
		return nil, status.Error(codes.NotFound, "no such size")
	}
	return &apiv1.GetConsistencyProofResponse{Proof: joined(l.log.consistency(r.First, r.Second)), Checkpoint: l.log.checkpoint(int(r.Second))}, nil
}

// GetReceipts implements QueryService.
func (l *liar) GetReceipts(_ context.Context, r *apiv1.GetReceiptsRequest) (*apiv1.GetReceiptsResponse, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	a := &apiv1.GetReceiptsResponse{}
	size := uint64(len(l.log.entries))
	for _, index := range r.Indexes {
		if index >= size {
			return nil, refusal(codes.NotFound, "NOT_FOUND")
		}
		f := &apiv1.ReceiptFile{Index: index, Entry: l.log.entries[index], Proof: verify.FormatReceipt(verify.Receipt{
			Index: index, Proof: l.log.proof(index, index+1, size), Checkpoint: l.log.checkpoint(int(size)),
		})}
		if l.bendFile != nil {
			l.bendFile(f)
		}
		a.Receipts = append(a.Receipts, f)
	}
	return a, nil
}
