package ledger

import (
	"context"

	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
)

// AppendOwn appends an entry of the ledger's own as it is, and returns its index:
// what a damaged program might write.
func (l *Ledger) AppendOwn(ctx context.Context, kind daybookv1.Kind, body []byte) (uint64, error) {
	w := &work{op: opOwn, kind: kind, body: body}
	err := l.closes.push(ctx, w)
	return w.result.first, err
}
