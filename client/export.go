package client

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"

	"google.golang.org/grpc"

	apiv1 "github.com/daybook-ledger/daybook/proto/daybook/api/v1"
)

// An Export is an examination file on its way from the server. It belongs to one
// goroutine, which must call Close.
type Export struct {
	stream   grpc.ServerStreamingClient[apiv1.ExportResponse]
	cancel   context.CancelFunc
	progress func(*apiv1.ExportProgress)
	part     *apiv1.ExportPart // nil: none, or its bytes were all read
	next     uint32            // number of the part to come
	parts    uint32            // as the first part says; 0: none came
}

// Export asks for the examination file of a question, as text that package question
// reads. progress, which may be nil, hears how far the making is. The parts come
// by Next and WriteTo, one after the other:
//
//	e, err := c.Export(ctx, request, nil)
//	defer e.Close()
//	for part, err := e.Next(); ...; part, err = e.Next() {
//		_, err = e.WriteTo(file)
//	}
//
// What was received is as good as the server: bundle.Check tells what it proves.
func (c *Client) Export(ctx context.Context, r *apiv1.ExportRequest, progress func(*apiv1.ExportProgress)) (*Export, error) {
	ctx, cancel := context.WithCancel(ctx)
	stream, err := apiv1.NewExportServiceClient(c.query).Export(ctx, r)
	if err != nil {
		cancel()
		return nil, queryError("exporting", err)
	}
	return &Export{stream: stream, cancel: cancel, progress: progress, next: max(1, r.GetFirstPart())}, nil
}

// Close ends the export; what was not received is given up.
func (e *Export) Close() { e.cancel() }

// Next returns the head of the next part, once its making is done; io.EOF after
// the last one. The part before must have been read by WriteTo.
func (e *Export) Next() (*apiv1.ExportPart, error) {
	if e.part != nil {
		return nil, errors.New("exporting: the part before was not read")
	}
	for {
		m, err := e.stream.Recv()
		if errors.Is(err, io.EOF) {
			if e.parts == 0 || e.next != e.parts+1 {
				return nil, fmt.Errorf("exporting: the server ended before part %d", e.next)
			}
			return nil, io.EOF
		}
		if err != nil {
			return nil, queryError("exporting", err)
		}
		switch m := m.GetMessage().(type) {
		case *apiv1.ExportResponse_Progress:
			if e.progress != nil {
				e.progress(m.Progress)
			}
		case *apiv1.ExportResponse_Part:
			p := m.Part
			if p.GetNumber() != e.next || p.GetNumber() > p.GetParts() || e.parts != 0 && p.GetParts() != e.parts ||
				len(p.GetSha256()) != sha256.Size || len(p.GetManifestSha256()) != sha256.Size {
				return nil, errors.New("exporting: the server sent the head of a part that is none")
			}
			e.part, e.parts, e.next = p, p.GetParts(), e.next+1
			return p, nil
		default:
			return nil, errors.New("exporting: the server sent bytes of no part")
		}
	}
}

// WriteTo writes the bytes of the part whose head Next returned, and checks that
// they are as many as its head says and have its SHA-256. After an error what was
// written is to be thrown away.
func (e *Export) WriteTo(w io.Writer) (int64, error) {
	p := e.part
	if p == nil {
		return 0, errors.New("exporting: no part is due")
	}
	sum, written := sha256.New(), int64(0)
	for uint64(written) < p.GetSize() {
		m, err := e.stream.Recv()
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			return written, queryError(fmt.Sprintf("exporting part %d", p.GetNumber()), err)
		}
		b := m.GetChunk()
		if len(b) == 0 || uint64(len(b)) > p.GetSize()-uint64(written) {
			return written, fmt.Errorf("exporting part %d: it is longer than its head says", p.GetNumber())
		}
		sum.Write(b)
		n, err := w.Write(b)
		written += int64(n)
		if err != nil {
			return written, err
		}
	}
	if [sha256.Size]byte(sum.Sum(nil)) != [sha256.Size]byte(p.GetSha256()) {
		return written, fmt.Errorf("exporting part %d: what came has another SHA-256 than its head says", p.GetNumber())
	}
	e.part = nil
	return written, nil
}
