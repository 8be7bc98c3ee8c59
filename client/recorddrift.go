package client

import (
	"context"
	"fmt"

	apiv1 "github.com/daybook-ledger/daybook/proto/daybook/api/v1"
	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
)

// RecordDrift puts the result of a drift scan into the log, and returns its
// activity entry, proven to be there, and how many alerts rest on it. It is not
// retried: what was recorded would be recorded twice.
func (c *Client) RecordDrift(ctx context.Context, r *apiv1.RecordDriftRequest) (entry *Entry, alerts int, err error) {
	a, err := c.governance().RecordDrift(ctx, r)
	if err != nil {
		return nil, 0, queryError("recording the scan", err)
	}
	if entry, err = c.Entry(ctx, a.Index); err != nil {
		return nil, 0, err
	}
	if m := entry.View.GetActivity(); m.GetType() != daybookv1.ActivityType_ACTIVITY_TYPE_DRIFT || m.GetFirstNs() != r.StartedNs || m.GetLastNs() != r.EndedNs {
		return nil, 0, fmt.Errorf("recording the scan: entry %d is not the scan", a.Index)
	}
	return entry, int(a.Alerts), nil
}
