package server

import (
	"context"
	"math"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/daybook-ledger/daybook/ledger"
	apiv1 "github.com/daybook-ledger/daybook/proto/daybook/api/v1"
)

const (
	defaultPage = 100
	maxPage     = 1000
)

// ListEntries implements QueryService.
func (s *query) ListEntries(ctx context.Context, r *apiv1.ListEntriesRequest) (*apiv1.ListEntriesResponse, error) {
	filter, err := filterOf(r)
	if err != nil {
		return nil, err
	}
	limit, err := pageSize(r.GetPageSize())
	if err != nil {
		return nil, err
	}
	token, first, err := pageOf(r)
	if err != nil {
		return nil, err
	}
	if first {
		token.size = s.log.Head().Size
		if !filter.Ascending {
			token.index = token.size
		}
	}
	page, err := s.list(ctx, filter, token.size, token.index, limit)
	if err != nil {
		return nil, err
	}
	return s.page(page, token, filter.Ascending)
}

// page answers with the entries of a page. It ends early where the answer grows
// large.
func (s *query) page(page ledger.ListPage, token pageToken, ascending bool) (*apiv1.ListEntriesResponse, error) {
	answer := &apiv1.ListEntriesResponse{TreeSize: token.size, Entries: make([]*apiv1.EntryView, 0, len(page.Indexes))}
	bytes := 0
	for i, index := range page.Indexes {
		entry := page.Entries[i]
		// The bytes travel twice: as hashed and decoded.
		if bytes += 2*len(entry) + 256; bytes > maxAnswer && i > 0 {
			page.More, page.Next = true, page.Indexes[i-1]
			if ascending {
				page.Next++
			}
			break
		}
		view, err := s.view(index, entry)
		if err != nil {
			return nil, err
		}
		answer.Entries = append(answer.Entries, view)
	}
	if page.More {
		token.index = page.Next
		answer.NextPageToken = formatPageToken(token)
	}
	return answer, nil
}

func pageSize(n int32) (int, error) {
	switch {
	case n == 0:
		return defaultPage, nil
	case n < 0 || n > maxPage:
		return 0, badRequest("page_size: %d is not 1 to %d", n, maxPage)
	}
	return int(n), nil
}

func filterOf(r *apiv1.ListEntriesRequest) (ledger.ListFilter, error) {
	f := ledger.ListFilter{Source: r.GetSource(), Target: r.GetTarget(), Kind: r.GetKind(), Ascending: r.GetAscending(), Declared: declaredOf(r)}
	for _, bound := range []struct {
		name string
		from *timestamppb.Timestamp
		to   *int64
	}{
		{"logged_from", r.GetLoggedFrom(), &f.LoggedFrom},
		{"logged_until", r.GetLoggedUntil(), &f.LoggedUntil},
		{"occurred_from", r.GetOccurredFrom(), &f.OccurredFrom},
		{"occurred_until", r.GetOccurredUntil(), &f.OccurredUntil},
	} {
		ns, ok := nanoseconds(bound.from)
		if !ok {
			return f, badRequest("%s: is no time between the years 1678 and 2262", bound.name)
		}
		*bound.to = ns
	}
	var err error
	f.Where, err = matchesOf(r)
	return f, err
}

// declaredOf is what a request says of domains and flows.
func declaredOf(r *apiv1.ListEntriesRequest) ledger.Declared {
	return ledger.Declared{
		Flow:   r.GetFlow(),
		Source: ledger.DomainWords{Tier: r.GetSourceTier(), Function: r.GetSourceFunction(), Owner: r.GetSourceOwner()},
		Target: ledger.DomainWords{Tier: r.GetTargetTier(), Function: r.GetTargetFunction(), Owner: r.GetTargetOwner()},
	}
}

// nanoseconds since the epoch; 0 for an unset time, which does not filter. The
// epoch itself becomes 1 ns.
func nanoseconds(t *timestamppb.Timestamp) (int64, bool) {
	if t == nil {
		return 0, true
	}
	const limit = math.MaxInt64 / int64(time.Second)
	if !t.IsValid() || t.GetSeconds() <= -limit || t.GetSeconds() >= limit {
		return 0, false
	}
	if ns := t.AsTime().UnixNano(); ns != 0 {
		return ns, true
	}
	return 1, true
}
