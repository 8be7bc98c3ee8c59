package server

import (
	"context"
	"fmt"

	"google.golang.org/protobuf/proto"

	"github.com/daybook-ledger/daybook/ledger"
	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/verify"
)

// watchExpiry raises alerts of certificates near their end until ctx ends, after
// it has read which ones the log holds.
func (s *Server) watchExpiry(ctx context.Context) {
	before, err := s.raisedExpiries(ctx)
	if err != nil && ctx.Err() == nil {
		s.o.Logger.Error("alerts of expiry may be raised a second time", "error", err)
	}
	s.expiry.recall(before)
	s.expiry.run(ctx)
}

// raisedExpiries returns the ids of the alerts of expiry in the log whose step may
// last until now.
func (s *Server) raisedExpiries(ctx context.Context) (map[verify.Hash]bool, error) {
	found := make(map[verify.Hash]bool)
	size := s.o.Log.Head().Size
	filter := ledger.ListFilter{Kind: daybookv1.Kind_KIND_ALERT, LoggedFrom: s.o.Now().Add(-expirySteps[0]).UnixNano()}
	for from := size; ; {
		page, err := s.o.Log.List(ctx, filter, size, from, maxPage)
		if err != nil {
			return found, err
		}
		for i, raw := range page.Entries {
			e, err := verify.ParseEntry(raw)
			if err != nil {
				return found, fmt.Errorf("alert %d: %w", page.Indexes[i], err)
			}
			var m daybookv1.Alert
			if err := proto.Unmarshal(e.Body, &m); err != nil {
				return found, fmt.Errorf("alert %d: %w", page.Indexes[i], err)
			}
			if m.Type == daybookv1.AlertType_ALERT_TYPE_EXPIRY && len(m.Id) == len(verify.Hash{}) {
				found[verify.Hash(m.Id)] = true
			}
		}
		if !page.More {
			return found, nil
		}
		from = page.Next
	}
}
