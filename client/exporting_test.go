package client_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"io"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"github.com/daybook-ledger/daybook/client"
	apiv1 "github.com/daybook-ledger/daybook/proto/daybook/api/v1"
)

// liarExports is an ExportService that sends what a test says, while nobody else
// calls it.
type liarExports struct {
	apiv1.UnimplementedExportServiceServer
	messages []*apiv1.ExportResponse
}

// Export implements ExportService.
func (l *liarExports) Export(_ *apiv1.ExportRequest, stream grpc.ServerStreamingServer[apiv1.ExportResponse]) error {
	for _, m := range l.messages {
		if err := stream.Send(m); err != nil {
			return err
		}
	}
	return nil
}

func exportHead(number, parts uint32, content string) *apiv1.ExportResponse {
	sum := sha256.Sum256([]byte(content))
	return &apiv1.ExportResponse{Message: &apiv1.ExportResponse_Part{Part: &apiv1.ExportPart{
		Number: number, Parts: parts, Size: uint64(len(content)), Sha256: sum[:], ManifestSha256: sum[:], TreeSize: 7}}}
}

func exportChunk(content string) *apiv1.ExportResponse {
	return &apiv1.ExportResponse{Message: &apiv1.ExportResponse_Chunk{Chunk: []byte(content)}}
}

// receive reads all parts of an export.
func receive(t *testing.T, c *client.Client) (parts []string, told int, err error) {
	t.Helper()
	e, err := c.Export(t.Context(), &apiv1.ExportRequest{Question: "{}"}, func(*apiv1.ExportProgress) { told++ })
	if err != nil {
		return nil, 0, err
	}
	defer e.Close()
	for {
		if _, err := e.Next(); errors.Is(err, io.EOF) {
			return parts, told, nil
		} else if err != nil {
			return parts, told, err
		}
		if _, err := e.Next(); err == nil {
			t.Error("a part was skipped unread")
		}
		var b bytes.Buffer
		if _, err := e.WriteTo(&b); err != nil {
			return parts, told, err
		}
		parts = append(parts, b.String())
	}
}

func TestAnExportIsWhatItsHeadsSay(t *testing.T) {
	l := newLiar(t)
	c := l.dial(t, nil)
	good := []*apiv1.ExportResponse{
		{Message: &apiv1.ExportResponse_Progress{Progress: &apiv1.ExportProgress{Stage: "reading", Done: 1}}},
		exportHead(1, 2, "first part"), exportChunk("first"), exportChunk(" part"), exportHead(2, 2, "second"), exportChunk("second"),
	}
	l.exports.messages = good
	parts, told, err := receive(t, c)
	if err != nil || told != 1 || len(parts) != 2 || parts[0] != "first part" || parts[1] != "second" {
		t.Fatalf("%q, told %d times, %v", parts, told, err)
	}
	for name, lie := range map[string]func(m []*apiv1.ExportResponse) []*apiv1.ExportResponse{
		"other bytes":      func(m []*apiv1.ExportResponse) []*apiv1.ExportResponse { m[2] = exportChunk("First"); return m },
		"too many bytes":   func(m []*apiv1.ExportResponse) []*apiv1.ExportResponse { m[3] = exportChunk(" parts"); return m },
		"an end too early": func(m []*apiv1.ExportResponse) []*apiv1.ExportResponse { return m[:3] },
		"bytes of no part": func(m []*apiv1.ExportResponse) []*apiv1.ExportResponse { return m[2:] },
		"part 3 of 2":      func(m []*apiv1.ExportResponse) []*apiv1.ExportResponse { m[4] = exportHead(3, 2, "second"); return m },
		"part 0": func(m []*apiv1.ExportResponse) []*apiv1.ExportResponse {
			m[1] = exportHead(0, 2, "first part")
			return m
		},
		"another number":       func(m []*apiv1.ExportResponse) []*apiv1.ExportResponse { m[4] = exportHead(2, 3, "second"); return m },
		"a part within":        func(m []*apiv1.ExportResponse) []*apiv1.ExportResponse { m[3] = m[4]; return m },
		"an empty message":     func(m []*apiv1.ExportResponse) []*apiv1.ExportResponse { m[1] = &apiv1.ExportResponse{}; return m },
		"a part left out":      func(m []*apiv1.ExportResponse) []*apiv1.ExportResponse { return m[4:] },
		"an end before part 2": func(m []*apiv1.ExportResponse) []*apiv1.ExportResponse { return m[:4] },
		"no part":              func(m []*apiv1.ExportResponse) []*apiv1.ExportResponse { return m[:1] },
		"no digest":            func(m []*apiv1.ExportResponse) []*apiv1.ExportResponse { m[1].GetPart().Sha256 = nil; return m },
		"no manifest digest":   func(m []*apiv1.ExportResponse) []*apiv1.ExportResponse { m[1].GetPart().ManifestSha256 = nil; return m },
	} {
		var bent []*apiv1.ExportResponse
		for _, m := range good {
			bent = append(bent, proto.CloneOf(m))
		}
		l.exports.messages = lie(bent)
		if parts, _, err := receive(t, c); err == nil {
			t.Errorf("%s was believed: %q", name, parts)
		}
	}
}
