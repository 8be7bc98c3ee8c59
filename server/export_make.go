package server

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"

	"google.golang.org/grpc/codes"

	"github.com/daybook-ledger/daybook/ledger"
	apiv1 "github.com/daybook-ledger/daybook/proto/daybook/api/v1"
	"github.com/daybook-ledger/daybook/server/spool"
	"github.com/daybook-ledger/daybook/verify/bundle"
	"github.com/daybook-ledger/daybook/verify/bundle/question"
)

// checkpointFor returns the size of the archived checkpoint that a question is
// answered at. Where the question reaches past the newest close it makes one: what
// lies behind a close cannot be shown to be complete. So it does where the log's key
// was replaced after it: who was given the key before must find the rotation.
func (s *exporter) checkpointFor(ctx context.Context, r *apiv1.ExportRequest, q *question.Question, out *exportSender) (uint64, error) {
	if r.GetTreeSize() != 0 {
		if _, err := s.log.ArchivedAt(r.GetTreeSize()); err != nil {
			return 0, err
		}
		return r.GetTreeSize(), nil
	}
	st := s.log.Status()
	covers := st.CloseIndex
	switch _, until := q.Logged(); {
	case q.Tiles() && !r.GetNoClose():
		covers = st.Head.Size - 1
	case !r.GetNoClose() && (until > st.CloseEndNS || s.log.Keys().Current().Since > st.CloseIndex):
		var err error
		if covers, err = s.log.CloseNow(ctx); err != nil {
			return 0, closeFirst(err)
		}
	}
	return s.archived(ctx, covers, out)
}

// closeFirst says how to go on where no close can be made.
func closeFirst(err error) error {
	var shut *ledger.ShutError
	var low *ledger.DiskLowError
	switch {
	case errors.As(err, &shut):
		return &ledger.ShutError{Reason: shut.Reason + "; the question reaches past the newest close, and no other can be made: ask for an answer up to the newest one (--no-close)"}
	case errors.As(err, &low), errors.Is(err, ledger.ErrClock):
		return &requestError{codes.Unavailable, reasonOf(err), "the question reaches past the newest close, and no other can be made now: ask for an answer up to the newest one (--no-close): " + err.Error()}
	}
	return err
}

// export makes the parts of a file one after the other, records each, and sends
// it.
func (s *exporter) export(ctx context.Context, r *apiv1.ExportRequest, q *question.Question, job *spool.Job, out *exportSender) error {
	size, err := s.checkpointFor(ctx, r, q, out)
	if err != nil {
		return err
	}
	if r := q.Range; r != nil && r.End > size {
		return badRequest("range: it ends at entry %d, the checkpoint has %d", r.End, size)
	}
	note, err := s.log.ArchivedAt(size)
	if err != nil {
		return err
	}
	src, err := s.log.Source(ctx, size, s.policyOf(note))
	if err != nil {
		return err
	}
	limit := int64(mostSplit)
	if r.GetSplitBytes() != 0 {
		limit = int64(r.GetSplitBytes())
	}
	plan, err := bundle.Prepare(ctx, &toldSource{src, size, out}, q, limit)
	if err != nil {
		return ofExport(q, err)
	}
	parts := uint32(plan.Parts())
	if n := r.GetFirstPart(); n > parts {
		return badRequest("first_part: %d, the file has %d parts", n, parts)
	}
	for number := max(1, r.GetFirstPart()); number <= parts; number++ {
		head := &apiv1.ExportPart{Number: number, Parts: parts, TreeSize: size}
		if err := s.part(ctx, plan, head, q, job, out); err != nil {
			return ofExport(q, err)
		}
	}
	return nil
}

// part makes one part in the spool, records it, and sends it.
func (s *exporter) part(ctx context.Context, plan *bundle.Plan, head *apiv1.ExportPart, q *question.Question, job *spool.Job, out *exportSender) error {
	file, err := job.Create()
	if err != nil {
		return err
	}
	sum := sha256.New()
	built, err := plan.Build(ctx, int(head.GetNumber()), temps{job}, io.MultiWriter(file, sum))
	if err != nil {
		return err
	}
	head.Size, head.Sha256, head.ManifestSha256 = uint64(file.Size()), sum.Sum(nil), built.Manifest[:]
	if head.EntryIndex, err = s.record(ctx, q, head); err != nil {
		return err
	}
	if err := out.part(ctx, head, file); err != nil {
		return err
	}
	return file.Close()
}

// ofExport words the errors of a build for whoever asked.
func ofExport(q *question.Question, err error) error {
	if errors.Is(err, bundle.ErrTooLarge) {
		if q.Log {
			return tooLarge("the whole log has more entries than one file lists, about 50 million, or would be over 1 TiB, and it is never split: copy it with `daybookd mirror`, which `daybook-verify log` checks, or ask for its entries by ranges (--range A:B)")
		}
		return tooLarge("the file would be over 1 TiB, or have over 400,000 members: ask for it in parts (--split 450MB), or for less, such as a shorter period")
	}
	if errors.Is(err, spool.ErrFull) {
		return fmt.Errorf("%w: nothing of the file was kept, and nothing of the log is lost; ask again once there is room for twice the file, or for less at once", spool.ErrFull)
	}
	if errors.Is(err, bundle.ErrNoClose) {
		return &requestError{codes.FailedPrecondition, ReasonNotFound,
			"no close is below the checkpoint, and without one nothing can be shown to be complete: ask without --no-close, or at a later checkpoint"}
	}
	return err
}

// temps are the temporary files of a build.
type temps struct{ job *spool.Job }

// Temp implements bundle.Spool.
func (t temps) Temp() (bundle.TempFile, error) { return t.job.Create() }

// A toldSource says how far an export has read.
type toldSource struct {
	*ledger.Source
	size uint64
	out  *exportSender
}

// Entry implements bundle.Source.
func (s *toldSource) Entry(ctx context.Context, index uint64) ([]byte, error) {
	if index%64 == 0 {
		if err := s.out.progress(ctx, "reading the log", index+1, s.size); err != nil {
			return nil, err
		}
	}
	return s.Source.Entry(ctx, index)
}
