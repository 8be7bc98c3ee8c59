package client

import (
	"testing"

	"google.golang.org/grpc"

	apiv1 "github.com/daybook-ledger/daybook/proto/daybook/api/v1"
)

// CheckerForTest fetches the answer to a repeat of items, the first of a run,
// and returns a function that reads and checks that answer once.
func CheckerForTest(t testing.TB, r *Run, items []Item) func() error {
	t.Helper()
	request := &wireAppend{run: r.id[:], epoch: 1, first: 1, items: items}
	raw := new(rawAnswer)
	if err := r.conn.Invoke(t.Context(), appendMethod, request, raw); err != nil {
		t.Fatal(err)
	}
	check := r.c.newChecker()
	return func() error {
		a := new(wireReceipt)
		if err := a.parse(raw.data); err != nil {
			return err
		}
		_, err := check.check(&sent{producer: r.c.Producer(), run: r.id, provenance: r.provenance, epoch: 1, first: 1, items: items}, a)
		return err
	}
}

// rawAnswer keeps the bytes of an answer.
type rawAnswer struct{ data []byte }

func (r *rawAnswer) parse(data []byte) error {
	r.data = data
	return nil
}

// ExportOf is the export whose messages a stream has, from a part on.
func ExportOf(stream grpc.ServerStreamingClient[apiv1.ExportResponse], first uint32) *Export {
	return &Export{stream: stream, cancel: func() {}, next: max(1, first)}
}
