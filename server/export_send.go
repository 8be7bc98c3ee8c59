package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"

	apiv1 "github.com/daybook-ledger/daybook/proto/daybook/api/v1"
	"github.com/daybook-ledger/daybook/server/spool"
)

// exportTold is how often an export says how far it is.
const exportTold = 200 * time.Millisecond

// An exportSender sends the messages of one export. One goroutine sends; waiting
// and sent are for who watches it.
type exportSender struct {
	stream  grpc.ServerStreamingServer[apiv1.ExportResponse]
	waiting atomic.Bool   // a message is not taken yet
	sent    chan struct{} // holds one where a message was taken
	told    time.Time     // when progress was last sent
}

func (o *exportSender) send(ctx context.Context, m *apiv1.ExportResponse) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	o.waiting.Store(true)
	err := o.stream.Send(m)
	o.waiting.Store(false)
	select {
	case o.sent <- struct{}{}:
	default:
	}
	return err
}

// progress says how far the making is, not too often.
func (o *exportSender) progress(ctx context.Context, stage string, done, total uint64) error {
	if now := time.Now(); now.Sub(o.told) >= exportTold {
		o.told = now
		return o.send(ctx, &apiv1.ExportResponse{Message: &apiv1.ExportResponse_Progress{
			Progress: &apiv1.ExportProgress{Stage: stage, Done: done, Total: total}}})
	}
	return ctx.Err()
}

// part sends one part: its head, then its bytes.
func (o *exportSender) part(ctx context.Context, head *apiv1.ExportPart, file *spool.File) error {
	if err := o.send(ctx, &apiv1.ExportResponse{Message: &apiv1.ExportResponse_Part{Part: head}}); err != nil {
		return err
	}
	for from, buf := file.Reader(), make([]byte, exportChunk); ; {
		n, err := io.ReadFull(from, buf)
		if n > 0 {
			// The message is marshalled before Send returns: the buffer is free again.
			if err := o.send(ctx, &apiv1.ExportResponse{Message: &apiv1.ExportResponse_Chunk{Chunk: buf[:n]}}); err != nil {
				return err
			}
		}
		switch {
		case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
			return nil
		case err != nil:
			return fmt.Errorf("reading the file that was made: %w", err)
		}
	}
}
