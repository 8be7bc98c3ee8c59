package client_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"io"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/encoding/protodelim"
	"google.golang.org/protobuf/proto"

	"github.com/daybook-ledger/daybook/client"
	apiv1 "github.com/daybook-ledger/daybook/proto/daybook/api/v1"
)

// messageStream is a stream of messages that came from a server.
type messageStream struct {
	grpc.ClientStream
	from *bytes.Reader
}

// Recv gives the next message.
func (s *messageStream) Recv() (*apiv1.ExportResponse, error) {
	m := new(apiv1.ExportResponse)
	if err := (protodelim.UnmarshalOptions{MaxSize: 1 << 20}).UnmarshalFrom(s.from, m); err != nil {
		return nil, err
	}
	return m, nil
}

// FuzzExport: whatever messages come, the parts that are taken are 1 to n, each
// with the bytes that its head says.
func FuzzExport(f *testing.F) {
	write := func(list ...*apiv1.ExportResponse) []byte {
		var b bytes.Buffer
		for _, m := range list {
			if _, err := protodelim.MarshalTo(&b, m); err != nil {
				f.Fatal(err)
			}
		}
		return b.Bytes()
	}
	told := &apiv1.ExportResponse{Message: &apiv1.ExportResponse_Progress{Progress: &apiv1.ExportProgress{Stage: "reading", Done: 1}}}
	empty, huge := exportHead(1, 1, ""), exportHead(1, 1, "x")
	huge.GetPart().Size = 1<<64 - 1
	f.Add(write(told, exportHead(1, 2, "first part"), exportChunk("first"), exportChunk(" part"), exportHead(2, 2, "second"), exportChunk("second")), uint32(0))
	f.Add(write(exportHead(2, 2, "second"), exportChunk("second")), uint32(2))
	f.Add(write(empty), uint32(0))
	f.Add(write(huge, exportChunk("x")), uint32(1))
	f.Add(write(exportHead(1<<32-1, 1<<32-1, "x"), exportChunk("x")), uint32(1<<32-1))
	f.Fuzz(func(t *testing.T, messages []byte, first uint32) {
		e := client.ExportOf(&messageStream{from: bytes.NewReader(messages)}, first)
		defer e.Close()
		for number := max(1, first); ; number++ {
			part, err := e.Next()
			if errors.Is(err, io.EOF) && number > max(1, first) {
				return
			}
			if err != nil {
				return
			}
			if part.GetNumber() != number {
				t.Fatalf("part %d came in the place of part %d", part.GetNumber(), number)
			}
			head := proto.CloneOf(part)
			var b bytes.Buffer
			n, err := e.WriteTo(&b)
			if err != nil {
				return
			}
			if sum := sha256.Sum256(b.Bytes()); uint64(n) != head.GetSize() || b.Len() != int(n) || !bytes.Equal(sum[:], head.GetSha256()) {
				t.Fatalf("%d bytes were taken for %v", n, head)
			}
		}
	})
}
