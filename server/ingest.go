package server

import (
	"context"

	"github.com/daybook-ledger/daybook/ledger"
	apiv1 "github.com/daybook-ledger/daybook/proto/daybook/api/v1"
)

// ingest is the IngestService: each method converts, calls, converts.
type ingest struct {
	apiv1.UnimplementedIngestServiceServer
	log      *ledger.Ledger
	metrics  *Metrics
	streams  *streamLimit
	stopping <-chan struct{} // closed when the server stops
}

// Append implements IngestService.
func (s *ingest) Append(ctx context.Context, r *apiv1.AppendRequest) (*apiv1.AppendResponse, error) {
	batch, err := batchOf(r)
	if err != nil {
		return nil, err
	}
	receipt, err := s.log.Append(ctx, producerOf(ctx), batch)
	s.metrics.appended(receipt, err)
	if err != nil {
		return nil, err
	}
	return &apiv1.AppendResponse{Receipt: receiptOf(receipt)}, nil
}

// AppendOneOff implements IngestService.
func (s *ingest) AppendOneOff(ctx context.Context, r *apiv1.AppendOneOffRequest) (*apiv1.AppendOneOffResponse, error) {
	receipt, err := s.log.AppendOneOff(ctx, producerOf(ctx), ledger.Item{Body: r.GetEvent(), Openings: openingsOf(r.GetOpenings())})
	s.metrics.appended(receipt, err)
	if err != nil {
		return nil, err
	}
	return &apiv1.AppendOneOffResponse{Receipt: receiptOf(receipt)}, nil
}

// OpenRun implements IngestService.
func (s *ingest) OpenRun(ctx context.Context, r *apiv1.OpenRunRequest) (*apiv1.OpenRunResponse, error) {
	if r.GetOpened() == nil {
		return nil, badRequest("opened: missing")
	}
	answer, err := s.log.OpenRun(ctx, producerOf(ctx), r.GetOpened(), r.GetCheckpoint())
	if err != nil {
		return nil, err
	}
	status := s.log.Status()
	return &apiv1.OpenRunResponse{
		State:       runStateOf(answer),
		Receipt:     receiptOf(answer.Receipt),
		Body:        answer.Body,
		Origin:      status.Origin,
		Vkey:        status.VKey,
		Consistency: concat(answer.Consistency),
	}, nil
}

// ResumeRun implements IngestService.
func (s *ingest) ResumeRun(ctx context.Context, r *apiv1.ResumeRunRequest) (*apiv1.ResumeRunResponse, error) {
	run, err := runID(r.GetRun())
	if err != nil {
		return nil, err
	}
	answer, err := s.log.ResumeRun(ctx, producerOf(ctx), run, r.GetCheckpoint())
	if err != nil {
		return nil, err
	}
	return &apiv1.ResumeRunResponse{
		State:       runStateOf(answer),
		Receipt:     receiptOf(answer.Receipt),
		Body:        answer.Body,
		Consistency: concat(answer.Consistency),
	}, nil
}

// HeartbeatRun implements IngestService.
func (s *ingest) HeartbeatRun(ctx context.Context, r *apiv1.HeartbeatRunRequest) (*apiv1.HeartbeatRunResponse, error) {
	run, err := runID(r.GetRun())
	if err != nil {
		return nil, err
	}
	receipt, err := s.log.Heartbeat(ctx, producerOf(ctx), run, r.GetHeartbeat())
	if err != nil {
		return nil, err
	}
	return &apiv1.HeartbeatRunResponse{Receipt: receiptOf(receipt)}, nil
}

// EndRun implements IngestService.
func (s *ingest) EndRun(ctx context.Context, r *apiv1.EndRunRequest) (*apiv1.EndRunResponse, error) {
	run, err := runID(r.GetRun())
	if err != nil {
		return nil, err
	}
	receipt, err := s.log.EndRun(ctx, producerOf(ctx), run, r.GetEnded())
	if err != nil {
		return nil, err
	}
	return &apiv1.EndRunResponse{Receipt: receiptOf(receipt)}, nil
}
