package server

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"

	"github.com/daybook-ledger/daybook/ledger"
	apiv1 "github.com/daybook-ledger/daybook/proto/daybook/api/v1"
	"github.com/daybook-ledger/daybook/server/spool"
	"github.com/daybook-ledger/daybook/server/witness"
	"github.com/daybook-ledger/daybook/verify/bundle/question"
)

const (
	// exportsAtOnce is how many examination files are made and sent at once.
	exportsAtOnce = 2
	// exportChunk is how many bytes one message of an export carries.
	exportChunk = 256 << 10
	// exportStall is how long a client may leave a message untaken.
	exportStall = 2 * time.Minute
	// maxQuestion bounds the text of a question.
	maxQuestion = 64 << 10
	// Bounds of a part. A file that is not split may have more: a whole log.
	leastSplit = 1_000_000
	mostSplit  = 4<<30 - 1
)

// exporter is the ExportService. A file is made whole in the spool, the digest of
// its manifest becomes an entry of the log, and only then is it sent.
type exporter struct {
	apiv1.UnimplementedExportServiceServer
	log       *ledger.Ledger
	witnessed *witness.Policy // nil: the log has no witnesses
	spool     *spool.Spool    // nil: no files are made here
	journal   *journal
	listener  string // that it is called on
	stopping  <-chan struct{}
	patience  time.Duration // for witnesses
	stall     time.Duration
	running   *sync.WaitGroup // exports that outlive their calls by a moment
}

// exporter returns the service for one listener.
func (s *Server) exporter(listener string) *exporter {
	e := &exporter{log: s.o.Log, spool: s.spool, journal: s.journal, listener: listener, stopping: s.stopping, patience: s.o.ExportWitnessWait, stall: s.o.ExportStall, running: &s.exports}
	if s.o.Witnesses != nil {
		e.witnessed = s.o.Witnesses.Policy()
	}
	return e
}

// openSpool empties the folder of examination files. A crash may have left some
// there: who asked for them asks again.
func (s *Server) openSpool() (err error) {
	if s.o.Spool != "" {
		s.spool, err = spool.Open(s.o.Spool, exportsAtOnce, s.o.Log.Room)
	}
	return err
}

var (
	errNoExports           = &requestError{codes.FailedPrecondition, ReasonBadRequest, "this server has no folder to make examination files in"}
	errExports       error = &ledger.BusyError{What: "as many examination files are being made and sent as may be at once", RetryAfter: 10 * time.Second}
	errLimitedExport       = &requestError{codes.PermissionDenied, ReasonNotAllowed,
		"an examination file shows the domain maps, the approvals and the names of streams of every domain, and your grant is limited to some: ask a reader of all, an examiner or a production officer to export it, or have your grant widened; entries of your domains, with their receipts, you get one by one (daybook list, daybook receipt)"}
	errStalled = &requestError{codes.DeadlineExceeded, ReasonOutcomeUnknown,
		"the export was given up because nobody took its bytes: ask again, with the first part that is missing"}
)

// Export implements ExportService. The making and sending run beside the handler:
// a client that takes nothing holds a Send, which ends only when the handler has
// returned.
func (s *exporter) Export(r *apiv1.ExportRequest, stream grpc.ServerStreamingServer[apiv1.ExportResponse]) error {
	if !scopeOf(stream.Context()).Whole {
		// It proves what it leaves out by the domain maps, the approvals and the rows
		// beside its own: those of every domain.
		return errLimitedExport
	}
	q, err := questionOf(r)
	if err != nil {
		return err
	}
	if s.spool == nil {
		return errNoExports
	}
	job, err := s.spool.Begin()
	if err != nil {
		return errExports
	}
	ctx, cancel := context.WithCancelCause(stream.Context())
	defer cancel(nil)
	out := &exportSender{stream: stream, sent: make(chan struct{}, 1)}
	done := make(chan error, 1)
	s.running.Go(func() {
		err := s.guarded(func() error { return s.export(ctx, r, q, job, out) })
		done <- errors.Join(err, job.Close())
	})
	return s.watch(ctx, cancel, out, done)
}

// watch waits for the end of an export, and gives up one whose client takes
// nothing, or whose server stops.
func (s *exporter) watch(ctx context.Context, cancel context.CancelCauseFunc, out *exportSender, done <-chan error) error {
	stall := time.NewTimer(s.stall)
	defer stall.Stop()
	for {
		select {
		case err := <-done:
			return err
		case <-out.sent:
			stall.Reset(s.stall)
		case <-stall.C:
			if out.waiting.Load() {
				cancel(errStalled)
				return errStalled
			}
			stall.Reset(s.stall)
		case <-s.stopping:
			cancel(errStopping)
			return errStopping
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// guarded turns a panic into an error, as the interceptors do for a handler.
func (s *exporter) guarded(fn func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: %v\n%s", errPanic, p, debug.Stack())
		}
	}()
	return fn()
}

// questionOf checks a request.
func questionOf(r *apiv1.ExportRequest) (*question.Question, error) {
	switch n := r.GetSplitBytes(); {
	case r.GetQuestion() == "":
		return nil, badRequest("question: it is empty; ask `{}` for every access")
	case len(r.GetQuestion()) > maxQuestion:
		return nil, badRequest("question: %d bytes, at most %d", len(r.GetQuestion()), maxQuestion)
	case n != 0 && (n < leastSplit || n > mostSplit):
		return nil, badRequest("split_bytes: %d is not %d to %d", n, leastSplit, uint64(mostSplit))
	}
	q, err := question.Read([]byte(r.GetQuestion()), time.LoadLocation)
	if err != nil {
		return nil, badRequest("%v", err)
	}
	return q, nil
}
