package server

import (
	"context"
	"strconv"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/daybook-ledger/daybook/ledger"
	apiv1 "github.com/daybook-ledger/daybook/proto/daybook/api/v1"
	"github.com/daybook-ledger/daybook/server/witness"
)

// admin is the AdminService.
type admin struct {
	apiv1.UnimplementedAdminServiceServer
	log       *ledger.Ledger
	witnesses *witness.Witnesses // nil: there are none
	version   string
	now       func() time.Time
	stopping  <-chan struct{} // closed when the server stops
	ballast   func() int64    // nil: there is none
	fsck      sync.Mutex      // held by the one check that runs
}

// GetStatus implements AdminService.
func (s *admin) GetStatus(context.Context, *apiv1.GetStatusRequest) (*apiv1.GetStatusResponse, error) {
	st := s.log.Status()
	_, notReady := s.log.Ready()
	answer := &apiv1.GetStatusResponse{
		Origin:      st.Origin,
		Size:        st.Head.Size,
		Root:        st.Head.Root[:],
		HeadTime:    timestamppb.New(time.Unix(0, st.Head.TimeNS)),
		Term:        st.Head.Term,
		Shut:        st.Shut,
		FollowerLag: st.FollowerLag,
		Streams:     uint64(st.Streams),
		Runs:        uint64(st.Runs),
		DiskBytes:   st.DiskBytes,
		Version:     s.version,
		QueueBytes:  uint64(st.QueueBytes),

		CloseIndex:    st.CloseIndex,
		ClosesOverdue: uint64(st.ClosesOverdue),
		Verification:  verification(st.Verification),
		NotReady:      notReady,
		Checkpoint:    st.Head.Checkpoint,
		Disk:          s.disk(st.Disk),
		Witnesses:     s.witnessed(st.Head.Size),
	}
	for _, k := range s.log.Keys().Signing() {
		answer.Vkeys = append(answer.Vkeys, k.VKey)
	}
	if st.CloseIndex != 0 {
		answer.CloseEnd = timestamppb.New(time.Unix(0, st.CloseEndNS))
	}
	return answer, nil
}

// progressEvery is how often a check says how far it is.
const progressEvery = 200 * time.Millisecond

// errFsckRuns: a check takes all cores; two would only be slower.
var errFsckRuns = &requestError{codes.ResourceExhausted, ReasonBusy, "a check of this log is running: wait for it"}

// Fsck implements AdminService. A server that stops gives the check up.
func (s *admin) Fsck(_ *apiv1.FsckRequest, stream grpc.ServerStreamingServer[apiv1.FsckResponse]) error {
	if !s.fsck.TryLock() {
		return errFsckRuns
	}
	defer s.fsck.Unlock()
	ctx, cancel := context.WithCancelCause(stream.Context())
	defer cancel(nil)
	var sent time.Time
	result, err := s.log.Fsck(ctx, func(done, total uint64) {
		select {
		case <-s.stopping:
			cancel(errStopping)
		default:
		}
		if time.Since(sent) < progressEvery {
			return
		}
		sent = time.Now()
		if err := stream.Send(&apiv1.FsckResponse{Entries: done, Total: total}); err != nil {
			cancel(err) // nobody listens
		}
	})
	if err != nil {
		return err
	}
	answer := &apiv1.FsckResponse{Entries: result.Entries, Total: result.Entries, Done: true, Ok: result.OK}
	if !result.OK {
		answer.FirstBadIndex, answer.Reason = result.FirstBadIndex, result.Reason
	}
	return stream.Send(answer)
}

func decimal(n uint64) string { return strconv.FormatUint(n, 10) }
