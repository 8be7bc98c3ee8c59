package server

import (
	"context"

	"github.com/daybook-ledger/daybook/ledger"
	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/server/access"
	"github.com/daybook-ledger/daybook/verify/domains"
)

// approvalsOf finds the published approvals of a log, for what two people must
// agree on. Who is one person, the domain map in force says.
func approvalsOf(log *ledger.Ledger) access.Approvals {
	return access.Approvals{
		Find: func(ctx context.Context, subject daybookv1.ApprovalSubject, name string) ([]access.Approval, error) {
			var list []access.Approval
			log.Approvals(func(a domains.Approved) bool {
				if a.Body.GetSubject() == subject && a.Body.GetName() == name {
					list = append(list, access.Approval{Index: a.Index, Revoked: a.Revocation != 0, Approval: a.Body})
				}
				return ctx.Err() == nil
			})
			return list, context.Cause(ctx)
		},
		Person: func(identity string) string {
			if v := log.MapInForce(); v != nil {
				return v.Map.Person(identity)
			}
			return identity
		},
	}
}
